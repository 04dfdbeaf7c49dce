// AMQP 1.0, 2.6.11 to 2.6.14: deliveries and how they are settled.
import type { Chapter } from '../check.ts'
import { mustBe, mustEqual, skip } from '../outcome.ts'
import { data, message, sectionOf, textOfBody } from './message.ts'
import { changes, edits, never, sees } from './mutants.ts'
import { begun, covers } from './session.ts'

const noDispositions = never('disposition')

/** A message of 3000 bytes, no two parts of which are the same. */
const large = (seed: number): Buffer => data(Buffer.from(Array.from({ length: 3000 }, (_, at) => (at * 7 + (at >> 8) + seed) % 256)))

export const transfers: Chapter = {
  title: '2.6.11–2.6.14 Deliveries',
  clauses: [
    {
      id: 'AMQP-2.6.12-a',
      level: 'must',
      says: 'Each delivery that the broker begins has a delivery-id and a delivery-tag of at most 32 bytes, and no two that are unsettled have the same.',
      how: 'Five messages, none settled.',
      async run(trial) {
        const session = await begun(trial)
        await (await session.sender('q')).deliver(...'abcde'.split('').map((each) => message(each)))
        const receiver = await session.receiver('q')
        receiver.credit(5)
        const tags = new Set<string>()
        const ids = new Set<number>()
        for (let count = 0; count < 5; count++) {
          const { deliveryTag, deliveryId } = await receiver.next()
          mustBe(deliveryTag.length <= 32, `a delivery-tag has ${deliveryTag.length} bytes`)
          tags.add(deliveryTag.toString('hex'))
          ids.add(deliveryId)
        }
        mustEqual(tags.size, 5, 'the number of delivery-tags of five deliveries')
        mustEqual(ids.size, 5, 'the number of delivery-ids of five deliveries')
      },
      mutants: [
        changes('gives every delivery the same tag', 'transfer', (transfer) => ({ ...transfer, deliveryTag: Buffer.from('t') })),
        changes('gives every delivery the same id', 'transfer', (transfer) => ({ ...transfer, deliveryId: 0 })),
        changes('gives long tags', 'transfer', (transfer) => ({
          ...transfer,
          deliveryTag: Buffer.concat([transfer.deliveryTag ?? Buffer.alloc(0), Buffer.alloc(32)]),
        })),
        changes('gives no tags', 'transfer', (transfer) => ({ ...transfer, deliveryTag: undefined })),
      ],
    },
    {
      id: 'AMQP-2.6.12-b',
      level: 'must',
      says: 'Delivery ids are those of the session: those of two links are one sequence.',
      how: 'Two receivers of two queues with two messages each.',
      async run(trial) {
        const session = await begun(trial)
        const ids: number[] = []
        for (const word of ['a', 'b']) {
          await (await session.sender(word)).deliver(message('1'), message('2'))
          const receiver = await session.receiver(word)
          receiver.credit(2)
          ids.push((await receiver.next()).deliveryId, (await receiver.next()).deliveryId)
        }
        for (let at = 1; at < ids.length; at++) mustEqual(((ids[at] ?? 0) - (ids[at - 1] ?? 0)) | 0, 1, 'the step from one delivery-id to the next')
      },
      mutants: [changes('counts each link by itself', 'transfer', (transfer) => ({ ...transfer, deliveryId: (transfer.deliveryId ?? 0) % 2 }))],
    },
    {
      id: 'AMQP-2.6.12-c',
      level: 'must',
      says: 'An unsettled delivery is answered by a disposition of the receiver’s role with its outcome.',
      how: 'One message.',
      async run(trial) {
        const sender = await (await begun(trial)).sender('q')
        await sender.credit()
        const { state, role } = await sender.outcome(sender.transfer())
        mustEqual(role, true, 'the role of disposition')
        mustEqual(state?.kind, 'accepted', 'the outcome')
      },
      mutants: [
        noDispositions,
        changes('says a wrong role', 'disposition', (disposition) => ({ ...disposition, role: false })),
        changes('says no outcome', 'disposition', (disposition) => ({ ...disposition, state: undefined })),
      ],
    },
    {
      id: 'AMQP-2.6.12-d',
      level: 'must',
      says: 'What its sender sends settled is taken all the same.',
      how: 'A settled transfer, then an unsettled one: both are received, and no outcome of the first is needed.',
      async run(trial) {
        const session = await begun(trial)
        const sender = await session.sender('q')
        await sender.credit()
        sender.transfer(message('settled'), { settled: true })
        await sender.deliver(message('unsettled'))
        const receiver = await session.receiver('q')
        receiver.credit(2)
        mustEqual(textOfBody((await receiver.next()).payload), 'settled', 'the body of the first message')
        mustEqual(textOfBody((await receiver.next()).payload), 'unsettled', 'the body of the second message')
      },
      mutants: [sees('drops what is settled', 'transfer', (transfer) => (transfer.settled === true ? 'drop' : undefined))],
    },
    {
      id: 'AMQP-2.6.12-e',
      level: 'must',
      says: 'A delivery that its receiver accepts and settles is not delivered again.',
      how: 'One message, accepted; then drain, by another link too.',
      async run(trial) {
        const session = await begun(trial)
        await (await session.sender('q')).deliver(message('x'))
        const receiver = await session.receiver('q')
        receiver.credit(1)
        receiver.accept(await receiver.next())
        await receiver.nothing('the only message was accepted')
        await receiver.detach()
        const again = await session.receiver('q', { name: trial.name('again') })
        await again.nothing('the only message was accepted')
      },
      mutants: [sees('takes no notice of settlement', 'disposition', () => 'drop')],
    },
    {
      id: 'AMQP-2.6.12-f',
      level: 'must',
      says: 'An outcome that the receiver says without settling is answered by the settlement of the sender.',
      how: 'One message, accepted and not settled.',
      async run(trial) {
        const session = await begun(trial)
        await (await session.sender('q')).deliver(message('x'))
        const receiver = await session.receiver('q', { rcvSettleMode: 1 })
        if (receiver.answer.rcvSettleMode !== 1) skip('the broker does not grant rcv-settle-mode second')
        receiver.credit(1)
        const { deliveryId, transfer } = await receiver.next()
        if (transfer.settled === true) skip('the broker sends settled')
        receiver.settle(deliveryId, { kind: 'accepted' }, { settled: false })
        const { settled } = await session.nextThat(
          'disposition',
          'the settlement',
          (disposition) => disposition.role === false && covers(disposition, deliveryId),
        )
        mustEqual(settled, true, 'the flag settled of disposition')
      },
      mutants: [
        noDispositions,
        changes('does not settle', 'disposition', (disposition) => (disposition.role === false ? { ...disposition, settled: false } : undefined)),
      ],
    },
    {
      id: 'AMQP-2.6.12-g',
      level: 'must',
      says: 'Delivery ids are serial numbers: they go on after 4294967295 with 0.',
      how: 'A sender whose ids begin at 4294967294: four messages are accepted by these.',
      async run(trial) {
        const session = await begun(trial)
        session.startAt(0xfffffffe)
        await (await session.sender('q')).deliver(...'abcd'.split('').map((each) => message(each)))
      },
      mutants: [
        noDispositions,
        edits('counts deliveries by itself', () => () => {
          let next = 0
          return { toClient: (piece) => (piece.kind === 'disposition' ? { ...piece, first: next, last: next++ } : undefined) }
        }),
      ],
    },
    {
      id: 'AMQP-2.6.13-a',
      level: 'must',
      says: 'A transfer that resumes a delivery of which the broker knows nothing is ignored.',
      how: 'A transfer with the flag resume on a new link, then a message.',
      async run(trial) {
        const session = await begun(trial)
        const sender = await session.sender('q')
        await sender.credit()
        sender.transfer(message('resumed'), { resume: true, settled: true })
        await sender.deliver(message('new'))
        const receiver = await session.receiver('q')
        receiver.credit(2)
        mustEqual(textOfBody((await receiver.next()).payload), 'new', 'the body of the first message that came')
        await receiver.nothing('one message was sent')
      },
      mutants: [sees('takes a resumed delivery for a new one', 'transfer', (transfer) => ({ ...transfer, resume: false }))],
    },
    {
      id: 'AMQP-2.6.14-a',
      level: 'must',
      says: 'A message may come in several transfers: it is the bytes of all.',
      how: 'A message in transfers of 100 bytes.',
      async run(trial) {
        const session = await begun(trial)
        const sender = await session.sender('q')
        await sender.credit()
        const id = sender.transferInParts(message('0123456789'.repeat(200)), 100)
        mustEqual((await sender.outcome(id)).state?.kind, 'accepted', 'the outcome')
        const receiver = await session.receiver('q')
        receiver.credit(1)
        mustEqual(textOfBody((await receiver.next()).payload), '0123456789'.repeat(200), 'the body of the message')
      },
      mutants: [
        edits('takes the first transfer for the message', () => () => {
          let before = 0
          return { toBroker: (piece) => (piece.kind === 'transfer' ? (before++ === 0 ? { ...piece, more: false } : 'drop') : undefined) }
        }),
        edits('loses a transfer', () => () => {
          let before = 0
          return { toBroker: (piece) => (piece.kind === 'transfer' && before++ === 3 ? 'drop' : undefined) }
        }),
      ],
    },
    {
      id: 'AMQP-2.6.14-b',
      level: 'must',
      says: 'Transfers of messages on different links may be interleaved.',
      how: 'Two messages on two links, transfer by transfer in turn.',
      async run(trial) {
        const session = await begun(trial)
        const [one, other] = [await session.sender('a'), await session.sender('b')]
        await one.credit()
        await other.credit()
        const parts = (link: typeof one, byte: number): (() => void)[] => {
          const bytes = large(byte)
          const deliveryId = session.nextDeliveryId()
          return [0, 1000, 2000, 3000].map((at) => () => {
            const first = at === 0 ? { deliveryId, deliveryTag: Buffer.of(byte), messageFormat: 0 } : {}
            session.transfer(
              { kind: 'transfer', handle: link.handle, ...first, more: at < 3000 },
              bytes.subarray(at, at < 3000 ? at + 1000 : undefined),
            )
          })
        }
        const [first, second] = [parts(one, 1), parts(other, 2)]
        for (const [at, send] of first.entries()) {
          send()
          second[at]?.()
        }
        for (const [word, byte] of [
          ['a', 1],
          ['b', 2],
        ] as const) {
          const receiver = await session.receiver(word)
          receiver.credit(1)
          const body = sectionOf((await receiver.next()).payload, 'data')
          mustBe(body !== undefined && body.bytes.equals(large(byte)), 'a message came with other bytes than it was sent with')
        }
      },
      mutants: [
        edits('mixes links up', () => () => {
          let first: number | undefined
          return {
            toBroker: (piece) => {
              if (piece.kind !== 'transfer') return undefined
              first ??= piece.handle ?? 0
              return piece.deliveryId === undefined ? { ...piece, handle: first } : undefined
            },
          }
        }),
      ],
    },
    {
      id: 'AMQP-2.6.14-c',
      level: 'must',
      says: 'A delivery that is aborted is forgotten, with all that had come of it.',
      how: 'Two transfers of a message and one that aborts; then another message.',
      async run(trial) {
        const session = await begun(trial)
        const sender = await session.sender('q')
        await sender.credit()
        const bytes = message('aborted')
        const deliveryId = sender.transfer(bytes.subarray(0, 4), { more: true })
        session.transfer({ kind: 'transfer', handle: sender.handle, deliveryId, more: true }, bytes.subarray(4, 8))
        session.transfer({ kind: 'transfer', handle: sender.handle, deliveryId, aborted: true }, bytes.subarray(8))
        await sender.deliver(message('whole'))
        const receiver = await session.receiver('q')
        receiver.credit(2)
        mustEqual(textOfBody((await receiver.next()).payload), 'whole', 'the body of the message')
        await receiver.nothing('the other delivery was aborted')
      },
      mutants: [sees('does not know aborted', 'transfer', (transfer) => ({ ...transfer, aborted: false }))],
    },
    {
      id: 'AMQP-2.6.14-d',
      level: 'must',
      says: 'A message that is too large for a frame comes in several transfers, `more` on all but the last.',
      how: 'A message of 3000 bytes in frames of 512.',
      async run(trial) {
        await (await (await begun(trial, {}, { containerId: trial.name('other') })).sender('q')).deliver(large(5))
        const receiver = await (await begun(trial, {}, { maxFrameSize: 512 })).receiver('q')
        receiver.credit(1)
        const { payload, transfer } = await receiver.next()
        mustEqual(transfer.more, true, 'the flag more of the first transfer')
        mustBe(sectionOf(payload, 'data')?.bytes.equals(large(5)) === true, 'the message came with other bytes than it was sent with')
      },
      mutants: [
        changes('forgets more', 'transfer', (transfer) => ({ ...transfer, more: false })),
        changes('says more on the last', 'transfer', (transfer) => ({ ...transfer, more: true })),
        edits('loses a transfer', () => () => {
          let before = 0
          return { toClient: (piece) => (piece.kind === 'transfer' && before++ === 2 ? 'drop' : undefined) }
        }),
      ],
    },
    {
      id: 'AMQP-2.6.14-e',
      level: 'must',
      says: 'The transfers of one link are not interleaved, and those that go on with a delivery name no other.',
      how: 'Three messages of 3000 bytes in frames of 512.',
      async run(trial) {
        await (await (await begun(trial, {}, { containerId: trial.name('other') })).sender('q')).deliver(large(1), large(2), large(3))
        const receiver = await (await begun(trial, {}, { maxFrameSize: 512 })).receiver('q')
        receiver.credit(3)
        for (const byte of [1, 2, 3]) {
          const first = await receiver.nextTransfer()
          const parts = [first.payload]
          for (let last = first; last.more === true; ) {
            last = await receiver.nextTransfer()
            mustBe(
              last.deliveryId === undefined || last.deliveryId === first.deliveryId,
              `delivery ${last.deliveryId} came within delivery ${first.deliveryId}`,
            )
            mustBe(
              last.deliveryTag === undefined || last.deliveryTag.equals(first.deliveryTag ?? Buffer.alloc(0)),
              'the tag of a delivery changed within it',
            )
            parts.push(last.payload)
          }
          mustBe(
            sectionOf(Buffer.concat(parts), 'data')?.bytes.equals(large(byte)) === true,
            `message ${byte} came with other bytes than it was sent with`,
          )
        }
      },
      mutants: [
        edits('counts every transfer', () => () => {
          let id = 0
          return { toClient: (piece) => (piece.kind === 'transfer' ? { ...piece, deliveryId: id++ } : undefined) }
        }),
        edits('changes the order of two transfers', () => ({ toClient }) => {
          let before = 0
          let held: (() => void) | undefined
          return {
            toClient: (piece) => {
              if (piece.kind !== 'transfer') return undefined
              if (before++ === 1) {
                held = () => toClient(piece, piece.channel, piece.payload)
                return 'drop'
              }
              const release = held
              held = undefined
              if (release === undefined) return undefined
              toClient(piece, piece.channel, piece.payload)
              release()
              return 'drop'
            },
          }
        }),
      ],
    },
  ],
}
