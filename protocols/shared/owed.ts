// What is owed an answer, in the order of tickets: deliveries, receipts. Hot: two columns and a place, no object for each.
// Not here: the answers. It is bounded by what the core lets a session have in flight (pressure, parked limit).
import type { Ticket } from '../../src/api.ts'

export class Owed<Id> {
  #tickets: Ticket[] = []
  #ids: Id[] = []
  #next = 0

  get count(): number {
    return this.#ids.length - this.#next
  }

  /** Tickets rise. */
  push(ticket: Ticket, id: Id): void {
    this.#tickets.push(ticket)
    this.#ids.push(id)
  }

  /** The oldest up to this ticket; undefined: none. */
  take(upTo: Ticket): Id | undefined {
    if (this.#next === this.#ids.length || this.#tickets[this.#next] > upTo) return undefined
    const id = this.#ids[this.#next++]
    if (this.#next === this.#ids.length) {
      this.#tickets = []
      this.#ids = []
      this.#next = 0
    } else if (this.#next >= 1024 && this.#next * 2 >= this.#ids.length) {
      this.#tickets.splice(0, this.#next)
      this.#ids.splice(0, this.#next)
      this.#next = 0
    }
    return id
  }
}
