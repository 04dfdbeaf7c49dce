// What a message to the coordinator asks for (part 4.2): Declare opens a transaction, Discharge ends one. A transaction whose coordinator link ends is
// rolled back. Not here: the link itself (incoming-link.ts), what names a transaction (transactions.ts).
import type { Session, Ticket } from '../../src/api.ts'
import { type AmqpError, DecodeFault, errorOf, fault } from './errors.ts'
import { codeOf } from './outcome.ts'
import type { TermReader } from './reader.ts'
import { splitSections, VALUE } from './sections.ts'
import { described, list, type Term } from './term.ts'
import { binary, type OpenTransaction, rolledBack, type Transactions, UNKNOWN_ID } from './transactions.ts'
import { TermWriter } from './writer.ts'

/** What answers the message, and from when on. Ticket 0: at once; -1: when the core says, unless it refuses. `open`: what is being committed. */
export type Decision = Readonly<{ ticket: Ticket; state: Buffer; open: OpenTransaction | undefined }>

/** It is to be rolled back, which may be much for one turn: before `finish`, what it settled is given back in shares. */
export type Undoing = Readonly<{ open: OpenTransaction; finish: () => Decision | AmqpError | Undone }>

/** The link ends, and with it what was declared on it (part 4.4.1). */
export type Terminating = Readonly<{ terminates: AmqpError }>

/** It is rolled back: before that is told, what its receivers settled is tried again, in shares. */
export type Undone = Readonly<{ undone: OpenTransaction; told: Decision | AmqpError }>

const SECTIONS_MAX = 16

export class Coordinator {
  readonly #transactions: Transactions
  readonly #declared = new Set<OpenTransaction>()

  constructor(transactions: Transactions) {
    this.#transactions = transactions
  }

  /** Does what the message that `reader` is over asks for, in the link's own session. */
  command(reader: TermReader, session: Session): Decision | AmqpError | Undoing | Undone | Terminating {
    let command: Term | undefined
    try {
      command = commandOf(reader)
    } catch (error) {
      if (!(error instanceof DecodeFault)) throw error
      return { condition: error.condition, description: error.message }
    }
    const fields = command?.type === 'described' && command.value.type === 'terms' ? command.value.value : []
    switch (command?.type === 'described' ? codeOf(command.descriptor) : -1) {
      case 0x31:
        return this.#declare(fields[0], session)
      case 0x32:
        return this.#discharge(fields[0], fields[1], session)
      default:
        return fault('invalid', 'A message to the coordinator is neither a declare nor a discharge.')
    }
  }

  #declare(globalId: Term | undefined, session: Session): Decision | AmqpError {
    if (globalId !== undefined && globalId.type !== 'null') return fault('unsupported', 'Distributed transactions (global-id) are not offered.')
    const transaction = session.begin()
    if (transaction === undefined) return errorOf(session.refusal)
    const open = this.#transactions.declare(transaction)
    this.#declared.add(open)
    return { ticket: 0, state: new TermWriter(16).term(described(0x33, list([binary(open.id)]))).bytes(), open: undefined }
  }

  #discharge(id: Term | undefined, fail: Term | undefined, session: Session): Decision | AmqpError | Undoing | Undone | Terminating {
    const open = id?.type === 'binary' ? this.#transactions.find(Buffer.from(id.value).toString('latin1')) : undefined
    if (open === undefined) return UNKNOWN_ID
    const fails = fail?.type === 'boolean' && fail.value
    if (open.partials > 0 && !fails) return PARTIAL
    this.#transactions.close(open)
    this.#declared.delete(open)
    if (fails) {
      const finish = (): Undone => {
        open.transaction.rollback()
        return { undone: open, told: { ticket: 0, state: ACCEPTED_BYTES, open: undefined } }
      }
      return { open, finish }
    }
    if (open.transaction.doomed !== undefined) return { open, finish: () => this.#commit(open, session) }
    return this.#commit(open, session)
  }

  #commit(open: OpenTransaction, session: Session): Decision | Undone {
    const ticket = open.transaction.commit()
    if (ticket !== 0) return { ticket, state: ACCEPTED_BYTES, open }
    const { doomed } = open.transaction
    return { undone: open, told: rolledBack(doomed ?? session.refusal) }
  }

  /** Its link is no more: what its transactions settled is given back, a share at a time. True: there is more. */
  giveBack(count: number): boolean {
    for (const open of this.#declared) if (open.transaction.giveBack(count)) return true
    return false
  }

  /** They are rolled back. Answers which: what their receivers settled is to be tried again. */
  release(): readonly OpenTransaction[] {
    const released = [...this.#declared]
    for (const open of released) {
      this.#transactions.close(open)
      open.transaction.rollback()
    }
    this.#declared.clear()
    return released
  }
}

function commandOf(reader: TermReader): Term | undefined {
  const { buffer } = reader
  const section = splitSections(reader, SECTIONS_MAX).find(({ code }) => code === VALUE)
  return section === undefined ? undefined : reader.over(buffer, section.value, section.end).term()
}

/** What a coordinator's attach is answered with: what it can do (part 4.5.4). */
export const CAPABILITIES = ['amqp:local-transactions', 'amqp:multi-txns-per-ssn', 'amqp:multi-ssns-per-txn']

const PARTIAL: Terminating = {
  terminates: {
    condition: 'amqp:transaction:rollback',
    description: 'The transaction is rolled back: a message of it was only half sent (part 4.4.1).',
  },
}
const ACCEPTED_BYTES = new TermWriter(8).term(described(0x24, list([]))).bytes()
