// Walks over the entries of a queue, over as many turns as they take: they stand on an entry and are told when that leaves its list, so nothing is
// copied, nothing is locked, and what vanishes meanwhile is passed by. They read no message and decide nothing. A walk goes list by list; where message
// groups wait apart, `inOrder` merges their lists into the order of the queue.
import { type Entries, NEXT, SEQUENCE, type Walker } from './entries.ts'
import type { EntryList } from './lanes.ts'
import type { Queue } from './queue.ts'

/** What those who look and those who move go by. */
export interface Steps {
  /** The entry it stands on; 0: it has passed the last one. */
  readonly row: number
  /** On to the next entry. */
  advance(): void
  /** Must be called of a walk that did not come to its end. */
  end(): void
}

/** What is ready, in the order in which it goes; with `held` then what is not to be given out now, in none. */
export function inOrder(entries: Entries, queue: Queue, held: boolean): Steps {
  const lists = held ? queue.lists() : queue.readyLists()
  return queue.groups === undefined ? new Walk(entries, lists) : new MergedWalk(entries, queue, held)
}

export class Walk implements Steps, Walker {
  row = 0
  readonly #entries: Entries
  readonly #lists: readonly EntryList[]
  #at = 0

  /** Begins on the first entry, or behind `after`, which is in the list `at`. */
  constructor(entries: Entries, lists: readonly EntryList[], after = 0, at = 0) {
    this.#entries = entries
    this.#lists = lists
    this.#at = at
    this.#stand(after === 0 ? (lists[at]?.head ?? 0) : entries.get(after, NEXT))
  }

  advance(): void {
    if (this.row !== 0) this.#leave(this.#entries.get(this.row, NEXT))
  }

  /** On to the next entry for as long as `visit` says so of the one it stands on; nothing may leave its list meanwhile. */
  pass(visit: (row: number) => boolean): void {
    if (this.row === 0) return
    const lists = this.#lists
    let { row } = this
    while (row !== 0 && visit(row)) {
      row = this.#entries.get(row, NEXT)
      while (row === 0 && this.#at + 1 < lists.length) row = lists[++this.#at].head
    }
    if (row !== this.row) this.#leave(row)
  }

  stepAside(next: number): void {
    this.#leave(next)
  }

  end(): void {
    this.#at = this.#lists.length
    if (this.row !== 0) this.#leave(0)
  }

  #leave(next: number): void {
    const { standing } = this.#entries
    const beside = standing.get(this.row)
    beside?.delete(this)
    if (beside?.size === 0) standing.delete(this.row)
    this.#stand(next)
  }

  #stand(first: number): void {
    const { standing } = this.#entries
    let row = first
    while (row === 0 && ++this.#at < this.#lists.length) row = this.#lists[this.#at].head
    this.row = row
    if (row === 0) return
    const beside = standing.get(row)
    if (beside === undefined) standing.set(row, new Set([this]))
    else beside.add(this)
  }
}

/** A walk of one list, and where it stood when it was put into the heap. What leaves a list moves its walk on: the place can only be too early. */
interface Strand {
  readonly walk: Walk
  row: number
  priority: number
  sequence: number
}

/** One walk for each list of what is ready, of which the one that stands first is the next; what is held comes after all of them. */
class MergedWalk implements Steps {
  readonly #entries: Entries
  readonly #queue: Queue
  readonly #heap: Strand[] = []
  readonly #held: Walk | undefined

  constructor(entries: Entries, queue: Queue, held: boolean) {
    this.#entries = entries
    this.#queue = queue
    for (const list of queue.readyLists()) {
      const walk = new Walk(entries, [list])
      if (walk.row !== 0) this.#heap.push(this.#place({ walk, row: 0, priority: 0, sequence: 0 }))
    }
    for (let at = (this.#heap.length >> 1) - 1; at >= 0; at--) this.#down(at)
    this.#held = held ? new Walk(entries, [queue.held]) : undefined
  }

  get row(): number {
    const first = this.#first()
    return first === undefined ? (this.#held?.row ?? 0) : first.row
  }

  advance(): void {
    const first = this.#first()
    if (first === undefined) this.#held?.advance()
    else first.walk.advance()
  }

  end(): void {
    for (const { walk } of this.#heap.splice(0)) walk.end()
    this.#held?.end()
  }

  #first(): Strand | undefined {
    const heap = this.#heap
    for (let first = heap[0]; first !== undefined; first = heap[0]) {
      if (first.row === first.walk.row) return first
      if (first.walk.row !== 0) this.#place(first)
      else {
        const last = heap.pop()
        if (last === undefined || last === first) continue
        heap[0] = last
      }
      this.#down(0)
    }
    return undefined
  }

  #place(strand: Strand): Strand {
    strand.row = strand.walk.row
    strand.priority = this.#queue.priorityOf(strand.row)
    strand.sequence = this.#entries.double(strand.row, SEQUENCE)
    return strand
  }

  #down(from: number): void {
    const heap = this.#heap
    for (let at = from; ; ) {
      const left = at * 2 + 1
      if (left >= heap.length) return
      const below = left + 1 < heap.length && before(heap[left + 1], heap[left]) ? left + 1 : left
      if (!before(heap[below], heap[at])) return
      const strand = heap[at]
      heap[at] = heap[below]
      heap[below] = strand
      at = below
    }
  }
}

function before(one: Strand, other: Strand): boolean {
  return one.priority === other.priority ? one.sequence < other.sequence : one.priority > other.priority
}
