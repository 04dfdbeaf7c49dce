// What an outcome does to an entry that its consumer has in hand: away, back to its place, or to the dead-letter queue.
import type { Addition, Outcome } from '../api.ts'
import { FACT } from '../journal/facts.ts'
import { addedBytesOf } from './additions.ts'
import { ATTEMPTS, ENTRY_FLAG, FAILURES, FLAGS, OWNER, SEQUENCE } from './entries.ts'
import type { Live } from './live.ts'
import { isDeadLetter } from './passing.ts'
import type { Queue } from './queue.ts'
import { EVENT, REASON } from './recorder.ts'

/** True: something went (or will go with the next batch) to the journal. */
export function settleEntry(live: Live, row: number, outcome: Outcome): boolean {
  const { entries } = live.state
  const queue = live.state.queueOf(row)
  const durable = (entries.get(row, FLAGS) & ENTRY_FLAG.durable) !== 0
  entries.set(row, OWNER, 0)
  switch (outcome.kind) {
    case 'accepted':
      live.recorder.note(EVENT.settled, queue.number, entries.double(row, SEQUENCE), REASON.accepted, entries.get(row, ATTEMPTS))
      live.facts.gone(queue, row, REASON.accepted, false)
      return durable
    case 'rejected':
      live.deadLetters.bury(queue, row, REASON.rejected, outcome.reason)
      return durable
    case 'released':
      return giveBack(live, queue, row, durable, outcome.afterMs)
    case 'modified': {
      if (outcome.added !== undefined) addTo(live, queue, row, outcome.added)
      if (outcome.elsewhere) {
        live.deadLetters.bury(queue, row, REASON.elsewhere, 'undeliverable here')
        return durable
      }
      if (!outcome.failed) return giveBack(live, queue, row, durable, outcome.afterMs)
      const failures = Math.min(255, entries.get(row, FAILURES) + 1)
      entries.set(row, FAILURES, failures)
      const { policy } = queue
      // A dead letter stays where it is: nothing dies of dying.
      if (policy.failuresMax !== 0 && failures >= policy.failuresMax && !isDeadLetter(live.state, row)) {
        live.deadLetters.bury(queue, row, REASON['failures-max'], `failed ${failures} times`)
        return durable
      }
      const backOff = policy.redeliveryDelayMs * policy.redeliveryBackoff ** (failures - 1)
      const delay = Math.max(outcome.afterMs, Math.min(backOff, Math.max(policy.redeliveryDelayMs, policy.redeliveryDelayMaxMs)))
      return giveBack(live, queue, row, durable, delay)
    }
    default:
      return outcome satisfies never
  }
}

/** Before anything else becomes of the entry, so that it goes along. What exceeds a bound is not kept. */
function addTo(live: Live, queue: Queue, row: number, addition: Addition): void {
  const { state } = live
  const { entries } = state
  const { addedBytes, addedBytesPerMessage } = live.settings.limits
  const earlier = (state.added.get(row) ?? []).reduce((sum, each) => sum + addedBytesOf(each), 0)
  const bytes = addedBytesOf(addition)
  if (earlier + bytes > addedBytesPerMessage || state.addedBytes + live.transactions.addedBytes + bytes > addedBytes) return
  if ((entries.get(row, FLAGS) & ENTRY_FLAG.durable) === 0) {
    state.add(row, addition)
    return
  }
  const fact = live.facts.writer.reset().u32(queue.number).f64(entries.double(row, SEQUENCE)).text(addition.dialect).bytes(addition.bytes)
  live.facts.admit(FACT.added, fact, 'drain')
}

/** Back to its place after a while. Counts and time are written down; an uncounted return at once changes nothing that a successor must know. */
function giveBack(live: Live, queue: Queue, row: number, durable: boolean, afterMs: number): boolean {
  const { entries } = live.state
  const failures = entries.get(row, FAILURES)
  const sequence = entries.double(row, SEQUENCE)
  const until = afterMs > 0 ? live.clock.wallMs() + afterMs : 0
  live.recorder.note(EVENT.released, queue.number, sequence, failures > 0 ? REASON.failed : REASON.released, failures)
  const written = durable && (failures > 0 || until !== 0)
  if (written) {
    const fact = live.facts.writer.reset().u32(queue.number).f64(sequence).u32(entries.get(row, ATTEMPTS)).u8(failures).f64(until)
    live.facts.admit(FACT.returned, fact, 'drain')
  }
  live.places.putBack(queue, row, until)
  return written
}
