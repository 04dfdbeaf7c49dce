// What a link that is attached again sends again (part 2.6.13), in its order and before anything new: settled where its receiver said what became of it,
// else what is missing of the message. Not here: which deliveries these are (resuming.ts).
import type { Channel } from './channel.ts'
import { DIALECT } from './incoming-message.ts'
import { isTerminal, outcomeBytes, readOutcome, RELEASED } from './outcome.ts'
import type { OutgoingLink } from './outgoing-link.ts'
import { missing, type Resumption } from './resuming.ts'
import { TermWriter } from './writer.ts'

export class Resending {
  readonly #link: OutgoingLink
  readonly #channel: Channel
  #left: Resumption[] = []
  /** What was said to be unsettled, by either side, is not all: nothing new may go. */
  only: boolean

  constructor(link: OutgoingLink, channel: Channel) {
    this.#link = link
    this.#channel = channel
    this.only = link.attach.incomplete
  }

  begin(resumptions: Resumption[]): void {
    this.#left = resumptions
  }

  /** Sends as much as there is credit for. True: something new may come. */
  isDone(): boolean {
    if (this.#left.length > 0) this.#some()
    return !this.only && this.#left.length === 0
  }

  #some(): void {
    const { credit } = this.#link
    for (let turn = RESUMED_PER_TURN; credit.left > 0 && turn > 0; turn--) {
      const next = this.#left.shift()
      if (next === undefined) return
      this.#one(next)
    }
    if (credit.left > 0 && this.#left.length > 0) this.#link.topUpLater()
  }

  #one({ delivery, state }: Resumption): void {
    const { broker, settings } = this.#channel.connection.shared
    const link = this.#link
    const { ref, attempts, tag } = delivery
    const said = state === undefined ? undefined : readOutcome(state)
    const ours = delivery.message.dialect === DIALECT ? delivery.message : broker.translate(delivery.message, DIALECT)
    const outcome = said !== undefined && isTerminal(said) ? said : ours === undefined ? RELEASED : undefined
    if (outcome !== undefined) {
      link.settleInHand(tag, tag, outcome, false)
      link.credit.unsettled--
      link.credit.queued()
      this.#channel.outbox.send(link, { ref, attempts, coreTag: 0, settled: true, state: outcomeBytes(outcome), parts: [] })
      return
    }
    const whole = ours === undefined ? [] : link.rendering.partsOf(delivery, ours, broker.clock.wallMs())
    const { parts, from } = missing(whole, state, settings)
    link.credit.queued()
    this.#channel.outbox.send(link, { ref, attempts, coreTag: tag, settled: false, state: new TermWriter(16).term(from).bytes(), parts })
  }
}

const RESUMED_PER_TURN = 500
