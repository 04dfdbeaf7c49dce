// Queues that keep the newest message of each key (policy `lastValueKey`): a newer one takes the place of an older that nobody has in hand.
// Judged when an entry has become ready, so an older one goes only after the newer is durable. The key is a property of the message, read without
// its body; after a takeover what lies on such queues is judged anew, in slices, while clients are served. Queues without the policy pay nothing.
import { MESSAGE, SEQUENCE, STATE, STATE_OF } from './entries.ts'
import type { Live } from './live.ts'
import type { Queue } from './queue.ts'
import { REASON } from './recorder.ts'

/** Entries judged in one turn. */
const SLICE_MAX = 500
/** Judged ones in front of the others are dropped when they are so many, and the half. */
const COMPACT_MIN = 4_096
/** Keys whose message is gone are forgotten when there are so many more keys than messages. */
const STALE_MAX = 1_000

interface Arrival {
  readonly queue: Queue
  readonly sequence: number
}

export class LastValues {
  readonly #live: Live
  /** The newest of each key, by its sequence. */
  readonly #newest = new WeakMap<Queue, Map<string, number>>()
  readonly #arrivals: Arrival[] = []
  /** Those before it are judged. */
  #at = 0
  #loading = false

  constructor(live: Live) {
    this.#live = live
  }

  /** It is ready, or ready again. */
  arrived(queue: Queue, row: number): void {
    this.#arrivals.push({ queue, sequence: this.#live.state.entries.double(row, SEQUENCE) })
    this.#live.wake()
  }

  /** Before the turn's dispatch. True: more is left for the next turn. */
  run(): boolean {
    const arrivals = this.#arrivals
    if (arrivals.length === 0 || this.#loading) return false
    for (let left = SLICE_MAX; left > 0 && this.#at < arrivals.length && this.#judge(arrivals[this.#at]); left--) this.#at++
    if (this.#at === arrivals.length) {
      arrivals.length = 0
      this.#at = 0
    } else if (this.#at > COMPACT_MIN && this.#at * 2 > arrivals.length) {
      arrivals.splice(0, this.#at)
      this.#at = 0
    }
    return arrivals.length > 0 && !this.#loading
  }

  /** False: its message has to be read first. */
  #judge(arrival: Arrival): boolean {
    const live = this.#live
    const { entries } = live.state
    const { queue, sequence } = arrival
    const row = queue.alive ? entries.find(queue.slot, sequence) : 0
    if (row === 0) return true
    const message = entries.get(row, MESSAGE)
    const held = live.bodies.get(message)
    if (held === undefined) {
      this.#loading = true
      live.bodies.load(message, (read) => {
        this.#loading = false
        // What cannot be read has no key that anybody knows: it stays.
        if (!read && this.#arrivals[this.#at] === arrival) this.#at++
        live.wake()
      })
      return false
    }
    const key = live.selecting.view(held.message).get(queue.policy.lastValueKey)
    if (key !== undefined && key !== null) this.#keep(queue, `${typeof key} ${String(key)}`, sequence)
    return true
  }

  #keep(queue: Queue, key: string, sequence: number): void {
    let newest = this.#newest.get(queue)
    if (newest === undefined) this.#newest.set(queue, (newest = new Map<string, number>()))
    const known = newest.get(key)
    if (known === sequence) return
    if (known === undefined || known < sequence) newest.set(key, sequence)
    if (known !== undefined) this.#replace(queue, Math.min(known, sequence))
    if (newest.size > queue.count * 2 + STALE_MAX) this.#forget(queue, newest)
  }

  #replace(queue: Queue, sequence: number): void {
    const live = this.#live
    const { entries } = live.state
    const row = entries.find(queue.slot, sequence)
    const state = row === 0 ? 0 : entries.get(row, STATE)
    if (state !== STATE_OF.ready && state !== STATE_OF.delayed) return
    live.dropped(queue, REASON.replaced)
    live.facts.gone(queue, row, REASON.replaced, false)
  }

  #forget(queue: Queue, newest: Map<string, number>): void {
    for (const [key, sequence] of newest) if (this.#live.state.entries.find(queue.slot, sequence) === 0) newest.delete(key)
  }
}
