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
import { Deadlines } from './deadlines.ts'
import { DeadLetters } from './dead-letters.ts'
import { Dispatch } from './dispatch.ts'
import { Intake } from './intake.ts'
import { SEGMENT } from './messages.ts'
import { Places } from './places.ts'
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
import { Transactions } from './transactions.ts'
import { VirtualPatterns } from './virtual-patterns.ts'
import { bindVirtual } from './virtual-topics.ts'
import type { Replica } from './replica.ts'
import { Wildcards } from './wildcards.ts'
import type { Retained, State } from './state.ts'

export type Counters = { -readonly [Name in keyof Figures]: Figures[Name] }

export interface LiveOptions {
  readonly clock: Clock
  readonly settings: Settings
  readonly log: Log
  readonly stillLeads?: () => boolean
  /** What the journal told so far. */
  readonly replica: Replica
}

export class Live {
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
  readonly places = new Places(this)
  /** Set when the core is put together. */
  jobs: Jobs | undefined
  readonly selecting: Selecting
  readonly virtualPatterns: VirtualPatterns
  readonly counters: Counters
  /** Bytes by owner. What is counted elsewhere anyway (slabs, cache) is entered when somebody asks. */
  readonly account = new Account()
  readonly #index = this.account.register('index', 'entries and messages')
  readonly #cache = this.account.register('cache', 'journal')
  /** Bodies that are in no journal. */
  readonly volatile = this.account.register('queue', 'messages that are not durable')
  #journal: Journal | undefined
  readonly intake = new Intake()
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
    this.virtualPatterns = new VirtualPatterns(this.settings)
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
    state.hooks = this.places
    for (const set of state.sets.byNumber.values()) state.sets.index(set)
    for (const queue of state.queues) if (queue !== undefined) this.virtualPatterns.add(queue)
    this.places.lead()
    for (const [, retained] of [...state.retained.match([{ wild: 'rest' }]), ...state.retained.hidden()]) this.deadlines.retained(retained)
    this.transactions.lead()
    this.recorder.note(EVENT.leading, 0, 0, REASON.none, journal.epoch)
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

  // ---- Journal and end

  /** From now on nothing is delivered; what is in flight may still be settled and answered. */
  quiesce(): void {
    this.#quiet = true
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
    for (const session of [...this.intake.sessions]) session.end(lost)
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
    pressure: (high) => this.intake.congest(high),
    full: (full) => this.full(full),
  }

  /** A new queue; undefined: the journal is full. The caller has looked that there is none, and at the limit. */
  makeQueue(address: CoreAddress, options: QueueOptions, claim: Claim): Queue | undefined {
    const queue = this.#make(address, options, claim)
    if (queue === undefined) return undefined
    this.virtualPatterns.add(queue)
    this.wildcards.queueMade(queue)
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
