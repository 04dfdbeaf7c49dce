// One term of leadership put together: the core, the journal replayed into it, the front ends, their listeners.
// It is built after the claim and dropped whole when the term ends; nothing of it outlives that.
import type { Broker, Clock, FrontEnd, Log, LogIns, Protocol } from './api.ts'
import type { Term } from './broker.ts'
import { ConfigurationError } from './config/load.ts'
import type { ListenerSettings, Settings } from './config/settings.ts'
import { Core } from './core/core.ts'
import { Replica } from './core/replica.ts'
import type { Disk } from './disk.ts'
import { overTls } from './config/listener-names.ts'
import { CodedError } from './errors.ts'
import type { Leadership } from './failover/claim.ts'
import { type OpenOptions, ReadAnew } from './journal/file/open.ts'
import type { Cut, Journal, Position } from './journal/journal.ts'
import type { Credentials } from './listen/credentials.ts'
import { type Place, Tcp } from './listen/tcp.ts'
import type { Handshakes } from './listen/tls.ts'
import { listenWebSocket, type Spoken } from './listen/websocket.ts'
import { watchLoop } from './loop-gap.ts'
import type { Random } from './random.ts'
import { makeSnapshotInThread } from './snapshot.ts'
import type { Warm } from './standby.ts'

/** How long clients have to read their goodbye. */
const GOODBYE_MS = 3_000
/** A predecessor on the same machine, just killed, may hold its ports a moment longer than its claim. */
const PREDECESSOR_MS = 3_000
/** How long the last commits of a stop may take before it goes on without them: they were not acknowledged. */
const LAST_COMMIT_MS = 10_000

export type OpenJournal = (options: OpenOptions) => Promise<Journal>

/** What the state and the journal of a term need: no sockets, no protocols. */
export type CoreTermOptions = Readonly<{
  settings: Settings
  version: string
  clock: Clock
  random: Random
  disk: Disk
  log: Log
  openJournal: OpenJournal
  /** Of the directory, as it was when the process started. */
  cluster: string
  /** See `Broker.pairAddresses`. */
  pairAddresses: Broker['pairAddresses']
  /** See `CoreOptions.logins`. */
  logins?: LogIns
  /** In a thread of its own, unless another way is given. */
  makeSnapshot?: (cut: Cut) => Promise<void>
}>

export type TermOptions = CoreTermOptions & Readonly<{ protocols: readonly Protocol[]; credentials?: Credentials | undefined }>

/** From a claim to open ports. `warm`: what this node followed as a standby; only what came after it is read. */
export async function takeOver(
  options: TermOptions,
  leadership: Leadership,
  warm: Warm | undefined,
  lost: (error: Error) => void,
): Promise<RunningTerm> {
  const { settings, clock, log, protocols } = options
  const begunMs = clock.monoMs()
  const { core, journal } = await openCore(options, leadership, warm, lost)
  const openMs = clock.monoMs()
  core.lead(journal)
  const leadMs = clock.monoMs()
  const tcp = new Tcp({ clock, limits: settings.limits, log })
  core.countConnections(tcp)
  try {
    const frontEnds = new Map(protocols.map((protocol) => [protocol.name, protocol.start(core, settings.protocols[protocol.name], log)]))
    core.setDialects([...frontEnds.values()].flatMap(({ dialect, otherDialects = [] }) => [dialect, ...otherDialects]))
    const listeners = await listen(options, tcp, frontEnds)
    for (const frontEnd of frontEnds.values()) frontEnd.started()
    const ms = {
      claim: rounded(leadership.tookMs ?? 0),
      follow: rounded(warm?.stopMs ?? 0),
      journal: rounded(openMs - begunMs),
      core: rounded(leadMs - openMs),
      listeners: rounded(clock.monoMs() - leadMs),
    }
    log.info({ epoch: leadership.epoch, warm: warm !== undefined, ms }, 'leads')
    return new RunningTerm(core, journal, tcp, listeners, clock, watchLoop({ clock, log, thresholdMs: 10 }))
  } catch (error) {
    tcp.stopAccepting()
    await core.stop()
    await journal.close()
    throw error
  }
}

const rounded = (ms: number): number => Math.round(ms * 10) / 10

/** The state warm or read from its start, sealed with our header: the core is what every earlier epoch promised. */
export async function openCore(
  options: CoreTermOptions,
  leadership: Leadership,
  warm: Warm | undefined,
  lost: (error: Error) => void,
): Promise<Readonly<{ core: Core; journal: Journal }>> {
  const { log } = options
  if (warm !== undefined) {
    try {
      return await open(options, leadership, warm.replica, warm.position, lost)
    } catch (error) {
      if (!(error instanceof ReadAnew)) throw error
      log.warn({ reason: error }, 'what this standby followed cannot be continued: the journal is read from its newest snapshot')
    }
  }
  return open(options, leadership, new Replica(options.settings.destinations, options.clock), undefined, lost)
}

async function open(
  options: CoreTermOptions,
  leadership: Leadership,
  replica: Replica,
  from: Position | undefined,
  lost: (error: Error) => void,
): Promise<Readonly<{ core: Core; journal: Journal }>> {
  const { settings, version, clock, random, disk, log, cluster, pairAddresses, logins } = options
  const makeSnapshot = options.makeSnapshot ?? ((cut: Cut) => makeSnapshotInThread(settings.destinations, cut))
  const stillLeads = lookAfterStall(leadership, clock, settings.failover.leaseMs / 4)
  const core = new Core({
    clock,
    random,
    node: settings.node,
    version,
    settings,
    log,
    makeSnapshot,
    stillLeads,
    replica,
    pairAddresses,
    ...(logins === undefined ? {} : { logins }),
  })
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
    cluster,
    ...(from === undefined ? {} : { from }),
  })
  return { core, journal }
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

/** A node that speaks no TLS need not load it. */
async function handshakesOf({ settings, log }: TermOptions, credentials: Credentials): Promise<Handshakes> {
  const { Handshakes } = await import('./listen/tls.ts')
  return new Handshakes({ settings: settings.tls, credentials, handshakesMax: settings.limits.handshakes, log })
}

/** All of them, or none: an address that cannot be had ends the start. */
async function listen(options: TermOptions, tcp: Tcp, frontEnds: ReadonlyMap<string, FrontEnd>): Promise<Readonly<Record<string, string>>> {
  const { settings, clock, log, protocols, credentials } = options
  const listeners: Record<string, string> = {}
  let handshakes: Handshakes | undefined
  const untilMs = clock.monoMs() + PREDECESSOR_MS
  const spoken: Spoken[] = []
  for (const { name, subprotocols, textMessages } of protocols) {
    const frontEnd = frontEnds.get(name)
    if (frontEnd === undefined) continue
    spoken.push({ name, subprotocols, textMessages, accept: (wire) => frontEnd.accept(wire) })
    await listenPlainAndTls(name, (place) => tcp.listen({ ...place, frontEnd }))
  }
  await listenPlainAndTls('websocket', (place) => listenWebSocket({ ...place, settings: settings.websocket, clock, log, tcp, spoken }))
  return listeners

  async function listenPlainAndTls(name: string, open: (place: Place) => Promise<string>): Promise<void> {
    await listenSoon(name, ({ host, port }) => open({ name, host, port }))
    const secured = overTls(name)
    if (credentials === undefined || !settings.listeners[secured].enabled) return
    // Of the first listener that needs them; `tcp` closes them, unless it never had them.
    const tls = (handshakes ??= await handshakesOf(options, credentials))
    try {
      await listenSoon(secured, ({ host, port }) => open({ name: secured, host, port, tls }))
    } catch (error) {
      tls.close()
      throw error
    }
  }

  async function listenSoon(name: string, open: (place: ListenerSettings) => Promise<string>): Promise<void> {
    const place = settings.listeners[name]
    while (place.enabled && listeners[name] === undefined) {
      try {
        listeners[name] = await open(place)
      } catch (error) {
        const sentence = listenError(error, name, place.host, place.port)
        if (sentence === error || clock.monoMs() >= untilMs) throw sentence
        await new Promise<void>((resolve) => clock.after(20, resolve))
      }
    }
  }
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

export class RunningTerm implements Term {
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

  /** Another node leads, as was found elsewhere than at a commit. Nothing more is written; then `lost` is called. */
  readonly lose = (error: Error): void => {
    this.#journal.lose(error)
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

  get administration(): Term['administration'] {
    return this.#core.administration
  }

  async purge(queue: readonly string[]): Promise<unknown> {
    return this.#core.purge(this.#core.address('queue', queue))
  }

  digest(): Promise<Readonly<{ batch: number; digest: string }>> {
    return this.#core.settledDigest()
  }

  /**
   * Design 6.7: no further connections and input → no further deliveries → what is in flight is committed and answered → the journal is closed and the
   * claim given away → every client is told where to go. An answer that can still be given is worth more than a fast end: without it a producer sends again.
   */
  async stop(release: () => Promise<void>): Promise<void> {
    this.#unwatch()
    this.#tcp.stopAccepting()
    this.#tcp.stopReading()
    this.#core.quiesce()
    await this.#lastCommit()
    await this.#journal.close()
    await this.#core.stop()
    await release()
    await this.#tcp.shutdown(new CodedError('shutting-down', 'The node stops or hands over.'), GOODBYE_MS)
  }

  async abandon(error: Error, release: () => Promise<void>): Promise<void> {
    this.#unwatch()
    this.#tcp.stopAccepting()
    this.#tcp.stopReading()
    await this.#core.stop()
    await this.#journal.close()
    await release()
    await this.#tcp.shutdown(
      new CodedError('not-leading', `This node no longer leads (${error.message}): what was in flight may or may not have happened.`),
      GOODBYE_MS,
    )
  }

  /** A disk that hangs must not keep the claim: then the journal ends as it does when it fails (rule 15), and a successor decides what was in flight. */
  async #lastCommit(): Promise<void> {
    const cancel = this.#clock.after(LAST_COMMIT_MS, () => this.#journal.lose(new CodedError('timeout', 'the last commit took too long')))
    try {
      await this.#journal.drained()
    } catch {
      // Leadership was lost at the last moment: nothing more is written, and nobody was told of it.
    }
    cancel()
  }
}
