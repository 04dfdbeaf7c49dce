// What a consumer makes its session's own before it shows it to its client (`Consumer.pass`): the entry leaves the queue that others take from too, for one
// that is this session's alone, in one fact, so that a crash at any instant leaves it on exactly one of the two. It stays in the consumer's hands.
// Like a dead letter it remembers where it was, and expires no more. Not here: moves that an owner asks for (`move.ts`).
import { FACT } from '../journal/facts.ts'
import { ATTEMPTS, DEAD, ENTRY_FLAG, FLAGS, MARK, MESSAGE, NEXT, OWNER, SEQUENCE, STATE, STATE_OF, TAG, VIA } from './entries.ts'
import type { CoreAddress } from './addresses.ts'
import type { Live } from './live.ts'
import type { Queue } from './queue.ts'
import { EVENT, REASON } from './recorder.ts'
import type { State } from './state.ts'

/** Told in the place of a dead letter's reason, and no client's to say. */
const GIVEN = 'passed on for good'
const LENT = 'passed on, to come back'

export const isPassing = (reason: string): boolean => reason === GIVEN || reason === LENT

/** Not what survives the process to a queue that does not, nor a dead letter: it would forget of what it died. */
export function mayPass({ state }: Live, row: number, to: Queue): boolean {
  const durable = (state.entries.get(row, FLAGS) & ENTRY_FLAG.durable) !== 0
  return state.queueOf(row) !== to && (to.durable || !durable) && !isDeadLetter(state, row)
}

export function isDeadLetter(state: State, row: number): boolean {
  return state.entries.get(row, DEAD) !== 0 && passedFrom(state, row) === undefined
}

/** Undefined: it was not passed. */
export function passedFrom(state: State, row: number): CoreAddress | undefined {
  const dead = state.dead[state.entries.get(row, DEAD)]
  return dead !== undefined && isPassing(dead.reason) ? dead.origin : undefined
}

/** The entry's row on the other queue: in the hands of the same consumer under the same tag, not to be shown before this is committed. */
export function pass(live: Live, row: number, to: Queue, back: boolean): number {
  const { entries } = live.state
  const from = live.state.queueOf(row)
  const [owner, tag, sequence] = [entries.get(row, OWNER), entries.get(row, TAG), entries.double(row, SEQUENCE)]
  // Its consumer loses nothing by its leaving.
  entries.set(row, OWNER, 0)
  const passed = to.next
  const why = back ? LENT : GIVEN
  if ((entries.get(row, FLAGS) & ENTRY_FLAG.durable) === 0) passVolatile(live, row, to, live.state.deadNumber(why, from.address))
  else {
    live.facts.writeSequence(to, 'drain')
    const fact = live.facts.writer.reset().u32(from.number).f64(sequence).u32(to.number).u8(1)
    live.facts.admit(FACT.moved, fact.text(why).raw(from.address.encoded), 'drain')
  }
  live.recorder.note(EVENT.moved, from.number, sequence, REASON.none, to.number)
  const moved = entries.find(to.slot, passed)
  if (moved === 0) return 0
  entries.set(moved, OWNER, owner)
  entries.set(moved, TAG, tag)
  entries.set(moved, ATTEMPTS, 1)
  if (entries.get(moved, STATE) !== STATE_OF.pending) live.places.keep(to, moved)
  return moved
}

function passVolatile({ state }: Live, row: number, to: Queue, dead: number): void {
  const { entries, vias } = state
  const moved = state.addEntry(to, entries.get(row, MESSAGE), vias.byNumber[entries.get(row, VIA)], 0)
  entries.set(moved, DEAD, dead)
  for (const addition of state.added.get(row) ?? []) state.add(moved, addition)
  state.removeEntry(state.queueOf(row), row)
}

/** Before a queue goes with its session: what was lent to it, and has no mark, is for others again, as something that may have been seen. */
export function returnLent(live: Live, queue: Queue): void {
  const { state, facts } = live
  const { entries } = state
  const lent: number[] = []
  for (const list of queue.lists()) {
    for (let row = list.head; row !== 0; row = entries.get(row, NEXT)) {
      if (entries.get(row, MARK) === 0 && (entries.get(row, FLAGS) & ENTRY_FLAG.durable) !== 0 && state.dead[entries.get(row, DEAD)]?.reason === LENT)
        lent.push(row)
    }
  }
  lent.sort((a, b) => entries.double(a, SEQUENCE) - entries.double(b, SEQUENCE))
  for (const row of lent) {
    const origin = state.dead[entries.get(row, DEAD)]?.origin
    const to = origin === undefined ? undefined : live.findQueue(origin)
    if (to?.durable !== true) continue
    const sequence = entries.double(row, SEQUENCE)
    const returned = to.next
    facts.writeSequence(to, 'drain')
    facts.admit(FACT.moved, facts.writer.reset().u32(queue.number).f64(sequence).u32(to.number).u8(0).u32(entries.get(row, VIA)), 'drain')
    facts.admit(FACT.returned, facts.writer.reset().u32(to.number).f64(returned).u32(1).u8(0).f64(0), 'drain')
    live.recorder.note(EVENT.moved, queue.number, sequence, REASON.none, to.number)
  }
}
