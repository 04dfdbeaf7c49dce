// AMQP 1.0, part 4: 4.1 to 4.3 and 4.5, declaring and discharging of transactions. What is done in them: transactional-work.ts.
import type { Chapter, Clause } from '../check.ts'
import { map, string, symbol } from '../clients/amqp-value.ts'
import { fail, mustBe, mustEqual, skip } from '../outcome.ts'
import { annotations, header, message, properties, section } from './message.ts'
import { changes, edits, never, sees, silent } from './mutants.ts'
import { begun, conditionOf, Session } from './session.ts'
import { answersWith, Control, declared, mustFail, mustHold, post, postsAtOnce, turnsDischarges, within } from './transaction-control.ts'

const UNKNOWN = Buffer.from('no such transaction')
const rejectedWith = (condition: string) => ({ kind: 'rejected', error: { kind: 'error', condition } }) as const

/** A source that knows no rejected: what cannot be done ends the link. */
const noRejected = ['amqp:accepted:list', 'amqp:declared:list']

/** The answer to something that the coordinator cannot do: rejected with an error, or the end of the link where its source knows no rejected. */
function refused(
  id: string,
  says: string,
  how: string,
  ask: (control: Control) => Promise<number>,
  conditions: readonly string[],
  outcomes?: readonly string[],
): Clause {
  const byDetach = outcomes !== undefined
  return {
    id,
    level: 'must',
    says,
    how,
    async run(trial) {
      const control = await Control.attach(await begun(trial), outcomes)
      const deliveryId = await ask(control)
      let condition: string
      if (byDetach) condition = conditionOf((await control.link.nextDetach()).error)
      else {
        const state = await control.answer(deliveryId)
        if (state.kind !== 'rejected') fail(`it is answered by ${state.kind} where rejected was due`)
        condition = conditionOf(state.error)
      }
      mustBe(condition !== 'no error', 'no error is told')
      mustBe(conditions.length === 0 || conditions.includes(condition), `the condition is ${condition} where ${conditions.join(' or ')} was due`)
    },
    mutants: byDetach
      ? [never('detach'), silent('detach')]
      : [answersWith('accepts it', 'rejected', { kind: 'accepted' }), answersWith('gives no reason', 'rejected', { kind: 'rejected' })],
  }
}

export const transactions: Chapter = {
  title: '4.1–4.3, 4.5 Transactions: declaring and discharging',
  clauses: [
    {
      id: 'AMQP-4.1-a',
      level: 'must',
      says: 'When the control link is closed, what it declared and is not discharged is rolled back.',
      how: 'A message is posted in a transaction, the control link is closed; the queue holds nothing.',
      async run(trial) {
        const { session, control, txnId } = await declared(trial)
        await post(session, txnId, ['x'])
        await control.link.detach()
        await mustHold(trial, [])
      },
      mutants: [postsAtOnce],
    },
    {
      id: 'AMQP-4.1-b',
      level: 'must',
      says: 'Work in a transaction whose control link was closed fails.',
      how: 'The control link is closed; then a message is posted in its transaction.',
      async run(trial) {
        const { session, control, txnId } = await declared(trial)
        await control.link.detach()
        const sender = await session.sender('q')
        await sender.credit()
        await mustFail(session, 'a transfer in a transaction whose control link was closed', sender.transfer(message('x'), { state: within(txnId) }))
      },
      mutants: [postsAtOnce],
    },
    {
      id: 'AMQP-4.1-c',
      level: 'must',
      says: 'When the connection breaks, what is not discharged is rolled back.',
      how: 'A message is posted in a transaction, the socket ends; the queue holds nothing.',
      async run(trial) {
        const { session, txnId } = await declared(trial)
        await post(session, txnId, ['x'])
        await session.sync()
        session.wire.destroy()
        await mustHold(trial, [])
      },
      mutants: [postsAtOnce],
    },
    {
      id: 'AMQP-4.2-a',
      level: 'must',
      says: 'A declare is answered by declared, with the identifier of the transaction, of at most 32 octets.',
      how: 'declare on a control link.',
      async run(trial) {
        const control = await Control.attach(await begun(trial))
        const { length } = await control.declare()
        mustBe(length > 0 && length <= 32, `the txn-id has ${length} octets`)
      },
      mutants: [
        answersWith('accepts a declare', 'declared', { kind: 'accepted' }),
        answersWith('gives an identifier of 33 octets', 'declared', { kind: 'declared', txnId: Buffer.alloc(33, 'x') }),
        never('disposition'),
      ],
    },
    {
      id: 'AMQP-4.2-b',
      level: 'must',
      says: 'Each declare makes a transaction of its own.',
      how: 'Two declares on two control links; their identifiers.',
      async run(trial) {
        const one = await declared(trial)
        const two = await Control.attach(one.session)
        mustBe(!(await two.declare()).equals(one.txnId), 'both transactions have the same identifier')
      },
      mutants: [answersWith('gives the same identifier always', 'declared', { kind: 'declared', txnId: Buffer.from('one') })],
    },
    {
      id: 'AMQP-4.2-c',
      level: 'should',
      says: 'Other sections than the body of a declare are ignored.',
      how: 'declare with a header, annotations and properties.',
      async run(trial) {
        const control = await Control.attach(await begun(trial))
        const before = [
          header({ durable: true, priority: 9 }),
          annotations('messageAnnotations', [[symbol('x-opt-conformance'), string('x')]]),
          properties({ subject: 'x' }),
        ]
        mustEqual((await control.answer(await control.ask({ kind: 'declare' }, {}, before))).kind, 'declared', 'the answer to declare')
      },
      mutants: [answersWith('wants the body alone', 'declared', rejectedWith('amqp:decode-error'))],
    },
    {
      id: 'AMQP-4.2-d',
      level: 'should',
      says: 'A declare that is sent settled ends the control link with an error.',
      how: 'declare in a settled transfer.',
      async run(trial) {
        const control = await Control.attach(await begun(trial))
        await control.ask({ kind: 'declare' }, { settled: true })
        mustBe((await control.link.nextDetach()).error !== undefined, 'detach came without an error')
      },
      mutants: [never('detach'), silent('detach')],
    },
    {
      id: 'AMQP-4.2-e',
      level: 'should',
      says: 'A declare that cannot be done is refused with an error: one of a global transaction, where there are none.',
      how: 'declare with a global-id, where the coordinator says of no distributed transactions: rejected, or the end of the link, the session or the connection.',
      async run(trial) {
        const session = await begun(trial)
        const control = await Control.attach(session)
        if (control.capabilities.includes('amqp:distributed-transactions')) skip('the coordinator has distributed transactions')
        await mustFail(session, 'a declare with a global-id', await control.ask({ kind: 'declare', globalId: string('a global transaction') }))
      },
      mutants: [answersWith('declares it', 'rejected', { kind: 'declared', txnId: Buffer.from('one') })],
    },
    {
      id: 'AMQP-4.2-f',
      level: 'must',
      says: 'A declare that cannot be done ends the control link with an error, if its source knows no rejected.',
      unchecked: 'There is no declare that every coordinator must fail to do; of discharge the same is seen in AMQP-4.3-e.',
    },
    {
      id: 'AMQP-4.2-g',
      level: 'must',
      says: 'A link to a coordinator cannot be resumed.',
      unchecked: 'What a broker does with one that is resumed all the same is not said.',
    },
    {
      id: 'AMQP-4.3-a',
      level: 'must',
      says: 'After a discharge that is accepted what was posted is there, all of it and in its order.',
      how: 'Three messages are posted in a transaction, discharge; the queue.',
      async run(trial) {
        const { session, control, txnId } = await declared(trial)
        await post(session, txnId, ['one', 'two', 'three'])
        await control.commit(txnId)
        await mustHold(trial, ['one', 'two', 'three'])
      },
      mutants: [turnsDischarges, answersWith('rejects discharges', 'accepted', rejectedWith('amqp:transaction:rollback'))],
    },
    {
      id: 'AMQP-4.3-b',
      level: 'must',
      says: 'A discharge with fail is accepted, and nothing of the transaction happens.',
      how: 'Three messages are posted in a transaction, discharge with fail; the queue.',
      async run(trial) {
        const { session, control, txnId } = await declared(trial)
        await post(session, txnId, ['one', 'two', 'three'])
        await control.rollBack(txnId)
        await mustHold(trial, [])
      },
      mutants: [turnsDischarges, answersWith('rejects rollbacks', 'accepted', rejectedWith('amqp:transaction:rollback'))],
    },
    {
      id: 'AMQP-4.3-c',
      level: 'should',
      says: 'A discharge that does not say fail is one that commits.',
      how: 'A message is posted in a transaction, discharge with a txn-id alone; the queue.',
      async run(trial) {
        const { session, control, txnId } = await declared(trial)
        await post(session, txnId, ['x'])
        mustEqual((await control.answer(await control.ask({ kind: 'discharge', txnId }))).kind, 'accepted', 'the answer to discharge')
        await mustHold(trial, ['x'])
      },
      mutants: [
        answersWith('wants it said', 'accepted', rejectedWith('amqp:invalid-field')),
        sees('takes it for a rollback', 'transfer', (piece) => (piece.state?.kind === 'transactionalState' ? 'drop' : undefined)),
      ],
    },
    refused(
      'AMQP-4.3-d',
      'A discharge of a transaction that is not there is rejected with amqp:transaction:unknown-id.',
      'discharge of a made-up identifier.',
      (control) => control.ask({ kind: 'discharge', txnId: UNKNOWN, fail: false }),
      ['amqp:transaction:unknown-id'],
    ),
    refused(
      'AMQP-4.3-e',
      'A discharge that cannot be done ends the control link with an error of transactions, if its source knows no rejected.',
      'discharge of a made-up identifier on a link whose source has the outcomes accepted and declared only.',
      (control) => control.ask({ kind: 'discharge', txnId: UNKNOWN, fail: false }),
      ['amqp:transaction:unknown-id'],
      noRejected,
    ),
    {
      id: 'AMQP-4.3-f',
      level: 'must',
      says: 'A transaction that was discharged is over: it cannot be discharged again.',
      how: 'discharge twice.',
      async run(trial) {
        const { control, txnId } = await declared(trial)
        await control.commit(txnId)
        mustEqual((await control.discharge(txnId, false)).kind, 'rejected', 'the answer to the second discharge')
      },
      mutants: [answersWith('accepts it again', 'rejected', { kind: 'accepted' })],
    },
    {
      id: 'AMQP-4.3-g',
      level: 'should',
      says: 'A discharge that is sent settled ends the control link with an error.',
      how: 'discharge in a settled transfer.',
      async run(trial) {
        const { control, txnId } = await declared(trial)
        await control.ask({ kind: 'discharge', txnId, fail: false }, { settled: true })
        mustBe((await control.link.nextDetach()).error !== undefined, 'detach came without an error')
      },
      mutants: [never('detach'), silent('detach')],
    },
    {
      id: 'AMQP-4.5.1-a',
      level: 'must',
      says: 'The attach of a control link is answered with a coordinator as target.',
      how: 'The answer to attach with a coordinator as target.',
      async run(trial) {
        const { link } = await Control.attach(await begun(trial))
        mustEqual(link.answer.target?.kind, 'coordinator', 'the target of the answer')
      },
      mutants: [
        changes('answers with a node', 'attach', (piece) =>
          piece.target?.kind === 'coordinator' ? { ...piece, target: { kind: 'target', address: string('coordinator') } } : undefined,
        ),
      ],
    },
    {
      id: 'AMQP-4.5.1-b',
      level: 'should',
      says: 'The coordinator of the answer says what it can: local transactions, if it declares them.',
      how: 'The capabilities in the answer to attach.',
      async run(trial) {
        const { control } = await declared(trial)
        mustBe(control.capabilities.includes('amqp:local-transactions'), `the capabilities are ${control.capabilities.join(', ') || 'none'}`)
      },
      mutants: [
        changes('says nothing', 'attach', (piece) =>
          piece.target?.kind === 'coordinator' ? { ...piece, target: { kind: 'coordinator' } } : undefined,
        ),
      ],
    },
    {
      id: 'AMQP-4.5.7-a',
      level: 'must',
      says: 'A coordinator that says amqp:multi-txns-per-ssn keeps several transactions of a session apart.',
      how: 'Two transactions of one session with a message each; one is rolled back, the other committed.',
      async run(trial) {
        const { session, control, txnId } = await declared(trial)
        if (!control.capabilities.includes('amqp:multi-txns-per-ssn')) skip('the coordinator says of one transaction a session only')
        const second = await control.declare()
        await post(session, txnId, ['no'])
        await post(session, second, ['yes'])
        await control.rollBack(txnId)
        await control.commit(second)
        await mustHold(trial, ['yes'])
      },
      mutants: [
        postsAtOnce,
        edits('knows one transaction', () => () => {
          let known: Buffer | undefined
          return {
            toBroker: (piece) => {
              if (piece.kind !== 'transfer' || piece.state?.kind !== 'transactionalState') return undefined
              known ??= piece.state.txnId
              return { ...piece, state: { kind: 'transactionalState', ...(known === undefined ? {} : { txnId: known }) } }
            },
          }
        }),
      ],
    },
    {
      id: 'AMQP-4.5.7-b',
      level: 'must',
      says: 'A coordinator that says amqp:multi-ssns-per-txn lets other sessions of the connection work in a transaction.',
      how: 'A message is posted in a transaction on another session; the queue before and after the discharge.',
      async run(trial) {
        const { session, control, txnId } = await declared(trial)
        if (!control.capabilities.includes('amqp:multi-ssns-per-txn')) skip('the coordinator says of one session only')
        const other = await Session.begin(session.wire, {}, 1)
        await post(other, txnId, ['x'])
        await other.sync()
        await mustHold(trial, [])
        await control.commit(txnId)
        await mustHold(trial, ['x'])
      },
      mutants: [
        postsAtOnce,
        sees('takes no work of another session', 'transfer', (piece) => (piece.state?.kind === 'transactionalState' ? 'drop' : undefined)),
      ],
    },
    {
      id: 'AMQP-4.5.8-a',
      level: 'must',
      says: 'A transaction that took too long is ended with amqp:transaction:timeout.',
      unchecked: 'How long that is is the broker’s own business, and mostly longer than a check can wait.',
    },
    {
      id: 'AMQP-4.3-h',
      level: 'should',
      says: 'A message to the coordinator that is neither declare nor discharge is an error.',
      how: 'A message with a map as its body on a control link.',
      async run(trial) {
        const session = await begun(trial)
        const control = await Control.attach(session)
        await control.link.credit()
        await mustFail(session, 'a message that is neither declare nor discharge', control.link.transfer(section('value', map([]))))
      },
      mutants: [answersWith('accepts it', 'rejected', { kind: 'accepted' })],
    },
  ],
}
