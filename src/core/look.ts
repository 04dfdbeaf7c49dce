// Pages of what is on a queue, for management: a short walk finds the entries, then their messages are read one after the other.
// What leaves the queue between the two is left out. Nothing is locked, counted or written about; for protocols there is `browse.ts`.
import type { Delivery } from '../api.ts'
import { heldOf, isSeen } from './browse.ts'
import { deliveryOf } from './delivery.ts'
import { SEQUENCE, STATE, STATE_OF } from './entries.ts'
import type { Live } from './live.ts'
import type { Held } from './messages.ts'
import type { Queue } from './queue.ts'
import { Walk } from './walk.ts'

/** Entries passed in one turn. */
const VISITS_MAX = 5_000
/** A page ends with the message that reaches this many bytes. */
const PAGE_BYTES = 1024 * 1024

export interface LookOptions {
  /** Begin behind the entry of this sequence; 0: with the first. */
  readonly after: number
  readonly limit: number
  /** Also what is in somebody's hands or waits for its time; it comes last. */
  readonly held: boolean
}

export type EntryState = 'ready' | 'locked' | 'delayed'

/** One entry as its next consumer would be given it. `delivery` undefined: its message cannot be read at the moment. */
export type Looked = Readonly<{ sequence: number; state: EntryState; delivery: Delivery | undefined }>

/** `next`: where the next page begins; undefined: there is none. */
export type Page = Readonly<{ entries: readonly Looked[]; next: number | undefined }>

export async function lookAt(live: Live, queue: Queue, options: LookOptions): Promise<Page> {
  const { sequences, more } = await findEntries(live, queue, options)
  const entries: Looked[] = []
  let bytes = 0
  for (const sequence of sequences) {
    if (bytes >= PAGE_BYTES) break
    const looked = await lookAtOne(live, queue, sequence)
    if (looked === undefined) continue
    entries.push(looked)
    const message = looked.delivery?.message
    bytes += message === undefined ? 0 : message.head.length + message.body.length
  }
  const last = entries.at(-1)?.sequence
  return { entries, next: last !== undefined && (more || last !== sequences.at(-1)) ? last : undefined }
}

/** Undefined: it is not there, or not yet committed. */
export async function lookAtOne(live: Live, queue: Queue, sequence: number): Promise<Looked | undefined> {
  for (;;) {
    const row = queue.alive && live.lost === undefined ? live.state.entries.find(queue.slot, sequence) : 0
    if (row === 0 || !isSeen(live, row, Number.POSITIVE_INFINITY)) return undefined
    const state = stateOf(live.state.entries.get(row, STATE))
    let wake: (read: boolean) => void = () => {}
    const loaded = new Promise<boolean>((resolve) => {
      wake = resolve
    })
    const held: Held | undefined = heldOf(live, row, (read) => wake(read))
    if (held !== undefined) return { sequence, state, delivery: deliveryOf(live.state, queue, row, held, 'settled') }
    // Read, it is kept for one turn: it is looked at again in that turn.
    if (!(await loaded)) return { sequence, state, delivery: undefined }
  }
}

/** The last one in the order in which they are given out; 0: nothing is ready. */
export function lastReady(live: Live, queue: Queue): number {
  const ready = queue.lists().slice(0, -1)
  const row = ready.findLast((list) => list.tail !== 0)?.tail ?? 0
  return row === 0 ? 0 : live.state.entries.double(row, SEQUENCE)
}

/** Names of entries, without their messages. */
export async function findEntries(
  live: Live,
  queue: Queue,
  { after, limit, held }: LookOptions,
): Promise<Readonly<{ sequences: number[]; more: boolean }>> {
  const { entries } = live.state
  const found = after === 0 ? 0 : entries.find(queue.slot, after)
  // One that was taken meanwhile stands in another list now: those behind it are told by their numbers.
  const anchor = found !== 0 && (held || entries.get(found, STATE) === STATE_OF.ready) ? found : 0
  const walk = new Walk(entries, queue, held, anchor)
  const until = queue.next
  const sequences: number[] = []
  try {
    while (walk.row !== 0 && sequences.length <= limit && queue.alive) {
      for (let left = VISITS_MAX; left > 0 && walk.row !== 0 && sequences.length <= limit; left--) {
        const sequence = entries.double(walk.row, SEQUENCE)
        // Its anchor is gone: as good as the numbers tell.
        const passed = after !== 0 && anchor === 0 && sequence <= after
        if (!passed && isSeen(live, walk.row, until)) sequences.push(sequence)
        walk.advance()
      }
      if (walk.row !== 0 && sequences.length <= limit) await new Promise<void>((resolve) => live.clock.turn(resolve))
    }
  } finally {
    walk.end()
  }
  const more = sequences.length > limit
  return { sequences: sequences.slice(0, limit), more }
}

function stateOf(state: number): EntryState {
  return state === STATE_OF.ready ? 'ready' : state === STATE_OF.delayed ? 'delayed' : 'locked'
}
