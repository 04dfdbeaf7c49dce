// Receives that wait (cloud-style queues): up to n, wait up to w, locked for a time. First come, first served; one message wakes one.
import type { PullOptions, Sink } from '../api.ts'
import type { Live } from './live.ts'
import type { Queue } from './queue.ts'

/** One receive that waits at a queue. */
export class WaitingPull {
  readonly options: PullOptions
  readonly sink: Sink
  readonly #live: Live
  readonly #queue: Queue
  given = 0
  givenBytes = 0
  over = false
  #cancelTimer: (() => void) | undefined

  constructor(live: Live, queue: Queue, options: PullOptions, sink: Sink) {
    this.#live = live
    this.#queue = queue
    this.options = options
    this.sink = sink
  }

  get wantsMore(): boolean {
    return !this.over && this.given < this.options.max && (this.given === 0 || this.givenBytes < this.options.bytes)
  }

  /** Joins the queue's waiters; answered with what there is when the time is over, or with the first that comes. */
  start(): void {
    this.#queue.pulls ??= []
    this.#queue.pulls.push(this)
    this.#live.touch(this.#queue)
    this.#cancelTimer = this.#live.clock.after(this.options.waitMs, () => this.answer())
  }

  /** Tells the caller; with or without deliveries. */
  answer(): void {
    if (this.over) return
    this.#leave()
    this.sink.flush()
  }

  /** The caller left. */
  cancel(): void {
    if (!this.over) this.#leave()
  }

  #leave(): void {
    this.over = true
    this.#cancelTimer?.()
    const { pulls } = this.#queue
    const at = pulls?.indexOf(this) ?? -1
    if (at >= 0) pulls?.splice(at, 1)
  }
}
