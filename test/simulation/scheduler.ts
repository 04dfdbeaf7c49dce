// Time and processes of a simulation. One event happens at a time, in the order of its time; nothing waits for the real clock, and nothing happens beside the
// events: so one seed is one history. A process that is paused does its events when it goes on; one that is dead never does.
import type { Clock } from '../../src/api.ts'

type Event = Readonly<{ atMs: number; order: number; process: Process | undefined; run: () => void }>

export class Scheduler {
  nowMs = 1_000
  /** Events that happened. */
  steps = 0
  /** Told what an event threw. */
  thrown: (error: unknown) => void = () => undefined
  readonly #heap: Event[] = []
  #order = 0

  at(atMs: number, process: Process | undefined, run: () => void): void {
    this.#push({ atMs, order: ++this.#order, process, run })
  }

  /** The next event, and everything that it settles. False: there is none. */
  async step(): Promise<boolean> {
    for (;;) {
      const event = this.#pop()
      if (event === undefined) return false
      const { process } = event
      if (process?.dead === true) continue
      if (process !== undefined && process.pausedUntilMs > event.atMs) {
        this.#push({ ...event, atMs: process.pausedUntilMs })
        continue
      }
      this.nowMs = Math.max(this.nowMs, event.atMs)
      process?.wake()
      this.steps += 1
      try {
        event.run()
      } catch (error) {
        this.thrown(error)
      }
      // Promises settle between two turns of the real loop; there is nothing else in it.
      await new Promise((resolve) => setImmediate(resolve))
      return true
    }
  }

  #push(event: Event): void {
    const heap = this.#heap
    let at = heap.push(event) - 1
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (!isBefore(event, heap[parent])) break
      heap[at] = heap[parent]
      at = parent
    }
    heap[at] = event
  }

  #pop(): Event | undefined {
    const heap = this.#heap
    const first = heap[0]
    const last = heap.pop()
    if (last === undefined || heap.length === 0) return first
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && isBefore(heap[child + 1], heap[child])) child += 1
      if (!isBefore(heap[child], last)) break
      heap[at] = heap[child]
      at = child
    }
    heap[at] = last
    return first
  }
}

const isBefore = (a: Event, b: Event): boolean => a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order)

/** So that a loop of turns lets time pass. */
const TURN_MS = 0.02

export type ProcessOptions = Readonly<{ name: string; scheduler: Scheduler; rate: number; wallOffsetMs: number; stallMs: number }>

export class Process {
  readonly name: string
  readonly clock: Clock
  dead = false
  pausedUntilMs = 0
  wallOffsetMs: number
  /** Its wall clock was set while it ran. */
  jumped = false
  /** When the last stretch ended in which nothing of it ran for longer than `stallMs`. */
  wokeMs = 0
  readonly rate: number
  readonly #scheduler: Scheduler
  readonly #stallMs: number
  #ranMs: number

  constructor(options: ProcessOptions) {
    const { scheduler, rate } = options
    this.name = options.name
    this.rate = rate
    this.wallOffsetMs = options.wallOffsetMs
    this.#scheduler = scheduler
    this.#stallMs = options.stallMs
    this.#ranMs = scheduler.nowMs
    this.clock = {
      wallMs: () => Math.floor(1_700_000_000_000 + scheduler.nowMs * rate + this.wallOffsetMs),
      monoMs: () => scheduler.nowMs * rate,
      after: (delayMs, run) => {
        let cancelled = false
        // As Node has it: no timer is shorter than a millisecond.
        scheduler.at(scheduler.nowMs + Math.max(1, delayMs) / rate, this, () => {
          if (!cancelled) run()
        })
        return () => {
          cancelled = true
        }
      },
      turn: (run) => scheduler.at(scheduler.nowMs + TURN_MS, this, run),
    }
  }

  wake(): void {
    const { nowMs } = this.#scheduler
    if ((nowMs - this.#ranMs) * this.rate > this.#stallMs) this.wokeMs = nowMs
    this.#ranMs = nowMs
  }
}
