// The transactions of one connection (part 4), by the ids that we gave them: what transfers and dispositions name, and what its receivers settled in each.
// Who declares and discharges them: coordinator.ts. All or nothing is the core's doing.
import type { Outcome as CoreOutcome, PublishOptions, Transaction } from '../../src/api.ts'
import { type AmqpError, errorOf, isBrokerError } from './errors.ts'
import { ACCEPTED, outcomeTerm } from './outcome.ts'
import type { OutgoingLink } from './outgoing-link.ts'
import { described, list, type Term } from './term.ts'
import { TermWriter } from './writer.ts'

/** Deliveries that their receiver settled, so that it speaks of them no more. */
/** `free`: they count as in hand no more. */
export type Settled = Readonly<{ link: OutgoingLink; first: number; last: number; free: boolean }>

export class OpenTransaction {
  readonly id: Buffer
  readonly transaction: Transaction
  /** Made once: every transfer of it has one of these. */
  readonly options: Readonly<Record<PublishOptions['retain'], PublishOptions>>
  /** The state in which an accepted transfer of it is answered. */
  readonly accepted: Buffer
  /** Deliveries of it of which more is to come. */
  partials = 0
  readonly #settled: Settled[] = []
  #aborting = false
  /** Whose are back already, and who waits for the others. */
  readonly #links = new Set<OutgoingLink>()

  constructor(id: Buffer, transaction: Transaction) {
    this.id = id
    this.transaction = transaction
    this.options = {
      no: { retain: 'no', note: 0, transaction },
      set: { retain: 'set', note: 0, transaction },
      clear: { retain: 'clear', note: 0, transaction },
    }
    this.accepted = this.state(ACCEPTED)
  }

  /** The transactional state (part 4.5.8) with this outcome. */
  state(outcome: CoreOutcome, error?: AmqpError): Buffer {
    return new TermWriter(64).term(described(0x34, list([binary(this.id), outcomeTerm(outcome, error)]))).bytes()
  }

  settled(run: Settled): void {
    const at = this.#settled.length - 1
    const before = this.#settled[at]
    if (before?.link === run.link && before.last + 1 === run.first && before.free === run.free) this.#settled[at] = { ...before, last: run.last }
    else this.#settled.push(run)
  }

  /**
   * It is rolled back: so many of what its receivers settled are tried again, as failed once more. True: there are more. Until all are back their links are given
   * nothing, or what is behind them would come first.
   */
  abort(count: number): boolean {
    if (!this.#aborting) for (const { link } of this.#settled) link.credit.hold(true)
    this.#aborting = true
    let left = count
    for (let run = this.#settled.pop(); run !== undefined; run = this.#settled.pop()) {
      const first = Math.max(run.first, run.last - left + 1)
      run.link.failed({ ...run, first })
      left -= run.last - first + 1
      this.#links.add(run.link)
      if (first > run.first) this.#settled.push({ ...run, last: first - 1 })
      if (left <= 0) break
    }
    if (this.#settled.length > 0) return true
    for (const link of this.#links) link.credit.hold(false)
    return false
  }
}

export class Transactions {
  readonly #open = new Map<string, OpenTransaction>()
  #declared = 0

  declare(transaction: Transaction): OpenTransaction {
    const id = Buffer.allocUnsafe(4)
    this.#declared = (this.#declared + 1) >>> 0
    id.writeUInt32BE(this.#declared)
    const open = new OpenTransaction(id, transaction)
    this.#open.set(id.toString('latin1'), open)
    return open
  }

  /** `id` as `Outcome` has it. */
  find(id: string): OpenTransaction | undefined {
    return this.#open.get(id)
  }

  close({ id }: OpenTransaction): void {
    this.#open.delete(id.toString('latin1'))
  }
}

export const UNKNOWN_ID: AmqpError = {
  condition: 'amqp:transaction:unknown-id',
  description: 'There is no open transaction of this id on the connection.',
}

/** Why a transaction was not committed. */
export function rolledBack(error: unknown): AmqpError {
  const { description } = errorOf(error)
  const late = isBrokerError(error) && error.code === 'timeout'
  return { condition: late ? 'amqp:transaction:timeout' : 'amqp:transaction:rollback', description: `The transaction is rolled back: ${description}` }
}

export const binary = (value: Uint8Array): Term => ({ type: 'binary', value })
