// Notices turns of the event loop that take long, and says what was done in them. Hot rooms call `mark` once a batch;
// a turn in which nobody did is seen by the event loop's own delay histogram and logged without a name.
// Not a profiler: it names rooms, not functions.
import { monitorEventLoopDelay } from 'node:perf_hooks'
import type { Clock, Log } from './api.ts'

export interface LoopWatch {
  readonly clock: Clock
  readonly log: Log
  /** A turn longer than this is logged. */
  readonly thresholdMs: number
}

/** The answer ends it. One watch a process: a second replaces the first. */
export function watchLoop(options: LoopWatch): () => void {
  const mine = new Watch(options)
  watch?.stop()
  watch = mine
  return () => {
    mine.stop()
    if (watch === mine) watch = undefined
  }
}

/** Says what this turn does from now on, and to how many. Once a batch, not once a message. */
export function mark(what: string, count: number): void {
  watch?.mark(what, count)
}

/** Long turns since the process began (each that was marked, of the others the longest of each second): how many, and how long they and the longest were. */
export const gaps = { count: 0, totalMs: 0, longestMs: 0 }

let watch: Watch | undefined

class Watch {
  readonly #clock: Clock
  readonly #log: Log
  readonly #thresholdMs: number
  readonly #histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
  #cancel: () => void
  #stopped = false
  /** A turn has begun that somebody marked. */
  #open = false
  #startMs = 0
  /** What the turn does, and since when. */
  #what = ''
  #count = 0
  #sinceMs = 0
  /** Its longest stretch so far. */
  #longestWhat = ''
  #longestCount = 0
  #longestMs = 0
  #loggedMs = Number.NEGATIVE_INFINITY
  #unlogged = 0
  /** The longest marked turn since the last look: the histogram saw it too. */
  #markedMs = 0

  constructor({ clock, log, thresholdMs }: LoopWatch) {
    this.#clock = clock
    this.#log = log
    this.#thresholdMs = thresholdMs
    this.#histogram.enable()
    this.#cancel = clock.after(LOOK_MS, this.#look)
  }

  stop(): void {
    this.#stopped = true
    this.#histogram.disable()
    this.#cancel()
  }

  mark(what: string, count: number): void {
    const nowMs = this.#clock.monoMs()
    if (this.#open) {
      this.#stretch(nowMs)
    } else {
      this.#open = true
      this.#startMs = nowMs
      this.#longestMs = -1
      this.#clock.turn(this.#end)
    }
    this.#what = what
    this.#count = count
    this.#sinceMs = nowMs
  }

  #stretch(nowMs: number): void {
    const ms = nowMs - this.#sinceMs
    if (ms <= this.#longestMs) return
    this.#longestMs = ms
    this.#longestWhat = this.#what
    this.#longestCount = this.#count
  }

  readonly #end = (): void => {
    this.#open = false
    if (this.#stopped) return
    const nowMs = this.#clock.monoMs()
    this.#stretch(nowMs)
    const turnMs = nowMs - this.#startMs
    if (turnMs <= this.#thresholdMs) return
    this.#markedMs = Math.max(this.#markedMs, turnMs)
    this.#tell(nowMs, turnMs, { what: this.#longestWhat, count: this.#longestCount, whatMs: round(this.#longestMs) })
  }

  readonly #look = (): void => {
    if (this.#stopped) return
    // The histogram's figures include its own interval.
    const longestMs = this.#histogram.max / 1e6 - RESOLUTION_MS
    if (longestMs > this.#thresholdMs && longestMs > this.#markedMs + RESOLUTION_MS) this.#tell(this.#clock.monoMs(), longestMs, { what: 'unmarked' })
    this.#histogram.reset()
    this.#markedMs = 0
    this.#cancel = this.#clock.after(LOOK_MS, this.#look)
  }

  #tell(nowMs: number, turnMs: number, fields: Readonly<Record<string, unknown>>): void {
    gaps.count++
    gaps.totalMs += turnMs
    gaps.longestMs = Math.max(gaps.longestMs, turnMs)
    if (nowMs - this.#loggedMs < LOG_EVERY_MS) {
      this.#unlogged++
      return
    }
    this.#log.warn({ ms: round(turnMs), ...fields, unlogged: this.#unlogged }, 'a turn of the event loop took long')
    this.#loggedMs = nowMs
    this.#unlogged = 0
  }
}

const RESOLUTION_MS = 20
const LOOK_MS = 1000
const LOG_EVERY_MS = 1000

function round(ms: number): number {
  return Math.round(ms * 10) / 10
}
