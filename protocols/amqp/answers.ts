// What we say of the deliveries that a client sent in one session (part 2.7.6). Accepted ones that follow each other are told by one disposition.
// Not here: what becomes of them (incoming-link.ts, verdicts.ts).
import type { Channel } from './channel.ts'
import type { AmqpError } from './errors.ts'
import { disposition } from './frames.ts'
import type { IncomingLink } from './incoming-link.ts'
import { ACCEPTED_BYTES, outcomeBytes } from './outcome.ts'
import type { Disposition } from './performatives.ts'
import { SHARE } from './settling.ts'

export class Answers {
  readonly #channel: Channel
  // A run of accepted deliveries that one disposition tells.
  #first = 0
  #last = 0
  #count = 0
  #settled = true
  /** Accepted by us, to be settled by the client first (rcv-settle-mode second). */
  readonly #halfSettled = new Map<number, IncomingLink>()

  constructor(channel: Channel) {
    this.#channel = channel
  }

  accept(id: number): void {
    this.#accepted(id, true)
  }

  /** We have it; the client settles first. */
  acceptFirst(id: number, link: IncomingLink): void {
    this.#halfSettled.set(id, link)
    this.#accepted(id, false)
  }

  #accepted(id: number, settled: boolean): void {
    if (this.#count > 0 && this.#settled === settled && (this.#last + 1) >>> 0 === id) {
      this.#last = id
      this.#count++
      return
    }
    this.flush()
    this.#first = id
    this.#last = id
    this.#count = 1
    this.#settled = settled
    this.#channel.connection.turns.flushLater(this.#channel)
  }

  /** Tells the run. */
  flush(): void {
    if (this.#count === 0) return
    this.#count = 0
    this.#write(this.#first, this.#last, this.#settled, ACCEPTED_BYTES)
  }

  /** A delivery of the client's has this state, which is written already. */
  tell(id: number, state: Buffer, settled: boolean, link: IncomingLink): void {
    this.flush()
    if (!settled) this.#halfSettled.set(id, link)
    this.#write(id, id, settled, state)
  }

  reject(id: number, error: AmqpError): void {
    this.flush()
    this.#write(id, id, true, outcomeBytes({ kind: 'rejected', reason: '' }, error))
  }

  #write(first: number, last: number, settled: boolean, state: Buffer): void {
    this.#channel.connection.write(disposition(this.#channel.number, true, first, last, settled, state))
  }

  /** The client settles what it sent. */
  settledByClient({ first, last }: Disposition): void {
    const length = (last - first) >>> 0
    const all = this.#halfSettled.entries()
    this.#channel.connection.inShares(() => {
      for (let left = SHARE; left > 0; left--) {
        const { done, value } = all.next()
        if (done === true) return false
        if ((value[0] - first) >>> 0 > length) continue
        this.#halfSettled.delete(value[0])
        value[1].settledByBoth(value[0])
      }
      return true
    })
  }

  forget(link: IncomingLink): void {
    for (const [id, half] of this.#halfSettled) if (half === link) this.#halfSettled.delete(id)
  }

  /** Nobody is told any more. */
  clear(): void {
    this.#halfSettled.clear()
    this.#count = 0
  }
}
