// Everything the broker knows: queues, entries, messages, bindings, retained messages, sessions. Changed by `apply.ts` and, for what
// is not durable, by the live core. No sockets, no consumers' decisions, no time: the same facts give the same durable state.
import type { Addition, QueueOptions } from '../api.ts'
import { addedBytesOf } from './additions.ts'
import type { CoreAddress } from './addresses.ts'
import { type Binding, RouteSets, type Via, Vias } from './bindings.ts'
import { ENTRY_FLAG, Entries, FLAGS, MESSAGE, QUEUE, STATE, STATE_OF, VIA } from './entries.ts'
import { bytesOf, isOver, type Job } from './job.ts'
import { LENGTH, Messages, REFERENCES, ROUTE } from './messages.ts'
import { PatternTree } from './pattern-tree.ts'
import { isPassing } from './passing.ts'
import { SharedPolicies } from './policy.ts'
import { Queue, type QueuePolicy } from './queue.ts'
import type { SessionRecord } from './sessions.ts'
import { TopicTree } from './topic-tree.ts'
import { TransactionRecord } from './transaction.ts'
import { unfold } from './unfolding.ts'

let versions = 0

function nextVersion(): number {
  versions += 2 ** 32
  return versions
}

/** A topic's retained message. Holds one reference to it. */
export interface Retained {
  readonly address: CoreAddress
  readonly message: number
  /** Counts up with each retained message set: tells what came after a subscription. */
  readonly order: number
  readonly durable: boolean
  /** Who set it (`originOf`), for bindings that do not want what they send themselves; '': not known, as after a restart. */
  readonly from: string
}

/** Why and from where a message went to a dead-letter queue; equal ones are one object. */
export type Dead = Readonly<{ reason: string; origin: CoreAddress }>

/** What the live core does when the state changes; at replay nothing but `makeReady`. */
export interface StateHooks {
  /** A new entry, in no list yet. */
  placed(queue: Queue, row: number): void
  /** Before an entry is removed, whatever its state. */
  removing(queue: Queue, row: number): void
  queueGone(queue: Queue): void
  /** A topic keeps this from now on. */
  retainedSet(retained: Retained): void
  /** A transaction is to be unfolded; its queues' numbers are given to it. */
  committed(state: State, record: TransactionRecord, bases: ReadonlyMap<Queue, number>): void
  /** Its messages are to be released. */
  rolledBack(state: State, record: TransactionRecord): void
}

const REPLAY: StateHooks = {
  placed(queue, row) {
    queue.makeReady(row)
  },
  removing() {},
  queueGone() {},
  retainedSet() {},
  committed(state, record, bases) {
    for (const steps = unfold(state, record, bases, { left: Number.POSITIVE_INFINITY }); steps.next().done !== true; );
  },
  rolledBack(state, record) {
    for (const row of record.rows) state.release(row)
  },
}

export class State {
  readonly entries = new Entries()
  readonly messages = new Messages()
  readonly vias = new Vias()
  readonly sets = new RouteSets()
  readonly patterns = new PatternTree<Binding>()
  readonly retained = new TopicTree<Retained>()
  /** By slot. */
  readonly queues: (Queue | undefined)[] = [undefined]
  readonly queueByNumber = new Map<number, Queue>()
  readonly queueByKey = new Map<string, Queue>()
  /** Those that `/metrics` tells of one by one. */
  readonly measured = new Set<Queue>()
  readonly sessionByNumber = new Map<number, SessionRecord>()
  readonly sessionByKey = new Map<string, SessionRecord>()
  /** Neither committed nor rolled back, oldest first. */
  readonly transactions = new Map<number, TransactionRecord>()
  /** The number that the next one gets: never given twice while the journal speaks of it. */
  nextTransaction = 1
  readonly dialects: string[] = ['']
  readonly dead: (Dead | undefined)[] = [undefined]
  readonly #deadByKey = new Map<string, number>()
  readonly #freeSlots: number[] = []
  readonly #policies = new SharedPolicies()
  /** Wall ms before which an entry is given to nobody (back-off, lease), by row; of few. The live wheel is set from it when the node leads. */
  readonly notBefore = new Map<number, number>()
  /** What consumers added to what is told of an entry, oldest first, by row. */
  readonly added = new Map<number, readonly Addition[]>()
  addedBytes = 0
  readonly jobs = new Map<number, Job>()
  /** Of their messages. */
  jobBytes = 0
  hooks: StateHooks = REPLAY

  /** Numbers that durable queues and sessions get next. */
  nextQueue = 1
  nextSession = 1
  nextJob = 1
  /** Volatile queues are numbered from here; set by each leader so that no term repeats another's. */
  nextVolatileQueue = 2 ** 40
  retainedOrder = 0
  bindingCount = 0
  /** Changes with every binding and queue: what `CoreAddress.route` is held against. No two states share one, so that an address outlives a term. */
  version = nextVersion()
  /** Batch and epoch being replayed, or last replayed. */
  batch = 0
  epoch = 0

  addQueue(number: number, address: CoreAddress, declared: QueueOptions, policy: QueuePolicy): Queue {
    const slot = this.#freeSlots.pop() ?? this.queues.length
    const queue = new Queue(this, slot, number, address, declared, this.#policies.share(policy))
    this.queues[slot] = queue
    this.queueByNumber.set(number, queue)
    this.queueByKey.set(address.key, queue)
    if (policy.metrics) this.measured.add(queue)
    if (declared.durable) this.nextQueue = Math.max(this.nextQueue, number + 1)
    this.version++
    return queue
  }

  /** The term is over: whoever kept an address looks again. */
  end(): void {
    for (const queue of this.queueByNumber.values()) queue.alive = false
  }

  /** With its entries and bindings; whoever held it holds it no more. */
  removeQueue(queue: Queue): void {
    queue.alive = false
    this.hooks.queueGone(queue)
    for (const list of queue.lists()) while (list.head !== 0) this.removeEntry(queue, list.head)
    if (queue.bindings !== undefined) for (const binding of [...queue.bindings.values()]) this.unbind(queue, binding.key)
    if (queue.holders !== undefined) for (const session of queue.holders) session.holds.delete(queue)
    this.queues[queue.slot] = undefined
    this.#freeSlots.push(queue.slot)
    this.queueByNumber.delete(queue.number)
    this.queueByKey.delete(queue.address.key)
    this.measured.delete(queue)
    this.version++
  }

  findQueue(address: CoreAddress): Queue | undefined {
    if (address.queue?.alive) return address.queue
    const queue = this.queueByKey.get(address.key)
    address.queue = queue
    return queue
  }

  bind(binding: Binding): void {
    const { queue } = binding
    queue.bindings ??= new Map()
    const earlier = queue.bindings.get(binding.key)
    if (earlier === undefined) {
      this.bindingCount++
      queue.bindingBytes += binding.key.length
    } else this.patterns.remove(earlier.pattern, earlier)
    queue.bindings.set(binding.key, binding)
    this.patterns.add(binding.pattern, binding)
    this.version++
  }

  unbind(queue: Queue, key: string): boolean {
    const binding = queue.bindings?.get(key)
    if (binding === undefined) return false
    queue.bindings?.delete(key)
    this.patterns.remove(binding.pattern, binding)
    this.bindingCount--
    queue.bindingBytes -= binding.key.length
    this.version++
    return true
  }

  /** A new entry of a message on a queue; takes the queue's next sequence and a reference to the message. */
  addEntry(queue: Queue, message: number, via: Via, flags: number): number {
    const sequence = queue.next++
    if ((flags & ENTRY_FLAG.durable) !== 0) {
      queue.replayNext = queue.next
      queue.toldNext = queue.next
      queue.sequenceEpoch = this.epoch
    }
    return this.addEntryAt(queue, sequence, message, via, flags)
  }

  /** The same with a number that the queue gave out before. */
  addEntryAt(queue: Queue, sequence: number, message: number, via: Via, flags: number): number {
    const row = this.entries.add(queue.slot, sequence, message)
    this.entries.set(row, VIA, via.number)
    this.entries.set(row, FLAGS, flags)
    this.entries.set(row, STATE, STATE_OF.ready)
    this.messages.set(message, REFERENCES, this.messages.get(message, REFERENCES) + 1)
    queue.count++
    queue.bytes += this.messages.get(message, LENGTH)
    this.hooks.placed(queue, row)
    return row
  }

  add(row: number, addition: Addition): void {
    this.added.set(row, [...(this.added.get(row) ?? []), addition])
    this.addedBytes += addedBytesOf(addition)
  }

  #forgetAdded(row: number): void {
    for (const addition of this.added.get(row) ?? []) this.addedBytes -= addedBytesOf(addition)
    this.added.delete(row)
  }

  removeEntry(queue: Queue, row: number): void {
    this.hooks.removing(queue, row)
    if (this.notBefore.size > 0) this.notBefore.delete(row)
    if (this.added.size > 0) this.#forgetAdded(row)
    const { entries } = this
    const state = entries.get(row, STATE)
    if (state === STATE_OF.ready) queue.unlinkReady(row)
    else {
      queue.held.unlink(row)
      queue.groups?.returns(row)
    }
    const message = entries.get(row, MESSAGE)
    queue.count--
    queue.bytes -= this.messages.get(message, LENGTH)
    if (state === STATE_OF.pending) {
      // Its batch still names the row; the commit frees it.
      queue.pending--
      entries.set(row, STATE, STATE_OF.removed)
    } else entries.remove(row)
    this.release(message)
  }

  /** One reference less. */
  release(message: number): void {
    const references = this.messages.get(message, REFERENCES) - 1
    if (references > 0) {
      this.messages.set(message, REFERENCES, references)
      return
    }
    const route = this.messages.get(message, ROUTE)
    if (route !== 0) {
      const set = this.sets.byNumber.get(route)
      if (set !== undefined) set.messages--
    }
    this.messages.drop(message)
  }

  queueOf(row: number): Queue {
    const queue = this.queues[this.entries.get(row, QUEUE)]
    if (queue === undefined) throw new Error(`entry ${row} is of no queue`)
    return queue
  }

  /** The topic keeps this message from now on. */
  retain(address: CoreAddress, message: number, durable: boolean, from = ''): void {
    this.messages.set(message, REFERENCES, this.messages.get(message, REFERENCES) + 1)
    const retained = { address, message, order: ++this.retainedOrder, durable, from }
    const earlier = this.retained.set(address.path, retained)
    if (earlier !== undefined) this.release(earlier.message)
    this.hooks.retainedSet(retained)
  }

  forgetRetained(address: CoreAddress): Retained | undefined {
    const earlier = this.retained.delete(address.path)
    if (earlier !== undefined) this.release(earlier.message)
    return earlier
  }

  /** The open transaction of this number; made when first spoken of. */
  transaction(number: number): TransactionRecord {
    let record = this.transactions.get(number)
    if (record === undefined) {
      record = new TransactionRecord(number)
      this.transactions.set(number, record)
      this.nextTransaction = Math.max(this.nextTransaction, number + 1)
    }
    return record
  }

  /** It is open no more. */
  endTransaction(number: number): TransactionRecord | undefined {
    const record = this.transactions.get(number)
    this.transactions.delete(number)
    return record
  }

  /** The number of this reason and origin, for the entry's `DEAD` field. */
  deadNumber(reason: string, origin: CoreAddress): number {
    const key = `${origin.key}\u0000${reason}`
    let number = this.#deadByKey.get(key)
    if (number === undefined) {
      // Reasons come from clients: beyond a bound they are told without their words. Ours are as many as there are queues.
      if (this.dead.length > 100_000 && reason !== '' && !isPassing(reason)) return this.deadNumber('', origin)
      number = this.dead.push({ reason, origin }) - 1
      this.#deadByKey.set(key, number)
    }
    return number
  }

  dialectNumber(name: string): number {
    return this.dialects.indexOf(name)
  }

  addJob(job: Job): void {
    this.jobs.set(job.number, job)
    this.jobBytes += bytesOf(job)
    this.nextJob = Math.max(this.nextJob, job.number + 1)
  }

  removeJob(number: number): void {
    const job = this.jobs.get(number)
    if (job === undefined) return
    this.jobs.delete(number)
    this.jobBytes -= bytesOf(job)
  }

  /** Sent for the `fired`th time; after its last it is gone. */
  jobFired(number: number, fired: number, atMs: number): void {
    const job = this.jobs.get(number)
    if (job === undefined) return
    job.fired = fired
    job.lastAtMs = atMs
    if (isOver(job)) this.removeJob(number)
  }

  hold(session: SessionRecord, queue: Queue, tag: number): void {
    session.holds.set(queue, tag)
    queue.holders ??= new Set()
    queue.holders.add(session)
  }

  letGo(session: SessionRecord, queue: Queue): boolean {
    queue.holders?.delete(session)
    return session.holds.delete(queue)
  }

  addSession(session: SessionRecord): void {
    this.sessionByNumber.set(session.number, session)
    if (session.clientId !== '') this.sessionByKey.set(session.key, session)
  }

  /** Held queues are not removed here: that is a fact of its own. */
  removeSession(session: SessionRecord): void {
    for (const queue of session.holds.keys()) queue.holders?.delete(session)
    session.holds.clear()
    this.sessionByNumber.delete(session.number)
    if (this.sessionByKey.get(session.key) === session) this.sessionByKey.delete(session.key)
  }
}
