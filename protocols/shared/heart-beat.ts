// Signs of life of one connection, both ways, on the broker's coarse shared schedule: one pending check per direction, re-armed lazily, nothing per frame but
// a note of the time. Not here: what a protocol lets its sides ask for, and what a beat looks like.
import type { Broker } from '../../src/api.ts'

/** How late the schedule may run. */
export const SCHEDULE_LATE_MS = 250

export interface HeartBeatOwner {
  /** Nothing was written for long enough: a beat is due. */
  beat(): void
  /** Nothing was read for too long. */
  silent(): void
  /** Reading was stopped by ourselves: silence proves nothing. */
  readonly paused: boolean
}

/** After how long without a write a beat is due, and after how long without a read its client counts as gone. 0: never. */
export type HeartBeatTimes = Readonly<{ beatAfterMs: number; silenceMaxMs: number }>

export class HeartBeat {
  readonly #broker: Broker
  readonly #owner: HeartBeatOwner
  readonly #beatAfterMs: number
  readonly #silenceMaxMs: number
  #wroteMs: number
  #readMs: number
  #cancelSend: (() => void) | undefined
  #cancelReceive: (() => void) | undefined

  constructor(broker: Broker, owner: HeartBeatOwner, { beatAfterMs, silenceMaxMs }: HeartBeatTimes) {
    this.#broker = broker
    this.#owner = owner
    this.#beatAfterMs = beatAfterMs
    this.#silenceMaxMs = silenceMaxMs
    this.#wroteMs = broker.clock.monoMs()
    this.#readMs = this.#wroteMs
    if (beatAfterMs > 0) this.#armSend(beatAfterMs)
    if (silenceMaxMs > 0) this.#armReceive(silenceMaxMs)
  }

  wrote(): void {
    if (this.#beatAfterMs > 0) this.#wroteMs = this.#broker.clock.monoMs()
  }

  read(): void {
    if (this.#silenceMaxMs > 0) this.#readMs = this.#broker.clock.monoMs()
  }

  stop(): void {
    this.#cancelSend?.()
    this.#cancelReceive?.()
  }

  #armSend(delayMs: number): void {
    this.#cancelSend = this.#broker.schedule(delayMs, () => {
      const left = this.#wroteMs + this.#beatAfterMs - this.#broker.clock.monoMs()
      if (left <= 0) {
        this.#owner.beat()
        this.wrote()
      }
      this.#armSend(left > 0 ? left : this.#beatAfterMs)
    })
  }

  #armReceive(delayMs: number): void {
    this.#cancelReceive = this.#broker.schedule(delayMs, () => {
      if (this.#owner.paused) this.read()
      const left = this.#readMs + this.#silenceMaxMs - this.#broker.clock.monoMs()
      if (left > 0) this.#armReceive(left)
      else this.#owner.silent()
    })
  }
}
