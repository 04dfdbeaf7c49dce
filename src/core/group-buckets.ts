// Buckets of message groups: what waits in each, whose it is, and heaps of those that could go. How they change hands is `groups.ts`. A hot room.
import { type Entries, SEQUENCE } from './entries.ts'
import { Lane } from './lanes.ts'
import type { Ring, RingMember, Seat } from './seat.ts'

const BUCKETS = 1_024

/** The bucket of a group, by the bytes of its name: 1 to 1,024. */
export function groupBucket(name: Uint8Array): number {
  let hash = 0x811c9dc5
  for (const byte of name) hash = Math.imul(hash ^ byte, 0x01000193)
  hash ^= hash >>> 15
  return ((Math.imul(hash, 0x2c1b3c6d) >>> 0) % BUCKETS) + 1
}

/** Groups of a bucket that are known to its owner, at most: beyond, they count as new once more. */
const NAMES_MAX = 256

export class Bucket {
  readonly number: number
  readonly lane: Lane
  owner: Holding | undefined = undefined
  /** One who chooses by a selector, and owns no group, has those that are out. */
  borrower: Seat | undefined = undefined
  /** Of its messages: in somebody's hands. */
  out = 0
  /** Returned, and not to be given out before a time. */
  delayed = 0
  /** Leaves its owner when nothing of it is out. */
  leaving = false
  /** Where it stands among others that could go. */
  heap: Heap | undefined = undefined
  at = 0
  /** Groups of which its owner was given something, by a number made of the name; kept where the policy asks for it. */
  #names: Set<number> | undefined = undefined

  constructor(number: number, entries: Entries) {
    this.number = number
    this.lane = new Lane(entries)
  }

  /** Was nothing of this group given to its owner yet? One that ends begins anew with the next message of its name. */
  isFirst(group: string, ends: boolean): boolean {
    const names = (this.#names ??= new Set())
    const name = numberOf(group)
    const first = !names.has(name)
    if (ends) names.delete(name)
    else if (first) {
      if (names.size >= NAMES_MAX) names.clear()
      names.add(name)
    }
    return first
  }

  forgetNames(): void {
    this.#names = undefined
  }
}

/** Two names of one bucket have different numbers, as far as 53 bits go. */
function numberOf(name: string): number {
  let low = 0x811c9dc5
  let high = 0x9e3779b1
  for (let i = 0; i < name.length; i++) {
    low = Math.imul(low ^ name.charCodeAt(i), 0x01000193)
    high = Math.imul(high ^ name.charCodeAt(i), 0x85ebca6b)
  }
  return (low >>> 0) + (high >>> 11) * 2 ** 32
}

/** What a seat has of a queue's buckets; in the ring of those that have something to be given. */
export class Holding implements RingMember<Holding> {
  readonly seat: Seat
  readonly heap: Heap
  readonly buckets = new Set<Bucket>()
  ring: Ring<Holding> | undefined = undefined
  next: Holding = this
  prev: Holding = this

  constructor(seat: Seat, entries: Entries) {
    this.seat = seat
    this.heap = new Heap(entries)
  }
}

/** Buckets by which of their first entries goes first. */
export class Heap {
  readonly #entries: Entries
  readonly #buckets: Bucket[] = []

  constructor(entries: Entries) {
    this.#entries = entries
  }

  get first(): Lane | undefined {
    return this.#buckets[0]?.lane
  }

  add(bucket: Bucket): void {
    bucket.heap = this
    bucket.at = this.#buckets.push(bucket) - 1
    this.#up(bucket)
  }

  remove(bucket: Bucket): void {
    const last = this.#buckets.pop()
    bucket.heap = undefined
    if (last === undefined || last === bucket) return
    this.#buckets[bucket.at] = last
    last.at = bucket.at
    this.update(last)
  }

  /** Its first entry is another. */
  update(bucket: Bucket): void {
    this.#up(bucket)
    this.#down(bucket)
  }

  #up(bucket: Bucket): void {
    while (bucket.at > 0) {
      const above = this.#buckets[(bucket.at - 1) >> 1]
      if (!this.#before(bucket, above)) return
      this.#swap(bucket, above)
    }
  }

  #down(bucket: Bucket): void {
    for (;;) {
      const left = this.#buckets[bucket.at * 2 + 1]
      const right = this.#buckets[bucket.at * 2 + 2]
      const below = right !== undefined && this.#before(right, left) ? right : left
      if (below === undefined || !this.#before(below, bucket)) return
      this.#swap(below, bucket)
    }
  }

  #swap(one: Bucket, other: Bucket): void {
    const { at } = one
    one.at = other.at
    other.at = at
    this.#buckets[one.at] = one
    this.#buckets[other.at] = other
  }

  #before({ lane }: Bucket, { lane: other }: Bucket): boolean {
    if (lane.best !== other.best) return lane.best > other.best
    return this.#entries.double(lane.head, SEQUENCE) < this.#entries.double(other.head, SEQUENCE)
  }
}
