// One transaction as its client knows it: what it sent, what it settled, and what became of it; and whether that fits together in the end.
import type { Place, Sent } from './sent.ts'

/** `asked`: its commit is under way, or its leader was lost before that was answered. `undone`: it was rolled back, or lost before anybody asked. */
export type Fate = 'open' | 'asked' | 'committed' | 'undone'

export class Work {
  readonly name: string
  readonly epoch: number
  fate: Fate = 'open'
  /** Its commit is in this batch at the latest. */
  batch = Number.POSITIVE_INFINITY
  readonly sends: Sent[] = []
  /** What it settled. */
  readonly #claims: { readonly place: Place; readonly durable: boolean }[] = []
  /** Of those, given out again by a later leader, who has read everything. */
  readonly back = new Set<Place>()

  constructor(name: string, epoch: number) {
    this.name = name
    this.epoch = epoch
  }

  send(sent: Sent): void {
    this.sends.push(sent)
    sent.work = this
  }

  claim(place: Place, durable: boolean): void {
    place.settled = 'claimed'
    place.work = this
    this.#claims.push({ place, durable })
  }

  /** Nothing of it happens. */
  undo(): void {
    this.fate = 'undone'
    for (const sent of this.sends) sent.told = 'refused'
    for (const { place } of this.#claims) {
      if (place.work !== this) continue
      place.settled = 'no'
      place.work = undefined
    }
  }

  commit(): void {
    this.fate = 'committed'
    for (const sent of this.sends) sent.told = 'acknowledged'
    for (const { place } of this.#claims) if (place.work === this) place.settled = 'answered'
  }

  /** Why it is neither whole nor nothing; `reached` says whether a message is or was on a queue. Everything that is there must have been given out. */
  halves(reached: (sent: Sent, queue: string) => boolean): string | undefined {
    if (this.fate !== 'asked' && this.fate !== 'committed') return undefined
    let came = 0
    let all = 0
    for (const sent of this.sends) {
      if (!sent.durable) continue
      all += sent.places.size
      for (const queue of sent.places.keys()) if (reached(sent, queue)) came += 1
    }
    // Volatile messages may go with their leader.
    const durable = this.#claims.filter((claim) => claim.durable)
    const claimed = durable.length
    const back = durable.filter(({ place }) => this.back.has(place)).length
    const what = `${came} of its ${all} messages are there, and ${back} of the ${claimed} that it settled are back`
    if (this.fate === 'committed') return came < all || back > 0 ? `${this.name} was committed: ${what}` : undefined
    const happened = came === all && back === 0
    const vanished = came === 0 && back === claimed
    return happened || vanished ? undefined : `${this.name} was not answered: ${what}`
  }
}
