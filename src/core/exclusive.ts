// Exclusive consumers that wait for each other: while one takes, every other seat of its queue is barred from the rings.
// Not those that refuse others, who are never beside anybody (`session.ts`).
import type { Seat } from './seat.ts'

/** Of one queue. */
export class Exclusive {
  /** Who takes comes first; then the others by priority and age, with some among them that have left. */
  readonly #waiting: Seat[] = []
  #left = 0

  get first(): Seat | undefined {
    return this.#waiting[0]
  }

  add(seat: Seat): void {
    const waiting = this.#waiting
    const { priority } = seat.consumer
    let at = waiting.length
    while (at > 0 && waiting[at - 1].consumer.priority < priority) at--
    if (at === waiting.length) waiting.push(seat)
    else waiting.splice(at, 0, seat)
  }

  remove(seat: Seat): void {
    const waiting = this.#waiting
    this.#left++
    if (waiting[0] === seat) {
      for (let first: Seat | undefined = seat; first !== undefined && first.over; first = waiting[0]) {
        waiting.shift()
        this.#left--
      }
    } else if (this.#left > 64 && this.#left * 2 > waiting.length) {
      waiting.splice(0, waiting.length, ...waiting.filter(({ over }) => !over))
      this.#left = 0
    }
  }
}

/** A seat joins a queue that has an exclusive consumer, or brings the first one. */
export function enterBarred(seat: Seat): void {
  const { queue, consumer } = seat
  if (consumer.exclusive !== 'wait') {
    seat.barred = true
    return
  }
  const before = queue.exclusive?.first
  queue.exclusive ??= new Exclusive()
  queue.exclusive.add(seat)
  if (before === undefined) for (const other of queue.seats ?? []) bar(other, other !== seat)
  else if (queue.exclusive.first === seat) {
    bar(before, true)
    bar(seat, false)
  } else seat.barred = true
}

/** A seat that is over has left such a queue. True: others take from now on. */
export function leaveExclusive(seat: Seat): boolean {
  const { queue } = seat
  if (queue.exclusive === undefined || seat.consumer.exclusive !== 'wait') return false
  const before = queue.exclusive.first
  queue.exclusive.remove(seat)
  const now = queue.exclusive.first
  if (now === before) return false
  if (now !== undefined) bar(now, false)
  else {
    queue.exclusive = undefined
    for (const other of queue.seats ?? []) bar(other, false)
  }
  return true
}

function bar(seat: Seat, barred: boolean): void {
  seat.barred = barred
  if (barred) seat.queue.groups?.vacate(seat)
  seat.stand()
}
