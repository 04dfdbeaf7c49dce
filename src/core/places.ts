// Where an entry stands on its queue, and what moves it on: pending until its fact is committed, ready for a consumer, delayed until its time.
//
//     placed ──durable──▶ pending ──commit──▶ ready ⇄ locked or leased (dispatch.ts, pull.ts) ──settled──▶ gone
//        └───volatile, nothing pending before it──▶ │  ▲
//                                             delayed ┘   (delivery delay, back-off)
//
// It is what the state tells of its changes (`StateHooks`) while this node leads. Who is given a ready entry is `dispatch.ts`.
// Hot room: columns, nothing is made for an entry.
import { DEADLINE } from './deadlines.ts'
import { ENTRY_FLAG, FLAGS, MESSAGE, NEXT, OWNER, STATE, STATE_OF } from './entries.ts'
import type { Live } from './live.ts'
import { EXPIRES } from './messages.ts'
import type { Queue } from './queue.ts'
import type { Retained, State, StateHooks } from './state.ts'
import type { TransactionRecord } from './transaction.ts'

/** How far a queue's numbers jump at a claim; half as many may be given out before a fact tells of it. */
const SEQUENCE_JUMP = 2 ** 20

export class Places implements StateHooks {
  readonly #live: Live

  constructor(live: Live) {
    this.#live = live
  }

  /** The state is replayed: what is on the queues is an earlier leader's. */
  lead(): void {
    const { state, journal } = this.#live
    for (const queue of state.queues) {
      if (queue === undefined) continue
      // What was given out and not written down since the last durable number must not be given again.
      queue.next = queue.replayNext + SEQUENCE_JUMP * Math.max(1, journal.epoch - queue.sequenceEpoch)
      queue.toldNext = queue.next
      queue.begin()
      for (const list of queue.readyLists()) {
        for (let row = list.head; row !== 0; ) {
          const next = state.entries.get(row, NEXT)
          this.#recovered(queue, row)
          row = next
        }
      }
      if (queue.policy.lastValueKey !== '' && queue.readyCount > 0) this.#live.lastValues.inherit(queue)
    }
  }

  /** An entry of an earlier leader: it may have been handed out, and may have a deadline. */
  #recovered(queue: Queue, row: number): void {
    const { entries, messages, notBefore } = this.#live.state
    entries.set(row, FLAGS, entries.get(row, FLAGS) | ENTRY_FLAG.maybeSeen)
    const expires = messages.double(entries.get(row, MESSAGE), EXPIRES)
    if (expires !== 0) this.#live.deadlines.set(row, DEADLINE.expiry, expires)
    const at = Math.max(notBefore.get(row) ?? 0, messages.deliverAt.get(entries.get(row, MESSAGE)) ?? 0)
    if (at > this.#live.clock.wallMs()) {
      queue.unlinkReady(row)
      this.#delay(queue, row, at)
    }
  }

  /** The fact of this entry is durable. */
  commitEntry(row: number): void {
    const { entries } = this.#live.state
    if (entries.get(row, STATE) === STATE_OF.removed) {
      entries.remove(row)
      return
    }
    const queue = this.#live.state.queueOf(row)
    const passed = entries.get(row, OWNER) !== 0
    if (!passed && queue.gate !== undefined && this.#live.transactions.holds(queue, row)) return
    queue.held.unlink(row)
    queue.pending--
    if (passed) this.#live.dispatch.hold(queue, row)
    else this.#settleIn(queue, row)
  }

  /** An entry that took its place at once stays in the hands of its consumer all the same. */
  keep(queue: Queue, row: number): void {
    if (this.#live.state.entries.get(row, STATE) === STATE_OF.ready) queue.unlinkReady(row)
    else {
      this.#live.deadlines.clear(row, DEADLINE.wake)
      queue.held.unlink(row)
    }
    this.#live.dispatch.hold(queue, row)
  }

  placed(queue: Queue, row: number): void {
    const { entries, messages } = this.#live.state
    const message = entries.get(row, MESSAGE)
    const expires = messages.double(message, EXPIRES)
    if (expires !== 0) this.#live.deadlines.set(row, DEADLINE.expiry, expires)
    this.tellSequence(queue)
    if (this.#live.transactions.placing) {
      this.#live.transactions.expect(queue, message, -1)
      this.#settleIn(queue, row)
      return
    }
    const durable = (entries.get(row, FLAGS) & ENTRY_FLAG.durable) !== 0
    const unmade = queue.madeIn !== 0 && queue.madeIn > this.#live.journal.committed
    const behind = queue.gate !== undefined && queue.gate.ahead.length > 0
    if (durable || unmade || queue.pending > 0 || behind) {
      entries.set(row, STATE, STATE_OF.pending)
      queue.held.push(row)
      queue.pending++
      if (durable || unmade || this.#live.batches.waiting) this.#live.batches.await(row, durable || unmade)
      else queue.gate?.behind.push(row)
      return
    }
    this.#settleIn(queue, row)
  }

  /** Enough numbers were given out that no fact told of: one does. */
  tellSequence(queue: Queue): void {
    if (queue.recorded && queue.next - queue.toldNext >= SEQUENCE_JUMP / 2) this.#live.facts.writeSequence(queue, 'drain')
  }

  committed(_state: State, record: TransactionRecord, bases: ReadonlyMap<Queue, number>): void {
    this.#live.transactions.committed(record, bases)
  }

  rolledBack(_state: State, record: TransactionRecord): void {
    this.#live.transactions.rolledBack(record)
  }

  removing(queue: Queue, row: number): void {
    const { entries, messages } = this.#live.state
    const state = entries.get(row, STATE)
    if (messages.double(entries.get(row, MESSAGE), EXPIRES) !== 0) this.#live.deadlines.clear(row, DEADLINE.expiry)
    if (state === STATE_OF.delayed || state === STATE_OF.leased) this.#live.deadlines.clear(row, DEADLINE.wake)
    else if (state === STATE_OF.locked || state === STATE_OF.pending) this.#live.dispatch.forget(row)
    // Its message group may be another's turn now.
    if (queue.groups !== undefined && queue.readyCount !== 0) this.#live.touch(queue)
    this.hasRoom(queue)
  }

  /** Whoever waits for room on it may try again. */
  hasRoom(queue: Queue): void {
    if (queue.waiters === undefined || queue.waiters.size === 0) return
    for (const session of queue.waiters) this.#live.retry(session)
    queue.waiters.clear()
  }

  queueGone(queue: Queue): void {
    this.#live.dispatch.queueGone(queue)
    this.#live.browsing.queueGone(queue)
    this.#live.virtualPatterns.remove(queue)
    if (queue.waiters === undefined) return
    for (const session of queue.waiters) this.#live.retry(session)
    queue.waiters = undefined
  }

  /** A committed (or volatile) entry takes its place: ready, or waiting for its time. */
  #settleIn(queue: Queue, row: number): void {
    const { entries, messages } = this.#live.state
    const { deliverAt } = messages
    if (deliverAt.size > 0) {
      const at = deliverAt.get(entries.get(row, MESSAGE)) ?? 0
      if (at > this.#live.clock.wallMs()) {
        this.#delay(queue, row, at)
        return
      }
    }
    entries.set(row, STATE, STATE_OF.ready)
    queue.makeReady(row)
    if (queue.policy.lastValueKey !== '') this.#live.lastValues.arrived(queue, row)
    this.#live.touch(queue)
  }

  /** An entry in no list waits until `atMs`. */
  #delay(queue: Queue, row: number, atMs: number): void {
    this.#live.state.entries.set(row, STATE, STATE_OF.delayed)
    queue.held.push(row)
    queue.groups?.delays(row)
    this.#live.deadlines.set(row, DEADLINE.wake, atMs)
  }

  /** An entry that was out (in `held`) goes back to its place, at once or not before a time. One whose fact is not durable yet finds it with that. */
  putBack(queue: Queue, row: number, notBeforeMs: number): void {
    if (this.#live.state.entries.get(row, STATE) === STATE_OF.pending) return
    queue.held.unlink(row)
    queue.groups?.returns(row)
    if (notBeforeMs > this.#live.clock.wallMs()) {
      this.#delay(queue, row, notBeforeMs)
      return
    }
    const { entries, messages } = this.#live.state
    entries.set(row, STATE, STATE_OF.ready)
    queue.makeReady(row)
    // Its time may have come while it was out.
    const expires = messages.double(entries.get(row, MESSAGE), EXPIRES)
    if (expires !== 0) this.#live.deadlines.set(row, DEADLINE.expiry, expires)
    if (queue.policy.lastValueKey !== '') this.#live.lastValues.arrived(queue, row)
    this.#live.touch(queue)
  }

  retainedSet(retained: Retained): void {
    this.#live.deadlines.retained(retained)
  }
}
