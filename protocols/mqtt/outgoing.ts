// What goes to one client: takes deliveries, gives packet identifiers, follows QoS 1 and 2 to their end. Made with the first subscription.
// Not here: which queues there are (on/subscribe.ts), and bytes (publish-writer.ts).
//
//     QoS 1   PUBLISH → sent ── PUBACK ──────────────────────────────────────────────→ settled (unanswered), id free
//     QoS 2   PUBLISH → sent ── PUBREC, mark ─→ released, PUBREL once marked ── PUBCOMP → completed, settled (answered) ─ done → id free
//             a delivery that comes back marked starts at `released` [MQTT-4.4.0-1]
//             out of a shared or plain queue it becomes this client's own first (taking.ts); in a session that ends with its connection PUBREC settles it
//
// Packet identifiers of the session's own queue are 1 + sequence mod 65,535: the same after a reconnect, a restart, a takeover of the node, with no
// record of them. Shared and plain queues take what is free. Who finds his identifier in use waits, and those after him, so that order is kept.
import type { Address, BrokerError, Consumer, Delivery, Message, Outcome, Session, Sink, Wire } from '../../src/api.ts'
import { isSessionQueue, sentTo } from './address.ts'
import { type Answers, FREE_ID, SEND_PUBREL, withReason } from './answers.ts'
import { ProtocolError } from './codec.ts'
import type { Five } from './five.ts'
import { DIALECT, qosOf } from './format.ts'
import { DIALECT_FIVE } from './format-five.ts'
import type { Front } from './front.ts'
import { writeFive } from './publish-writer-five.ts'
import { PACKET_ID_NOT_FOUND, PROTOCOL_ERROR } from './reasons.ts'
import { isOfGroup, Taking, takenFrom } from './taking.ts'

/** What a binding's tag and a hold's number say of a subscription: QoS, and with MQTT 5 the options that a delivery asks for. */
export const QOS = 3
export const AS_PUBLISHED = 4
/** Not what this client sends itself. */
export const NOT_OWN = 8
/** From here on a hold's number is the subscription identifier, as many times as this. */
export const IDENTIFIER = 16
const NO_IDENTIFIERS: readonly number[] = []

const SENT_1 = 0
const SENT_2 = 1
const RELEASED = 2
const COMPLETED = 3
/** As `SENT_2`, and nothing is kept of it once PUBREC has come. */
const SENT_2_HERE = 4
/** What `#state` keeps of an identifier: its delivery's tag (0: settled) × this + one of the above. */
const STATES = 8

/** `Consumer.mark`: PUBREC has come; it was sent, and must not expire any more. */
const MARK_RECEIVED = 1
const MARK_SENT = 2
const ACCEPTED: Outcome = { kind: 'accepted' }
const UNSENT: Outcome = { kind: 'released', afterMs: 0 }
const UNNAMEABLE: Outcome = { kind: 'rejected', reason: 'its address has no name in MQTT' }
const UNREPRESENTABLE: Outcome = { kind: 'rejected', reason: 'it cannot be represented in MQTT' }

/** What it needs of the connection it serves. */
export interface Link {
  readonly front: Front
  readonly wire: Wire
  readonly answers: Answers
  /** Who it is; `five` is undefined for the other versions. */
  readonly own: Readonly<{ five: Five | undefined; kept: boolean; queue: Address | undefined }>
  /** The ticket of the session's last call. */
  lastTicket: number
  /** A call was made that needs an answer. */
  owe(ticket: number, what: number, packetId: number): void
  /** Writes the answers that are due. */
  answer(): void
  lose(reason: string): void
}

export class Outgoing implements Sink {
  readonly #link: Link
  readonly #session: Session
  readonly #five: Five | undefined
  #consumer: Consumer | undefined = undefined
  /** Packet identifier → tag × `STATES` + state. */
  readonly #state = new Map<number, number>()
  #waiting: Delivery[] = []
  /** Number of the session's own queue, once seen. */
  #ownQueue = 0
  /** Where the search for a free identifier goes on, downwards: the own queue's go upwards. */
  #nextFree = 65_535
  #congested = false
  /** A run of tags to be settled together, and what the consumer is to be granted. */
  #settleFirst = 0
  #settleLast = 0
  #owedMessages = 0
  #owedBytes = 0
  /** Options of the bindings that matched last, the widest of each: equal sets are the same array. */
  #tags: readonly number[] = []
  #tagsGranted = 0
  /** What was granted of shared and plain queues, by name: options, and above them a subscription identifier. */
  readonly #granted = new Map<string, number>()
  #lastQueue: Address | undefined = undefined
  #lastGranted = 0
  /** Made with the first shared or plain queue that is granted QoS 2. */
  #taking: Taking | undefined = undefined

  constructor(link: Link, session: Session) {
    this.#link = link
    this.#session = session
    this.#five = link.own.five
  }

  // ---- Queues ---------------------------------------------------------------------------------------------------------

  /** Takes from these queues too; false: `session.refusal`. */
  take(queue: Address, granted: number): boolean {
    const key = keyOf(queue)
    if (!this.#granted.has(key)) {
      if (this.#consumer === undefined) {
        this.#consumer = this.#session.consume([queue], { settle: 'by-binding', exclusive: 'no', priority: 0 }, this)
        if (this.#consumer === undefined) return false
        const { inflightMax, outputCreditBytes } = this.#link.front.settings
        if (this.#congested) this.#consumer.stall(true)
        // [MQTT5-3.3.4-9] No more than the client lets be unanswered.
        this.#consumer.grant(Math.min(inflightMax, this.#five?.receiveMaximum ?? inflightMax), outputCreditBytes)
      } else if (!this.#consumer.add(queue)) return false
    }
    this.#granted.set(key, granted)
    this.#lastQueue = undefined
    if ((granted & QOS) === 2) this.#taking ??= new Taking(this.#link, this.#session)
    return true
  }

  takes(queue: Address): boolean {
    return this.#granted.has(keyOf(queue))
  }

  /** Takes no more from this queue. What its client was sent of it is completed [MQTT-3.10.4-3]; what waits for an identifier was not sent. */
  leave(queue: Address): void {
    const key = keyOf(queue)
    this.#consumer?.drop(queue)
    this.#granted.delete(key)
    this.#lastQueue = undefined
    const waiting = this.#waiting
    const isOfIt = (delivery: Delivery): boolean => keyOf(delivery.queue) === key
    if (!waiting.some(isOfIt)) return
    this.#waiting = waiting.filter((delivery) => !isOfIt(delivery))
    for (const delivery of waiting) if (isOfIt(delivery)) this.#reject(delivery, UNSENT)
  }

  // ---- Deliveries -----------------------------------------------------------------------------------------------------

  deliver(given: Delivery): void {
    this.#owedBytes += given.message.head.length + given.message.body.length
    const delivery = this.#taking === undefined ? given : this.#taken(this.#taking, given)
    if (delivery === undefined) return
    // A delivery that must wait for an identifier holds back those after it, save those that need none.
    if (delivery.tag !== 0 && this.#waiting.length > 0) this.#waiting.push(delivery)
    else if (!this.#send(delivery)) this.#waiting.push(delivery)
  }

  flush(): void {
    this.#settleRun()
    // Bytes are given back when they were written, and only while the socket takes them; messages when they are settled.
    if (this.#congested || (this.#owedMessages === 0 && this.#owedBytes === 0)) return
    const messages = this.#owedMessages
    const bytes = this.#owedBytes
    this.#owedMessages = 0
    this.#owedBytes = 0
    this.#consumer?.grant(messages, bytes)
  }

  ended(error: BrokerError): void {
    this.#consumer = undefined
    this.#link.lose(`its queue ended: ${error.message}`)
  }

  /** QoS 0 to a full socket is dropped and counted by the core, the rest waits in its queue. */
  congested(high: boolean): void {
    this.#congested = high
    this.#consumer?.stall(high)
    if (!high) this.flush()
  }

  /** Of QoS 2, and of a queue that others take from too: made this client's own first. Undefined: it is gone meanwhile. */
  #taken(taking: Taking, delivery: Delivery): Delivery | undefined {
    if (delivery.tag === 0 || this.#consumer === undefined || this.#isOwn(delivery)) return delivery
    if ((this.#grantedFor(delivery.queue) & QOS) !== 2) return delivery
    const message = this.#ours(delivery.message)
    if (message === undefined || qosOf(message) !== 2) return delivery
    const taken = taking.take(this.#consumer, delivery)
    if (taken === undefined) this.#owedMessages++
    return taken
  }

  /** false: its packet identifier is in use, or it is not this client's own yet. */
  #send(delivery: Delivery): boolean {
    if (this.#taking?.waits(delivery) === true) return false
    const message = this.#ours(delivery.message)
    if (message === undefined) return this.#reject(delivery, UNREPRESENTABLE)
    const own = this.#isOwn(delivery)
    const from = own ? takenFrom(delivery) : delivery.queue
    const taken = own && from !== undefined
    // Of other origin: durable → 1, else 0. Never above what the publisher gave nor what the subscription was granted [MQTT-3.8.4-6].
    const granted = from === undefined ? this.#grantedBy(delivery.tags) : this.#grantedFor(from)
    const options = taken ? (granted & ~QOS) | 2 : granted
    const qos = delivery.tag === 0 ? 0 : Math.min(qosOf(message), options & QOS)
    // [MQTT5-3.3.1-12] [MQTT5-3.3.1-13]
    const asPublished = this.#five !== undefined && (options & AS_PUBLISHED) !== 0 && (message.head[0] & 4) !== 0
    const retain = delivery.retained || asPublished ? 1 : 0
    if (qos === 0) {
      if (!this.#write(delivery, message, from, options, 0x30 | retain, 0)) return true
      this.#settle(delivery.tag)
      return true
    }
    const packetId = own ? 1 + (delivery.ref.sequence % 65_535) : this.#freeId()
    if (this.#state.has(packetId)) return false
    if (qos === 2 && delivery.mark === MARK_RECEIVED) {
      this.#state.set(packetId, delivery.tag * STATES + RELEASED)
      this.#answer(SEND_PUBREL, packetId)
      return true
    }
    // [MQTT-3.3.1-1] What another member of a group may have seen is no re-delivery to this client.
    const duplicate = own && delivery.maybeSeen ? 8 : 0
    if (!this.#write(delivery, message, from, options, 0x30 | duplicate | (qos << 1) | retain, packetId)) return true
    // [MQTT5-4.8.2-5] In the same turn as it was written: what was not written goes to another member, what was to nobody.
    const settled = qos === 2 && !own && isOfGroup(delivery)
    if (settled) this.#note(this.#consumer?.settle(delivery.tag, delivery.tag, ACCEPTED, true) ?? 0)
    this.#state.set(packetId, (settled ? 0 : delivery.tag) * STATES + (qos === 1 ? SENT_1 : own ? SENT_2 : SENT_2_HERE))
    // [MQTT5-4.3.3-7] Its client may keep the identifier until PUBREL: another message must not come by it in between.
    if (qos === 2 && own && !taken && delivery.message.expiresAtMs !== 0 && delivery.mark === 0)
      this.#note(this.#consumer?.mark(delivery.tag, MARK_SENT) ?? 0)
    return true
  }

  /** false: it was not, and the delivery is settled. */
  #write(delivery: Delivery, message: Message, from: Address | undefined, options: number, first: number, packetId: number): boolean {
    const { front, wire } = this.#link
    const five = this.#five
    if (five === undefined) return front.writer.write(wire, message, sentTo(delivery), first, packetId) || !this.#reject(delivery, UNNAMEABLE)
    const packet = { first, packetId, identifiers: this.#identifiersOf(five, delivery, from, options), nowMs: front.broker.clock.wallMs() }
    switch (writeFive(wire, front.topics, five, message, delivery, packet)) {
      case 'written':
        return true
      case 'unnameable':
        return !this.#reject(delivery, UNNAMEABLE)
      case 'too-large':
        // [MQTT5-3.1.2-25] As if it had been sent.
        front.tooLargeDropped++
        return !this.#reject(delivery, ACCEPTED)
    }
  }

  #identifiersOf(five: Five, delivery: Delivery, from: Address | undefined, options: number): readonly number[] {
    if (from === undefined) return five.identifiers.of(delivery.to, (options & NOT_OWN) === 0)
    return options < IDENTIFIER ? NO_IDENTIFIERS : [Math.floor(options / IDENTIFIER)]
  }

  #ours(message: Message): Message | undefined {
    const { dialect } = message
    if (dialect === DIALECT || (dialect === DIALECT_FIVE && this.#five !== undefined)) return message
    const { broker, log } = this.#link.front
    try {
      return broker.translate(message, this.#five === undefined ? DIALECT : DIALECT_FIVE)
    } catch (error) {
      // Called from the core's turn: a message that one of the two dialects stumbles over must cost this message, not the node.
      log.error({ err: error, from: message.dialect }, 'a message could not be translated to MQTT')
      return undefined
    }
  }

  #reject(delivery: Delivery, outcome: Outcome): true {
    if (delivery.tag === 0 || this.#consumer === undefined) return true
    this.#consumer.settle(delivery.tag, delivery.tag, outcome, false)
    this.#owedMessages++
    return true
  }

  #isOwn(delivery: Delivery): boolean {
    if (delivery.ref.queue === this.#ownQueue) return true
    if (!isSessionQueue(delivery.queue)) return false
    this.#ownQueue = delivery.ref.queue
    return true
  }

  #grantedBy(tags: readonly number[]): number {
    if (tags === this.#tags) return this.#tagsGranted
    let qos = 0
    let others = 0
    for (let i = 0; i < tags.length; i++) {
      qos = Math.max(qos, tags[i] & QOS)
      others |= tags[i] & ~QOS
    }
    const granted = others | qos
    this.#tags = tags
    this.#tagsGranted = granted
    return granted
  }

  #grantedFor(queue: Address): number {
    if (queue === this.#lastQueue) return this.#lastGranted
    this.#lastQueue = queue
    this.#lastGranted = this.#granted.get(keyOf(queue)) ?? 0
    return this.#lastGranted
  }

  /** There is one: the window is smaller than the numbers are many. */
  #freeId(): number {
    while (this.#state.has(this.#nextFree)) this.#nextFree = this.#nextFree === 1 ? 65_535 : this.#nextFree - 1
    const packetId = this.#nextFree
    this.#nextFree = packetId === 1 ? 65_535 : packetId - 1
    return packetId
  }

  // ---- Acknowledgements -----------------------------------------------------------------------------------------------

  puback(packetId: number): void {
    const state = this.#state.get(packetId)
    // Unknown: of an earlier connection. The message comes again, or is gone.
    if (state === undefined) return
    if (state % STATES !== SENT_1) throw new ProtocolError('PUBACK for a message of QoS 2', PROTOCOL_ERROR)
    this.#state.delete(packetId)
    this.#settle(Math.floor(state / STATES))
    this.#sendWaiting()
  }

  pubrec(packetId: number): void {
    const state = this.#state.get(packetId)
    // Unknown: whatever it was, the client's half is finished by the usual answer [MQTT-4.3.3-1].
    if (state === undefined) return this.#answer(this.#five === undefined ? SEND_PUBREL : withReason(SEND_PUBREL, PACKET_ID_NOT_FOUND), packetId)
    const tag = Math.floor(state / STATES)
    switch (state % STATES) {
      case SENT_1:
        throw new ProtocolError('PUBREC for a message of QoS 1', PROTOCOL_ERROR)
      case SENT_2: {
        this.#state.set(packetId, tag * STATES + RELEASED)
        const ticket = this.#consumer?.mark(tag, MARK_RECEIVED) ?? 0
        this.#note(ticket)
        return this.#answer(SEND_PUBREL, packetId)
      }
      case SENT_2_HERE:
        this.#state.set(packetId, RELEASED)
        if (tag !== 0) this.#note(this.#consumer?.settle(tag, tag, ACCEPTED, true) ?? 0)
        return this.#answer(SEND_PUBREL, packetId)
      case RELEASED:
        return this.#answer(SEND_PUBREL, packetId)
      default:
    }
  }

  /** PUBREC with a reason that it was not taken (MQTT 5): it is over, and was for this client. */
  refused(packetId: number): void {
    const state = this.#state.get(packetId)
    if (state === undefined) return
    if (state % STATES === SENT_1) throw new ProtocolError('PUBREC for a message of QoS 1', PROTOCOL_ERROR)
    if (state % STATES === SENT_2 || state % STATES === SENT_2_HERE) this.#complete(packetId, Math.floor(state / STATES))
  }

  /** Its identifier is not used again before its settlement is durable: after a crash the same number must not mean two messages. */
  #complete(packetId: number, tag: number): void {
    this.#state.set(packetId, tag * STATES + COMPLETED)
    if (tag !== 0) this.#note(this.#consumer?.settle(tag, tag, ACCEPTED, true) ?? 0)
    this.#owedMessages++
    this.#answer(FREE_ID, packetId)
  }

  pubcomp(packetId: number): void {
    const state = this.#state.get(packetId)
    if (state === undefined) return
    const tag = Math.floor(state / STATES)
    switch (state % STATES) {
      case SENT_1:
        throw new ProtocolError('PUBCOMP for a message of QoS 1', PROTOCOL_ERROR)
      case SENT_2:
      case SENT_2_HERE:
        throw new ProtocolError('PUBCOMP before PUBREC', PROTOCOL_ERROR)
      case RELEASED:
        return this.#complete(packetId, tag)
      default:
    }
  }

  /** The settlement of a QoS 2 message is durable. */
  free(packetId: number): void {
    const state = this.#state.get(packetId)
    if (state === undefined || state % STATES !== COMPLETED) return
    this.#state.delete(packetId)
    this.#sendWaiting()
    this.flush()
  }

  /** The oldest delivery that was to become this client's own has. */
  taken(): void {
    this.#taking?.done()
    this.#sendWaiting()
    this.flush()
  }

  #sendWaiting(): void {
    if (this.#waiting.length === 0) return
    let sent = 0
    while (sent < this.#waiting.length && this.#send(this.#waiting[sent])) sent++
    this.#waiting.splice(0, sent)
  }

  #settle(tag: number): void {
    if (tag === 0) return
    this.#owedMessages++
    if (tag === this.#settleLast + 1 && this.#settleFirst !== 0) {
      this.#settleLast = tag
      return
    }
    this.#settleRun()
    this.#settleFirst = tag
    this.#settleLast = tag
  }

  #settleRun(): void {
    if (this.#settleFirst === 0) return
    const first = this.#settleFirst
    this.#settleFirst = 0
    // Nobody is told of it, so nothing waits for its ticket.
    this.#consumer?.settle(first, this.#settleLast, ACCEPTED, false)
  }

  /** After everything asked so far is done. */
  #answer(what: number, packetId: number): void {
    this.#link.answers.push(this.#link.lastTicket, what, packetId)
    this.#link.answer()
  }

  #note(ticket: number): void {
    if (ticket > this.#link.lastTicket) this.#link.lastTicket = ticket
  }
}

function keyOf(queue: Address): string {
  return `${queue.namespace}\0${queue.path.join('\0')}`
}
