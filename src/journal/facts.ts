// The facts: what each record of the journal means, and its bytes. docs/journal.md lists them; a number is never reused.
// Encodings only: what a fact does to the state is `core/apply.ts`, who decides it is the rest of the core.
//
// All numbers are little-endian. A string is a u16 length and UTF-8, a byte string a u32 length and the bytes.

/** Fact numbers. Snapshot facts (200 and up, and two of transactions) occur in snapshots only. */
export const FACT = {
  /** dialect u16, name */
  dialect: 1,
  /** Queue made: see `QueueFact`. */
  queue: 2,
  /** queue u32 */
  queueGone: 3,
  /** Session made or changed: see `SessionFact`. */
  session: 4,
  /** session u32 */
  sessionGone: 5,
  /** session u32, since f64 (wall ms; 0: connected) */
  sessionAway: 6,
  /** session u32, queue u32, tag u32 */
  hold: 7,
  /** session u32, queue u32 */
  release: 8,
  /** Binding made or replaced: see `BindFact`. */
  bind: 9,
  /** queue u32, pattern */
  unbind: 10,
  /** via u32, settle u8, absent u8, topic of its own there u8, that topic's address, tags (u8 each) */
  via: 11,
  /** set u32, base u32 (0: none), added: count u32 of (queue u32, via u32), removed: count u32 of queue u32. Given again it adds to itself. */
  set: 12,
  /** set u32 */
  setGone: 13,
  /** See `MESSAGE_FIXED`. */
  message: 14,
  /** The bytes of one piece of a large body. */
  piece: 15,
  /** The topic's address: its retained message is forgotten. */
  retainClear: 16,
  /** queue u32, next sequence f64: numbers below it were given out. */
  sequence: 17,
  /** queue u32, first sequence f64, count u32, reason u8: these entries are gone. */
  gone: 18,
  /** queue u32, sequence f64, attempts u32, failures u8, not before f64 (wall ms) */
  returned: 19,
  /** queue u32, sequence f64, mark u8 */
  mark: 20,
  /** queue u32, sequence f64, to queue u32, dead u8, then of a dead letter and of what a session made its own why and origin, of what its owner moved via u32: entry moved, message kept. */
  moved: 21,
  /** session u32, key u32, set u8 */
  note: 22,
  /** queue u32, via u32, topic address: a copy of its retained message. */
  retainedCopy: 23,
  /** segment u32, count u32, then (offset u32, new segment u32, new offset u32): records copied elsewhere, in rising order of offset. */
  relocated: 24,
  /** queue u32, sequence f64, until f64 (wall ms), attempts u32: a lock of kind *time*. */
  lease: 25,
  /** session u32: its will was sent or forgotten. */
  willGone: 26,

  /** transaction f64, type u8, content: a fact of that type that takes effect with the commit. */
  deferred: 40,
  /** transaction f64, ordinals u32: all of it happens now. */
  commit: 41,
  /** transaction f64: nothing of it happens. A new leader says so of each that it finds open. */
  rollback: 42,
  // 43 is kept for a transaction that is prepared: told as a commit is, kept open by a new leader.
  /** transaction f64, message id u32, ordinal u32, queue u32 (0: the set that the message names, if any): a message of an open transaction; in snapshots only. */
  savedSend: 44,
  /** transaction f64, message id u32 (0: the topic forgets), topic address: what a topic keeps when the open transaction is committed; in snapshots only. */
  savedRetaining: 45,
  /** Message to be sent again and again: see `writeJob`. */
  job: 70,
  /** job u32, times sent u32, when f64: it was sent, and no message's fact tells so. */
  jobFired: 71,
  /** job u32 */
  jobGone: 72,
  /** queue u32, sequence f64, dialect's name, bytes: added to what is told of this entry. */
  added: 85,

  /** id u32, segment u32, offset u32, length u32, set u32, flags u32, expires f64, deliver at f64, pieces: count u32 of (segment, offset, length) */
  savedMessage: 200,
  /** message id u32, queue u32, sequence f64, via u32, attempts u32, failures u8, mark u8, flags u8, not before f64, dead reason, dead origin */
  savedEntry: 201,
  /** message id u32, topic address */
  savedRetained: 202,
  /** queue u32, next sequence f64, epoch u32 */
  savedSequence: 203,
  /** next queue number u32, next session number u32, next transaction f64, next set u32, message ids are below u32, next job number u32. Comes first. */
  savedCounters: 204,
  /** Comes last: a snapshot without it is not whole. */
  savedEnd: 205,
} as const

export const FACT_NAMES: ReadonlyMap<number, string> = new Map(Object.entries(FACT).map(([name, type]) => [type, name]))

/**
 * The fixed part of a message fact; after it come address, group, head, body (or, of a large message, its pieces).
 *
 *     0 flags u8 | 1 priority u8 | 2 dialect u16 | 4 accepted f64 | 12 expires f64 | 20 deliver at f64
 *     28 route u32 (a set, or a queue) | 32 session u32 | 36 note u32 | 40 address bytes u16 | 42 group bytes u16 | 44 head bytes u32 | 48 body bytes u32
 */
export const MESSAGE_FIXED = 52

export const MESSAGE_FLAG = {
  /** `route` is a set (0: no durable queue); else it is a queue. */
  toSet: 1,
  /** The topic keeps it. */
  retain: 2,
  /** The body is a list of pieces: count u32, then (segment u32, offset u32, length u32). */
  large: 4,
  /** Reserved for exactly-once publishing: producer u32 and its sequence f64 stand before the address. */
  producer: 8,
  /** Seen by nobody before a commit: transaction f64 and ordinal u32 stand before the address (behind `producer`). */
  transaction: 32,
  /** The last of its group. */
  groupEnds: 16,
  /** A job's: `session` is its number, `note` how often it was sent, this time included. */
  job: 64,
} as const

/** Bytes of what stands between the fixed part of a message fact and its address. */
export function messageExtras(flags: number): number {
  return ((flags & MESSAGE_FLAG.producer) === 0 ? 0 : 12) + ((flags & MESSAGE_FLAG.transaction) === 0 ? 0 : 12)
}

/** A later version wrote this journal: a node that does not know the fact must not lead (nor guess). */
export class UnknownFact extends Error {
  constructor(type: number) {
    super(`the journal has a fact of number ${type}, which this version does not know`)
    this.name = 'UnknownFact'
  }
}

/** Builds the cold facts. One is shared; its content is copied into the journal before it is used again. */
export class FactWriter {
  buffer = Buffer.allocUnsafeSlow(4096)
  length = 0

  reset(): this {
    this.length = 0
    return this
  }

  u8(value: number): this {
    this.#room(1)
    this.buffer[this.length++] = value
    return this
  }

  u16(value: number): this {
    this.#room(2)
    this.length = this.buffer.writeUInt16LE(value, this.length)
    return this
  }

  u32(value: number): this {
    this.#room(4)
    this.length = this.buffer.writeUInt32LE(value, this.length)
    return this
  }

  f64(value: number): this {
    this.#room(8)
    this.length = this.buffer.writeDoubleLE(value, this.length)
    return this
  }

  text(value: string): this {
    const bytes = Buffer.byteLength(value)
    if (bytes > 0xffff) throw new RangeError(`a name of ${bytes} bytes is too long for the journal (65,535)`)
    this.#room(2 + bytes)
    this.length = this.buffer.writeUInt16LE(bytes, this.length)
    this.length += this.buffer.write(value, this.length)
    return this
  }

  bytes(value: Uint8Array): this {
    this.#room(4 + value.length)
    this.length = this.buffer.writeUInt32LE(value.length, this.length)
    this.buffer.set(value, this.length)
    this.length += value.length
    return this
  }

  raw(value: Uint8Array): this {
    this.#room(value.length)
    this.buffer.set(value, this.length)
    this.length += value.length
    return this
  }

  #room(bytes: number): void {
    if (this.length + bytes <= this.buffer.length) return
    const larger = Buffer.allocUnsafeSlow(Math.max(this.buffer.length * 2, this.length + bytes))
    this.buffer.copy(larger, 0, 0, this.length)
    this.buffer = larger
  }
}

/** Reads a fact's content in the order in which it was written. Reading past the end is an error: a fact that does not hold what its number says. */
export class FactReader {
  #buffer: Buffer = Buffer.alloc(0)
  #at = 0
  #end = 0

  reset(buffer: Buffer, start: number, end: number): this {
    this.#buffer = buffer
    this.#at = start
    this.#end = end
    return this
  }

  get left(): number {
    return this.#end - this.#at
  }

  u8(): number {
    return this.#buffer[this.#take(1)]
  }

  u16(): number {
    return this.#buffer.readUInt16LE(this.#take(2))
  }

  u32(): number {
    return this.#buffer.readUInt32LE(this.#take(4))
  }

  f64(): number {
    return this.#buffer.readDoubleLE(this.#take(8))
  }

  text(): string {
    const bytes = this.u16()
    const at = this.#take(bytes)
    return this.#buffer.toString('utf8', at, at + bytes)
  }

  /** A copy. */
  bytes(): Uint8Array {
    const bytes = this.u32()
    const at = this.#take(bytes)
    return Uint8Array.prototype.slice.call(this.#buffer, at, at + bytes)
  }

  /** Whatever is left, as a copy. */
  rest(): Buffer {
    const at = this.#take(this.left)
    return Buffer.from(this.#buffer.subarray(at, this.#end))
  }

  #take(bytes: number): number {
    const at = this.#at
    if (at + bytes > this.#end) throw new RangeError(`a fact ends after ${this.#end - at} bytes where ${bytes} more were due`)
    this.#at = at + bytes
    return at
  }
}
