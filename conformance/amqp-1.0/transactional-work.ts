// AMQP 1.0, 4.4: posting, retiring and acquiring of messages within transactions.
import type { Chapter } from '../check.ts'
import type { Written } from '../clients/amqp-composite.ts'
import { binary, map, symbol } from '../clients/amqp-value.ts'
import type { Received } from '../clients/amqp-wire.ts'
import { fail, mustBe, mustEqual } from '../outcome.ts'
import { message, textOfBody } from './message.ts'
import { changes, condition, ignores, never, sees } from './mutants.ts'
import { begun, conditionOf, covers } from './session.ts'
import {
  another,
  deafToRetiring,
  declared,
  holding,
  mustFail,
  mustHold,
  post,
  postsAtOnce,
  retiresAtOnce,
  turnsDischarges,
  within,
} from './transaction-control.ts'

const losesWork = sees('loses what belongs to a transaction', 'transfer', (piece) =>
  piece.state?.kind === 'transactionalState' ? 'drop' : undefined,
)
const LONG = 'long '.repeat(400)

export const posting: Chapter = {
  title: '4.4.1 Transactional posting',
  clauses: [
    {
      id: 'AMQP-4.4.1-a',
      level: 'must',
      says: 'What is posted in a transaction is not available before its discharge, and is after it.',
      how: 'A message is posted in a transaction; the queue is looked into, then again after the discharge.',
      async run(trial) {
        const { session, control, txnId } = await declared(trial)
        await post(session, txnId, ['x'])
        await session.sync()
        await mustHold(trial, [])
        await control.commit(txnId)
        await mustHold(trial, ['x'])
      },
      mutants: [postsAtOnce, turnsDischarges, losesWork],
    },
    {
      id: 'AMQP-4.4.1-b',
      level: 'must',
      says: 'Of what is posted unsettled the outcome is told in a transactional state of its transaction, before the discharge is accepted.',
      how: 'A message is posted unsettled in a transaction, discharge; the dispositions that came.',
      async run(trial) {
        const { session, control, txnId } = await declared(trial)
        const sender = await session.sender('q')
        await sender.credit()
        const posted = sender.transfer(message('x'), { state: within(txnId) })
        await control.commit(txnId)
        const told = session.wire.inbox.unread.find(
          (piece): piece is Received<'disposition'> => piece.kind === 'disposition' && piece.role === true && covers(piece, posted),
        )
        const state = told?.state
        if (state?.kind !== 'transactionalState')
          return fail(`the delivery has ${state === undefined ? 'no state' : `the state ${state.kind}`} when its transaction is discharged`)
        mustBe(state.txnId?.equals(txnId) === true, 'the transactional state names another transaction')
        mustEqual(state.outcome?.kind, 'accepted', 'the outcome of the transactional state')
      },
      mutants: [
        changes('tells the outcome without its transaction', 'disposition', (piece) =>
          piece.state?.kind === 'transactionalState' ? ({ ...piece, state: { kind: 'accepted' } } as Written) : undefined,
        ),
        changes('names another transaction', 'disposition', (piece) =>
          piece.state?.kind === 'transactionalState'
            ? ({ ...piece, state: within(Buffer.from('another'), { kind: 'accepted' }) } as Written)
            : undefined,
        ),
        changes('tells no outcome', 'disposition', (piece) => (piece.state?.kind === 'transactionalState' ? 'drop' : undefined)),
      ],
    },
    {
      id: 'AMQP-4.4.1-c',
      level: 'must',
      says: 'What is posted settled is made available by the discharge only.',
      how: 'A message is posted settled in a transaction; the queue before and after the discharge.',
      async run(trial) {
        const { session, control, txnId } = await declared(trial)
        const sender = await session.sender('q')
        await sender.credit()
        sender.transfer(message('x'), { settled: true, state: within(txnId) })
        await session.sync()
        await mustHold(trial, [])
        await control.commit(txnId)
        await mustHold(trial, ['x'])
      },
      mutants: [postsAtOnce, losesWork],
    },
    {
      id: 'AMQP-4.4.1-d',
      level: 'must',
      says: 'What is posted settled is not made available if its transaction is rolled back.',
      how: 'A message is posted settled in a transaction, discharge with fail; the queue.',
      async run(trial) {
        const { session, control, txnId } = await declared(trial)
        const sender = await session.sender('q')
        await sender.credit()
        sender.transfer(message('x'), { settled: true, state: within(txnId) })
        await control.rollBack(txnId)
        await mustHold(trial, [])
      },
      mutants: [postsAtOnce, turnsDischarges],
    },
    {
      id: 'AMQP-4.4.1-e',
      level: 'must',
      says: 'A delivery in several transfers, all of one transaction, is posted by its discharge.',
      how: 'A message in transfers of 100 bytes, each with the transactional state; the queue after the discharge.',
      async run(trial) {
        const { session, control, txnId } = await declared(trial)
        const sender = await session.sender('q')
        await sender.credit()
        const payload = message(LONG)
        const deliveryId = session.nextDeliveryId()
        const first = { deliveryId, deliveryTag: sender.tag(), messageFormat: 0 }
        for (let at = 0; at < payload.length; at += 100)
          session.transfer(
            { kind: 'transfer', handle: sender.handle, ...(at === 0 ? first : {}), state: within(txnId), more: at + 100 < payload.length },
            payload.subarray(at, at + 100),
          )
        await session.sync()
        await mustHold(trial, [])
        await control.commit(txnId)
        await mustHold(trial, [LONG])
      },
      mutants: [postsAtOnce, losesWork],
    },
    {
      id: 'AMQP-4.4.1-f',
      level: 'must',
      says: 'A discharge while a delivery of its transaction is half sent ends the control link with amqp:transaction:rollback.',
      how: 'The first transfer of a message in a transaction, then discharge.',
      async run(trial) {
        const { session, control, txnId } = await declared(trial)
        const sender = await session.sender('q')
        await sender.credit()
        sender.transfer(message('x').subarray(0, 2), { state: within(txnId), more: true })
        await control.ask({ kind: 'discharge', txnId, fail: false })
        mustEqual(conditionOf((await control.link.nextDetach()).error), 'amqp:transaction:rollback', 'the condition of detach')
      },
      mutants: [never('detach'), condition('detach', 'amqp:conformance:another')],
    },
    {
      id: 'AMQP-4.4.1-g',
      level: 'must',
      says: 'What is posted on several links in one transaction happens together.',
      how: 'A message to each of two queues in one transaction; both before and after the discharge.',
      async run(trial) {
        const { session, control, txnId } = await declared(trial)
        await post(session, txnId, ['left'], 'left')
        await post(session, txnId, ['right'], 'right')
        await session.sync()
        await mustHold(trial, [], 'left')
        await control.commit(txnId)
        await mustHold(trial, ['left'], 'left')
        await mustHold(trial, ['right'], 'right')
      },
      mutants: [postsAtOnce, turnsDischarges],
    },
    {
      id: 'AMQP-4.4.1-h',
      level: 'must',
      says: 'Posting in a transaction that is not there fails.',
      how: 'A transfer in a transaction of a made-up identifier.',
      async run(trial) {
        const { session } = await declared(trial)
        const sender = await session.sender('q')
        await sender.credit()
        await mustFail(
          session,
          'a transfer in a transaction that is not there',
          sender.transfer(message('x'), { state: within(Buffer.from('none')) }),
        )
      },
      mutants: [postsAtOnce],
    },
    {
      id: 'AMQP-4.4.1-i',
      level: 'must',
      says: 'What was posted settled and cannot be processed makes the discharge fail.',
      unchecked: 'There is no message that every broker must refuse.',
    },
  ],
}

export const retiring: Chapter = {
  title: '4.4.2 Transactional retirement',
  clauses: [
    {
      id: 'AMQP-4.4.2-a',
      level: 'must',
      says: 'An outcome in a transaction is applied by its discharge.',
      how: 'A message is accepted in a transaction, discharge, the link is closed; the queue holds nothing.',
      async run(trial) {
        const { control, txnId, receiver, deliveryId } = await holding(trial)
        receiver.settle(deliveryId, within(txnId, { kind: 'accepted' }))
        await control.commit(txnId)
        await receiver.detach()
        await mustHold(trial, [])
      },
      mutants: [deafToRetiring, turnsDischarges],
    },
    {
      id: 'AMQP-4.4.2-b',
      level: 'must',
      says: 'An outcome in a transaction that is rolled back is not applied: what was settled takes the default outcome, and goes to another.',
      how: 'A message is accepted and settled in a transaction, discharge with fail, the link is closed; another gets it.',
      async run(trial) {
        const { control, txnId, receiver, deliveryId } = await holding(trial)
        receiver.settle(deliveryId, within(txnId, { kind: 'accepted' }))
        await control.rollBack(txnId)
        await receiver.detach()
        const next = await another(receiver)
        next.credit(1)
        mustEqual(textOfBody((await next.next()).payload), 'x', 'the body of the message')
      },
      mutants: [retiresAtOnce, turnsDischarges],
    },
    {
      id: 'AMQP-4.4.2-c',
      level: 'must',
      says: 'What was not settled remains acquired after a rollback, and may be settled again.',
      how: 'A message is accepted in a transaction and not settled, discharge with fail; another gets nothing; then it is accepted for good.',
      async run(trial) {
        const { session, control, txnId, receiver, deliveryId } = await holding(trial)
        receiver.settle(deliveryId, within(txnId, { kind: 'accepted' }), { settled: false })
        await control.rollBack(txnId)
        await (await another(receiver)).nothing('the only message is still acquired')
        receiver.settle(deliveryId, { kind: 'accepted' })
        await session.sync()
        await receiver.detach()
        await mustHold(trial, [])
      },
      mutants: [
        sees('settles what is not settled', 'disposition', (piece) =>
          piece.state?.kind === 'transactionalState' ? ({ ...piece, settled: true, state: { kind: 'released' } } as Written) : undefined,
        ),
        sees('hears no second disposition', 'disposition', (piece) => (piece.state?.kind === 'accepted' && piece.role === true ? 'drop' : undefined)),
      ],
    },
    {
      id: 'AMQP-4.4.2-d',
      level: 'must',
      says: 'An outcome in a transaction that is still open when the connection breaks is not applied.',
      how: 'A message is accepted in a transaction, the socket ends; another gets it.',
      async run(trial) {
        const { session, txnId, receiver, deliveryId } = await holding(trial)
        receiver.settle(deliveryId, within(txnId, { kind: 'accepted' }))
        await session.sync()
        session.wire.destroy()
        await mustHold(trial, ['x'])
      },
      mutants: [retiresAtOnce],
    },
    {
      id: 'AMQP-4.4.2-e',
      level: 'must',
      says: 'A message that is released in a transaction goes to another after the discharge.',
      how: 'A message is released in a transaction, discharge; another gets it.',
      async run(trial) {
        const { control, txnId, receiver, deliveryId } = await holding(trial)
        receiver.settle(deliveryId, within(txnId, { kind: 'released' }))
        await control.commit(txnId)
        const next = await another(receiver)
        next.credit(1)
        mustEqual(textOfBody((await next.next()).payload), 'x', 'the body of the message')
      },
      mutants: [deafToRetiring],
    },
    {
      id: 'AMQP-4.4.2-f',
      level: 'must',
      says: 'Taking from one queue and posting to another happen together.',
      how: 'A message is accepted and one posted in a transaction, discharge with fail, then the same committed; both queues.',
      async run(trial) {
        const { session, control, txnId, receiver, deliveryId } = await holding(trial)
        receiver.settle(deliveryId, within(txnId, { kind: 'accepted' }), { settled: false })
        await post(session, txnId, ['moved'], 'other')
        await control.rollBack(txnId)
        await mustHold(trial, [], 'other')
        const second = await control.declare()
        receiver.settle(deliveryId, within(second, { kind: 'accepted' }))
        await post(session, second, ['moved'], 'other')
        await control.commit(second)
        await mustHold(trial, ['moved'], 'other')
        await receiver.detach()
        await mustHold(trial, [])
      },
      mutants: [postsAtOnce, deafToRetiring, turnsDischarges],
    },
    {
      id: 'AMQP-4.4.2-g',
      level: 'must',
      says: 'An outcome in a transaction that is not there fails, and is not applied.',
      how: 'A message is accepted in a transaction of a made-up identifier: an error, and another gets the message.',
      async run(trial) {
        const { session, receiver, deliveryId } = await holding(trial)
        receiver.settle(deliveryId, within(Buffer.from('none'), { kind: 'accepted' }))
        await mustFail(session, 'a disposition in a transaction that is not there')
        session.wire.destroy()
        await mustHold(trial, ['x'])
      },
      mutants: [retiresAtOnce, deafToRetiring],
    },
    {
      id: 'AMQP-4.4.2-h',
      level: 'must',
      says: 'A delivery of one open transaction must not be retired in another.',
      unchecked: 'Only what was acquired in a transaction belongs to one, which a broker need not offer (4.4.3).',
    },
  ],
}

export const acquisition: Chapter = {
  title: '4.4.3 Transactional acquisition',
  clauses: [
    {
      id: 'AMQP-4.4.3-a',
      level: 'must',
      says: 'A link that is asked to acquire in a transaction does so, and says it in its transfers, or ends with amqp:not-implemented.',
      how: 'flow with a txn-id among its properties and credit; the transfer, or the detach.',
      async run(trial) {
        const { session, txnId } = await declared(trial)
        await (await session.sender('q')).deliver(message('x'))
        const receiver = await session.receiver('q')
        receiver.credit(1, { properties: map([[symbol('txn-id'), binary(txnId)]]) })
        const isAnswer = (piece: Received): piece is Received<'transfer' | 'detach'> =>
          (piece.kind === 'transfer' || piece.kind === 'detach') && receiver.is(piece)
        const seen = await session.wire.inbox.find(isAnswer, 'a transfer in the transaction, or detach')
        if (seen.kind === 'detach') return mustEqual(conditionOf(seen.error), 'amqp:not-implemented', 'the condition of detach')
        mustBe(seen.state?.kind === 'transactionalState' && seen.state.txnId?.equals(txnId) === true, 'the transfer names no transaction')
      },
      mutants: [
        sees('does not look at the properties of flow', 'flow', (piece) =>
          piece.properties === undefined ? undefined : ({ ...piece, properties: undefined } as Written),
        ),
      ],
    },
    {
      id: 'AMQP-4.4.3-b',
      level: 'must',
      says: 'What was acquired in a transaction shares its fate, also if it is half sent.',
      unchecked: 'A broker need not offer acquisition in transactions.',
    },
    {
      id: 'AMQP-4.4.3-c',
      level: 'must',
      says: 'A link without transactions goes on beside those with them.',
      how: 'While a transaction is open, a message is sent and received without one.',
      async run(trial) {
        const { session, control, txnId } = await declared(trial)
        await post(session, txnId, ['inside'])
        await (await session.sender('q', { name: trial.name('outside') })).deliver(message('outside'))
        const other = await begun(trial, {}, { containerId: trial.name('other') })
        const receiver = await other.receiver('q')
        receiver.credit(1)
        const { payload, deliveryId } = await receiver.next()
        mustEqual(textOfBody(payload), 'outside', 'the body of the first message')
        receiver.settle(deliveryId, { kind: 'accepted' })
        await control.commit(txnId)
        receiver.credit(1)
        mustEqual(textOfBody((await receiver.next()).payload), 'inside', 'the body of the second message')
      },
      mutants: [postsAtOnce, ignores('flow')],
    },
  ],
}
