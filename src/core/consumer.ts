// One consumer: its credit, and which entries it has. Tags count up from 1; a ring says which entry has which tag, so that ranges settle.
// A hot room: no container per delivery. What a settlement does to an entry is `settlement.ts`.
import type { Consumer, ConsumerOptions, Outcome, Pattern, Sink, Ticket, Transaction } from '../api.ts'
import { CodedError } from '../errors.ts'
import { FACT } from '../journal/facts.ts'
import { own } from './addresses.ts'
import { ENTRY_FLAG, FLAGS, MARK, OWNER, SEQUENCE, STATE, STATE_OF, TAG } from './entries.ts'
import type { Live } from './live.ts'
import { joined } from './live-transaction.ts'
import type { Queue } from './queue.ts'
import type { Seat } from './seat.ts'
import type { Selector } from './selector/selector.ts'
import type { LiveSession } from './session.ts'
import { mayPass, pass } from './passing.ts'
import { settleEntry } from './settlement.ts'

/** Tags between the oldest unsettled delivery and the newest: beyond this the oldest must be settled first. */
const SPAN_MAX = 1 << 20
/** Seats of one consumer that are roused in one turn. */
const ROUSE_MAX = 1_000
/** Of consumers. */
const PRIORITY_MIN = -128
const PRIORITY_MAX = 127

/** Until there is one: an array that is pushed to takes room for many. */
const NO_SEATS: Seat[] = []

export class CoreConsumer implements Consumer {
  readonly number: number
  readonly session: LiveSession
  /** Of the queues it takes from, if it does not name them. */
  pattern: Pattern | undefined
  /** Where it takes from. */
  seats: Seat[] = NO_SEATS
  readonly settles: ConsumerOptions['settle']
  readonly exclusive: ConsumerOptions['exclusive']
  readonly priority: number
  /** What it takes of its queues; undefined: everything. */
  readonly selector: Selector | undefined
  readonly sink: Sink
  credit = 0
  creditBytes = 0
  stalled = false
  over = false
  /** Something was delivered since the last flush. */
  unflushed = false
  /** To be called when nothing can be handed over. */
  idle: (() => void) | undefined
  readonly #live: Live
  /** The first and the last seat whose turn came while there was no credit. */
  #resting: Seat | undefined
  #lastResting: Seat | undefined
  #ring = new Uint32Array(8)
  /** Oldest tag that may be unsettled, and the newest given. */
  #first = 1
  #last = 0
  /** Of those in the ring, settled by open transactions. */
  #claims = 0

  constructor(live: Live, session: LiveSession, number: number, options: ConsumerOptions, selector: Selector | undefined, sink: Sink) {
    this.#live = live
    this.session = session
    this.number = number
    this.settles = options.settle
    this.exclusive = options.exclusive
    this.priority = Math.max(PRIORITY_MIN, Math.min(PRIORITY_MAX, Math.trunc(options.priority)))
    this.selector = selector
    this.sink = sink
  }

  /** How many it has. Counted when management asks, not kept. */
  get unsettled(): number {
    const mask = this.#ring.length - 1
    let count = 0
    for (let tag = this.#first; tag <= this.#last; tag++) if (this.#ring[tag & mask] !== 0) count++
    return count
  }

  /** May be given one that uses credit. */
  get hungry(): boolean {
    return this.credit > 0 && this.creditBytes > 0 && this.#last - this.#first < SPAN_MAX
  }

  /** May be given one that is settled when sent, although there is no credit. */
  get modest(): boolean {
    return this.settles === 'by-binding' && this.creditBytes > 0 && !this.stalled
  }

  grant(messages: number, bytes: number): void {
    const { limits } = this.#live.settings
    const starved = this.creditBytes <= 0
    this.credit = Math.min(this.credit + messages, limits.creditMessages)
    this.creditBytes = Math.min(this.creditBytes + bytes, limits.creditBytes)
    this.rouse(starved)
  }

  stall(stalled: boolean): void {
    this.stalled = stalled
    this.rouse(true)
  }

  /** The seat waits for credit. */
  rest(seat: Seat): void {
    if (seat.resting) return
    seat.resting = true
    if (this.#lastResting === undefined) this.#resting = seat
    else this.#lastResting.behind = seat
    this.#lastResting = seat
  }

  /** Seats that rest take their stand again: of those with something to be given, no more at once than there is credit for. */
  rouse(modestToo: boolean): void {
    if (this.#resting === undefined || this.stalled || !(this.hungry || (modestToo && this.modest))) return
    const last = this.#lastResting
    let left = Math.max(1, this.credit)
    let looks = ROUSE_MAX
    for (let seat: Seat | undefined = this.#resting; seat !== undefined && left > 0 && looks-- > 0; seat = this.#resting) {
      this.#resting = seat.behind
      if (this.#resting === undefined) this.#lastResting = undefined
      seat.behind = undefined
      seat.resting = false
      if (!seat.over) {
        seat.stand()
        if (seat.queue.readyCount !== 0) {
          left--
          this.#live.touch(seat.queue)
        }
      }
      if (seat === last) return
    }
    this.#live.dispatch.rouseLater(this)
  }

  seatAt(queue: Queue): Seat | undefined {
    const others = queue.seats ?? []
    if (others.length < this.seats.length) return others.find(({ consumer }) => consumer === this)
    return this.seats.find((seat) => seat.queue === queue)
  }

  add(address: Parameters<Consumer['add']>[0]): boolean {
    return this.session.attach(this, own(address))
  }

  drop(address: Parameters<Consumer['drop']>[0]): void {
    const queue = this.#live.findQueue(own(address))
    const seat = queue === undefined ? undefined : this.seatAt(queue)
    if (queue === undefined || seat === undefined) return
    this.#live.dispatch.detach(seat)
  }

  /** Gives the entry the next tag. */
  lock(row: number): number {
    if (this.#last - this.#first + 2 > this.#ring.length) this.#grow()
    const tag = ++this.#last
    this.#ring[tag & (this.#ring.length - 1)] = row
    const { entries } = this.#live.state
    entries.set(row, OWNER, this.number)
    entries.set(row, TAG, tag)
    return tag
  }

  /** The entry is gone without its doing. */
  forget(row: number, tag: number): void {
    const mask = this.#ring.length - 1
    if (this.#ring[tag & mask] !== row) return
    this.#ring[tag & mask] = 0
    if (this.#claims > 0 && this.#isClaimed(row)) this.#claims--
    while (this.#first <= this.#last && this.#ring[this.#first & mask] === 0) this.#first++
  }

  settle(first: number, last: number, outcome: Outcome, answered: boolean): Ticket {
    const live = this.#live
    const mask = this.#ring.length - 1
    const to = Math.min(last, this.#last)
    let settled = 0
    let written = false
    for (let tag = Math.max(first, this.#first); tag <= to; tag++) {
      const row = this.#ring[tag & mask]
      if (row === 0 || (this.#claims > 0 && this.#isClaimed(row))) continue
      this.#ring[tag & mask] = 0
      settled++
      if (settleEntry(live, row, outcome)) written = true
    }
    while (this.#first <= this.#last && this.#ring[this.#first & mask] === 0) this.#first++
    if (settled === 0) return this.session.refuse(new CodedError('not-found', 'no delivery of these numbers is unsettled'))
    if (answered && written) live.facts.flushGone()
    this.rouse(false)
    return live.batches.ticket(this.session, answered && written)
  }

  /** A range at once, as `settle`: whoever lets clients name large ones shares it out, and the rollback (`giveBack`) too. */
  settleIn(transaction: Transaction, first: number, last: number, outcome: Outcome): Ticket {
    const live = this.#live
    const joining = joined(transaction)
    const mask = this.#ring.length - 1
    const to = Math.min(last, this.#last)
    let settled = 0
    for (let tag = Math.max(first, this.#first); tag <= to; tag++) {
      const row = this.#ring[tag & mask]
      if (row === 0 || this.#isClaimed(row)) continue
      const refusal = joining.claim(live.state.queueOf(row), row, outcome)
      if (refusal !== undefined) return this.session.refuse(refusal)
      this.#claims++
      settled++
    }
    if (settled === 0) return this.session.refuse(new CodedError('not-found', 'no delivery of these numbers is unsettled'))
    return live.batches.ticket(this.session, false)
  }

  #isClaimed(row: number): boolean {
    return (this.#live.state.entries.get(row, FLAGS) & ENTRY_FLAG.claimed) !== 0
  }

  /** A transaction settled one of its deliveries, and does not any more. */
  unclaim(): void {
    this.#claims--
  }

  mark(tag: number, mark: number): Ticket {
    const live = this.#live
    const { entries } = live.state
    const row = tag < this.#first || tag > this.#last ? 0 : this.#ring[tag & (this.#ring.length - 1)]
    if (row === 0) return this.session.refuse(new CodedError('not-found', 'no delivery of this number is unsettled'))
    if ((entries.get(row, FLAGS) & ENTRY_FLAG.durable) === 0) {
      entries.set(row, MARK, mark)
      return live.batches.ticket(this.session, false)
    }
    const queue = live.state.queueOf(row)
    live.facts.admit(FACT.mark, live.facts.writer.reset().u32(queue.number).f64(entries.double(row, SEQUENCE)).u8(mark), 'drain')
    return live.batches.ticket(this.session, true)
  }

  pass(tag: number, to: Parameters<Consumer['pass']>[1], back: boolean): ReturnType<Consumer['pass']> {
    const live = this.#live
    const at = tag & (this.#ring.length - 1)
    const row = tag < this.#first || tag > this.#last ? 0 : this.#ring[at]
    const queue = live.findQueue(own(to))
    if (row === 0 || this.#isClaimed(row) || queue === undefined) {
      this.session.refuse(new CodedError('not-found', 'no delivery of this number is unsettled, or there is no such queue'))
      return undefined
    }
    if (!mayPass(live, row, queue)) {
      this.session.refuse(new CodedError('invalid', 'a message is passed to another queue, and a durable one to a durable queue'))
      return undefined
    }
    const passed = pass(live, row, queue, back)
    this.#ring[at] = passed
    return {
      ticket: live.batches.ticket(this.session, live.facts.uncommitted),
      ref: { queue: queue.number, sequence: live.state.entries.double(passed, SEQUENCE) },
    }
  }

  whenIdle(run: () => void): void {
    if (this.over) return
    this.idle = run
    this.#live.dispatch.awaitIdle(this)
    this.#live.wake()
  }

  close(): void {
    if (this.over) return
    this.over = true
    this.idle = undefined
    if (this.pattern !== undefined) this.#live.wildcards.remove(this)
    this.#return()
    for (const seat of [...this.seats]) this.#live.dispatch.detach(seat)
    this.#live.dispatch.remove(this)
    this.session.consumerClosed(this)
  }

  /**
   * What is unsettled goes back to its place: newest first, so that each finds its place beside the one before it.
   *
   * In one go, some 0.3 µs each (90,000: 25 to 40 ms), and as many as the front end lets be unsettled. In shares over turns the queue would have to give
   * nothing to anybody (consumers, pulls, selectors, browsers) until the last is back, since what lies behind must not overtake; and what follows a close
   * in the same call wants it whole: the next exclusive consumer, groups that are free, a queue that goes with its last holder. To be given so many again,
   * a client has to be sent them again, so no small frame costs this twice.
   */
  #return(): void {
    const live = this.#live
    const { entries } = live.state
    const mask = this.#ring.length - 1
    for (let tag = this.#last; tag >= this.#first; tag--) {
      const row = this.#ring[tag & mask]
      if (row === 0) continue
      const queue = live.state.queueOf(row)
      this.#ring[tag & mask] = 0
      if (this.#claims > 0 && this.#isClaimed(row)) {
        // The transaction's now: its end decides.
        this.#claims--
        entries.set(row, OWNER, 0)
      } else if (entries.get(row, STATE) === STATE_OF.locked) live.places.putBack(queue, row, 0)
      // Passed, and not committed: it is ready then.
      else entries.set(row, OWNER, 0)
    }
  }

  #grow(): void {
    const larger = new Uint32Array(this.#ring.length * 2)
    for (let tag = this.#first; tag <= this.#last; tag++) larger[tag & (larger.length - 1)] = this.#ring[tag & (this.#ring.length - 1)]
    this.#ring = larger
  }
}
