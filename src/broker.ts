// One node and its roles. It knows neither protocol nor file: what a term of leadership consists of is `term.ts`, handed in as `takeOver`;
// what a standby keeps warm is `standby.ts`, handed in as `standBy`.
//
//   starting ──another leads──▶ standby ──it dies, hangs or hands over──▶ taking-over ──▶ active ──stop(), handOver()──▶ stopping ──▶ (ended)
//       └────────nobody leads──────────────────────────────────────────────▲                │                              │
//                                  standby ◀─────────────leadership lost───────────────────┘◀──────────handed over────────┘
import type { Clock, Log } from './api.ts'
import { CodedError } from './errors.ts'
import type { Leadership } from './failover/claim.ts'
import type { Managed, NodeStatus, Role, StateDigest } from './management/api.ts'
import type { Standby, Warm } from './standby.ts'

/** How long a node that lost its leadership, or could not take over, waits before it tries again: a disk that fails must not make it claim in a loop. */
const AGAIN_MS = 1_000
const AGAIN_MS_MAX = 30_000
/** How long a node that handed over leaves the claim to others. */
const YIELD_MS = 5_000

/** One term of leadership, from the journal read to the last connection closed. */
export interface Term {
  /** By listener name, `host:port`. */
  readonly listeners: Readonly<Record<string, string>>
  status(): unknown
  readonly administration: Managed['administration']
  recent(limit: number): unknown
  digest(): Promise<Readonly<{ batch: number; digest: string }>>
  declare(queue: readonly string[]): Promise<boolean>
  purge(queue: readonly string[]): Promise<unknown>
  /** Ends it in order (design 6.7): no further connections and deliveries, last commit, `release`, clients told where to go. */
  stop(release: () => Promise<void>): Promise<void>
  /** Ends it because another leads, or the journal failed: nothing is written any more. `release` as soon as nothing is. */
  abandon(error: Error, release: () => Promise<void>): Promise<void>
}

export type Waiting = Readonly<{
  /** Called once for each leader that is waited for. */
  onWaiting: () => void
  /** Whether this node may claim over this highest epoch now. */
  mayClaim: (highest: number) => boolean
}>

export type NodeOptions = Readonly<{
  /** '' before it has found one. */
  name: () => string
  version: string
  clock: Clock
  log: Log
  /** Ends when this node leads; rejects when aborted. */
  claim: (signal: AbortSignal, waiting: Waiting) => Promise<Leadership>
  /** Begins to follow the journal. */
  standBy: () => Standby
  /** `lost` is called at most once, at any time from now on. `warm`: what this node followed. */
  takeOver: (leadership: Leadership, warm: Warm | undefined, lost: (error: Error) => void) => Promise<Term>
  /** May the node go on as a standby after this failure of a takeover, or does only a person mend it? */
  mayTryAgain: (error: unknown) => boolean
  /** What is known of the other nodes, for people. */
  peers: () => unknown
  /** Name of another node that is ready to take over. */
  successor: () => Promise<string | undefined>
  /** Each time the node becomes active or a standby. */
  ready: (status: NodeStatus) => void
  /** Each time its role changes. */
  changed: (role: Role) => void
}>

export class Node implements Managed {
  /** Of the management interface. */
  ownListeners: Readonly<Record<string, string>> = {}
  readonly #options: NodeOptions
  readonly #startedAtMs: number
  readonly #stopping = new AbortController()
  #role: Role = 'starting'
  #term: Term | undefined
  #ending: Ending | undefined
  #standby: Standby | undefined
  #epoch = 0
  #announced = false
  /** The epoch that this node gave away, and until when it leaves the next to others. */
  #yielded = { epoch: 0, untilMs: 0 }
  /** After a term that ended badly it watches at once, and claims from here on. */
  #notBeforeMs = 0
  #failures = 0
  #running: Promise<void> | undefined

  constructor(options: NodeOptions) {
    this.#options = options
    this.#startedAtMs = options.clock.wallMs()
  }

  get role(): Role {
    return this.#role
  }

  /** Ends after `stop()`; rejects when the node cannot go on (a damaged journal, an address in use at its start). */
  run(): Promise<void> {
    this.#running ??= this.#run()
    return this.#running
  }

  /** Ends when everything is closed and the claim released. */
  async stop(): Promise<void> {
    this.#stopping.abort(new CodedError('shutting-down', 'The node stops.'))
    await this.#running
  }

  /** Gives the leadership to a standby and becomes one; ends when the claim is released. Without a warm standby only if forced. */
  async handOver(force: boolean): Promise<Readonly<{ epoch: number; successor: string | undefined }>> {
    const ending = this.#ending
    if (this.#role !== 'active' || ending === undefined) throw new CodedError('not-leading', 'This node does not lead; ask the active one.')
    const successor = await this.#options.successor()
    if (successor === undefined && !force)
      throw new CodedError('denied', 'No other node is warm: clients would wait for one. Start a standby, or hand over by force.')
    const epoch = this.#epoch
    ending.handOver()
    await ending.released
    return { epoch, successor }
  }

  status(): NodeStatus {
    return { ...this.standing(), peers: this.#options.peers(), ...(this.#term === undefined ? {} : { broker: this.#term.status() }) }
  }

  /** What costs nothing to know: without the core's figures. */
  standing(): NodeStatus {
    return {
      role: this.#role,
      node: this.#options.name(),
      version: this.#options.version,
      epoch: this.#epoch,
      startedAtMs: this.#startedAtMs,
      listeners: { ...this.#term?.listeners, ...this.ownListeners },
      ...(this.#standby === undefined ? {} : { follow: this.#standby.status }),
    }
  }

  async digest(): Promise<StateDigest> {
    const state = this.#standby === undefined ? await this.#leading().digest() : this.#standby.digest()
    return { node: this.#options.name(), role: this.#role, ...state }
  }

  get administration(): Managed['administration'] {
    return this.#leading().administration
  }

  async declare(queue: readonly string[]): Promise<boolean> {
    return this.#leading().declare(queue)
  }

  recent(limit: number): unknown {
    return this.#leading().recent(limit)
  }

  async purge(queue: readonly string[]): Promise<unknown> {
    return this.#leading().purge(queue)
  }

  #leading(): Term {
    if (this.#term === undefined) throw new CodedError('not-leading', 'This node does not lead; ask the active one.')
    return this.#term
  }

  #become(role: Role): void {
    if (this.#role === role) return
    this.#role = role
    this.#options.changed(role)
  }

  #announce(): void {
    this.#announced = true
    this.#options.ready(this.status())
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping
    try {
      while (!signal.aborted) {
        const leadership = await this.#claim(signal)
        if (leadership === undefined) break
        try {
          await this.#lead(leadership, signal)
        } finally {
          this.#term = undefined
          this.#ending = undefined
          this.#epoch = 0
          await leadership.release()
        }
      }
    } finally {
      await this.#standby?.stop()
      this.#standby = undefined
    }
    this.#become('stopping')
  }

  /** Undefined: stopped while waiting. */
  async #claim(signal: AbortSignal): Promise<Leadership | undefined> {
    const { clock, claim, log, mayTryAgain } = this.#options
    while (!signal.aborted) {
      try {
        return await claim(signal, {
          onWaiting: () => {
            if (this.#standby === undefined) this.#stand()
          },
          mayClaim: (highest) =>
            this.#standby?.status.state !== 'cold' &&
            clock.monoMs() >= (highest === this.#yielded.epoch ? Math.max(this.#yielded.untilMs, this.#notBeforeMs) : this.#notBeforeMs),
        })
      } catch (error) {
        if (signal.aborted) break
        // At its start a node that cannot use its directory ends; later it may be back any moment.
        if (!this.#announced || !mayTryAgain(error)) throw error
        log.error({ error }, 'the directory cannot be used: this node tries again later')
        await this.#pause(signal)
      }
    }
    return undefined
  }

  /** Follows the journal from now on. */
  #stand(): void {
    this.#epoch = 0
    this.#standby ??= this.#options.standBy()
    this.#become('standby')
    this.#announce()
  }

  /** Ends when the node stops, or leads no more. */
  async #lead(leadership: Leadership, signal: AbortSignal): Promise<void> {
    const { log } = this.#options
    this.#become('taking-over')
    this.#epoch = leadership.epoch
    const end = new Ending(signal)
    this.#ending = end
    const release = async (): Promise<void> => {
      await leadership.release()
      end.gaveAway()
    }
    let term: Term
    try {
      const warm = await this.#standby?.stop()
      this.#standby = undefined
      term = await this.#options.takeOver(leadership, warm, (error) => end.lost(error))
    } catch (error) {
      this.#standby = undefined
      // Another has claimed meanwhile: nothing was promised. Otherwise it is ours: damage, a full disk, an address in use.
      const overtaken = !leadership.look()
      if (!overtaken && !(this.#announced && this.#options.mayTryAgain(error))) throw error
      const { epoch } = leadership
      if (overtaken) log.warn({ epoch, error }, 'another node claimed while this one took over')
      else log.error({ epoch, error }, 'this node could not take over: it gives its claim away and tries again later')
      await release()
      this.#stepDown(signal)
      return
    }
    this.#term = term
    if (!end.ended) {
      this.#failures = 0
      this.#become('active')
      this.#announce()
      await end.wait
    }
    if (end.error === undefined) {
      this.#become('stopping')
      this.#yielded = { epoch: leadership.epoch, untilMs: this.#options.clock.monoMs() + YIELD_MS }
      await term.stop(release)
      this.#term = undefined
      if (signal.aborted) return
      log.info({ epoch: leadership.epoch }, 'handed over: this node is a standby now')
      this.#stand()
      return
    }
    log.error({ epoch: leadership.epoch, reason: end.error }, 'leadership lost: clients are closed, this node becomes a standby')
    await term.abandon(end.error, release)
    this.#term = undefined
    this.#stepDown(signal)
  }

  /** A standby at once; a claimant only after a pause, longer each time. */
  #stepDown(signal: AbortSignal): void {
    if (signal.aborted) return
    this.#stand()
    this.#notBeforeMs = this.#options.clock.monoMs() + this.#againMs()
  }

  #againMs(): number {
    return Math.min(AGAIN_MS_MAX, AGAIN_MS * 2 ** this.#failures++)
  }

  async #pause(signal: AbortSignal): Promise<void> {
    const pauseMs = this.#againMs()
    await new Promise<void>((resolve) => {
      const cancel = this.#options.clock.after(pauseMs, resolve)
      signal.addEventListener('abort', () => (cancel(), resolve()), { once: true })
      if (signal.aborted) resolve()
    })
  }
}

/** A term ends once: because the node stops or hands over, or because leadership was lost (then with the reason). */
class Ending {
  ended = false
  error: Error | undefined
  readonly wait: Promise<void>
  /** The claim is given away. */
  readonly released: Promise<void>
  #resolve: () => void = () => {}
  #resolveReleased: () => void = () => {}

  constructor(signal: AbortSignal) {
    this.wait = new Promise((resolve) => {
      this.#resolve = resolve
    })
    this.released = new Promise((resolve) => {
      this.#resolveReleased = resolve
    })
    if (signal.aborted) this.#end()
    else signal.addEventListener('abort', () => this.#end(), { once: true })
  }

  /** Also after `stop()` has begun: then the last commit has failed, and nothing may be written. */
  lost(error: Error): void {
    this.error ??= error
    this.#end()
  }

  handOver(): void {
    this.#end()
  }

  gaveAway(): void {
    this.#resolveReleased()
  }

  #end(): void {
    this.ended = true
    this.#resolve()
  }
}
