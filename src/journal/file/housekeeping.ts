// What the leader does with its directory beside committing: spare segments, freed ones, moved records, superseded snapshots, left-overs of others.
// One thing at a time, in order, each after a look; safety never rests on that look (rule 18: what is dead in a committed state stays dead in each later one).
import { join } from 'node:path'
import type { Clock, Log } from '../../api.ts'
import { CodedError } from '../../errors.ts'
import { type Disk, codeOf } from '../../disk.ts'
import type { Leadership } from '../../failover/claim.ts'
import type { Range } from '../journal.ts'
import type { Cache } from './cache.ts'
import type { Fetcher } from './fetch.ts'
import { OldWriter } from './old.ts'
import type { JournalSettings } from './open.ts'
import { segmentsIn } from './segment.ts'
import type { Segment, Segments } from './segments.ts'
import { listSnapshots, snapshotsIn } from './snapshot.ts'
import { Spares } from './spares.ts'
import type { Surveyed } from './stock.ts'

export type HousekeepingOptions = Readonly<{
  directory: string
  cluster: string
  node: string
  disk: Disk
  clock: Clock
  leadership: Leadership
  settings: JournalSettings
  log: Log
  segments: Segments
  cache: Cache
  fetcher: Fetcher
  garbage: readonly string[]
  /** See `Stock`. */
  survey: () => Promise<Surveyed>
  surveyed: (sinceSnapshotBytes: number) => void
  nextNumber: () => number
  changed: () => void
  /** Leadership is over. */
  failed: (error: Error) => void
}>

export class Housekeeping {
  snapshotBytes = 0
  readonly #options: HousekeepingOptions
  readonly #spares: Spares
  readonly #old: OldWriter
  #tail: Promise<void> = Promise.resolve()
  #stopped = false

  constructor(options: HousekeepingOptions) {
    this.#options = options
    const { settings, segments, leadership } = options
    this.#spares = new Spares({
      ...options,
      epoch: leadership.epoch,
      segmentBytes: settings.segmentBytes,
      wanted: settings.spareSegments,
      allowed: () => segments.usedBytes + this.snapshotBytes + this.#spares.readyBytes + settings.segmentBytes <= settings.bytesMax,
    })
    this.#old = new OldWriter({ ...options, epoch: leadership.epoch, segmentBytes: settings.segmentBytes, wallMs: () => options.clock.wallMs() })
  }

  start(): void {
    this.#spares.fill()
    this.#then(async () => {
      const { snapshotBytes, sinceSnapshotBytes } = await this.#options.survey()
      this.snapshotBytes = snapshotBytes
      this.#options.surveyed(sinceSnapshotBytes)
      this.#options.changed()
    })
    if (this.#options.garbage.length > 0)
      this.#then(async () => {
        for (const path of this.#options.garbage) await this.#unlink(join(this.#options.directory, path))
      })
  }

  get diskFull(): boolean {
    return this.#spares.diskFull
  }

  get readyBytes(): number {
    return this.#spares.readyBytes
  }

  takeSpare(): string | undefined {
    return this.#spares.take()
  }

  discardSpares(): Promise<void> {
    return this.#spares.discard()
  }

  /** In order, after a look. A failure here is a failed write of the leader (rule 15). */
  #then(work: () => Promise<void>): void {
    this.#tail = this.#tail.then(async () => {
      if (this.#stopped) return
      try {
        if (!this.#options.leadership.look()) throw new CodedError('not-leading', 'a higher epoch was claimed')
        await work()
      } catch (error) {
        if (!this.#stopped) this.#options.failed(error instanceof Error ? error : new Error(String(error)))
      }
    })
  }

  async #unlink(path: string): Promise<void> {
    try {
      await this.#options.disk.unlink(path)
    } catch (error) {
      // Nothing rests on a deletion: the file wastes space until the next start.
      if (codeOf(error) !== 'ENOENT')
        this.#options.log.warn({ path, error: String(error) }, 'a file that is not needed any more could not be deleted')
    }
  }

  /** Forgotten at once, so that nobody reads them; deleted or recycled later. */
  free(numbers: readonly number[]): void {
    const { segments, cache, fetcher } = this.#options
    const freed: Segment[] = []
    for (const number of numbers) {
      const segment = segments.get(number)
      if (segment === undefined || segment.keeps) continue
      segments.delete(number)
      cache.dropSegment(number)
      freed.push(segment)
    }
    if (freed.length === 0) return
    this.#options.changed()
    this.#then(async () => {
      for (const segment of freed) {
        await fetcher.forget(segment.segment)
        if (segment.segment === this.#old.current) await this.#old.close()
        await this.#recycle(segment)
      }
      this.#spares.fill()
    })
  }

  /** Only files of this epoch: into an older one's its leader, if it hangs, may still have a write on the way. */
  async #recycle(segment: Segment): Promise<void> {
    const { disk, directory, settings, leadership } = this.#options
    const whole = segment.family === 'log' && segment.epoch === leadership.epoch && segment.fileBytes === settings.segmentBytes
    const path = whole ? this.#spares.roomFor() : undefined
    if (path === undefined) return this.#unlink(segment.path)
    try {
      // A file that had to grow is shorter than a segment: not worth keeping.
      if ((await disk.stat(segment.path)).size < settings.segmentBytes) return await this.#unlink(segment.path)
      await disk.rename(segment.path, path)
      // Its old name is gone for good before it gets new content, or a crash could show that content under the old name.
      await disk.syncDirectory(segmentsIn(directory))
      this.#spares.recycled(path)
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') throw error
    }
  }

  preserve(ranges: readonly Range[], roomBytes: number, done: (moved: readonly Range[] | undefined) => void): void {
    let bytes = 0
    for (const range of ranges) bytes += range.length + 16
    this.#then(async () => {
      const pieces = bytes > roomBytes ? undefined : await this.#pieces(ranges)
      const moved = pieces === undefined ? undefined : await this.#old.append(pieces)
      this.#options.changed()
      if (!this.#stopped) done(moved)
    })
  }

  async #pieces(ranges: readonly Range[]): Promise<Uint8Array[] | undefined> {
    const pieces: Uint8Array[] = []
    for (const { segment, offset, length } of ranges) {
      const bytes =
        this.#options.cache.read(segment, offset, length) ??
        (await new Promise<Uint8Array | undefined>((resolve) => this.#options.fetcher.fetch(segment, offset, length, resolve)))
      if (bytes === undefined) return undefined
      pieces.push(bytes)
    }
    return pieces
  }

  snapshotTaken(batch: number): void {
    this.#then(async () => {
      const { disk, directory } = this.#options
      let bytes = 0
      for (const name of await listSnapshots(disk, directory)) {
        const path = join(snapshotsIn(directory), name.file)
        if (name.batch < batch) await this.#unlink(path)
        else bytes += (await disk.stat(path)).size
      }
      this.snapshotBytes = bytes
      this.#options.changed()
    })
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#spares.stop()
    await this.#tail
    await this.#old.close().catch(() => undefined)
  }
}
