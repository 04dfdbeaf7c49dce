// One disposition of the client's over deliveries of ours (part 2.7.6), looked through in shares: it may name all that is unsettled in 30 bytes.
// Runs of one link are settled together. Not here: what an outcome does to a run (channel.ts), and when the next share comes (connection.ts).
import type { OutgoingLink } from './outgoing-link.ts'
import type { Outcome } from './outcome.ts'
import type { Disposition } from './performatives.ts'

/** Deliveries looked at in one turn: well under a millisecond. */
export const SHARE = 1_000
/** A run costs as much as so many deliveries that follow each other. */
const RUN_COST = 4

export type Unsettled = Readonly<{ link: OutgoingLink; coreTag: number }>
export type Run = { readonly link: OutgoingLink; readonly firstId: number; lastId: number; readonly firstTag: number; lastTag: number }

export class Settling {
  /** By delivery id, in their order. */
  readonly #unsettled: Map<number, Unsettled>
  readonly #told: Disposition
  readonly #settleRun: (run: Run, told: Disposition) => void
  readonly #length: number
  /** They are spoken of once more: what waits for a discharge, and is not settled by the client. */
  readonly #keeps: boolean
  #at = 0
  /** Where fewer are unsettled than the range is long. */
  readonly #all: Iterator<readonly [number, Unsettled]> | undefined
  #run: Run | undefined
  #left = 0

  constructor(unsettled: Map<number, Unsettled>, told: Disposition, settleRun: (run: Run, told: Disposition) => void) {
    this.#unsettled = unsettled
    this.#told = told
    this.#settleRun = settleRun
    this.#length = (told.last - told.first) >>> 0
    this.#keeps = told.outcome?.kind === 'transactional' && !told.settled
    this.#all = this.#length < unsettled.size ? undefined : unsettled.entries()
  }

  /** Looks at so many. True: there are more. */
  share(deliveries: number): boolean {
    this.#left = deliveries
    const more = this.#all === undefined ? this.#byId() : this.#byEntry(this.#all)
    const run = this.#run
    this.#run = undefined
    if (run !== undefined) this.#settleRun(run, this.#told)
    return more
  }

  #byId(): boolean {
    for (; this.#at <= this.#length; this.#at++) {
      if (this.#left <= 0) return true
      const id = (this.#told.first + this.#at) >>> 0
      const unsettled = this.#unsettled.get(id)
      this.#left--
      if (unsettled !== undefined) this.#take(id, unsettled)
    }
    return false
  }

  #byEntry(all: Iterator<readonly [number, Unsettled]>): boolean {
    while (this.#left > 0) {
      const { done, value } = all.next()
      // What was sent since comes last.
      if (done === true || ((value[0] - this.#told.last) | 0) > 0) return false
      this.#left--
      if ((value[0] - this.#told.first) >>> 0 <= this.#length) this.#take(value[0], value[1])
    }
    return true
  }

  #take(id: number, { link, coreTag }: Unsettled): void {
    if (!this.#keeps) this.#unsettled.delete(id)
    const run = this.#run
    if (run !== undefined && run.link === link && run.lastTag + 1 === coreTag && run.lastId + 1 === id) {
      run.lastTag++
      run.lastId++
      return
    }
    this.#left -= RUN_COST
    if (run !== undefined) this.#settleRun(run, this.#told)
    this.#run = { link, firstId: id, lastId: id, firstTag: coreTag, lastTag: coreTag }
  }
}

/** What comes back to its place comes back at once: in shares, what is behind it would be given out in between. */
export function inShares(outcome: Outcome | undefined): boolean {
  return outcome?.kind === 'transactional' || outcome?.kind === 'accepted' || outcome?.kind === 'rejected'
}
