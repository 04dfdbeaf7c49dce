// Becoming the leader of the next epoch: rules 1 to 4 and 13 of the failover protocol. It says whether this node may commit; it knows no journal.
//
//   list ── fsync ── list again ──▶ is the highest claim's lock free? ──no──▶ wait, poll ──▶ (from the start)
//                                        │ yes, or forced
//                                        ▼
//   temporary file: written, synced, locked ──▶ link() to epochs/<h+1> ──EEXIST──▶ (from the start)
//                                        │
//                                        ▼
//                        fsync epochs/ ──▶ unlink the temporary name ──▶ leads
import { join } from 'node:path'
import type { Clock, Log } from '../api.ts'
import { type Disk, type DiskFile, codeOf } from '../disk.ts'
import type { Random } from '../random.ts'
import { claimPath, encodeClaim, epochsIn, highestEpoch, readClaim } from './claim-file.ts'

export interface Leadership {
  readonly epoch: number
  /** The look (rule 13). True: no higher epoch, this node leads. Issue it after the sync has completed. */
  look(): boolean
  /** The journal names its last committed batch (after rule 14); the next heartbeat tells it. */
  committed(batch: number): void
  /** Gives the lock away: whoever polls may claim. The epoch is over for ever. */
  release(): Promise<void>
}

export type ClaimOptions = Readonly<{
  directory: string
  node: string
  address: string
  disk: Disk
  clock: Clock
  random: Random
  /** Claim although the holder lives: safe by the protocol, hard on the holder. */
  force: boolean
  pollMs: number
  /** The leader writes a heartbeat every quarter of it, a standby claims when it sees none for a whole one. 0 or none: only the lock decides. */
  leaseMs?: number
  /** How long a claimant waits after its claim is durable before it reads, on every path (rule 19): where looks may be answered from a cache. */
  settleMs?: number
  /** Asked each time before a claim would be made, with the highest epoch there is; false: go on waiting. */
  mayClaim?: (highest: number) => boolean
  /** Called at most once, while this node leads: a heartbeat's look has found that it leads no more. The journal finds the same at its next commit. */
  onLost?: (error: Error) => void
  /** Heartbeats that fail and a disk that cannot be read while waiting are told here, once each. */
  log?: Log
  signal: AbortSignal
  /** Called once for each holder that is waited for. */
  onWaiting: (holder: { node: string; epoch: number }) => void
}>

/** Ends when this node leads. Rejects when aborted, or when the directory cannot be used. */
export async function claim(options: ClaimOptions): Promise<Leadership> {
  const { directory, disk, signal } = options
  let waitingFor = -1
  for (;;) {
    signal.throwIfAborted()
    const highest = await durableHighest(disk, directory)
    if (options.force || highest === 0 || (await hasEnded(disk, directory, highest))) {
      const leadership = await claimNumber(options, highest + 1)
      if (leadership !== undefined) return leadership
      continue
    }
    if (waitingFor !== highest) {
      waitingFor = highest
      options.onWaiting({ node: (await readClaim(disk, directory, highest))?.node ?? '', epoch: highest })
    }
    await pause(options.clock, options.pollMs, signal)
  }
}

/** Rule 1: what we build on is durable before we build on it; without this a gap may open below us. */
async function durableHighest(disk: Disk, directory: string): Promise<number> {
  for (;;) {
    const before = await highestEpoch(disk, directory)
    await disk.syncDirectory(epochsIn(directory))
    if ((await highestEpoch(disk, directory)) === before) return before
  }
}

/** Rule 4: the lock on the highest claim is free, so its leader is dead or gave it away. A shared probe: two who ask do not see each other. */
async function hasEnded(disk: Disk, directory: string, epoch: number): Promise<boolean> {
  const file = await disk.open(claimPath(directory, epoch), 'read')
  try {
    return file.tryLock('shared')
  } finally {
    await file.close()
  }
}

/** Rule 2. Undefined: another was first. */
async function claimNumber(options: ClaimOptions, epoch: number): Promise<Leadership | undefined> {
  const { directory, disk, random } = options
  const nonce = Buffer.from(random.bytes(16)).toString('hex')
  const name = options.node.replace(/[^A-Za-z0-9_-]/g, '_').slice(0, 64)
  const temporary = join(epochsIn(directory), `.claim-${name}-${nonce}`)
  const file = await disk.open(temporary, 'create')
  try {
    await file.write([encodeClaim({ node: options.node, address: options.address, nonce, startedMs: options.clock.wallMs() })], 0)
    await file.sync()
    if (!file.tryLock('exclusive'))
      throw new Error(`the lock on ${temporary}, a file just made, is taken: does this file system share locks correctly?`)
    const won = await linkOnce(options, file, temporary, epoch, nonce)
    if (!won) {
      await disk.unlink(temporary)
      await file.close()
      return undefined
    }
    // Durable before anything of the journal is read (rule 5).
    await disk.syncDirectory(epochsIn(directory))
    await disk.unlink(temporary)
  } catch (error) {
    await file.close()
    throw error
  }
  return new HeldClaim(disk, directory, epoch, file)
}

/** After an unclear error (a lost answer of a file server) the claim is ours only if it is our file, or has our nonce. */
async function linkOnce(options: ClaimOptions, file: DiskFile, temporary: string, epoch: number, nonce: string): Promise<boolean> {
  const { directory, disk } = options
  const path = claimPath(directory, epoch)
  try {
    await disk.link(temporary, path)
    return true
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false
    if (!disk.exists(path)) throw error
    const [ours, theirs] = [await file.stat(), await disk.stat(path)]
    return ours.inode === theirs.inode || (await readClaim(disk, directory, epoch))?.nonce === nonce
  }
}

class HeldClaim implements Leadership {
  readonly epoch: number
  readonly #disk: Disk
  readonly #next: string
  /** Kept open for the life of the term: closing it frees the lock. */
  #file: DiskFile | undefined

  constructor(disk: Disk, directory: string, epoch: number, file: DiskFile) {
    this.#disk = disk
    this.epoch = epoch
    this.#file = file
    this.#next = claimPath(directory, epoch + 1)
  }

  /** One look at `epoch + 1` is enough because of rules 1 and 3; an error other than "not there" counts as "there" (rule 13). */
  look(): boolean {
    if (this.#file === undefined) return false
    try {
      return !this.#disk.exists(this.#next)
    } catch {
      return false
    }
  }

  committed(): void {}

  async release(): Promise<void> {
    const file = this.#file
    this.#file = undefined
    await file?.close()
  }
}

function pause(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const abort = (): void => {
      cancel()
      reject(signal.reason)
    }
    const cancel = clock.after(ms, () => {
      signal.removeEventListener('abort', abort)
      resolve()
    })
    signal.addEventListener('abort', abort, { once: true })
  })
}
