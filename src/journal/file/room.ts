// How much the journal still admits, and whether producers are refused for it. What publishes may have ends before what settlements may have: the
// reserve is theirs alone, so a full journal drains. Once refused, publishes are let in again only when some room has come.
// How many bytes there are to give is for `file-journal.ts` to say.
import type { Clock } from '../../api.ts'
import { BATCH_BYTES_MAX } from './batch.ts'

export class Room {
  /** Bytes left. Whoever takes some takes them from both. */
  publish = 0
  drain = 0
  readonly #clock: Clock
  readonly #reserveBytes: number
  readonly #full: (full: boolean) => void
  #refusing = false
  #told = false
  #over = false

  constructor(clock: Clock, reserveBytes: number, full: (full: boolean) => void) {
    this.#clock = clock
    this.#reserveBytes = reserveBytes
    this.#full = full
  }

  /** A publish did not fit. */
  refused(): void {
    if (this.#refusing || this.#over) return
    this.#refusing = true
    this.publish = -1
    this.#tell()
  }

  /** So many bytes may still be admitted, the reserve among them. */
  assess(bytes: number): void {
    if (this.#over) return
    this.drain = bytes
    const forPublish = bytes - this.#reserveBytes
    if (this.#refusing && forPublish > Math.min(this.#reserveBytes / 8, BATCH_BYTES_MAX)) {
      this.#refusing = false
      this.#tell()
    }
    this.publish = this.#refusing ? -1 : forPublish
  }

  /** Nothing is admitted any more. */
  end(): void {
    this.#over = true
    this.publish = this.drain = -1
  }

  /** At the end of the turn, never inside a call of the core. */
  #tell(): void {
    this.#clock.turn(() => {
      if (this.#over || this.#told === this.#refusing) return
      this.#told = this.#refusing
      this.#full(this.#refusing)
    })
  }
}
