// Files that wait to become segments: zero-filled in the background, at a pace that leaves the disk to the commits (unpaced filling took their p99 to 25 ms),
// or recycled. They are this epoch's own: nobody else's spare is ever adopted, since its maker may still be filling it.
import { join } from 'node:path'
import type { Clock } from '../../api.ts'
import { type Disk, codeOf } from '../../disk.ts'
import { segmentsIn, spareFile } from './segment.ts'

const FILL_BYTES = 256 * 1024
const PAUSE_MS = 5
/** With no spare ready a segment would grow as it is written, which costs each commit more than a brisk filler does. */
const PAUSE_IN_NEED_MS = 1
const RETRY_MS = 1_000

export type SparesOptions = Readonly<{
  disk: Disk
  clock: Clock
  directory: string
  epoch: number
  segmentBytes: number
  wanted: number
  /** Is there room for one more file within the bytes allowed? */
  allowed: () => boolean
  /** Something about the room changed: a spare became ready, or the disk was found full or not. */
  changed: () => void
}>

export class Spares {
  /** The last attempt to fill a file met a full disk. */
  diskFull = false
  readonly #options: SparesOptions
  readonly #ready: string[] = []
  #made = 0
  #filling: Promise<void> | undefined
  #partial: string | undefined
  #stopped = false
  #cancel: (() => void) | undefined

  constructor(options: SparesOptions) {
    this.#options = options
  }

  get readyBytes(): number {
    return this.#ready.length * this.#options.segmentBytes
  }

  /** The path of a ready file, which is the caller's now. */
  take(): string | undefined {
    const path = this.#ready.pop()
    this.fill()
    return path
  }

  /** A free name for a file that is about to be recycled; undefined: there are enough. */
  roomFor(): string | undefined {
    if (this.#stopped || this.#ready.length > this.#options.wanted) return undefined
    return join(segmentsIn(this.#options.directory), spareFile(this.#options.epoch, ++this.#made))
  }

  recycled(path: string): void {
    this.#ready.push(path)
    this.#options.changed()
  }

  fill(): void {
    if (
      this.#filling !== undefined ||
      this.#stopped ||
      this.#cancel !== undefined ||
      this.#ready.length >= this.#options.wanted ||
      !this.#options.allowed()
    )
      return
    this.#filling = this.#fillOne().finally(() => {
      this.#filling = undefined
      this.#options.changed()
      if (this.#cancel === undefined) this.fill()
    })
  }

  async #fillOne(): Promise<void> {
    const { disk, directory, epoch, segmentBytes, clock } = this.#options
    const path = join(segmentsIn(directory), spareFile(epoch, ++this.#made))
    this.#partial = path
    try {
      const file = await disk.open(path, 'create')
      try {
        const zeros = Buffer.alloc(FILL_BYTES)
        for (let at = 0; at < segmentBytes && !this.#stopped; at += FILL_BYTES) {
          await file.write([at + FILL_BYTES > segmentBytes ? zeros.subarray(0, segmentBytes - at) : zeros], at)
          await file.sync()
          await this.#pause(clock, this.#ready.length === 0 ? PAUSE_IN_NEED_MS : PAUSE_MS)
        }
      } finally {
        await file.close()
      }
      // Half a file stays where it is: whether it may be deleted is not for here to say (rule 16).
      if (this.#stopped) return
      this.#partial = undefined
      this.#ready.push(path)
      this.diskFull = false
    } catch (error) {
      // Nothing of the journal was in it: the file is given up, and leadership is not in question (rule 15 is about what is promised).
      if (codeOf(error) === 'ENOSPC' || codeOf(error) === 'EDQUOT') this.diskFull = true
      if (this.#stopped) return
      await disk.unlink(path).catch(() => undefined)
      this.#cancel = clock.after(RETRY_MS, () => {
        this.#cancel = undefined
        this.fill()
      })
    }
  }

  #wake: (() => void) | undefined

  #pause(clock: Clock, ms: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel = clock.after(ms, resolve)
      this.#wake = () => {
        cancel()
        resolve()
      }
    })
  }

  stop(): void {
    this.#stopped = true
    this.#cancel?.()
    this.#cancel = undefined
    this.#wake?.()
  }

  /** Deletes what is left; only while leading. */
  async discard(): Promise<void> {
    this.stop()
    await this.#filling
    const left = this.#ready.splice(0)
    if (this.#partial !== undefined) left.push(this.#partial)
    for (const path of left) await this.#options.disk.unlink(path).catch(() => undefined)
  }
}
