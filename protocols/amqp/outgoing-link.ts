// A link on which the client receives (part 2.6): takes deliveries from one queue as its credit and the session's window allow, and settles.
// Hot room. Not here: how its queue came to be (sources.ts), its credit (link-credit.ts), messages (rendering.ts), frames (outbound.ts), delivery ids (outbox.ts).
//
// A link whose source outlives it (expiry.ts) has a session of the core of its own, and keeps what it sent until it is settled: when its client goes, all
// of that stays locked, and the link of the same name that comes after it inherits and resumes it (resuming.ts).
import type {
  BrokerError,
  Browse,
  BrowseSink,
  Consumer,
  Delivery,
  Message,
  Outcome as CoreOutcome,
  Replies,
  Session,
  Sink,
  Ticket,
} from '../../src/api.ts'
import type { Channel } from './channel.ts'
import { Committed } from './committed.ts'
import { type AmqpError, brokerError, errorOf, fault } from './errors.ts'
import type { Expiry } from './expiry.ts'
import { DIALECT } from './incoming-message.ts'
import type { KeptLink } from './kept-links.ts'
import { LinkCredit } from './link-credit.ts'
import { isTerminal, type Outcome, outcomeBytes, readOutcome, RELEASED } from './outcome.ts'
import { entryOfTag, type OutboundLink } from './outbound.ts'
import { OwnSink, type OwnSession } from './own-session.ts'
import type { Attach } from './performatives.ts'
import { Rendering } from './rendering.ts'
import { Resending } from './resending.ts'
import { bytesOf, InHand, saidOf } from './resuming.ts'
import type { Source } from './source.ts'
import type { Term } from './term.ts'
import type { OpenTransaction, Settled } from './transactions.ts'

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
  #committed = new Committed()
  /** What was sent and is unsettled, of a link with a session of its own. */
  #inHand: InHand | undefined
  readonly #resending: Resending
  #sink: OwnSink | undefined
  #consumer: Consumer | undefined
  /** The consumer, or what looks at the queue. */
  taker: Browse | undefined
  over = false
  readonly credit: LinkCredit
  readonly rendering: Rendering
  /** What the client brought back from an earlier connection as done, by the part of its tag that stays with an entry. */
  readonly #said: Map<string, CoreOutcome> | undefined

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
    this.credit = new LinkCredit(this, channel.connection.shared.settings)
    this.rendering = new Rendering(channel.connection.reader, source.wildcard)
    this.settled = attach.senderSettles === 1 || source.copy
    const standard = attach.source?.defaultOutcome
    const outcome = standard === undefined ? undefined : readOutcome(standard)
    this.#defaultOutcome = outcome !== undefined && isTerminal(outcome) ? outcome : RELEASED
    this.#said = saidOf(attach)
    this.#resending = new Resending(this, channel)
  }

  open(consumer: Consumer): void {
    this.#consumer = consumer
    this.taker = consumer
  }

  look(browse: Browse): void {
    this.taker = browse
  }

  /** Its own session, or the connection's. */
  get session(): Session {
    return this.#own?.session ?? this.#channel.connection.session
  }

  /** `run` when this ticket of its session is committed. */
  after(ticket: Ticket, run: () => void): void {
    if (this.#own === undefined) this.#channel.connection.after(ticket, run)
    else this.#committed.after(ticket, run)
  }

  /** Something may be inherited of it. */
  get alive(): boolean {
    return this.#own !== undefined && this.#consumer !== undefined
  }

  /** Where the core gives what it has for a link with a session of its own: to whoever has that then. */
  get sink(): Sink {
    this.#sink ??= new OwnSink(this)
    return this.#sink
  }

  /** Goes on where the last link of this name was left. Answers what it has unsettled. */
  inherit(link: OutgoingLink): readonly (readonly [Term, Term])[] {
    link.#channel.outbox.unsettled.forget(link)
    this.#own = link.#own
    this.apart = link.apart
    this.#hasPlace = link.#hasPlace
    link.#hasPlace = false
    this.#committed = link.#committed
    this.#consumer = link.#consumer
    this.taker = link.taker
    this.#sink = link.#sink
    if (this.#sink !== undefined) this.#sink.to = this
    this.#inHand = link.#inHand
    this.credit.inherit(link.credit)
    if (this.#own !== undefined) this.#own.to = this
    if (this.#inHand === undefined) return []
    const { forgotten, toResume, ours } = this.#inHand.compare(this.attach, this.#channel.connection.frameBytesOut)
    // Nobody knows whether it came, or what became of it: it is given out again.
    for (const delivery of forgotten) this.settleInHand(delivery.tag, delivery.tag, RELEASED, false)
    this.#resending.begin(toResume)
    this.credit.unsettled = this.#inHand.size
    this.#consumer?.stall(false)
    return ours
  }

  /** Not all that is unsettled had room in our attach (part 2.7.3, incomplete-unsettled). */
  resumeOnly(): void {
    this.#resending.only = true
  }

  /** Answers the ticket; 0: they are gone already. */
  settleInHand(first: number, last: number, outcome: CoreOutcome, answered: boolean): Ticket {
    this.credit.bytesBack += this.#inHand?.settled(first, last) ?? 0
    return this.#consumer?.settle(first, last, outcome, answered) ?? 0
  }

  get flowState(): Readonly<{ handle: number; deliveryCount: number; credit: number; drain: boolean }> {
    const { deliveryCount, left, drain } = this.credit
    return { handle: this.handle, deliveryCount, credit: left, drain }
  }

  // ---- Credit

  /** It may be given something. */
  get takes(): boolean {
    return this.answered && !this.over
  }

  /** Sends again what is to be sent again, as far as there is credit. Something new may come once that is done. */
  takesNew(): boolean {
    return this.#resending.isDone()
  }

  topUp(): void {
    this.credit.topUp()
  }

  tellDrained(): void {
    this.#channel.flowLater(this)
    this.#channel.connection.flush()
  }

  begun(): void {
    this.credit.begun()
  }

  sent(): void {
    this.credit.sent()
  }

  // ---- Deliveries

  deliver(delivery: Delivery): void {
    if (this.over) return
    this.credit.given()
    const { message } = delivery
    // Of one that is kept the bytes come back when it is settled: what a client that is away can hold is bounded by them.
    if (this.#inHand === undefined || delivery.tag === 0) this.credit.bytesBack += bytesOf(message)
    else this.#inHand.given(delivery)
    const ours = message.dialect === DIALECT ? message : this.#channel.connection.shared.broker.translate(message, DIALECT)
    if (ours === undefined) {
      this.#cannotTake(delivery, fault('unsupported', `no AMQP form for a message of dialect ${message.dialect}`))
      return
    }
    this.#send(delivery, ours)
  }

  /** Never skipped silently: it is a dead letter, with the reason. Its credit is not used. One that is settled already is lost to its receiver, whose link ends with it. */
  #cannotTake({ tag }: Delivery, error: AmqpError): void {
    if (tag !== 0) this.settleInHand(tag, tag, { kind: 'rejected', reason: error.description }, false)
    // What is only looked at stays where it is. Not from inside a call of the core.
    else if (!this.source.copy) this.#channel.connection.inTurn(() => this.#channel.detach(this, true, error))
  }

  #send(delivery: Delivery, message: Message): void {
    const { broker } = this.#channel.connection.shared
    const outcome = this.#said === undefined ? undefined : this.#sayOnce(this.#said, entryOfTag(delivery.ref))
    const settled = delivery.tag === 0 || outcome !== undefined
    if (outcome !== undefined && delivery.tag !== 0) this.settleInHand(delivery.tag, delivery.tag, outcome, false)
    const state = outcome === undefined ? undefined : outcomeBytes(outcome)
    const parts = state === undefined ? this.rendering.partsOf(delivery, message, broker.clock.wallMs()) : []
    const { messageBytesMax } = this.attach
    if (messageBytesMax > 0 && parts.reduce((sum, part) => sum + part.length, 0) > messageBytesMax) {
      this.#cannotTake(delivery, fault('too-large', `larger than the max-message-size of its receiver (${messageBytesMax})`))
      return
    }
    if (!settled) this.credit.unsettled++
    this.credit.queued()
    this.#channel.outbox.send(this, {
      ref: delivery.ref,
      attempts: delivery.attempts,
      coreTag: settled ? 0 : delivery.tag,
      settled,
      state,
      parts,
    })
  }

  #sayOnce(said: Map<string, CoreOutcome>, entry: string): CoreOutcome | undefined {
    const outcome = said.get(entry)
    said.delete(entry)
    return outcome
  }

  flush(): void {
    this.#channel.connection.flush()
    this.topUpLater()
  }

  /** A receiver that wants to know where the end of a queue is asks for it by draining. */
  drained(): void {}

  /** Its queue is no more, or its own session. */
  ended(error: BrokerError): void {
    this.#consumer = undefined
    this.taker = undefined
    if (this.over) return
    this.#channel.detach(this, true, errorOf(error))
    this.#channel.connection.flush()
  }

  // ---- What its own session tells

  done(upTo: Ticket): void {
    this.#committed.done(upTo)
    this.#channel.connection.flush()
  }

  /** It publishes nothing. */
  admitted(): void {}

  refused(): void {}

  pressure(): void {}

  // ---- Outcomes

  /** Answers the ticket of the settlement; 0: the entry is gone already. */
  settle(first: number, last: number, outcome: Outcome | undefined, answered: boolean): Ticket {
    this.credit.unsettled -= last - first + 1
    const core = outcome !== undefined && isTerminal(outcome) ? outcome : this.#defaultOutcome
    const ticket = this.settleInHand(first, last, core, answered)
    this.topUpLater()
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
    this.credit.bytesBack += this.#inHand?.settled(first, last) ?? 0
    this.#freed(last - first + 1)
  }

  /** Settled in a transaction that is rolled back, by a client that forgot them. */
  failed({ first, last, free }: Settled): void {
    this.settleInHand(first, last, FAILED, false)
    if (!free) this.#freed(last - first + 1)
  }

  #freed(count: number): void {
    this.credit.unsettled -= count
    this.topUpLater()
  }

  topUpLater(): void {
    this.#channel.connection.turns.topUpLater(this.credit)
  }

  // ---- Its end

  /** Its client is away, and may come back: what is unsettled stays as it is. */
  suspend(): void {
    this.over = true
    this.credit.suspend(this.taker)
  }

  /** It did not come back. */
  drop(): void {
    this.#channel.outbox.unsettled.forget(this)
    this.release()
  }

  /** What is unsettled goes back to its queue. */
  release(): void {
    this.over = true
    this.taker?.close()
    this.#consumer = undefined
    this.taker = undefined
    this.#inHand = undefined
    this.#own?.session.close('clean')
    this.#own = undefined
    if (this.#hasPlace) this.#channel.connection.shared.kept.leave()
    this.#hasPlace = false
  }
}

const FAILED: CoreOutcome = { kind: 'modified', failed: true, elsewhere: false, afterMs: 0 }
