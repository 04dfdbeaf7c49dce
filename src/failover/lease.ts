// What a standby concludes from the heartbeats it sees: the lease has run out when it saw no change for a whole lease, by its own monotonic clock.
// Pure: it is told what was read and when. It decides only when to try; that nobody is fooled by a wrong guess is the look's business (rules 13, 19).
//
// Two mistakes it must not make. A read that took long, or was stopped in its middle, tells of the time when it began. And while we ourselves were stopped the
// other may have been too (a whole machine that slept): what we saw before then is old, the lease starts again.
import type { Heartbeat } from './heartbeat.ts'

/** A poll that comes later than due by this part of the lease: we were stopped. */
const OWN_PAUSE = 1 / 4

export class Lease {
  readonly #leaseMs: number
  readonly #pollMs: number
  #seen: Heartbeat | undefined
  /** Unchanged since then, as far as we know. */
  #sinceMs: number
  #polledMs: number
  #over = false

  /** A missing heartbeat counts from now. 0: the lease never runs out. */
  constructor(leaseMs: number, pollMs: number, nowMs: number) {
    this.#leaseMs = leaseMs
    this.#pollMs = pollMs
    this.#sinceMs = nowMs
    this.#polledMs = nowMs
  }

  /** Nothing changed for a whole lease. Falls back to false when the leader is heard again. */
  get over(): boolean {
    return this.#over
  }

  /** Called at every poll. */
  poll(nowMs: number): void {
    const lateMs = nowMs - this.#polledMs - this.#pollMs
    this.#polledMs = nowMs
    if (lateMs > this.#leaseMs * OWN_PAUSE) this.restart(nowMs)
  }

  /** What was seen says nothing any more. */
  restart(nowMs: number): void {
    this.#sinceMs = nowMs
    this.#over = false
  }

  /** A read that began at `startedMs` and has now ended. Undefined: there is none, or it is torn: a value like any other. */
  read(heartbeat: Heartbeat | undefined, startedMs: number, nowMs: number): void {
    if (this.#leaseMs === 0) return
    if (heartbeat?.count !== this.#seen?.count || heartbeat?.batch !== this.#seen?.batch) {
      this.#seen = heartbeat
      this.restart(nowMs)
    } else if (startedMs - this.#sinceMs >= this.#leaseMs) this.#over = true
  }
}
