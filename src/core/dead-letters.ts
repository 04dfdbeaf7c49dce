// Where messages go that nobody takes: the queue's dead-letter queue, with reason and origin, or away, counted.
// A message that is not durable is not kept there, and one dies at most twice: a dead-letter queue has none of its own.
import { FACT } from '../journal/facts.ts'
import { ENTRY_FLAG, FLAGS, SEQUENCE } from './entries.ts'
import type { Live } from './live.ts'
import { isDeadLetter, isPassing, passedFrom } from './passing.ts'
import type { Queue } from './queue.ts'
import { EVENT, REASON, type Reason } from './recorder.ts'

export class DeadLetters {
  readonly #live: Live

  constructor(live: Live) {
    this.#live = live
  }

  /** The entry leaves its queue for the dead-letter queue, or for good if there is none. */
  bury(queue: Queue, row: number, reason: Reason, sentence: string): void {
    const live = this.#live
    const { entries } = live.state
    const target = this.#target(queue, row)
    const sequence = entries.double(row, SEQUENCE)
    live.recorder.note(target === undefined ? EVENT.dropped : EVENT['dead-lettered'], queue.number, sequence, reason, target?.number ?? 0)
    if (target === undefined) {
      live.dropped(queue, reason)
      live.facts.gone(queue, row, reason, false)
      return
    }
    if (!live.facts.writeSequence(target, 'drain')) {
      live.dropped(queue, reason)
      live.facts.gone(queue, row, reason, false)
      return
    }
    const fact = live.facts.writer
      .reset()
      .u32(queue.number)
      .f64(sequence)
      .u32(target.number)
      .u8(1)
      .text(isPassing(sentence) ? '' : sentence.slice(0, 1000))
    live.facts.admit(FACT.moved, fact.raw((passedFrom(live.state, row) ?? queue.address).encoded), 'drain')
  }

  /** Its time is over. */
  expire(queue: Queue, row: number): void {
    if (queue.policy.expiredToDeadLetter) {
      this.bury(queue, row, REASON.expired, 'expired')
      return
    }
    const live = this.#live
    live.recorder.note(EVENT.expired, queue.number, live.state.entries.double(row, SEQUENCE), REASON.expired, 0)
    live.dropped(queue, REASON.expired)
    live.facts.gone(queue, row, REASON.expired, false)
  }

  #target(queue: Queue, row: number): Queue | undefined {
    const live = this.#live
    const from = passedFrom(live.state, row)
    // What was passed dies as it would have where it was.
    const { deadLetter } = (from === undefined ? queue : (live.findQueue(from) ?? queue)).policy
    const { entries } = live.state
    if (deadLetter === undefined || (entries.get(row, FLAGS) & ENTRY_FLAG.durable) === 0 || isDeadLetter(live.state, row)) return undefined
    const known = live.findQueue(deadLetter)
    if (known !== undefined) return known.durable && known !== queue ? known : undefined
    return live.makeQueue(deadLetter, { durable: true, lifetime: 'permanent' }, 'drain')
  }
}
