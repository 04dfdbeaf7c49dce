// Where a copy of a message was sent, as its consumer is told: what the message names is the same for all its copies.
import type { CoreAddress } from './addresses.ts'
import { DEAD, VIA } from './entries.ts'
import type { Held } from './messages.ts'
import { passedFrom } from './passing.ts'
import type { Queue } from './queue.ts'
import type { State } from './state.ts'

/** By no topic: to the queue itself. By a topic that the message does not name: to that. A dead letter keeps what it was, what was passed its queue. */
export function sentTo(state: State, queue: Queue, row: number, held: Held): CoreAddress {
  const via = state.entries.get(row, VIA)
  if (via !== 0) return state.vias.byNumber[via].to ?? held.to
  return state.entries.get(row, DEAD) === 0 ? queue.address : (passedFrom(state, row) ?? held.to)
}
