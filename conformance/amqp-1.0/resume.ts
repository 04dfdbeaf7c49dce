// AMQP 1.0, 2.6.13 and 3.4.6: links that are resumed, with the deliveries that were unsettled when their connection broke.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Written } from '../clients/amqp-composite.ts'
import { toValue } from '../clients/amqp-composite.ts'
import type { Chapter } from '../check.ts'
import { binary, map, type Value } from '../clients/amqp-value.ts'
import { fail, mustBe, mustEqual, skip } from '../outcome.ts'
import type { Trial } from '../trial.ts'
import { message, textOfBody } from './message.ts'
import { changes, edits, never, sees } from './mutants.ts'
import { begun, covers, queueSource, queueTarget, type Delivery, type Receiver, type Sender, type Session } from './session.ts'

/** It outlives its connection by a minute. */
const KEPT = { expiryPolicy: 'connection-close', timeout: 60 } as const

const source = (trial: Trial): Written<'source'> => queueSource(trial, 'q', KEPT)
const target = (trial: Trial): Written<'target'> => queueTarget(trial, 'q', KEPT)

/** A map of unsettled deliveries. */
const unsettled = (...entries: readonly (readonly [Buffer, Written])[]): Value =>
  map(entries.map(([tag, state]) => [binary(tag), toValue(state)] as const))

const FORGOTTEN = 'the broker does not know of the delivery that was unsettled'

const NOTHING_YET = { kind: 'received', sectionNumber: 0, sectionOffset: 0n } as const

/** The state of this tag in the broker's map; undefined: it is not in it. */
function stateOf(link: Receiver | Sender, tag: Buffer): Value | undefined {
  const { unsettled: theirs } = link.answer
  return theirs?.type === 'map' ? theirs.value.find(([key]) => key.type === 'binary' && key.value.equals(tag))?.[1] : undefined
}

/** Messages in a queue, the first of them unsettled at a receiver whose connection breaks then. */
async function broken(trial: Trial, ...texts: readonly string[]): Promise<Delivery> {
  const session = await begun(trial)
  await (await session.sender('q', { name: trial.name('filler') })).deliver(...texts.map((text) => message(text)))
  const receiver = await session.receiver('q', { source: source(trial) })
  const granted = receiver.answer.source
  if (granted?.kind !== 'source' || granted.expiryPolicy !== KEPT.expiryPolicy || (granted.timeout ?? 0) === 0)
    skip('the broker does not grant a source that outlives its connection')
  receiver.credit(1)
  const delivery = await receiver.next()
  receiver.wire.destroy()
  return delivery
}

/** Another connection of the container, as soon as the broker has noticed that the first is gone: some take one only. */
async function reconnected(trial: Trial): Promise<Session> {
  const until = performance.now() + trial.patienceMs
  for (;;) {
    try {
      return await begun(trial)
    } catch (error) {
      if (performance.now() > until) throw error
      await sleep(20)
    }
  }
}

/** The link again, on another connection of its container. */
async function resumed(trial: Trial, theirs: Value, incompleteUnsettled = false): Promise<Receiver> {
  return (await reconnected(trial)).receiver('q', { source: source(trial), unsettled: theirs, incompleteUnsettled })
}

/** Takes for a link anew what is resumed. */
const forgets = sees('forgets what was unsettled', 'attach', (attach) =>
  attach.unsettled === undefined ? undefined : { ...attach, unsettled: undefined, name: `${attach.name}-new` },
)

/** A sender with rcv-settle-mode second, whose message was accepted by the broker and not settled when the connection broke. */
async function undecided(trial: Trial): Promise<Readonly<{ tag: Buffer; options: Readonly<Record<string, unknown>> }>> {
  const options = { rcvSettleMode: 1, sndSettleMode: 0, target: target(trial) }
  const sender = await (await begun(trial)).sender('q', options)
  const granted = sender.answer.target
  if (sender.answer.rcvSettleMode !== 1) skip('the broker does not grant rcv-settle-mode second')
  if (granted?.kind !== 'target' || granted.expiryPolicy !== KEPT.expiryPolicy || (granted.timeout ?? 0) === 0)
    skip('the broker does not grant a target that outlives its connection')
  await sender.credit()
  const tag = Buffer.from('undecided')
  const { settled } = await sender.outcome(sender.transfer(message('once'), { deliveryTag: tag }))
  if (settled === true) skip('the broker settles first')
  sender.wire.destroy()
  return { tag, options }
}

/** The resumed transfer of this tag. Skips where the broker does not know of it, which is a clause of its own (2.6.13-b). */
const transferOf = async (session: Session, receiver: Receiver, tag: Buffer): Promise<Delivery> => {
  if (stateOf(receiver, tag) === undefined) skip(FORGOTTEN)
  receiver.credit(5)
  await session.sync()
  return receiver.next()
}

export const resume: Chapter = {
  title: '2.6.13 Resuming deliveries',
  clauses: [
    {
      id: 'AMQP-2.6.13-b',
      level: 'must',
      says: 'A link that is resumed is told what the broker has unsettled of it.',
      how: 'A message is unsettled when the connection breaks; the link comes back with its tag: it is in the broker’s map too.',
      async run(trial) {
        const { deliveryTag } = await broken(trial, 'x')
        const receiver = await resumed(trial, unsettled([deliveryTag, NOTHING_YET]))
        mustBe(stateOf(receiver, deliveryTag) !== undefined, 'the broker’s map has not the tag of the delivery that it had not settled')
      },
      mutants: [forgets, changes('sends an empty map', 'attach', (attach) => ({ ...attach, unsettled: map([]) }))],
    },
    {
      id: 'AMQP-2.6.13-c',
      level: 'must',
      says: 'What both consider unsettled is resumed: by a transfer with the flag resume and the same tag.',
      how: 'The same, with credit: the transfer that comes, its message, its outcome.',
      async run(trial) {
        const { deliveryTag } = await broken(trial, 'x')
        const receiver = await resumed(trial, unsettled([deliveryTag, NOTHING_YET]))
        const delivery = await transferOf(receiver.session, receiver, deliveryTag)
        mustEqual(delivery.transfer.resume, true, 'the flag resume of transfer')
        mustBe(delivery.deliveryTag.equals(deliveryTag), 'the delivery came with another tag')
        mustEqual(textOfBody(delivery.payload), 'x', 'the body of the message')
        receiver.accept(delivery)
        await receiver.detach()
        const other = await receiver.session.receiver('q', { name: trial.name('other') })
        await other.nothing('the only message was accepted')
      },
      mutants: [
        changes('does not say that it resumes', 'transfer', (transfer) => ({ ...transfer, resume: false })),
        changes('gives a new tag', 'transfer', (transfer) =>
          transfer.resume === true ? { ...transfer, deliveryTag: Buffer.from('new') } : undefined,
        ),
        never('transfer'),
      ],
    },
    {
      id: 'AMQP-3.4.6-a',
      level: 'must',
      says: 'What the receiver has decided already is resumed only to be settled: the outcome takes effect.',
      how: 'The link comes back with the tag as accepted: a resumed transfer, and the message is gone.',
      async run(trial) {
        const { deliveryTag } = await broken(trial, 'x')
        const receiver = await resumed(trial, unsettled([deliveryTag, { kind: 'accepted' }]))
        const { transfer, deliveryId } = await transferOf(receiver.session, receiver, deliveryTag)
        mustEqual(transfer.resume, true, 'the flag resume of transfer')
        mustBe(transfer.deliveryTag?.equals(deliveryTag) === true, 'the delivery came with another tag')
        if (transfer.settled !== true) receiver.settle(deliveryId, { kind: 'accepted' })
        await receiver.detach()
        const other = await receiver.session.receiver('q', { name: trial.name('other') })
        await other.nothing('the only message was accepted')
      },
      mutants: [never('transfer'), changes('does not say that it resumes', 'transfer', (transfer) => ({ ...transfer, resume: false }))],
    },
    {
      id: 'AMQP-2.6.13-d',
      level: 'must',
      says: 'What only the source considers unsettled may be sent anew, but not as resumed.',
      how: 'The link comes back with an empty map: the message comes as a new delivery.',
      async run(trial) {
        await broken(trial, 'x')
        const receiver = await resumed(trial, map([]))
        receiver.credit(1)
        const delivery = await receiver.next()
        mustBe(delivery.transfer.resume !== true, 'a delivery that the receiver does not know came as resumed')
        mustEqual(textOfBody(delivery.payload), 'x', 'the body of the message')
      },
      mutants: [changes('says that it resumes', 'transfer', (transfer) => ({ ...transfer, resume: true })), never('transfer')],
    },
    {
      id: 'AMQP-2.6.13-e',
      level: 'must',
      says: 'What only the target considers unsettled is ignored by the sender.',
      how: 'A link that names a tag that never was: nothing comes of it.',
      async run(trial) {
        const receiver = await (await begun(trial)).receiver('q', {
          source: source(trial),
          unsettled: unsettled([Buffer.from('never'), NOTHING_YET]),
        })
        mustBe(stateOf(receiver, Buffer.from('never')) === undefined, 'the broker’s map has a tag that never was')
        await receiver.nothing('there is no message')
      },
      mutants: [
        changes('repeats the client’s map', 'attach', (attach) =>
          attach.role === false ? { ...attach, unsettled: unsettled([Buffer.from('never'), NOTHING_YET]) } : undefined,
        ),
        changes('resumes what never was', 'attach', (attach) =>
          attach.role === false
            ? [
                attach,
                {
                  kind: 'transfer',
                  handle: attach.handle ?? 0,
                  deliveryId: 0,
                  deliveryTag: Buffer.from('never'),
                  messageFormat: 0,
                  resume: true,
                  aborted: true,
                },
              ]
            : undefined,
        ),
      ],
    },
    {
      id: 'AMQP-2.6.13-f',
      level: 'must',
      says: 'While a client’s map is not complete, nothing new is sent to it.',
      how: 'Two messages, the first unsettled; the link comes back with incomplete-unsettled and credit for five: the second does not come.',
      async run(trial) {
        const { deliveryTag } = await broken(trial, 'first', 'second')
        const receiver = await resumed(trial, unsettled([deliveryTag, NOTHING_YET]), true)
        receiver.credit(5)
        await receiver.session.sync()
        for (const piece of receiver.wire.inbox.unread)
          mustBe(piece.kind !== 'transfer' || piece.resume === true, 'a new delivery came though the client’s map was not complete')
      },
      mutants: [sees('takes no notice of incomplete-unsettled', 'attach', (attach) => ({ ...attach, incompleteUnsettled: undefined }))],
    },
    {
      id: 'AMQP-2.6.13-g',
      level: 'must',
      says: 'A sender that comes back is told what the broker has not settled, and by which outcome.',
      how: 'A message that the broker had accepted and not settled; the link comes back with its tag: the broker’s map has it as accepted.',
      async run(trial) {
        const { tag, options } = await undecided(trial)
        const sender = await (await reconnected(trial)).sender('q', { ...options, unsettled: unsettled([tag, NOTHING_YET]) })
        const state = stateOf(sender, tag) ?? fail('the broker’s map has not the tag of the delivery that it had not settled')
        mustBe(
          state.type === 'described' && state.descriptor.type === 'ulong' && state.descriptor.value === 0x24n,
          'the state in the broker’s map is not accepted',
        )
      },
      mutants: [
        forgets,
        changes('sends an empty map', 'attach', (attach) => ({ ...attach, unsettled: map([]) })),
        changes('has forgotten the outcome', 'attach', (attach) =>
          attach.unsettled === undefined ? undefined : { ...attach, unsettled: unsettled([Buffer.from('undecided'), NOTHING_YET]) },
        ),
      ],
    },
    {
      id: 'AMQP-2.6.13-h',
      level: 'must',
      says: 'A delivery that its sender resumes is the one that it was: the message is there once.',
      how: 'The same, resumed with its payload; then a receiver takes one message, and there is no other.',
      async run(trial) {
        const { tag, options } = await undecided(trial)
        const session = await reconnected(trial)
        const sender = await session.sender('q', { ...options, unsettled: unsettled([tag, NOTHING_YET]) })
        if (stateOf(sender, tag) === undefined) skip(FORGOTTEN)
        await sender.credit()
        const id = sender.transfer(message('once'), { deliveryTag: tag, resume: true })
        const { state } = await sender.outcome(id)
        mustEqual(state?.kind, 'accepted', 'the outcome of the resumed delivery')
        session.send({ kind: 'disposition', role: false, first: id, settled: true, state: { kind: 'accepted' } })
        const receiver = await session.receiver('q')
        receiver.credit(1)
        receiver.accept(await receiver.next())
        await receiver.nothing('the message was sent once')
      },
      mutants: [
        edits('takes a resumed delivery for a new one', () => () => ({
          toBroker: (piece) =>
            piece.kind === 'transfer' && piece.resume === true ? { ...piece, resume: false, deliveryTag: Buffer.from('another') } : undefined,
        })),
        changes('answers a resumed delivery by released', 'disposition', (disposition) =>
          covers(disposition, 0) ? { ...disposition, state: { kind: 'released' } } : undefined,
        ),
      ],
    },
  ],
}
