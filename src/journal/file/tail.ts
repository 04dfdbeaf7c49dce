// One epoch's batches, read one after the other while their leader writes them. It knows where the next one would lie and what it read there last, and
// nothing of other epochs: `follow.ts` does. A batch is *pending* from when it is whole on disk until something proves that it was committed (rule 17).
//
//   told │ pending: whole, undecided │ next: not whole yet ──▶ (this segment, or the one whose head names this as the one before)
import { basename } from 'node:path'
import { type Disk, type DiskFile, codeOf } from '../../disk.ts'
import type { Position } from '../journal.ts'
import { BATCH_BYTES_MAX, type BatchHeader, isWhole, peekBatch } from './batch.ts'
import { JournalDamage } from './damage.ts'
import { readOwnHead } from './scan.ts'
import { HEAD_BYTES, type SegmentName, sectorAfter, segmentFile, segmentPath } from './segment.ts'

const STEP_BYTES_MIN = 16 * 1024
const STEP_BYTES_MAX = 1024 * 1024

export type TailOptions = Readonly<{ disk: Disk; directory: string; cluster: string | undefined; at: Position }>

/** `image[start …]` is the batch; good only during the call. */
export type TellBatch = (header: BatchHeader, image: Buffer, start: number) => void

type Pending = Readonly<{ header: BatchHeader; image: Buffer; start: number }>

export class Tail {
  readonly epoch: number
  readonly #options: TailOptions
  #segment: number
  #batch: number
  #file: DiskFile | undefined
  /** `image[at]` is where the next batch would begin, and lies at `base + at` in the segment. What is pending lies before it. */
  #image = Buffer.allocUnsafeSlow(2 * STEP_BYTES_MIN)
  #base: number
  #at = 0
  #step = STEP_BYTES_MIN
  #pending: Pending | undefined
  /** The last batch read when the next segment's head said that there are more in this one. */
  #behindAt = -1

  constructor(options: TailOptions) {
    this.#options = options
    this.epoch = options.at.epoch
    this.#segment = options.at.segment
    this.#batch = options.at.batch
    this.#base = options.at.offset
  }

  /** Number of the batch that is whole and not decided; undefined: none is. */
  get pending(): number | undefined {
    return this.#pending?.header.batch
  }

  /** Reads a block. Tells the batches that the next one decides. `more`: there may be more at once; `end`: what comes next is not whole yet. */
  async read(tell: TellBatch): Promise<'more' | 'end'> {
    const file = await this.#opened()
    if (file === undefined) return 'end'
    this.#makeRoom(this.#step)
    const asked = this.#step
    const filled = this.#at + (await file.read(this.#image.subarray(this.#at, this.#at + asked), this.#base + this.#at))
    const short = filled - this.#at < asked
    const image = this.#image.subarray(0, filled)
    while (this.#at < filled) {
      const header = peekBatch(image, this.#at, this.epoch, this.#segment, this.#base + this.#at)
      if (header === 'newer') throw this.#newer()
      if (header === 'none') return this.#atEnd()
      if (this.#at + header.length > filled) {
        if (short) break
        this.#step = Math.max(asked, sectorAfter(header.length))
        return 'more'
      }
      if (!isWhole(image, this.#at, header)) return this.#atEnd()
      if (header.batch !== this.#batch + 1) throw this.#missing(this.#batch + 1)
      this.decide(tell)
      this.#batch = header.batch
      this.#pending = { header, image: this.#image, start: this.#at }
      this.#at += sectorAfter(header.length)
    }
    if (short) return this.#atEnd()
    this.#step = Math.min(STEP_BYTES_MAX, Math.max(this.#step, STEP_BYTES_MIN) * 4)
    return 'more'
  }

  #atEnd(): 'end' {
    this.#step = STEP_BYTES_MIN
    return 'end'
  }

  /** What is pending was committed. */
  decide(tell: TellBatch): void {
    const pending = this.#pending
    if (pending === undefined) return
    this.#pending = undefined
    tell(pending.header, pending.image, pending.start)
  }

  /** `roll` without a listing, where the next segment has the next number, as it mostly has. */
  async rollToNext(): Promise<boolean> {
    const segment = this.#segment + 1
    const path = segmentPath(this.#options.directory, { family: 'log', epoch: this.epoch, segment })
    return this.#options.disk.exists(path) && (await this.roll([segment]))
  }

  /**
   * At the end of what is there: goes on to the epoch's next segment, if its leader has begun it. `numbers`: the epoch's segments, listed just now.
   * Throws `Vanished` when what lies between is gone: freed, since a snapshot covers it.
   */
  async roll(numbers: readonly number[]): Promise<boolean> {
    const segment = numbers.find((number) => number > this.#segment)
    if (segment === undefined) return false
    const { disk, directory, cluster } = this.#options
    const name: SegmentName = { family: 'log', epoch: this.epoch, segment }
    const file = await disk.open(segmentPath(directory, name), 'read').catch(vanishedIfGone)
    try {
      const head = await readOwnHead(file, name, cluster)
      if (head === 'newer') throw this.#newer(segment)
      if (head === 'none') return false
      if (head.before !== this.#segment) throw new Vanished(`segment ${head.before} of epoch ${this.epoch} is gone`)
      // The head is written after everything before it was committed: what is still unread here must be read first.
      if (head.firstBatch !== this.#batch + 1) {
        if (head.firstBatch <= this.#batch) throw this.#missing(this.#batch + 1)
        if (this.#behindAt === this.#batch) throw new Vanished(`segment ${this.#segment} of epoch ${this.epoch} is gone`)
        this.#behindAt = this.#batch
        return false
      }
    } finally {
      await file.close()
    }
    await this.close()
    this.#segment = segment
    // What is pending keeps its bytes: the new segment is read into others.
    this.#image = Buffer.allocUnsafeSlow(2 * STEP_BYTES_MIN)
    this.#base = HEAD_BYTES
    this.#at = 0
    return true
  }

  async close(): Promise<void> {
    const file = this.#file
    this.#file = undefined
    await file?.close()
  }

  /** Undefined: freed already. Then the next segment, if it follows at once, has all that is missing. */
  async #opened(): Promise<DiskFile | undefined> {
    const path = segmentPath(this.#options.directory, { family: 'log', epoch: this.epoch, segment: this.#segment })
    try {
      this.#file ??= await this.#options.disk.open(path, 'read')
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') throw error
    }
    return this.#file
  }

  /** Room for `bytes` behind `at`; what is pending moves along. */
  #makeRoom(bytes: number): void {
    if (this.#image.length - this.#at >= bytes) return
    const pending = this.#pending?.image === this.#image ? this.#pending : undefined
    const from = Math.min(pending?.start ?? this.#at, this.#at)
    const kept = this.#at - from
    const needed = kept + bytes
    const into = needed <= this.#image.length ? this.#image : Buffer.allocUnsafeSlow(Math.min(2 * needed, needed + 2 * BATCH_BYTES_MAX))
    this.#image.copy(into, 0, from, this.#at)
    this.#image = into
    this.#base += from
    this.#at = kept
    if (pending !== undefined) this.#pending = { header: pending.header, image: into, start: 0 }
  }

  #newer(segment = this.#segment): JournalDamage {
    const file = segmentFile({ family: 'log', epoch: this.epoch, segment })
    return new JournalDamage('newer', basename(file), 0, 'this journal was written by a newer version of Bascule')
  }

  #missing(batch: number): JournalDamage {
    const file = segmentFile({ family: 'log', epoch: this.epoch, segment: this.#segment })
    return new JournalDamage('missing', file, this.#base + this.#at, `batch ${batch} is missing`)
  }
}

/** What was to be read was freed before it was. */
export class Vanished extends Error {
  constructor(sentence: string) {
    super(sentence)
    this.name = 'Vanished'
  }
}

function vanishedIfGone(error: unknown): never {
  if (codeOf(error) === 'ENOENT') throw new Vanished('a segment went while it was looked for')
  throw error
}
