// Pages of what is on a queue, for management: a short walk finds the entries, then their messages are read one after the other.
// What leaves the queue between the two is left out. Nothing is locked, counted or written about; for protocols there is `browse.ts`.
// A page begins behind a place in the queue's order, whatever became of the entry that was there.
import type { Delivery } from '../api.ts'
import { heldOf, isSeen } from './browse.ts'
import { deliveryOf } from './delivery.ts'
import { type Entries, SEQUENCE, STATE, STATE_OF } from './entries.ts'
import type { Live } from './live.ts'
import { type Held, PRIORITY_NORMAL } from './messages.ts'
import type { Queue } from './queue.ts'
import { inOrder, type Steps, Walk } from './walk.ts'

/** Entries passed in one turn; where message groups are merged, which takes five times as long, fewer. */
const VISITS_MAX = 5_000
const VISITS_MERGED_MAX = 1_000
/** A page ends with the message that reaches this many bytes. */
const PAGE_BYTES = 1024 * 1024

/** A place in the order of a queue: what is ready by priority and sequence, then what is held by sequence. */
export type Place = Readonly<{ held: boolean; priority: number; sequence: number }>

/** Before everything. */
export const START: Place = { held: false, priority: Number.POSITIVE_INFINITY, sequence: 0 }

/** As pages are asked for: `12`, of another priority than the normal one `7.12`, of what is held `held.12`; `0` is before everything. */
const PLACE = /^(?:(held|[0-9])\.)?(\d{1,16})$/

/** A place as it is written; undefined: it is none. A number alone is the entry of that sequence, if that is there. */
export function placeFrom(text: string, live: Live, queue: Queue): Place | undefined {
  const match = PLACE.exec(text)
  if (match === null) return undefined
  const [, where, number] = match
  const sequence = Number(number)
  if (where === 'held') return { held: true, priority: PRIORITY_NORMAL, sequence }
  if (where !== undefined) return { held: false, priority: Number(where), sequence }
  if (sequence === 0) return START
  const { entries } = live.state
  const row = entries.find(queue.slot, sequence)
  return { held: false, priority: row === 0 ? PRIORITY_NORMAL : queue.priorityOf(row), sequence }
}

export function placeText({ held, priority, sequence }: Place): string {
  return held ? `held.${sequence}` : priority === PRIORITY_NORMAL ? String(sequence) : `${priority}.${sequence}`
}

export interface LookOptions {
  /** Begin behind this place. */
  readonly after: Place
  readonly limit: number
  /** Also what is in somebody's hands or waits for its time; it comes last. */
  readonly held: boolean
}

export type EntryState = 'ready' | 'locked' | 'delayed'

/** One entry as its next consumer would be given it. `delivery` undefined: its message cannot be read at the moment. */
export type Looked = Readonly<{ sequence: number; state: EntryState; delivery: Delivery | undefined }>

/** `next`: where the next page begins; undefined: there is none. */
export type Page = Readonly<{ entries: readonly Looked[]; next: Place | undefined }>

export async function lookAt(live: Live, queue: Queue, options: LookOptions): Promise<Page> {
  const { places, more } = await findEntries(live, queue, options)
  const entries: Looked[] = []
  let next: Place | undefined
  let bytes = 0
  for (const place of places) {
    if (bytes >= PAGE_BYTES) return { entries, next }
    const looked = await lookAtOne(live, queue, place.sequence)
    if (looked === undefined) continue
    entries.push(looked)
    next = place
    const message = looked.delivery?.message
    bytes += message === undefined ? 0 : message.head.length + message.body.length
  }
  return { entries, next: more ? (places.at(-1) ?? next) : undefined }
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
  const { entries } = live.state
  let last: Place | undefined
  for (const { tail } of queue.readyLists()) {
    const place = tail === 0 ? undefined : placeOf(entries, queue, tail)
    if (place !== undefined && (last === undefined || isBehind(place, last))) last = place
  }
  return last?.sequence ?? 0
}

/** Names of entries, without their messages. */
export async function findEntries(live: Live, queue: Queue, options: LookOptions): Promise<Readonly<{ places: Place[]; more: boolean }>> {
  const { after, limit, held } = options
  // One more than wanted says that there is more.
  const wanted = limit + 1
  const until = queue.next
  const places: Place[] = []
  if (!after.held) await findReady(live, queue, { after, wanted, until }, places)
  if (held && places.length < wanted) await findHeld(live, queue, { after: after.held ? after.sequence : 0, wanted, until }, places)
  return { places: places.slice(0, limit), more: places.length > limit }
}

type Finding<After> = Readonly<{ after: After; wanted: number; until: number }>

async function findReady(live: Live, queue: Queue, { after, wanted, until }: Finding<Place>, places: Place[]): Promise<void> {
  const { entries } = live.state
  await inTurns(live, queue, stepsBehind(entries, queue, after), (row) => {
    const place = placeOf(entries, queue, row)
    if (isBehind(place, after) && isSeen(live, row, until)) places.push(place)
    return places.length < wanted
  })
}

/** Straight behind the entry at that place if it is still there; else from the first one, and what is not behind it is passed by. */
function stepsBehind(entries: Entries, queue: Queue, after: Place): Steps {
  const row = queue.groups === undefined && after !== START ? entries.find(queue.slot, after.sequence) : 0
  if (row === 0 || entries.get(row, STATE) !== STATE_OF.ready || queue.priorityOf(row) !== after.priority) return inOrder(entries, queue, false)
  const lists = queue.readyLists()
  return new Walk(entries, lists, row, lists.indexOf(queue.ready.list(after.priority)))
}

/** They are in no order: the first of them by their numbers are kept. */
async function findHeld(live: Live, queue: Queue, { after, wanted, until }: Finding<number>, places: Place[]): Promise<void> {
  const { entries } = live.state
  let found: number[] = []
  const room = wanted - places.length
  const first = (): number[] => found.sort((a, b) => a - b).slice(0, room)
  await inTurns(live, queue, new Walk(entries, [queue.held]), (row) => {
    const sequence = entries.double(row, SEQUENCE)
    if (sequence > after && isSeen(live, row, until)) found.push(sequence)
    if (found.length >= room + VISITS_MAX) found = first()
    return true
  })
  for (const sequence of first()) places.push({ held: true, priority: PRIORITY_NORMAL, sequence })
}

/** Until `visit` says that it is enough. */
async function inTurns(live: Live, queue: Queue, steps: Steps, visit: (row: number) => boolean): Promise<void> {
  const visits = steps instanceof Walk ? VISITS_MAX : VISITS_MERGED_MAX
  try {
    for (let left = visits; steps.row !== 0 && queue.alive; left--) {
      if (left === 0) {
        left = visits
        await new Promise<void>((resolve) => live.clock.turn(resolve))
        continue
      }
      if (!visit(steps.row)) return
      steps.advance()
    }
  } finally {
    steps.end()
  }
}

function placeOf(entries: Entries, queue: Queue, row: number): Place {
  return { held: false, priority: queue.priorityOf(row), sequence: entries.double(row, SEQUENCE) }
}

/** Both of what is ready. */
function isBehind(place: Place, after: Place): boolean {
  return place.priority === after.priority ? place.sequence > after.sequence : place.priority < after.priority
}

function stateOf(state: number): EntryState {
  return state === STATE_OF.ready ? 'ready' : state === STATE_OF.delayed ? 'delayed' : 'locked'
}
