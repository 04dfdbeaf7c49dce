// The transactions of one connection, by the names that its client gives them: BEGIN opens one, COMMIT and ABORT close it, SEND, ACK and NACK name it.
// What was acknowledged in one is known here until then, since ABORT makes it outstanding again. All or nothing is the core's doing.
import type { PublishOptions, Session, Transaction } from '../../src/api.ts'
import { type Fault, quote } from './errors.ts'
import type { Meant, Subscription } from './subscription.ts'

/** Deliveries of one subscription that were settled. */
type Settled = Readonly<{ subscription: Subscription; first: number; last: number; key: Meant['key'] }>

export class OpenTransaction {
  readonly transaction: Transaction
  /** Made once: every send of it has one of these. */
  readonly options: Readonly<Record<PublishOptions['retain'], PublishOptions>>
  readonly #settled: Settled[] = []

  constructor(transaction: Transaction) {
    this.transaction = transaction
    this.options = {
      no: { retain: 'no', note: 0, transaction },
      set: { retain: 'set', note: 0, transaction },
      clear: { retain: 'clear', note: 0, transaction },
    }
  }

  settled(subscription: Subscription, first: number, last: number, key: Meant['key']): void {
    const at = this.#settled.length - 1
    const before = this.#settled[at]
    if (key === undefined && before?.subscription === subscription && before.key === undefined && before.last + 1 === first)
      this.#settled[at] = { ...before, last }
    else this.#settled.push({ subscription, first, last, key })
  }

  /** What it settled is settled for good. */
  committed(): void {
    for (const { subscription, first, last, key } of this.#settled) subscription.forget(first, last, key)
  }

  /** What it settled is outstanding again: newest first, so that a subscription finds its way back. */
  aborted(): void {
    for (let at = this.#settled.length - 1; at >= 0; at--) {
      const { subscription, first, last } = this.#settled[at]
      subscription.unsettle(first, last)
    }
  }
}

export class Transactions {
  readonly #open = new Map<string, OpenTransaction>()

  /** Why not, or undefined. The core bounds how many there are. */
  begin(session: Session, name: string): Fault | 'refused' | undefined {
    if (this.#open.has(name)) return { code: 'exists', sentence: `BEGIN: transaction ${quote(name)} is open already.` }
    const transaction = session.begin()
    if (transaction === undefined) return 'refused'
    // A copy: a piece of a longer string would keep the whole header block.
    this.#open.set(Buffer.from(name).toString(), new OpenTransaction(transaction))
    return undefined
  }

  /** The open transaction of this name, or the fault of the frame that named it. */
  find(command: string, name: string): OpenTransaction | Fault {
    return this.#open.get(name) ?? { code: 'not-found', sentence: `${command}: there is no open transaction ${quote(name)}.` }
  }

  /** Its name is free. */
  close(name: string): void {
    this.#open.delete(name)
  }

  /** Of a client that leaves. */
  abortAll(): void {
    for (const { transaction } of this.#open.values()) transaction.rollback()
    this.#open.clear()
  }
}
