// Who was promised what, for hours: as the ledger of the crash test, but what was acknowledged and came is forgotten, so that memory does not
// grow with time. It therefore cannot tell a settlement that was forgotten; what it tells is loss.
import type { Judge } from '../crash/actor.ts'

export class RunningAccount implements Judge {
  acknowledgedCount = 0
  deliveries = 0
  readonly #producers = new Map<string, Set<number>>()
  readonly #recipients = new Map<string, Map<string, Came>>()

  producer(name: string): void {
    this.#producers.set(name, new Set())
  }

  recipient(name: string, producers: readonly string[]): void {
    this.#recipients.set(name, new Map(producers.map((producer) => [producer, { upTo: -1, beyond: new Set(), owed: new Set() }])))
  }

  sent(): void {}

  notBefore(): void {}

  acknowledged(producer: string, number: number): void {
    this.acknowledgedCount++
    for (const accounts of this.#recipients.values()) {
      const account = accounts.get(producer)
      if (account !== undefined && number > account.upTo && !account.beyond.delete(number)) account.owed.add(number)
    }
  }

  delivered(recipient: string, _connection: number, producer: string, number: number): void {
    const account = this.#recipients.get(recipient)?.get(producer)
    if (account === undefined) throw new Error(`${recipient} got ${producer} ${number}, which was not for it`)
    this.deliveries++
    if (account.owed.delete(number)) return
    // Struck off when it is acknowledged. What never will be (its producer's connection broke, or it came once more) is bounded here.
    if (number > account.upTo) account.beyond.add(number)
    if (account.beyond.size > UNACKNOWLEDGED_MAX) forgetOldest(account)
  }

  settling(): void {}

  answered(): void {}

  /** Acknowledged and not delivered yet, by recipient and producer, at most a few of each. */
  missing(): string[] {
    const found: string[] = []
    for (const [name, accounts] of this.#recipients) {
      for (const [producer, { owed }] of accounts) {
        if (owed.size > 0) found.push(`${name} never got ${owed.size} of ${producer}: ${[...owed].slice(0, 10).join(', ')}`)
      }
    }
    return found
  }
}

const UNACKNOWLEDGED_MAX = 10_000

interface Came {
  /** Numbers up to this are not judged any more. */
  upTo: number
  /** Delivered, not (yet) acknowledged. */
  readonly beyond: Set<number>
  /** Acknowledged, not (yet) delivered. */
  readonly owed: Set<number>
}

function forgetOldest(account: Came): void {
  for (const number of account.beyond) {
    if (account.beyond.size <= UNACKNOWLEDGED_MAX / 2) return
    account.beyond.delete(number)
    account.upTo = Math.max(account.upTo, number)
  }
}
