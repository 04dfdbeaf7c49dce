// Where the records of messages lie, told anew after they were copied to other segments. No client sees anything of it.
// Who copies them, and when, is `compact.ts` (records one by one) and the journal itself (ranges, at recovery and in housekeeping).
import type { FactReader } from '../journal/facts.ts'
import { LENGTH, OFFSET, REFERENCES, SEGMENT } from './messages.ts'
import type { State } from './state.ts'

/** A message's record, or one piece of its body (-1: the record itself). */
type Place = Readonly<{ row: number; piece: number }>

export class Relocation {
  readonly #state: State
  /** What lies in the segment that the last facts were of. */
  #known: Readonly<{ segment: number; places: Map<number, Place> }> | undefined

  constructor(state: State) {
    this.#state = state
  }

  /** Records of one segment lie elsewhere now; the facts of one segment follow each other. */
  records(from: FactReader): void {
    const { messages } = this.#state
    const segment = from.u32()
    if (this.#known?.segment !== segment) this.#known = { segment, places: placesIn(this.#state, segment) }
    const { places } = this.#known
    for (let left = from.u32(); left > 0; left--) {
      const offset = from.u32()
      const newSegment = from.u32()
      const newOffset = from.u32()
      const found = places.get(offset)
      if (found !== undefined && messages.get(found.row, REFERENCES) !== 0) this.#lay(found.row, found.piece, segment, offset, newSegment, newOffset)
    }
  }

  /** Records of a range of one segment lie elsewhere now, in the same order: see `Visitor.moved`. */
  range(segment: number, offset: number, length: number, newSegment: number, newOffset: number): void {
    const { messages } = this.#state
    if ((messages.liveBytes.get(segment) ?? 0) === 0) return
    this.#known = undefined
    for (const [at, { row, piece }] of placesIn(this.#state, segment))
      if (at >= offset && at < offset + length) this.#lay(row, piece, segment, at, newSegment, at - offset + newOffset)
  }

  /** A record (or one piece of it) lies elsewhere, if it still was where the fact says. */
  #lay(row: number, piece: number, segment: number, offset: number, newSegment: number, newOffset: number): void {
    const { messages } = this.#state
    if (piece >= 0) {
      const pieces = messages.pieces.get(row)
      if (pieces === undefined || pieces[piece].segment !== segment || pieces[piece].offset !== offset) return
      const { length } = pieces[piece]
      messages.alive(segment, -length)
      messages.alive(newSegment, length)
      messages.pieces.set(
        row,
        pieces.map((range, i) => (i === piece ? { segment: newSegment, offset: newOffset, length } : range)),
      )
    } else {
      if (messages.get(row, SEGMENT) !== segment || messages.get(row, OFFSET) !== offset) return
      const length = messages.get(row, LENGTH)
      messages.alive(segment, -length)
      messages.alive(newSegment, length)
      messages.set(row, SEGMENT, newSegment)
      messages.set(row, OFFSET, newOffset)
    }
  }
}

/** What lies in this segment, by its offset. */
export function placesIn(state: State, segment: number): Map<number, Place> {
  const { messages } = state
  const places = new Map<number, Place>()
  for (let row = 1; row < messages.end; row++) {
    if (messages.get(row, REFERENCES) !== 0 && messages.get(row, SEGMENT) === segment) places.set(messages.get(row, OFFSET), { row, piece: -1 })
  }
  for (const [row, pieces] of messages.pieces) {
    for (const [piece, range] of pieces.entries()) if (range.segment === segment) places.set(range.offset, { row, piece })
  }
  return places
}
