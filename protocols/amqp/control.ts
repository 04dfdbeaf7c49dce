// A control link (part 4.2): its messages are commands to the coordinator. What they ask for is done, in shares where it may be much, and answered.
// Not here: what the commands say and do (coordinator.ts).
import type { BrokerError, Session } from '../../src/api.ts'
import type { Channel } from './channel.ts'
import type { Coordinator, Decision, Undone } from './coordinator.ts'
import { type AmqpError, fault } from './errors.ts'
import type { IncomingLink } from './incoming-link.ts'
import type { TermReader } from './reader.ts'
import { NOBODY } from './remembered.ts'
import { SHARE } from './settling.ts'
import type { Term } from './term.ts'
import { namesOf } from './terminus.ts'
import { rolledBack } from './transactions.ts'
import type { Due, Verdicts } from './verdicts.ts'

export class Control {
  readonly #link: IncomingLink
  readonly #channel: Channel
  readonly #coordinator: Coordinator
  readonly #verdicts: Verdicts
  /** The link is over, and transactions of it are still being rolled back. */
  undoing = false

  constructor(link: IncomingLink, channel: Channel, coordinator: Coordinator, verdicts: Verdicts) {
    this.#link = link
    this.#channel = channel
    this.#coordinator = coordinator
    this.#verdicts = verdicts
  }

  /** Does what the message that `reader` is over asks for. */
  command(id: number, reader: TermReader, session: Session): void {
    if (id === NOBODY) {
      this.#link.fail(fault('invalid', 'A message to the coordinator is settled: its answer could not be told.'))
      return
    }
    const decision = this.#coordinator.command(reader, session)
    if ('terminates' in decision) this.#link.fail(decision.terminates)
    else if ('finish' in decision) {
      const { open, finish } = decision
      this.#channel.connection.inShares(
        () => open.transaction.giveBack(SHARE),
        () => this.#decide(id, finish()),
      )
    } else this.#decide(id, decision)
  }

  #decide(id: number, decision: Decision | AmqpError | Undone): void {
    if ('undone' in decision) {
      const { undone, told } = decision
      this.#channel.connection.inShares(
        () => undone.abort(SHARE),
        () => this.#decide(id, told),
      )
      return
    }
    if ('condition' in decision) {
      this.#verdicts.refuse(id, decision)
      return
    }
    const due: Due = { id, state: decision.state, open: decision.open, settled: false, channel: this.#channel }
    if (decision.ticket < 0) this.#verdicts.park(due)
    else this.#verdicts.owe(decision.ticket, due)
  }

  /** A commit that waited for sends of its transaction. */
  notCommitted(due: Due, error: BrokerError): void {
    if (typeof due === 'number') return
    const { open, id } = due
    this.#channel.connection.inShares(
      () => open?.abort(SHARE) === true,
      () => {
        if (this.#link.over) return
        this.#verdicts.refuse(id, rolledBack(error))
        this.#channel.connection.flush()
      },
    )
  }

  /** The link is over: the transactions that its client declared here, and did not discharge, are rolled back. */
  undo(whenDone: () => void): void {
    this.undoing = true
    this.#channel.connection.inShares(
      () => this.#coordinator.giveBack(SHARE),
      () => {
        const released = this.#coordinator.release()
        this.#channel.connection.inShares(
          () => released.some((open) => open.abort(SHARE)),
          () => {
            this.undoing = false
            whenDone()
          },
        )
      },
    )
  }

  /** The same at once, since nobody is there who could be held up. */
  close(): void {
    for (const open of this.#coordinator.release()) open.abort(Number.POSITIVE_INFINITY)
  }
}

/** Whether a link can be told so what its coordinator could not do; else it is told by its end (parts 4.2, 4.3). A source that names no outcomes takes all. */
export function knowsRejected(outcomes: Term | undefined): boolean {
  return outcomes === undefined || namesOf(outcomes).includes('amqp:rejected:list')
}
