// Time as the rest of the broker sees it: the real clock, and one that tests (and migration labs) move by hand.
import { setImmediate, setTimeout } from 'node:timers'
import type { Clock } from './api.ts'

/** The machine's clocks and event loop. */
export const realClock: Clock = {
  wallMs: () => Date.now(),
  monoMs: () => performance.now(),
  after(delayMs, run) {
    // setTimeout fires at once beyond 2^31-1 ms; longer waits are cut there and the caller looks again.
    const timer = setTimeout(run, Math.min(delayMs, 2 ** 31 - 1))
    return () => clearTimeout(timer)
  },
  turn(run) {
    setImmediate(run)
  },
}

/** Stands still until moved. Turns still end by themselves; `after` fires only in `advance`. */
export class MovableClock implements Clock {
  #wallMs: number
  #monoMs = 0
  #order = 0
  readonly #timers = new Map<number, Readonly<{ at: number; run: () => void }>>()

  constructor(wallMs = 1_700_000_000_000) {
    this.#wallMs = wallMs
  }

  wallMs(): number {
    return this.#wallMs
  }

  monoMs(): number {
    return this.#monoMs
  }

  after(delayMs: number, run: () => void): () => void {
    const id = ++this.#order
    this.#timers.set(id, { at: this.#monoMs + Math.max(0, delayMs), run })
    return () => {
      this.#timers.delete(id)
    }
  }

  turn(run: () => void): void {
    setImmediate(run)
  }

  /** Lets `ms` pass; timers fire in the order of their time, each at its own time. */
  advance(ms: number): void {
    const end = this.#monoMs + ms
    for (;;) {
      let next: number | undefined
      let at = Number.POSITIVE_INFINITY
      for (const [id, timer] of this.#timers) {
        if (timer.at < at) {
          at = timer.at
          next = id
        }
      }
      if (next === undefined || at > end) break
      const timer = this.#timers.get(next)
      this.#timers.delete(next)
      this.#wallMs += at - this.#monoMs
      this.#monoMs = at
      timer?.run()
    }
    this.#wallMs += end - this.#monoMs
    this.#monoMs = end
  }

  /** Sets the wall clock without letting time pass: a clock that jumps. */
  jump(wallMs: number): void {
    this.#wallMs = wallMs
  }
}
