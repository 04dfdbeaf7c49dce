// What is known of a transaction that is neither committed nor rolled back: its messages in order, and what happens at its commit.
// A part of the state: kept by every node, and by nobody longer than the term of its leader. Who may begin one, its limits and its end: `transactions.ts`.
//
// A message takes a place in the transaction when it is sent (its *ordinal*), and its places on its queues at the commit: each queue it reaches then gives
// as many numbers as the transaction has ordinals, so that an entry's sequence is its queue's first one plus the ordinal, whoever computes it and when.
import type { CoreAddress } from './addresses.ts'
import { RouteSet, type Via } from './bindings.ts'
import type { Queue } from './queue.ts'

const NONE: readonly Queue[] = []
const NO_VIAS: readonly Via[] = []

/** A fact whose time comes with the commit. */
export type Deferred = Readonly<{ type: number; content: Buffer }>

/** A topic keeps the message of this row (0: forgets what it keeps). `before`: messages of the transaction that came first. */
export type Retaining = Readonly<{ row: number; address: CoreAddress; before: number }>

/** In columns: a transaction may have a hundred thousand messages. */
export class TransactionRecord {
  readonly number: number
  /** A fact has told of it. */
  recorded = false
  /** Ordinals given. */
  count = 0
  /** Places on queues that its messages will take; of the leader only. */
  places = 0

  // Its messages, each with one reference to its row.
  readonly rows: number[] = []
  readonly ordinals: number[] = []
  /** Durable entries go there. */
  readonly targets: (RouteSet | Queue | undefined)[] = []
  /** Entries that no fact tells of go there; of the leader only. */
  readonly #volatile: (readonly Queue[])[] = []
  readonly #volatileVias: (readonly Via[])[] = []
  /** The same without repetition. */
  readonly #reached = new Set<RouteSet | Queue>()
  readonly #reachedVolatile = new Set<Queue>()

  // Runs of entries that are gone with the commit.
  readonly goneQueues: number[] = []
  readonly goneFirsts: number[] = []
  readonly goneCounts: number[] = []
  readonly deferred: Deferred[] = []
  readonly retaining: Retaining[] = []

  constructor(number: number) {
    this.number = number
  }

  /** The row's reference is the transaction's from now on. */
  add(row: number, ordinal: number, target: RouteSet | Queue | undefined): void {
    this.rows.push(row)
    this.ordinals.push(ordinal)
    this.targets.push(target)
    this.#volatile.push(NONE)
    this.#volatileVias.push(NO_VIAS)
    this.count = Math.max(this.count, ordinal + 1)
    if (target !== undefined) this.#reached.add(target)
  }

  /** The message added last also goes there. */
  alsoTo(queues: readonly Queue[], vias: readonly Via[]): void {
    this.#volatile[this.rows.length - 1] = queues
    this.#volatileVias[this.rows.length - 1] = vias
    for (const queue of queues) this.#reachedVolatile.add(queue)
  }

  addGone(queue: number, first: number, count: number): void {
    this.goneQueues.push(queue)
    this.goneFirsts.push(first)
    this.goneCounts.push(count)
  }

  retain(row: number, address: CoreAddress): void {
    this.retaining.push({ row, address, before: this.rows.length })
  }

  /** Calls for each queue that the message at `index` goes to, as long as there is that queue. */
  eachTarget(index: number, direct: Via, call: (queue: Queue, via: Via, durable: boolean) => void): void {
    const target = this.targets[index]
    if (target instanceof RouteSet) {
      for (let i = 0; i < target.queues.length; i++) if (target.queues[i].alive) call(target.queues[i], target.vias[i], true)
    } else if (target?.alive) call(target, direct, true)
    const queues = this.#volatile[index]
    for (let i = 0; i < queues.length; i++) if (queues[i].alive) call(queues[i], this.#volatileVias[index][i], false)
  }

  /** Queues that get durable entries, each once. */
  durableQueues(): ReadonlySet<Queue> {
    const queues = new Set<Queue>()
    for (const target of this.#reached) {
      if (target instanceof RouteSet) {
        for (const queue of target.queues) if (queue.alive) queues.add(queue)
      } else if (target.alive) queues.add(target)
    }
    return queues
  }

  /** Gives each queue's numbers to the transaction: where they begin. `count`: as the commit says it. */
  reserve(count: number, epoch: number): ReadonlyMap<Queue, number> {
    const bases = new Map<Queue, number>()
    for (const queue of this.durableQueues()) {
      bases.set(queue, queue.next)
      queue.next += count
      queue.replayNext = queue.next
      queue.toldNext = queue.next
      queue.sequenceEpoch = epoch
    }
    for (const queue of this.#reachedVolatile) {
      if (!queue.alive || bases.has(queue)) continue
      bases.set(queue, queue.next)
      queue.next += count
    }
    return bases
  }
}
