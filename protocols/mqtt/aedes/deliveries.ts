// What goes to one client: the core's deliveries, given to aedes one after the other, and settled when aedes has the client's acknowledgement.
// One at a time, because aedes drops what is overtaken: it numbers a packet when it is given, looks at the number when it is sent, and what is of QoS 0 is sent
// sooner than what is of QoS 1.
//
//     QoS 1   publish → sent ── PUBACK ─────────────────────────→ settled, identifier free
//     QoS 2   publish → sent ── PUBREC, mark ─→ released ── PUBCOMP → settled ─ done → identifier free
//             a delivery that comes back marked is released at once: its client has it [MQTT-4.3.3-1]
//
// Packet identifiers are those of our own engine, so that a session may change its engine: 1 + sequence mod 65,535.
import type { Address, BrokerError, Consumer, Delivery, Message, Outcome, Session, Sink } from '../../../src/api.ts'
import { sentTo } from '../address.ts'
import { DIALECT, qosOf } from '../format.ts'
import type { Front } from '../front.ts'
import { takenFrom } from '../taking.ts'

/** What aedes is asked to send, by its hook `authorizeForward`: what it gives to that has no identifier yet. */
export type Outbound = Readonly<{
  cmd: 'publish'
  topic: string
  payload: Buffer
  qos: 0 | 1 | 2
  retain: boolean
  dup: boolean
  messageId?: number
}>

/** What it needs of the client it serves. */
export interface Receiver {
  readonly front: Front
  /** Gives it to aedes; calls back when it is written. */
  send(packet: Outbound, sent: () => void): void
  /** PUBREL that nobody asked for: of a message that its client had before. */
  release(packetId: number): void
  /** Calls back when this ticket is done. */
  after(ticket: number, go: () => void): void
  lose(reason: string): void
}

type InFlight = Readonly<{ tag: number; qos: 1 | 2 }>

const MARK_RECEIVED = 1
const MARK_SENT = 2
const ACCEPTED: Outcome = { kind: 'accepted' }
const UNNAMEABLE: Outcome = { kind: 'rejected', reason: 'its address has no name in MQTT' }
const UNREPRESENTABLE: Outcome = { kind: 'rejected', reason: 'it cannot be represented in MQTT' }

export class Deliveries implements Sink {
  readonly #receiver: Receiver
  readonly #waiting: Delivery[] = []
  readonly #inFlight = new Map<number, InFlight>()
  #consumer: Consumer | undefined = undefined
  #sending = false
  #stopped = false

  constructor(receiver: Receiver) {
    this.#receiver = receiver
  }

  /** Takes from the session's queue; false: `session.refusal`. */
  take(session: Session, queue: Address, congested: boolean): boolean {
    if (this.#consumer !== undefined) return true
    this.#consumer = session.consume([queue], { settle: 'by-binding', exclusive: 'no', priority: 0 }, this)
    if (this.#consumer === undefined) return false
    if (congested) this.#consumer.stall(true)
    const { inflightMax, outputCreditBytes } = this.#receiver.front.settings
    this.#consumer.grant(inflightMax, outputCreditBytes)
    return true
  }

  deliver(delivery: Delivery): void {
    this.#waiting.push(delivery)
  }

  flush(): void {
    this.#next()
  }

  ended(error: BrokerError): void {
    this.#consumer = undefined
    this.#receiver.lose(`its queue ended: ${error.message}`)
  }

  congested(high: boolean): void {
    this.#consumer?.stall(high)
  }

  stop(): void {
    this.#stopped = true
    this.#waiting.length = 0
  }

  // ---- Acknowledgements -----------------------------------------------------------------------------------------------

  /** PUBACK, PUBCOMP. false: the message was of another QoS. */
  acknowledged(kind: 'puback' | 'pubcomp', packetId: number, done: () => void): boolean {
    const sent = this.#inFlight.get(packetId)
    if (sent !== undefined && sent.qos !== (kind === 'puback' ? 1 : 2)) return false
    // Unknown: of an earlier connection. The message comes again, or is gone.
    if (sent === undefined || this.#consumer === undefined) done()
    else if (sent.qos === 1) {
      this.#inFlight.delete(packetId)
      this.#consumer.settle(sent.tag, sent.tag, ACCEPTED, false)
      this.#consumer.grant(1, 0)
      done()
      this.#next()
    } else {
      // Not used again before its settlement is durable: after a crash the same number must not mean two messages.
      this.#receiver.after(this.#consumer.settle(sent.tag, sent.tag, ACCEPTED, true), () => {
        if (!this.#inFlight.delete(packetId)) return
        this.#consumer?.grant(1, 0)
        this.#next()
      })
      done()
    }
    return true
  }

  /** PUBREC: PUBREL goes when it is written down that its client has the message. */
  received(packetId: number, done: () => void): void {
    const sent = this.#inFlight.get(packetId)
    const ticket = sent?.qos === 2 && this.#consumer !== undefined ? this.#consumer.mark(sent.tag, MARK_RECEIVED) : 0
    this.#receiver.after(ticket, done)
  }

  // ---- Sending --------------------------------------------------------------------------------------------------------

  #next(): void {
    while (!this.#sending && !this.#stopped) {
      const delivery = this.#waiting[0]
      if (delivery === undefined || !this.#send(delivery)) return
      this.#waiting.shift()
    }
  }

  /** false: its identifier is in use, and it waits, as do those after it. */
  #send(delivery: Delivery): boolean {
    const bytes = delivery.message.head.length + delivery.message.body.length
    const message = this.#ours(delivery.message)
    if (message === undefined) return this.#reject(delivery, UNREPRESENTABLE, bytes)
    const name = this.#receiver.front.topics.name(sentTo(delivery))
    if (name === undefined) return this.#reject(delivery, UNNAMEABLE, bytes)
    const packet = {
      cmd: 'publish' as const,
      topic: Buffer.from(name.buffer, name.byteOffset, name.byteLength).toString('utf8'),
      payload: Buffer.from(message.body.buffer, message.body.byteOffset, message.body.byteLength),
      retain: delivery.retained,
    }
    // Never above what the publisher gave nor what the subscription was granted [MQTT-3.8.4-6].
    const granted = takenFrom(delivery) === undefined ? Math.max(0, ...delivery.tags) : 2
    const qos = delivery.tag === 0 ? 0 : Math.min(qosOf(message), granted)
    if (qos !== 1 && qos !== 2) {
      this.#give({ ...packet, qos: 0, dup: false }, bytes, delivery.tag === 0 ? undefined : delivery.tag)
      return true
    }
    const messageId = 1 + (delivery.ref.sequence % 65_535)
    if (this.#inFlight.has(messageId)) return false
    this.#inFlight.set(messageId, { tag: delivery.tag, qos })
    if (qos === 2 && delivery.mark === MARK_RECEIVED) {
      this.#receiver.release(messageId)
      this.#consumer?.grant(0, bytes)
      return true
    }
    // Its client may keep the identifier until PUBREL: another message must not come by it in between.
    if (qos === 2 && delivery.message.expiresAtMs !== 0 && delivery.mark === 0) this.#consumer?.mark(delivery.tag, MARK_SENT)
    this.#give({ ...packet, qos, dup: delivery.maybeSeen, messageId }, bytes, undefined)
    return true
  }

  /** `settles`: what is settled by having been written. */
  #give(packet: Outbound, bytes: number, settles: number | undefined): void {
    this.#sending = true
    this.#receiver.send(packet, () => {
      this.#sending = false
      if (this.#stopped) return
      if (settles !== undefined) this.#consumer?.settle(settles, settles, ACCEPTED, false)
      this.#consumer?.grant(settles === undefined ? 0 : 1, bytes)
      this.#next()
    })
  }

  #ours(message: Message): Message | undefined {
    if (message.dialect === DIALECT) return message
    const { broker, log } = this.#receiver.front
    try {
      return broker.translate(message, DIALECT)
    } catch (error) {
      log.error({ err: error, from: message.dialect }, 'a message could not be translated to MQTT')
      return undefined
    }
  }

  #reject(delivery: Delivery, outcome: Outcome, bytes: number): true {
    if (delivery.tag !== 0) this.#consumer?.settle(delivery.tag, delivery.tag, outcome, false)
    this.#consumer?.grant(delivery.tag === 0 ? 0 : 1, bytes)
    return true
  }
}
