// How checks of AMQP 1.0 get a connection, a session and links: by the login of the target, with the numbers that a well-behaved client would keep.
import type { Composite, Written } from '../clients/amqp-composite.ts'
import { AMQP, SASL } from '../clients/amqp-framing.ts'
import { string, type Value } from '../clients/amqp-value.ts'
import { AmqpWire, type Received } from '../clients/amqp-wire.ts'
import { fail, mustBe, mustEqual, skip } from '../outcome.ts'
import type { Trial } from '../trial.ts'
import { message } from './message.ts'

type Options<K extends 'open' | 'begin' | 'attach' | 'flow' | 'transfer'> = Partial<Omit<Written<K>, 'kind'>>

/** Authenticated by the target's login, and AMQP's own header exchanged: an open is due. */
export async function authenticated(trial: Trial): Promise<AmqpWire> {
  const wire = await AmqpWire.open(trial)
  await wire.headers(SASL)
  const { saslServerMechanisms = [] } = await wire.next('saslMechanisms')
  const mechanism = trial.user === undefined ? 'ANONYMOUS' : 'PLAIN'
  if (!saslServerMechanisms.includes(mechanism)) skip(`the broker offers ${saslServerMechanisms.join(', ')} and not ${mechanism}`)
  wire.send({ kind: 'saslInit', mechanism, initialResponse: initialResponse(trial) })
  mustEqual((await wire.next('saslOutcome')).code, 0, 'the code of sasl-outcome')
  await wire.headers(AMQP)
  return wire
}

export function initialResponse({ user, password }: Trial): Buffer {
  return Buffer.from(user === undefined ? 'conformance' : `\0${user}\0${password ?? ''}`)
}

/** What `open` is sent by `opened`. Not only two opens of one trial with the same container id are two of one container. */
export function openOf(trial: Trial, options: Options<'open'> = {}): Written<'open'> {
  return { kind: 'open', containerId: trial.name('container'), hostname: trial.address.host, ...options }
}

/** A connection on which both have sent open. */
export async function opened(trial: Trial, options: Options<'open'> = {}): Promise<AmqpWire> {
  return (await openedWith(trial, options)).wire
}

/** As `opened`, with the broker's open. */
export async function openedWith(trial: Trial, options: Options<'open'> = {}): Promise<Readonly<{ wire: AmqpWire; open: Received<'open'> }>> {
  const wire = await authenticated(trial)
  wire.send(openOf(trial, options))
  return { wire, open: await wire.next('open') }
}

/** A connection with one session, on channel 0 of ours. */
export async function begun(trial: Trial, options: Options<'begin'> = {}, open: Options<'open'> = {}): Promise<Session> {
  return Session.begin(await opened(trial, open), options)
}

/** A session that both have begun. Keeps transfer and delivery ids. */
export class Session {
  readonly wire: AmqpWire
  readonly channel: number
  /** The broker's begin. */
  readonly begin: Received<'begin'>
  #handle = 0
  #deliveryId = 0
  #transfersOut: number
  readonly #initialOutgoingId: number

  private constructor(wire: AmqpWire, channel: number, begin: Received<'begin'>, outgoingId: number) {
    this.wire = wire
    this.channel = channel
    this.begin = begin
    this.#transfersOut = 0
    this.#initialOutgoingId = outgoingId
    this.#deliveryId = 0
  }

  static async begin(wire: AmqpWire, options: Options<'begin'> = {}, channel = 0): Promise<Session> {
    wire.send({ kind: 'begin', ...options }, { channel })
    const answer = await wire.nextThat('begin', `the answer to begin on channel ${channel}`, ({ remoteChannel }) => remoteChannel === channel)
    return new Session(wire, channel, answer, typeof options.nextOutgoingId === 'number' ? options.nextOutgoingId : 0)
  }

  send(what: Parameters<AmqpWire['send']>[0], payload?: Buffer): void {
    this.wire.send(what, { channel: this.channel, ...(payload === undefined ? {} : { payload }) })
  }

  /** The next performative of this kind on the broker's channel of this session. */
  next<K extends Received['kind']>(kind: K): Promise<Received<K>> {
    return this.nextThat(kind, kind, () => true)
  }

  nextThat<K extends Received['kind']>(kind: K, what: string, is: (piece: Received<K>) => boolean): Promise<Received<K>> {
    return this.wire.nextThat(kind, what, (piece) => piece.channel === this.begin.channel && is(piece), this.#over)
  }

  /** The broker has ended it. */
  readonly #over = (piece: Received): boolean => piece.kind === 'end' && piece.channel === this.begin.channel

  /** The next flow about no link. */
  nextSessionFlow(): Promise<Received<'flow'>> {
    return this.nextThat('flow', 'flow of the session', ({ handle }) => handle === undefined)
  }

  /** A flow with the state of this session as the wire has seen it. */
  flow(options: Options<'flow'> = {}): void {
    const nextIncomingId = ((this.begin.nextOutgoingId ?? 0) + this.wire.transfersIn(this.begin.channel)) >>> 0
    this.send({ kind: 'flow', nextIncomingId, nextOutgoingId: this.nextOutgoingId, ...options })
  }

  get nextOutgoingId(): number {
    return (this.#initialOutgoingId + this.#transfersOut) >>> 0
  }

  /** Ours to send with: counted. */
  transfer(transfer: Written<'transfer'>, payload?: Buffer): void {
    this.#transfersOut++
    this.send(transfer, payload)
  }

  /** A delivery id that this session has not used. */
  nextDeliveryId(): number {
    return this.#deliveryId++ >>> 0
  }

  /** Delivery ids go on from here. */
  startAt(deliveryId: number): void {
    this.#deliveryId = deliveryId
  }

  /** A handle that this session has not used. */
  newHandle(): number {
    return this.#handle++
  }

  /** Attaches, and fails unless the broker does and leaves the link attached. */
  async sender(word: string, options: Options<'attach'> = {}): Promise<Sender> {
    return new Sender(this, await this.attach(senderOf(this.wire.trial, word, options)))
  }

  async receiver(word: string, options: Options<'attach'> = {}): Promise<Receiver> {
    return new Receiver(this, await this.attach(receiverOf(this.wire.trial, word, options)))
  }

  /** Sends this attach with a handle of its own, if it has none; answers both. */
  async attach(attach: Written<'attach'>): Promise<Attached> {
    const handle = typeof attach.handle === 'number' ? attach.handle : this.newHandle()
    this.send({ ...attach, handle })
    const answer = await this.nextThat('attach', 'the answer to attach', ({ name }) => name === attach.name)
    return { handle, answer }
  }

  /** Attaches one link more: when that is answered, all that was sent before has been read, and what the broker had to say to it then has come. */
  async sync(): Promise<Sender> {
    return this.sender(`sync-${this.#handle}`)
  }

  /** Ends the session; answers the broker's end. */
  async end(): Promise<Received<'end'>> {
    this.send({ kind: 'end' })
    return this.next('end')
  }
}

export type Attached = Readonly<{ handle: number; answer: Received<'attach'> }>

/** An attach by which we send to the trial's queue of this word. */
export function senderOf(trial: Trial, word: string, options: Options<'attach'> = {}): Written<'attach'> {
  return {
    kind: 'attach',
    name: trial.name(`to-${word}`),
    role: false,
    source: { kind: 'source', address: string(trial.name('producer')) },
    target: queueTarget(trial, word),
    initialDeliveryCount: 0,
    ...options,
  }
}

/** An attach by which we receive from the trial's queue of this word. */
export function receiverOf(trial: Trial, word: string, options: Options<'attach'> = {}): Written<'attach'> {
  return {
    kind: 'attach',
    name: trial.name(`from-${word}`),
    role: true,
    source: queueSource(trial, word),
    target: { kind: 'target', address: string(trial.name('consumer')) },
    ...options,
  }
}

export const queueAddress = (trial: Trial, word: string): Value => string(trial.profile.amqp.queue(trial.name(word)))
export const topicAddress = (trial: Trial, word: string): Value => string(trial.profile.amqp.topic(trial.name(word)))

export function queueSource(trial: Trial, word: string, options: Partial<Omit<Written<'source'>, 'kind'>> = {}): Written<'source'> {
  return { kind: 'source', address: queueAddress(trial, word), capabilities: ['queue'], ...options }
}

export function queueTarget(trial: Trial, word: string, options: Partial<Omit<Written<'target'>, 'kind'>> = {}): Written<'target'> {
  return { kind: 'target', address: queueAddress(trial, word), capabilities: ['queue'], ...options }
}

export function topicSource(trial: Trial, word: string, options: Partial<Omit<Written<'source'>, 'kind'>> = {}): Written<'source'> {
  return { kind: 'source', address: topicAddress(trial, word), capabilities: ['topic'], ...options }
}

export function topicTarget(trial: Trial, word: string): Written<'target'> {
  return { kind: 'target', address: topicAddress(trial, word), capabilities: ['topic'] }
}

class Link {
  readonly session: Session
  readonly wire: AmqpWire
  readonly handle: number
  /** The broker's attach. */
  readonly answer: Received<'attach'>

  constructor(session: Session, { handle, answer }: Attached) {
    this.session = session
    this.wire = session.wire
    this.handle = handle
    this.answer = answer
  }

  /** Whether a frame is about this link. */
  is = (piece: Readonly<{ channel: number; handle?: number | undefined }>): boolean =>
    piece.channel === this.session.begin.channel && piece.handle === (this.answer.handle ?? 0)

  nextFlow(what = 'flow of the link', is: (flow: Received<'flow'>) => boolean = () => true): Promise<Received<'flow'>> {
    return this.session.nextThat('flow', what, (flow) => this.is(flow) && is(flow))
  }

  /** The broker's next detach of this link. */
  nextDetach(): Promise<Received<'detach'>> {
    return this.session.nextThat('detach', 'detach of the link', this.is)
  }

  /** Detaches or closes; answers the broker's detach. */
  async detach(closed = true): Promise<Received<'detach'>> {
    this.session.send({ kind: 'detach', handle: this.handle, closed })
    return this.nextDetach()
  }
}

/** A link on which we send. */
export class Sender extends Link {
  #tag = 0
  #sent = 0
  /** The broker's delivery-count and its credit. */
  #limit = 0

  constructor(session: Session, attached: Attached) {
    super(session, attached)
    if (attached.answer.target === undefined) fail('the broker attached a link without a target')
  }

  /** Waits until the broker has given credit for one more message. Answers for how many. */
  async credit(): Promise<number> {
    const left = (): number => (this.#limit - this.#sent) | 0
    while (left() <= 0) {
      const { deliveryCount = 0, linkCredit = 0 } = await this.nextFlow('credit')
      this.#limit = deliveryCount + linkCredit
    }
    return left()
  }

  /** Sends one message in one transfer, without waiting for anything. Answers its delivery id. */
  transfer(payload = message('x'), options: Options<'transfer'> = {}): number {
    const deliveryId = typeof options.deliveryId === 'number' ? options.deliveryId : this.session.nextDeliveryId()
    this.#sent++
    this.session.transfer({ kind: 'transfer', handle: this.handle, deliveryId, deliveryTag: this.tag(), messageFormat: 0, ...options }, payload)
    return deliveryId
  }

  /** Sends one message in several transfers, each with so many bytes of it. Answers its delivery id. */
  transferInParts(payload: Buffer, bytesEach: number, options: Options<'transfer'> = {}): number {
    const deliveryId = this.session.nextDeliveryId()
    const first = { deliveryId, deliveryTag: this.tag(), messageFormat: 0, ...options }
    this.#sent++
    for (let at = 0; at < payload.length; at += bytesEach)
      this.session.transfer(
        { kind: 'transfer', handle: this.handle, ...(at === 0 ? first : {}), more: at + bytesEach < payload.length },
        payload.subarray(at, at + bytesEach),
      )
    return deliveryId
  }

  /** A tag that this link has not used. */
  tag(): Buffer {
    const tag = Buffer.alloc(4)
    tag.writeUInt32BE(this.#tag++)
    return tag
  }

  /** What the broker says of a delivery: the first disposition with a state, or that settles it. */
  async outcome(deliveryId: number): Promise<Received<'disposition'>> {
    return this.session.nextThat(
      'disposition',
      `disposition of delivery ${deliveryId}`,
      (disposition) => disposition.role === true && covers(disposition, deliveryId),
    )
  }

  /** Sends messages one after the other, each after credit was there for it, and fails unless each is accepted. */
  async deliver(...payloads: readonly Buffer[]): Promise<void> {
    const pending = new Set<number>()
    for (const payload of payloads) {
      await this.credit()
      pending.add(this.transfer(payload))
    }
    while (pending.size > 0) {
      const isTheirs = (disposition: Received<'disposition'>): boolean =>
        [...pending].some((id) => disposition.role === true && covers(disposition, id))
      const disposition = await this.session.nextThat('disposition', `the outcome of delivery ${[...pending].join(', ')}`, isTheirs)
      if (disposition.state === undefined || disposition.state.kind === 'received') continue
      mustEqual(disposition.state.kind, 'accepted', `the outcome of delivery ${disposition.first}`)
      for (const id of pending) if (covers(disposition, id)) pending.delete(id)
    }
  }
}

/** A link on which we receive. */
export class Receiver extends Link {
  constructor(session: Session, attached: Attached) {
    super(session, attached)
    if (attached.answer.source === undefined) fail('the broker attached a link without a source')
  }

  /** So much credit from where the broker's attach began, less what came since. */
  credit(linkCredit: number, options: Options<'flow'> = {}): void {
    this.session.flow({ handle: this.handle, deliveryCount: this.deliveryCount, linkCredit, ...options })
  }

  /** Of the broker's end, as the deliveries that came count it; after drain it goes further. */
  get deliveryCount(): number {
    return (
      ((this.answer.initialDeliveryCount ?? 0) + this.wire.deliveriesIn(this.session.begin.channel, this.answer.handle ?? 0) + this.#drained) >>> 0
    )
  }

  #drained = 0

  nextTransfer(): Promise<Received<'transfer'>> {
    return this.session.nextThat('transfer', 'transfer', this.is)
  }

  /** A whole message: the first of its transfers, and the bytes of all. */
  async next(): Promise<Delivery> {
    const first = await this.nextTransfer()
    const parts = [first.payload]
    let last = first
    while (last.more === true && last.aborted !== true) {
      last = await this.nextTransfer()
      parts.push(last.payload)
    }
    const { deliveryId, deliveryTag } = first
    if (deliveryId === undefined || deliveryTag === undefined)
      return fail('the first transfer of a delivery came without delivery-id or delivery-tag')
    return { transfer: first, deliveryId, deliveryTag, payload: Buffer.concat(parts) }
  }

  /** Sends a disposition of one delivery, or of all up to `last`. */
  settle(first: number, state: Written | undefined, options: Readonly<{ settled?: boolean; last?: number }> = {}): void {
    this.session.send({
      kind: 'disposition',
      role: true,
      first,
      settled: true,
      ...(state === undefined ? {} : { state: state as Composite }),
      ...options,
    })
  }

  accept({ deliveryId }: Delivery): void {
    this.settle(deliveryId, { kind: 'accepted' })
  }

  /** With drain: everything that the broker has for this link comes now, and nothing after. Answers what came and was not read. */
  async drain(credit = 1000): Promise<readonly Received<'transfer'>[]> {
    const limit = (this.deliveryCount + credit) >>> 0
    this.credit(credit, { drain: true })
    try {
      await this.nextFlow('the flow that ends the drain', (flow) => flow.deliveryCount === limit)
    } catch {
      // A clause of its own (2.6.7) says that it must.
      skip('the broker does not end a drain, by which the check would see that nothing comes')
    }
    this.#drained = ((limit - this.deliveryCount) | 0) + this.#drained
    return this.wire.inbox.unread.filter((piece): piece is Received<'transfer'> => piece.kind === 'transfer' && this.is(piece))
  }

  /** Fails if the broker still has something for this link. */
  async nothing(what: string): Promise<void> {
    const came = await this.drain()
    mustBe(came.length === 0, `${came.length} transfers came where ${what}`)
  }
}

export type Delivery = Readonly<{ transfer: Received<'transfer'>; deliveryId: number; deliveryTag: Buffer; payload: Buffer }>

/** Whether a disposition is about this delivery, by the arithmetic of serial numbers. */
export function covers({ first = 0, last = first }: Composite<'disposition'>, deliveryId: number): boolean {
  return ((deliveryId - first) | 0) >= 0 && ((last - deliveryId) | 0) >= 0
}

/** Fails unless the broker closes the connection by a close with one of these conditions. Who ends the socket when both have closed, and when, is nobody's duty. */
export async function closesWith(wire: AmqpWire, why: string, ...conditions: readonly [string, ...string[]]): Promise<void> {
  const { error } = await wire.next('close')
  mustBe(error !== undefined, `close came without an error: ${why}`)
  mustBe(conditions.includes(conditionOf(error)), `close came with ${conditionOf(error)} where ${conditions.join(' or ')} was due: ${why}`)
  wire.send({ kind: 'close' })
}

/** Fails unless the broker refuses what was sent: by one of these with an error, or by the end of the socket, which says no less. (That a close comes before that is a clause of its own, 2.4.3.) */
export async function refusedBy(wire: AmqpWire, why: string, ...kinds: readonly ('close' | 'end' | 'detach')[]): Promise<void> {
  const answer = await wire.firstOf(...kinds)
  mustBe(answer === undefined || answer.error !== undefined, `${answer?.kind} came without an error: ${why}`)
}

/** Fails unless the broker ends the session with one of these conditions (none: any); then ends it too. */
export async function endsWith(session: Session, why: string, ...conditions: readonly string[]): Promise<void> {
  const { error } = await session.next('end')
  mustBe(error !== undefined, `end came without an error: ${why}`)
  if (conditions.length > 0)
    mustBe(conditions.includes(conditionOf(error)), `end came with ${conditionOf(error)} where ${conditions.join(' or ')} was due: ${why}`)
  session.send({ kind: 'end' })
}

/** Fails unless the broker detaches the link with one of these conditions (none: any). */
export async function detachesWith(link: Link, why: string, ...conditions: readonly string[]): Promise<void> {
  const { error } = await link.nextDetach()
  mustBe(error !== undefined, `detach came without an error: ${why}`)
  if (conditions.length > 0)
    mustBe(conditions.includes(conditionOf(error)), `detach came with ${conditionOf(error)} where ${conditions.join(' or ')} was due: ${why}`)
}

export function conditionOf(error: Composite | undefined): string {
  return error?.kind === 'error' ? (error.condition ?? 'no condition') : 'no error'
}

/** A sender whose message was a byte larger than the broker's max-message-size, which is a link error. Skips where there is no such limit. */
export async function tooLarge(trial: Trial): Promise<Sender> {
  const sender = await (await begun(trial)).sender('q')
  const { maxMessageSize = 0n } = sender.answer
  if (maxMessageSize === 0n) skip('the broker has no max-message-size')
  if (maxMessageSize > 20_000_000n) skip(`the broker’s max-message-size is ${maxMessageSize}`)
  await sender.credit()
  sender.transferInParts(message('x'.repeat(Number(maxMessageSize))), 32_000)
  return sender
}
