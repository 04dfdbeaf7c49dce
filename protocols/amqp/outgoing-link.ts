// A link on which the client receives (part 2.6): takes deliveries from one queue as its credit and the session's window allow, and settles.
// Hot room. Not here: how its queue came to be (sources.ts), frames (outbound.ts), delivery ids (channel.ts).
//
// A link whose source outlives it (expiry.ts) has a session of the core of its own, and keeps what it sent until it is settled: when its client goes, all
// of that stays locked, and the link of the same name that comes after it inherits and resumes it (resuming.ts).
//
// What the core may hand over is the least of: the client's credit, `prefetch`, and what is left of `unsettledMax`; bytes come back as the
// socket drains. So a receiver with endless credit and a closed window, or one that never settles, costs a bounded amount.
import type {
  Address,
  BrokerError,
  Browse,
  BrowseSink,
  Consumer,
  ConsumerOptions,
  Delivery,
  Message,
  Outcome as CoreOutcome,
  QueuePattern,
  Replies,
  Session,
  Sink,
  Ticket,
} from '../../src/api.ts'
import { formatAddress } from './address.ts'
import type { Channel } from './channel.ts'
import { annotatedHead, changedHead, isAnnotated } from './annotated.ts'
import { brokerError, errorOf } from './errors.ts'
import type { Expiry } from './expiry.ts'
import { groupFirstHead } from './group-first.ts'
import { DIALECT } from './incoming-message.ts'
import type { KeptLink } from './kept-links.ts'
import { isTerminal, type Outcome, outcomeTerm, readOutcome, RELEASED } from './outcome.ts'
import { entryOfTag, headerSection, type OutboundLink } from './outbound.ts'
import type { OwnSession } from './own-session.ts'
import type { Attach, Flow } from './performatives.ts'
import { bytesOf, InHand, missing, type Resumption } from './resuming.ts'
import { DELIVERY_ANNOTATIONS, section } from './sections.ts'
import { pairs, symbol, type Term, text } from './term.ts'
import type { OpenTransaction, Settled } from './transactions.ts'
import type { Terminus } from './terminus.ts'
import { TermWriter } from './writer.ts'

/** Where a link takes from, and what becomes of that when it ends. */
export type Source = Readonly<{
  queue: Address
  /** As the answer names it. */
  address: string
  /** Goes with the link. */
  temporary: boolean
  /** The temporary node that goes with it. */
  node: Address | undefined
  /** A durable subscription: it goes when the link is closed, and stays when it is only detached. */
  durable: boolean
  /** How it stands beside other receivers. */
  exclusive: ConsumerOptions['exclusive']
  priority: number
  /** Nothing is consumed: the client asks what there is (and may delete it by closing the link). */
  lookup: boolean
  /** Of more than one topic or queue: each delivery says which. */
  wildcard: boolean
  /** It takes from every queue that matches, or from those of a list, instead of from `queue`. */
  several?: QueuePattern | readonly Address[]
  /** The queue is only looked at (distribution-mode copy): settled by us, nothing is taken. */
  copy: boolean
  /** Of a queue it is the consumer's, of a subscription its binding's. */
  selector: string | undefined
  noLocal: boolean
  /** What is in force of what was asked, for the answer. */
  filter: Terminus['filter']
}>

export type OutgoingOptions = Readonly<{ attach: Attach; source: Source; expiry: Expiry; signature: string; own: OwnSession | undefined }>

export class OutgoingLink implements BrowseSink, OutboundLink, Replies, KeptLink {
  readonly attach: Attach
  readonly expiry: Expiry
  readonly signature: string
  /** The client's handle, and ours. */
  readonly incoming: number
  readonly handle: number
  readonly receives = true
  readonly source: Source
  readonly settled: boolean
  answered = false
  leaving: Readonly<{ closed: boolean }> | undefined
  readonly #channel: Channel
  readonly #defaultOutcome: CoreOutcome
  #own: OwnSession | undefined
  /** It takes by a session of its own, or did until its end: with that goes what holds its source. */
  apart: boolean
  /** Among those that may be kept. */
  #hasPlace: boolean
  #doneUpTo: Ticket = 0
  #after: Readonly<{ ticket: Ticket; run: () => void }>[] = []
  /** What was sent and is unsettled, of a link with a session of its own, and what of it is to be sent again. */
  #inHand: InHand | undefined
  #toResume: Resumption[] = []
  #sink: SinkOf | undefined
  /** What was said to be unsettled is not all: nothing new may go. */
  #resumesOnly = false
  #consumer: Consumer | undefined
  /** The consumer, or what looks at the queue. */
  #taker: Browse | undefined
  #over = false
  /** Begun on the wire, and handed over but not yet begun. */
  #deliveryCount = 0
  #waiting = 0
  /** What the client allows beyond those. */
  #credit = 0
  /** What the core may still hand over. */
  #granted = 0
  #grantedBytes = false
  #bytesBack = 0
  #stalled = false
  #held = false
  /** Deliveries of which the client has yet to speak. */
  unsettled = 0
  #drain = false
  /** Tags that the client brought back from an earlier connection, with what became of them there. */
  readonly #resumed: Map<string, CoreOutcome> | undefined
  #lastTo: Address | undefined
  #lastToSection: Uint8Array = EMPTY

  constructor(channel: Channel, { attach, source, expiry, signature, own }: OutgoingOptions) {
    this.expiry = expiry
    this.signature = signature
    this.#own = own
    this.apart = own !== undefined
    this.#hasPlace = own !== undefined
    if (own !== undefined) {
      own.to = this
      this.#inHand = new InHand()
    }
    this.#channel = channel
    this.attach = attach
    this.incoming = attach.handle
    this.handle = attach.own
    this.source = source
    this.settled = attach.senderSettles === 1 || source.copy
    const standard = attach.source?.defaultOutcome
    const outcome = standard === undefined ? undefined : readOutcome(standard)
    this.#defaultOutcome = outcome !== undefined && isTerminal(outcome) ? outcome : RELEASED
    this.#resumed = resumedOf(attach)
    this.#resumesOnly = attach.incomplete
  }

  open(consumer: Consumer): void {
    this.#consumer = consumer
    this.#taker = consumer
  }

  look(browse: Browse): void {
    this.#taker = browse
  }

  /** Its own session, or the connection's. */
  get session(): Session {
    return this.#own?.session ?? this.#channel.connection.session
  }

  /** `run` when this ticket of its session is committed. */
  after(ticket: Ticket, run: () => void): void {
    if (this.#own === undefined) this.#channel.connection.after(ticket, run)
    else if (ticket <= this.#doneUpTo) run()
    else this.#after.push({ ticket, run })
  }

  /** Something may be inherited of it. */
  get alive(): boolean {
    return this.#own !== undefined && this.#consumer !== undefined
  }

  /** Where the core gives what it has for a link with a session of its own: to whoever has that then. */
  get sink(): Sink {
    this.#sink ??= new SinkOf(this)
    return this.#sink
  }

  /** Goes on where the last link of this name was left. Answers what it has unsettled. */
  inherit(link: OutgoingLink): readonly (readonly [Term, Term])[] {
    link.#channel.forgetUnsettled(link)
    this.#own = link.#own
    this.apart = link.apart
    this.#hasPlace = link.#hasPlace
    link.#hasPlace = false
    this.#doneUpTo = link.#doneUpTo
    this.#after = link.#after
    this.#consumer = link.#consumer
    this.#taker = link.#taker
    this.#sink = link.#sink
    if (this.#sink !== undefined) this.#sink.to = this
    this.#inHand = link.#inHand
    this.#grantedBytes = true
    this.#bytesBack = link.#bytesBack
    if (this.#own !== undefined) this.#own.to = this
    if (this.#inHand === undefined) return []
    const { forgotten, toResume, ours } = this.#inHand.compare(this.attach, this.source.several !== undefined, this.#channel.connection.frameBytesOut)
    // Nobody knows whether it came, or what became of it: it is given out again.
    for (const delivery of forgotten) this.#settleInHand(delivery.tag, delivery.tag, RELEASED, false)
    this.#toResume = toResume
    this.unsettled = this.#inHand.size
    this.#consumer?.stall(false)
    return ours
  }

  /** Not all that is unsettled had room in our attach (part 2.7.3, incomplete-unsettled). */
  resumeOnly(): void {
    this.#resumesOnly = true
  }

  #settleInHand(first: number, last: number, outcome: CoreOutcome, answered: boolean): Ticket {
    this.#bytesBack += this.#inHand?.settled(first, last) ?? 0
    return this.#consumer?.settle(first, last, outcome, answered) ?? 0
  }

  get flowState(): Readonly<{ handle: number; deliveryCount: number; credit: number; drain: boolean }> {
    return { handle: this.handle, deliveryCount: this.#deliveryCount, credit: this.#credit, drain: this.#drain }
  }

  // ---- Credit

  flow(flow: Flow): void {
    const credit = flow.linkCredit ?? 0
    // Part 2.6.7: link-credit := delivery-count(receiver) + link-credit(receiver) − delivery-count(sender).
    const known = flow.deliveryCount ?? 0
    const left = (known + credit - this.#deliveryCount - this.#waiting) | 0
    this.#credit = credit > 0x7f_ff_ff_ff ? credit : Math.max(0, left)
    this.#drain = flow.drain
    this.topUp()
    if (this.#drain) this.#drainLater()
  }

  /** Tells the core what it may hand over now. */
  topUp(): void {
    const taker = this.#taker
    if (taker === undefined || !this.answered || this.#over) return
    const { prefetch, prefetchBytes, unsettledMax } = this.#channel.connection.shared.settings
    if (this.#toResume.length > 0) this.#resumeSome()
    const none = this.#resumesOnly || this.#toResume.length > 0
    const wanted = none ? 0 : Math.max(0, Math.min(this.#credit, prefetch - this.#waiting, this.settled ? prefetch : unsettledMax - this.unsettled))
    const messages = wanted - this.#granted
    let bytes = 0
    if (!this.#grantedBytes) {
      this.#grantedBytes = true
      bytes = prefetchBytes
    } else if (this.#bytesBack * 2 >= prefetchBytes || this.#waiting === 0) {
      bytes = this.#bytesBack
      this.#bytesBack = 0
    }
    if (messages === 0 && bytes === 0) return
    this.#granted = wanted
    taker.grant(messages, bytes)
  }

  /** The window or the socket is closed: others may have what is there. */
  stall(stalled: boolean): void {
    this.#stalled = stalled
    this.#taker?.stall(stalled || this.#held)
    if (!stalled && !this.#held) {
      this.topUp()
      if (this.#drain) this.#drainLater()
    }
  }

  /** What was taken comes back in shares: until then it is given nothing. */
  hold(held: boolean): void {
    this.#held = held
    this.stall(this.#stalled)
  }

  #drainLater(): void {
    this.#taker?.whenIdle(() => this.#drained())
    if (this.#taker === undefined) this.#drained()
  }

  /** Part 2.6.7: nothing is left to send, so the credit is used up. */
  #drained(): void {
    if (this.#over || !this.#drain || this.#waiting > 0) return
    this.#deliveryCount = (this.#deliveryCount + this.#credit) >>> 0
    this.#credit = 0
    this.topUp()
    this.#channel.flowLater(this)
    this.#channel.connection.flush()
    this.#drain = false
  }

  // ---- Deliveries

  deliver(delivery: Delivery): void {
    if (this.#over) return
    this.#granted--
    const { message } = delivery
    // Of one that is kept the bytes come back when it is settled: what a client that is away can hold is bounded by them.
    if (this.#inHand === undefined || delivery.tag === 0) this.#bytesBack += bytesOf(message)
    else this.#inHand.given(delivery)
    const ours = message.dialect === DIALECT ? message : this.#channel.connection.shared.broker.translate(message, DIALECT)
    if (ours === undefined) {
      this.#cannotTake(delivery, `no AMQP form for a message of dialect ${message.dialect}`)
      return
    }
    this.#send(delivery, ours)
  }

  /** Never skipped silently: it is a dead letter, with the reason. Its credit is not used. */
  #cannotTake(delivery: Delivery, reason: string): void {
    if (delivery.tag !== 0) this.#settleInHand(delivery.tag, delivery.tag, { kind: 'rejected', reason }, false)
  }

  /** What was sent on an earlier link of this name, in its order, as far as there is credit. */
  #resumeSome(): void {
    let left = RESUMED_PER_TURN
    while (this.#credit > 0 && left-- > 0) {
      const next = this.#toResume.shift()
      if (next === undefined) return
      this.#resumeOne(next)
    }
    if (this.#credit > 0 && this.#toResume.length > 0) this.#channel.connection.topUpLater(this)
  }

  #resumeOne({ delivery, state }: Resumption): void {
    // Said of this delivery, not of the next of its entry.
    this.#resumed?.delete(entryOfTag(delivery.ref, this.source.several !== undefined))
    const outcome = state === undefined ? undefined : readOutcome(state)
    const over = outcome !== undefined && isTerminal(outcome)
    const { broker } = this.#channel.connection.shared
    const ours = delivery.message.dialect === DIALECT ? delivery.message : broker.translate(delivery.message, DIALECT)
    if (over || ours === undefined) {
      this.#settleInHand(delivery.tag, delivery.tag, over ? outcome : RELEASED, false)
      this.unsettled--
    }
    const whole = over || ours === undefined ? [] : this.#partsOf(delivery, ours, broker.clock.wallMs())
    const { parts, from } = missing(whole, state, this.#channel.connection.shared.settings)
    const settled = over || ours === undefined
    this.#credit--
    this.#waiting++
    this.#channel.send(this, {
      ref: delivery.ref,
      attempts: delivery.attempts,
      ofSeveral: this.source.several !== undefined,
      coreTag: settled ? 0 : delivery.tag,
      settled,
      state: new TermWriter(16).term(settled ? outcomeTerm(over ? outcome : RELEASED) : from).bytes(),
      parts,
    })
  }

  #send(delivery: Delivery, message: Message): void {
    const { broker } = this.#channel.connection.shared
    const ofSeveral = this.source.several !== undefined
    const outcome = this.#resumed === undefined ? undefined : this.#resume(entryOfTag(delivery.ref, ofSeveral))
    const settled = delivery.tag === 0 || outcome !== undefined
    if (outcome !== undefined && delivery.tag !== 0) this.#settleInHand(delivery.tag, delivery.tag, outcome, false)
    const state = outcome === undefined ? undefined : new TermWriter(16).term(outcomeTerm(outcome)).bytes()
    const parts = state === undefined ? this.#partsOf(delivery, message, broker.clock.wallMs()) : []
    const { messageBytesMax } = this.attach
    if (messageBytesMax > 0 && parts.reduce((sum, part) => sum + part.length, 0) > messageBytesMax) {
      this.#cannotTake(delivery, `larger than the max-message-size of its receiver (${messageBytesMax})`)
      return
    }
    if (!settled) this.unsettled++
    this.#credit--
    this.#waiting++
    this.#channel.send(this, {
      ref: delivery.ref,
      attempts: delivery.attempts,
      ofSeveral,
      coreTag: settled ? 0 : delivery.tag,
      settled,
      state,
      parts,
    })
  }

  #partsOf(delivery: Delivery, message: Message, wallMs: number): readonly Uint8Array[] {
    const header = headerSection(message, delivery, wallMs)
    const { reader } = this.#channel.connection
    let { head } = message
    if (isAnnotated(delivery)) head = changedHead(annotatedHead, reader, head, delivery)
    if (delivery.groupFirst) head = changedHead(groupFirstHead, reader, head, delivery)
    // The property `to` is its sender's, and other protocols have none: where it was sent stands in a delivery annotation.
    const says = this.source.wildcard || message !== delivery.message
    return says && !hasDeliveryAnnotations(head) ? [header, this.#addressSection(delivery.to), head, message.body] : [header, head, message.body]
  }

  #addressSection(to: Address): Uint8Array {
    if (to === this.#lastTo) return this.#lastToSection
    const name = formatAddress(to)
    this.#lastTo = to
    this.#lastToSection =
      name === undefined
        ? EMPTY
        : section(new TermWriter(), DELIVERY_ANNOTATIONS)
            .term(pairs([[symbol('x-opt-to'), text(name)]]))
            .bytes()
    return this.#lastToSection
  }

  /** What the client said became of this entry, by the sequence in its tag. */
  #resume(key: string): CoreOutcome | undefined {
    const outcome = this.#resumed?.get(key)
    this.#resumed?.delete(key)
    return outcome
  }

  flush(): void {
    this.#channel.connection.flush()
    this.#channel.connection.topUpLater(this)
  }

  /** A receiver that wants to know where the end of a queue is asks for it by draining. */
  drained(): void {}

  /** Its queue is no more, or its own session. */
  ended(error: BrokerError): void {
    this.#consumer = undefined
    this.#taker = undefined
    if (this.#over) return
    this.#channel.detach(this, true, errorOf(error))
    this.#channel.connection.flush()
  }

  // ---- What its own session tells

  done(upTo: Ticket): void {
    this.#doneUpTo = upTo
    let ran = 0
    while (ran < this.#after.length && this.#after[ran].ticket <= upTo) this.#after[ran++].run()
    if (ran > 0) this.#after.splice(0, ran)
    this.#channel.connection.flush()
  }

  /** It publishes nothing. */
  admitted(): void {}

  refused(): void {}

  pressure(): void {}

  begun(): void {
    this.#waiting--
    this.#deliveryCount = (this.#deliveryCount + 1) >>> 0
  }

  sent(): void {
    if (this.#drain && this.#waiting === 0) this.#drainLater()
  }

  // ---- Outcomes

  /** Answers the ticket of the settlement; 0: the entry is gone already. */
  settle(first: number, last: number, outcome: Outcome | undefined, answered: boolean): Ticket {
    this.unsettled -= last - first + 1
    const core = outcome !== undefined && isTerminal(outcome) ? outcome : this.#defaultOutcome
    const ticket = this.#settleInHand(first, last, core, answered)
    this.#channel.connection.topUpLater(this)
    return ticket
  }

  /** The same when the transaction is discharged. `settled`: the client speaks of these no more. */
  settleWithin(open: OpenTransaction, first: number, last: number, outcome: CoreOutcome | undefined, settled: boolean): void {
    const ticket = this.#consumer?.settleIn(open.transaction, first, last, outcome ?? this.#defaultOutcome) ?? 0
    // What it counts on is not there any more: then nothing of it may happen.
    if (ticket === 0) open.transaction.doom(this.session.refusal ?? brokerError('not-found', 'what it settled is not there'))
    if (!settled) return
    // In a transaction that is lost they stay in hand until its end: else a client could have a whole queue given to it.
    const free = open.transaction.doomed === undefined
    open.settled({ link: this, first, last, free })
    if (!free) return
    this.#bytesBack += this.#inHand?.settled(first, last) ?? 0
    this.#freed(last - first + 1)
  }

  /** Settled in a transaction that is rolled back, by a client that forgot them. */
  failed({ first, last, free }: Settled): void {
    this.#settleInHand(first, last, FAILED, false)
    if (!free) this.#freed(last - first + 1)
  }

  #freed(count: number): void {
    this.unsettled -= count
    this.#channel.connection.topUpLater(this)
  }

  // ---- Its end

  /** Its client is away, and may come back: what is unsettled stays as it is. */
  suspend(): void {
    this.#over = true
    this.#taker?.grant(-this.#granted, 0)
    this.#taker?.stall(true)
  }

  /** It did not come back. */
  drop(): void {
    this.#channel.forgetUnsettled(this)
    this.release()
  }

  /** What is unsettled goes back to its queue. */
  release(): void {
    this.#over = true
    this.#taker?.close()
    this.#consumer = undefined
    this.#taker = undefined
    this.#inHand = undefined
    this.#own?.session.close('clean')
    this.#own = undefined
    if (this.#hasPlace) this.#channel.connection.shared.kept.leave()
    this.#hasPlace = false
  }
}

class SinkOf implements Sink {
  to: Sink

  constructor(to: Sink) {
    this.to = to
  }

  deliver(delivery: Delivery): void {
    this.to.deliver(delivery)
  }

  flush(): void {
    this.to.flush()
  }

  ended(error: BrokerError): void {
    this.to.ended(error)
  }
}

function hasDeliveryAnnotations(head: Uint8Array): boolean {
  return head.length > 2 && head[1] === 0x53 && head[2] === DELIVERY_ANNOTATIONS
}

const EMPTY = new Uint8Array(0)
const RESUMED_PER_TURN = 500
const FAILED: CoreOutcome = { kind: 'modified', failed: true, elsewhere: false, afterMs: 0 }

function resumedOf(attach: Attach): Map<string, CoreOutcome> | undefined {
  const resumed = new Map<string, CoreOutcome>()
  for (const [tag, state] of attach.unsettled ?? []) {
    if (tag.type !== 'binary' || state.type === 'null') continue
    const outcome = readOutcome(state)
    if (isTerminal(outcome)) resumed.set(Buffer.from(tag.value).toString('hex', 0, Math.max(0, tag.value.length - 1)), outcome)
  }
  return resumed.size === 0 ? undefined : resumed
}
