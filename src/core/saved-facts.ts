// A snapshot's own facts, read back: the messages, entries and counters that `snapshot.ts` saved, by the numbers that they had in it.
// All other facts of a snapshot are those of the log, and go straight through `apply.ts`.
import { FACT, type FactReader, UnknownFact } from '../journal/facts.ts'
import { readAddress } from './addresses.ts'
import { ATTEMPTS, DEAD, FAILURES, FLAGS, MARK } from './entries.ts'
import { readRanges } from './message-fact.ts'
import { EXPIRES, MESSAGE_FLAGS, REFERENCES, ROUTE } from './messages.ts'
import type { State } from './state.ts'
import type { TransactionRecord } from './transaction.ts'

export class SavedFacts {
  readonly #state: State
  /** Rows of the messages read so far, by their number in the snapshot. */
  #rows = new Uint32Array(0)

  constructor(state: State) {
    this.#state = state
  }

  fact(type: number, from: FactReader): void {
    const state = this.#state
    const { messages, entries } = state
    switch (type) {
      case FACT.savedMessage: {
        const number = from.u32()
        const row = messages.add(from.u32(), from.u32(), from.u32(), 0, 0)
        const set = from.u32()
        messages.set(row, ROUTE, set)
        const known = state.sets.byNumber.get(set)
        if (known !== undefined) known.messages++
        messages.set(row, MESSAGE_FLAGS, from.u32())
        messages.setDouble(row, EXPIRES, from.f64())
        const deliverAtMs = from.f64()
        if (deliverAtMs !== 0) messages.deliverAt.set(row, deliverAtMs)
        const pieces = readRanges(from)
        if (pieces.length > 0) {
          messages.pieces.set(row, pieces)
          for (const piece of pieces) messages.alive(piece.segment, piece.length)
        }
        this.#rows[number] = row
        return
      }
      case FACT.savedEntry: {
        const message = this.#rows[from.u32()]
        const queue = state.queueByNumber.get(from.u32())
        if (queue === undefined || !message) throw new Error('a snapshot names a queue or message that it does not hold')
        queue.next = from.f64()
        const row = state.addEntry(queue, message, state.vias.byNumber[from.u32()], 0)
        entries.set(row, ATTEMPTS, from.u32())
        entries.set(row, FAILURES, from.u8())
        entries.set(row, MARK, from.u8())
        entries.set(row, FLAGS, from.u8())
        const notBeforeMs = from.f64()
        if (notBeforeMs !== 0) state.notBefore.set(row, notBeforeMs)
        if (from.u8() === 1) entries.set(row, DEAD, state.deadNumber(from.text(), readAddress(from)))
        return
      }
      case FACT.savedRetained: {
        const message = this.#rows[from.u32()]
        if (!message) throw new Error('a snapshot names a message that it does not hold')
        state.retain(readAddress(from), message, true)
        return
      }
      case FACT.savedSequence: {
        const queue = state.queueByNumber.get(from.u32())
        if (queue === undefined) return
        queue.next = from.f64()
        queue.replayNext = queue.next
        queue.sequenceEpoch = from.u32()
        return
      }
      case FACT.savedCounters:
        state.nextQueue = from.u32()
        state.nextSession = from.u32()
        state.nextTransaction = from.f64()
        state.sets.next = from.u32()
        this.#rows = new Uint32Array(from.u32())
        state.nextJob = from.u32()
        return
      case FACT.savedEnd:
        this.#rows = new Uint32Array(0)
        return
      default:
        throw new UnknownFact(type)
    }
  }

  /** Of an open transaction: a message of it, or what a topic is to keep. */
  joined(type: number, record: TransactionRecord, from: FactReader): void {
    const state = this.#state
    const { messages } = state
    const number = from.u32()
    const row = number === 0 ? 0 : this.#rows[number]
    if (row === undefined || (row === 0 && number !== 0)) throw new Error('a snapshot names a message that it does not hold')
    record.recorded = true
    if (type === FACT.savedRetaining) {
      record.retain(row, readAddress(from))
      return
    }
    const ordinal = from.u32()
    const queue = from.u32()
    messages.set(row, REFERENCES, messages.get(row, REFERENCES) + 1)
    record.add(row, ordinal, queue === 0 ? state.sets.byNumber.get(messages.get(row, ROUTE)) : state.queueByNumber.get(queue))
  }
}
