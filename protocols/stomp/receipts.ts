// Which receipts are owed: in the order of their tickets, and those of parked sends, which have no ticket yet, in the order of sending.
// Not here: writing them.
import type { Ticket } from '../../src/api.ts'
import { Owed } from '../shared/owed.ts'

export class Receipts {
  readonly #owed = new Owed<string>()
  /** undefined: the parked send asked for none. */
  readonly #parked = new Owed<string | undefined>()

  get parked(): number {
    return this.#parked.count
  }

  /** Tickets rise, those of admitted sends too. */
  owe(ticket: Ticket, id: string): void {
    this.#owed.push(ticket, id)
  }

  /** The next receipt up to this ticket; undefined: none. */
  take(upTo: Ticket): string | undefined {
    return this.#owed.take(upTo)
  }

  park(id: string | undefined): void {
    this.#parked.push(0, id)
  }

  /** The oldest parked send has an outcome. */
  unpark(): string | undefined {
    return this.#parked.take(0)
  }
}
