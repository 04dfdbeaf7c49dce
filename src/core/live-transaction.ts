// One open transaction of the leader's: what it may still take, what it has settled, and its end. Its messages are in its record (`transaction.ts`);
// an entry that it settled stays locked, marked as claimed, until the end decides.
import type { BrokerError, Outcome, Ticket, Transaction } from '../api.ts'
import { CodedError } from '../errors.ts'
import { FACT } from '../journal/facts.ts'
import { addedBytesOf } from './additions.ts'
import { ENTRY_FLAG, FLAGS, SEQUENCE } from './entries.ts'
import type { Live } from './live.ts'
import type { Queue } from './queue.ts'
import { EVENT, REASON } from './recorder.ts'
import type { LiveSession } from './session.ts'
import { settleEntry } from './settlement.ts'
import type { TransactionRecord } from './transaction.ts'

export class LiveTransaction implements Transaction {
  readonly session: LiveSession
  readonly record: TransactionRecord
  readonly beganMs: number
  doomed: BrokerError | undefined
  over = false
  bytes = 0
  /** What its settlements add to their messages. */
  addedBytes = 0
  /** Topics that may have a retained message only at the commit. */
  retaining = 0
  /** What it sends again and again from its commit on. */
  readonly jobs: number[] = []
  jobBytes = 0
  readonly #live: Live
  /** Sends and settlements. */
  #count = 0
  /** Publishes of it that wait, and whose they are. */
  #parked = 0
  readonly #parkedBy = new Set<LiveSession>()
  // What it settled: runs of entries of one queue with one outcome.
  readonly #queues: Queue[] = []
  readonly #firsts: number[] = []
  readonly #counts: number[] = []
  readonly #outcomes: Outcome[] = []
  readonly #durable: boolean[] = []
  /** Of those given back, the ones whose consumers are no more: they go back to their queue together, since it must not give out the newest first. */
  readonly #orphanQueues: Queue[] = []
  readonly #orphans: number[] = []

  constructor(live: Live, session: LiveSession, record: TransactionRecord) {
    this.#live = live
    this.session = session
    this.record = record
    this.beganMs = live.clock.monoMs()
  }

  doom(error: BrokerError): void {
    if (!this.over) this.doomed ??= error
  }

  /** Why a send or settlement of so many bytes cannot join; it is doomed by that. */
  refusal(bytes: number): CodedError | undefined {
    if (this.over || this.doomed !== undefined) return this.#refusalOfAll()
    const { limits } = this.#live.settings
    const { transactions } = this.#live
    let error: CodedError | undefined
    if (this.#count >= limits.transactionMessages)
      error = new CodedError('limit', `limits.transactionMessages (${limits.transactionMessages}) messages are in the transaction`)
    else if (this.bytes + bytes > limits.transactionBytes)
      error = new CodedError('limit', `the messages of the transaction exceed limits.transactionBytes (${limits.transactionBytes})`)
    else if (transactions.bytes + bytes > limits.transactionTotalBytes)
      error = new CodedError('limit', `the messages of all open transactions exceed limits.transactionTotalBytes (${limits.transactionTotalBytes})`)
    this.doomed = error
    return error
  }

  #refusalOfAll(): CodedError {
    const { doomed } = this
    return doomed === undefined ? new CodedError('invalid', 'the transaction is over') : new CodedError(doomed.code, doomed.message)
  }

  /** It must not wait for room: what it settled makes room only when it ends. */
  get mustNotWait(): boolean {
    return this.#queues.length > 0
  }

  sent(bytes: number): void {
    this.#count++
    this.bytes += bytes
    this.#live.transactions.bytes += bytes
  }

  scheduled(job: number, bytes: number): void {
    this.sent(bytes)
    this.jobs.push(job)
    this.jobBytes += bytes
    this.#live.transactions.jobs++
    this.#live.transactions.jobBytes += bytes
  }

  retains(): void {
    this.retaining++
    this.#live.transactions.retaining++
  }

  // ---- Settlements

  /** An entry in a consumer's hands is settled by this. */
  claim(queue: Queue, row: number, said: Outcome): CodedError | undefined {
    const reasonBytes = said.kind === 'rejected' ? said.reason.length : 0
    const refusal = this.refusal(reasonBytes)
    if (refusal !== undefined) return refusal
    const outcome = this.#kept(said)
    this.bytes += reasonBytes
    this.#live.transactions.bytes += reasonBytes
    const { entries } = this.#live.state
    const sequence = entries.double(row, SEQUENCE)
    const flags = entries.get(row, FLAGS)
    const durable = (flags & ENTRY_FLAG.durable) !== 0
    entries.set(row, FLAGS, flags | ENTRY_FLAG.claimed)
    this.#count++
    const last = this.#queues.length - 1
    const continues = last >= 0 && this.#queues[last] === queue && this.#durable[last] === durable
    if (continues && this.#firsts[last] + this.#counts[last] === sequence && isAccepted(this.#outcomes[last]) && isAccepted(outcome)) {
      this.#counts[last]++
      return undefined
    }
    this.#tellLast()
    this.#queues.push(queue)
    this.#firsts.push(sequence)
    this.#counts.push(1)
    this.#outcomes.push(outcome)
    this.#durable.push(durable)
    if (this.#parked > 0) for (const session of this.#parkedBy) this.#live.retry(session)
    return undefined
  }

  /** What is added is in memory from now on. As outside of a transaction it is not kept beyond its bounds. */
  #kept(outcome: Outcome): Outcome {
    if (outcome.kind !== 'modified' || outcome.added === undefined) return outcome
    const { transactions, state, settings } = this.#live
    const { addedBytes, addedBytesPerMessage } = settings.limits
    const bytes = addedBytesOf(outcome.added)
    if (bytes > addedBytesPerMessage || state.addedBytes + transactions.addedBytes + bytes > addedBytes) {
      const { kind, failed, elsewhere, afterMs } = outcome
      return { kind, failed, elsewhere, afterMs }
    }
    this.addedBytes += bytes
    transactions.addedBytes += bytes
    return outcome
  }

  /** The last run is complete: if it is one that a commit simply takes away, the journal learns of it as it is. */
  #tellLast(): void {
    const last = this.#queues.length - 1
    if (last < 0 || !this.#durable[last] || !isAccepted(this.#outcomes[last])) return
    const { facts } = this.#live
    const fact = facts.writer.reset().u32(this.#queues[last].number).f64(this.#firsts[last]).u32(this.#counts[last]).u8(REASON.accepted)
    facts.defer(this.record.number, FACT.gone, fact)
  }

  /** Calls with each entry that is still there and is more than accepted, the last claimed first. */
  #eachOther(call: (row: number, run: number) => void): void {
    const { entries } = this.#live.state
    for (let run = this.#queues.length - 1; run >= 0; run--) {
      const queue = this.#queues[run]
      if (!queue.alive || isAccepted(this.#outcomes[run])) continue
      const first = this.#firsts[run]
      for (let sequence = first + this.#counts[run] - 1; sequence >= first; sequence--) {
        const row = entries.find(queue.slot, sequence)
        if (row !== 0) call(row, run)
      }
    }
  }

  giveBack(count: number): boolean {
    if (this.over) return false
    this.doom(new CodedError('invalid', 'the transaction is being rolled back'))
    for (let left = count; left > 0 && this.#queues.length > 0; ) {
      const run = this.#queues.length - 1
      const share = Math.min(left, this.#counts[run])
      this.#counts[run] -= share
      left -= share
      const first = this.#firsts[run] + this.#counts[run]
      for (let sequence = first + share - 1; sequence >= first; sequence--) this.#unclaim(this.#queues[run], sequence)
      if (this.#counts[run] > 0) continue
      this.#queues.pop()
      this.#firsts.pop()
      this.#counts.pop()
      this.#outcomes.pop()
      this.#durable.pop()
    }
    return this.#queues.length > 0
  }

  #unclaim(queue: Queue, sequence: number): void {
    const live = this.#live
    const { entries } = live.state
    const row = queue.alive ? entries.find(queue.slot, sequence) : 0
    if (row === 0) return
    if (live.dispatch.unclaim(row)) entries.set(row, FLAGS, entries.get(row, FLAGS) & ~ENTRY_FLAG.claimed)
    else {
      this.#orphanQueues.push(queue)
      this.#orphans.push(sequence)
    }
  }

  #returnOrphans(): void {
    const { entries } = this.#live.state
    for (const [at, queue] of this.#orphanQueues.entries()) {
      const row = queue.alive ? entries.find(queue.slot, this.#orphans[at]) : 0
      if (row === 0) continue
      entries.set(row, FLAGS, entries.get(row, FLAGS) & ~ENTRY_FLAG.claimed)
      this.#live.places.putBack(queue, row, 0)
    }
  }

  // ---- Parked publishes

  parked(session: LiveSession): void {
    this.#parked++
    this.#parkedBy.add(session)
  }

  /** One of them has an outcome. */
  unparked(): void {
    this.#parked--
    if (this.#parked > 0) return
    this.#parkedBy.clear()
    this.#live.retry(this.session)
  }

  /** As its client wished. */
  get rolledBack(): boolean {
    return this.over && this.doomed === undefined
  }

  get waitsForParked(): boolean {
    return this.#parked > 0 && !this.over
  }

  // ---- The end

  commit(): Ticket {
    const { session } = this
    if (this.over) return session.refuse(this.#refusalOfAll())
    if (this.#parked > 0) return session.parkCommit(this)
    if (this.doomed !== undefined) {
      this.end(this.doomed)
      return session.refuse(this.#refusalOfAll())
    }
    return this.#live.batches.ticket(session, this.#commit())
  }

  /** True: the journal was told. */
  #commit(): boolean {
    const live = this.#live
    const { facts, state } = live
    const { record } = this
    this.over = true
    live.transactions.closed(this)
    facts.flushGone()
    this.#tellLast()
    this.#settleOthers()
    live.recorder.note(EVENT['transaction-committed'], 0, record.number, REASON.none, this.#count)
    if (!record.recorded) {
      state.endTransaction(record.number)
      live.apply.commit(record, record.count)
      return false
    }
    for (const queue of record.durableQueues()) facts.writeSequence(queue, 'drain')
    facts.admit(FACT.commit, facts.writer.reset().f64(record.number).u32(record.count), 'drain')
    for (const job of this.jobs) live.jobs?.begin(job)
    return true
  }

  /** What is more than an entry that goes: its fact waits for the commit's, its place is found at once, since nobody can be given it in between. */
  #settleOthers(): void {
    const live = this.#live
    const { entries } = live.state
    for (const [run, queue] of this.#queues.entries())
      if (isAccepted(this.#outcomes[run]) && !this.#durable[run]) this.record.addGone(queue.number, this.#firsts[run], this.#counts[run])
    this.#eachOther((row, run) => {
      live.dispatch.forget(row)
      entries.set(row, FLAGS, entries.get(row, FLAGS) & ~ENTRY_FLAG.claimed)
      if (this.#durable[run]) live.facts.deferring(this.record.number, () => settleEntry(live, row, this.#outcomes[run]))
      else settleEntry(live, row, this.#outcomes[run])
    })
  }

  rollback(): Ticket {
    if (this.over) return this.session.refuse(this.#refusalOfAll())
    this.end(undefined)
    return this.#live.batches.ticket(this.session, false)
  }

  /** Nothing of it happens. */
  end(why: BrokerError | undefined): void {
    if (this.over) return
    const live = this.#live
    const { record } = this
    this.giveBack(Number.POSITIVE_INFINITY)
    this.over = true
    this.doomed = why
    live.transactions.closed(this)
    live.recorder.note(EVENT['transaction-rolled-back'], 0, record.number, REASON.none, this.#count)
    this.#returnOrphans()
    if (record.recorded) live.facts.admit(FACT.rollback, live.facts.writer.reset().f64(record.number), 'drain')
    else {
      live.state.endTransaction(record.number)
      live.transactions.rolledBack(record)
    }
    // A commit that waits for parked publishes is refused.
    live.retry(this.session)
  }
}

function isAccepted(outcome: Outcome): boolean {
  return outcome.kind === 'accepted'
}

/** Handed back by a front end: only ours are ever given out. */
export function joined(transaction: Transaction): LiveTransaction {
  if (transaction instanceof LiveTransaction) return transaction
  throw new Error('a transaction of somebody else')
}
