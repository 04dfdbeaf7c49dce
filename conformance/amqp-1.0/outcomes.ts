// AMQP 1.0, 3.3 and 3.4: states of a message at a queue, and the outcomes by which its receivers change them.
import type { Chapter } from '../check.ts'
import { map, string, symbol } from '../clients/amqp-value.ts'
import type { Written } from '../clients/amqp-composite.ts'
import { mustBe, mustEqual, notSupported } from '../outcome.ts'
import type { Trial } from '../trial.ts'
import { bareOf, entryOf, header, headerOf, message, textOfBody } from './message.ts'
import { edits, sees } from './mutants.ts'
import { begun, queueSource, type Receiver } from './session.ts'

/** A receiver that has this one message, unsettled. */
async function holding(trial: Trial, text = 'x'): Promise<Readonly<{ receiver: Receiver; deliveryId: number; payload: Buffer }>> {
  const session = await begun(trial)
  await (await session.sender('q')).deliver(message(text))
  const receiver = await session.receiver('q')
  receiver.credit(1)
  const { deliveryId, payload } = await receiver.next()
  return { receiver, deliveryId, payload }
}

/** Another link on the same queue. */
const another = (receiver: Receiver): Promise<Receiver> => receiver.session.receiver('q', { name: receiver.wire.trial.name('another') })

/** A source may list the outcomes that it takes. */
function mustTake({ answer: { source } }: Receiver, outcome: string): void {
  const { outcomes = [] } = source?.kind === 'source' ? source : {}
  if (outcomes.length > 0 && !outcomes.includes(`amqp:${outcome}:list`)) notSupported(`the outcomes of the source are ${outcomes.join(', ')}`)
}

/** The next delivery of the message to another link, after its first was settled so. */
async function after(trial: Trial, state: Written): Promise<Buffer> {
  const { receiver, deliveryId } = await holding(trial)
  mustTake(receiver, state.kind)
  receiver.settle(deliveryId, state)
  await receiver.detach()
  const next = await another(receiver)
  next.credit(1)
  return (await next.next()).payload
}

/** A broker that takes this outcome for another. */
const takesFor = (one: string, other: Written): ReturnType<typeof sees> =>
  sees(`takes ${one} for ${other.kind}`, 'disposition', (disposition) =>
    disposition.state?.kind === one ? { ...disposition, state: other } : undefined,
  )

/** A broker whose header says another number of failures. */
const counts = (deliveryCount: number): ReturnType<typeof edits> =>
  edits(`says delivery-count ${deliveryCount}`, () => ({ toClient }) => ({
    toClient: (piece) => {
      if (piece.kind !== 'transfer') return undefined
      toClient({ ...piece }, piece.channel, Buffer.concat([header({ deliveryCount }), bareOf(piece.payload)]))
      return 'drop'
    },
  }))

const deaf = sees('takes no notice of outcomes', 'disposition', () => 'drop')

export const outcomes: Chapter = {
  title: '3.3–3.4 Message states and outcomes',
  clauses: [
    {
      id: 'AMQP-3.3.1-a',
      level: 'must',
      says: 'A message that one link has acquired goes to no other.',
      how: 'One message, unsettled at the first receiver; a second one drains.',
      async run(trial) {
        const { receiver, deliveryId } = await holding(trial)
        await (await another(receiver)).nothing('the only message is acquired by another link')
        receiver.settle(deliveryId, { kind: 'accepted' })
      },
      mutants: [
        edits('shows messages to everybody', () => () => ({
          toBroker: (piece) =>
            piece.kind === 'attach' && piece.role === true && piece.source?.kind === 'source'
              ? { ...piece, source: { ...piece.source, distributionMode: 'copy' } }
              : undefined,
        })),
      ],
    },
    {
      id: 'AMQP-3.3.1-b',
      level: 'must',
      says: 'What is unsettled when its link is closed takes the source’s default outcome: released, it goes to another.',
      how: 'A receiver whose source has the default outcome released takes a message and closes.',
      async run(trial) {
        const session = await begun(trial)
        await (await session.sender('q')).deliver(message('x'))
        const receiver = await session.receiver('q', { source: queueSource(trial, 'q', { defaultOutcome: { kind: 'released' } }) })
        receiver.credit(1)
        await receiver.next()
        await receiver.detach()
        const next = await another(receiver)
        next.credit(1)
        mustEqual(textOfBody((await next.next()).payload), 'x', 'the body of the message')
      },
      mutants: [
        edits('takes for accepted what is unsettled', () => ({ toBroker }) => {
          let last: number | undefined
          return {
            toClient: (piece) => {
              if (piece.kind === 'transfer') last = piece.deliveryId ?? 0
              return undefined
            },
            toBroker: (piece) => {
              if (piece.kind === 'detach' && last !== undefined)
                toBroker({ kind: 'disposition', role: true, first: last, settled: true, state: { kind: 'accepted' } }, piece.channel)
              return undefined
            },
          }
        }),
      ],
    },
    {
      id: 'AMQP-3.3.1-c',
      level: 'must',
      says: 'What is unsettled when its connection breaks goes to another.',
      how: 'A receiver takes a message, and its socket ends.',
      async run(trial) {
        const { receiver } = await holding(trial)
        receiver.wire.destroy()
        const next = await (await begun(trial, {}, { containerId: trial.name('other') })).receiver('q')
        next.credit(1)
        mustEqual(textOfBody((await next.next()).payload), 'x', 'the body of the message')
      },
      mutants: [
        edits('takes for accepted what is unsettled', () => ({ toBroker }) => ({
          toClient: (piece) => {
            if (piece.kind === 'transfer')
              toBroker({ kind: 'disposition', role: true, first: piece.deliveryId ?? 0, settled: true, state: { kind: 'accepted' } }, 0)
            return undefined
          },
        })),
      ],
    },
    {
      id: 'AMQP-3.4.1-a',
      level: 'must',
      says: 'The state received is not terminal: the message stays where it is, and its outcome follows.',
      how: 'received, unsettled; another link drains; then accepted.',
      async run(trial) {
        const { receiver, deliveryId } = await holding(trial)
        receiver.settle(deliveryId, { kind: 'received', sectionNumber: 0, sectionOffset: 0n }, { settled: false })
        const next = await another(receiver)
        await next.nothing('the only message is acquired by another link')
        receiver.settle(deliveryId, { kind: 'accepted' })
        await receiver.detach()
        await next.nothing('the only message was accepted')
      },
      mutants: [
        sees('takes received for released', 'disposition', (disposition) =>
          disposition.state?.kind === 'received' ? { ...disposition, settled: true, state: { kind: 'released' } } : undefined,
        ),
        takesFor('accepted', { kind: 'released' }),
      ],
    },
    {
      id: 'AMQP-3.4.2-a',
      level: 'must',
      says: 'A message that was accepted is retired.',
      how: 'accepted; another link drains.',
      async run(trial) {
        const { receiver, deliveryId } = await holding(trial)
        receiver.settle(deliveryId, { kind: 'accepted' })
        await receiver.detach()
        await (await another(receiver)).nothing('the only message was accepted')
      },
      mutants: [takesFor('accepted', { kind: 'released' }), deaf],
    },
    {
      id: 'AMQP-3.4.3-a',
      level: 'must',
      says: 'A message that was rejected is retired: it is not delivered from its queue again.',
      how: 'rejected with an error; another link drains.',
      async run(trial) {
        const { receiver, deliveryId } = await holding(trial)
        receiver.settle(deliveryId, { kind: 'rejected', error: { kind: 'error', condition: 'amqp:decode-error', description: 'conformance' } })
        await receiver.detach()
        await (await another(receiver)).nothing('the only message was rejected')
      },
      mutants: [takesFor('rejected', { kind: 'released' }), deaf],
    },
    {
      id: 'AMQP-3.4.4-a',
      level: 'must',
      says: 'A message that was released is available again, to any link.',
      how: 'released; another link takes it.',
      async run(trial) {
        mustEqual(textOfBody(await after(trial, { kind: 'released' })), 'x', 'the body of the message')
      },
      mutants: [takesFor('released', { kind: 'accepted' })],
    },
    {
      id: 'AMQP-3.4.4-b',
      level: 'must',
      says: 'Release does not count as a failed delivery.',
      how: 'released; the delivery-count of the next delivery is 0.',
      async run(trial) {
        mustEqual(headerOf(await after(trial, { kind: 'released' })).deliveryCount ?? 0, 0, 'the delivery-count')
      },
      mutants: [takesFor('released', { kind: 'modified', deliveryFailed: true }), counts(1)],
    },
    {
      id: 'AMQP-3.4.4-c',
      level: 'must',
      says: 'A released message is available to the link that released it too.',
      how: 'released; the same link takes it.',
      async run(trial) {
        const { receiver, deliveryId } = await holding(trial)
        receiver.settle(deliveryId, { kind: 'released' })
        receiver.credit(1)
        mustEqual(textOfBody((await receiver.next()).payload), 'x', 'the body of the message')
      },
      mutants: [takesFor('released', { kind: 'accepted' })],
    },
    {
      id: 'AMQP-3.4.5-a',
      level: 'must',
      says: 'modified makes a message available again; with delivery-failed its delivery-count grows by one.',
      how: 'modified with delivery-failed; the delivery-count of the next delivery is 1.',
      async run(trial) {
        mustEqual(headerOf(await after(trial, { kind: 'modified', deliveryFailed: true })).deliveryCount ?? 0, 1, 'the delivery-count')
      },
      mutants: [takesFor('modified', { kind: 'released' }), takesFor('modified', { kind: 'accepted' }), counts(0), counts(2)],
    },
    {
      id: 'AMQP-3.4.5-b',
      level: 'must',
      says: 'Without delivery-failed it does not grow.',
      how: 'modified without flags.',
      async run(trial) {
        mustEqual(headerOf(await after(trial, { kind: 'modified' })).deliveryCount ?? 0, 0, 'the delivery-count')
      },
      mutants: [takesFor('modified', { kind: 'modified', deliveryFailed: true }), takesFor('modified', { kind: 'accepted' })],
    },
    {
      id: 'AMQP-3.4.5-c',
      level: 'must',
      says: 'With undeliverable-here a message does not come to that link again.',
      how: 'modified with undeliverable-here; the same link drains.',
      async run(trial) {
        const { receiver, deliveryId } = await holding(trial)
        mustTake(receiver, 'modified')
        receiver.settle(deliveryId, { kind: 'modified', undeliverableHere: true })
        await receiver.nothing('the only message is undeliverable there')
      },
      mutants: [takesFor('modified', { kind: 'modified' })],
    },
    {
      id: 'AMQP-3.4.5-d',
      level: 'must',
      says: 'The message annotations of modified are put into those of the message.',
      how: 'modified with an annotation; it is there at the next delivery.',
      async run(trial) {
        const payload = await after(trial, { kind: 'modified', messageAnnotations: map([[symbol('x-opt-conformance'), string('new')]]) })
        const value = entryOf(payload, 'messageAnnotations', 'x-opt-conformance')
        mustBe(value?.type === 'string' && value.value === 'new', 'the annotation of modified is not among those of the message')
      },
      mutants: [takesFor('modified', { kind: 'modified' })],
    },
  ],
}
