// One connected client: its tickets, its consumers, the publishes that wait for room. What outlives the connection is `sessions.ts`,
// what begins and ends sessions is `membership.ts`.
import type {
  Address,
  Binding as BindingSpec,
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
import { beyond, CoreAddress, own, patternKey, writePattern } from './addresses.ts'
import { Binding } from './bindings.ts'
import { CoreBrowse } from './browse.ts'
import { writeBinding } from './cold-facts.ts'
import { CoreConsumer } from './consumer.ts'
import { ATTEMPTS, STATE, STATE_OF } from './entries.ts'
import { DEADLINE } from './deadlines.ts'
import type { Live } from './live.ts'
import type { LiveTransaction } from './live-transaction.ts'
import type { Membership } from './membership.ts'
import { ParkedPublishes } from './parked.ts'
import { rulesFor } from './policy.ts'
import { WaitingPull } from './pull.ts'
import type { Queue } from './queue.ts'
import { EVENT, REASON } from './recorder.ts'
import type { SessionRecord } from './sessions.ts'
import { given } from './selector/selector.ts'
import { originOf, selectorBeyond } from './selecting.ts'
import { settleEntry } from './settlement.ts'
import { mayBind, mayConsume, notYours, noTemporary, takeTemporary, temporariesOf } from './temporary.ts'

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
  readonly #consumers = new Set<CoreConsumer>()
  #pulls: Set<WaitingPull> | undefined
  #browses: Set<CoreBrowse> | undefined
  #parked: ParkedPublishes | undefined
  #pressures = 0

  constructor(live: Live, membership: Membership, record: SessionRecord, resumed: boolean, replies: Replies, who: Who) {
    this.#live = live
    this.#membership = membership
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
    let credit = 0
    let unsettled = 0
    for (const consumer of this.#consumers) {
      credit += consumer.credit
      unsettled += consumer.unsettled
    }
    return { consumers: this.#consumers.size, credit, unsettled, parked: this.#parked?.count ?? 0 }
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
    if (!(begun instanceof CodedError)) return begun
    this.refuse(begun)
    return undefined
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
    const live = this.#live
    const to = own(address)
    const known = live.findQueue(to)
    const denied = known === undefined || options.lifetime !== 'temporary' ? undefined : takeTemporary(live, this.record, known, options.owner)
    if (denied !== undefined) return this.refuse(denied)
    // It may be there and not yet committed.
    if (known !== undefined) return live.batches.ticket(this, live.facts.uncommitted)
    if (to.temporary !== (options.lifetime === 'temporary')) return this.refuse(noTemporary(to))
    if (to.namespace === '' && !to.temporary && !rulesFor(live.settings.destinations, to).autoCreate) {
      return this.refuse(new CodedError('denied', `there is no queue ${to.path.join('.')}, and destinations.autoCreate makes none`))
    }
    const tooLong = beyond(to, live.settings.limits)
    if (tooLong !== undefined) return this.refuse(tooLong)
    const { queues } = live.settings.limits
    if (live.state.queueByNumber.size >= queues) return this.refuse(new CodedError('limit', `limits.queues (${queues}) queues exist`))
    const { temporariesPerSession } = live.settings.limits
    if (to.temporary && temporariesOf(this.record) >= temporariesPerSession) {
      return this.refuse(new CodedError('limit', `limits.temporariesPerSession (${temporariesPerSession}) temporary destinations exist`))
    }
    const queue = live.makeQueue(to, options, 'publish')
    if (queue === undefined) return this.refuse(journalFull())
    if (to.temporary) live.state.hold(this.record, queue, 0)
    live.recorder.note(EVENT.declared, queue.number, 0, REASON.none, 0)
    return live.batches.ticket(this, queue.recorded)
  }

  remove(address: Address): Ticket {
    const queue = this.#live.findQueue(own(address))
    if (queue === undefined) return this.refuse(noQueue(address))
    return this.#live.batches.ticket(this, this.#live.dropQueue(queue))
  }

  hold(address: Address, tag: number, owner?: string): Ticket {
    const live = this.#live
    const queue = live.findQueue(own(address))
    if (queue === undefined) return this.refuse(noQueue(address))
    const denied = queue.lifetime === 'temporary' ? takeTemporary(live, this.record, queue, owner) : undefined
    if (denied !== undefined) return this.refuse(denied)
    const durable = queue.durable && this.record.recorded && this.record.keepMs > 0
    if (!durable) live.state.hold(this.record, queue, tag)
    else if (!live.facts.admit(FACT.hold, live.facts.writer.reset().u32(this.record.number).u32(queue.number).u32(tag), 'publish'))
      return this.refuse(journalFull())
    return live.batches.ticket(this, durable)
  }

  release(address: Address): Ticket {
    const live = this.#live
    const queue = live.findQueue(own(address))
    if (queue === undefined || !this.record.holds.has(queue)) return this.refuse(noQueue(address))
    return live.batches.ticket(this, this.#membership.letGo(this.record, queue))
  }

  bind(spec: BindingSpec): Ticket {
    const live = this.#live
    const queue = live.findQueue(own(spec.queue))
    if (queue === undefined) return this.refuse(noQueue(spec.queue))
    const { limits } = live.settings
    const known = queue.bindings?.get(patternKey(spec.pattern))
    if (known === undefined && live.state.bindingCount >= limits.bindings) {
      return this.refuse(new CodedError('limit', `limits.bindings (${limits.bindings}) subscriptions exist`))
    }
    if (known === undefined && (queue.bindings?.size ?? 0) >= limits.bindingsPerSession) {
      return this.refuse(new CodedError('limit', `limits.bindingsPerSession (${limits.bindingsPerSession}) subscriptions exist`))
    }
    const key = patternKey(spec.pattern)
    if (known === undefined && queue.bindingBytes + key.length > limits.bindingBytesPerSession) {
      return this.refuse(new CodedError('limit', `limits.bindingBytesPerSession (${limits.bindingBytesPerSession}) bytes of patterns are bound`))
    }
    const tooLong = patternBeyond(spec.pattern, limits) ?? mayBind(this.record, spec.pattern)
    if (tooLong !== undefined) return this.refuse(tooLong)
    const selector = live.selecting.compile(spec.selector)
    if (selector instanceof CodedError) return this.refuse(selector)
    const exceptFrom = spec.noLocal === true ? this.origin : ''
    const binding = new Binding({ ...spec, label: spec.label ?? 0, selector: selector?.text ?? '', exceptFrom }, queue)
    if (!queue.durable) live.state.bind(binding)
    else if (!live.facts.admit(FACT.bind, writeBinding(live.facts.writer.reset(), binding), 'publish')) return this.refuse(journalFull())
    live.recorder.note(EVENT.bound, queue.number, 0, REASON.none, 0)
    if (spec.retained === 'always' || (spec.retained === 'if-new' && known === undefined)) live.replays.start(binding)
    return live.batches.ticket(this, queue.durable)
  }

  boundTo(address: Address): readonly Bound[] {
    const bindings = this.#live.findQueue(own(address))?.bindings?.values() ?? []
    return [...bindings].map(({ pattern, selector, exceptFrom, tag, label }) => ({
      pattern,
      selector: given(selector),
      noLocal: exceptFrom !== '',
      tag,
      label,
    }))
  }

  unbind(address: Address, pattern: Pattern): Ticket {
    const live = this.#live
    const queue = live.findQueue(own(address))
    const key = patternKey(pattern)
    if (queue?.bindings?.get(key) === undefined) return this.refuse(new CodedError('not-found', 'there is no such subscription'))
    live.recorder.note(EVENT.unbound, queue.number, 0, REASON.none, 0)
    if (!queue.durable) {
      live.state.unbind(queue, key)
      return live.batches.ticket(this, false)
    }
    const fact = live.facts.writer.reset().u32(queue.number)
    writePattern(fact, pattern)
    live.facts.admit(FACT.unbind, fact, 'drain')
    return live.batches.ticket(this, true)
  }

  consume(from: readonly Address[] | QueuePattern, options: ConsumerOptions, sink: Sink): Consumer | undefined {
    const live = this.#live
    const { limits } = live.settings
    if (live.dispatch.consumers >= limits.consumers || this.#consumers.size >= limits.consumersPerSession) {
      this.refuse(new CodedError('limit', 'limits.consumers or limits.consumersPerSession is reached'))
      return undefined
    }
    const pattern = 'pattern' in from ? from.pattern : undefined
    const tooLong = pattern === undefined ? undefined : patternBeyond(pattern, limits)
    if (tooLong !== undefined) {
      this.refuse(tooLong)
      return undefined
    }
    const selector = live.selecting.compile(options.selector)
    if (selector instanceof CodedError) {
      this.refuse(selector)
      return undefined
    }
    const consumer = new CoreConsumer(live, this, live.dispatch.number(), options, selector, sink)
    for (const address of 'pattern' in from ? [] : from) {
      if (this.attach(consumer, own(address))) continue
      for (const seat of [...consumer.seats]) live.dispatch.detach(seat)
      return undefined
    }
    live.dispatch.add(consumer)
    this.#consumers.add(consumer)
    if (pattern !== undefined) live.wildcards.add(consumer, pattern)
    return consumer
  }

  /** `consumer` also takes from this queue. False: `refusal`. */
  attach(consumer: CoreConsumer, address: CoreAddress): boolean {
    const queue = this.#live.findQueue(address)
    if (queue === undefined) {
      this.refuse(noQueue(address))
      return false
    }
    if (!mayConsume(this.record, queue)) {
      this.refuse(notYours(address))
      return false
    }
    if (consumer.seatAt(queue) !== undefined) return true
    const others = queue.seats
    if (others !== undefined && others.length > 0 && (consumer.exclusive === 'refuse' || others[0].consumer.exclusive === 'refuse')) {
      this.refuse(
        new CodedError(
          'in-use',
          `queue ${address.path.join('.')} has an exclusive consumer, or consumers beside which this one wants to be exclusive`,
        ),
      )
      return false
    }
    const tooMuch = selectorBeyond(consumer, queue, this.#live.settings.limits)
    if (tooMuch !== undefined) {
      this.refuse(tooMuch)
      return false
    }
    this.#live.dispatch.attach(consumer, queue)
    return true
  }

  consumerClosed(consumer: CoreConsumer): void {
    this.#consumers.delete(consumer)
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

  browse(address: Address, options: BrowseOptions, sink: BrowseSink): Browse | undefined {
    const live = this.#live
    const queue = live.findQueue(own(address))
    if (queue === undefined) {
      this.refuse(noQueue(address))
      return undefined
    }
    if (!mayConsume(this.record, queue)) {
      this.refuse(notYours(address))
      return undefined
    }
    const { browsers } = live.settings.limits
    if (live.browsing.count >= browsers) {
      this.refuse(new CodedError('limit', `limits.browsers (${browsers}) browsers look at queues`))
      return undefined
    }
    const selector = live.selecting.compile(options.selector)
    if (selector instanceof CodedError) {
      this.refuse(selector)
      return undefined
    }
    const browse = new CoreBrowse(live, this, queue, { ...options, selector }, sink)
    this.#browses ??= new Set()
    this.#browses.add(browse)
    live.browsing.add(browse)
    return browse
  }

  browseClosed(browse: CoreBrowse): void {
    this.#browses?.delete(browse)
  }

  pull(address: Address, options: PullOptions, sink: Sink): Readonly<{ cancel(): void }> | undefined {
    const queue = this.#live.findQueue(own(address))
    if (queue === undefined) {
      this.refuse(noQueue(address))
      return undefined
    }
    if (!mayConsume(this.record, queue)) {
      this.refuse(notYours(address))
      return undefined
    }
    this.#pulls ??= new Set()
    for (const pull of this.#pulls) if (pull.over) this.#pulls.delete(pull)
    const pull = new WaitingPull(this.#live, queue, options, sink)
    this.#pulls.add(pull)
    pull.start()
    return pull
  }

  settleRef(ref: EntryRef, attempt: number, outcome: Outcome): Ticket {
    const live = this.#live
    const { entries } = live.state
    const queue = live.state.queueByNumber.get(ref.queue)
    const row = queue === undefined ? 0 : entries.find(queue.slot, ref.sequence)
    if (row === 0 || entries.get(row, STATE) !== STATE_OF.leased || entries.get(row, ATTEMPTS) !== attempt) {
      return this.refuse(new CodedError('not-found', 'this delivery is settled, or was given to another since'))
    }
    live.deadlines.clear(row, DEADLINE.wake)
    const written = settleEntry(live, row, outcome)
    if (written) live.facts.flushGone()
    return live.batches.ticket(this, written)
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
    for (const consumer of [...this.#consumers]) consumer.close()
    if (this.#pulls !== undefined) for (const pull of this.#pulls) pull.cancel()
    if (this.#browses !== undefined) for (const browse of [...this.#browses]) browse.close()
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

function patternBeyond(pattern: Pattern, limits: Parameters<typeof beyond>[1]): CodedError | undefined {
  const names = pattern.map((segment) => (typeof segment === 'string' ? segment : '*'))
  return beyond(new CoreAddress('topic', names, ''), limits)
}

function noQueue(address: Address): CodedError {
  return new CodedError('not-found', `there is no queue ${address.path.join('.')}`)
}

function journalFull(): CodedError {
  return new CodedError('full', 'the journal is full: consumers must drain it, or journal.bytesMax be raised')
}
