// AMQP 1.0, 2.6.7 to 2.6.10 with flow (2.7.4): credit, drain, echo.
import type { Chapter } from '../check.ts'
import { frame } from '../clients/amqp-framing.ts'
import { toValue } from '../clients/amqp-composite.ts'
import { mustBe, mustEqual, skip } from '../outcome.ts'
import { message, textOfBody } from './message.ts'
import { changes, edits, never, sees } from './mutants.ts'
import { endsOn, refusing } from './refusals.ts'
import { begun, conditionOf, opened, type Receiver, receiverOf, type Session } from './session.ts'
import type { Trial } from '../trial.ts'

/** A session with a receiver of a queue in which so many messages are. */
async function stocked(trial: Trial, count: number): Promise<Readonly<{ session: Session; receiver: Receiver }>> {
  const session = await begun(trial)
  const sender = await session.sender('q')
  await sender.deliver(...Array.from({ length: count }, (_, at) => message(`${at}`)))
  return { session, receiver: await session.receiver('q') }
}

/** Fails if a transfer has come and was not read, after something else has been asked and answered. */
async function noMore(session: Session, why: string): Promise<void> {
  await session.sync()
  const unread = session.wire.inbox.unread.filter(({ kind }) => kind === 'transfer').length
  mustBe(unread === 0, `${unread} transfers came where ${why}`)
}

/** A broker that takes every credit for a thousand. */
const generous = sees('gives what it was not asked for', 'flow', (flow) => ((flow.linkCredit ?? 0) > 0 ? { ...flow, linkCredit: 1000 } : undefined))

const noTransfers = never('transfer')

export const flow: Chapter = {
  title: '2.6.7–2.6.10 Flow control',
  clauses: [
    {
      id: 'AMQP-2.6.7-a',
      level: 'must',
      says: 'Credit is nothing until the receiver gives it: no message comes by the attach alone.',
      how: 'A receiver on a queue with a message, and no flow.',
      async run(trial) {
        const { session, receiver } = await stocked(trial, 1)
        await noMore(session, 'no credit was given')
        receiver.credit(1)
        await receiver.next()
      },
      mutants: [
        noTransfers,
        edits('gives every link a credit of ten', () => ({ toBroker }) => ({
          toClient: (piece) => {
            if (piece.kind === 'attach' && piece.role === false)
              toBroker(
                { kind: 'flow', nextIncomingId: 0, handle: piece.handle ?? 0, deliveryCount: piece.initialDeliveryCount ?? 0, linkCredit: 10 },
                0,
              )
            return undefined
          },
        })),
      ],
    },
    {
      id: 'AMQP-2.6.7-b',
      level: 'must',
      says: 'No more messages come than there is credit for.',
      how: 'Five messages, credit for two.',
      async run(trial) {
        const { session, receiver } = await stocked(trial, 5)
        receiver.credit(2)
        await receiver.next()
        await receiver.next()
        await noMore(session, 'credit was two and two had come')
      },
      mutants: [generous, noTransfers],
    },
    {
      id: 'AMQP-2.6.7-c',
      level: 'must',
      says: 'The limit is the receiver’s delivery-count and its credit together: a flow that was sent before a delivery was seen gives no more.',
      how: 'Three messages, credit for two, and again credit for two by the delivery-count from before.',
      async run(trial) {
        const { session, receiver } = await stocked(trial, 3)
        const before = receiver.deliveryCount
        receiver.credit(2)
        await receiver.next()
        await receiver.next()
        receiver.credit(2, { deliveryCount: before })
        await noMore(session, 'the delivery-count of the flow was that from before')
      },
      mutants: [
        edits('adds up credit', () => () => {
          let flows = 0
          return {
            toBroker: (piece) =>
              piece.kind === 'flow' && piece.linkCredit === 2 ? { ...piece, deliveryCount: (piece.deliveryCount ?? 0) + 2 * flows++ } : undefined,
          }
        }),
      ],
    },
    {
      id: 'AMQP-2.6.7-d',
      level: 'must',
      says: 'Each flow sets the credit anew: with the delivery-count of now it gives as many as it says.',
      how: 'Three messages, credit for one, three times.',
      async run(trial) {
        const { receiver } = await stocked(trial, 3)
        for (const text of ['0', '1', '2']) {
          receiver.credit(1)
          mustEqual(textOfBody((await receiver.next()).payload), text, 'the body of the message')
        }
      },
      mutants: [
        edits('takes credit once', () => () => {
          let flows = 0
          return { toBroker: (piece) => (piece.kind === 'flow' && flows++ > 0 ? 'drop' : undefined) }
        }),
      ],
    },
    {
      id: 'AMQP-2.6.7-e',
      level: 'must',
      says: 'A flow without delivery-count counts from where the sender began.',
      how: 'Attach and flow without delivery-count in one write, with credit for one.',
      async run(trial) {
        await stocked(trial, 2)
        const wire = await opened(trial, { containerId: trial.name('other') })
        const attach = { ...receiverOf(trial, 'q'), handle: 0, name: trial.name('pipelined') }
        const credit = { kind: 'flow', nextIncomingId: undefined, handle: 0, deliveryCount: undefined, linkCredit: 1 } as const
        wire.send(Buffer.concat([{ kind: 'begin' } as const, attach, credit].map((each) => frame(toValue(each)))))
        await wire.next('transfer')
        wire.send({ ...receiverOf(trial, 'other'), handle: 1 })
        await wire.next('attach')
        await wire.next('attach')
        mustBe(!wire.inbox.unread.some(({ kind }) => kind === 'transfer'), 'a second transfer came where credit was one')
      },
      mutants: [generous, sees('wants a delivery-count', 'flow', (piece) => (piece.deliveryCount === undefined ? 'drop' : undefined))],
    },
    {
      id: 'AMQP-2.6.7-f',
      level: 'must',
      says: 'With drain the sender sends what it has, uses the rest of the credit up by its delivery-count, and says so by a flow.',
      how: 'Two messages, credit for ten with drain.',
      async run(trial) {
        const { session, receiver } = await stocked(trial, 2)
        const limit = (receiver.deliveryCount + 10) >>> 0
        receiver.credit(10, { drain: true })
        await receiver.next()
        await receiver.next()
        const { linkCredit } = await receiver.nextFlow('the flow that uses the credit up', ({ deliveryCount }) => deliveryCount === limit)
        mustEqual(linkCredit ?? 0, 0, 'the link-credit of the flow')
        await (await session.sender('q', { name: trial.name('late') })).deliver(message('late'))
        await noMore(session, 'the credit was used up by drain')
      },
      mutants: [
        never('flow'),
        changes('keeps its delivery-count', 'flow', (piece) => (piece.drain === true ? { ...piece, deliveryCount: 2 } : undefined)),
        changes('keeps its credit', 'flow', (piece) => (piece.drain === true ? { ...piece, linkCredit: 8 } : undefined)),
        noTransfers,
        sees('knows no drain', 'flow', (piece) => ({ ...piece, drain: false })),
      ],
    },
    {
      id: 'AMQP-2.6.7-g',
      level: 'must',
      says: 'Drain of a queue without messages ends at once.',
      how: 'An empty queue, credit for five with drain.',
      async run(trial) {
        const receiver = await (await begun(trial)).receiver('q')
        const limit = (receiver.deliveryCount + 5) >>> 0
        receiver.credit(5, { drain: true })
        const { linkCredit } = await receiver.nextFlow('the flow that uses the credit up', ({ deliveryCount }) => deliveryCount === limit)
        mustEqual(linkCredit ?? 0, 0, 'the link-credit of the flow')
      },
      mutants: [never('flow'), changes('keeps its credit', 'flow', (piece) => ({ ...piece, deliveryCount: 0, linkCredit: 5 }))],
    },
    {
      id: 'AMQP-2.6.7-h',
      level: 'must',
      says: 'The drain flag is what the receiver last said: after it, credit without drain waits for messages.',
      how: 'Drain, then credit for one, then a message.',
      async run(trial) {
        const session = await begun(trial)
        const receiver = await session.receiver('q')
        await receiver.drain(5)
        receiver.credit(1)
        await (await session.sender('q')).deliver(message('late'))
        mustEqual(textOfBody((await receiver.next()).payload), 'late', 'the body of the message')
      },
      mutants: [
        edits('drains for ever', () => () => {
          let draining = false
          return {
            toBroker: (piece) => {
              if (piece.kind !== 'flow') return undefined
              draining ||= piece.drain === true
              return { ...piece, drain: draining }
            },
          }
        }),
      ],
    },
    {
      id: 'AMQP-2.6.7-i',
      level: 'must',
      says: 'The delivery-count is a serial number: it goes on after 4294967295 with 0.',
      how: 'A sender with initial-delivery-count 4294967294: the broker’s credit counts from there, and four messages are accepted.',
      async run(trial) {
        const sender = await (await begun(trial)).sender('q', { initialDeliveryCount: 0xfffffffe })
        // One without is a fault of its own (2.7.4-f).
        const { deliveryCount = 0xfffffffe, linkCredit = 0 } = await sender.nextFlow('credit')
        mustEqual(deliveryCount, 0xfffffffe, 'the delivery-count of the first flow')
        if (linkCredit < 4) skip(`the broker’s credit is ${linkCredit}`)
        for (const text of ['a', 'b', 'c', 'd']) {
          const { state } = await sender.outcome(sender.transfer(message(text)))
          mustEqual(state?.kind, 'accepted', 'the outcome')
        }
      },
      mutants: [changes('counts from zero', 'flow', (piece) => ({ ...piece, deliveryCount: 0 })), never('disposition')],
    },
    {
      id: 'AMQP-2.6.7-j',
      level: 'must',
      says: 'A sender that goes beyond the limit breaks it: its link ends with transfer-limit-exceeded.',
      how: 'One transfer more than the broker’s credit, all in one write; skipped where the broker has given more meanwhile.',
      async run(trial) {
        const session = await begun(trial)
        const sender = await session.sender('q')
        const credit = await sender.credit()
        if (credit > 2000) skip(`the broker’s credit is ${credit}`)
        const payload = message('x')
        const transfers = Array.from({ length: credit + 1 }, (_, at) => {
          const transfer = {
            kind: 'transfer',
            handle: sender.handle,
            deliveryId: at,
            deliveryTag: sender.tag(),
            messageFormat: 0,
            settled: true,
          } as const
          return frame(toValue(transfer), { channel: session.channel, payload })
        })
        session.wire.send(Buffer.concat(transfers))
        for (;;) {
          const piece = await session.wire.nextOf('detach', 'flow')
          if (!sender.is(piece)) continue
          if (piece.kind === 'detach') {
            mustEqual(conditionOf(piece.error), 'amqp:link:transfer-limit-exceeded', 'the condition of detach')
            return
          }
          if ((piece.deliveryCount ?? 0) + (piece.linkCredit ?? 0) <= credit) continue
          // Unless the link has ended by then all the same: the flow was on its way.
          await session.sync()
          const ended = session.wire.inbox.unread.some((each) => each.kind === 'detach' && sender.is(each))
          if (!ended) skip('the broker gave more credit while the transfers came')
        }
      },
      mutants: refusing('detach', ['amqp:link:transfer-limit-exceeded']),
    },
    {
      id: 'AMQP-2.6.10-a',
      level: 'must',
      says: 'Credit of zero stops a link.',
      how: 'Credit for ten on an empty queue, then zero, then two messages.',
      async run(trial) {
        const session = await begun(trial)
        const receiver = await session.receiver('q')
        receiver.credit(10)
        receiver.credit(0)
        await session.sync()
        await (await session.sender('q')).deliver(message('a'), message('b'))
        await noMore(session, 'credit had been taken back')
        receiver.credit(2)
        await receiver.next()
        await receiver.next()
      },
      mutants: [sees('takes no credit back', 'flow', (piece) => (piece.linkCredit === 0 ? 'drop' : undefined)), noTransfers],
    },
    {
      id: 'AMQP-2.6.10-b',
      level: 'should',
      says: 'A flow of a link that asks for an echo is answered by the state of the link.',
      how: 'Credit for three with echo on an empty queue.',
      async run(trial) {
        const receiver = await (await begun(trial)).receiver('q')
        receiver.credit(3, { echo: true })
        const { linkCredit, deliveryCount } = await receiver.nextFlow('the echo')
        mustEqual(linkCredit, 3, 'the link-credit of the echo')
        mustEqual(deliveryCount, receiver.deliveryCount, 'the delivery-count of the echo')
      },
      mutants: [never('flow'), changes('forgets the credit', 'flow', (piece) => ({ ...piece, linkCredit: 0 }))],
    },
    {
      id: 'AMQP-2.7.4-a',
      level: 'should',
      says: 'A flow of a session that asks for an echo is answered by the state of the session.',
      how: 'A flow without a handle, with echo.',
      async run(trial) {
        const session = await begun(trial)
        session.flow({ echo: true })
        const { nextIncomingId, nextOutgoingId } = await session.nextSessionFlow()
        mustEqual(nextIncomingId, 0, 'the next-incoming-id of the echo')
        mustEqual(nextOutgoingId, session.begin.nextOutgoingId ?? 0, 'the next-outgoing-id of the echo')
      },
      mutants: [never('flow'), changes('says a wrong number', 'flow', (piece) => ({ ...piece, nextIncomingId: 5 }))],
    },
    {
      id: 'AMQP-2.7.4-b',
      level: 'must',
      says: 'A flow without a handle has no state of a link: neither delivery-count nor link-credit, available or drain.',
      how: 'Whatever flows of the session come in answer to an echo.',
      async run(trial) {
        const session = await begun(trial)
        const receiver = await session.receiver('q')
        session.flow({ echo: true })
        receiver.credit(1, { drain: true })
        const flows = [await session.wire.next('flow')]
        if (flows[0]?.handle === undefined) await receiver.nextFlow()
        for (const piece of session.wire.inbox.unread) if (piece.kind === 'flow') flows.push(piece)
        for (const { handle, deliveryCount, linkCredit, available, drain } of flows)
          if (handle === undefined)
            mustBe(
              deliveryCount === undefined && linkCredit === undefined && available === undefined && drain !== true,
              'a flow of the session has the state of a link',
            )
      },
      mutants: [changes('says a credit of the session', 'flow', (piece) => (piece.handle === undefined ? { ...piece, linkCredit: 7 } : undefined))],
    },
    {
      id: 'AMQP-2.7.4-c',
      level: 'must',
      says: 'Where the broker sends, its flow of a link has the delivery-count, and the credit that it last heard of.',
      how: 'One message of a credit of three, and drain; the first flow of the link.',
      async run(trial) {
        const { receiver } = await stocked(trial, 1)
        receiver.credit(3, { drain: true })
        const { deliveryCount } = await receiver.nextFlow()
        mustBe(deliveryCount !== undefined, 'flow of a sending link has no delivery-count')
      },
      mutants: [never('flow'), changes('leaves out the delivery-count', 'flow', (piece) => ({ ...piece, deliveryCount: undefined }))],
    },
    {
      id: 'AMQP-2.7.4-f',
      level: 'must',
      says: 'Where the broker receives, its flow of a link has the delivery-count that it last heard of from the sender.',
      how: 'A sender with initial-delivery-count 7; the flow that gives it credit.',
      async run(trial) {
        const sender = await (await begun(trial)).sender('q', { initialDeliveryCount: 7 })
        const { deliveryCount } = await sender.nextFlow('credit')
        mustEqual(deliveryCount, 7, 'the delivery-count of the flow')
      },
      mutants: [
        changes('leaves out the delivery-count', 'flow', (piece) => ({ ...piece, deliveryCount: undefined })),
        changes('counts from zero', 'flow', (piece) => ({ ...piece, deliveryCount: 0 })),
      ],
    },
    endsOn(
      {
        id: 'AMQP-2.7.4-d',
        level: 'must',
        says: 'A flow with a handle that has no link ends the session with unattached-handle.',
        how: 'A flow with handle 9.',
      },
      (session) => session.flow({ handle: 9, deliveryCount: 0, linkCredit: 1 }),
      'amqp:session:unattached-handle',
    ),
    {
      id: 'AMQP-2.7.4-e',
      level: 'must',
      says: 'Credit of one link is not that of another.',
      how: 'Two receivers of two queues with a message each, credit for one of them.',
      async run(trial) {
        const session = await begun(trial)
        for (const word of ['a', 'b']) await (await session.sender(word)).deliver(message(word))
        const one = await session.receiver('a')
        const other = await session.receiver('b')
        other.credit(5)
        mustEqual(textOfBody((await other.next()).payload), 'b', 'the body of the message')
        await noMore(session, 'the first link had no credit')
        one.credit(1)
        mustEqual(textOfBody((await one.next()).payload), 'a', 'the body of the message')
      },
      mutants: [
        edits('gives the credit to another link', () => () => ({
          toBroker: (piece) => (piece.kind === 'flow' && piece.linkCredit === 5 ? { ...piece, handle: (piece.handle ?? 0) - 1 } : undefined),
        })),
      ],
    },
  ],
}
