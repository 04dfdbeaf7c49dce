// The claim of the leader: its lock, its look (rule 13), its heartbeats (rule 4). Once a look has said no, it says no for ever (rule 16).
import type { Disk, DiskFile } from '../disk.ts'
import { codeOf } from '../disk.ts'
import { claimPath } from './claim-file.ts'
import type { ClaimOptions, Leadership } from './claim.ts'
import { HeartbeatWriter } from './heartbeat-writer.ts'

/** Heartbeats in one lease. */
const BEATS = 4

export class HeldClaim implements Leadership {
  readonly epoch: number
  tookMs = 0
  readonly #disk: Disk
  readonly #own: string
  readonly #next: string
  readonly #inode: number
  readonly #writer: HeartbeatWriter | undefined
  readonly #onLost: ((error: Error) => void) | undefined
  /** Kept open for the life of the term: closing it frees the lock. */
  #file: DiskFile | undefined
  #over = false
  #batch = 0

  constructor(options: ClaimOptions, epoch: number, file: DiskFile, inode: number) {
    const { directory, disk, clock, log, onLost, leaseMs = 0 } = options
    this.epoch = epoch
    this.#disk = disk
    this.#own = claimPath(directory, epoch)
    this.#next = claimPath(directory, epoch + 1)
    this.#inode = inode
    this.#file = file
    this.#onLost = onLost
    if (leaseMs > 0) {
      const [batch, leads, look] = [() => this.#batch, () => this.#mayBeat(), () => this.look()]
      this.#writer = new HeartbeatWriter({ directory, epoch, everyMs: leaseMs / BEATS, disk, clock, log, batch, leads, look })
      this.#writer.start()
    }
  }

  /** One look at `epoch + 1` is enough because of rules 1 and 3; an error other than "not there" counts as "there" (rule 13). */
  look(): boolean {
    if (this.#file === undefined || this.#over) return false
    try {
      if (!this.#disk.exists(this.#next)) return true
    } catch {
      // As if it were there.
    }
    this.#over = true
    return false
  }

  committed(batch: number): void {
    this.#batch = batch
  }

  async release(): Promise<void> {
    const file = this.#file
    this.#file = undefined
    this.#writer?.stop()
    await file?.close()
  }

  /**
   * A directory that was removed or put elsewhere has no higher claim, and descriptors go on working: a look alone would call that healthy. So each heartbeat also
   * looks for the claim itself. What is committed into the removed files meanwhile is at most a quarter of the lease's.
   */
  async #mayBeat(): Promise<boolean> {
    if (await this.#isGone()) {
      this.#over = true
      if (this.#file !== undefined) this.#onLost?.(new Error(`its claim ${this.#own} is gone: was the data directory removed or replaced?`))
      return false
    }
    if (this.look()) return true
    if (this.#file !== undefined) this.#onLost?.(new Error(`a higher epoch than ${this.epoch} was claimed, or the look for it failed`))
    return false
  }

  async #isGone(): Promise<boolean> {
    try {
      return (await this.#disk.stat(this.#own)).inode !== this.#inode
    } catch (error) {
      // Other errors say nothing of the file; the look and the write meet them too.
      return ['ENOENT', 'ENOTDIR', 'ESTALE'].includes(codeOf(error))
    }
  }
}
