// Heart-beats of one connection, both ways (STOMP 1.1, 1.2 "Heart-beating"), on the broker's coarse shared schedule: one pending check
// per direction, re-armed lazily, nothing per frame but a note of the time.
import type { Broker } from '../../src/api.ts'

export type Intervals = Readonly<{ sendMs: number; receiveMs: number }>

/** `wanted` is the client's header `cx,cy`; undefined when it is malformed. 0: none in that direction. */
export function negotiate(wanted: string | undefined, offer: Intervals): Intervals | undefined {
  if (wanted === undefined) return { sendMs: 0, receiveMs: 0 }
  const match = /^ *(\d{1,10}) *, *(\d{1,10}) *$/.exec(wanted)
  if (match === null) return undefined
  const canSend = Number(match[1])
  const wants = Number(match[2])
  return {
    sendMs: wants === 0 || offer.sendMs === 0 ? 0 : Math.max(wants, offer.sendMs),
    receiveMs: canSend === 0 || offer.receiveMs === 0 ? 0 : Math.max(canSend, offer.receiveMs),
  }
}

export interface HeartBeatOwner {
  /** Nothing was written for long enough. */
  beat(): void
  /** Nothing was read for too long. */
  silent(): void
  /** Reading was stopped by ourselves: silence proves nothing. */
  readonly paused: boolean
}

export class HeartBeat {
  readonly #broker: Broker
  readonly #owner: HeartBeatOwner
  readonly #sendMs: number
  readonly #silenceMs: number
  #wroteMs: number
  #readMs: number
  #cancelSend: (() => void) | undefined
  #cancelReceive: (() => void) | undefined

  constructor(broker: Broker, owner: HeartBeatOwner, intervals: Intervals, grace: number) {
    this.#broker = broker
    this.#owner = owner
    // The schedule is coarse (250 ms): early enough that the promise is kept although it runs late.
    this.#sendMs = intervals.sendMs === 0 ? 0 : Math.max(intervals.sendMs / 2, intervals.sendMs - 1000)
    this.#silenceMs = intervals.receiveMs * grace
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
