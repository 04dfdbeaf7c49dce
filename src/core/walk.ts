// A walk over the entries of a queue, in order, over as many turns as it takes: it stands on an entry and is told when that leaves its list,
// so nothing is copied, nothing is locked, and what vanishes meanwhile is passed by. It reads no message and decides nothing.
import { type Entries, NEXT, type Walker } from './entries.ts'
import type { EntryList } from './lanes.ts'
import type { Queue } from './queue.ts'

export class Walk implements Walker {
  /** The entry it stands on; 0: it has passed the last one. */
  row = 0
  readonly #entries: Entries
  readonly #lists: readonly EntryList[]
  #at = 0

  /** Begins on the first entry, or behind `after`. With `held` it goes on to those that are not to be given out now. */
  constructor(entries: Entries, queue: Queue, held: boolean, after = 0) {
    this.#entries = entries
    const lists = queue.lists()
    this.#lists = held ? lists : lists.slice(0, -1)
    this.#at = after === 0 ? 0 : this.#lists.indexOf(queue.listOf(after))
    this.#stand(after === 0 ? (this.#lists[0]?.head ?? 0) : entries.get(after, NEXT))
  }

  /** On to the next entry. */
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

  /** Must be called of a walk that did not come to its end. */
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
