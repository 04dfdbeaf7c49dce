// What waits until a ticket of a session of the core is committed.
import type { Ticket } from '../../src/api.ts'

export class Committed {
  #upTo: Ticket = 0
  /** In the order of their tickets, which rise. */
  #waiting: Readonly<{ ticket: Ticket; run: () => void }>[] = []

  get upTo(): Ticket {
    return this.#upTo
  }

  /** `run` when this is committed; at once if it is. */
  after(ticket: Ticket, run: () => void): void {
    if (ticket <= this.#upTo) run()
    else this.#waiting.push({ ticket, run })
  }

  /** All up to this one is committed. */
  done(upTo: Ticket): void {
    this.#upTo = upTo
    if (this.#waiting.length === 0) return
    let ran = 0
    while (ran < this.#waiting.length && this.#waiting[ran].ticket <= upTo) this.#waiting[ran++].run()
    if (ran > 0) this.#waiting.splice(0, ran)
  }

  /** Nobody waits any more. */
  clear(): void {
    this.#waiting = []
  }
}
