// One term of leadership put together: the core, the journal replayed into it, the front ends, their listeners.
// It is built after the claim and dropped whole when the term ends; nothing of it outlives that.
import type { Clock, FrontEnd, Log, Protocol } from './api.ts'
import type { Term } from './broker.ts'
import { ConfigurationError } from './config/load.ts'
import type { Settings } from './config/settings.ts'
import { Core } from './core/core.ts'
import type { Disk } from './disk.ts'
import { CodedError } from './errors.ts'
import type { Leadership } from './failover/claim.ts'
import type { Cut, Journal, JournalListener, Visitor } from './journal/journal.ts'
import { Tcp } from './listen/tcp.ts'
import { watchLoop } from './loop-gap.ts'
import type { Random } from './random.ts'
import { makeSnapshotInThread } from './snapshot.ts'

/** How long clients have to read their goodbye. */
const GOODBYE_MS = 3_000
/** A predecessor on the same machine, just killed, may hold its ports a moment longer than its claim. */
const PREDECESSOR_MS = 3_000
/** How long the last commits of a stop may take before it goes on without them: they were not acknowledged. */
const LAST_COMMIT_MS = 10_000

export type OpenJournal = (options: {
  directory: string
  disk: Disk
  clock: Clock
  random: Random
  leadership: Leadership
  settings: Settings['journal']
  visitor: Visitor
  listener: JournalListener
  log: Log
}) => Promise<Journal>

export type TermOptions = Readonly<{
  settings: Settings
  version: string
  clock: Clock
  random: Random
  disk: Disk
  log: Log
  protocols: readonly Protocol[]
  openJournal: OpenJournal
}>

export async function takeOver(options: TermOptions, leadership: Leadership, lost: (error: Error) => void): Promise<Term> {
  const { settings, version, clock, random, disk, log, protocols } = options
  const makeSnapshot = (cut: Cut): Promise<void> => makeSnapshotInThread(settings.destinations, cut)
  const stillLeads = lookAfterStall(leadership, clock, settings.failover.leaseMs / 4)
  const core = new Core({ clock, random, node: settings.node, version, settings, log, makeSnapshot, stillLeads })
  core.onLost = lost
  const journal = await options.openJournal({
    directory: settings.data,
    disk,
    clock,
    random,
    leadership,
    settings: settings.journal,
    visitor: core.visitor,
    listener: core.listener,
    log,
  })
  core.lead(journal)
  const tcp = new Tcp({ clock, limits: settings.limits, log })
  try {
    const frontEnds = new Map(protocols.map((protocol) => [protocol.name, protocol.start(core, settings.protocols[protocol.name], log)]))
    core.setDialects([...frontEnds.values()].map((frontEnd) => frontEnd.dialect))
    const listeners = await listen(tcp, frontEnds, settings, clock)
    for (const frontEnd of frontEnds.values()) frontEnd.started()
    return new RunningTerm(core, journal, tcp, listeners, clock, watchLoop({ clock, log, thresholdMs: 10 }))
  } catch (error) {
    tcp.stopAccepting()
    await core.stop()
    await journal.close()
    throw error
  }
}

/** A turn that begins long after the one before looks for a higher epoch first: this process may have been stopped meanwhile. */
function lookAfterStall(leadership: Leadership, clock: Clock, longMs: number): () => boolean {
  let lastMs = clock.monoMs()
  return () => {
    const nowMs = clock.monoMs()
    const leads = nowMs - lastMs < longMs || leadership.look()
    lastMs = nowMs
    return leads
  }
}

/** All of them, or none: an address that cannot be had ends the start. */
async function listen(
  tcp: Tcp,
  frontEnds: ReadonlyMap<string, FrontEnd>,
  settings: Settings,
  clock: Clock,
): Promise<Readonly<Record<string, string>>> {
  const listeners: Record<string, string> = {}
  const untilMs = clock.monoMs() + PREDECESSOR_MS
  for (const [name, frontEnd] of frontEnds) {
    const { enabled, host, port } = settings.listeners[name]
    while (enabled && listeners[name] === undefined) {
      try {
        listeners[name] = await tcp.listen({ name, host, port, frontEnd })
      } catch (error) {
        const sentence = listenError(error, name, host, port)
        if (sentence === error || clock.monoMs() >= untilMs) throw sentence
        await new Promise<void>((resolve) => clock.after(20, resolve))
      }
    }
  }
  return listeners
}

/** What a user can do about it. */
export function listenError(error: unknown, name: string, host: string, port: number): Error {
  const code = error instanceof Error && 'code' in error ? error.code : ''
  const choose = `choose another with --listen ${name}=HOST:PORT, --port-offset N or --ports free`
  if (code === 'EADDRINUSE') return new ConfigurationError(`listener ${name}: ${host}:${port} is in use by another program: stop it, or ${choose}`)
  if (code === 'EACCES') return new ConfigurationError(`listener ${name}: this user may not listen on ${host}:${port}: ${choose}`)
  if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND')
    return new ConfigurationError(`listener ${name}: ${host} is not an address of this machine: ${choose}`)
  return error instanceof Error ? error : new Error(String(error))
}

class RunningTerm implements Term {
  readonly listeners: Readonly<Record<string, string>>
  readonly #core: Core
  readonly #journal: Journal
  readonly #tcp: Tcp
  readonly #clock: Clock
  readonly #unwatch: () => void

  constructor(core: Core, journal: Journal, tcp: Tcp, listeners: Readonly<Record<string, string>>, clock: Clock, unwatch: () => void) {
    this.#core = core
    this.#journal = journal
    this.#tcp = tcp
    this.listeners = listeners
    this.#clock = clock
    this.#unwatch = unwatch
  }

  status(): unknown {
    return this.#core.status()
  }

  async declare(queue: readonly string[]): Promise<boolean> {
    return this.#core.declare(this.#core.address('queue', queue))
  }

  recent(limit: number): unknown {
    return this.#core.recent(limit)
  }

  destinations(): unknown {
    return this.#core.destinations()
  }

  async purge(queue: readonly string[]): Promise<unknown> {
    return this.#core.purge(this.#core.address('queue', queue))
  }

  /**
   * No further connections and input → what is in flight is committed and answered → every client is told → core → journal.
   * An answer that can still be given is worth more than a fast end: without it a producer sends again.
   */
  async stop(): Promise<void> {
    this.#unwatch()
    this.#tcp.stopAccepting()
    this.#tcp.stopReading()
    await this.#within(LAST_COMMIT_MS, this.#journal.drained())
    await this.#tcp.shutdown(new CodedError('shutting-down', 'The node stops.'), GOODBYE_MS)
    await this.#core.stop()
    await this.#journal.close()
  }

  async abandon(error: Error): Promise<void> {
    this.#unwatch()
    await this.#tcp.shutdown(
      new CodedError('not-leading', `This node no longer leads (${error.message}): what was in flight may or may not have happened.`),
      GOODBYE_MS,
    )
    await this.#core.stop()
    await this.#journal.close()
  }

  async #within(ms: number, work: Promise<void>): Promise<void> {
    let cancel = (): void => {}
    const late = new Promise<void>((resolve) => {
      cancel = this.#clock.after(ms, resolve)
    })
    await Promise.race([work, late])
    cancel()
  }
}
