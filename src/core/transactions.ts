// The leader's transactions: which are open, their limits and their age; and the committed ones on their way to becoming visible, a step a turn, in the order
// of their commits. What one is and how it ends: `live-transaction.ts`. What every node knows of it: `transaction.ts`.
import { CodedError } from '../errors.ts'
import { FACT } from '../journal/facts.ts'
import { DIRECT } from './bindings.ts'
import { LENGTH } from './messages.ts'
import { type Ahead, Gate, isLimited } from './gate.ts'
import type { Live } from './live.ts'
import { LiveTransaction } from './live-transaction.ts'
import { SEQUENCE, STATE, STATE_OF } from './entries.ts'
import type { Queue } from './queue.ts'
import { REASON } from './recorder.ts'
import type { LiveSession } from './session.ts'
import type { TransactionRecord } from './transaction.ts'
import { type Budget, forget, unfold } from './unfolding.ts'

/** Entries placed or freed in one turn: well under a millisecond. */
const ENTRIES_A_TURN = 1_000

interface Unfolding extends Ahead {
  readonly record: TransactionRecord
  readonly steps: Generator<void, void, void>
  /** Nobody sees it before this is committed. */
  readonly batch: number
}

export class Transactions {
  readonly #live: Live
  /** Oldest first. */
  readonly #open = new Map<number, LiveTransaction>()
  readonly #unfoldings: Unfolding[] = []
  readonly #forgettings: { readonly record: TransactionRecord; readonly steps: Generator<void, void, void> }[] = []
  readonly #budget: Budget = { left: 0 }
  #cancel: (() => void) | undefined
  /** Bytes sent in those that are open, and of the reasons of what they reject. */
  bytes = 0
  /** What those that are open would add to messages. */
  addedBytes = 0
  /** Places on queues that will be taken at commits. */
  entries = 0
  /** Messages sent in those that are open that a topic will retain. */
  retaining = 0
  /** Messages of those that are open that will be sent again and again. */
  jobs = 0
  jobBytes = 0
  /** An entry that is placed now is one of a committed transaction. */
  placing = false

  constructor(live: Live) {
    this.#live = live
  }

  get open(): number {
    return this.#open.size
  }

  /** Something is committed, or given up, and not yet done with. */
  get busy(): boolean {
    return this.#unfoldings.length > 0 || this.#forgettings.length > 0
  }

  /** What an earlier leader left open never happened. */
  lead(): void {
    const live = this.#live
    for (const number of [...live.state.transactions.keys()]) live.facts.admit(FACT.rollback, live.facts.writer.reset().f64(number), 'drain')
  }

  /** What is open stays so: the next leader ends it. */
  stop(): void {
    this.#cancel?.()
    this.#open.clear()
  }

  begin(session: LiveSession): LiveTransaction | CodedError {
    const live = this.#live
    const { limits } = live.settings
    if (this.#open.size >= limits.transactions) return new CodedError('limit', `limits.transactions (${limits.transactions}) transactions are open`)
    if (session.transactions >= limits.transactionsPerSession)
      return new CodedError('limit', `limits.transactionsPerSession (${limits.transactionsPerSession}) transactions of this session are open`)
    const transaction = new LiveTransaction(live, session, live.state.transaction(live.state.nextTransaction))
    this.#open.set(transaction.record.number, transaction)
    session.transactions++
    this.#arm()
    return transaction
  }

  closed(transaction: LiveTransaction): void {
    if (!this.#open.delete(transaction.record.number)) return
    transaction.session.transactions--
    this.bytes -= transaction.bytes
    this.addedBytes -= transaction.addedBytes
    this.retaining -= transaction.retaining
    this.jobs -= transaction.jobs.length
    this.jobBytes -= transaction.jobBytes
  }

  sessionOver(session: LiveSession): void {
    if (session.transactions === 0) return
    for (const transaction of [...this.#open.values()])
      if (transaction.session === session) transaction.end(new CodedError('removed', 'the session of the transaction is over'))
  }

  // ---- Age

  #arm(): void {
    const { transactionAgeMs } = this.#live.settings.limits
    const [oldest] = this.#open.values()
    if (transactionAgeMs === 0 || oldest === undefined || this.#cancel !== undefined) return
    const leftMs = oldest.beganMs + transactionAgeMs - this.#live.clock.monoMs()
    this.#cancel = this.#live.schedule.schedule(Math.max(0, leftMs), this.#onAge)
  }

  readonly #onAge = (): void => {
    this.#cancel = undefined
    const live = this.#live
    if (live.lost !== undefined) return
    const { transactionAgeMs } = live.settings.limits
    const until = live.clock.monoMs() - transactionAgeMs
    for (const transaction of this.#open.values()) {
      if (transaction.beganMs > until) break
      transaction.end(new CodedError('timeout', `the transaction was open for longer than limits.transactionAgeMs (${transactionAgeMs})`))
    }
    this.#arm()
  }

  // ---- What is on its way to a queue

  /** A message of this row will come to the queue, or (`by` -1) will not, or has. */
  expect(queue: Queue, message: number, by: 1 | -1): void {
    if (!isLimited(queue)) return
    queue.gate ??= new Gate()
    queue.gate.unseen += by
    queue.gate.unseenBytes += by * this.#live.state.messages.get(message, LENGTH)
  }

  // ---- Unfolding

  /** Of `StateHooks`: applied, not yet committed. From now on what comes to its queues comes behind it. */
  committed(record: TransactionRecord, bases: ReadonlyMap<Queue, number>): void {
    const live = this.#live
    if (record.rows.length === 0 && record.goneQueues.length === 0) return
    const batch = live.facts.uncommitted ? live.facts.batch : 0
    const unfolding: Unfolding = { record, bases, steps: unfold(live.state, record, bases, this.#budget), batch }
    this.#unfoldings.push(unfolding)
    for (const queue of bases.keys()) {
      queue.gate ??= new Gate()
      queue.gate.ahead.push(unfolding)
      live.places.tellSequence(queue)
    }
    live.wake()
  }

  /** Of `StateHooks`. */
  rolledBack(record: TransactionRecord): void {
    const live = this.#live
    if (record.rows.length === 0) return
    // What an earlier leader left open was never counted here.
    const counted = record.places > 0
    const each = (index: number): void =>
      record.eachTarget(index, DIRECT, (queue) => {
        if (counted) this.expect(queue, record.rows[index], -1)
        live.places.hasRoom(queue)
        this.#closeGate(queue)
      })
    this.#forgettings.push({ record, steps: forget(live.state, record, this.#budget, each) })
    live.wake()
  }

  /** A turn's share of the work. True: more could be done at once. */
  step(): boolean {
    const { journal } = this.#live
    this.#budget.left = ENTRIES_A_TURN
    while (this.#unfoldings.length > 0 && this.#unfoldings[0].batch <= journal.committed) {
      if (this.#budget.left <= 0) return true
      const [unfolding] = this.#unfoldings
      this.placing = true
      const { done } = unfolding.steps.next()
      this.placing = false
      if (done !== true) return true
      this.#unfoldings.shift()
      this.entries -= unfolding.record.places
      for (const queue of unfolding.bases.keys()) this.#pass(queue)
    }
    while (this.#forgettings.length > 0) {
      const [{ record, steps }] = this.#forgettings
      if (this.#budget.left <= 0 || steps.next().done !== true) return true
      this.#forgettings.shift()
      this.entries -= record.places
    }
    return false
  }

  /** All that may be seen is seen now, however long that takes: for digests. */
  finish(): void {
    while (this.busy && this.step());
  }

  /** The oldest is all there: those behind it that wait for no other go on. */
  #pass(queue: Queue): void {
    const live = this.#live
    const { gate } = queue
    if (gate === undefined) return
    gate.ahead.shift()
    const until = gate.from(queue)
    const { behind } = gate
    gate.behind = []
    const { entries } = live.state
    for (const row of behind) {
      if (entries.get(row, STATE) !== STATE_OF.removed && entries.double(row, SEQUENCE) >= until) gate.behind.push(row)
      else live.places.commitEntry(row)
    }
    if (queue.alive && queue.policy.whenFull === 'drop-oldest' && isLimited(queue)) this.#trim(queue)
    this.#closeGate(queue)
  }

  /** This entry's fact is durable, and it must wait all the same. */
  holds(queue: Queue, row: number): boolean {
    const { gate } = queue
    if (gate === undefined || gate.ahead.length === 0 || this.#live.state.entries.double(row, SEQUENCE) < gate.from(queue)) return false
    gate.behind.push(row)
    return true
  }

  #closeGate(queue: Queue): void {
    if (queue.gate?.idle === true) queue.gate = undefined
  }

  /** A send that nobody sees yet drops nothing; now that it is seen, what is oldest makes room. */
  #trim(queue: Queue): void {
    const live = this.#live
    const { limitMessages, limitBytes } = queue.policy
    while (queue.readyCount > 0 && ((limitMessages !== 0 && queue.count > limitMessages) || (limitBytes !== 0 && queue.bytes > limitBytes))) {
      live.dropped(queue, REASON['full-oldest'])
      live.facts.gone(queue, queue.oldestReady(), REASON['full-oldest'], false)
    }
  }
}
