// What one connection answers, and when: a receipt says that its frame, and all before it, are done. Those of parked sends, which have no ticket yet,
// wait in the order of sending.
import type { Ticket } from '../../src/api.ts'
import { Owed } from '../shared/owed.ts'
import { escape, type Version } from './escape.ts'
import type { Output } from './output.ts'

/** Where they are written. */
export type ReceiptsOwner = Readonly<{ output: Output; version: Version }>

export class Receipts {
  readonly #owner: ReceiptsOwner
  readonly #owed = new Owed<string>()
  /** undefined: the parked send asked for none. */
  readonly #parked = new Owed<string | undefined>()
  /** Highest ticket given to this session, and up to which all are done. */
  #lastTicket: Ticket = 0
  #doneUpTo: Ticket = 0

  constructor(owner: ReceiptsOwner) {
    this.#owner = owner
  }

  /** Nothing that was asked of the core is still under way. */
  get settled(): boolean {
    return this.#parked.count === 0 && this.#doneUpTo >= this.#lastTicket
  }

  isDone(ticket: Ticket): boolean {
    return this.#doneUpTo >= ticket
  }

  /** For a frame whose call got this ticket; without `receipt` the ticket is only noted. */
  answer(receipt: string | undefined, ticket: Ticket): void {
    if (ticket > this.#lastTicket) this.#lastTicket = ticket
    if (receipt === undefined) return
    if (ticket <= this.#doneUpTo) this.write(receipt)
    else this.#owed.push(ticket, receipt)
  }

  /** For a frame that needed no call: behind all calls before it. */
  answerNow(receipt: string | undefined): void {
    this.answer(receipt, this.#lastTicket)
  }

  done(upTo: Ticket): void {
    this.#doneUpTo = upTo
  }

  /** Writes what `done` allows. */
  flush(): void {
    for (let id = this.#owed.take(this.#doneUpTo); id !== undefined; id = this.#owed.take(this.#doneUpTo)) this.write(id)
  }

  park(receipt: string | undefined): void {
    this.#parked.push(0, receipt)
  }

  /** The oldest parked send has an outcome. */
  unpark(): string | undefined {
    return this.#parked.take(0)
  }

  write(id: string): void {
    const { output, version } = this.#owner
    const text = escape(id, version)
    output.begin(text.length * 3 + 32)
    output.ascii('RECEIPT\nreceipt-id:')
    output.text(text)
    output.ascii('\n\n\0')
    output.end()
  }
}
