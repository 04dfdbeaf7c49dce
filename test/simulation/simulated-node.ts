// One node of a simulation: the real `Node`, claim, follower, journal and core, put together as `main.ts` and `term.ts` do, but without sockets, and with the history
// listening in at each seam. Clients reach its term as long as it is open.
import type { Log } from '../../src/api.ts'
import { Node, type Term, type Waiting } from '../../src/broker.ts'
import { defaults } from '../../src/config/defaults.ts'
import type { Settings } from '../../src/config/settings.ts'
import type { Core } from '../../src/core/core.ts'
import { Replica } from '../../src/core/replica.ts'
import type { Disk } from '../../src/disk.ts'
import { type Leadership, claim } from '../../src/failover/claim.ts'
import { UnknownFact } from '../../src/journal/facts.ts'
import { JournalDamage } from '../../src/journal/file/damage.ts'
import { followFileJournal } from '../../src/journal/file/follow.ts'
import { openFileJournal } from '../../src/journal/file/open.ts'
import type { Follower, Journal, JournalListener, Visitor } from '../../src/journal/journal.ts'
import type { Random } from '../../src/random.ts'
import { makeSnapshot } from '../../src/snapshot.ts'
import { Standby, type Warm } from '../../src/standby.ts'
import { openCore } from '../../src/term.ts'
import { TestDialect } from '../support/test-dialect.ts'
import { GroupWatch } from './group-watch.ts'
import type { History } from './history.ts'
import { Reader } from './reader.ts'
import type { Process } from './scheduler.ts'

export const DIRECTORY = '/data'
export const LEASE_MS = 400

export type SimulatedNodeOptions = Readonly<{
  process: Process
  id: string
  cluster: string
  disk: Disk
  random: Random
  history: History
  force: boolean
  /** Rule 19: how long a claimant waits before it reads; 0 where looks are exact. */
  settleMs: number
  /** Whether a look always shows what is there. */
  exact: boolean
  journal: Partial<Settings['journal']>
  /** Whether a higher claim than this epoch's is there, in truth. */
  deposed: (epoch: number) => boolean
  /** Since when; Infinity: there is none. */
  deposedSince: (epoch: number) => number
  claimed: (epoch: number, forced: boolean) => void
  opened: (term: SimulatedTerm) => void
  ended: (error: unknown) => void
}>

const SILENT: Log = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined }

export class SimulatedNode {
  readonly options: SimulatedNodeOptions
  readonly settings: Settings
  readonly node: Node
  term: SimulatedTerm | undefined
  follower: Follower | undefined
  readonly #readers = new WeakMap<Visitor, Reader>()
  #deposed: (error: Error) => void = () => undefined

  constructor(options: SimulatedNodeOptions) {
    this.options = options
    this.settings = {
      ...defaults,
      node: options.id,
      data: DIRECTORY,
      journal: { ...defaults.journal, segmentBytes: 1024 * 1024, reserveBytes: 64 * 1024, cacheBytes: 256 * 1024, ...options.journal },
      failover: { ...defaults.failover, leaseMs: LEASE_MS, lockPollMs: 20, followPollMs: 25 },
      destinations: { ...defaults.destinations, failuresMax: 0 },
      limits: { ...defaults.limits, schedulePeriodMs: 20 },
    }
    this.node = new Node({
      name: () => options.id,
      version: '0',
      clock: options.process.clock,
      log: SILENT,
      ready: () => undefined,
      changed: () => undefined,
      peers: () => [],
      successor: async () => 'another',
      mayTryAgain: (error) => !(error instanceof JournalDamage || error instanceof UnknownFact),
      standBy: () => this.#standBy(),
      claim: (signal, waiting) => this.#claim(signal, waiting),
      takeOver: (leadership, warm, lost) => this.#takeOver(leadership, warm, lost),
    })
  }

  start(): void {
    this.node.run().then(() => this.options.ended(undefined), this.options.ended)
  }

  async #claim(signal: AbortSignal, waiting: Waiting): Promise<Leadership> {
    const { process, id, disk, random, force, settleMs, history } = this.options
    const forced = force && this.node.role === 'starting'
    const held = await claim({
      directory: DIRECTORY,
      node: id,
      address: '',
      disk,
      clock: process.clock,
      random,
      log: SILENT,
      force: forced,
      pollMs: this.settings.failover.lockPollMs,
      leaseMs: LEASE_MS,
      settleMs,
      signal,
      mayClaim: waiting.mayClaim,
      onLost: (error) => this.#deposed(error),
      onWaiting: waiting.onWaiting,
    })
    history.trace(`${process.name} holds ${held.epoch}`)
    history.reads(held.epoch)
    this.options.claimed(held.epoch, forced)
    return held
  }

  async #takeOver(leadership: Leadership, warm: Warm | undefined, lost: (error: Error) => void): Promise<Term> {
    const { process, disk, random, history } = this.options
    const { settings } = this
    const { clock } = process
    const { epoch } = leadership
    let reader: Reader | undefined
    const admitted = { batch: 0 }
    let isUnfolding = (): boolean => false
    const { core, journal } = await openCore(
      {
        settings,
        version: '0',
        clock,
        random,
        disk,
        log: SILENT,
        cluster: this.options.cluster,
        pairAddresses: () => [],
        makeSnapshot: (cut) => makeSnapshot(disk, settings.destinations, cut),
        openJournal: async (options) => {
          // What it is told: a standby's replica goes on, or a fresh one is read into.
          reader = this.readerOf(options.visitor)
          const { digest } = reader
          const opened: Journal = await openFileJournal({
            ...options,
            visitor: reader,
            listener: this.#listener(leadership, options.listener, (batch) => {
              // Nothing gathers, and no transaction is on its way to its queues: what the leader has is what is committed.
              if (admitted.batch <= batch && !isUnfolding() && (batch % 4 === 0 || history.hasDigest(batch)))
                history.digest(batch, digest(), process.name)
            }),
          })
          reader.end()
          history.digest(opened.committed - 1, digest(), process.name)
          const admit = opened.admit.bind(opened)
          opened.admit = (type, size, claim) => {
            const at = admit(type, size, claim)
            admitted.batch = opened.gathering
            return at
          }
          return opened
        },
      },
      leadership,
      warm,
      lost,
    )
    history.leads(epoch, reader?.last ?? (reader?.hasSnapshot === true ? journal.committed - 1 : 0), process.name)
    isUnfolding = () => core.unfolding
    core.lead(journal)
    core.setDialects([new TestDialect()])
    const term = new SimulatedTerm(this, core, journal, epoch)
    this.#deposed = (error) => journal.lose(error)
    this.term = term
    this.options.opened(term)
    return term
  }

  #listener(leadership: Leadership, listener: JournalListener, told: (batch: number) => void): JournalListener {
    const { process, history, exact, deposed } = this.options
    const { epoch } = leadership
    return {
      ...listener,
      committed: (batch) => {
        if (exact && deposed(epoch))
          history.violate('no-late-commit', `${process.name} committed batch ${batch} of epoch ${epoch} although a higher claim was there`)
        history.committed(epoch, batch, process.name)
        listener.committed(batch)
        told(batch)
      },
    }
  }

  readerOf(replica: Visitor): Reader {
    let reader = this.#readers.get(replica)
    if (reader === undefined && replica instanceof Replica)
      this.#readers.set(replica, (reader = new Reader(this.options.process.name, replica, this.options.history)))
    if (reader === undefined) throw new Error('whoever is told the journal here is a replica')
    return reader
  }

  #standBy(): Standby {
    const { disk, process, cluster } = this.options
    return new Standby({
      settings: this.settings,
      cluster,
      clock: process.clock,
      disk,
      log: SILENT,
      follow: (options) => {
        let reader: Reader | undefined
        const follower = followFileJournal({ ...options, begin: () => (reader = this.readerOf(options.begin())) })
        this.follower = follower
        return {
          get status() {
            return follower.status
          },
          stop: async () => {
            const position = await follower.stop()
            if (position !== undefined) reader?.end()
            return position
          },
        }
      },
    })
  }
}

/** As `RunningTerm`, with clients that call the core themselves. */
export class SimulatedTerm implements Term {
  readonly listeners = {}
  readonly node: SimulatedNode
  readonly core: Core
  readonly journal: Journal
  readonly epoch: number
  /** Clients may connect, and what they send is read. */
  isOpen = true
  readonly groups = new GroupWatch()

  constructor(node: SimulatedNode, core: Core, journal: Journal, epoch: number) {
    this.node = node
    this.core = core
    this.journal = journal
    this.epoch = epoch
  }

  get process(): Process {
    return this.node.options.process
  }

  status(): unknown {
    return {}
  }

  get administration(): Term['administration'] {
    return this.core.administration
  }

  recent(limit: number): unknown {
    return this.core.recent(limit)
  }

  digest(): Promise<Readonly<{ batch: number; digest: string }>> {
    return this.core.settledDigest()
  }

  async declare(): Promise<boolean> {
    return false
  }

  async purge(): Promise<unknown> {
    return undefined
  }

  async stop(release: () => Promise<void>): Promise<void> {
    this.isOpen = false
    this.core.quiesce()
    await this.journal.drained().catch(() => undefined)
    await this.journal.close()
    await this.core.stop()
    await this.#released(release)
  }

  async abandon(_error: Error, release: () => Promise<void>): Promise<void> {
    this.isOpen = false
    await this.core.stop()
    await this.journal.close()
    await this.#released(release)
  }

  async #released(release: () => Promise<void>): Promise<void> {
    await release()
    this.node.term = undefined
  }
}
