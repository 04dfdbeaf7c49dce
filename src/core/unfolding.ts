// A committed transaction made visible: what it settled goes, its messages take their places. In steps, since it may be long; what it means was
// decided by its commit, so nobody can tell in how many. Live the leader takes a step a turn (`transactions.ts`), at replay all are taken at once.
import { DIRECT, type Via } from './bindings.ts'
import { ENTRY_FLAG } from './entries.ts'
import type { Queue } from './queue.ts'
import type { State } from './state.ts'
import type { TransactionRecord } from './transaction.ts'

/** Entries that may be touched before the next pause; shared by all that are unfolded in one turn. */
export interface Budget {
  left: number
}

/** `bases`: the first number that each queue has given to it. Pauses when the budget is used up. */
export function* unfold(state: State, record: TransactionRecord, bases: ReadonlyMap<Queue, number>, budget: Budget): Generator<void, void, void> {
  for (let run = 0; run < record.goneQueues.length; run++) {
    const first = record.goneFirsts[run]
    const end = first + record.goneCounts[run]
    const number = record.goneQueues[run]
    for (let sequence = first; sequence < end; sequence++) {
      const queue = state.queueByNumber.get(number)
      if (queue === undefined) break
      const row = state.entries.find(queue.slot, sequence)
      if (row !== 0) state.removeEntry(queue, row)
      if (--budget.left <= 0) yield
    }
  }
  let row = 0
  let ordinal = 0
  const place = (queue: Queue, via: Via, durable: boolean): void => {
    budget.left--
    const base = bases.get(queue)
    if (base !== undefined) state.addEntryAt(queue, base + ordinal, row, via, durable ? ENTRY_FLAG.durable : 0)
  }
  for (let i = 0; i < record.rows.length; i++) {
    row = record.rows[i]
    ordinal = record.ordinals[i]
    record.eachTarget(i, DIRECT, place)
    state.release(row)
    if (--budget.left <= 0) yield
  }
}

/** A transaction that never was: its messages are freed. `each` is told of one before it goes. */
export function* forget(state: State, record: TransactionRecord, budget: Budget, each: (index: number) => void): Generator<void, void, void> {
  for (let i = 0; i < record.rows.length; i++) {
    each(i)
    state.release(record.rows[i])
    if (--budget.left <= 0) yield
  }
}
