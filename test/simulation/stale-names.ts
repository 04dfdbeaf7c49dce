// What a process sees of a directory whose entries its machine keeps in a cache, as NFS does: names as they were at some time, at most so long ago.
// Its own changes it sees at once; what it looks up at the server (an exclusive create, a link) is never old.

export interface Staleness {
  readonly maxMs: number
  nowMs(): number
  /** Chance that a look asks the server although the cache is young enough. */
  asks(): boolean
}

export interface PastNames<Entry> {
  /** These were the names until then. */
  readonly untilMs: number
  readonly names: ReadonlyMap<string, Entry>
}

export class StaleNames<Entry> {
  readonly #staleness: Staleness
  #asOfMs = -1
  #own = new Map<string, Entry | undefined>()

  constructor(staleness: Staleness) {
    this.#staleness = staleness
  }

  changed(remove: string, name: string, entry: Entry | undefined): void {
    if (remove !== '') this.#own.set(remove, undefined)
    if (name !== '') this.#own.set(name, entry)
  }

  see(names: ReadonlyMap<string, Entry>, past: readonly PastNames<Entry>[]): ReadonlyMap<string, Entry> {
    const nowMs = this.#staleness.nowMs()
    if (this.#asOfMs < 0 || nowMs - this.#asOfMs > this.#staleness.maxMs || this.#staleness.asks()) {
      this.#asOfMs = nowMs
      this.#own.clear()
      return names
    }
    const then = past.find((one) => one.untilMs > this.#asOfMs)?.names ?? names
    if (this.#own.size === 0) return then
    const seen = new Map(then)
    for (const [name, entry] of this.#own) {
      if (entry === undefined) seen.delete(name)
      else seen.set(name, entry)
    }
    return seen
  }
}
