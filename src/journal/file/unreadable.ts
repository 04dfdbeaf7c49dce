// Places that could not be read lately: they are told to the log, but not each time and not without end, and not read again at once: a damaged
// batch holds the bodies of thousands of messages, which are all asked for.
import type { Clock, Log } from '../../api.ts'

/** How long a place is not read again. */
const REST_MS = 1_000
const PLACES_MAX = 64
/** In this time a place is told once, and no more than `LINES_MAX` places are. */
const LINES_MS = 60_000
const LINES_MAX = 10

type Place = Readonly<{ segment: number; from: number; end: number; untilMs: number }>

export class Unreadable {
  readonly #clock: Clock
  readonly #log: Log
  #places: Place[] = []
  #told = new Set<string>()
  #toldSinceMs = Number.NEGATIVE_INFINITY
  #untold = 0

  constructor(clock: Clock, log: Log) {
    this.#clock = clock
    this.#log = log
  }

  /** Found damaged within the last second. */
  has(segment: number, offset: number): boolean {
    if (this.#places.length === 0) return false
    const nowMs = this.#clock.monoMs()
    this.#places = this.#places.filter((place) => place.untilMs > nowMs)
    return this.#places.some((place) => place.segment === segment && place.from <= offset && offset < place.end)
  }

  add(segment: number, from: number, end: number): void {
    if (this.#places.length === PLACES_MAX) this.#places.shift()
    this.#places.push({ segment, from, end, untilMs: this.#clock.monoMs() + REST_MS })
  }

  tell(file: string, offset: number, sentence: string): void {
    const nowMs = this.#clock.monoMs()
    if (nowMs - this.#toldSinceMs >= LINES_MS) {
      this.#toldSinceMs = nowMs
      this.#told = new Set()
      if (this.#untold > 0)
        this.#log.error({ places: this.#untold }, 'more of the journal could not be read than was told: run "bascule journal check"')
      this.#untold = 0
    }
    const place = `${file} at ${offset}`
    if (this.#told.has(place)) return
    if (this.#told.size === LINES_MAX) {
      this.#untold += 1
      return
    }
    this.#told.add(place)
    this.#log.error({ file, offset }, `${sentence} (${place})`)
  }
}
