// One queue: its options, its counts, and where its entries wait. What is `ready` may be given out, in order of priority and sequence;
// `held` is everything else (uncommitted, locked, delayed), in no order. Who consumes it and when is `dispatch.ts`.
import type { QueueOptions, WhenFull } from '../api.ts'
import type { CoreAddress } from './addresses.ts'
import type { Exclusive } from './exclusive.ts'
import { Groups } from './groups.ts'
import type { Binding } from './bindings.ts'
import type { Gate } from './gate.ts'
import { type Entries, MESSAGE, SEQUENCE } from './entries.ts'
import { EntryList, Lane } from './lanes.ts'
import { bucketOf, MESSAGE_FLAGS, type Messages, PRIORITY_NORMAL, priorityOf } from './messages.ts'
import type { WaitingPull } from './pull.ts'
import type { Line, Seat } from './seat.ts'
import type { Selection } from './selection.ts'
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
  /** Entries of a higher priority go first. */
  prioritized: boolean
  lastValueKey: string
  /** Deliveries say which is the first of its group to its consumer. */
  groupFirst: boolean
  /** `/metrics` has figures of its own for it. */
  metrics: boolean
}>

/** Where the rows of its entries and their messages are. */
interface QueueTables {
  readonly entries: Entries
  readonly messages: Messages
}

export class Queue {
  /** Index in the table of queues; reused after the queue is gone. */
  readonly slot: number
  /** Its name in facts and entry references; never given twice. */
  readonly number: number
  readonly address: CoreAddress
  /** Durable messages on it survive a restart. */
  readonly durable: boolean
  /** Facts tell of it: it survives a restart itself. */
  readonly recorded: boolean
  readonly lifetime: QueueOptions['lifetime']
  /** As it was declared: what its fact says. */
  readonly declared: QueueOptions
  readonly policy: QueuePolicy
  alive = true
  /** Where its numbers stood, and how many there were, when it was made or this term began. */
  #begunNext = 1
  #begunCount = 0

  /** The next sequence to give out, and the one that replay would give: they differ after volatile entries and after a claim. */
  next = 1
  replayNext = 1
  /** Where the numbers stood when a fact last told of them, or when this term began. */
  toldNext = 1
  /** The batch of its own fact, made in this term: before that is committed, its number may yet be given to another queue. */
  madeIn = 0
  /** The epoch in which `replayNext` was last written. */
  sequenceEpoch = 0

  /** What is in no group; what is, is in `groups`. */
  readonly ready: Lane
  groups: Groups | undefined = undefined
  readonly held: EntryList
  /** Entries of every state, and the bytes of their messages. */
  count = 0
  bytes = 0
  /** Of `held`: applied and not committed. */
  pending = 0

  /** Allocated on first use. */
  seats: Seat[] | undefined = undefined
  /** Those that let nobody else take, the one whose turn it is first. */
  exclusive: Exclusive | undefined = undefined
  /** Who takes whatever there is. */
  line: Line | undefined = undefined
  /** Who takes what a selector takes. */
  selection: Selection | undefined = undefined
  pulls: WaitingPull[] | undefined = undefined
  holders: Set<SessionRecord> | undefined = undefined
  bindings: Map<string, Binding> | undefined = undefined
  /** Of the patterns of `bindings`. */
  bindingBytes = 0
  /** Sessions whose oldest parked publish waits for room here. */
  waiters: Set<LiveSession> | undefined = undefined

  /** What transactions mean for it, while they mean anything. */
  gate: Gate | undefined = undefined

  scheduled = false
  /** A body at the head is being read from disk. */
  loading = false
  dropped = 0
  /** A temporary one that nobody has is removed after a while. */
  cancelRemoval: (() => void) | undefined = undefined

  readonly #entries: Entries
  readonly #messages: Messages

  constructor(of: QueueTables, slot: number, number: number, address: CoreAddress, declared: QueueOptions, policy: QueuePolicy) {
    this.#entries = of.entries
    this.#messages = of.messages
    this.slot = slot
    this.number = number
    this.address = address
    this.durable = declared.durable && declared.lifetime !== 'temporary'
    this.recorded = declared.durable
    this.lifetime = declared.lifetime
    this.declared = declared
    this.policy = policy
    this.ready = new Lane(of.entries)
    this.held = new EntryList(of.entries)
  }

  /** No room for one more message of `bytes`. An empty queue has room for any. */
  isFull(bytes: number): boolean {
    const { limitMessages, limitBytes } = this.policy
    const count = this.count + (this.gate?.unseen ?? 0)
    const total = this.bytes + (this.gate?.unseenBytes ?? 0)
    return (limitMessages !== 0 && count >= limitMessages) || (limitBytes !== 0 && count !== 0 && total + bytes > limitBytes)
  }

  /** A term begins: `arrived` and `left` count from here. Nothing is counted for them: each entry has a number. */
  begin(): void {
    this.#begunNext = this.next
    this.#begunCount = this.count
  }

  get arrived(): number {
    return this.next - this.#begunNext
  }

  get left(): number {
    return this.#begunCount + this.arrived - this.count
  }

  get readyCount(): number {
    return this.groups === undefined ? this.ready.count : this.ready.count + this.groups.count
  }

  /** An entry may be given out: it waits in its place. */
  makeReady(row: number): void {
    const bucket = bucketOf(this.#flags(row))
    if (bucket === 0) this.ready.add(row, this.priorityOf(row))
    else {
      this.groups ??= new Groups(this, this.#entries, this.#messages)
      this.groups.add(row, bucket, this.priorityOf(row))
    }
    this.selection?.arrived(row)
  }

  /** A ready entry is taken out of its place: given to somebody, delayed, or gone. */
  unlinkReady(row: number): void {
    const bucket = this.groups === undefined ? 0 : bucketOf(this.#flags(row))
    if (bucket === 0) this.ready.unlink(row, this.priorityOf(row))
    else this.groups?.unlink(row, bucket, this.priorityOf(row))
  }

  /** By which it waits. */
  priorityOf(row: number): number {
    return this.policy.prioritized ? priorityOf(this.#flags(row)) : PRIORITY_NORMAL
  }

  /** Of what is ready, the one that came first of all; 0: nothing is. */
  oldestReady(): number {
    const { groups } = this
    const plain = this.ready.oldest
    const grouped = groups === undefined ? 0 : groups.oldest
    if (plain === 0 || grouped === 0) return plain === 0 ? grouped : plain
    return this.#entries.double(plain, SEQUENCE) < this.#entries.double(grouped, SEQUENCE) ? plain : grouped
  }

  /** Of what is ready: in the order in which it goes, groups last and each for itself (`walk.ts` merges them). */
  readyLists(): EntryList[] {
    return this.groups === undefined ? this.ready.lists() : [...this.ready.lists(), ...this.groups.lists()]
  }

  /** Every list with entries: what is ready, then what is not. */
  lists(): EntryList[] {
    return [...this.readyLists(), this.held]
  }

  #flags(row: number): number {
    return this.#messages.get(this.#entries.get(row, MESSAGE), MESSAGE_FLAGS)
  }
}
