// The handles of one session's links (part 2.6.2): ours that are in use, and those of the client's that we detached and it has not yet.
import type { Link } from './channel.ts'
import type { Attach } from './performatives.ts'

export class Handles {
  readonly #max: number
  readonly #own = new Set<number>()
  /** The client's that we detached and it has not yet; whether its client has no reason to go on with it. */
  readonly #detached = new Map<number, boolean>()
  /** Of those, the links that had been served: nobody attaches one again before it has been told that it is no more (part 2.6.5). */
  readonly #errant = new Map<number, Link>()

  /** `max`: the highest that the client takes. */
  constructor(max: number) {
    this.#max = max
  }

  /** The lowest of ours that is free; undefined: none is that the client takes (part 2.7.2, handle-max). */
  take(): number | undefined {
    let free = 0
    while (this.#own.has(free)) free++
    if (free > this.#max) return undefined
    this.#own.add(free)
    return free
  }

  free(own: number): void {
    this.#own.delete(own)
  }

  /** We detached a link of the client's that had been attached; an answered one is not to be attached again before it has detached too. */
  detached(link: Link): void {
    this.#detached.set(link.incoming, link.answered)
    if (link.answered) this.#errant.set(link.incoming, link)
  }

  /** The same of one that was never served, or that another took over. `errant`: its client has no reason to go on with it. */
  refused(handle: number, errant: boolean): void {
    this.#detached.set(handle, errant)
  }

  /** The client's answer to our detach. */
  detachedByBoth(handle: number): void {
    this.#detached.delete(handle)
    this.#errant.delete(handle)
  }

  /** Of a link that we detached: whether its client has no reason to go on with it. undefined: we detached none of this handle. */
  errantOf(handle: number): boolean | undefined {
    return this.#detached.get(handle)
  }

  /** True: the client speaks to a link that we detached; it does not know yet. */
  isDetached(handle: number): boolean {
    return this.#detached.has(handle)
  }

  /** An attach of a link that we ended, by a client that does not know it: one that did would say what it has unsettled. */
  isErrant({ name, receives, unsettled }: Attach): boolean {
    if (this.#errant.size === 0 || unsettled !== undefined) return false
    return [...this.#errant.values()].some((link) => link.receives === receives && link.attach.name === name)
  }
}
