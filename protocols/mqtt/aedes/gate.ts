// What waits for the core, in order: each goes on when its ticket is done, and never before the one ahead of it. aedes answers in the order in which it is
// let go, so this is where the order of acknowledgements is kept [MQTT-4.6.0-2]. It knows no packet.
import type { BrokerError } from '../../../src/api.ts'

type Waiting = { ticket: number; readonly go: () => void; readonly refuse: ((error: BrokerError) => void) | undefined }

/** Of one that has no ticket yet. */
const PARKED = -1

export class Gate {
  readonly #waiting: Waiting[] = []
  #doneUpTo = 0
  #letting = false

  get size(): number {
    return this.#waiting.length
  }

  /** Goes on when everything up to this ticket is done, and all ahead of it went on. */
  after(ticket: number, go: () => void): void {
    this.#waiting.push({ ticket, go, refuse: undefined })
    this.#let()
  }

  /** It waits for room: `admitted` or `refused` follows. */
  park(go: () => void, refuse: (error: BrokerError) => void): void {
    this.#waiting.push({ ticket: PARKED, go, refuse })
  }

  get parks(): boolean {
    return this.#waiting.some(({ ticket }) => ticket === PARKED)
  }

  admitted(ticket: number): void {
    const oldest = this.#waiting.find((waiting) => waiting.ticket === PARKED)
    if (oldest !== undefined) oldest.ticket = ticket
    this.#let()
  }

  refused(error: BrokerError): void {
    const at = this.#waiting.findIndex((waiting) => waiting.ticket === PARKED)
    if (at < 0) return
    const { refuse } = this.#waiting[at]
    this.#waiting[at] = { ticket: 0, go: () => refuse?.(error), refuse: undefined }
    this.#let()
  }

  done(upTo: number): void {
    this.#doneUpTo = upTo
    this.#let()
  }

  /** Nobody is told any more. */
  clear(): void {
    this.#waiting.length = 0
  }

  #let(): void {
    // Who goes on may ask for more: the loop sees it.
    if (this.#letting) return
    this.#letting = true
    for (let next = this.#waiting[0]; next !== undefined && next.ticket !== PARKED && next.ticket <= this.#doneUpTo; next = this.#waiting[0]) {
      this.#waiting.shift()
      next.go()
    }
    this.#letting = false
  }
}
