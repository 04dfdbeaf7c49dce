// How checks of part 4 control transactions: the link to the coordinator, what is declared and discharged on it, and the brokers that do it wrong.
import { type Composite, toValue, type Written } from '../clients/amqp-composite.ts'
import { frame } from '../clients/amqp-framing.ts'
import type { Received } from '../clients/amqp-wire.ts'
import { fail, mustEqual, notSupported } from '../outcome.ts'
import type { Trial } from '../trial.ts'
import { message, section, textOfBody } from './message.ts'
import { changes, sees } from './mutants.ts'
import { begun, conditionOf, type Receiver, Sender, type Session } from './session.ts'

/** What a source of a control link takes when nothing else is said. */
export const OUTCOMES = ['amqp:accepted:list', 'amqp:rejected:list', 'amqp:declared:list']

export type Work = Readonly<{ kind: 'transactionalState'; txnId: Buffer; outcome?: Written }>
export const within = (txnId: Buffer, outcome?: Written): Work => ({
  kind: 'transactionalState',
  txnId,
  ...(outcome === undefined ? {} : { outcome }),
})

/** A control link. */
export class Control {
  readonly session: Session
  readonly link: Sender
  readonly capabilities: readonly string[]

  private constructor(session: Session, link: Sender, capabilities: readonly string[]) {
    this.session = session
    this.link = link
    this.capabilities = capabilities
  }

  static async attach(session: Session, outcomes: readonly string[] = OUTCOMES): Promise<Control> {
    const { trial } = session.wire
    const handle = session.newHandle()
    const name = trial.name(`control-${handle}`)
    const target = { kind: 'coordinator', capabilities: ['amqp:local-transactions'] } as const
    session.send({ kind: 'attach', name, handle, role: false, source: { kind: 'source', outcomes }, target, initialDeliveryCount: 0 })
    const isAnswer = (piece: Received): piece is Received<'attach' | 'end' | 'close'> =>
      piece.kind === 'end' || piece.kind === 'close' || (piece.kind === 'attach' && piece.name === name)
    const answer = await session.wire.inbox.find(isAnswer, 'the answer to the attach of a control link')
    if (answer.kind !== 'attach') return notSupported(`a link to a coordinator is answered by ${answer.kind} (${conditionOf(answer.error)})`)
    if (answer.target === undefined) return notSupported('a link to a coordinator is not attached')
    const capabilities = answer.target.kind === 'coordinator' ? (answer.target.capabilities ?? []) : []
    return new Control(session, new Sender(session, { handle, answer }), capabilities)
  }

  /** Sends a message to the coordinator, whose body is this; answers its delivery id. */
  async ask(body: Written, options: Parameters<Sender['transfer']>[1] = {}, before: readonly Buffer[] = []): Promise<number> {
    await this.link.credit()
    return this.link.transfer(Buffer.concat([...before, section('value', toValue(body))]), options)
  }

  /** The state that answers a message to the coordinator. */
  async answer(deliveryId: number): Promise<Composite> {
    return (await this.link.outcome(deliveryId)).state ?? fail('the coordinator settled a message without a state')
  }

  /** A new transaction. */
  async declare(): Promise<Buffer> {
    const state = await this.answer(await this.ask({ kind: 'declare' }))
    if (state.kind !== 'declared')
      return fail(`declare is answered by ${state.kind}${state.kind === 'rejected' ? ` (${conditionOf(state.error)})` : ''}`)
    return state.txnId ?? fail('declared has no txn-id')
  }

  async discharge(txnId: Buffer, failed: boolean): Promise<Composite> {
    return this.answer(await this.ask({ kind: 'discharge', txnId, fail: failed }))
  }

  async commit(txnId: Buffer): Promise<void> {
    mustEqual((await this.discharge(txnId, false)).kind, 'accepted', 'the answer to a discharge')
  }

  async rollBack(txnId: Buffer): Promise<void> {
    mustEqual((await this.discharge(txnId, true)).kind, 'accepted', 'the answer to a discharge with fail')
  }
}

/** A session with a control link, and a transaction declared on it. */
export async function declared(trial: Trial): Promise<Readonly<{ session: Session; control: Control; txnId: Buffer }>> {
  const session = await begun(trial)
  const control = await Control.attach(session)
  return { session, control, txnId: await control.declare() }
}

/** The same, with a message of the trial's queue at a receiver, unsettled. */
export async function holding(trial: Trial) {
  const all = await declared(trial)
  await (await all.session.sender('q')).deliver(message('x'))
  const receiver = await all.session.receiver('q')
  receiver.credit(1)
  const { deliveryId } = await receiver.next()
  return { ...all, receiver, deliveryId }
}

/** Posts messages of these texts to the trial's queue within a transaction. */
export async function post(session: Session, txnId: Buffer, texts: readonly string[], word = 'q'): Promise<void> {
  const sender = await session.sender(word, { name: session.wire.trial.name(`post-${word}-${session.newHandle()}`) })
  for (const text of texts) {
    await sender.credit()
    sender.transfer(message(text), { state: within(txnId) })
  }
}

/** What somebody else finds on the trial's queue: these texts, in this order, and no more. */
export async function mustHold(trial: Trial, texts: readonly string[], word = 'q'): Promise<void> {
  const session = await begun(trial, {}, { containerId: trial.name('looks') })
  const receiver = await session.receiver(word, { name: trial.name(`looks-${word}`) })
  for (const text of texts) {
    receiver.credit(1)
    const { deliveryId, payload } = await receiver.next()
    mustEqual(textOfBody(payload), text, 'the body of a message')
    receiver.settle(deliveryId, { kind: 'accepted' })
  }
  await receiver.nothing(texts.length === 0 ? 'nothing was due' : 'no more was due')
  // Brokers that know a container once must let the next one in.
  session.send({ kind: 'close' })
  await session.wire.next('close')
}

/** Another link on the same queue. */
export const another = (receiver: Receiver): Promise<Receiver> => receiver.session.receiver('q', { name: receiver.wire.trial.name('another') })

/** What tells a client that its work failed: a rejected message, or the end of the link, the session or the connection with an error. */
export async function mustFail(session: Session, what: string, deliveryId?: number): Promise<void> {
  const isEnd = (piece: Received): piece is Received<'disposition' | 'detach' | 'end' | 'close'> =>
    (piece.kind === 'disposition' && piece.role === true && deliveryId !== undefined && piece.first === deliveryId && piece.state !== undefined) ||
    piece.kind === 'detach' ||
    piece.kind === 'end' ||
    piece.kind === 'close'
  const seen = await session.wire.inbox.find(isEnd, `an error (${what})`)
  if (seen.kind === 'disposition') {
    const outcome = seen.state?.kind === 'transactionalState' ? seen.state.outcome : seen.state
    mustEqual(outcome?.kind, 'rejected', `the outcome of ${what}`)
  }
  if (seen.kind !== 'disposition' && seen.error === undefined) fail(`${seen.kind} came without an error: ${what}`)
}

const isWork = (state: Composite | undefined): boolean => state?.kind === 'transactionalState'

/** A broker that posts at once what belongs to a transaction. */
export const postsAtOnce = sees('posts at once what belongs to a transaction', 'transfer', (piece) =>
  isWork(piece.state) ? ({ ...piece, state: undefined } as Written) : undefined,
)

/** A broker that settles at once what belongs to a transaction. */
export const retiresAtOnce = sees('settles at once what belongs to a transaction', 'disposition', (piece) =>
  piece.state?.kind === 'transactionalState' ? ({ ...piece, state: piece.state.outcome } as Written) : undefined,
)

/** A broker that hears no disposition within a transaction. */
export const deafToRetiring = sees('takes no notice of outcomes in transactions', 'disposition', (piece) =>
  isWork(piece.state) ? 'drop' : undefined,
)

/** A broker that does the opposite of what a discharge says. */
export const turnsDischarges = sees('takes commits for rollbacks, and the other way round', 'transfer', (piece) => {
  const at = piece.payload.indexOf(Buffer.from([0x00, 0x53, 0x32]))
  if (at < 0) return undefined
  const payload = Buffer.from(piece.payload)
  const last = payload.length - 1
  payload[last] = payload[last] === 0x41 ? 0x42 : 0x41
  return frame(toValue(piece as Written), { channel: piece.channel, payload })
})

/** A broker that answers messages to its coordinator with another state. */
export const answersWith = (says: string, kind: Composite['kind'], other: Written): ReturnType<typeof changes> =>
  changes(says, 'disposition', (piece) => (piece.state?.kind === kind ? ({ ...piece, state: other } as Written) : undefined))
