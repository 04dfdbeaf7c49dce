// A standby watches the highest claim (rule 4): is its lock free, does its leader's heartbeat stand still, has a higher one appeared? It changes nothing.
//
// A poll is two calls to the system: the shared lock tried on a descriptor that stays open, and a look for the next number. What may take long on a slow disk
// (the heartbeat's read, a listing) goes on beside the polls, one of each at most.
import type { Clock } from '../api.ts'
import { type Disk, type DiskFile, codeOf } from '../disk.ts'
import { claimPath, highestEpoch } from './claim-file.ts'
import { readHeartbeat } from './heartbeat.ts'
import { Lease } from './lease.ts'
import { pause } from './pause.ts'

/** A cached look may hide a higher claim from `exists`; a listing shows it sooner or later, and also that the directory is another one now. */
const LIST_MS = 1_000
/** Reads of the heartbeat in one lease: silence is noticed so much of it late, at its begin and at its end. */
const READS = 20

export type WatchOptions = Readonly<{
  directory: string
  epoch: number
  disk: Disk
  clock: Clock
  pollMs: number
  leaseMs: number
  signal: AbortSignal
  /** Asked at each poll once the leader is gone or silent. */
  mayClaim: () => boolean
  /** Called once, when it turns out that there is something to wait for; the next poll waits for it. */
  onWaiting: () => Promise<void>
}>

/** `free`: the lock fell. `silent`: the lease ran out, the lock is held. `changed`: this is not the highest claim any more. */
export type Verdict = 'free' | 'silent' | 'changed'

/** Rejects when aborted, and when the disk cannot say. */
export async function watch(options: WatchOptions): Promise<Verdict> {
  const { directory, epoch, disk, clock, pollMs, signal } = options
  let file: DiskFile
  try {
    file = await disk.open(claimPath(directory, epoch), 'read')
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error
    // It was not durable yet, and vanished with the one that made it; or the listing was old.
    await pause(clock, pollMs, signal)
    return 'changed'
  }
  let watching: Watching | undefined
  try {
    const { inode } = await file.stat()
    watching = new Watching(options, file)
    const verdict = await watching.verdict
    // What we hold open may be a claim that was not durable and vanished with the one that made it: then its number is another's by now.
    return verdict === 'free' && (await inodeAt(disk, claimPath(directory, epoch))) !== inode ? 'changed' : verdict
  } finally {
    await (watching ?? file).close()
  }
}

/** Undefined: there is no such file. */
async function inodeAt(disk: Disk, path: string): Promise<number | undefined> {
  try {
    return (await disk.stat(path)).inode
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  }
}

/** A hundred polls a second, for weeks: each is a plain call from a timer, without a promise of its own. */
class Watching {
  readonly verdict: Promise<Verdict>
  readonly #options: WatchOptions
  readonly #next: string
  readonly #lease: Lease
  /** Of the claim; closed as soon as its lock is ours, and at the end. */
  #file: DiskFile | undefined
  #told = false
  #reading = false
  #readMs: number
  #listing = false
  #listedMs: number
  #changed = false
  #cancel: () => void = () => {}
  #resolve: (verdict: Verdict) => void = () => {}
  #reject: (error: unknown) => void = () => {}

  constructor(options: WatchOptions, file: DiskFile) {
    const nowMs = options.clock.monoMs()
    this.#options = options
    this.#next = claimPath(options.directory, options.epoch + 1)
    this.#lease = new Lease(options.leaseMs, options.pollMs, nowMs)
    this.#file = file
    this.#readMs = nowMs - options.leaseMs
    this.#listedMs = nowMs
    this.verdict = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    options.signal.addEventListener('abort', this.#abort)
    if (options.signal.aborted) this.#abort()
    else this.#poll()
  }

  async close(): Promise<void> {
    this.#cancel()
    this.#options.signal.removeEventListener('abort', this.#abort)
    const file = this.#file
    this.#file = undefined
    await file?.close()
  }

  readonly #abort = (): void => {
    this.#cancel()
    this.#reject(this.#options.signal.reason)
  }

  readonly #poll = (): void => {
    const { clock, pollMs, onWaiting } = this.#options
    try {
      const verdict = this.#ask(clock.monoMs())
      if (verdict !== undefined) this.#resolve(verdict)
      else if (this.#told) this.#cancel = clock.after(pollMs, this.#poll)
      else {
        this.#told = true
        const goOn = (): void => {
          if (!this.#options.signal.aborted) this.#cancel = clock.after(pollMs, this.#poll)
        }
        onWaiting().then(goOn, this.#reject)
      }
    } catch (error) {
      this.#reject(error)
    }
  }

  /** Undefined: to be waited for. */
  #ask(nowMs: number): Verdict | undefined {
    const { disk, mayClaim } = this.#options
    this.#lease.poll(nowMs)
    if (this.#changed || disk.exists(this.#next)) return 'changed'
    // Shared: two who probe do not see each other, and a claimant locks its own file before anybody can name it.
    if (this.#file?.tryLock('shared') === true) {
      this.#file.close().catch(() => undefined)
      this.#file = undefined
    }
    const over = this.#file === undefined ? 'free' : this.#lease.over ? 'silent' : undefined
    if (over !== undefined && mayClaim()) return over
    if (this.#file !== undefined) this.#read(nowMs)
    this.#list(nowMs)
    return undefined
  }

  #read(nowMs: number): void {
    const { directory, epoch, disk, clock, leaseMs } = this.#options
    if (leaseMs === 0 || this.#reading || nowMs - this.#readMs < leaseMs / READS) return
    this.#reading = true
    this.#readMs = nowMs
    readHeartbeat(disk, directory, epoch)
      .then(
        (heartbeat) => this.#lease.read(heartbeat, nowMs, clock.monoMs()),
        // What we cannot read is no silence of the leader's.
        () => this.#lease.restart(clock.monoMs()),
      )
      .finally(() => {
        this.#reading = false
      })
  }

  #list(nowMs: number): void {
    const { directory, epoch, disk } = this.#options
    if (this.#listing || nowMs - this.#listedMs < LIST_MS) return
    this.#listing = true
    this.#listedMs = nowMs
    highestEpoch(disk, directory)
      .then(
        (highest) => {
          // A lower one may be an old listing, or another directory in this one's place.
          if (highest > epoch || (highest < epoch && !disk.exists(claimPath(directory, epoch)))) this.#changed = true
        },
        // The polls fail soon, or the next listing does not.
        () => undefined,
      )
      .finally(() => {
        this.#listing = false
      })
  }
}
