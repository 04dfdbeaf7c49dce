// What the wires of one process share on their way out: the flush at the end of a turn, and one budget of bytes that wait for slow readers.
import type { Clock } from '../api.ts'
import type { Limits } from '../config/settings.ts'
import { Pages } from './pages.ts'

/** A wire as its output is seen from here. */
export interface Outgoing {
  /** Hands what was gathered to the operating system. */
  flush(): void
  /** Bytes that wait, as last counted by `Output.count`. */
  readonly countedBytes: number
  /** The process has too many bytes waiting and this wire the most of them. */
  overrun(): void
}

export class Output {
  readonly limits: Limits
  readonly pages = new Pages()
  /** Bytes that wait, of all wires together. */
  usedBytes = 0
  readonly #clock: Clock
  /** Wires that gathered something in this turn. */
  #gathered: Outgoing[] = []
  #flushing: Outgoing[] = []
  readonly #all: ReadonlySet<Outgoing>
  readonly #run = (): void => this.#flush()

  constructor(clock: Clock, limits: Limits, all: ReadonlySet<Outgoing>) {
    this.#clock = clock
    this.limits = limits
    this.#all = all
  }

  /** Flushes this wire at the end of the turn. */
  gather(wire: Outgoing): void {
    if (this.#gathered.push(wire) === 1) this.#clock.turn(this.#run)
  }

  /** The high mark shrinks once half of the budget is used, so that many slow readers stop before one of them must go. */
  get highBytes(): number {
    return this.usedBytes * 2 > this.limits.outputTotalBytes ? this.limits.outputLowBytes : this.limits.outputHighBytes
  }

  /** `change` more bytes wait. Over the budget the wires with the longest backlog end, until the rest fits. */
  count(change: number): void {
    this.usedBytes += change
    while (change > 0 && this.usedBytes > this.limits.outputTotalBytes) {
      let longest: Outgoing | undefined
      for (const wire of this.#all) if (wire.countedBytes > (longest?.countedBytes ?? 0)) longest = wire
      if (longest === undefined) return
      longest.overrun()
    }
  }

  #flush(): void {
    // A flush may make a front end write again: that joins the next turn's list.
    const wires = this.#gathered
    this.#gathered = this.#flushing
    this.#flushing = wires
    for (const wire of wires) wire.flush()
    wires.length = 0
  }
}
