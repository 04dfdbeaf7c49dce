// Becoming the leader of the next epoch: rules 1 to 4 and 13 of the failover protocol. It says whether this node may commit; it knows no journal.
//
//   list ──▶ watch the highest claim (`watch.ts`) ──a higher one──▶ (from the start)
//                                        │ its lock is free, its lease has run out, or forced; and we may
//                                        ▼
//   fsync ── list again ──it is not the highest any more──▶ (from the start)
//                                        │
//                                        ▼
//   temporary file: written, synced, locked ──▶ link() to epochs/<h+1> ──EEXIST──▶ (from the start)
//                                        │
//                                        ▼
//                        fsync epochs/ ──▶ unlink the temporary name ──▶ heartbeats (`held-claim.ts`) ──▶ (cached looks: wait) ──▶ leads
import { join } from 'node:path'
import type { Clock, Log } from '../api.ts'
import { type Disk, type DiskFile, codeOf } from '../disk.ts'
import type { Random } from '../random.ts'
import { claimPath, encodeClaim, epochsIn, highestEpoch, readClaim } from './claim-file.ts'
import { HeldClaim } from './held-claim.ts'
import { pause } from './pause.ts'
import { watch } from './watch.ts'

export interface Leadership {
  readonly epoch: number
  /** From the first sight of a free way to the durable claim, in ms. */
  readonly tookMs?: number
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
  /** Called once for each highest claim that is waited for, also when only `mayClaim` forbids (epoch 0: there is none). */
  onWaiting: (holder: { node: string; epoch: number }) => void
}>

/** After an error of the disk while waiting: how long until the next try. */
const TROUBLE_MS = 1_000

/** Ends when this node leads. Rejects when aborted, or when the directory cannot be used at the start; a node that already waits goes on waiting. */
export async function claim(options: ClaimOptions): Promise<Leadership> {
  const { clock, pollMs, signal } = options
  const waiting = new Waiting(options)
  let troubled = false
  let lost = 0
  for (;;) {
    signal.throwIfAborted()
    try {
      const made = await attempt(options, waiting)
      if (made instanceof HeldClaim) return await settled(options, made)
      troubled = false
      // Lost twice to the same number: our listings are old, and only time mends that.
      if (made !== undefined && made === lost) await pause(clock, pollMs, signal)
      lost = made ?? 0
    } catch (error) {
      if (!waiting.begun || signal.aborted) throw error
      if (!troubled) options.log?.error({ error }, 'the claims cannot be read or made: this node goes on trying')
      troubled = true
      await pause(clock, TROUBLE_MS, signal)
    }
  }
}

/** Tells once for whom is waited. */
class Waiting {
  readonly #options: ClaimOptions
  #epoch = -1

  constructor(options: ClaimOptions) {
    this.#options = options
  }

  get begun(): boolean {
    return this.#epoch !== -1
  }

  async for(epoch: number): Promise<void> {
    if (this.#epoch === epoch) return
    const { disk, directory, onWaiting } = this.#options
    const holder = epoch === 0 ? undefined : await readClaim(disk, directory, epoch)
    this.#epoch = epoch
    onWaiting({ node: holder?.node ?? '', epoch })
  }
}

/** One way from the first listing to a claim. A number: the claim that another made first. Undefined: begin anew. */
async function attempt(options: ClaimOptions, waiting: Waiting): Promise<HeldClaim | number | undefined> {
  const { directory, disk, clock, leaseMs = 0, mayClaim = () => true } = options
  const epoch = await highestClaim(disk, directory)
  let silentMs: number | undefined
  if (epoch > 0 && !options.force) {
    const verdict = await watch({ ...options, epoch, leaseMs, mayClaim: () => mayClaim(epoch), onWaiting: () => waiting.for(epoch) })
    if (verdict === 'changed') return undefined
    if (verdict === 'silent') silentMs = clock.monoMs()
  } else if (!mayClaim(epoch)) {
    await waiting.for(epoch)
    await pause(clock, options.pollMs, options.signal)
    return undefined
  }
  const freeMs = clock.monoMs()
  if ((await durableHighest(disk, directory)) !== epoch) return undefined
  // Stopped, or held up by the disk, since the lease ran out: what decided is old.
  if (silentMs !== undefined && clock.monoMs() - silentMs > leaseMs / 4) return undefined
  const made = await claimNumber(options, epoch + 1)
  if (made === undefined) return epoch + 1
  made.tookMs = clock.monoMs() - freeMs
  return made
}

/** Rule 19. Nobody was before the first epoch: nothing of it can be acknowledged on an old look. */
async function settled(options: ClaimOptions, held: HeldClaim): Promise<Leadership> {
  const { clock, signal, settleMs = 0 } = options
  if (settleMs === 0 || held.epoch === 1) return held
  try {
    await pause(clock, settleMs, signal)
    return held
  } catch (error) {
    await held.release()
    throw error
  }
}

/** Rule 1: what we build on is durable before we build on it; without this a gap may open below us. */
async function durableHighest(disk: Disk, directory: string): Promise<number> {
  for (;;) {
    const before = await highestClaim(disk, directory)
    await disk.syncDirectory(epochsIn(directory))
    if ((await highestClaim(disk, directory)) === before) return before
  }
}

/** Where a listing may come from a cache, looks may know more. */
async function highestClaim(disk: Disk, directory: string): Promise<number> {
  let highest = await highestEpoch(disk, directory)
  while (disk.exists(claimPath(directory, highest + 1))) highest += 1
  return highest
}

/** Rule 2. Undefined: another was first. */
async function claimNumber(options: ClaimOptions, epoch: number): Promise<HeldClaim | undefined> {
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
    return new HeldClaim(options, epoch, file, (await file.stat()).inode)
  } catch (error) {
    await file.close()
    // Tries of a node that waits must not pile up on a full disk.
    await disk.unlink(temporary).catch(() => undefined)
    throw error
  }
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
