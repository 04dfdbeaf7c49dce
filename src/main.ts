// The composition root: settings in, a running node out. Everything real (clock, chance, disk, protocols) is handed in from here and from nowhere else.
// What belongs to the process (signals, the ready line, exit codes) is `cli/start.ts`.
import type { Clock, Log, Protocol } from './api.ts'
import { Node } from './broker.ts'
import { realClock } from './clock.ts'
import type { Settings } from './config/settings.ts'
import { type Disk, realDisk } from './disk.ts'
import { claimPath, highestEpoch } from './failover/claim-file.ts'
import { claim } from './failover/claim.ts'
import { openFileJournal } from './journal/file/open.ts'
import { prepareDirectory } from './journal/file/directory.ts'
import { probe } from './listen/probe.ts'
import type { NodeStatus } from './management/api.ts'
import { type Management, openManagement } from './management/server.ts'
import { type Random, realRandom } from './random.ts'
import { listenError, type OpenJournal, takeOver } from './term.ts'

export type MainOptions = Readonly<{
  settings: Settings
  version: string
  log: Log
  protocols: readonly Protocol[]
  /** Claim although another node leads. */
  force: boolean
  /** See `NodeOptions.ready`. */
  ready: (status: NodeStatus) => void
  clock?: Clock
  random?: Random
  disk?: Disk
  openJournal?: OpenJournal
}>

/** `run()` of the answer ends when the node has stopped. The management listener is open when this returns. */
export async function openNode(options: MainOptions): Promise<Readonly<{ node: Node; close: () => Promise<void>; run: () => Promise<void> }>> {
  const { settings, version, log, protocols, force } = options
  const { clock = realClock, random = realRandom, disk = realDisk, openJournal = openFileJournal } = options
  let management: Management | undefined
  const term = { settings, version, clock, random, disk, log, protocols, openJournal }
  const node = new Node({
    node: settings.node,
    version,
    clock,
    log,
    ready: options.ready,
    claim: (signal, onWaiting) =>
      claim({
        directory: settings.data,
        node: settings.node,
        address: management?.address ?? '',
        disk,
        clock,
        random,
        force: force && node.role === 'starting',
        pollMs: settings.failover.lockPollMs,
        signal,
        onWaiting: (holder) => {
          log.info({ holder: holder.node, epoch: holder.epoch }, 'waiting as a standby: another node leads')
          onWaiting()
        },
      }),
    takeOver: (leadership, lost) => takeOver(term, leadership, lost),
  })
  const { enabled, host, port } = settings.listeners.http
  if (enabled) {
    try {
      management = await openManagement({ host, port, limits: settings.limits, log, managed: node })
    } catch (error) {
      throw listenError(error, 'http', host, port)
    }
    node.ownListeners = { http: management.address }
  }
  try {
    await refuseTakenAddresses(settings, disk)
    await prepareDirectory(disk, settings.data)
  } catch (error) {
    await management?.close()
    throw error
  }
  return {
    node,
    run: async () => {
      try {
        await node.run()
      } finally {
        await management?.close()
      }
    },
    close: () => node.stop(),
  }
}

/** A leader of this directory may hold the very addresses that this node takes over from it; anybody else who holds them is in the way. */
async function refuseTakenAddresses(settings: Settings, disk: Disk): Promise<void> {
  const { http: _, ...protocols } = settings.listeners
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
