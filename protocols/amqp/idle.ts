// Idle time-outs of one connection, both ways (part 2.4.5), on the broker's coarse shared schedule: one pending check per direction,
// re-armed lazily, nothing per frame but a note of the time.
import type { Broker } from '../../src/api.ts'

export interface IdleOwner {
  /** Nothing was written for long enough: an empty frame is due. */
  beat(): void
  /** Nothing was read for too long. */
  silent(): void
  /** Reading was stopped by ourselves: silence proves nothing. */
  readonly paused: boolean
}

export class Idle {
  readonly #broker: Broker
  readonly #owner: IdleOwner
  readonly #sendMs: number
  readonly #silenceMs: number
  #wroteMs: number
  #readMs: number
  #cancelSend: (() => void) | undefined
  #cancelReceive: (() => void) | undefined

  /** `askedMs`: the peer's idle-time-out; `oursMs`: ours. 0: none. */
  constructor(broker: Broker, owner: IdleOwner, askedMs: number, oursMs: number) {
    this.#broker = broker
    this.#owner = owner
    // Half of what was asked, less what the schedule may run late (250 ms).
    this.#sendMs = askedMs === 0 ? 0 : Math.max(100, askedMs / 2 - 250)
    this.#silenceMs = oursMs * 2
    this.#wroteMs = broker.clock.monoMs()
    this.#readMs = this.#wroteMs
    if (this.#sendMs > 0) this.#armSend(this.#sendMs)
    if (this.#silenceMs > 0) this.#armReceive(this.#silenceMs)
  }

  wrote(): void {
    if (this.#sendMs > 0) this.#wroteMs = this.#broker.clock.monoMs()
  }

  read(): void {
    if (this.#silenceMs > 0) this.#readMs = this.#broker.clock.monoMs()
  }

  stop(): void {
    this.#cancelSend?.()
    this.#cancelReceive?.()
  }

  #armSend(delayMs: number): void {
    this.#cancelSend = this.#broker.schedule(delayMs, () => {
      const left = this.#wroteMs + this.#sendMs - this.#broker.clock.monoMs()
      if (left <= 0) {
        this.#owner.beat()
        this.wrote()
      }
      this.#armSend(left > 0 ? left : this.#sendMs)
    })
  }

  #armReceive(delayMs: number): void {
    this.#cancelReceive = this.#broker.schedule(delayMs, () => {
      if (this.#owner.paused) this.read()
      const left = this.#readMs + this.#silenceMs - this.#broker.clock.monoMs()
      if (left > 0) this.#armReceive(left)
      else this.#owner.silent()
    })
  }
}
