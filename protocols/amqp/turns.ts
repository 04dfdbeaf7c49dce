// What waits for the end of a turn, so that it is written or granted once: flows and dispositions of sessions, and credit that goes back to the core.
import type { Channel } from './channel.ts'
import type { LinkCredit } from './link-credit.ts'

export interface TurnsOwner {
  readonly over: boolean
  /** In a turn of its own. */
  inTurn(run: () => void): void
}

export class Turns {
  readonly #owner: TurnsOwner
  readonly #unflushed = new Set<Channel>()
  #flushWaits = false
  readonly #topUps = new Set<LinkCredit>()
  #topUpWaits = false

  constructor(owner: TurnsOwner) {
    this.#owner = owner
  }

  flushLater(channel: Channel): void {
    this.#unflushed.add(channel)
    if (this.#flushWaits) return
    this.#flushWaits = true
    this.#owner.inTurn(() => {
      this.#flushWaits = false
      this.flush()
    })
  }

  flush(): void {
    if (this.#unflushed.size === 0) return
    for (const channel of this.#unflushed) if (!this.#owner.over) channel.flush()
    this.#unflushed.clear()
  }

  /** Credit goes back to the core, not from inside a call of the core. */
  topUpLater(credit: LinkCredit): void {
    this.#topUps.add(credit)
    if (this.#topUpWaits) return
    this.#topUpWaits = true
    this.#owner.inTurn(() => {
      this.#topUpWaits = false
      const all = [...this.#topUps]
      this.#topUps.clear()
      if (!this.#owner.over) for (const each of all) each.topUp()
    })
  }

  /** What waits to be written is not. */
  forget(): void {
    this.#unflushed.clear()
  }

  clear(): void {
    this.#unflushed.clear()
    this.#topUps.clear()
  }
}
