// One node and its roles. It knows neither protocol nor file: what a term of leadership consists of is `term.ts`, handed in as `takeOver`.
//
//   starting ──lock is another's──▶ standby ──lock falls──▶ taking-over ──▶ active ──stop()──▶ stopping ──▶ (ended)
//       └──────────lock is free──────────────────────────────▲                 │
//                                     standby ◀───────────────leadership lost──┘
import type { Clock, Log } from './api.ts'
import { CodedError } from './errors.ts'
import type { Leadership } from './failover/claim.ts'
import type { Managed, NodeStatus, Role } from './management/api.ts'

/** How long a node that lost its leadership waits before it tries again: a disk that fails must not make it claim in a loop. */
const AGAIN_MS = 1_000

/** One term of leadership, from the journal read to the last connection closed. */
export interface Term {
  /** By listener name, `host:port`. */
  readonly listeners: Readonly<Record<string, string>>
  status(): unknown
  destinations(): unknown
  recent(limit: number): unknown
  declare(queue: readonly string[]): Promise<boolean>
  purge(queue: readonly string[]): Promise<unknown>
  /** Ends it in order: no further connections, last commit, clients told. The claim is released by the caller. */
  stop(): Promise<void>
  /** Ends it because another leads, or the journal failed: nothing is written any more. */
  abandon(error: Error): Promise<void>
}

export type NodeOptions = Readonly<{
  node: string
  version: string
  clock: Clock
  log: Log
  /** Ends when this node leads; rejects when aborted. */
  claim: (signal: AbortSignal, onWaiting: () => void) => Promise<Leadership>
  /** `lost` is called at most once, at any time from now on. */
  takeOver: (leadership: Leadership, lost: (error: Error) => void) => Promise<Term>
  /** Each time the node becomes active, and once when it becomes a standby. */
  ready: (status: NodeStatus) => void
}>

export class Node implements Managed {
  role: Role = 'starting'
  /** Of the management interface. */
  ownListeners: Readonly<Record<string, string>> = {}
  readonly #options: NodeOptions
  readonly #startedAtMs: number
  readonly #stopping = new AbortController()
  #term: Term | undefined
  #epoch = 0
  #running: Promise<void> | undefined

  constructor(options: NodeOptions) {
    this.#options = options
    this.#startedAtMs = options.clock.wallMs()
  }

  /** Ends after `stop()`; rejects when the node cannot go on (a damaged journal, an address in use). */
  run(): Promise<void> {
    this.#running ??= this.#run()
    return this.#running
  }

  /** Ends when everything is closed and the claim released. */
  async stop(): Promise<void> {
    this.#stopping.abort(new CodedError('shutting-down', 'The node stops.'))
    await this.#running
  }

  status(): NodeStatus {
    return {
      role: this.role,
      node: this.#options.node,
      version: this.#options.version,
      epoch: this.#epoch,
      startedAtMs: this.#startedAtMs,
      listeners: { ...this.#term?.listeners, ...this.ownListeners },
      ...(this.#term === undefined ? {} : { broker: this.#term.status() }),
    }
  }

  destinations(): unknown {
    return this.#leading().destinations()
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

  async #run(): Promise<void> {
    const { signal } = this.#stopping
    while (!signal.aborted) {
      const leadership = await this.#claim(signal)
      if (leadership === undefined) break
      try {
        await this.#lead(leadership, signal)
      } finally {
        this.#term = undefined
        this.#epoch = 0
        await leadership.release()
      }
    }
    this.role = 'stopping'
  }

  /** Undefined: stopped while waiting. */
  async #claim(signal: AbortSignal): Promise<Leadership | undefined> {
    try {
      return await this.#options.claim(signal, () => {
        if (this.role === 'standby') return
        this.role = 'standby'
        this.#options.ready(this.status())
      })
    } catch (error) {
      if (signal.aborted) return undefined
      throw error
    }
  }

  /** Ends when the node stops, or leads no more. */
  async #lead(leadership: Leadership, signal: AbortSignal): Promise<void> {
    const { log } = this.#options
    this.role = 'taking-over'
    this.#epoch = leadership.epoch
    const end = new Ending(signal)
    let term: Term
    try {
      term = await this.#options.takeOver(leadership, (error) => end.lost(error))
    } catch (error) {
      // Another has claimed meanwhile: nothing was promised. Otherwise it is ours: damage, a full disk, an address in use.
      if (leadership.look()) throw error
      log.warn({ epoch: leadership.epoch, error }, 'another node claimed while this one took over')
      await this.#stepDown(signal)
      return
    }
    this.#term = term
    if (!end.ended) {
      this.role = 'active'
      this.#options.ready(this.status())
      await end.wait
    }
    if (end.error === undefined) {
      this.role = 'stopping'
      await term.stop()
      return
    }
    log.error({ epoch: leadership.epoch, reason: end.error }, 'leadership lost: clients are closed, this node becomes a standby')
    await term.abandon(end.error)
    this.#term = undefined
    await this.#stepDown(signal)
  }

  async #stepDown(signal: AbortSignal): Promise<void> {
    this.role = 'standby'
    this.#epoch = 0
    this.#options.ready(this.status())
    await new Promise<void>((resolve) => {
      const cancel = this.#options.clock.after(AGAIN_MS, resolve)
      signal.addEventListener('abort', () => (cancel(), resolve()), { once: true })
      if (signal.aborted) resolve()
    })
  }
}

/** A term ends once: because the node stops, or because leadership was lost (then with the reason). */
class Ending {
  ended = false
  error: Error | undefined
  readonly wait: Promise<void>
  #resolve: () => void = () => {}

  constructor(signal: AbortSignal) {
    this.wait = new Promise((resolve) => {
      this.#resolve = resolve
    })
    if (signal.aborted) this.#end()
    else signal.addEventListener('abort', () => this.#end(), { once: true })
  }

  /** Also after `stop()` has begun: then the last commit has failed, and nothing may be written. */
  lost(error: Error): void {
    this.error ??= error
    this.#end()
  }

  #end(): void {
    this.ended = true
    this.#resolve()
  }
}
