// One connected client: its tickets, and the publishes that wait for room. What it does with queues is `declare.ts`, `bind.ts` and `taking.ts`; what
// outlives the connection, `sessions.ts`; what begins and ends sessions, `membership.ts`.
import type {
  Address,
  Binding,
  Bound,
  BrokerError,
  Browse,
  BrowseOptions,
  BrowseSink,
  Consumer,
  ConsumerOptions,
  EntryRef,
  Held,
  Message,
  Outcome,
  Pattern,
  Plan,
  PublishOptions,
  PullOptions,
  QueuePattern,
  QueueOptions,
  Replies,
  Session,
  Sink,
  Ticket,
  Transaction,
} from '../api.ts'
import { CodedError } from '../errors.ts'
import { FACT } from '../journal/facts.ts'
import { type CoreAddress, own } from './addresses.ts'
import { bind, boundTo, unbind } from './bind.ts'
import type { CoreBrowse } from './browse.ts'
import type { CoreConsumer } from './consumer.ts'
import { declare, hold, release, remove } from './declare.ts'
import type { Live } from './live.ts'
import type { LiveTransaction } from './live-transaction.ts'
import type { Membership } from './membership.ts'
import { ParkedPublishes } from './parked.ts'
import type { Queue } from './queue.ts'
import { journalFull } from './refusals.ts'
import { originOf } from './selecting.ts'
import type { SessionRecord } from './sessions.ts'
import { Taking } from './taking.ts'

const PARKED: Ticket = -1

/** Whose connection it is. */
type Who = Readonly<{ principal: string; remote: string; origin?: string }>

export class LiveSession implements Session {
  readonly record: SessionRecord
  readonly resumed: boolean
  readonly replies: Replies
  readonly principal: string
  /** Whose messages it sends, for no-local. */
  readonly origin: string
  readonly remote: string
  /** Rises with each session that is connected in this term. */
  readonly order: number
  opened: Ticket = 0
  refusal: BrokerError | undefined
  unheard = false
  lastTicket = 0
  /** Number of the youngest batch that a ticket waits for, and the place there. */
  waitsFor = 0
  waitsAt = 0
  /** In the list of those to answer at the end of the turn. */
  idle = false
  over = false
  /** Begun by this session and open. */
  transactions = 0
  readonly #live: Live
  readonly #membership: Membership
  readonly #taking: Taking
  #parked: ParkedPublishes | undefined
  #pressures = 0

  constructor(live: Live, membership: Membership, record: SessionRecord, resumed: boolean, replies: Replies, who: Who) {
    this.#live = live
    this.#membership = membership
    this.#taking = new Taking(live, this)
    this.record = record
    this.resumed = resumed
    this.replies = replies
    this.principal = who.principal
    this.remote = who.remote
    this.origin = originOf(record, who)
    this.order = ++live.intake.opened
  }

  /** For management. */
  figures(): Readonly<{ consumers: number; credit: number; unsettled: number; parked: number }> {
    return { ...this.#taking.figures(), parked: this.#parked?.count ?? 0 }
  }

  get keepMs(): number {
    return this.record.keepMs
  }

  get notes(): ReadonlySet<number> {
    return this.record.notes
  }

  get held(): readonly Held[] {
    return [...this.record.holds].map(([queue, tag]) => ({ queue: queue.address, tag }))
  }

  /** Answers 0 with a reason. */
  refuse(error: BrokerError): 0 {
    this.refusal = error
    return 0
  }

  publish(address: Address, message: Message, options: PublishOptions): Ticket {
    if (this.over) return this.refuse(new CodedError('removed', 'the session is over'))
    const to = own(address)
    if (this.#parked !== undefined && this.#parked.count > 0) return this.#park(to, message, options, undefined)
    const publisher = this.#membership.publisher
    const placed = publisher.place(this, to, message, options, undefined)
    this.unheard = publisher.unheard
    switch (placed) {
      case 'committed-with-batch':
        return this.#live.batches.ticket(this, true)
      case 'done':
        return this.#live.batches.ticket(this, false)
      case 'refused':
        return this.refuse(this.refusalOf(options, publisher.refusal))
      case 'blocked':
        return this.#park(to, message, options, publisher.blockedBy)
      case 'upload':
        return this.#park(to, message, options, undefined)
      default:
        return placed satisfies never
    }
  }

  repeat(address: Address, message: Message, plan: Plan, transaction?: Transaction): Ticket {
    if (this.over) return this.refuse(new CodedError('removed', 'the session is over'))
    const refusal = this.#live.jobs?.add(own(address), message, plan, transaction)
    return refusal === undefined ? this.#live.batches.ticket(this, true) : this.refuse(this.refusalOf({ transaction }, refusal))
  }

  #park(to: CoreAddress, message: Message, options: PublishOptions, blockedBy: Queue | undefined): Ticket {
    this.#parked ??= new ParkedPublishes(this.#live, this, this.#membership)
    const refusal = this.#parked.add(to, message, options, blockedBy)
    return refusal === undefined ? PARKED : this.refuse(this.refusalOf(options, refusal))
  }

  /** Why a publish is refused. It dooms its transaction, unless the queue is missing: whoever sent it may make that and try again. */
  refusalOf({ transaction }: Pick<PublishOptions, 'transaction'>, error = new CodedError('internal', 'refused without a reason')): CodedError {
    if (transaction !== undefined && error.code !== 'not-found') transaction.doom(error)
    return error
  }

  begin(): Transaction | undefined {
    const begun = this.over ? new CodedError('removed', 'the session is over') : this.#live.transactions.begin(this)
    return this.#begun(begun)
  }

  /** The commit waits behind what is parked. */
  parkCommit(transaction: LiveTransaction): Ticket {
    this.#parked ??= new ParkedPublishes(this.#live, this, this.#membership)
    this.#parked.addCommit(transaction)
    return PARKED
  }

  retryParked(): void {
    if (!this.over) this.#parked?.retry()
  }

  uploadCommitted(batch: number): void {
    this.#parked?.pieceCommitted(batch)
  }

  declare(address: Address, options: QueueOptions): Ticket {
    return this.#answer(declare(this.#live, this.record, address, options))
  }

  remove(address: Address): Ticket {
    return this.#answer(remove(this.#live, address))
  }

  hold(address: Address, tag: number, owner?: string): Ticket {
    return this.#answer(hold(this.#live, this.record, address, tag, owner))
  }

  release(address: Address): Ticket {
    return this.#answer(release(this.#membership, this.#live, this.record, address))
  }

  bind(binding: Binding): Ticket {
    return this.#answer(bind(this.#live, this, binding))
  }

  boundTo(address: Address): readonly Bound[] {
    return boundTo(this.#live, address)
  }

  unbind(address: Address, pattern: Pattern): Ticket {
    return this.#answer(unbind(this.#live, address, pattern))
  }

  /** Done, and told to the journal or not; or refused. */
  #answer(done: boolean | CodedError): Ticket {
    return done instanceof CodedError ? this.refuse(done) : this.#live.batches.ticket(this, done)
  }

  consume(from: readonly Address[] | QueuePattern, options: ConsumerOptions, sink: Sink): Consumer | undefined {
    return this.#begun(this.#taking.consume(from, options, sink))
  }

  browse(address: Address, options: BrowseOptions, sink: BrowseSink): Browse | undefined {
    return this.#begun(this.#taking.browse(address, options, sink))
  }

  pull(address: Address, options: PullOptions, sink: Sink): Readonly<{ cancel(): void }> | undefined {
    return this.#begun(this.#taking.pull(address, options, sink))
  }

  settleRef(ref: EntryRef, attempt: number, outcome: Outcome): Ticket {
    return this.#answer(this.#taking.settle(ref, attempt, outcome))
  }

  #begun<Begun>(begun: Begun | CodedError): Begun | undefined {
    if (!(begun instanceof CodedError)) return begun
    this.refuse(begun)
    return undefined
  }

  /** `consumer` also takes from this queue. False: `refusal`. */
  attach(consumer: CoreConsumer, address: CoreAddress): boolean {
    const refusal = this.#taking.attach(consumer, address)
    if (refusal !== undefined) this.refuse(refusal)
    return refusal === undefined
  }

  consumerClosed(consumer: CoreConsumer): void {
    this.#taking.consumerClosed(consumer)
  }

  /** The last of a consumer's queues was removed. */
  queueGone(consumer: CoreConsumer, queue: Queue): void {
    this.endConsumer(consumer, new CodedError('removed', `queue ${queue.address.path.join('.')} was removed`))
  }

  /** The core ends it; its front end is told in the next turn. */
  endConsumer(consumer: CoreConsumer, error: CodedError): void {
    consumer.close()
    if (this.over) return
    this.#live.clock.turn(() => {
      if (!this.over) this.#tell(() => consumer.sink.ended(error))
    })
  }

  browseClosed(browse: CoreBrowse): void {
    this.#taking.browseClosed(browse)
  }

  note(key: number, set: boolean): Ticket {
    const live = this.#live
    const { record } = this
    if (set && record.notes.size >= live.settings.limits.notesPerSession) {
      return this.refuse(new CodedError('limit', `limits.notesPerSession (${live.settings.limits.notesPerSession}) is reached`))
    }
    if (record.recorded && record.keepMs > 0) {
      const fact = live.facts.writer
        .reset()
        .u32(record.number)
        .u32(key)
        .u8(set ? 1 : 0)
      if (!live.facts.admit(FACT.note, fact, set ? 'publish' : 'drain')) return this.refuse(journalFull())
      return live.batches.ticket(this, true)
    }
    if (set) record.notes.add(key)
    else record.notes.delete(key)
    return live.batches.ticket(this, false)
  }

  close(how: 'clean' | 'lost', keepMs?: number): void {
    if (this.over) return
    this.detach()
    if (keepMs !== undefined) this.#membership.keep(this.record, keepMs)
    this.#membership.closed(this.record, how)
  }

  /** Consumers and waiting calls end; nothing is answered any more. */
  detach(): void {
    this.over = true
    this.#live.intake.sessions.delete(this)
    this.#live.transactions.sessionOver(this)
    this.#taking.end()
    this.#parked?.clear()
    if (this.record.live === this) this.record.live = undefined
  }

  /** The core ends it: the client is told by its front end. */
  end(error: BrokerError): void {
    if (this.over) return
    this.detach()
    this.ended(error)
  }

  /** One reason more (true) or less (false) to stop reading this client. */
  pressure(high: boolean): void {
    const before = this.#pressures
    this.#pressures = Math.max(0, before + (high ? 1 : -1))
    if (!this.over && (before === 0) !== (this.#pressures === 0)) this.#tell(() => this.replies.pressure(high))
  }

  /** Detached already; the client is told. */
  ended(error: BrokerError): void {
    this.#tell(() => this.replies.ended(error))
  }

  admitted(ticket: Ticket): void {
    this.#tell(() => this.replies.admitted(ticket))
  }

  refused(error: BrokerError): void {
    this.#tell(() => this.replies.refused(error))
  }

  /** For calls that are rare: a front end's mistake stays with its session. */
  #tell(call: () => void): void {
    try {
      call()
    } catch (error) {
      this.#live.faulty(this, error)
    }
  }
}
