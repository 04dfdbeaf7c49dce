// Which receipts are owed: in the order of their tickets, and those of parked sends, which have no ticket yet, in the order of sending.
// Not here: writing them. Both lines are bounded by what the core lets a session have in flight (pressure, parked limit).
import type { Ticket } from '../../src/api.ts'

export class Receipts {
  #tickets: Ticket[] = []
  #ids: string[] = []
  #next = 0
  /** undefined: the parked send asked for none. */
  #parked: (string | undefined)[] = []
  #nextParked = 0

  get parked(): number {
    return this.#parked.length - this.#nextParked
  }

  /** Tickets rise, those of admitted sends too. */
  owe(ticket: Ticket, id: string): void {
    this.#tickets.push(ticket)
    this.#ids.push(id)
  }

  /** The next receipt up to this ticket; undefined: none. */
  take(upTo: Ticket): string | undefined {
    if (this.#next === this.#tickets.length || this.#tickets[this.#next] > upTo) return undefined
    const id = this.#ids[this.#next++]
    if (this.#next === this.#tickets.length) {
      this.#tickets = []
      this.#ids = []
      this.#next = 0
    } else if (this.#next >= 1024 && this.#next * 2 >= this.#tickets.length) {
      this.#tickets.splice(0, this.#next)
      this.#ids.splice(0, this.#next)
      this.#next = 0
    }
    return id
  }

  park(id: string | undefined): void {
    this.#parked.push(id)
  }

  /** The oldest parked send has an outcome. */
  unpark(): string | undefined {
    if (this.#nextParked === this.#parked.length) return undefined
    const id = this.#parked[this.#nextParked++]
    if (this.#nextParked === this.#parked.length) {
      this.#parked = []
      this.#nextParked = 0
    } else if (this.#nextParked >= 1024 && this.#nextParked * 2 >= this.#parked.length) {
      this.#parked.splice(0, this.#nextParked)
      this.#nextParked = 0
    }
    return id
  }
}
