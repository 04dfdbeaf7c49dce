// One SUBSCRIBE of one connection: writes MESSAGE frames, knows which delivery an acknowledgement means, and keeps the credit.
// Hot room. Not here: how its queue came to be (on/subscribe.ts).
//
// Message credit comes back when a delivery is settled (ack:auto: when it was written); byte credit comes back as the socket drains,
// so that a slow reader never has more than its window in our output, however many messages it may leave unacknowledged.
import type { Address, Broker, BrokerError, Browse, BrowseSink, Consumer, Delivery, Message, Outcome, Ticket } from '../../src/api.ts'
import { escape, relabel, type Version } from './escape.ts'
import { afterMessageId } from './head.ts'
import type { Output } from './output.ts'
import type { OpenTransaction } from './transactions.ts'
import type { Transform } from './transformation.ts'

export type AckMode = 'auto' | 'client' | 'client-individual'

/** What a subscription needs of its connection. */
export interface SubscriptionOwner {
  readonly broker: Broker
  readonly output: Output
  readonly version: Version
  /** Nothing may be written any more. */
  readonly over: boolean
  /** How the client calls it; undefined: STOMP has no name for it. */
  nameOf(address: Address): string | undefined
  flushed(): void
  /** Credit is to be given back at the end of this turn. */
  topUpLater(): void
  subscriptionEnded(subscription: Subscription, error: BrokerError): void
}

export type SubscriptionOptions = Readonly<{
  /** Finds it on its connection. */
  key: string
  /** The header id; '': STOMP 1.0 without one. */
  id: string
  /** Names it in `ack` headers. */
  number: number
  mode: AckMode
  /** The queue it takes from, and whether that goes with the subscription. */
  queue: Address
  temporary: boolean
  /** It takes from every queue that matches a pattern. */
  several: boolean
  messages: number
  bytes: number
  /** It asked for a form of its own (`transformation`). */
  transform: Transform | undefined
}>

/** A delivery, by its tag. `key`: what a message-id of 1.0 or 1.1 is looked up by, if the client named it so. */
export type Meant = Readonly<{ tag: number; key: number | string | undefined }>

const NOTHING: Meant = { tag: 0, key: undefined }

export class Subscription implements BrowseSink {
  readonly options: SubscriptionOptions
  readonly #owner: SubscriptionOwner
  #consumer: Consumer | undefined
  /** Instead of a consumer: the queue is only looked at. */
  #browse: Browse | undefined
  /** Highest tag given, and (`client`) up to which all are settled. */
  #given = 0
  #settled = 0
  /** `client`: ranges below that are outstanding all the same, since a transaction that had settled them was aborted. */
  #reopened: (readonly [number, number])[] | undefined
  #messagesBack = 0
  #bytesBack = 0
  #stalled = false
  /** 1.0 and 1.1 acknowledge by message-id: sequence (of several queues: the whole id) → tag of what is outstanding, in order of tags. */
  readonly #tags: Map<number | string, number> | undefined
  #queueNumber = 0
  // What the last delivery began with, and its head as this version writes it: mostly the same for the next.
  #prefixTo: Address | undefined
  #prefixQueue = 0
  #prefix: Uint8Array = EMPTY
  /** Of it, what stands before `message-id`. */
  #beforeIdBytes = 0
  /** Of the header `ack`; made when there is one to write. */
  #ackPrefix: Uint8Array | undefined
  #headOf: Message | undefined
  #head: Uint8Array = EMPTY
  #untold: { tag: number; reason: string }[] | undefined

  constructor(owner: SubscriptionOwner, options: SubscriptionOptions) {
    this.#owner = owner
    this.options = options
    this.#tags = owner.version === '1.2' || options.mode === 'auto' ? undefined : new Map()
  }

  start(consumer: Consumer): void {
    this.#consumer = consumer
    consumer.grant(this.options.messages, this.options.bytes)
  }

  look(browse: Browse): void {
    this.#browse = browse
    browse.grant(this.options.messages, this.options.bytes)
  }

  /** What is outstanding goes back to its queue. */
  close(): void {
    this.#consumer?.close()
    this.#browse?.close()
    this.#consumer = undefined
    this.#browse = undefined
  }

  deliver(delivery: Delivery): void {
    const owner = this.#owner
    if (owner.over) return
    const original = delivery.message
    this.#bytesBack += original.head.length + original.body.length
    if (delivery.tag === 0) this.#messagesBack++
    else this.#given = delivery.tag
    const { transform } = this.options
    const message =
      transform === undefined ? (original.dialect === 'stomp' ? original : owner.broker.translate(original, 'stomp')) : transform(original)
    if (message === undefined) {
      if (delivery.tag !== 0) (this.#untold ??= []).push({ tag: delivery.tag, reason: `no STOMP form for a message of dialect ${original.dialect}` })
      return
    }
    if (this.#tags !== undefined && delivery.tag !== 0) {
      this.#queueNumber = delivery.ref.queue
      const key = this.#keyOf(delivery.ref.queue, delivery.ref.sequence)
      this.#tags.delete(key)
      this.#tags.set(key, delivery.tag)
    }
    this.#write(delivery, message)
  }

  flush(): void {
    if (this.#untold !== undefined) this.#rejectUntold(this.#untold)
    // Nothing of a message is kept once it is written.
    this.#headOf = undefined
    this.#head = EMPTY
    this.#owner.flushed()
    if (this.#messagesBack * 2 >= this.options.messages || this.#bytesBack * 2 >= this.options.bytes) this.#owner.topUpLater()
  }

  /** The end of a browse, as ActiveMQ writes it. */
  drained(): void {
    const { output, over, version } = this.#owner
    if (over) return
    let text = 'MESSAGE\n'
    if (this.options.id !== '') text += `subscription:${escape(this.options.id, version)}\n`
    text += `destination:${escape(this.#owner.nameOf(this.options.queue) ?? '', version)}\nmessage-id:0\nbrowser:end\n\n\0`
    output.begin(text.length * 3)
    output.text(text)
    output.end()
    this.#owner.flushed()
  }

  ended(error: BrokerError): void {
    this.#consumer = undefined
    this.#browse = undefined
    this.#owner.subscriptionEnded(this, error)
  }

  /** Gives credit back, unless the socket is full. */
  topUp(): void {
    const taker = this.#consumer ?? this.#browse
    if (this.#stalled || taker === undefined || (this.#messagesBack === 0 && this.#bytesBack === 0)) return
    const messages = this.#messagesBack
    const bytes = this.#bytesBack
    this.#messagesBack = 0
    this.#bytesBack = 0
    taker.grant(messages, bytes)
  }

  stall(stalled: boolean): void {
    this.#stalled = stalled
    this.#consumer?.stall(stalled)
    this.#browse?.stall(stalled)
    this.topUp()
  }

  /**
   * 0: that delivery is not outstanding. `client` settles all before it as well (STOMP 1.1, 1.2: for ACK and NACK alike). `within`: not before
   * that is committed.
   */
  settle({ tag, key }: Meant, outcome: Outcome, answered: boolean, within: OpenTransaction | undefined): Ticket {
    const consumer = this.#consumer
    if (consumer === undefined || tag > this.#given) return 0
    if (this.options.mode !== 'client') return this.#settle(consumer, tag, tag, key, outcome, answered, within)
    let ticket: Ticket = 0
    if (this.#reopened !== undefined) ticket = this.#settleReopened(consumer, tag, outcome, answered, within)
    if (tag <= this.#settled) return ticket
    const first = this.#settled + 1
    this.#settled = tag
    return this.#settle(consumer, first, tag, undefined, outcome, answered, within)
  }

  #settle(
    consumer: Consumer,
    first: number,
    last: number,
    key: Meant['key'],
    outcome: Outcome,
    answered: boolean,
    within: OpenTransaction | undefined,
  ): Ticket {
    const ticket =
      within === undefined ? consumer.settle(first, last, outcome, answered) : consumer.settleIn(within.transaction, first, last, outcome)
    // Of a range, what is no longer there has been somebody's in hand too.
    if (ticket === 0 && this.options.mode !== 'client') return 0
    // Who takes more in one transaction than its window has room for gets on all the same: transactions have their own limit.
    this.#messagesBack += last - first + 1
    if (within === undefined) this.forget(first, last, key)
    else within.settled(this, first, last, key)
    return ticket
  }

  /** What an aborted transaction had settled, though something behind it was settled since. */
  #settleReopened(consumer: Consumer, tag: number, outcome: Outcome, answered: boolean, within: OpenTransaction | undefined): Ticket {
    const reopened = this.#reopened ?? []
    this.#reopened = undefined
    let ticket: Ticket = 0
    for (const [first, last] of reopened) {
      if (first <= tag) ticket = this.#settle(consumer, first, Math.min(last, tag), undefined, outcome, answered, within)
      if (last > tag) (this.#reopened ??= []).push([Math.max(first, tag + 1), last])
    }
    return ticket
  }

  /** An aborted transaction had settled these. */
  unsettle(first: number, last: number): void {
    if (this.#consumer === undefined) return
    this.#messagesBack -= last - first + 1
    if (this.options.mode === 'client') {
      if (this.#settled === last) this.#settled = first - 1
      else (this.#reopened ??= []).push([first, last])
    }
    this.#owner.topUpLater()
  }

  /** The delivery that a message-id of 1.0 or 1.1 means; tag 0: none. */
  meant(queue: number, sequence: number): Meant {
    if (queue !== this.#queueNumber && !this.options.several) return NOTHING
    const key = this.#keyOf(queue, sequence)
    return { tag: this.#tags?.get(key) ?? 0, key }
  }

  #keyOf(queue: number, sequence: number): number | string {
    return this.options.several ? `${queue}-${sequence}` : sequence
  }

  /** These are settled for good: nobody will name them again. */
  forget(first: number, last: number, key: Meant['key']): void {
    if (this.#tags === undefined) return
    if (key !== undefined) {
      this.#tags.delete(key)
      return
    }
    for (const [each, tag] of this.#tags) {
      if (tag > last) break
      if (tag >= first) this.#tags.delete(each)
    }
  }

  #rejectUntold(untold: readonly { tag: number; reason: string }[]): void {
    this.#untold = undefined
    for (const { tag, reason } of untold) {
      this.#consumer?.settle(tag, tag, { kind: 'rejected', reason }, false)
      if (this.options.mode !== 'client') this.#messagesBack++
    }
  }

  #write(delivery: Delivery, message: Message): void {
    const output = this.#owner.output
    if (delivery.to !== this.#prefixTo || delivery.ref.queue !== this.#prefixQueue || delivery.dead !== undefined) this.#makePrefix(delivery)
    // What another protocol's sender calls its message stands first in a translated head. 1.0 and 1.1 acknowledge by message-id, so there it is ours.
    const named = message === delivery.message ? 0 : afterMessageId(message.head)
    const latest = this.#owner.version === '1.2'
    const head = latest ? message.head : this.#relabelled(message, named)
    const body = message.body
    const inline = body.length < REFERENCE_BYTES
    output.begin(this.#prefix.length + head.length + FIXED_BYTES + (inline ? body.length : 0))
    if (latest && named > 0) output.copy(this.#prefix.subarray(0, this.#beforeIdBytes))
    else {
      output.copy(this.#prefix)
      output.number(delivery.ref.sequence)
      output.byte(LF)
    }
    if (delivery.tag !== 0 && latest) {
      this.#ackPrefix ??= Buffer.from(`ack:${this.options.number}-`)
      output.copy(this.#ackPrefix)
      output.number(delivery.tag)
      output.byte(LF)
    }
    let text = ''
    if (delivery.maybeSeen || delivery.attempts > 1) text += 'redelivered:true\n'
    if (delivery.retained) text += 'ActiveMQ.Retained:true\n'
    if (delivery.groupFirst) text += 'JMSXGroupFirstForConsumer:true\n'
    if (text !== '') output.ascii(text)
    if (head.length > 0) output.copy(head)
    output.byte(LF)
    if (inline) {
      if (body.length > 0) output.copy(body)
      output.byte(0)
      output.end()
    } else {
      output.reference(body)
      output.begin(1)
      output.byte(0)
      output.end()
    }
  }

  #makePrefix(delivery: Delivery): void {
    const version = this.#owner.version
    const dead = delivery.dead
    const owner = this.#owner
    let text = 'MESSAGE\n'
    if (this.options.id !== '') text += `subscription:${escape(this.options.id, version)}\n`
    // A dead letter is a message of its dead-letter queue; where it came from is said beside it.
    const destination = owner.nameOf(dead === undefined ? delivery.to : delivery.queue) ?? owner.nameOf(delivery.queue)
    text += `destination:${escape(destination ?? '', version)}\n`
    if (dead !== undefined) {
      text += `original-destination:${escape(owner.nameOf(dead.origin) ?? owner.nameOf(delivery.to) ?? '', version)}\n`
      text += `dlqDeliveryFailureCause:${escape(dead.reason, version)}\n`
    }
    this.#beforeIdBytes = Buffer.byteLength(text)
    this.#prefix = Buffer.from(`${text}message-id:${delivery.ref.queue}-`)
    this.#prefixTo = dead === undefined ? delivery.to : undefined
    this.#prefixQueue = delivery.ref.queue
  }

  #relabelled(message: Message, from: number): Uint8Array {
    if (message !== this.#headOf) {
      const head = from === 0 ? message.head : message.head.subarray(from)
      const bytes = Buffer.from(head.buffer, head.byteOffset, head.length)
      this.#head = bytes.includes(BACKSLASH) ? Buffer.from(relabel(bytes.toString(), this.#owner.version)) : head
      this.#headOf = message
    }
    return this.#head
  }
}

const EMPTY = new Uint8Array(0)
const LF = 0x0a
const BACKSLASH = 0x5c
/** From here on a body is given to the wire as it is; below, copying is cheaper than another piece. */
const REFERENCE_BYTES = 2048
/** Room for message-id, ack, redelivered, ActiveMQ.Retained, JMSXGroupFirstForConsumer, the empty line and the NUL. */
const FIXED_BYTES = 192
