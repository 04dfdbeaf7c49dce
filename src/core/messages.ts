// Every message that some queue or topic still needs, as rows of 32 bytes: where its record lies, who needs it, when it expires.
// A message itself is an object only while it is on its way through, or for as long as it lives when it is not durable.
// A hot room.
import type { Message } from '../api.ts'
import type { Range } from '../journal/journal.ts'
import type { CoreAddress } from './addresses.ts'
import { Slab } from './slab.ts'

/** Fields of a message's row. Expiry (wall ms, 0: never) is a double in 6 and 7. Segment 0: not in the journal. */
export const SEGMENT = 0
export const OFFSET = 1
export const LENGTH = 2
/** Entries and retained topics that need it. */
export const REFERENCES = 3
/** The set it was routed to; 0: none. */
export const ROUTE = 4
/** Bits of `MESSAGE_ROW_FLAG`, and from `RANK_SHIFT` on the message's rank (`rankOf`). */
export const MESSAGE_FLAGS = 5
export const EXPIRES = 6

/** `durable`: as its sender set it; whether it is in the journal says its segment. `groupEnds`: the last of its group. */
export const MESSAGE_ROW_FLAG = { durable: 1, large: 2, groupEnds: 4 } as const

/** The rank, in bits of `MESSAGE_FLAGS`: priority (4 bits; the normal one is 0 there), group bucket (11 bits; 0: no group). */
export const RANK_SHIFT = 8
export const PRIORITY_NORMAL = 4
const PRIORITY_MAX = 9

/** What the order of a queue depends on, besides the sequence. 0 for most messages. */
export function rankOf(priority: number, bucket: number): number {
  return ((Math.max(0, Math.min(PRIORITY_MAX, priority)) ^ PRIORITY_NORMAL) | (bucket << 4)) << RANK_SHIFT
}

export function priorityOf(flags: number): number {
  return ((flags >>> RANK_SHIFT) & 0xf) ^ PRIORITY_NORMAL
}

export function bucketOf(flags: number): number {
  return (flags >>> (RANK_SHIFT + 4)) & 0x7ff
}

/** A message with what the core knows of it besides. */
export interface Held {
  readonly message: Message
  readonly to: CoreAddress
  readonly acceptedAtMs: number
}

export class Messages extends Slab {
  /** The objects there are, by row: of durable messages until they are committed and dispatched, of others for life. */
  readonly objects: (Held | undefined)[] = []
  /** Where the pieces of large bodies lie, by row. */
  readonly pieces = new Map<number, readonly Range[]>()
  /** Wall ms before which nobody is given it, of those that have such a time, by row. */
  readonly deliverAt = new Map<number, number>()
  /** Bytes of bodies that are in no journal. */
  volatileBytes = 0
  /** Live bytes by segment: what `compact` goes by. */
  readonly liveBytes = new Map<number, number>()

  constructor() {
    super(8)
  }

  /** A message whose record lies at a place of the journal (segment 0: nowhere). Its references start at 0. */
  add(segment: number, offset: number, length: number, flags: number, expiresAtMs: number): number {
    const row = this.take()
    this.set(row, SEGMENT, segment)
    this.set(row, OFFSET, offset)
    this.set(row, LENGTH, length)
    this.set(row, MESSAGE_FLAGS, flags)
    this.setDouble(row, EXPIRES, expiresAtMs)
    if (segment !== 0) this.alive(segment, length)
    else this.volatileBytes += length
    return row
  }

  /** The last reference is gone: row and bytes are free. */
  drop(row: number): void {
    const segment = this.get(row, SEGMENT)
    if (segment !== 0) this.alive(segment, -this.get(row, LENGTH))
    else this.volatileBytes -= this.get(row, LENGTH)
    if ((this.get(row, MESSAGE_FLAGS) & MESSAGE_ROW_FLAG.large) !== 0) {
      for (const piece of this.pieces.get(row) ?? []) this.alive(piece.segment, -piece.length)
      this.pieces.delete(row)
    }
    if (this.deliverAt.size > 0) this.deliverAt.delete(row)
    this.objects[row] = undefined
    this.give(row)
  }

  alive(segment: number, bytes: number): void {
    this.liveBytes.set(segment, (this.liveBytes.get(segment) ?? 0) + bytes)
  }
}
