// Exclusive consumers that wait for each other: while one takes, every other seat of its queue is barred from the rings.
// Not those that refuse others, who are never beside anybody (`session.ts`).
import type { Queue } from './queue.ts'
import type { Seat } from './seat.ts'

/** A seat joins a queue that has an exclusive consumer, or brings the first one. */
export function enterBarred(seat: Seat): void {
  const { queue, consumer } = seat
  if (consumer.exclusive !== 'wait') {
    seat.barred = true
    return
  }
  queue.exclusive ??= []
  const waiting = queue.exclusive
  let at = waiting.length
  while (at > 0 && waiting[at - 1].consumer.priority < consumer.priority) at--
  waiting.splice(at, 0, seat)
  if (at === 0) bar(queue)
  else seat.barred = true
}

/** A seat has left such a queue. True: others take from now on. */
export function leaveExclusive(seat: Seat): boolean {
  const { queue } = seat
  const waiting = queue.exclusive ?? []
  const at = waiting.indexOf(seat)
  if (at < 0) return false
  waiting.splice(at, 1)
  if (waiting.length === 0) queue.exclusive = undefined
  if (at > 0) return false
  bar(queue)
  return true
}

/** All but the one whose turn it is; nobody when there is none. */
function bar(queue: Queue): void {
  const only = queue.exclusive?.[0]
  for (const seat of queue.seats ?? []) {
    seat.barred = only !== undefined && seat !== only
    if (seat.barred) queue.groups?.vacate(seat)
    seat.stand()
  }
}
