// The one piece of code that turns facts into state: live, at replay, and in the thread that writes snapshots.
// Live, hot facts come as calls (`message`, `gone`, `sequence`), all others through `fact` with the bytes just admitted.
// It decides nothing and refuses nothing: what no longer exists is passed over, since a later fact may have removed it first.
import type { QueueOptions } from '../api.ts'
import { FACT, FactReader, MESSAGE_FLAG } from '../journal/facts.ts'
import { type CoreAddress, patternKey, readAddress, readPattern } from './addresses.ts'
import { Binding, RouteSet } from './bindings.ts'
import { readBinding, readJob, readQueue, readSession, readVia } from './cold-facts.ts'
import { ATTEMPTS, DEAD, ENTRY_FLAG, FAILURES, MARK, MESSAGE, VIA } from './entries.ts'
import { type MessageFact, MessageFactReader } from './message-fact.ts'
import { MESSAGE_ROW_FLAG, REFERENCES, ROUTE, SEGMENT } from './messages.ts'
import { isPassing } from './passing.ts'
import type { Queue, QueuePolicy } from './queue.ts'
import { Relocation } from './relocation.ts'
import { SavedFacts } from './saved-facts.ts'
import type { State } from './state.ts'
import type { TransactionRecord } from './transaction.ts'

export class Apply {
  readonly #state: State
  readonly #policyOf: (address: CoreAddress, declared: QueueOptions) => QueuePolicy
  readonly #reader = new FactReader()
  readonly #messages: MessageFactReader
  readonly #saved: SavedFacts
  readonly relocation: Relocation

  constructor(state: State, policyOf: (address: CoreAddress, declared: QueueOptions) => QueuePolicy) {
    this.#state = state
    this.#policyOf = policyOf
    this.#messages = new MessageFactReader(state)
    this.#saved = new SavedFacts(state)
    this.relocation = new Relocation(state)
  }

  /** A durable message was accepted. Answers its row (0: nobody needed it). */
  message(fact: MessageFact): number {
    const state = this.#state
    const { messages } = state
    const ends = (fact.flags & MESSAGE_FLAG.groupEnds) === 0 ? 0 : MESSAGE_ROW_FLAG.groupEnds
    const flags = MESSAGE_ROW_FLAG.durable | ends | fact.rank | (fact.pieces === undefined ? 0 : MESSAGE_ROW_FLAG.large)
    const row = messages.add(fact.segment, fact.offset, fact.length, flags, fact.expiresAtMs)
    if (fact.pieces !== undefined) {
      messages.pieces.set(row, fact.pieces)
      for (const piece of fact.pieces) messages.alive(piece.segment, piece.length)
    }
    // Held while it is handed round, so that nobody's letting go frees it.
    messages.set(row, REFERENCES, 1)
    if (fact.deliverAtMs !== 0) messages.deliverAt.set(row, fact.deliverAtMs)
    if (fact.set !== undefined) {
      messages.set(row, ROUTE, fact.set.number)
      fact.set.messages++
    }
    if ((fact.flags & MESSAGE_FLAG.job) !== 0) state.jobFired(fact.session, fact.note, fact.acceptedAtMs)
    else if (fact.note !== 0) state.sessionByNumber.get(fact.session)?.notes.add(fact.note)
    if (fact.transaction !== 0) {
      this.#join(fact, row)
      return row
    }
    if (fact.set !== undefined) {
      const { set } = fact
      for (let i = 0; i < set.queues.length; i++) if (set.queues[i].alive) state.addEntry(set.queues[i], row, set.vias[i], ENTRY_FLAG.durable)
    } else if (fact.queue?.alive) state.addEntry(fact.queue, row, state.vias.byNumber[0], ENTRY_FLAG.durable)
    if ((fact.flags & MESSAGE_FLAG.retain) !== 0 && fact.address !== undefined) state.retain(fact.address, row, true, fact.origin)
    if (messages.get(row, REFERENCES) > 1) {
      messages.set(row, REFERENCES, messages.get(row, REFERENCES) - 1)
      return row
    }
    state.release(row)
    return 0
  }

  /** The transaction holds it instead. */
  #join(fact: MessageFact, row: number): void {
    const record = this.#state.transaction(fact.transaction)
    record.recorded = true
    record.add(row, fact.ordinal, fact.set ?? fact.queue)
    if ((fact.flags & MESSAGE_FLAG.retain) !== 0 && fact.address !== undefined) record.retain(row, fact.address)
  }

  /** What the transaction asked for happens: all that is few now, entries as the state's hooks want it. `count`: its ordinals. */
  commit(record: TransactionRecord, count: number): void {
    const state = this.#state
    for (const { type, content } of record.deferred) this.fact(type, content, 0, content.length, 0, 0)
    for (const { row, address } of record.retaining) {
      if (row === 0) state.forgetRetained(address)
      else state.retain(address, row, state.messages.get(row, SEGMENT) !== 0)
    }
    state.hooks.committed(state, record, record.reserve(count, state.epoch))
  }

  #transactionFact(type: number, from: FactReader): void {
    const state = this.#state
    const number = from.f64()
    if (type === FACT.deferred) {
      const record = state.transaction(number)
      record.recorded = true
      const late = from.u8()
      // Of these there may be as many as there are messages; their reason has been told to who asks for it.
      if (late === FACT.gone) record.addGone(from.u32(), from.f64(), from.u32())
      else if (late === FACT.retainClear) record.retain(0, readAddress(from))
      else record.deferred.push({ type: late, content: from.rest() })
      return
    }
    if (type === FACT.savedSend || type === FACT.savedRetaining) {
      this.#saved.joined(type, state.transaction(number), from)
      return
    }
    const count = type === FACT.commit ? from.u32() : 0
    const record = state.endTransaction(number)
    if (record === undefined) return
    if (type === FACT.commit) this.commit(record, count)
    else state.hooks.rolledBack(state, record)
  }

  /** `count` entries from this sequence on are gone. */
  gone(queue: Queue, first: number, count: number): void {
    const state = this.#state
    for (let sequence = first; sequence < first + count; sequence++) {
      const row = state.entries.find(queue.slot, sequence)
      if (row !== 0) state.removeEntry(queue, row)
    }
  }

  /** Numbers below `next` were given out. */
  sequence(queue: Queue, next: number): void {
    queue.next = Math.max(queue.next, next)
    queue.replayNext = queue.next
    queue.toldNext = queue.next
    queue.sequenceEpoch = this.#state.epoch
  }

  /** One fact as the journal has it. `segment` and `offset` say where `buffer[start]` lies. */
  fact(type: number, buffer: Buffer, start: number, end: number, segment: number, offset: number): void {
    if (type === FACT.message) {
      const message = this.#messages.read(buffer, start, end)
      message.segment = segment
      message.offset = offset
      this.message(message)
      return
    }
    const from = this.#reader.reset(buffer, start, end)
    const state = this.#state
    switch (type) {
      case FACT.gone: {
        const queue = state.queueByNumber.get(from.u32())
        if (queue !== undefined) this.gone(queue, from.f64(), from.u32())
        return
      }
      case FACT.sequence: {
        const queue = state.queueByNumber.get(from.u32())
        if (queue !== undefined) this.sequence(queue, from.f64())
        return
      }
      case FACT.piece:
        return
      case FACT.returned:
      case FACT.added:
      case FACT.mark:
      case FACT.lease:
        this.#entryFact(type, from)
        return
      case FACT.moved:
        this.#moved(from)
        return
      case FACT.note: {
        const session = state.sessionByNumber.get(from.u32())
        const key = from.u32()
        if (from.u8() === 1) session?.notes.add(key)
        else session?.notes.delete(key)
        return
      }
      case FACT.job:
        state.addJob(readJob(from))
        return
      case FACT.jobFired:
        state.jobFired(from.u32(), from.u32(), from.f64())
        return
      case FACT.jobGone:
        state.removeJob(from.u32())
        return
      case FACT.dialect:
        state.dialects[from.u16()] = from.text()
        return
      case FACT.queue: {
        const { number, address, options } = readQueue(from)
        if (!state.queueByNumber.has(number)) state.addQueue(number, address, options, this.#policyOf(address, options))
        return
      }
      case FACT.queueGone: {
        const queue = state.queueByNumber.get(from.u32())
        if (queue !== undefined) state.removeQueue(queue)
        return
      }
      case FACT.retainClear:
        state.forgetRetained(readAddress(from))
        return
      case FACT.retainedCopy: {
        const queue = state.queueByNumber.get(from.u32())
        const via = state.vias.byNumber[from.u32()]
        const retained = state.retained.get(readAddress(from).path)
        if (queue !== undefined && retained !== undefined) state.addEntry(queue, retained.message, via, ENTRY_FLAG.durable | ENTRY_FLAG.retained)
        return
      }
      case FACT.bind: {
        const { queue: number, ...spec } = readBinding(from)
        const queue = state.queueByNumber.get(number)
        if (queue !== undefined) state.bind(new Binding(spec, queue))
        return
      }
      case FACT.unbind: {
        const queue = state.queueByNumber.get(from.u32())
        if (queue !== undefined) state.unbind(queue, patternKey(readPattern(from)))
        return
      }
      case FACT.via: {
        const { number, settle, absent, tags, to } = readVia(from)
        const via = state.vias.byNumber[number] ?? state.vias.restore(number, settle, absent, tags, to)
        via.recorded = true
        return
      }
      case FACT.set:
        this.#set(from)
        return
      case FACT.setGone: {
        const set = state.sets.byNumber.get(from.u32())
        if (set !== undefined) state.sets.remove(set)
        return
      }
      case FACT.relocated:
        this.relocation.records(from)
        return
      case FACT.deferred:
      case FACT.commit:
      case FACT.rollback:
      case FACT.savedSend:
      case FACT.savedRetaining:
        this.#transactionFact(type, from)
        return
      case FACT.session:
      case FACT.sessionGone:
      case FACT.sessionAway:
      case FACT.willGone:
      case FACT.hold:
      case FACT.release:
        this.#sessionFact(type, from)
        return
      default:
        this.#saved.fact(type, from)
    }
  }

  #entryFact(type: number, from: FactReader): void {
    const state = this.#state
    const { entries } = state
    const queue = state.queueByNumber.get(from.u32())
    const row = queue === undefined ? 0 : entries.find(queue.slot, from.f64())
    if (queue === undefined || row === 0) return
    if (type === FACT.added) {
      const dialect = from.text()
      state.add(row, { dialect, bytes: Buffer.from(from.bytes()) })
    } else if (type === FACT.mark) {
      entries.set(row, MARK, from.u8())
    } else if (type === FACT.returned) {
      entries.set(row, ATTEMPTS, from.u32())
      entries.set(row, FAILURES, from.u8())
      this.#notBefore(row, from.f64())
    } else {
      this.#notBefore(row, from.f64())
      entries.set(row, ATTEMPTS, from.u32())
    }
  }

  /** Looked at when the node leads; live, the wheel has it already. */
  #notBefore(row: number, atMs: number): void {
    const state = this.#state
    if (atMs === 0) state.notBefore.delete(row)
    else state.notBefore.set(row, atMs)
  }

  #moved(from: FactReader): void {
    const state = this.#state
    const { entries } = state
    const queue = state.queueByNumber.get(from.u32())
    const sequence = from.f64()
    const to = state.queueByNumber.get(from.u32())
    const died = from.u8() === 1
    // What its owner moved is no dead letter any more.
    const reason = died ? from.text() : ''
    const dead = died ? state.deadNumber(reason, readAddress(from)) : 0
    const by = died ? 0 : from.u32()
    const row = queue === undefined ? 0 : entries.find(queue.slot, sequence)
    if (queue === undefined || row === 0) return
    // What is passed comes to its client by what it came by before.
    const via = state.vias.byNumber[isPassing(reason) ? entries.get(row, VIA) : by]
    if (to !== undefined) {
      const moved = state.addEntry(to, entries.get(row, MESSAGE), via, ENTRY_FLAG.durable)
      entries.set(moved, DEAD, dead)
      entries.set(moved, ATTEMPTS, 0)
      for (const addition of state.added.get(row) ?? []) state.add(moved, addition)
    }
    state.removeEntry(queue, row)
  }

  #set(from: FactReader): void {
    const { sets, queueByNumber, vias } = this.#state
    const number = from.u32()
    const base = sets.byNumber.get(from.u32())
    let set = sets.byNumber.get(number)
    if (set === undefined) {
      set = new RouteSet(number, base === undefined ? [] : [...base.queues], base === undefined ? [] : [...base.vias])
      sets.add(set)
    }
    for (let left = from.u32(); left > 0; left--) {
      const queue = queueByNumber.get(from.u32())
      const via = vias.byNumber[from.u32()]
      if (queue !== undefined) {
        set.queues.push(queue)
        set.vias.push(via)
      }
    }
    const removed = new Set<number>()
    for (let left = from.u32(); left > 0; left--) removed.add(from.u32())
    set.leaveOut(removed)
  }

  #sessionFact(type: number, from: FactReader): void {
    const state = this.#state
    if (type === FACT.session) {
      const read = readSession(from)
      const known = state.sessionByNumber.get(read.number)
      state.nextSession = Math.max(state.nextSession, read.number + 1)
      if (known === undefined) state.addSession(read)
      else {
        known.keepMs = read.keepMs
        known.will = read.will
        known.awaySinceMs = read.awaySinceMs
        known.recorded = true
      }
      return
    }
    const session = state.sessionByNumber.get(from.u32())
    if (session === undefined) return
    if (type === FACT.sessionGone) state.removeSession(session)
    else if (type === FACT.sessionAway) session.awaySinceMs = from.f64()
    else if (type === FACT.willGone) session.will = undefined
    else {
      const queue = state.queueByNumber.get(from.u32())
      if (queue === undefined) return
      if (type === FACT.hold) state.hold(session, queue, from.u32())
      else state.letGo(session, queue)
    }
  }
}
