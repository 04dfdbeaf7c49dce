// Expiry, delays, leases: one wheel for all entries and expiring retained messages, one timer of the clock for the wheel.
import { mark } from '../loop-gap.ts'
import { DEAD, MARK, STATE, STATE_OF } from './entries.ts'
import type { Live } from './live.ts'
import { EXPIRES } from './messages.ts'
import { REASON } from './recorder.ts'
import type { Retained } from './state.ts'
import { Wheel } from './wheel.ts'

export const DEADLINE = {
  /** Its message expires. */
  expiry: 0,
  /** A delay or a lease is over. */
  wake: 1,
  /** A topic's retained message expires; the number is the message's. */
  retained: 2,
  /** A job is to be fired; the number is its own. */
  job: 3,
} as const

/** Deadlines handled a turn. */
const DUE_MAX = 1_000
/** Longest the wheel sleeps: a wall clock set forward is noticed after this. */
const WHEEL_SLEEP_MAX_MS = 1_000

export class Deadlines {
  readonly #live: Live
  readonly #wheel: Wheel
  /** Retained messages that expire, by message. */
  readonly #expiringRetained = new Map<number, Retained>()
  #atMs = Number.POSITIVE_INFINITY
  #cancel: (() => void) | undefined

  constructor(live: Live) {
    this.#live = live
    this.#wheel = new Wheel(live.clock.wallMs())
  }

  /** One deadline a row and kind: a second replaces the first. */
  set(row: number, kind: number, atMs: number): void {
    this.#wheel.set(row, kind, atMs)
    this.#arm()
  }

  #arm(): void {
    const at = this.#wheel.nextMs()
    if (at >= this.#atMs || at === Number.POSITIVE_INFINITY) return
    this.#cancel?.()
    this.#atMs = at
    const delay = Math.min(Math.max(0, at - this.#live.clock.wallMs()), WHEEL_SLEEP_MAX_MS)
    this.#cancel = this.#live.clock.after(delay, this.#onTime)
  }

  readonly #onTime = (): void => {
    this.#atMs = Number.POSITIVE_INFINITY
    if (this.#live.lost !== undefined) return
    mark('deadlines', this.#wheel.size)
    const due = this.#wheel.due(this.#live.clock.wallMs(), DUE_MAX, this.#onDue)
    if (due === DUE_MAX) this.#live.clock.turn(this.#onTime)
    else this.#arm()
  }

  clear(row: number, kind: number): void {
    this.#wheel.clear(row, kind)
  }

  stop(): void {
    this.#cancel?.()
  }

  /** A topic keeps a message that expires. */
  retained(retained: Retained): void {
    const expires = this.#live.state.messages.double(retained.message, EXPIRES)
    if (expires === 0) return
    this.#expiringRetained.set(retained.message, retained)
    this.set(retained.message, DEADLINE.retained, expires)
  }

  #retainedExpired(message: number): void {
    const retained = this.#expiringRetained.get(message)
    this.#expiringRetained.delete(message)
    // It may have been replaced since.
    if (retained === undefined || this.#live.state.retained.get(retained.address.path) !== retained) return
    this.#live.dropped(undefined, REASON.expired)
    this.#live.forgetRetained(retained)
  }

  readonly #onDue = (row: number, kind: number): void => {
    if (kind === DEADLINE.retained) {
      this.#retainedExpired(row)
      return
    }
    if (kind === DEADLINE.job) {
      this.#live.jobs?.due(row)
      return
    }
    const { entries } = this.#live.state
    const state = entries.get(row, STATE)
    if (state === 0 || state === STATE_OF.removed) return
    const queue = this.#live.state.queueOf(row)
    if (kind === DEADLINE.wake) {
      if (state === STATE_OF.delayed || state === STATE_OF.leased) this.#live.places.putBack(queue, row, 0)
      return
    }
    // What somebody has in hand expires when it comes back; nothing expires out of a dead-letter queue, nor what a client has half of.
    if (entries.get(row, DEAD) !== 0 || entries.get(row, MARK) !== 0) return
    if (state === STATE_OF.ready || state === STATE_OF.delayed) this.#live.deadLetters.expire(queue, row)
  }
}
