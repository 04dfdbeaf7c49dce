// Where entries wait: lists through their rows, and lanes, which are lists by priority. A hot room: a lane of which only the normal
// priority was ever seen is one list and pays nothing for the others. Who is given what is `dispatch.ts`.
import { type Entries, NEXT, PREV, SEQUENCE } from './entries.ts'
import { PRIORITY_NORMAL } from './messages.ts'

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
    if (entries.standing.size !== 0) this.#stepAside(row, next)
    if (prev === 0) this.head = next
    else entries.set(prev, NEXT, next)
    if (next === 0) this.tail = prev
    else entries.set(next, PREV, prev)
    this.count--
  }

  #stepAside(row: number, next: number): void {
    const walkers = this.#entries.standing.get(row)
    if (walkers !== undefined) for (const walker of [...walkers]) walker.stepAside(next)
  }
}

const PRIORITIES = 10

/** Entries in the order in which they go: a higher priority first, then by sequence. */
export class Lane {
  readonly #entries: Entries
  readonly #normal: EntryList
  /** By priority, the normal one among them; made for the first entry of another. */
  #byPriority: EntryList[] | undefined = undefined
  /** Bit n: there are entries of priority n. Kept once there are others than the normal one. */
  #filled = 0
  /** Of other priorities than the normal one. */
  #others = 0
  /** Where the last returned entry went: the next one often goes behind it. */
  #returned = 0
  #returnedPriority = 0

  constructor(entries: Entries) {
    this.#entries = entries
    this.#normal = new EntryList(entries)
  }

  /** Goes first; 0: there is none. */
  get head(): number {
    if (this.#byPriority === undefined) return this.#normal.head
    return this.#filled === 0 ? 0 : this.#byPriority[this.best].head
  }

  get count(): number {
    return this.#normal.count + this.#others
  }

  /** The priority of its head, if it has one. */
  get best(): number {
    return this.#byPriority === undefined ? PRIORITY_NORMAL : 31 - Math.clz32(this.#filled)
  }

  /** Came first of all; 0: there is none. */
  get oldest(): number {
    if (this.#byPriority === undefined) return this.#normal.head
    const entries = this.#entries
    let oldest = 0
    for (const { head } of this.#byPriority) {
      if (head !== 0 && (oldest === 0 || entries.double(head, SEQUENCE) < entries.double(oldest, SEQUENCE))) oldest = head
    }
    return oldest
  }

  /** In the order in which they go. */
  lists(): EntryList[] {
    return this.#byPriority === undefined ? [this.#normal] : [...this.#byPriority].reverse()
  }

  list(priority: number): EntryList {
    return this.#byPriority === undefined ? this.#normal : this.#byPriority[priority]
  }

  /** Puts an entry where it belongs: at the end of its priority, or found from where it is near. */
  add(row: number, priority: number): void {
    if (priority !== PRIORITY_NORMAL) {
      this.#byPriority ??= this.#withPriorities()
      this.#others++
    }
    if (this.#byPriority !== undefined) this.#filled |= 1 << priority
    const entries = this.#entries
    const sequence = entries.double(row, SEQUENCE)
    const list = this.list(priority)
    if (list.tail === 0 || entries.double(list.tail, SEQUENCE) < sequence) {
      list.push(row)
      return
    }
    // From whichever is nearest by its number: the head, the tail, or the one put back last.
    const fromHead = sequence - entries.double(list.head, SEQUENCE)
    const fromTail = entries.double(list.tail, SEQUENCE) - sequence
    let after = fromHead > fromTail ? list.tail : 0
    if (this.#returned !== 0 && this.#returnedPriority === priority) {
      if (Math.abs(sequence - entries.double(this.#returned, SEQUENCE)) < Math.min(fromHead, fromTail)) after = this.#returned
    }
    while (after !== 0 && entries.double(after, SEQUENCE) > sequence) after = entries.get(after, PREV)
    let at = after === 0 ? list.head : entries.get(after, NEXT)
    while (at !== 0 && entries.double(at, SEQUENCE) < sequence) {
      after = at
      at = entries.get(at, NEXT)
    }
    list.insertAfter(after, row)
    this.#returned = row
    this.#returnedPriority = priority
  }

  unlink(row: number, priority: number): void {
    if (this.#returned === row) this.#returned = 0
    const list = this.list(priority)
    list.unlink(row)
    if (this.#byPriority === undefined) return
    if (priority !== PRIORITY_NORMAL) this.#others--
    if (list.head === 0) this.#filled &= ~(1 << priority)
  }

  #withPriorities(): EntryList[] {
    if (this.#normal.head !== 0) this.#filled = 1 << PRIORITY_NORMAL
    return Array.from({ length: PRIORITIES }, (_, priority) => (priority === PRIORITY_NORMAL ? this.#normal : new EntryList(this.#entries)))
  }
}
