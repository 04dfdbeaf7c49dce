// Timers for front ends: keep-alives, heart-beats, time-outs. Coarse (250 ms), shared, one timer of the clock in all.
// Not the deadlines of messages and queues, which have numbers instead of callbacks and may be years away: wheel.ts.
import type { Clock } from '../api.ts'

/** Runs things later, by the hundred thousand. */
export class Schedule {
  readonly #clock: Clock
  readonly #failed: (error: unknown) => void
  readonly #startMs: number
  /** A hashed wheel: what is due in more than a round stays for the next. */
  readonly #slots: Timer[] = Array.from({ length: SLOTS }, ring)
  /** Due, and not run yet. */
  readonly #ready = ring()
  #tick = 0
  #size = 0
  #armed = false
  #running = false
  #stopped = false
  #cancel: (() => void) | undefined

  /** `failed` is told what a callback threw; without it the error is thrown out of the event loop, which ends the process. */
  constructor(clock: Clock, failed?: (error: unknown) => void) {
    this.#clock = clock
    this.#startMs = clock.monoMs()
    this.#failed = failed ?? rethrow
  }

  /** Timers that wait. */
  get size(): number {
    return this.#size
  }

  /** Runs once, never early and up to 250 ms late. The answer cancels it; after it has run that does nothing. */
  schedule(delayMs: number, run: () => void): () => void {
    if (this.#size === 0) this.#tick = Math.floor((this.#clock.monoMs() - this.#startMs) / TICK_MS)
    const dueTick = Math.max(Math.ceil((this.#clock.monoMs() - this.#startMs + delayMs) / TICK_MS), this.#tick + 1)
    const timer: Timer = { run, dueTick, next: undefined, previous: undefined }
    // A delay of Infinity stays for ever in a slot, and is counted, until it is cancelled.
    append(this.#slots[Number.isFinite(dueTick) ? dueTick % SLOTS : 0], timer)
    this.#size++
    this.#arm()
    return () => {
      if (timer.next === undefined) return
      unlink(timer)
      this.#size--
    }
  }

  /** Nothing runs any more, and no timer of the clock is held. */
  stop(): void {
    this.#stopped = true
    this.#cancel?.()
  }

  #arm(): void {
    if (this.#armed || this.#stopped || this.#size === 0) return
    this.#armed = true
    const atMs = this.#startMs + (this.#tick + 1) * TICK_MS
    this.#cancel = this.#clock.after(Math.max(0, atMs - this.#clock.monoMs()), this.#look)
  }

  readonly #look = (): void => {
    this.#armed = false
    const until = Math.floor((this.#clock.monoMs() - this.#startMs) / TICK_MS)
    // After a long stall one round of the slots finds everything.
    for (let tick = Math.max(this.#tick + 1, until - SLOTS + 1); tick <= until; tick++) {
      const slot = this.#slots[tick % SLOTS]
      for (let timer = slot?.next; timer !== undefined && timer !== slot; ) {
        const next: Timer | undefined = timer.next
        if (timer.dueTick <= until) {
          unlink(timer)
          append(this.#ready, timer)
        }
        timer = next
      }
    }
    this.#tick = Math.max(this.#tick, until)
    this.#run()
    this.#arm()
  }

  #run(): void {
    if (this.#running || this.#stopped) return
    for (let i = 0; i < RUNS_A_TURN && !this.#stopped; i++) {
      const timer = this.#ready.next
      if (timer === undefined || timer === this.#ready) return
      unlink(timer)
      this.#size--
      try {
        timer.run()
      } catch (error) {
        this.#failed(error)
      }
    }
    this.#running = true
    this.#clock.turn(() => {
      this.#running = false
      this.#run()
    })
  }
}

const TICK_MS = 250
/** 128 s a round, in which most keep-alives are. */
const SLOTS = 512
const RUNS_A_TURN = 2000

interface Timer {
  readonly run: () => void
  readonly dueTick: number
  next: Timer | undefined
  previous: Timer | undefined
}

/** The head of an empty ring. */
function ring(): Timer {
  const head: Timer = { run: () => {}, dueTick: 0, next: undefined, previous: undefined }
  head.next = head
  head.previous = head
  return head
}

function append(head: Timer | undefined, timer: Timer): void {
  const last = head?.previous
  if (head === undefined || last === undefined) throw new Error('a ring is never open')
  last.next = timer
  timer.previous = last
  timer.next = head
  head.previous = timer
}

function unlink(timer: Timer): void {
  if (timer.previous !== undefined) timer.previous.next = timer.next
  if (timer.next !== undefined) timer.next.previous = timer.previous
  timer.next = undefined
  timer.previous = undefined
}

function rethrow(error: unknown): void {
  queueMicrotask(() => {
    throw error
  })
}
