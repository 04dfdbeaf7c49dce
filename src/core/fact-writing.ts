// What goes to the journal: facts admitted and applied in one step, and the run of settled entries that the next batch will tell of.
// A hot room: most settlements continue a run, so most of them are one number counted up.
import { FACT, FactWriter } from '../journal/facts.ts'
import type { Claim } from '../journal/journal.ts'
import { ENTRY_FLAG, FLAGS, SEQUENCE } from './entries.ts'
import type { Live } from './live.ts'
import type { Queue } from './queue.ts'
import { REASON, type Reason } from './recorder.ts'

const NO_ROOM = 'the journal has no room left, not even in its reserve'

export class FactWriting {
  readonly #live: Live
  readonly writer = new FactWriter()
  /** The batch that the last fact is in. */
  batch = 0
  /** A run of settled entries not yet told of. */
  #goneQueue: Queue | undefined
  #goneFirst = 0
  #goneCount = 0
  #goneReason: Reason = REASON.none
  /** What is written of entries takes effect with this transaction's commit; 0: now. */
  #deferring = 0

  constructor(live: Live) {
    this.#live = live
  }

  /** To be called after each fact that the journal took: tickets wait for the batch of the last one. */
  admitted(): void {
    this.batch = this.#live.journal.gathering
  }

  /** The batch with which everything applied so far is committed; it is on its way. */
  lastBatch(): number {
    this.flushGone()
    if (this.uncommitted) this.#live.journal.urge()
    return this.batch
  }

  /** Something is applied and not committed. */
  get uncommitted(): boolean {
    return this.batch > this.#live.journal.committed
  }

  /** No settled entry waits to be told of. */
  get nothingGathers(): boolean {
    return this.#goneQueue === undefined
  }

  /** Admits a cold fact and applies it. False: the journal is full, nothing happened. */
  admit(type: number, content: FactWriter, claim: Claim): boolean {
    if (this.#deferring !== 0 && (type === FACT.moved || type === FACT.returned)) return this.defer(this.#deferring, type, content)
    const at = this.#live.journal.admit(type, content.length, claim)
    if (at < 0) {
      if (claim === 'drain') this.#live.fail(new Error(NO_ROOM))
      return false
    }
    this.admitted()
    content.buffer.copy(this.#live.journal.buffer, at, 0, content.length)
    const { segment, offset } = this.#live.journal
    // The writer's buffer is used again by whoever comes next; `fact` copies what it keeps.
    this.#live.apply.fact(type, content.buffer, 0, content.length, segment, offset)
    return true
  }

  /** The fact takes effect with the commit of this transaction. False: there is no room, and with a claim to the reserve this node leads no more. */
  defer(transaction: number, type: number, content: FactWriter, claim: Claim = 'drain'): boolean {
    const { journal } = this.#live
    const size = 9 + content.length
    const at = journal.admit(FACT.deferred, size, claim)
    if (at < 0) {
      if (claim === 'drain') this.#live.fail(new Error(NO_ROOM))
      return false
    }
    this.admitted()
    const { buffer } = journal
    buffer.writeDoubleLE(transaction, at)
    buffer[at + 8] = type
    content.buffer.copy(buffer, at + 9, 0, content.length)
    this.#live.apply.fact(FACT.deferred, buffer, at, at + size, journal.segment, journal.offset)
    return true
  }

  /** Entries that `run` moves, returns or removes are told of as facts that wait for this transaction's commit. */
  deferring(transaction: number, run: () => void): void {
    this.#deferring = transaction
    run()
    this.#deferring = 0
  }

  /** An entry is settled or dropped: out of the state now, told to the journal with others (at once if `soon`). */
  gone(queue: Queue, row: number, reason: Reason, soon: boolean): void {
    const { entries } = this.#live.state
    const sequence = entries.double(row, SEQUENCE)
    if (this.#deferring !== 0) {
      this.defer(this.#deferring, FACT.gone, this.writer.reset().u32(queue.number).f64(sequence).u32(1).u8(reason))
      return
    }
    if ((entries.get(row, FLAGS) & ENTRY_FLAG.durable) !== 0) {
      if (this.#goneQueue === queue && this.#goneFirst + this.#goneCount === sequence && this.#goneReason === reason) this.#goneCount++
      else {
        this.flushGone()
        this.#goneQueue = queue
        this.#goneFirst = sequence
        this.#goneCount = 1
        this.#goneReason = reason
      }
      if (soon) this.flushGone()
      else this.#live.wake()
    }
    this.#live.state.removeEntry(queue, row)
  }

  /** Writes the run that `gone` gathered. */
  flushGone(): void {
    const queue = this.#goneQueue
    if (queue === undefined) return
    this.#goneQueue = undefined
    const at = this.#live.journal.admit(FACT.gone, 17, 'drain')
    if (at < 0) {
      this.#live.fail(new Error(NO_ROOM))
      return
    }
    this.admitted()
    const { buffer } = this.#live.journal
    buffer.writeUInt32LE(queue.number, at)
    buffer.writeDoubleLE(this.#goneFirst, at + 4)
    buffer.writeUInt32LE(this.#goneCount, at + 12)
    buffer[at + 16] = this.#goneReason
  }

  /** Writes where the queue's numbers stand, if replay could not tell. False: full. */
  writeSequence(queue: Queue, claim: Claim): boolean {
    if (queue.next === queue.replayNext) return true
    return this.admit(FACT.sequence, this.writer.reset().u32(queue.number).f64(queue.next), claim)
  }
}
