// What a queue at its limit does for a message that comes all the same: lets its oldest go, or ends who takes too slowly. Which of it a queue does is
// its policy (`policy.ts`); when it is asked, `reach.ts`.
import { CodedError } from '../errors.ts'
import { NEXT, STATE, STATE_OF } from './entries.ts'
import type { Live } from './live.ts'
import type { Queue } from './queue.ts'
import { REASON } from './recorder.ts'

/** Makes room by what waits longest and is in nobody's hands. */
export function dropOldest(live: Live, queue: Queue, bytes: number): void {
  while (queue.isFull(bytes)) {
    const row = queue.oldestReady() || oldestPending(live, queue)
    if (row === 0) return
    live.dropped(queue, REASON['full-oldest'])
    live.facts.gone(queue, row, REASON['full-oldest'], false)
  }
}

/** Its limit is used up by what open transactions have sent. */
export function isFilledByTransactions({ gate, policy }: Queue, bytes: number): boolean {
  if (gate === undefined || gate.unseen === 0) return false
  const { limitMessages, limitBytes } = policy
  return (limitMessages !== 0 && gate.unseen >= limitMessages) || (limitBytes !== 0 && gate.unseenBytes + bytes > limitBytes)
}

/** Who lets too much wait is ended, and told so; the copy is not for it any more. */
export function endSlow(live: Live, queue: Queue): void {
  live.dropped(queue, REASON.slow)
  const error = new CodedError('limit', `a slow consumer: ${queue.count} messages wait for it, and more are not kept`)
  for (const { consumer } of [...(queue.seats ?? [])]) consumer.session.endConsumer(consumer, error)
}

function oldestPending(live: Live, queue: Queue): number {
  const { entries } = live.state
  let row = queue.pending > 0 ? queue.held.head : 0
  while (row !== 0 && entries.get(row, STATE) !== STATE_OF.pending) row = entries.get(row, NEXT)
  return row
}
