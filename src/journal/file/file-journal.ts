// The file engine of a leader: facts are admitted into the image of a file range, and whole images go to disk, one batch in flight (rules 11 to 16).
// It knows no fact's meaning. How it came to lead and what was there before is `open.ts`.
// Hot room: `admit` and `read` allocate nothing; one object and one promise a batch.
//
//   admit ─▶ gathering ─(urge: end of turn; lazy: 20 ms or 64 KiB; full)─▶ closed ─▶ in flight: write + sync ─▶ look ─▶ committed ─▶ next
import type { Clock, Log } from '../../api.ts'
import { CodedError } from '../../errors.ts'
import type { Disk, DiskFile } from '../../disk.ts'
import type { Leadership } from '../../failover/claim.ts'
import { type Claim, type Cut, FACT_BYTES_MAX, type Journal, type JournalListener, type Range, type SegmentInfo } from '../journal.ts'
import { Backlog } from './backlog.ts'
import { BATCH_BYTES_MAX, BATCH_HEADER_BYTES, FACT_HEADER_BYTES } from './batch.ts'
import { type Batch, BatchWriter } from './batch-writer.ts'
import { Cache, type Image } from './cache.ts'
import { Fetcher } from './fetch.ts'
import { Housekeeping } from './housekeeping.ts'
import type { JournalSettings } from './open.ts'
import { Room } from './room.ts'
import { HEAD_BYTES, SEGMENT_MAX, encodeHead, sectorAfter } from './segment.ts'
import type { Segment, Segments } from './segments.ts'
import { SinceSnapshot } from './since-snapshot.ts'
import type { Surveyed } from './stock.ts'

/** Two batches a buffer at full load, and many when batches are small. Fresh memory is zeros and costs nothing until it is touched. */
const IMAGE_BYTES = 2 * BATCH_BYTES_MAX
/** How long a close waits for the disk. */
const CLOSE_MS = 5_000
/** A batch can hold at least one fact of any size. */
const BATCH_ROOM_MIN = BATCH_HEADER_BYTES + FACT_HEADER_BYTES + FACT_BYTES_MAX

export type Begin = Readonly<{
  directory: string
  cluster: string
  node: string
  disk: Disk
  clock: Clock
  leadership: Leadership
  settings: JournalSettings
  listener: JournalListener
  log: Log
  /** Where the header of the epoch lies and ends, and the open file behind it. */
  file: DiskFile
  segment: Segment
  capacity: number
  /** Number of the header. */
  batch: number
  segments: Segments
  /** Highest segment number given so far. */
  numbersTo: number
  /** Earlier epochs that count, for `cut`. */
  chain: Cut['chain']
  /** As far as it was read; the survey knows of the rest. */
  sinceSnapshotBytes: number
  snapshotDue: boolean
  /** Names in `segments/` and `snapshots/` that mean nothing any more. */
  garbage: readonly string[]
  /** See `Stock`. */
  survey: () => Promise<Surveyed>
}>

export class FileJournal implements Journal {
  readonly epoch: number
  readonly bytesMax: number
  buffer: Buffer
  segment: number
  offset = 0
  gathering: number
  committed: number
  snapshotDue: boolean
  readonly #begin: Begin
  readonly #cache: Cache
  readonly #fetcher: Fetcher
  readonly #house: Housekeeping
  readonly #room: Room
  readonly #backlog: Backlog
  readonly #sinceSnapshot: SinceSnapshot
  readonly #rollBytes: number

  // The gathering batch: `buffer[start]` is its header's first byte, `buffer[at]` the next free one, `limit` where it must end.
  #image: Image
  #into: Segment
  #capacity: number
  #start = 0
  #empty = 0
  #at = 0
  #limit = 0
  #lazyAt = 0
  #opens = false
  #numbersTo: number

  #writing: Batch | undefined
  readonly #writer: BatchWriter
  #urged = false
  #turning = false
  /** Inside `listener.committed`: the next write follows it at once. */
  #telling = false
  #cancelLazy: (() => void) | undefined
  /** Used by all but the segment that grows. */
  #elsewhereBytes = 0

  #over = false
  #closing = false
  #waiting: Readonly<{ batch: number; done: () => void; failed: (error: Error) => void }>[] = []
  #end: Readonly<{ segment: number; end: number }>

  constructor(begin: Begin) {
    const { settings, segment } = begin
    this.#begin = begin
    this.epoch = begin.leadership.epoch
    this.bytesMax = settings.bytesMax
    this.committed = begin.batch
    this.gathering = begin.batch + 1
    this.#numbersTo = begin.numbersTo
    this.#into = segment
    this.#capacity = begin.capacity
    this.#end = { segment: segment.segment, end: segment.bytes }
    this.#sinceSnapshot = new SinceSnapshot(begin.sinceSnapshotBytes)
    this.snapshotDue = begin.snapshotDue
    this.#rollBytes = Math.max(BATCH_ROOM_MIN, Math.min(BATCH_BYTES_MAX, settings.segmentBytes / 4))
    const { clock, listener } = begin
    this.#room = new Room(clock, settings.reserveBytes, (full) => listener.full(full))
    this.#backlog = new Backlog(clock, Math.max(4 * BATCH_BYTES_MAX, settings.cacheBytes / 4), (high) => listener.pressure(high))
    this.#cache = new Cache(settings.cacheBytes)
    this.#fetcher = new Fetcher(begin.disk, begin.clock, begin.segments, this.#cache, begin.log)
    this.#house = new Housekeeping({
      ...begin,
      cache: this.#cache,
      fetcher: this.#fetcher,
      nextNumber: () => this.#nextNumber(),
      changed: () => this.#recount(),
      surveyed: (bytes) => this.#sinceSnapshot.surveyed(bytes),
      failed: (error) => this.#lose(error),
    })
    this.#writer = new BatchWriter({ ...begin, epoch: this.epoch, takeSpare: () => this.#house.takeSpare() })
    this.#image = this.#newImage(segment.bytes)
    this.segment = segment.segment
    this.buffer = this.#image.buffer
    this.#place(0)
    this.#recount()
    this.#house.start()
  }

  // ---- Admitting ----------------------------------------------------------------------------------------------------

  admit(type: number, size: number, claim: Claim): number {
    if (size > FACT_BYTES_MAX || size < 0) throw new RangeError(`a fact of ${size} bytes; at most ${FACT_BYTES_MAX}`)
    const bytes = size + FACT_HEADER_BYTES
    const room = this.#room
    if (bytes > (claim === 'publish' ? room.publish : room.drain)) {
      if (claim === 'publish') room.refused()
      return -1
    }
    if (this.#at + bytes > this.#limit) this.#close()
    let at = this.#at
    if (at === this.#empty) this.#first()
    const { buffer } = this
    buffer[at] = type
    buffer[at + 1] = size
    buffer[at + 2] = size >>> 8
    buffer[at + 3] = size >>> 16
    at += FACT_HEADER_BYTES
    this.offset = this.#image.base + at
    this.#at = at + size
    room.publish -= bytes
    room.drain -= bytes
    if (this.#at >= this.#lazyAt) this.urge()
    return at
  }

  #first(): void {
    if (this.#cancelLazy !== undefined) return
    this.#cancelLazy = this.#begin.clock.after(this.#begin.settings.lazyMs, () => {
      this.#cancelLazy = undefined
      this.#urged = true
      this.#pump()
    })
  }

  urge(): void {
    if (this.#urged) return
    this.#urged = true
    this.#pumpAfterTurn()
  }

  #pumpAfterTurn(): void {
    if (this.#writing !== undefined || this.#turning || this.#telling) return
    this.#turning = true
    this.#begin.clock.turn(this.#turn)
  }

  readonly #turn = (): void => {
    this.#turning = false
    this.#pump()
  }

  /** The gathering batch gets nothing more; the next one begins on the sector behind it, or in a new segment. */
  #close(): void {
    if (this.#at === this.#empty) return
    const batch: Batch = {
      batch: this.gathering,
      image: this.#image,
      segment: this.#into,
      start: this.#start,
      length: this.#at - this.#start,
      numbersTo: this.#numbersTo,
      opens: this.#opens,
    }
    this.#backlog.add(batch)
    this.#into.lastBatch = this.gathering
    this.gathering += 1
    this.#opens = false
    this.#urged = false
    const next = sectorAfter(this.#at)
    this.#into.bytes = this.#image.base + next
    this.#image.end = this.#image.base + next
    if (this.#capacity - this.#into.bytes < this.#rollBytes) this.#roll()
    else if (this.#image.buffer.length - next < BATCH_ROOM_MIN) {
      this.#image = this.#newImage(this.#into.bytes)
      this.buffer = this.#image.buffer
      this.#place(0)
    } else this.#place(next)
    this.#assess()
    this.#backlog.press()
    this.#pumpAfterTurn()
  }

  /** Where the next batch will lie is final from here on: positions of admitted facts are. */
  #place(start: number): void {
    this.#start = start
    this.#empty = this.#at = start + BATCH_HEADER_BYTES
    this.#limit = Math.min(start + BATCH_BYTES_MAX, this.#image.buffer.length, this.#capacity - this.#image.base)
    this.#lazyAt = this.#empty + this.#begin.settings.lazyBytes
    // What is admitted may be read at once, before it is closed.
    this.#image.end = this.#image.base + this.#limit
  }

  #newImage(base: number): Image {
    const bytes = Math.min(IMAGE_BYTES, Math.max(this.#capacity - base, BATCH_ROOM_MIN))
    const image: Image = { segment: this.#into.segment, base, end: base, buffer: this.#cache.zeros(bytes), pinned: true, lent: false }
    this.#cache.add(image)
    return image
  }

  #nextNumber(): number {
    if (this.#numbersTo >= SEGMENT_MAX) throw new Error('segment numbers are used up: this data directory has reached its end')
    return ++this.#numbersTo
  }

  #roll(): void {
    const { segments, settings, cluster, node, clock } = this.#begin
    const before = this.#into
    before.sealed = true
    this.#capacity = settings.segmentBytes
    this.#into = segments.add({
      segment: this.#nextNumber(),
      family: 'log',
      epoch: this.epoch,
      bytes: HEAD_BYTES,
      durableBytes: 0,
      fileBytes: settings.segmentBytes,
      sealed: false,
      keeps: false,
      firstBatch: this.gathering,
      lastBatch: this.gathering,
    })
    this.#image = this.#newImage(0)
    this.#opens = true
    this.segment = this.#into.segment
    this.buffer = this.#image.buffer
    encodeHead(
      {
        family: 'log',
        segment: this.segment,
        epoch: this.epoch,
        firstBatch: this.gathering,
        before: before.segment,
        madeMs: clock.wallMs(),
        cluster,
        node,
      },
      this.buffer,
    )
    this.#place(HEAD_BYTES)
    this.#recount()
  }

  // ---- Committing ---------------------------------------------------------------------------------------------------

  #pump(): void {
    if (this.#writing !== undefined || this.#over) return
    if (this.#backlog.empty && this.#urged) {
      this.#close()
      this.#urged = false
    }
    const batch = this.#backlog.take()
    if (batch === undefined) return
    this.#writing = batch
    this.#writer.write(batch).then(this.#wrote, this.#failed)
  }

  readonly #wrote = (): void => {
    const batch = this.#writing
    this.#writing = undefined
    if (batch === undefined) return
    if (this.#over) return this.#letGo()
    // Rules 13 and 14: the look comes after the sync has completed, and what is told comes after the look.
    if (!this.#begin.leadership.look()) {
      this.#lose(new CodedError('not-leading', `a higher epoch than ${this.epoch} was claimed`))
      return
    }
    this.committed = batch.batch
    this.#begin.leadership.committed(batch.batch)
    const end = batch.image.base + sectorAfter(batch.start + batch.length)
    batch.segment.durableBytes = end
    this.#end = { segment: batch.segment.segment, end }
    this.#sinceSnapshot.committed(batch.length)
    if (batch.image !== this.#image && this.#backlog.first?.image !== batch.image) this.#cache.unpin(batch.image)
    this.#telling = true
    this.#begin.listener.committed(batch.batch)
    this.#telling = false
    if (this.#over) return
    this.#backlog.relieve()
    if (this.#waiting.length > 0) this.#release()
    this.#pump()
  }

  readonly #failed = (error: unknown): void => {
    this.#writing = undefined
    if (this.#over) return this.#letGo()
    this.#lose(error instanceof Error ? error : new Error(String(error)))
  }

  lose(error: Error): void {
    this.#lose(error)
  }

  /** Rules 15 and 16: write nothing more, whatever is asked. */
  #lose(error: Error): void {
    if (this.#over) return
    this.#stop()
    this.#begin.log.error({ epoch: this.epoch, error: error.message }, 'the journal stops: this node leads no more')
    this.#begin.listener.lost(error)
    for (const one of this.#waiting) one.failed(error)
    this.#waiting = []
    void this.#house.stop()
    void this.#fetcher.close()
    if (this.#writing === undefined) this.#letGo()
  }

  /** After a failed sync nothing is tried again on this descriptor but closing it; and never under a write, whose number another file might get. */
  #letGo(): void {
    void this.#writer.close().catch(() => undefined)
  }

  #stop(): void {
    this.#over = true
    this.#room.end()
    this.#backlog.end()
    this.#cancelLazy?.()
    this.#cancelLazy = undefined
  }

  drained(): Promise<void> {
    if (this.#over && !this.#closing) return Promise.reject(new CodedError('not-leading', 'the journal has stopped'))
    const last = this.#at > this.#empty ? this.gathering : this.gathering - 1
    if (last <= this.committed) return Promise.resolve()
    this.urge()
    return new Promise((done, failed) => {
      this.#waiting.push({ batch: last, done, failed })
    })
  }

  #release(): void {
    const ready = this.#waiting.filter((one) => one.batch <= this.committed)
    this.#waiting = this.#waiting.filter((one) => one.batch > this.committed)
    for (const one of ready) one.done()
  }

  // ---- Room ---------------------------------------------------------------------------------------------------------

  /** The sum over all segments, when one came, went or was sealed: not per batch. */
  #recount(): void {
    this.#elsewhereBytes = this.usedBytes - this.#into.bytes
    this.#assess()
  }

  /** How much may still be admitted: within the bytes allowed, and on a full disk within what is allocated already. */
  #assess(): void {
    if (this.#over) return
    let room = this.bytesMax - this.#elsewhereBytes - this.#into.bytes
    if (this.#house.diskFull) room = Math.min(room, this.#into.fileBytes - this.#into.bytes + this.#house.readyBytes)
    room -= this.#at - this.#start
    this.#room.assess(room)
  }

  // ---- Reading, space, snapshots ------------------------------------------------------------------------------------

  read(segment: number, offset: number, length: number): Uint8Array | undefined {
    return this.#cache.read(segment, offset, length)
  }

  fetch(segment: number, offset: number, length: number, done: (bytes: Uint8Array | undefined) => void): void {
    this.#fetcher.fetch(segment, offset, length, done)
  }

  get cachedBytes(): number {
    return this.#cache.bytes
  }

  get segments(): readonly SegmentInfo[] {
    return this.#begin.segments.infos(this.#end.segment)
  }

  get usedBytes(): number {
    return this.#begin.segments.usedBytes + this.#house.snapshotBytes
  }

  preserve(ranges: readonly Range[], done: (moved: readonly Range[] | undefined) => void): void {
    this.#house.preserve(ranges, this.#room.drain, done)
  }

  free(segments: readonly number[]): void {
    this.#house.free(segments.filter((segment) => segment !== this.#into.segment && segment !== this.#end.segment))
  }

  cut(): Cut {
    this.#sinceSnapshot.cut(this.committed)
    const { directory, chain } = this.#begin
    return { directory, batch: this.committed, chain: [...chain, { epoch: this.epoch, ...this.#end }] }
  }

  snapshotTaken(batch: number): void {
    this.#sinceSnapshot.taken(batch)
    this.snapshotDue = false
    this.#house.snapshotTaken(batch)
  }

  get sinceSnapshotBytes(): number {
    return this.#sinceSnapshot.bytes
  }

  /** A disk that hangs is not waited for without end, or the claim would never be given away: what is on its way may still land, the successor decides. */
  async close(): Promise<void> {
    if (this.#over || this.#closing) return
    let cancel = (): void => undefined
    const late = new Promise<void>((resolve) => {
      cancel = this.#begin.clock.after(CLOSE_MS, resolve)
    })
    await Promise.race([this.#closeInOrder(), late])
    cancel()
    this.#stop()
    void this.#house.stop()
  }

  async #closeInOrder(): Promise<void> {
    try {
      await this.drained()
    } catch {
      // Leadership was lost: `lost` was told, and nothing more is written.
      return
    }
    this.#closing = true
    this.#stop()
    await this.#house.stop()
    // Rule 16 holds at a clean end too: a look before the last touch of our own files.
    if (this.#begin.leadership.look()) {
      await this.#house.discardSpares()
      if (this.#end.segment === this.#into.segment) await this.#writer.truncate(this.#end.end)
    }
    await this.#writer.close()
    await this.#fetcher.close()
    this.#cache.clear()
  }
}
