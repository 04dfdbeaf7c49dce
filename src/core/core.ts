// The core put together, as front ends, management and the composition see it. What each part does stands in its own file.
import type {
  Address,
  Broker,
  BrokerError,
  Canonical,
  Clock,
  Dialect,
  Figures,
  Identity,
  Kind,
  Log,
  LogIns,
  Message,
  Pattern,
  Replies,
  Session,
} from '../api.ts'
import type { Settings } from '../config/settings.ts'
import { CodedError } from '../errors.ts'
import type { Journal, JournalListener, Visitor } from '../journal/journal.ts'
import type { Random } from '../random.ts'
import { beyond, composite, CoreAddress, own } from './addresses.ts'
import { Administration } from './administration.ts'
import { Compaction, type MakeSnapshot } from './compact.ts'
import { Jobs } from './jobs.ts'
import { Live } from './live.ts'
import { Losses } from './losses.ts'
import { Membership } from './membership.ts'
import { anyQueueNamed } from './named.ts'
import { NEXT, SEQUENCE, STATE, STATE_OF } from './entries.ts'
import type { Queue } from './queue.ts'
import { REASON, type Recorded } from './recorder.ts'
import { journalFull } from './refusals.ts'
import { Replica } from './replica.ts'
import { digestState } from './snapshot.ts'
import { noTemporary } from './temporary.ts'
import { virtualQueueOf } from './virtual-topics.ts'

export interface CoreOptions {
  readonly clock: Clock
  readonly random: Random
  readonly node: string
  readonly version: string
  readonly settings: Settings
  readonly log: Log
  /** Looks for a higher epoch when a turn comes long after the one before; false ends leadership. Without it only commits look. */
  readonly stillLeads?: () => boolean
  /** Makes a snapshot of a cut, elsewhere; without it none is made and the log only grows. */
  readonly makeSnapshot?: MakeSnapshot
  /** A standby's warm state; without it the journal is told to the visitor from its start. */
  readonly replica?: Replica
  /** See `Broker.pairAddresses`. */
  readonly pairAddresses?: Broker['pairAddresses']
  /** See `Broker`; without them everybody is anonymous. */
  readonly logins?: LogIns
}

type Wires = Readonly<Pick<Figures, 'connections' | 'connectionsTotal'>>

/** Entries removed by a purge in one turn. */
const PURGE_MAX = 5_000
/** How often an instant is sought at which everything is committed. */
const DIGEST_ATTEMPTS_MAX = 10_000
const NO_LOGINS: LogIns = { authenticate: async () => 'anonymous', mechanisms: [], authenticateBy: () => undefined }

export class Core implements Broker {
  readonly clock: Clock
  readonly node: string
  readonly version: string
  readonly visitor: Visitor
  readonly listener: JournalListener
  /** What management asks. */
  readonly administration: Administration
  readonly #live: Live
  readonly #membership: Membership
  readonly #jobs: Jobs
  readonly #compaction: Compaction | undefined
  readonly #dialects = new Map<string, Dialect>()
  /** Messages in other dialects, by message and dialect, while somebody has them. */
  readonly #translated = new Map<string, WeakMap<Message, { message: Message | undefined }>>()
  readonly #losses = new Losses()
  readonly #pairAddresses: Broker['pairAddresses']
  readonly authenticate: Broker['authenticate']
  readonly mechanisms: Broker['mechanisms']
  readonly authenticateBy: Broker['authenticateBy']
  #wires: Wires = { connections: 0, connectionsTotal: 0 }

  constructor(options: CoreOptions) {
    this.clock = options.clock
    this.node = options.node
    this.version = options.version
    const replica = options.replica ?? new Replica(options.settings.destinations)
    this.#live = new Live({ ...options, replica })
    this.#live.selecting.dialects = this.#dialects
    this.#pairAddresses = options.pairAddresses ?? (() => [])
    const { authenticate, mechanisms, authenticateBy } = options.logins ?? NO_LOGINS
    this.authenticate = authenticate
    this.mechanisms = mechanisms
    this.authenticateBy = authenticateBy
    this.#membership = new Membership(this.#live)
    this.#jobs = new Jobs(this.#live, () => this.#membership.herald)
    this.#live.jobs = this.#jobs
    this.administration = new Administration(this.#live, this.#dialects, this.#losses, () => this.figures())
    this.visitor = replica
    this.#compaction = options.makeSnapshot === undefined ? undefined : new Compaction(this.#live, options.makeSnapshot)
    const { listener } = this.#live
    this.listener = {
      ...listener,
      committed: (batch) => {
        listener.committed(batch)
        this.#compaction?.committed()
      },
    }
  }

  set onLost(told: (error: Error) => void) {
    this.#live.onLost = told
  }

  setDialects(dialects: readonly Dialect[]): void {
    for (const dialect of dialects) {
      this.#dialects.set(dialect.name, dialect)
      this.#translated.set(dialect.name, new WeakMap())
    }
  }

  /** The journal is replayed: sessions may be opened. */
  lead(journal: Journal): void {
    this.#live.lead(journal)
    this.#membership.lead()
    this.#jobs.lead()
    this.#compaction?.start()
  }

  /** Before a hand-over: nothing is delivered any more, answers still go out. */
  quiesce(): void {
    this.#live.quiesce()
  }

  /** Ends every session, unanswered. Kept ones count as connected until the next leader begins. */
  async stop(): Promise<void> {
    this.#compaction?.stop()
    this.#live.transactions.stop()
    for (const session of [...this.#live.intake.sessions]) session.detach()
    this.#live.stop()
  }

  address(kind: Kind, path: readonly string[], namespace = ''): Address {
    return new CoreAddress(kind, path, namespace)
  }

  get compositeMax(): number {
    return this.#live.settings.limits.compositeParts
  }

  virtualQueue(pattern: Pattern): Address | undefined {
    const queue = virtualQueueOf(this.#live.settings.destinations, pattern)
    return queue === undefined ? undefined : this.address(queue.kind, queue.path)
  }

  composite(parts: readonly Address[]): Address {
    return composite(parts.map(own))
  }

  open(identity: Identity, replies: Replies): Session {
    return this.#membership.open(identity, replies)
  }

  translate(message: Message, dialect: string): Message | undefined {
    if (message.dialect === dialect) return message
    const to = this.#dialects.get(dialect)
    const from = this.#dialects.get(message.dialect)
    const known = this.#translated.get(dialect)
    if (to === undefined || from === undefined || known === undefined) return undefined
    let made = known.get(message)
    if (made === undefined) {
      const bytes = this.#convert(from, to, message)
      made = { message: bytes === undefined ? undefined : { ...message, dialect, ...bytes } }
      known.set(message, made)
    }
    return made.message
  }

  canonical(message: Message): Canonical | undefined {
    try {
      return this.#dialects.get(message.dialect)?.toCanonical(message)
    } catch (error) {
      this.#live.log.error({ err: error, from: message.dialect }, 'a message could not be read')
      return undefined
    }
  }

  /** A mistake in a dialect costs the message its way into that protocol, not the broker its life. */
  #convert(from: Dialect, to: Dialect, message: Message): Readonly<{ head: Uint8Array; body: Uint8Array }> | undefined {
    try {
      return to.fromCanonical(from.toCanonical(message), message, (field) => this.#losses.count(from.name, to.name, field))
    } catch (error) {
      this.#live.log.error({ err: error, from: from.name, to: to.name }, 'a message could not be translated')
      return undefined
    }
  }

  selectorFault(text: string): BrokerError | undefined {
    const compiled = this.#live.selecting.compile(text)
    return compiled instanceof CodedError ? compiled : undefined
  }

  pairAddresses(protocol: string, secure = false): readonly string[] {
    return this.#pairAddresses(protocol, secure)
  }

  schedule(delayMs: number, run: () => void): () => void {
    return this.#live.schedule.schedule(delayMs, run)
  }

  /** Who counts the wires: the core sees none of them. */
  countConnections(wires: Wires): void {
    this.#wires = wires
  }

  figures(): Figures {
    const { counters, state, intake } = this.#live
    counters.connections = this.#wires.connections
    counters.connectionsTotal = this.#wires.connectionsTotal
    counters.sessionsOpen = intake.sessions.size
    counters.sessions = state.sessionByNumber.size
    counters.bindings = state.bindingCount
    counters.queues = state.queueByNumber.size
    counters.retained = state.retained.size
    counters.entries = state.entries.count
    return { ...counters }
  }

  // ---- Management

  /** The last events of the flight recorder, newest first. */
  recent(limit: number): readonly Recorded[] {
    return [...this.#live.recorder.recent({ limit })]
  }

  /** Batch and digest of the durable state; equal wherever the same facts were applied. */
  digest(): Readonly<{ batch: number; digest: string }> {
    this.#live.transactions.finish()
    return { batch: this.#live.journal.committed, digest: digestState(this.#live.state) }
  }

  /** `digest` at an instant at which everything is committed: no client is read until it has come. */
  async settledDigest(): Promise<Readonly<{ batch: number; digest: string }>> {
    const live = this.#live
    live.intake.hold(true)
    try {
      for (let attempt = 0; attempt < DIGEST_ATTEMPTS_MAX; attempt++) {
        live.facts.flushGone()
        live.journal.urge()
        await live.journal.drained()
        if (!live.facts.uncommitted && live.facts.nothingGathers && !live.transactions.busy) return this.digest()
        await new Promise<void>((resolve) => this.clock.turn(resolve))
      }
    } finally {
      live.intake.hold(false)
    }
    throw new CodedError('timeout', 'The state changed all the time: there was no instant at which all of it was committed.')
  }

  /** Entries of committed or given up transactions are still being placed or freed. */
  get unfolding(): boolean {
    return this.#live.transactions.busy
  }

  /** Makes a snapshot of what is committed, and then whatever compaction that allows. */
  async snapshot(): Promise<void> {
    await this.#compaction?.snapshot()
  }

  status(): unknown {
    const live = this.#live
    const { journal } = live
    return {
      figures: this.figures(),
      journal: {
        epoch: journal.epoch,
        committed: journal.committed,
        usedBytes: journal.usedBytes,
        bytesMax: journal.bytesMax,
        cachedBytes: journal.cachedBytes,
        sinceSnapshotBytes: journal.sinceSnapshotBytes,
        segments: journal.segments.length,
      },
      bytes: live.bytes(),
      messages: live.state.messages.count,
      transactions: { open: live.transactions.open, unfolding: live.transactions.busy },
      scheduled: this.#jobs.figures,
      routeSets: live.state.sets.byNumber.size,
      conversionLosses: this.#losses.totals(),
    }
  }

  /** Makes a durable queue, if there is none. Ends when that is committed; answers whether it was made. */
  async declare(address: Address): Promise<boolean> {
    const live = this.#live
    const to = own(address)
    const tooLong = beyond(to, live.settings.limits)
    if (tooLong !== undefined) throw tooLong
    if (live.findQueue(to) !== undefined) return false
    if (to.temporary) throw noTemporary(to)
    const tooMany = live.virtualPatterns.beyond(to)
    if (tooMany !== undefined) throw tooMany
    if (live.state.queueByNumber.size >= live.settings.limits.queues)
      throw new CodedError('limit', `limits.queues (${live.settings.limits.queues}) queues exist`)
    if (live.makeQueue(to, { durable: true, lifetime: 'permanent' }, 'publish') === undefined) throw journalFull()
    live.journal.urge()
    await live.journal.drained()
    return true
  }

  /** Removes what is on the queue now and in nobody's hands. Ends when that is committed; answers how many. */
  async purge(address: Address): Promise<number> {
    const live = this.#live
    const queue = anyQueueNamed(live, address.path)
    // What is committed and on its way is on the queue.
    while (queue.gate !== undefined && queue.gate.ahead.length > 0) await new Promise<void>((resolve) => this.clock.turn(resolve))
    const until = queue.next
    const { entries } = live.state
    let purged = 0
    const next = (): number => {
      const row = queue.alive ? queue.oldestReady() : 0
      return row !== 0 && entries.double(row, SEQUENCE) < until ? row : 0
    }
    while (next() !== 0) {
      // With groups the oldest is sought among all of them.
      for (let left = queue.groups === undefined ? PURGE_MAX : PURGE_MAX / 10; left > 0; left--) {
        const row = next()
        if (row === 0) break
        live.facts.gone(queue, row, REASON.purged, false)
        purged++
      }
      await new Promise<void>((resolve) => this.clock.turn(resolve))
    }
    if (queue.alive) purged += this.#purgeDelayed(queue, until)
    live.facts.flushGone()
    live.journal.urge()
    await live.journal.drained()
    return purged
  }

  /** What waits for its time is in nobody's hands either: a delay, a back-off, a message that could not be read. */
  #purgeDelayed(queue: Queue, until: number): number {
    const { entries } = this.#live.state
    let purged = 0
    for (let row = queue.held.head; row !== 0; ) {
      const next = entries.get(row, NEXT)
      if (entries.get(row, STATE) === STATE_OF.delayed && entries.double(row, SEQUENCE) < until) {
        this.#live.facts.gone(queue, row, REASON.purged, false)
        purged++
      }
      row = next
    }
    return purged
  }
}
