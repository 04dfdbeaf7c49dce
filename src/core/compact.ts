// Keeps the journal as small as what lives in it: asks for a snapshot when the log has outgrown the state, frees segments in which
// nothing lives, and copies the survivors of segments that are less than half alive into family `old`, so that the old and the young
// are not copied together again and again. A segment goes only when a snapshot covers it and the copies are committed (rule 18).
import { FACT } from '../journal/facts.ts'
import type { Cut, Range, SegmentInfo } from '../journal/journal.ts'
import type { Live } from './live.ts'
import { LENGTH } from './messages.ts'
import { placesIn } from './relocation.ts'

/** A snapshot is made when the log since the last one exceeds this (or four segments) and the state's own size: it is what a start has to read. */
const LOG_BYTES_MIN = 256 * 1024 * 1024
/** How often segments are looked at. */
const SWEEP_MS = 2_000
/** How long a segment whose survivors could not be copied (no room, or one cannot be read) makes way for others. */
const REST_MS = 30_000
/** Relocated records of one fact. */
const RECORDS_MAX = 20_000

export type MakeSnapshot = (cut: Cut) => Promise<void>

export class Compaction {
  readonly #live: Live
  readonly #makeSnapshot: MakeSnapshot
  #snapshotting = false
  #relocating = false
  /** Batch up to which the newest snapshot speaks. */
  #covered = 0
  /** Segments in which nothing lives, each free once this batch is committed: until then a crash would bring back what died in it. */
  readonly #dead = new Map<number, number>()
  /** Segments whose survivors were copied once: what still lives there is on its way into a message. */
  readonly #copied = new Set<number>()
  /** Until when, by segment. */
  readonly #resting = new Map<number, number>()
  #stopped = false
  #commits = 0
  #sweptAt = -1

  constructor(live: Live, makeSnapshot: MakeSnapshot) {
    this.#live = live
    this.#makeSnapshot = makeSnapshot
  }

  stop(): void {
    this.#stopped = true
  }

  /** Looked at after commits; cheap unless something is due. */
  committed(): void {
    if (this.#stopped) return
    if (this.#dead.size > 0) this.#freeDead()
    if ((++this.#commits & 15) === 0 && this.#isDue()) void this.snapshot()
  }

  #isDue(): boolean {
    const { journal, state, settings } = this.#live
    const stateBytes = state.entries.count * 64 + state.messages.count * 32
    return journal.snapshotDue || journal.sinceSnapshotBytes > Math.max(stateBytes, Math.min(LOG_BYTES_MIN, 4 * settings.journal.segmentBytes))
  }

  /** Looks every few seconds whether something can go; once for each stretch in which something was committed, and at the begin of a term. */
  start(): void {
    if (this.#stopped) return
    this.#live.schedule.schedule(SWEEP_MS, () => {
      if (this.#commits !== this.#sweptAt) {
        this.#sweptAt = this.#commits
        if (this.#covered === 0 && (this.#hasDead() || this.#isDue())) void this.snapshot()
        else this.#sweep()
      }
      this.start()
    })
  }

  /** A sealed segment in which nothing lives: worth the first snapshot of this term, which lets it go. */
  #hasDead(): boolean {
    const { liveBytes } = this.#live.state.messages
    return this.#live.journal.segments.some(({ sealed, segment }) => sealed && (liveBytes.get(segment) ?? 0) === 0)
  }

  /** Makes a snapshot of what is committed now; then frees and copies what that allows. Never rejects. */
  async snapshot(): Promise<void> {
    const live = this.#live
    if (this.#snapshotting || this.#stopped) return
    this.#snapshotting = true
    const cut = live.journal.cut()
    try {
      await this.#makeSnapshot(cut)
      if (this.#stopped || live.lost !== undefined) return
      live.journal.snapshotTaken(cut.batch)
      this.#covered = cut.batch
      this.#sweep()
    } catch (error) {
      if (!this.#stopped) live.log.warn({ err: error, batch: cut.batch }, 'a snapshot could not be made; the log is kept and another will be tried')
    } finally {
      this.#snapshotting = false
    }
  }

  #sweep(): void {
    const live = this.#live
    if (live.lost !== undefined || this.#covered === 0) return
    const { journal } = live
    const { liveBytes } = live.state.messages
    let sparse: SegmentInfo | undefined
    for (const info of journal.segments) {
      if (!info.sealed || (info.family === 'log' && info.lastBatch > this.#covered)) continue
      const alive = liveBytes.get(info.segment) ?? 0
      if (alive === 0) {
        if (!this.#dead.has(info.segment)) this.#dead.set(info.segment, live.facts.lastBatch())
      } else if (alive * 2 < info.bytes && !this.#copied.has(info.segment) && !this.#rests(info.segment)) sparse ??= info
    }
    this.#freeDead()
    if (sparse !== undefined && !this.#relocating) this.#relocate(sparse.segment)
  }

  #rests(segment: number): boolean {
    const until = this.#resting.get(segment)
    return until !== undefined && until > this.#live.clock.monoMs()
  }

  #freeDead(): void {
    const { journal, state } = this.#live
    const free: number[] = []
    for (const [segment, after] of this.#dead) if (after <= journal.committed) free.push(segment)
    if (free.length === 0) return
    for (const segment of free) {
      this.#dead.delete(segment)
      this.#copied.delete(segment)
      this.#resting.delete(segment)
      state.messages.liveBytes.delete(segment)
    }
    journal.free(free)
  }

  #relocate(segment: number): void {
    const live = this.#live
    const { journal, state } = live
    this.#relocating = true
    this.#copied.add(segment)
    const ranges: Range[] = []
    for (const [offset, { row, piece }] of [...placesIn(state, segment)].sort(([a], [b]) => a - b)) {
      const length = piece >= 0 ? (state.messages.pieces.get(row)?.[piece].length ?? 0) : state.messages.get(row, LENGTH)
      ranges.push({ segment, offset, length })
    }
    journal.preserve(ranges, (moved) => {
      this.#relocating = false
      if (this.#stopped || live.lost !== undefined) return
      if (moved === undefined) {
        this.#copied.delete(segment)
        this.#resting.set(segment, live.clock.monoMs() + REST_MS)
        return
      }
      for (let at = 0; at < ranges.length; at += RECORDS_MAX) {
        const part = ranges.slice(at, at + RECORDS_MAX)
        const fact = live.facts.writer.reset().u32(segment).u32(part.length)
        for (const [i, range] of part.entries())
          fact
            .u32(range.offset)
            .u32(moved[at + i].segment)
            .u32(moved[at + i].offset)
        if (!live.facts.admit(FACT.relocated, fact, 'drain')) return
      }
      journal.urge()
      this.#sweep()
    })
  }
}
