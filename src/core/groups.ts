// Message groups: all messages of a group go to one consumer while it lives, in order. Groups are told apart by 1,024 buckets, and it is
// buckets that belong to consumers. A hot room: a bucket whose messages cannot go is in no heap, so nothing is ever scanned past.
//
//   free ── its first message is given out ──▶ owned by that consumer's seat ── the consumer ends ──▶ free
//    ▲                                            │ consumers come: those beyond a fair share, and a bucket whose group was closed,
//    └────── nothing of it is out any more ───────┘ leave their owner
//
// A bucket waits (in no heap) while one of its messages is delayed after a failure, and, when it is free, while some of it are still out.
import { ATTEMPTS, type Entries, MESSAGE, SEQUENCE, STATE, STATE_OF } from './entries.ts'
import { Bucket, Heap, Holding } from './group-buckets.ts'
import type { EntryList } from './lanes.ts'
import { bucketOf, MESSAGE_FLAGS, MESSAGE_ROW_FLAG, type Messages } from './messages.ts'
import type { Queue } from './queue.ts'
import { Ring, type Seat } from './seat.ts'

export class Groups {
  /** After `next`: what goes to the seat. */
  row = 0
  /** What is ready in all buckets. */
  count = 0
  readonly #queue: Queue
  readonly #entries: Entries
  readonly #messages: Messages
  readonly #buckets = new Map<number, Bucket>()
  readonly #free: Heap
  readonly #active = new Ring<Holding>()
  /** Of all seats that have buckets. */
  readonly #holdings = new Set<Holding>()

  constructor(queue: Queue, entries: Entries, messages: Messages) {
    this.#queue = queue
    this.#entries = entries
    this.#messages = messages
    this.#free = new Heap(entries)
  }

  // ---- Entries

  add(row: number, bucketNumber: number, priority: number): void {
    let bucket = this.#buckets.get(bucketNumber)
    if (bucket === undefined) {
      bucket = new Bucket(bucketNumber, this.#entries)
      this.#buckets.set(bucketNumber, bucket)
    }
    bucket.lane.add(row, priority)
    this.count++
    this.#place(bucket)
  }

  unlink(row: number, bucketNumber: number, priority: number): void {
    const bucket = this.#buckets.get(bucketNumber)
    if (bucket === undefined) return
    bucket.lane.unlink(row, priority)
    this.count--
    this.#place(bucket)
    // Whoever took it out says next whether it is in somebody's hands; an empty bucket of nobody's is found again by its number.
    this.#forgetEmpty(bucket)
  }

  /**
   * Its message is in the hands of this seat's consumer from now on; without a seat, of somebody who may settle it for a time. Answers whether it is the
   * first of its group there, if the queue's policy asks.
   */
  taken(row: number, seat: Seat | undefined, settled: boolean, group = ''): boolean {
    const flags = this.#flags(row)
    const number = bucketOf(flags)
    if (number === 0) return false
    const bucket = this.#buckets.get(number) ?? this.#again(number)
    // Those who choose by a selector own no group, since it may have messages that are not for them: they have it while they have any of it.
    if (seat !== undefined && bucket.owner === undefined) {
      if (seat.line === this.#queue.line) this.#own(bucket, seat)
      else if (!settled) bucket.borrower = seat
    }
    if (!settled) bucket.out++
    const ends = (flags & MESSAGE_ROW_FLAG.groupEnds) !== 0
    const has = seat !== undefined && (bucket.owner?.seat === seat || bucket.borrower === seat)
    const first = this.#queue.policy.groupFirst && has && bucket.isFirst(group, ends)
    if (ends) bucket.leaving = true
    this.#settleDown(bucket)
    return first
  }

  /** An entry that was out or delayed goes back to its place or is gone: to be called while its state still says which. */
  returns(row: number): void {
    const state = this.#entries.get(row, STATE)
    const held = state === STATE_OF.locked || state === STATE_OF.leased
    if (!held && state !== STATE_OF.delayed) return
    const bucket = this.#buckets.get(bucketOf(this.#flags(row)))
    if (bucket === undefined) return
    if (held) bucket.out--
    else if (this.#entries.get(row, ATTEMPTS) > 0) bucket.delayed--
    this.#settleDown(bucket)
  }

  /** It waits for a time: those behind it do too, if it was given out before. */
  delays(row: number): void {
    const number = bucketOf(this.#flags(row))
    if (number === 0 || this.#entries.get(row, ATTEMPTS) === 0) return
    const bucket = this.#buckets.get(number) ?? this.#again(number)
    bucket.delayed++
    this.#place(bucket)
  }

  lists(): EntryList[] {
    return [...this.#buckets.values()].flatMap(({ lane }) => lane.lists())
  }

  /** Came first of all; 0: there is none. */
  get oldest(): number {
    let oldest = 0
    for (const { lane } of this.#buckets.values()) {
      const row = lane.oldest
      if (row !== 0 && (oldest === 0 || this.#entries.double(row, SEQUENCE) < this.#entries.double(oldest, SEQUENCE))) oldest = row
    }
    return oldest
  }

  // ---- Consumers

  /** Whose turn it is, with `row`. `pick` says who is next for what anybody may take. */
  next(pick: (row: number) => Seat | undefined): Seat | undefined {
    const general = this.general
    const holding = this.#hungry()
    const own = holding?.heap.first
    if (holding !== undefined && own !== undefined && (general === 0 || this.#before(own.head, general))) {
      this.#active.turn()
      this.row = own.head
      return holding.seat
    }
    if (general === 0) return undefined
    const seat = pick(general) ?? (own === undefined ? undefined : holding?.seat)
    this.row = general
    // What that consumer has to itself may have come before: for one consumer the order is that of the queue.
    const first = seat?.consumer.hungry === true ? seat.holding?.heap.first : undefined
    if (first !== undefined && this.#before(first.head, general)) this.row = first.head
    return seat
  }

  /** Goes first of what anybody may be given; 0: nothing may. */
  get general(): number {
    const plain = this.#queue.ready.head
    const free = this.#free.first
    if (free === undefined) return plain
    return plain === 0 || this.#before(free.head, plain) ? free.head : plain
  }

  /** Who may be given this entry of those who choose by a selector: the one whose turn it is, or the one who has others of its group; undefined: nobody yet. */
  chooser(turn: Seat, row: number): Seat | undefined {
    const number = bucketOf(this.#flags(row))
    const bucket = number === 0 ? undefined : this.#buckets.get(number)
    if (bucket === undefined) return turn
    const { borrower } = bucket
    if (bucket.owner !== undefined || bucket.delayed > 0 || (bucket.out > 0 && borrower === undefined)) return undefined
    if (borrower === undefined || borrower === turn) return turn
    // One that is gone had some of it settled in a transaction that is open still: nobody is given more before that has ended.
    if (borrower.over) return undefined
    return borrower.line === turn.line && borrower.consumer.hungry && !borrower.consumer.stalled ? borrower : undefined
  }

  /** The seat can take again. */
  wakes(holding: Holding): void {
    if (holding.ring === undefined && holding.heap.first !== undefined) this.#active.add(holding)
  }

  /** A consumer has come: what others have beyond their fair share becomes free, as soon as nothing of it is out. */
  share(): void {
    let owned = 0
    for (const { buckets } of this.#holdings) owned += buckets.size
    const fair = Math.ceil(owned / Math.max(1, this.#queue.seats?.length ?? 0))
    for (const { buckets } of this.#holdings) {
      let excess = buckets.size - fair
      if (excess <= 0) continue
      for (const bucket of [...buckets].sort((a, b) => a.out - b.out)) {
        if (excess-- <= 0) break
        bucket.leaving = true
        this.#settleDown(bucket)
      }
    }
  }

  /** The seat takes nothing any more: its buckets are for others. */
  vacate(seat: Seat): void {
    const { holding } = seat
    if (holding === undefined) return
    seat.holding = undefined
    holding.ring?.remove(holding)
    this.#holdings.delete(holding)
    for (const bucket of holding.buckets) {
      bucket.owner = undefined
      bucket.forgetNames()
      bucket.leaving = false
      this.#place(bucket)
      this.#forgetEmpty(bucket)
    }
    holding.buckets.clear()
  }

  // ---- Buckets

  #flags(row: number): number {
    return this.#messages.get(this.#entries.get(row, MESSAGE), MESSAGE_FLAGS)
  }

  #again(number: number): Bucket {
    const bucket = new Bucket(number, this.#entries)
    this.#buckets.set(number, bucket)
    return bucket
  }

  #own(bucket: Bucket, seat: Seat): void {
    seat.holding ??= new Holding(seat, this.#entries)
    this.#holdings.add(seat.holding)
    bucket.owner = seat.holding
    seat.holding.buckets.add(bucket)
  }

  /** After a change of what is out, delayed or whose. */
  #settleDown(bucket: Bucket): void {
    if (bucket.out === 0 && bucket.borrower !== undefined) {
      bucket.borrower = undefined
      bucket.forgetNames()
    }
    if (bucket.leaving && bucket.out === 0) {
      bucket.leaving = false
      bucket.owner?.buckets.delete(bucket)
      bucket.owner = undefined
      bucket.forgetNames()
    }
    this.#place(bucket)
    this.#forgetEmpty(bucket)
  }

  /** Puts the bucket where it belongs: in its owner's heap, among the free ones, or nowhere. */
  #place(bucket: Bucket): void {
    const { owner } = bucket
    const waits = bucket.lane.head === 0 || bucket.delayed > 0 || (owner === undefined && bucket.out > 0)
    const heap = waits ? undefined : (owner?.heap ?? this.#free)
    if (bucket.heap !== heap) {
      bucket.heap?.remove(bucket)
      heap?.add(bucket)
    } else heap?.update(bucket)
    if (owner !== undefined && heap !== undefined && !owner.seat.resting) this.wakes(owner)
  }

  #forgetEmpty(bucket: Bucket): void {
    if (bucket.owner === undefined && bucket.out === 0 && bucket.delayed === 0 && bucket.lane.head === 0) this.#buckets.delete(bucket.number)
  }

  /** Whose turn it is of those that have something of their own and credit. */
  #hungry(): Holding | undefined {
    for (let holding = this.#active.front; holding !== undefined; holding = this.#active.front) {
      const { consumer } = holding.seat
      if (holding.heap.first !== undefined && consumer.hungry && !consumer.stalled) return holding
      this.#active.remove(holding)
      if (holding.heap.first !== undefined) holding.seat.stand()
    }
    return undefined
  }

  #before(row: number, other: number): boolean {
    const queue = this.#queue
    const priority = queue.priorityOf(row)
    const than = queue.priorityOf(other)
    if (priority !== than) return priority > than
    return this.#entries.double(row, SEQUENCE) < this.#entries.double(other, SEQUENCE)
  }
}
