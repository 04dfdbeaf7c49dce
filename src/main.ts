// The composition root: settings in, a running node out. Everything real (clock, chance, disk, protocols) is handed in from here and from nowhere else.
// What belongs to the process (signals, the ready line, exit codes) is `cli/start.ts`.
import { hostname } from 'node:os'
import type { Broker, Clock, Log, Protocol } from './api.ts'
import { Node } from './broker.ts'
import { realClock } from './clock.ts'
import { ConfigurationError } from './config/load.ts'
import type { Settings } from './config/settings.ts'
import { type Disk, realDisk } from './disk.ts'
import { claimPath, highestEpoch } from './failover/claim-file.ts'
import { claim, type Leadership } from './failover/claim.ts'
import { lookupOf } from './failover/mounts.ts'
import { enter } from './failover/nodes.ts'
import { UnknownFact } from './journal/facts.ts'
import { JournalDamage } from './journal/file/damage.ts'
import { prepareDirectory } from './journal/file/directory.ts'
import { followFileJournal } from './journal/file/follow.ts'
import { openFileJournal } from './journal/file/open.ts'
import type { Credentials } from './listen/credentials.ts'
import { probe } from './listen/probe.ts'
import { loadWebSocket } from './listen/websocket.ts'
import type { NodeStatus } from './management/api.ts'
import { type Management, openManagement } from './management/server.ts'
import { Peers } from './peers.ts'
import { type Random, realRandom } from './random.ts'
import { Standby } from './standby.ts'
import { listenError, type OpenJournal, takeOver } from './term.ts'
import { Authenticator } from './users/authenticator.ts'
import { openHashThread } from './users/hash-thread.ts'

export type MainOptions = Readonly<{
  settings: Settings
  version: string
  log: Log
  protocols: readonly Protocol[]
  /** Claim although another node leads. */
  force: boolean
  /** See `NodeOptions.ready`. */
  ready: (status: NodeStatus) => void
  /** The name by which this node goes from now on: as configured, or the one it found free. */
  named?: (node: string) => void
  clock?: Clock
  random?: Random
  disk?: Disk
  openJournal?: OpenJournal
  /** For tests of tests: a leadership with a fault in it. */
  leadership?: (real: Leadership) => Leadership
}>

type Entered = Readonly<{ settings: Settings; cluster: string; settleMs: number; peers: Peers }>

/** Rule 19: the others' looks may be old, and then our own listing of what they wrote until they knew. */
const OLD_ANSWERS = 2
/** Clocks differ in rate, by less than this. */
const RATE_MARGIN = 1.1

/** `run()` of the answer ends when the node has stopped. The management listener is open when this returns. */
export async function openNode(options: MainOptions): Promise<Readonly<{ node: Node; close: () => Promise<void>; run: () => Promise<void> }>> {
  const { version, log, protocols, force } = options
  const { clock = realClock, random = realRandom, disk = realDisk, openJournal = openFileJournal } = options
  const { data, failover, listeners } = options.settings
  const credentials = await credentialsOf(options.settings, clock, log)
  const managements: Management[] = []
  const { users, anonymous, limits, tls } = options.settings
  const hashing = openHashThread()
  const authenticator = new Authenticator({ users, anonymous, certificateLogin: tls.certificateLogin, limits, clock, check: hashing.check, log })
  // What is known only once the directory is there; the management listener comes first, so that a start that must fail leaves no trace.
  let entered: Entered | undefined
  const there = (): Entered => {
    if (entered === undefined) throw new Error('the node runs before it has entered its directory')
    return entered
  }
  let deposed: (error: Error) => void = () => {}
  const node: Node = new Node({
    name: () => entered?.settings.node ?? options.settings.node,
    version,
    clock,
    log,
    ready: options.ready,
    changed: () => entered?.peers.changed(),
    peers: () => entered?.peers.others ?? [],
    successor: () => there().peers.successor(),
    mayTryAgain: (error) => !(error instanceof JournalDamage || error instanceof UnknownFact),
    standBy: () => {
      // A standby has the time that clients waiting for a takeover have not. What fails here is told when it is needed.
      if (listeners.websocket.enabled) loadWebSocket().catch(() => {})
      return new Standby({ ...there(), clock, disk, log, follow: followFileJournal })
    },
    claim: async (signal, waiting) => {
      const held = await claim({
        directory: data,
        node: there().settings.node,
        address: managements[0]?.address ?? '',
        disk,
        clock,
        random,
        log,
        force: force && node.role === 'starting',
        pollMs: failover.lockPollMs,
        leaseMs: failover.leaseMs,
        settleMs: there().settleMs,
        signal,
        mayClaim: waiting.mayClaim,
        onLost: (error) => deposed(error),
        onWaiting: (holder) => {
          log.info({ holder: holder.node, epoch: holder.epoch }, 'standing by: another node leads')
          waiting.onWaiting()
        },
      })
      return options.leadership?.(held) ?? held
    },
    takeOver: async (leadership, warm, lost) => {
      const { settings, cluster, peers } = there()
      const pairAddresses: Broker['pairAddresses'] = (protocol, secure) => peers.addresses(protocol, secure)
      const term = { settings, version, clock, random, disk, log, protocols, openJournal, cluster, pairAddresses, logins: authenticator, credentials }
      const running = await takeOver(term, leadership, warm, lost)
      deposed = running.lose
      return running
    },
  })
  const closeManagement = async (): Promise<void> => {
    await Promise.all(managements.map((each) => each.close()))
    credentials?.close()
  }
  try {
    for (const name of ['http', 'https'] as const) {
      const { enabled, host, port } = listeners[name]
      if (!enabled) continue
      const login = users.length === 0 ? undefined : authenticator.authenticate
      try {
        const opened = await openManagement({
          host,
          port,
          limits,
          log,
          managed: node,
          login,
          tls: name === 'https' && credentials !== undefined ? { credentials, handshakeTimeoutMs: tls.handshakeTimeoutMs } : undefined,
        })
        managements.push(opened)
        node.ownListeners = { ...node.ownListeners, [name]: opened.address }
      } catch (error) {
        throw listenError(error, name, host, port)
      }
    }
    await refuseTakenAddresses(options.settings, disk)
    const { cluster } = await prepareDirectory(disk, data)
    const settleMs = await settleTime(options.settings)
    const presence = await enter({ directory: data, node: options.settings.node, disk, clock, pid: process.pid, host: hostname(), version })
    const settings: Settings = { ...options.settings, node: presence.node }
    const peers = new Peers({ presence, settings, clock, hostName: hostname(), status: () => node.standing() })
    entered = { settings, cluster, settleMs, peers }
    options.named?.(presence.node)
    peers.start()
  } catch (error) {
    await closeManagement()
    throw error
  }
  return {
    node,
    run: async () => {
      try {
        await node.run()
      } finally {
        await closeManagement()
        await there().peers.stop()
        hashing.close()
      }
    },
    close: () => node.stop(),
  }
}

/** Undefined: no certificate, and nothing of TLS is loaded. */
async function credentialsOf({ tls }: Settings, clock: Clock, log: Log): Promise<Credentials | undefined> {
  if (tls.certificate === '') return undefined
  const { Credentials } = await import('./listen/credentials.ts')
  try {
    return await Credentials.open({ settings: tls, clock, log })
  } catch (error) {
    throw new ConfigurationError(error instanceof Error ? error.message : String(error))
  }
}

/** Rule 19: 0 where a look is exact. */
async function settleTime({ data, failover }: Settings): Promise<number> {
  if (failover.lookup === 'exact') return 0
  if (failover.lookup === 'cached') return failover.lookupMaxAgeMs * OLD_ANSWERS * RATE_MARGIN
  const { lookup, sentence } = await lookupOf(data)
  if (lookup === 'exact') return 0
  throw new ConfigurationError(sentence)
}

/** A leader of this directory may hold the very addresses that this node takes over from it; anybody else who holds them is in the way. */
async function refuseTakenAddresses(settings: Settings, disk: Disk): Promise<void> {
  const { http: _, https: __, ...protocols } = settings.listeners
  const taken = await probe(protocols)
  if (taken !== undefined && !(await isLed(settings.data, disk))) throw listenError(taken.error, taken.name, taken.listener.host, taken.listener.port)
}

/** Whether the lock of the highest claim is held. Reads only. */
async function isLed(directory: string, disk: Disk): Promise<boolean> {
  try {
    const file = await disk.open(claimPath(directory, await highestEpoch(disk, directory)), 'read')
    try {
      return !file.tryLock('shared')
    } finally {
      await file.close()
    }
  } catch {
    // No directory or no claim yet; what is wrong with it, `prepareDirectory` says.
    return false
  }
}
