// AMQP 1.0, 2.7.5 and 2.7.6: the fields of transfer and disposition.
import type { Chapter } from '../check.ts'
import { mustBe, mustEqual, skip } from '../outcome.ts'
import { message, textOfBody } from './message.ts'
import { changes, edits, is, never, sees } from './mutants.ts'
import { bearing, endsOn } from './refusals.ts'
import { begun, covers, queueSource, refusedBy } from './session.ts'

const noDispositions = never('disposition')

export const dispositions: Chapter = {
  title: '2.7.5–2.7.6 Transfer and disposition',
  clauses: [
    {
      id: 'AMQP-2.7.5-a',
      level: 'must',
      says: 'A transfer that goes on with a delivery under another delivery-id is an error.',
      how: 'The first transfer with id 0, the second with id 1.',
      async run(trial) {
        const session = await begun(trial)
        const sender = await session.sender('q')
        await sender.credit()
        const bytes = message('mixed up')
        sender.transfer(bytes.subarray(0, 4), { more: true })
        session.transfer({ kind: 'transfer', handle: sender.handle, deliveryId: 1 }, bytes.subarray(4))
        await refusedBy(session.wire, 'after such a transfer', 'detach', 'end', 'close')
      },
      mutants: bearing('detach'),
    },
    {
      id: 'AMQP-2.7.5-b',
      level: 'must',
      says: 'The first transfer of a delivery must have a delivery-id and a delivery-tag.',
      how: 'A transfer without either: the link, the session or the connection ends.',
      async run(trial) {
        const session = await begun(trial)
        const sender = await session.sender('q')
        await sender.credit()
        session.transfer({ kind: 'transfer', handle: sender.handle, messageFormat: 0 }, message('x'))
        await refusedBy(session.wire, 'after such a transfer', 'detach', 'end', 'close')
      },
      mutants: bearing('detach'),
    },
    {
      id: 'AMQP-2.7.5-c',
      level: 'must',
      says: 'A delivery is settled if any of its transfers says so, and `settled` that is left out later stays true.',
      how: 'A message in three transfers of which only the second is settled, then one that is not: the broker settles the second message only.',
      async run(trial) {
        const session = await begun(trial)
        const sender = await session.sender('q')
        await sender.credit()
        const bytes = message('settled in the middle')
        const deliveryId = sender.transfer(bytes.subarray(0, 5), { more: true })
        session.transfer({ kind: 'transfer', handle: sender.handle, more: true, settled: true }, bytes.subarray(5, 10))
        session.transfer({ kind: 'transfer', handle: sender.handle }, bytes.subarray(10))
        const id = sender.transfer(message('unsettled'))
        const answer = await sender.outcome(id)
        mustBe(!covers(answer, deliveryId), 'the broker answered a delivery that was settled')
        mustBe(
          !session.wire.inbox.unread.some((piece) => piece.kind === 'disposition' && covers(piece, deliveryId)),
          'the broker answered a delivery that was settled',
        )
      },
      mutants: [
        sees('looks at the last transfer for the flag', 'transfer', (transfer) => ({ ...transfer, settled: false })),
        changes('answers what is settled', 'disposition', (disposition) => ({ ...disposition, first: 0 })),
      ],
    },
    {
      id: 'AMQP-2.7.5-d',
      level: 'must',
      says: 'What is aborted is aborted, whether it says `more` or not.',
      how: 'A transfer with more, one with more and aborted; then another message.',
      async run(trial) {
        const session = await begun(trial)
        const sender = await session.sender('q')
        await sender.credit()
        const deliveryId = sender.transfer(message('aborted'), { more: true })
        session.transfer({ kind: 'transfer', handle: sender.handle, deliveryId, more: true, aborted: true })
        await sender.deliver(message('whole'))
        const receiver = await session.receiver('q')
        receiver.credit(2)
        mustEqual(textOfBody((await receiver.next()).payload), 'whole', 'the body of the message')
        await receiver.nothing('the other delivery was aborted')
      },
      mutants: [sees('looks at more first', 'transfer', (transfer) => (transfer.more === true ? { ...transfer, aborted: false } : undefined))],
    },
    {
      id: 'AMQP-2.7.5-e',
      level: 'must',
      says: '`batchable` is a hint: what bears it is answered all the same.',
      how: 'One message with batchable.',
      async run(trial) {
        const sender = await (await begun(trial)).sender('q')
        await sender.credit()
        const { state } = await sender.outcome(sender.transfer(message('x'), { batchable: true }))
        mustEqual(state?.kind, 'accepted', 'the outcome')
      },
      mutants: [
        edits('never answers what is batchable', () => () => {
          const batched = new Set<number>()
          return {
            toBroker: (piece) => {
              if (is(piece, 'transfer') && piece.batchable === true && piece.deliveryId !== undefined) batched.add(piece.deliveryId)
              return undefined
            },
            toClient: (piece) => (is(piece, 'disposition') && batched.has(piece.first ?? -1) ? 'drop' : undefined),
          }
        }),
      ],
    },
    {
      id: 'AMQP-2.7.5-f',
      level: 'must',
      says: 'A transfer with rcv-settle-mode `first` is settled by the broker at once, though the link’s mode is `second`.',
      how: 'A link with rcv-settle-mode 1 and a transfer with 0.',
      async run(trial) {
        const sender = await (await begun(trial)).sender('q', { rcvSettleMode: 1, sndSettleMode: 0 })
        if (sender.answer.rcvSettleMode !== 1) skip('the broker does not grant rcv-settle-mode second')
        await sender.credit()
        const { settled } = await sender.outcome(sender.transfer(message('x'), { rcvSettleMode: 0 }))
        mustEqual(settled, true, 'the flag settled of disposition')
      },
      mutants: [sees('takes the mode of the link', 'transfer', (transfer) => ({ ...transfer, rcvSettleMode: undefined })), noDispositions],
    },
    endsOn(
      {
        id: 'AMQP-2.7.5-g',
        level: 'should',
        says: 'A transfer with a handle that has no link ends the session with unattached-handle.',
        how: 'A transfer with handle 9.',
      },
      (session) => session.transfer({ kind: 'transfer', handle: 9, deliveryId: 0, deliveryTag: Buffer.from('t'), messageFormat: 0 }, message('x')),
      'amqp:session:unattached-handle',
    ),
    {
      id: 'AMQP-2.7.6-a',
      level: 'must',
      says: 'A disposition is about all deliveries from `first` to `last`.',
      how: 'Three messages, accepted by one disposition.',
      async run(trial) {
        const session = await begun(trial)
        await (await session.sender('q')).deliver(message('a'), message('b'), message('c'))
        const receiver = await session.receiver('q')
        receiver.credit(3)
        const ids = [(await receiver.next()).deliveryId, (await receiver.next()).deliveryId, (await receiver.next()).deliveryId]
        receiver.settle(ids[0] ?? 0, { kind: 'accepted' }, { last: ids[2] ?? 0 })
        await receiver.detach()
        const again = await session.receiver('q', { name: trial.name('again') })
        await again.nothing('all messages were accepted')
      },
      mutants: [sees('looks at the first only', 'disposition', (disposition) => ({ ...disposition, last: disposition.first }))],
    },
    {
      id: 'AMQP-2.7.6-b',
      level: 'must',
      says: 'Without `last` a disposition is about one delivery.',
      how: 'Three messages, the second is accepted; the others come again.',
      async run(trial) {
        const session = await begun(trial)
        await (await session.sender('q')).deliver(message('a'), message('b'), message('c'))
        const receiver = await session.receiver('q')
        receiver.credit(3)
        await receiver.next()
        receiver.accept(await receiver.next())
        await receiver.next()
        await session.end()
        const again = await (await begun(trial, {}, { containerId: trial.name('other') })).receiver('q', { name: trial.name('again') })
        again.credit(3)
        const texts = [textOfBody((await again.next()).payload), textOfBody((await again.next()).payload)]
        mustEqual(texts.toSorted().join(), 'a,c', 'what came again')
        await again.nothing('the second message was accepted')
      },
      mutants: [
        sees('settles all before', 'disposition', (disposition) => ({
          ...disposition,
          first: (disposition.first ?? 0) - 1,
          last: disposition.first,
        })),
        sees('takes no notice of settlement', 'disposition', () => 'drop'),
      ],
    },
    {
      id: 'AMQP-2.7.6-c',
      level: 'must',
      says: 'A delivery is still to be settled after its link was detached without being closed, as long as its source is there.',
      how: 'A source that stays until a minute after the session’s end; one message; detach that does not close; accepted by its delivery-id; the link attaches again and closes: it does not come to another.',
      async run(trial) {
        const session = await begun(trial)
        await (await session.sender('q')).deliver(message('x'))
        const source = queueSource(trial, 'q', { expiryPolicy: 'session-end', timeout: 60 })
        const receiver = await session.receiver('q', { source })
        const granted = receiver.answer.source
        if (granted?.kind === 'source' && granted.expiryPolicy === 'link-detach' && (granted.timeout ?? 0) === 0)
          skip('the broker’s source goes with its link')
        receiver.credit(1)
        const delivery = await receiver.next()
        await receiver.detach(false)
        receiver.accept(delivery)
        await (await session.receiver('q', { source })).detach()
        const again = await (await begun(trial, {}, { containerId: trial.name('other') })).receiver('q')
        await again.nothing('the only message was accepted')
      },
      mutants: [sees('takes no notice of settlement', 'disposition', () => 'drop')],
    },
    {
      id: 'AMQP-2.7.6-d',
      level: 'must',
      says: 'The role of a disposition says whose deliveries it is about: ids of the other direction are others.',
      how: 'A message is received and another sent, both with id 0; the client’s word as sender does not settle what it received.',
      async run(trial) {
        const session = await begun(trial)
        await (await (await begun(trial, {}, { containerId: trial.name('other') })).sender('q')).deliver(message('x'))
        const receiver = await session.receiver('q')
        receiver.credit(1)
        const { deliveryId } = await receiver.next()
        const sender = await session.sender('elsewhere')
        session.startAt(deliveryId)
        await sender.deliver(message('y'))
        session.send({ kind: 'disposition', role: false, first: deliveryId, settled: true, state: { kind: 'accepted' } })
        await receiver.detach()
        const again = await session.receiver('q', { name: trial.name('again') })
        again.credit(1)
        mustEqual(textOfBody((await again.next()).payload), 'x', 'the body of what came again')
      },
      mutants: [sees('takes no notice of the role', 'disposition', (disposition) => ({ ...disposition, role: true }))],
    },
  ],
}
