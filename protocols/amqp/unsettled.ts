// What one session sent and its client has not settled (part 2.7.6), by delivery id; and what the client's dispositions do to it.
// Not here: how a range is looked through (settling.ts), what an outcome does to a message (outgoing-link.ts).
import type { Ticket } from '../../src/api.ts'
import type { Channel } from './channel.ts'
import { fault } from './errors.ts'
import { disposition } from './frames.ts'
import { isTerminal, type Outcome, outcomeBytes } from './outcome.ts'
import type { OutgoingLink } from './outgoing-link.ts'
import type { Disposition } from './performatives.ts'
import { inShares, type Run, Settling, SHARE, type Unsettled } from './settling.ts'

export class UnsettledDeliveries {
  readonly #channel: Channel
  readonly #byId = new Map<number, Unsettled>()

  constructor(channel: Channel) {
    this.#channel = channel
  }

  add(id: number, unsettled: Unsettled): void {
    this.#byId.set(id, unsettled)
  }

  /** A disposition of these is for nobody any more. */
  forget(link: OutgoingLink): void {
    if (link.credit.unsettled > 0) for (const [id, unsettled] of this.#byId) if (unsettled.link === link) this.#byId.delete(id)
  }

  clear(): void {
    this.#byId.clear()
  }

  /** The client's word on what we sent. */
  settle(told: Disposition): void {
    const { first, last } = told
    const { connection, outbox } = this.#channel
    const lastSent = outbox.nextDeliveryId - 1
    // What was never sent cannot be settled; what was settled before may be said again. A range is as long as what is unsettled, never longer.
    if (((lastSent - last) | 0) < 0 || ((last - first) | 0) < 0) {
      this.#channel.end(fault('invalid', `A disposition speaks of deliveries ${first} to ${last}, and the last one sent is ${lastSent >>> 0}.`))
      return
    }
    const within = told.outcome?.kind === 'transactional' ? told.outcome : undefined
    if (!told.settled && within?.outcome === undefined && (told.outcome === undefined || !isTerminal(told.outcome))) return
    const settling = new Settling(this.#byId, told, this.#settleRun)
    if (inShares(told.outcome)) connection.inShares(() => this.#share(settling, told))
    else settling.share(Number.POSITIVE_INFINITY)
  }

  /** True: there is more. */
  #share(settling: Settling, told: Disposition): boolean {
    return !this.#channel.ending && !this.#isLost(told) && settling.share(SHARE)
  }

  /** Of a transaction that is lost, what is not settled is as it was: nobody makes us look through a range again and again. */
  #isLost({ settled, outcome }: Disposition): boolean {
    if (settled || outcome?.kind !== 'transactional') return false
    const open = this.#channel.connection.transactions.find(outcome.id)
    return open === undefined || open.transaction.doomed !== undefined
  }

  readonly #settleRun = (run: Run, { settled, outcome }: Disposition): void => {
    if (outcome?.kind === 'transactional') {
      const open = this.#channel.connection.transactions.find(outcome.id)
      if (open !== undefined) run.link.settleWithin(open, run.firstTag, run.lastTag, outcome.outcome, settled)
      return
    }
    const ticket = run.link.settle(run.firstTag, run.lastTag, outcome, !settled)
    // Settled first by the client: nobody waits for it. Else we settle once it is durable (part 2.6.12).
    if (settled || outcome === undefined || !isTerminal(outcome)) return
    this.#answerSettled(run, ticket, outcome)
  }

  #answerSettled({ link, firstId, lastId }: Run, ticket: Ticket, outcome: Outcome): void {
    if (!isTerminal(outcome)) return
    const channel = this.#channel
    const bytes = disposition(channel.number, false, firstId, lastId, true, outcomeBytes(outcome))
    link.after(ticket, () => {
      if (!channel.ending) channel.connection.write(bytes)
    })
  }
}
