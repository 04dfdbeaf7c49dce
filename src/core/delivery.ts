// What a consumer or a browser is shown of one entry: the same for both, made in one place. Nothing is counted or changed here.
import type { Delivery } from '../api.ts'
import { ATTEMPTS, DEAD, ENTRY_FLAG, FAILURES, FLAGS, MARK, SEQUENCE, VIA } from './entries.ts'
import type { Held } from './messages.ts'
import type { Queue } from './queue.ts'
import { sentTo } from './sent-to.ts'
import type { State } from './state.ts'

/** The entry as its next consumer is given it; its tag is still to be told. */
export function deliveryOf(state: State, queue: Queue, row: number, held: Held, mode: Delivery['mode']): Delivery {
  const { entries } = state
  const attempts = entries.get(row, ATTEMPTS) + 1
  const flags = entries.get(row, FLAGS)
  return {
    tag: 0,
    message: held.message,
    to: sentTo(state, queue, row, held),
    ref: { queue: queue.number, sequence: entries.double(row, SEQUENCE) },
    queue: queue.address,
    mode,
    tags: state.vias.byNumber[entries.get(row, VIA)].tags,
    attempts,
    failures: entries.get(row, FAILURES),
    maybeSeen: attempts > 1 || (flags & ENTRY_FLAG.maybeSeen) !== 0,
    mark: entries.get(row, MARK),
    acceptedAtMs: held.acceptedAtMs,
    retained: (flags & ENTRY_FLAG.retained) !== 0,
    groupFirst: false,
    dead: state.dead[entries.get(row, DEAD)],
    added: state.added.size === 0 ? undefined : state.added.get(row),
  }
}
