// AMQP 1.0, 3.5: sources and targets: filters, distribution modes, outcomes, expiry.
import type { Written } from '../clients/amqp-composite.ts'
import type { Chapter } from '../check.ts'
import { described, encode, map, nothing, string, symbol, type Value } from '../clients/amqp-value.ts'
import { mustBe, mustEqual, notSupported, skip } from '../outcome.ts'
import type { Trial } from '../trial.ts'
import { type Source, sourceOf, withSource } from './dynamic.ts'
import { applicationProperties, message, textOfBody } from './message.ts'
import { changes, edits, never, sees } from './mutants.ts'
import { begun, queueSource, Receiver, receiverOf, Sender, senderOf, type Session, topicSource, topicTarget } from './session.ts'

const selector = (text: string): Value => map([[symbol('selector'), described(symbol('apache.org:selector-filter:string'), string(text))]])

const MADE_UP = map([[symbol('unknown'), described(symbol('conformance:no-such-filter'), string('x'))]])

/** Whether a filter is in force, as the broker's source says it. */
const hasFilter = ({ filter }: Source): boolean => filter !== undefined && !(filter.type === 'map' && filter.value.length === 0)

/** What the broker sees of the client's source. */
const seesSource = (says: string, change: (source: Source) => Written<'source'>): ReturnType<typeof sees> =>
  sees(says, 'attach', (attach) =>
    attach.source?.kind === 'source' && attach.role === true ? { ...attach, source: change(attach.source) } : undefined,
  )

/** A subscription of a topic that is to outlive its link. */
const durable = (trial: Trial): Written<'source'> => topicSource(trial, 'topic', { durable: 2, expiryPolicy: 'never' })

async function subscribed(trial: Trial, session: Session): Promise<Receiver> {
  const receiver = new Receiver(
    session,
    await session.attach(receiverOf(trial, 'topic', { name: trial.name('subscription'), source: durable(trial) })),
  )
  const { durable: granted = 0, expiryPolicy } = sourceOf(receiver)
  if (granted === 0 && expiryPolicy !== 'never') skip('the broker does not grant a durable source')
  return receiver
}

const publisher = async (trial: Trial, session: Session): Promise<Sender> =>
  new Sender(session, await session.attach(senderOf(trial, 'topic', { target: topicTarget(trial, 'topic') })))

export const termini: Chapter = {
  title: '3.5 Sources and targets',
  clauses: [
    {
      id: 'AMQP-3.5.1-a',
      level: 'must',
      says: 'A filter that is in force lets through what it accepts, and nothing else.',
      how: 'A selector on an application property; two messages, of which one fits.',
      async run(trial) {
        const session = await begun(trial)
        const colour = (value: string): Buffer => message(value, applicationProperties([[string('colour'), string(value)]]))
        await (await session.sender('q')).deliver(colour('red'), colour('blue'))
        const madeUp = receiverOf(trial, 'q', { name: trial.name('made-up'), source: queueSource(trial, 'q', { filter: MADE_UP }) })
        const { handle, answer } = await session.attach(madeUp)
        // What it says is in force means something only if it does not say so of every filter, which is a clause of its own (3.5.3-a).
        if (answer.source?.kind === 'source' && hasFilter(answer.source)) skip('the broker says of any filter that it is in force')
        session.send({ kind: 'detach', handle, closed: true })
        const receiver = await session.receiver('q', { source: queueSource(trial, 'q', { filter: selector("colour = 'blue'") }) })
        if (!hasFilter(sourceOf(receiver))) notSupported('the answer has no filter: selectors are not in force')
        receiver.credit(2)
        const delivery = await receiver.next()
        mustEqual(textOfBody(delivery.payload), 'blue', 'the body of the message that came')
        receiver.accept(delivery)
        await receiver.nothing('the other message does not fit')
      },
      mutants: [
        edits('says that a filter is in force and uses none', () => {
          return () => {
            let filter: Value | undefined
            return {
              toBroker: (piece) => {
                if (piece.kind !== 'attach' || piece.source?.kind !== 'source' || piece.source.filter === undefined) return undefined
                if (encode(piece.source.filter).equals(encode(MADE_UP))) return undefined
                filter = piece.source.filter
                return { ...piece, source: { ...piece.source, filter: undefined } }
              },
              toClient: (piece) =>
                piece.kind === 'attach' && piece.source?.kind === 'source' && piece.role === false && filter !== undefined
                  ? { ...piece, source: { ...piece.source, filter } }
                  : undefined,
            }
          }
        }),
      ],
    },
    {
      id: 'AMQP-3.5.3-a',
      level: 'must',
      says: 'The broker’s attach has the filters that are in force: one that it does not know is not among them.',
      how: 'A source with a filter that nobody has.',
      async run(trial) {
        const session = await begun(trial)
        const { answer } = await session.attach(receiverOf(trial, 'q', { source: queueSource(trial, 'q', { filter: MADE_UP }) }))
        const { source } = answer
        if (source === undefined) return
        mustBe(source.kind === 'source' && !hasFilter(source), 'a filter that does not exist is said to be in force')
      },
      mutants: [withSource('says that any filter is in force', (source) => ({ ...source, filter: map([[symbol('unknown'), string('x')]]) }))],
    },
    {
      id: 'AMQP-3.5.8-a',
      level: 'must',
      says: 'A filter whose value is null is none.',
      how: 'A source with the filter null; a message comes.',
      async run(trial) {
        const session = await begun(trial)
        await (await session.sender('q')).deliver(message('x'))
        const receiver = await session.receiver('q', { source: queueSource(trial, 'q', { filter: map([[symbol('selector'), nothing]]) }) })
        receiver.credit(1)
        mustEqual(textOfBody((await receiver.next()).payload), 'x', 'the body of the message')
      },
      mutants: [never('transfer'), sees('takes null for a filter that nothing passes', 'flow', () => 'drop')],
    },
    {
      id: 'AMQP-3.5.2-a',
      level: 'must',
      says: 'What is received by copy stays for others.',
      how: 'A source with distribution-mode copy, granted; what it has shown is taken by another link.',
      async run(trial) {
        const session = await begun(trial)
        await (await session.sender('q')).deliver(message('x'))
        const copy = await session.receiver('q', { name: trial.name('copy'), source: queueSource(trial, 'q', { distributionMode: 'copy' }) })
        if (sourceOf(copy).distributionMode !== 'copy') notSupported('distribution-mode copy is not granted')
        copy.credit(1)
        const delivery = await copy.next()
        mustEqual(textOfBody(delivery.payload), 'x', 'the body of the message')
        copy.accept(delivery)
        await copy.detach()
        const receiver = await session.receiver('q')
        receiver.credit(1)
        mustEqual(textOfBody((await receiver.next()).payload), 'x', 'the body of the message')
      },
      mutants: [
        edits('says copy and moves', () => () => {
          let asked = false
          return {
            toBroker: (piece) => {
              if (piece.kind !== 'attach' || piece.source?.kind !== 'source' || piece.source.distributionMode !== 'copy') return undefined
              asked = true
              return { ...piece, source: { ...piece.source, distributionMode: 'move' } }
            },
            toClient: (piece) =>
              asked && piece.kind === 'attach' && piece.role === false && piece.source?.kind === 'source'
                ? { ...piece, source: { ...piece.source, distributionMode: 'copy' } }
                : undefined,
          }
        }),
      ],
    },
    {
      id: 'AMQP-3.5.2-b',
      level: 'must',
      says: 'What is received by move, and accepted, is there for no other link.',
      how: 'A source with distribution-mode move; another link drains.',
      async run(trial) {
        const session = await begun(trial)
        await (await session.sender('q')).deliver(message('x'))
        const receiver = await session.receiver('q', { source: queueSource(trial, 'q', { distributionMode: 'move' }) })
        receiver.credit(1)
        receiver.accept(await receiver.next())
        await receiver.detach()
        await (await session.receiver('q', { name: trial.name('other') })).nothing('the only message was moved')
      },
      mutants: [seesSource('copies instead', (source) => ({ ...source, distributionMode: 'copy' }))],
    },
    {
      id: 'AMQP-3.5.2-c',
      level: 'must',
      says: 'A link that has received a message by copy and accepted it does not receive it again.',
      how: 'distribution-mode copy, one message, accepted; the same link drains.',
      async run(trial) {
        const session = await begun(trial)
        await (await session.sender('q')).deliver(message('x'))
        const copy = await session.receiver('q', { source: queueSource(trial, 'q', { distributionMode: 'copy' }) })
        if (sourceOf(copy).distributionMode !== 'copy') notSupported('distribution-mode copy is not granted')
        copy.credit(1)
        copy.accept(await copy.next())
        await copy.nothing('the only message had been copied')
      },
      mutants: [
        edits('shows a message twice', () => ({ toClient }) => ({
          toClient: (piece) => {
            if (piece.kind === 'transfer') toClient({ ...piece }, piece.channel, piece.payload)
            return undefined
          },
        })),
      ],
    },
    {
      id: 'AMQP-3.5.3-b',
      level: 'must',
      says: 'A broker that has more than one distribution mode says which a link has.',
      how: 'A source that asks for copy; where it is granted, one that asks for nothing must be told its mode too.',
      async run(trial) {
        const session = await begun(trial)
        const copy = await session.receiver('q', { name: trial.name('copy'), source: queueSource(trial, 'q', { distributionMode: 'copy' }) })
        if (sourceOf(copy).distributionMode !== 'copy') skip('the broker has one distribution mode')
        mustBe(
          sourceOf(await session.receiver('q')).distributionMode !== undefined,
          'the source of a link that asked for no distribution-mode has none',
        )
      },
      mutants: [
        withSource('says the mode only to those who ask for copy', (source) => ({
          ...source,
          distributionMode: source.distributionMode === 'copy' ? 'copy' : undefined,
        })),
      ],
    },
    {
      id: 'AMQP-3.5.3-c',
      level: 'must',
      says: 'What is settled without a state takes the source’s default outcome: accepted.',
      how: 'A source with default-outcome accepted, granted; a message settled without a state does not come again.',
      async run(trial) {
        const receiver = await withDefault(trial, 'accepted')
        await (await receiver.session.receiver('q', { name: trial.name('other') })).nothing('the only message was accepted by default')
      },
      mutants: [
        sees('takes what has no state for released', 'disposition', (disposition) =>
          disposition.state === undefined ? { ...disposition, state: { kind: 'released' } } : undefined,
        ),
      ],
    },
    {
      id: 'AMQP-3.5.3-d',
      level: 'must',
      says: 'What is settled without a state takes the source’s default outcome: released.',
      how: 'A source with default-outcome released, granted; a message settled without a state comes again.',
      async run(trial) {
        const receiver = await withDefault(trial, 'released')
        const other = await receiver.session.receiver('q', { name: trial.name('other') })
        other.credit(1)
        mustEqual(textOfBody((await other.next()).payload), 'x', 'the body of the message')
      },
      mutants: [
        sees('takes what has no state for accepted', 'disposition', (disposition) =>
          disposition.state === undefined ? { ...disposition, state: { kind: 'accepted' } } : undefined,
        ),
      ],
    },
    {
      id: 'AMQP-3.5.3-e',
      level: 'must',
      says: 'Outcomes in the broker’s source are the symbols of outcomes that exist, and its default outcome is one.',
      how: 'A source that wants all four.',
      async run(trial) {
        const wanted = ['amqp:accepted:list', 'amqp:rejected:list', 'amqp:released:list', 'amqp:modified:list']
        const { outcomes = [], defaultOutcome } = sourceOf(
          await (await begun(trial)).receiver('q', {
            source: queueSource(trial, 'q', { outcomes: wanted, defaultOutcome: { kind: 'modified', deliveryFailed: true } }),
          }),
        )
        for (const each of outcomes) mustBe(wanted.includes(each), `${each} is no outcome`)
        mustBe(
          defaultOutcome === undefined || ['accepted', 'rejected', 'released', 'modified'].includes(defaultOutcome.kind),
          `${defaultOutcome?.kind} is no outcome`,
        )
      },
      mutants: [
        withSource('makes up an outcome', (source) => ({ ...source, outcomes: ['amqp:forgotten:list'] })),
        withSource('takes received for an outcome', (source) => ({
          ...source,
          defaultOutcome: { kind: 'received', sectionNumber: 0, sectionOffset: 0n },
        })),
      ],
    },
    {
      id: 'AMQP-3.5.5-a',
      level: 'must',
      says: 'A durable source that never expires is there when its link is not: what is sent meanwhile comes at the next attach.',
      how: 'A subscription of a topic, durable and granted; detached, a message is sent, attached again.',
      async run(trial) {
        const session = await begun(trial)
        const receiver = await subscribed(trial, session)
        await receiver.detach(false)
        await (await publisher(trial, await begun(trial, {}, { containerId: trial.name('other') }))).deliver(message('meanwhile'))
        const again = await subscribed(trial, session)
        again.credit(1)
        const delivery = await again.next()
        mustEqual(textOfBody(delivery.payload), 'meanwhile', 'the body of the message')
        again.accept(delivery)
        await again.detach()
      },
      mutants: [never('transfer'), sees('closes what is detached', 'detach', (detach) => ({ ...detach, closed: true }))],
    },
    {
      id: 'AMQP-3.5.5-b',
      level: 'must',
      says: 'A link that is closed ends its source, durable or not.',
      how: 'The same, closed instead of detached: what is sent meanwhile does not come.',
      async run(trial) {
        const session = await begun(trial)
        await (await subscribed(trial, session)).detach()
        await (await publisher(trial, await begun(trial, {}, { containerId: trial.name('other') }))).deliver(message('meanwhile'))
        const again = await subscribed(trial, session)
        await again.nothing('the subscription had been closed')
        await again.detach()
      },
      mutants: [sees('detaches what is closed', 'detach', (detach) => ({ ...detach, closed: false }))],
    },
    {
      id: 'AMQP-2.6.3-f',
      level: 'must',
      says: 'A link is recovered by its name: an attach without a source is answered by the source that is there.',
      how: 'A durable subscription, detached; attach of its name with a null source.',
      async run(trial) {
        const session = await begun(trial)
        await (await subscribed(trial, session)).detach(false)
        const { handle, answer } = await session.attach(receiverOf(trial, 'topic', { name: trial.name('subscription'), source: undefined }))
        mustBe(answer.source?.kind === 'source', 'the answer has no source')
        session.send({ kind: 'detach', handle, closed: true })
      },
      mutants: [
        changes('forgets the source', 'attach', (attach) => ({ ...attach, source: undefined })),
        sees('closes what is detached', 'detach', (detach) => ({ ...detach, closed: true })),
      ],
    },
    {
      id: 'AMQP-2.6.3-g',
      level: 'must',
      says: 'Where there is nothing to recover, the answer has no source, and the link is detached.',
      how: 'Attach of a name that was never there, with a null source.',
      async run(trial) {
        const session = await begun(trial)
        const { answer } = await session.attach(receiverOf(trial, 'q', { name: trial.name('never'), source: undefined }))
        mustBe(answer.source === undefined, 'the answer has a source')
        await session.nextThat('detach', 'detach', ({ handle }) => handle === (answer.handle ?? 0))
      },
      mutants: [
        changes('makes up a source', 'attach', (attach) => ({ ...attach, source: { kind: 'source', address: string('made-up') } })),
        never('detach'),
      ],
    },
    {
      id: 'AMQP-3.5.6-a',
      level: 'must',
      says: 'A source whose expiry policy is link-detach is gone at once when its link is detached.',
      how: 'A subscription of a topic with link-detach and no timeout; detached, a message is sent, attached again: nothing comes.',
      async run(trial) {
        const session = await begun(trial)
        const source = topicSource(trial, 'topic', { expiryPolicy: 'link-detach', timeout: 0 })
        await (await session.receiver('topic', { source })).detach(false)
        await (await publisher(trial, await begun(trial, {}, { containerId: trial.name('other') }))).deliver(message('meanwhile'))
        await (await session.receiver('topic', { source })).nothing('the subscription had expired')
      },
      mutants: [seesSource('never lets a source expire', (source) => ({ ...source, durable: 2, expiryPolicy: 'never' }))],
    },
    {
      id: 'AMQP-3.5.6-b',
      level: 'must',
      says: 'The broker’s terminus has an expiry policy that exists.',
      how: 'A receiver for each of the four.',
      async run(trial) {
        const session = await begun(trial)
        for (const expiryPolicy of ['link-detach', 'session-end', 'connection-close', 'never']) {
          const { expiryPolicy: granted = 'session-end' } = sourceOf(
            await session.receiver(`q-${expiryPolicy}`, { source: queueSource(trial, 'q', { expiryPolicy }) }),
          )
          mustBe(['link-detach', 'session-end', 'connection-close', 'never'].includes(granted), `${granted} is no expiry policy`)
        }
      },
      mutants: [withSource('makes up a policy', (source) => ({ ...source, expiryPolicy: 'tomorrow' }))],
    },
    {
      id: 'AMQP-3.5.4-b',
      level: 'should',
      says: 'Capabilities of a terminus that are unknown are no reason to refuse it, and are not said to be there.',
      how: 'A source with a capability that nobody has.',
      async run(trial) {
        const { capabilities = [] } = sourceOf(
          await (await begun(trial)).receiver('q', { source: queueSource(trial, 'q', { capabilities: ['queue', 'conformance:none'] }) }),
        )
        mustBe(!capabilities.includes('conformance:none'), 'a capability that does not exist is said to be there')
      },
      mutants: [withSource('says whatever is asked', (source) => ({ ...source, capabilities: ['queue', 'conformance:none'] }))],
    },
  ],
}

/** A message that a receiver settled without a state, on a link whose source has this default outcome; the link is closed. */
async function withDefault(trial: Trial, outcome: 'accepted' | 'released'): Promise<Receiver> {
  const session = await begun(trial)
  await (await session.sender('q')).deliver(message('x'))
  const receiver = await session.receiver('q', {
    source: queueSource(trial, 'q', { defaultOutcome: { kind: outcome }, outcomes: ['amqp:accepted:list', 'amqp:released:list'] }),
  })
  if (sourceOf(receiver).defaultOutcome?.kind !== outcome) skip(`the broker does not grant the default outcome ${outcome}`)
  receiver.credit(1)
  receiver.settle((await receiver.next()).deliveryId, undefined)
  await receiver.detach()
  return receiver
}
