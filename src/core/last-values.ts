// Queues that keep the newest message of each key (policy `lastValueKey`): a newer one takes the place of an older that nobody has in hand.
// Judged when an entry has become ready, so an older one goes only after the newer is durable. The key is a property of the message, read without
// its body; after a takeover what lies on such queues is judged anew, in slices, while clients are served. Queues without the policy pay nothing.
import { createHash } from 'node:crypto'
import { MESSAGE, SEQUENCE, STATE, STATE_OF } from './entries.ts'
import type { Live } from './live.ts'
import type { Queue } from './queue.ts'
import { REASON } from './recorder.ts'
import { Walk } from './walk.ts'

/** Entries judged in one turn. */
const SLICE_MAX = 500
/** Judged ones in front of the others are dropped when they are so many, and the half. */
const COMPACT_MIN = 4_096
/** Keys whose message is gone are forgotten when there are so many more keys than messages. */
const STALE_MAX = 1_000
/** Of a longer key its SHA-256 is kept: a key of a megabyte would be there as long as its message, which itself may be on disk. */
const KEY_MAX = 64

export class LastValues {
  readonly #live: Live
  /** The newest of each key, by its sequence. */
  readonly #newest = new WeakMap<Queue, Map<string, number>>()
  /** What has become ready: queues, and sequences beside them. */
  readonly #queues: Queue[] = []
  readonly #sequences: number[] = []
  /** Those before it are judged. */
  #at = 0
  /** What an earlier leader left: the queue that is gone through, and those that are still to be. */
  readonly #inherited: Queue[] = []
  #walk: Walk | undefined
  #loading = false
  /** Its bytes cannot be read: it has no key that anybody knows, and stays. */
  #unreadable: Readonly<{ queue: Queue; sequence: number }> | undefined

  constructor(live: Live) {
    this.#live = live
  }

  /** It is ready, or ready again. */
  arrived(queue: Queue, row: number): void {
    this.#queues.push(queue)
    this.#sequences.push(this.#live.state.entries.double(row, SEQUENCE))
    this.#live.wake()
  }

  /** What is ready on it is of an earlier leader, and judged anew. */
  inherit(queue: Queue): void {
    this.#inherited.push(queue)
    this.#live.wake()
  }

  /** Before the turn's dispatch. True: more is left for the next turn. */
  run(): boolean {
    const sequences = this.#sequences
    if ((sequences.length === 0 && this.#inherited.length === 0) || this.#loading) return false
    let left = SLICE_MAX
    while (this.#inherited.length > 0 && left > 0 && !this.#loading) left = this.#runInherited(this.#inherited[0], left)
    for (; left > 0 && this.#at < sequences.length && !this.#loading; left--) {
      if (this.#judge(this.#queues[this.#at], sequences[this.#at])) this.#at++
    }
    if (this.#at === sequences.length) this.#forgetJudged(sequences.length)
    else if (this.#at > COMPACT_MIN && this.#at * 2 > sequences.length) this.#forgetJudged(this.#at)
    return (sequences.length > 0 || this.#inherited.length > 0) && !this.#loading
  }

  #forgetJudged(count: number): void {
    this.#queues.splice(0, count)
    this.#sequences.splice(0, count)
    this.#at = 0
  }

  /** Answers what is left of the turn. */
  #runInherited(queue: Queue, slice: number): number {
    const { entries } = this.#live.state
    this.#walk ??= new Walk(entries, queue.readyLists())
    const walk = this.#walk
    let left = slice
    for (; left > 0 && walk.row !== 0 && queue.alive; left--) {
      const { row } = walk
      if (!this.#judge(queue, entries.double(row, SEQUENCE))) return left
      // It may have made way.
      if (walk.row === row) walk.advance()
    }
    if (walk.row !== 0 && queue.alive) return left
    walk.end()
    this.#walk = undefined
    this.#inherited.shift()
    return left
  }

  /** False: its message has to be read first. */
  #judge(queue: Queue, sequence: number): boolean {
    const live = this.#live
    const { entries } = live.state
    const row = queue.alive ? entries.find(queue.slot, sequence) : 0
    if (row === 0) return true
    if (this.#unreadable !== undefined && this.#unreadable.queue === queue && this.#unreadable.sequence === sequence) {
      this.#unreadable = undefined
      return true
    }
    const message = entries.get(row, MESSAGE)
    const held = live.bodies.get(message)
    if (held === undefined) {
      this.#loading = true
      live.bodies.load(message, (read) => {
        this.#loading = false
        if (!read) this.#unreadable = { queue, sequence }
        live.wake()
      })
      return false
    }
    const key = live.selecting.view(held.message).get(queue.policy.lastValueKey)
    if (key !== undefined && key !== null) this.#keep(queue, keyOf(`${typeof key} ${String(key)}`), sequence)
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

/** No key that is kept whole begins like one that is not. */
function keyOf(key: string): string {
  return key.length <= KEY_MAX ? key : `# ${createHash('sha256').update(key).digest('base64')}`
}
