// A journal in memory, for tests: batches commit at the end of the turn, or when told. It passes the contract that the file engine passes.
// What must survive a restart lives in a `MemoryStore`; opening one again is a takeover: what was not committed is gone and the epoch is higher.
import type { Clock } from '../api.ts'
import type { Claim, Cut, Journal, JournalListener, Range, SegmentInfo, Visitor } from './journal.ts'
import { FACT_BYTES_MAX } from './journal.ts'

const BATCH_BYTES_MAX = 1024 * 1024
const FACT_HEADER_BYTES = 4

export type MemoryOptions = Readonly<{
  store: MemoryStore
  clock: Clock
  listener: JournalListener
  visitor: Visitor
  /** Nothing commits by itself: the test calls `commit()`. */
  manual?: boolean
  segmentBytes?: number
  bytesMax?: number
  reserveBytes?: number
  lazyMs?: number
  lazyBytes?: number
}>

/** Replays what `options.store` holds, then leads it. */
export function openMemoryJournal(options: MemoryOptions): MemoryJournal {
  options.store.replay(options.visitor)
  return new MemoryJournal(options)
}

type StoredSegment = { segment: number; family: 'log' | 'old'; buffer: Buffer; bytes: number; sealed: boolean; firstBatch: number; lastBatch: number }
type StoredBatch = Readonly<{ batch: number; epoch: number; wallMs: number; segment: number; start: number; end: number }>

/** What outlives one leader. */
export class MemoryStore {
  epoch = 0
  lastBatch = 0
  lastSegment = 0
  readonly segments = new Map<number, StoredSegment>()
  batches: StoredBatch[] = []
  snapshot: Readonly<{ batch: number; bytes: readonly Uint8Array[] }> | undefined

  /** The newest snapshot, then every committed batch after it, up to `upTo`. */
  replay(visitor: Visitor, upTo = Number.POSITIVE_INFINITY): void {
    const { snapshot } = this
    if (snapshot !== undefined && snapshot.batch <= upTo && visitor.snapshot(snapshot.bytes) !== undefined)
      throw new Error('the memory journal replays in one go: its visitor cannot take turns')
    const after = snapshot !== undefined && snapshot.batch <= upTo ? snapshot.batch : 0
    for (const stored of this.batches) {
      if (stored.batch <= after || stored.batch > upTo) continue
      const segment = this.segments.get(stored.segment)
      if (segment === undefined) throw new Error(`batch ${stored.batch} is after the snapshot, and its segment ${stored.segment} was freed`)
      visitor.batch(stored.batch, stored.epoch, stored.wallMs)
      for (let at = stored.start; at < stored.end; ) {
        const header = segment.buffer.readUInt32LE(at)
        const start = at + FACT_HEADER_BYTES
        at = start + (header >>> 8)
        visitor.fact(header & 0xff, segment.buffer, start, at, segment.segment, start)
      }
    }
  }

  /** As `writeSnapshot` does for the file engine; tell the journal with `snapshotTaken`. */
  writeSnapshot(batch: number, chunks: Iterable<Uint8Array>): void {
    this.snapshot = { batch, bytes: [...chunks].map((chunk) => Uint8Array.from(chunk)) }
  }
}

export class MemoryJournal implements Journal {
  readonly epoch: number
  readonly bytesMax: number
  gathering: number
  committed: number
  buffer: Buffer
  segment: number
  offset = 0
  sinceSnapshotBytes = 0
  snapshotDue = false
  readonly #options: MemoryOptions
  readonly #store: MemoryStore
  readonly #segmentBytes: number
  readonly #reserveBytes: number
  readonly #lazyBytes: number
  #current: StoredSegment
  #preserved: StoredSegment | undefined
  #start: number
  #at: number
  #closed: StoredBatch[] = []
  #turning = false
  #lazy: (() => void) | undefined
  #full = false
  #told = false
  #over = false
  #waiting: Readonly<{ batch: number; done: () => void; failed: (error: Error) => void }>[] = []
  /** Up to which offset of a segment memory was dropped by `forget`. */
  readonly #forgotten = new Map<number, number>()

  constructor(options: MemoryOptions) {
    this.#options = options
    this.#store = options.store
    this.#segmentBytes = options.segmentBytes ?? 2 * BATCH_BYTES_MAX
    this.bytesMax = options.bytesMax ?? 2 ** 40
    this.#reserveBytes = options.reserveBytes ?? 0
    this.#lazyBytes = options.lazyBytes ?? 64 * 1024
    for (const segment of this.#store.segments.values()) segment.sealed = true
    this.epoch = ++this.#store.epoch
    this.committed = ++this.#store.lastBatch
    this.gathering = this.committed + 1
    this.#current = this.#newSegment('log', this.#segmentBytes)
    this.buffer = this.#current.buffer
    this.segment = this.#current.segment
    this.#start = this.#at = 0
    // The header of the epoch is a batch without facts.
    const header = { batch: this.committed, epoch: this.epoch, wallMs: options.clock.wallMs(), segment: this.segment, start: 0, end: 0 }
    this.#store.batches.push(header)
  }

  #newSegment(family: 'log' | 'old', bytes: number): StoredSegment {
    const segment = ++this.#store.lastSegment
    const made: StoredSegment = {
      segment,
      family,
      buffer: Buffer.alloc(bytes),
      bytes: 0,
      sealed: false,
      firstBatch: family === 'log' ? this.gathering : 0,
      lastBatch: 0,
    }
    this.#store.segments.set(segment, made)
    return made
  }

  admit(type: number, size: number, claim: Claim): number {
    if (size > FACT_BYTES_MAX || size < 0) throw new RangeError(`a fact of ${size} bytes; at most ${FACT_BYTES_MAX}`)
    const bytes = FACT_HEADER_BYTES + size
    if (this.#over || !this.#hasRoom(bytes, claim)) return -1
    if (this.#at - this.#start + bytes > BATCH_BYTES_MAX) this.#close()
    if (this.#at + bytes > this.buffer.length) this.#roll(bytes)
    if (this.#at === this.#start) this.#lazily()
    const at = this.#at + FACT_HEADER_BYTES
    this.buffer.writeUInt32LE(((size << 8) | type) >>> 0, this.#at)
    this.#at += bytes
    this.#current.bytes = this.#at
    this.offset = at
    if (this.#at - this.#start >= this.#lazyBytes) this.urge()
    return at
  }

  #hasRoom(bytes: number, claim: Claim): boolean {
    const room = this.bytesMax - this.usedBytes - bytes
    if (claim === 'drain') return room >= 0
    if (!this.#full && room < this.#reserveBytes) {
      this.#full = true
      this.#tellFull()
    }
    return !this.#full
  }

  /** Tells at the end of the turn, never inside a call of the core. */
  #tellFull(): void {
    this.#options.clock.turn(() => {
      if (this.#over || this.#told === this.#full) return
      this.#told = this.#full
      this.#options.listener.full(this.#full)
    })
  }

  #close(): void {
    if (this.#at === this.#start) return
    this.#closed.push({
      batch: this.gathering,
      epoch: this.epoch,
      wallMs: this.#options.clock.wallMs(),
      segment: this.segment,
      start: this.#start,
      end: this.#at,
    })
    this.#current.lastBatch = this.gathering
    this.gathering += 1
    this.#start = this.#at
    this.urge()
  }

  #roll(bytes: number): void {
    this.#close()
    this.#current.sealed = true
    this.#current = this.#newSegment('log', Math.max(this.#segmentBytes, bytes))
    this.buffer = this.#current.buffer
    this.segment = this.#current.segment
    this.#start = this.#at = 0
  }

  #lazily(): void {
    if (this.#options.manual === true || this.#lazy !== undefined) return
    this.#lazy = this.#options.clock.after(this.#options.lazyMs ?? 20, () => {
      this.#lazy = undefined
      this.commit()
    })
  }

  urge(): void {
    if (this.#turning || this.#over || this.#options.manual === true) return
    this.#turning = true
    this.#options.clock.turn(() => {
      this.#turning = false
      this.commit()
    })
  }

  /** Commits everything admitted so far, now. Not from inside a call of the core. */
  commit(): void {
    if (this.#over) return
    this.#close()
    const batches = this.#closed
    this.#closed = []
    for (const batch of batches) {
      this.#store.batches.push(batch)
      this.#store.lastBatch = batch.batch
      this.sinceSnapshotBytes += batch.end - batch.start
      this.committed = batch.batch
      this.#options.listener.committed(batch.batch)
      if (this.#over) return
    }
    const ready = this.#waiting.filter((one) => one.batch <= this.committed)
    this.#waiting = this.#waiting.filter((one) => one.batch > this.committed)
    for (const one of ready) one.done()
  }

  /** The node leads no more: what is not committed is gone. */
  lose(error: Error): void {
    if (this.#over) return
    this.#stop()
    this.#options.listener.lost(error)
    for (const one of this.#waiting) one.failed(error)
    this.#waiting = []
  }

  #stop(): void {
    this.#over = true
    this.#lazy?.()
    this.#lazy = undefined
  }

  drained(): Promise<void> {
    const last = this.#at > this.#start ? this.gathering : this.gathering - 1
    if (last <= this.committed) return Promise.resolve()
    this.urge()
    return new Promise((done, failed) => {
      this.#waiting.push({ batch: last, done, failed })
    })
  }

  read(segment: number, offset: number, length: number): Uint8Array | undefined {
    const stored = this.#store.segments.get(segment)
    if (stored === undefined || offset + length > stored.bytes || offset < (this.#forgotten.get(segment) ?? 0)) return undefined
    return stored.buffer.subarray(offset, offset + length)
  }

  /** From now on what was admitted so far must be fetched: as if the cache had dropped it. */
  forget(): void {
    for (const stored of this.#store.segments.values()) this.#forgotten.set(stored.segment, stored.bytes)
  }

  fetch(segment: number, offset: number, length: number, done: (bytes: Uint8Array | undefined) => void): void {
    this.#options.clock.turn(() => {
      this.#forgotten.delete(segment)
      done(this.read(segment, offset, length))
    })
  }

  get cachedBytes(): number {
    let sum = 0
    for (const stored of this.#store.segments.values()) sum += stored.bytes - (this.#forgotten.get(stored.segment) ?? 0)
    return sum
  }

  get segments(): readonly SegmentInfo[] {
    return [...this.#store.segments.values()].map(({ segment, family, bytes, sealed, firstBatch, lastBatch }) => ({
      segment,
      family,
      bytes,
      sealed,
      firstBatch,
      lastBatch,
    }))
  }

  get usedBytes(): number {
    let sum = 0
    for (const stored of this.#store.segments.values()) sum += stored.bytes
    return sum
  }

  preserve(ranges: readonly Range[], done: (moved: readonly Range[] | undefined) => void): void {
    const moved: Range[] = []
    for (const { segment, offset, length } of ranges) {
      const from = this.#store.segments.get(segment)
      if (from === undefined) {
        this.#options.clock.turn(() => done(undefined))
        return
      }
      if (this.#preserved === undefined || this.#preserved.bytes + length > this.#preserved.buffer.length) {
        if (this.#preserved !== undefined) this.#preserved.sealed = true
        this.#preserved = this.#newSegment('old', Math.max(this.#segmentBytes, length))
      }
      const to = this.#preserved
      from.buffer.copy(to.buffer, to.bytes, offset, offset + length)
      moved.push({ segment: to.segment, offset: to.bytes, length })
      to.bytes += length
    }
    this.#options.clock.turn(() => {
      if (!this.#over) done(moved)
    })
  }

  free(segments: readonly number[]): void {
    for (const segment of segments) {
      if (segment === this.segment) continue
      if (segment === this.#preserved?.segment) this.#preserved = undefined
      this.#store.segments.delete(segment)
      this.#forgotten.delete(segment)
    }
    if (this.#full && this.bytesMax - this.usedBytes > this.#reserveBytes) {
      this.#full = false
      this.#tellFull()
    }
  }

  cut(): Cut {
    return { directory: '', batch: this.committed, chain: [{ epoch: this.epoch, segment: this.segment, end: this.#start }] }
  }

  snapshotTaken(_batch: number): void {
    this.snapshotDue = false
    const batch = this.#store.snapshot?.batch ?? 0
    this.#store.batches = this.#store.batches.filter((one) => one.batch > batch)
    this.sinceSnapshotBytes = this.#store.batches.reduce((sum, one) => sum + one.end - one.start, 0)
  }

  async close(): Promise<void> {
    if (this.#over) return
    if (this.#options.manual === true) this.commit()
    else await this.drained()
    this.#stop()
  }
}
