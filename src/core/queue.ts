// One queue: its options, its counts, and two lists of entries. `ready` is in order of sequence and may be given out;
// `held` is everything else (uncommitted, locked, delayed), in no order. Who consumes it and when is `dispatch.ts`.
import type { QueueOptions, WhenFull } from '../api.ts'
import type { CoreAddress } from './addresses.ts'
import type { Binding } from './bindings.ts'
import type { CoreConsumer } from './consumer.ts'
import { type Entries, NEXT, PREV, SEQUENCE } from './entries.ts'
import type { Gate } from './gate.ts'
import type { WaitingPull } from './pull.ts'
import type { LiveSession } from './session.ts'
import type { SessionRecord } from './sessions.ts'

/** Every option decided: what was declared, else what the configuration's policy says. */
export type QueuePolicy = Readonly<{
  limitMessages: number
  limitBytes: number
  whenFull: WhenFull
  failuresMax: number
  deadLetter: CoreAddress | undefined
  redeliveryDelayMs: number
  redeliveryBackoff: number
  redeliveryDelayMaxMs: number
  expiredToDeadLetter: boolean
}>

/** A doubly linked list through the entries' rows. */
export class EntryList {
  readonly #entries: Entries
  head = 0
  tail = 0
  count = 0

  constructor(entries: Entries) {
    this.#entries = entries
  }

  push(row: number): void {
    this.insertAfter(this.tail, row)
  }

  /** `after` 0: at the head. */
  insertAfter(after: number, row: number): void {
    const entries = this.#entries
    const next = after === 0 ? this.head : entries.get(after, NEXT)
    entries.set(row, PREV, after)
    entries.set(row, NEXT, next)
    if (after === 0) this.head = row
    else entries.set(after, NEXT, row)
    if (next === 0) this.tail = row
    else entries.set(next, PREV, row)
    this.count++
  }

  unlink(row: number): void {
    const entries = this.#entries
    const next = entries.get(row, NEXT)
    const prev = entries.get(row, PREV)
    if (prev === 0) this.head = next
    else entries.set(prev, NEXT, next)
    if (next === 0) this.tail = prev
    else entries.set(next, PREV, prev)
    this.count--
  }
}

export class Queue {
  /** Index in the table of queues; reused after the queue is gone. */
  readonly slot: number
  /** Its name in facts and entry references; never given twice. */
  readonly number: number
  readonly address: CoreAddress
  readonly durable: boolean
  readonly lifetime: QueueOptions['lifetime']
  /** As it was declared: what its fact says. */
  readonly declared: QueueOptions
  readonly policy: QueuePolicy
  alive = true

  /** The next sequence to give out, and the one that replay would give: they differ after volatile entries and after a claim. */
  next = 1
  replayNext = 1
  /** Where the numbers stood when a fact last told of them, or when this term began. */
  toldNext = 1
  /** The batch of its own fact, made in this term: before that is committed, its number may yet be given to another queue. */
  madeIn = 0
  /** The epoch in which `replayNext` was last written. */
  sequenceEpoch = 0

  readonly ready: EntryList
  readonly held: EntryList
  bytes = 0
  /** Of `held`: applied and not committed. */
  pending = 0
  /** Where the last returned entry went: the next one often goes behind it. */
  #returned = 0

  /** Allocated on first use. */
  consumers: CoreConsumer[] | undefined = undefined
  pulls: WaitingPull[] | undefined = undefined
  holders: Set<SessionRecord> | undefined = undefined
  bindings: Map<string, Binding> | undefined = undefined
  /** Of the patterns of `bindings`. */
  bindingBytes = 0
  /** Sessions whose oldest parked publish waits for room here. */
  waiters: Set<LiveSession> | undefined = undefined

  /** What transactions mean for it, while they mean anything. */
  gate: Gate | undefined = undefined

  /** Whose turn it is among `consumers`. */
  turn = 0
  scheduled = false
  /** A body at the head is being read from disk. */
  loading = false
  dropped = 0

  readonly #entries: Entries

  constructor(entries: Entries, slot: number, number: number, address: CoreAddress, declared: QueueOptions, policy: QueuePolicy) {
    this.#entries = entries
    this.slot = slot
    this.number = number
    this.address = address
    this.durable = declared.durable
    this.lifetime = declared.lifetime
    this.declared = declared
    this.policy = policy
    this.ready = new EntryList(entries)
    this.held = new EntryList(entries)
  }

  get count(): number {
    return this.ready.count + this.held.count
  }

  /** No room for one more message of `bytes`. An empty queue has room for any. */
  isFull(bytes: number): boolean {
    const { limitMessages, limitBytes } = this.policy
    const count = this.count + (this.gate?.unseen ?? 0)
    const total = this.bytes + (this.gate?.unseenBytes ?? 0)
    return (limitMessages !== 0 && count >= limitMessages) || (limitBytes !== 0 && count !== 0 && total + bytes > limitBytes)
  }

  /** Puts an entry where its sequence belongs in the ready list: at the end, behind the last one put back, or found from the head. */
  makeReady(row: number): void {
    const entries = this.#entries
    const sequence = entries.double(row, SEQUENCE)
    const { ready } = this
    if (ready.tail === 0 || entries.double(ready.tail, SEQUENCE) < sequence) {
      ready.push(row)
      return
    }
    let after = 0
    let at = ready.head
    if (this.#returned !== 0 && entries.double(this.#returned, SEQUENCE) < sequence) {
      after = this.#returned
      at = entries.get(after, NEXT)
    }
    while (at !== 0 && entries.double(at, SEQUENCE) < sequence) {
      after = at
      at = entries.get(at, NEXT)
    }
    ready.insertAfter(after, row)
    this.#returned = row
  }

  unlinkReady(row: number): void {
    if (this.#returned === row) this.#returned = 0
    this.ready.unlink(row)
  }
}
