// The leader's moving parts around the state: what a batch in flight will set free, which queues want dispatching, whom to answer.
// It keeps the three instants apart: admitted (the journal reserved the bytes), applied (the state has it), committed (others may see it).
import type { Clock, Figures, Log, QueueOptions } from '../api.ts'
import { CodedError } from '../errors.ts'
import { mark } from '../loop-gap.ts'
import { FACT } from '../journal/facts.ts'
import type { Claim, Journal, JournalListener } from '../journal/journal.ts'
import type { Settings } from '../config/settings.ts'
import { Account } from './account.ts'
import type { Apply } from './apply.ts'
import type { CoreAddress } from './addresses.ts'
import { Batches } from './batches.ts'
import { Bodies } from './bodies.ts'
import { Browsing } from './browse.ts'
import { writeQueue } from './cold-facts.ts'
import { DEADLINE, Deadlines } from './deadlines.ts'
import { DeadLetters } from './dead-letters.ts'
import { Dispatch } from './dispatch.ts'
import { ENTRY_FLAG, FLAGS, MESSAGE, NEXT, OWNER, STATE, STATE_OF } from './entries.ts'
import { EXPIRES, SEGMENT } from './messages.ts'
import { policyFrom } from './policy.ts'
import type { Queue } from './queue.ts'
import { EVENT, REASON, type Reason, Recorder } from './recorder.ts'
import { Sweeps } from './sweep.ts'
import { RetainedReplays } from './retained-replays.ts'
import { Router } from './router.ts'
import { Schedule } from './schedule.ts'
import { Selecting } from './selecting.ts'
import type { Jobs } from './jobs.ts'
import { LastValues } from './last-values.ts'
import type { LiveSession } from './session.ts'
import { FactWriting } from './fact-writing.ts'
import type { TransactionRecord } from './transaction.ts'
import { Transactions } from './transactions.ts'
import { bindVirtual } from './virtual-topics.ts'
import type { Replica } from './replica.ts'
import { Wildcards } from './wildcards.ts'
import type { Retained, State, StateHooks } from './state.ts'

export type Counters = { -readonly [Name in keyof Figures]: Figures[Name] }

export interface LiveOptions {
  readonly clock: Clock
  readonly settings: Settings
  readonly log: Log
  readonly stillLeads?: () => boolean
  /** What the journal told so far. */
  readonly replica: Replica
}

/** How far a queue's numbers jump at a claim; half as many may be given out before a fact tells of it. */
const SEQUENCE_JUMP = 2 ** 20

export class Live implements StateHooks {
  readonly clock: Clock
  readonly settings: Settings
  readonly log: Log
  readonly state: State
  readonly apply: Apply
  readonly recorder: Recorder
  readonly schedule: Schedule
  readonly router: Router
  readonly facts = new FactWriting(this)
  readonly batches = new Batches(this)
  readonly deadlines: Deadlines
  readonly dispatch: Dispatch
  readonly bodies: Bodies
  readonly browsing = new Browsing(this)
  readonly sweeps = new Sweeps(this)
  readonly deadLetters: DeadLetters
  readonly wildcards = new Wildcards(this)
  readonly replays: RetainedReplays
  readonly lastValues = new LastValues(this)
  readonly transactions = new Transactions(this)
  /** Set when the core is put together. */
  jobs: Jobs | undefined
  readonly selecting: Selecting
  readonly counters: Counters
  /** Bytes by owner. What is counted elsewhere anyway (slabs, cache) is entered when somebody asks. */
  readonly account = new Account()
  readonly #index = this.account.register('index', 'entries and messages')
  readonly #cache = this.account.register('cache', 'journal')
  /** Bodies that are in no journal. */
  readonly volatile = this.account.register('queue', 'messages that are not durable')
  #journal: Journal | undefined
  readonly sessions = new Set<LiveSession>()
  /** Since this term began. */
  sessionsOpened = 0
  passedOver = 0
  /** Told when leadership is lost. */
  onLost: (error: Error) => void = () => {}
  lost: CodedError | undefined

  /** Messages whose objects were made for this turn only. */
  #transient: number[] = []
  /** Sessions whose parked publishes may have room now. */
  readonly #retry = new Set<LiveSession>()
  readonly #stillLeads: () => boolean
  #armed = false
  #congested = false
  /** Intake is held for a moment in which nothing changes. */
  #held = false
  /** Nothing is given out any more: the term is about to end in order. */
  #quiet = false

  constructor(options: LiveOptions) {
    this.clock = options.clock
    this.#stillLeads = options.stillLeads ?? (() => true)
    this.settings = options.settings
    this.log = options.log
    this.state = options.replica.state
    this.apply = options.replica.apply
    this.recorder = new Recorder(this.clock)
    this.deadlines = new Deadlines(this)
    this.schedule = new Schedule(this.clock)
    this.router = new Router(this)
    this.dispatch = new Dispatch(this)
    this.bodies = new Bodies(this)
    this.deadLetters = new DeadLetters(this)
    this.replays = new RetainedReplays(this)
    this.selecting = new Selecting(this.settings.limits, this.log)
    this.counters = {
      startedAtMs: this.clock.wallMs(),
      connections: 0,
      connectionsTotal: 0,
      sessionsOpen: 0,
      sessions: 0,
      bindings: 0,
      queues: 0,
      retained: 0,
      entries: 0,
      messagesIn: 0,
      messagesOut: 0,
      bytesIn: 0,
      bytesOut: 0,
      dropped: 0,
    }
  }

  get journal(): Journal {
    if (this.#journal === undefined) throw new Error('the core is used before it leads')
    return this.#journal
  }

  /** The state is replayed: from now on it changes by what clients do. */
  lead(journal: Journal): void {
    this.#journal = journal
    const { state } = this
    state.epoch = journal.epoch
    // A safe integer that no earlier term can have reached.
    state.nextVolatileQueue = journal.epoch * 2 ** 32 + 2 ** 31
    state.hooks = this
    for (const set of state.sets.byNumber.values()) state.sets.index(set)
    for (const queue of state.queues) {
      if (queue === undefined) continue
      // What was given out and not written down since the last durable number must not be given again.
      queue.next = queue.replayNext + SEQUENCE_JUMP * Math.max(1, journal.epoch - queue.sequenceEpoch)
      queue.toldNext = queue.next
      queue.begin()
      for (const list of queue.readyLists()) {
        for (let row = list.head; row !== 0; ) {
          const next = state.entries.get(row, NEXT)
          this.#recovered(queue, row)
          row = next
        }
      }
      if (queue.policy.lastValueKey !== '' && queue.readyCount > 0) this.lastValues.inherit(queue)
    }
    for (const [, retained] of [...state.retained.match([{ wild: 'rest' }]), ...state.retained.hidden()]) this.retainedSet(retained)
    this.transactions.lead()
    this.recorder.note(EVENT.leading, 0, 0, REASON.none, journal.epoch)
  }

  /** An entry of an earlier leader: it may have been handed out, and may have a deadline. */
  #recovered(queue: Queue, row: number): void {
    const { entries, messages, notBefore } = this.state
    entries.set(row, FLAGS, entries.get(row, FLAGS) | ENTRY_FLAG.maybeSeen)
    const expires = messages.double(entries.get(row, MESSAGE), EXPIRES)
    if (expires !== 0) this.deadlines.set(row, DEADLINE.expiry, expires)
    const at = Math.max(notBefore.get(row) ?? 0, messages.deliverAt.get(entries.get(row, MESSAGE)) ?? 0)
    if (at > this.clock.wallMs()) {
      queue.unlinkReady(row)
      this.#delay(queue, row, at)
    }
  }

  // ---- Facts

  /** The topic's retained message is forgotten. True: the journal was told. */
  forgetRetained(retained: Retained): boolean {
    this.recorder.note(EVENT.forgotten, 0, 0, REASON.none, 0)
    if (retained.durable) return this.facts.admit(FACT.retainClear, this.facts.writer.reset().raw(retained.address.encoded), 'drain')
    this.state.forgetRetained(retained.address)
    return false
  }

  /** A front end threw at a call of the core's: a mistake of its own, which costs its session and nobody else's (invariant 7). */
  faulty(session: LiveSession, error: unknown): void {
    this.log.error({ err: error, protocol: session.record.protocol, client: session.record.clientId }, 'a front end failed; its session ends')
    session.end(new CodedError('internal', 'a mistake in the broker: it is in its log'))
  }

  // ---- What the state tells

  /** The fact of this entry is durable. */
  commitEntry(row: number): void {
    const { entries } = this.state
    if (entries.get(row, STATE) === STATE_OF.removed) {
      entries.remove(row)
      return
    }
    const queue = this.state.queueOf(row)
    const passed = entries.get(row, OWNER) !== 0
    if (!passed && queue.gate !== undefined && this.transactions.holds(queue, row)) return
    queue.held.unlink(row)
    queue.pending--
    this.#settleIn(queue, row)
    if (passed) this.dispatch.keep(queue, row)
  }

  placed(queue: Queue, row: number): void {
    const { entries, messages } = this.state
    const message = entries.get(row, MESSAGE)
    const expires = messages.double(message, EXPIRES)
    if (expires !== 0) this.deadlines.set(row, DEADLINE.expiry, expires)
    this.tellSequence(queue)
    if (this.transactions.placing) {
      this.transactions.expect(queue, message, -1)
      this.#settleIn(queue, row)
      return
    }
    const durable = (entries.get(row, FLAGS) & ENTRY_FLAG.durable) !== 0
    const unmade = queue.madeIn !== 0 && queue.madeIn > this.journal.committed
    const behind = queue.gate !== undefined && queue.gate.ahead.length > 0
    if (durable || unmade || queue.pending > 0 || behind) {
      entries.set(row, STATE, STATE_OF.pending)
      queue.held.push(row)
      queue.pending++
      if (durable || unmade || this.batches.waiting) this.batches.await(row, durable || unmade)
      else queue.gate?.behind.push(row)
      return
    }
    this.#settleIn(queue, row)
  }

  /** Enough numbers were given out that no fact told of: one does. */
  tellSequence(queue: Queue): void {
    if (queue.recorded && queue.next - queue.toldNext >= SEQUENCE_JUMP / 2) this.facts.writeSequence(queue, 'drain')
  }

  committed(_state: State, record: TransactionRecord, bases: ReadonlyMap<Queue, number>): void {
    this.transactions.committed(record, bases)
  }

  rolledBack(_state: State, record: TransactionRecord): void {
    this.transactions.rolledBack(record)
  }

  removing(queue: Queue, row: number): void {
    const { entries, messages } = this.state
    const state = entries.get(row, STATE)
    if (messages.double(entries.get(row, MESSAGE), EXPIRES) !== 0) this.deadlines.clear(row, DEADLINE.expiry)
    if (state === STATE_OF.delayed || state === STATE_OF.leased) this.deadlines.clear(row, DEADLINE.wake)
    else if (state === STATE_OF.locked || state === STATE_OF.pending) this.dispatch.forget(row)
    // Its message group may be another's turn now.
    if (queue.groups !== undefined && queue.readyCount !== 0) this.touch(queue)
    this.hasRoom(queue)
  }

  /** Whoever waits for room on it may try again. */
  hasRoom(queue: Queue): void {
    if (queue.waiters === undefined || queue.waiters.size === 0) return
    for (const session of queue.waiters) this.#retry.add(session)
    queue.waiters.clear()
    this.wake()
  }

  queueGone(queue: Queue): void {
    this.dispatch.queueGone(queue)
    this.browsing.queueGone(queue)
    if (queue.waiters === undefined) return
    for (const session of queue.waiters) this.#retry.add(session)
    queue.waiters = undefined
    this.wake()
  }

  /** A committed (or volatile) entry takes its place: ready, or waiting for its time. */
  #settleIn(queue: Queue, row: number): void {
    const { entries, messages } = this.state
    const { deliverAt } = messages
    if (deliverAt.size > 0) {
      const at = deliverAt.get(entries.get(row, MESSAGE)) ?? 0
      if (at > this.clock.wallMs()) {
        this.#delay(queue, row, at)
        return
      }
    }
    entries.set(row, STATE, STATE_OF.ready)
    queue.makeReady(row)
    if (queue.policy.lastValueKey !== '') this.lastValues.arrived(queue, row)
    this.touch(queue)
  }

  /** An entry in no list waits until `atMs`. */
  #delay(queue: Queue, row: number, atMs: number): void {
    this.state.entries.set(row, STATE, STATE_OF.delayed)
    queue.held.push(row)
    queue.groups?.delays(row)
    this.deadlines.set(row, DEADLINE.wake, atMs)
  }

  /** An entry that was out (in `held`) goes back to its place, at once or not before a time. */
  putBack(queue: Queue, row: number, notBeforeMs: number): void {
    queue.held.unlink(row)
    queue.groups?.returns(row)
    if (notBeforeMs > this.clock.wallMs()) {
      this.#delay(queue, row, notBeforeMs)
      return
    }
    const { entries, messages } = this.state
    entries.set(row, STATE, STATE_OF.ready)
    queue.makeReady(row)
    // Its time may have come while it was out.
    const expires = messages.double(entries.get(row, MESSAGE), EXPIRES)
    if (expires !== 0) this.deadlines.set(row, DEADLINE.expiry, expires)
    if (queue.policy.lastValueKey !== '') this.lastValues.arrived(queue, row)
    this.touch(queue)
  }

  // ---- Turns

  /** The queue may have something for somebody. */
  touch(queue: Queue): void {
    this.dispatch.touch(queue)
    this.wake()
  }

  /** `run` at the end of this turn. */
  wake(): void {
    if (this.#armed) return
    this.#armed = true
    this.clock.turn(this.#onTurn)
  }

  readonly #onTurn = (): void => {
    this.#armed = false
    this.run()
  }

  /** Everything that a turn gathered: answers that wait for nothing, parked publishes, deliveries. */
  run(): void {
    if (this.lost !== undefined) return
    if (!this.#stillLeads()) {
      this.#end(new Error('a higher epoch was claimed while this node stood still'))
      return
    }
    mark('dispatch', this.dispatch.waiting)
    this.facts.flushGone()
    if (this.#retry.size > 0) {
      const sessions = [...this.#retry]
      this.#retry.clear()
      for (const session of sessions) session.retryParked()
    }
    this.batches.answerIdle()
    if (this.transactions.busy && this.transactions.step()) this.wake()
    if (this.lastValues.run()) this.wake()
    if (!this.#quiet) this.replays.run()
    if (!this.#quiet && (this.dispatch.run() || this.replays.hungry)) this.wake()
    if (!this.#quiet && this.browsing.run()) this.wake()
    if (!this.#quiet && this.sweeps.run()) this.wake()
    this.facts.flushGone()
    if (this.#transient.length > 0) this.#forgetTransient()
  }

  /** The object of this durable message is dropped after the turn's dispatch. */
  transient(message: number): void {
    this.#transient.push(message)
  }

  #forgetTransient(): void {
    const { messages } = this.state
    for (const row of this.#transient) if (messages.get(row, SEGMENT) !== 0) messages.objects[row] = undefined
    this.#transient = []
  }

  /** The session's parked publishes are tried again at the end of the turn. */
  retry(session: LiveSession): void {
    this.#retry.add(session)
    this.wake()
  }

  retainedSet(retained: Retained): void {
    this.deadlines.retained(retained)
  }

  // ---- Journal and end

  join(session: LiveSession): void {
    this.sessions.add(session)
    if (this.#congested) session.pressure(true)
    if (this.#held) session.pressure(true)
  }

  /** No client is read while held. */
  hold(held: boolean): void {
    if (this.#held === held) return
    this.#held = held
    for (const session of this.sessions) session.pressure(held)
  }

  /** From now on nothing is delivered; what is in flight may still be settled and answered. */
  quiesce(): void {
    this.#quiet = true
  }

  pressure(high: boolean): void {
    if (this.#congested === high) return
    this.#congested = high
    for (const session of this.sessions) session.pressure(high)
  }

  full(full: boolean): void {
    if (full) this.log.warn({ usedBytes: this.journal.usedBytes }, 'the journal is full: producers are refused until consumers have drained it')
    else this.log.info({ usedBytes: this.journal.usedBytes }, 'the journal takes messages again')
  }

  /** Something is wrong that no caller can mend: crash rather than store a doubt. */
  fail(error: Error): void {
    this.#end(error)
  }

  /** No deliveries, deadlines or answers from now on. */
  stop(): void {
    this.lost ??= new CodedError('shutting-down', 'the node stops')
    this.deadlines.stop()
    this.schedule.stop()
    this.state.end()
  }

  #end(error: Error): void {
    if (this.lost !== undefined) return
    this.lost = new CodedError('not-leading', `this node leads no more: ${error.message}`)
    this.log.error({ err: error }, 'leadership is over: what was not answered has an unknown outcome')
    const { lost } = this
    for (const session of [...this.sessions]) session.end(lost)
    this.onLost(error)
  }

  /** Who holds how much memory, by kind and the largest by name. */
  bytes(): unknown {
    return { totals: this.bytesByKind(), largest: this.account.top(10) }
  }

  bytesByKind(): Readonly<Record<string, number>> {
    const { account, state } = this
    account.sub(this.#index, account.of(this.#index))
    account.add(this.#index, state.entries.bytes + state.messages.bytes)
    account.sub(this.#cache, account.of(this.#cache))
    account.add(this.#cache, this.journal.cachedBytes)
    account.sub(this.volatile, account.of(this.volatile))
    account.add(this.volatile, state.messages.volatileBytes)
    return account.totals()
  }

  dropped(queue: Queue | undefined, reason: Reason): void {
    this.counters.dropped++
    if (queue !== undefined) queue.dropped++
    this.recorder.note(EVENT.dropped, queue?.number ?? 0, 0, reason, 0)
  }

  /** Called by the journal. Named apart from the field that says it happened. */
  readonly listener: JournalListener = {
    committed: (batch) => this.batches.committed(batch),
    lost: (error) => this.#end(error),
    pressure: (high) => this.pressure(high),
    full: (full) => this.full(full),
  }

  /** A new queue; undefined: the journal is full. The caller has looked that there is none, and at the limit. */
  makeQueue(address: CoreAddress, options: QueueOptions, claim: Claim): Queue | undefined {
    const queue = this.#make(address, options, claim)
    if (queue !== undefined) this.wildcards.queueMade(queue)
    return queue
  }

  #make(address: CoreAddress, options: QueueOptions, claim: Claim): Queue | undefined {
    const { state } = this
    if (!options.durable) {
      const policy = policyFrom(this.settings.destinations, address, options)
      return state.addQueue(state.nextVolatileQueue++, address, options, policy)
    }
    const number = state.nextQueue
    if (!this.facts.admit(FACT.queue, writeQueue(this.facts.writer.reset(), number, address, options), claim)) return undefined
    const queue = state.queueByNumber.get(number)
    if (queue !== undefined) {
      queue.madeIn = this.facts.batch
      bindVirtual(this, queue)
    }
    return queue
  }

  /** The queue goes, with what is on it. True: the journal was told. */
  dropQueue(queue: Queue): boolean {
    this.recorder.note(EVENT.removed, queue.number, 0, REASON['queue-removed'], queue.count)
    this.facts.flushGone()
    if (queue.recorded) return this.facts.admit(FACT.queueGone, this.facts.writer.reset().u32(queue.number), 'drain')
    this.state.removeQueue(queue)
    return false
  }

  findQueue(address: CoreAddress): Queue | undefined {
    return this.state.findQueue(address)
  }
}
