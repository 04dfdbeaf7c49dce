// The fact of one message between its bytes and the fields that the core works with: written, taken apart for `apply.ts`, and read back as the message
// that it was. The layout is `MESSAGE_FIXED` in `journal/facts.ts`; what the fact does to the state is `apply.ts`, when a message has one is `publish.ts`.
// Hot room: the objects are reused, and nothing is made for a message but what is read back.
import type { Message } from '../api.ts'
import { FactReader, MESSAGE_FIXED, MESSAGE_FLAG, messageExtras } from '../journal/facts.ts'
import { FACT_BYTES_MAX, type Range } from '../journal/journal.ts'
import { type CoreAddress, readAddress } from './addresses.ts'
import type { RouteSet } from './bindings.ts'
import { groupBucket } from './group-buckets.ts'
import { type Held, rankOf } from './messages.ts'
import type { Queue } from './queue.ts'
import type { State } from './state.ts'

const EMPTY = new Uint8Array(0)

/** A message fact taken apart; one is reused. */
export interface MessageFact {
  segment: number
  offset: number
  length: number
  flags: number
  /** See `rankOf`. */
  rank: number
  acceptedAtMs: number
  expiresAtMs: number
  deliverAtMs: number
  /** Where it was sent; read only for `retain`. */
  address: CoreAddress | undefined
  set: RouteSet | undefined
  queue: Queue | undefined
  session: number
  /** Who sent it, as needed only for `retain`; '': not known. */
  origin: string
  note: number
  pieces: readonly Range[] | undefined
  /** Not 0: nobody sees it before this is committed; its place there. */
  transaction: number
  ordinal: number
}

export function newMessageFact(): MessageFact {
  return {
    segment: 0,
    offset: 0,
    length: 0,
    flags: 0,
    rank: 0,
    acceptedAtMs: 0,
    expiresAtMs: 0,
    deliverAtMs: 0,
    address: undefined,
    set: undefined,
    queue: undefined,
    session: 0,
    origin: '',
    note: 0,
    pieces: undefined,
    transaction: 0,
    ordinal: 0,
  }
}

/** First `measure`, then, where the journal made room for so many bytes, `write`. */
export class MessageFactWriter {
  /** What the fact says beside the message. */
  readonly fact = newMessageFact()
  /** The number of the message's dialect. */
  dialect = 0
  /** The session as the journal knows it; 0: it does not. */
  session = 0
  #address: Uint8Array = EMPTY
  #groupBytes = 0
  #bodyBytes = 0

  /** Its bytes; -1: more than a fact can have. `pieces`: where its body lies, if elsewhere. */
  measure(message: Message, to: CoreAddress, pieces: readonly Range[] | undefined, joins: boolean): number {
    this.#address = to.encoded
    this.#groupBytes = message.group === '' ? 0 : Buffer.byteLength(message.group)
    this.#bodyBytes = pieces === undefined ? message.body.length : 4 + 12 * pieces.length
    this.fact.address = to
    this.fact.pieces = pieces
    const size =
      MESSAGE_FIXED +
      messageExtras(joins ? MESSAGE_FLAG.transaction : 0) +
      this.#address.length +
      this.#groupBytes +
      message.head.length +
      this.#bodyBytes
    return size > FACT_BYTES_MAX || this.#groupBytes > 0xffff ? -1 : size
  }

  write(buffer: Buffer, at: number, message: Message): void {
    const { fact } = this
    buffer[at] = fact.flags
    buffer[at + 1] = message.priority
    buffer.writeUInt16LE(this.dialect, at + 2)
    buffer.writeDoubleLE(fact.acceptedAtMs, at + 4)
    buffer.writeDoubleLE(fact.expiresAtMs, at + 12)
    buffer.writeDoubleLE(fact.deliverAtMs, at + 20)
    buffer.writeUInt32LE(fact.set?.number ?? fact.queue?.number ?? 0, at + 28)
    buffer.writeUInt32LE(this.session, at + 32)
    buffer.writeUInt32LE(fact.note, at + 36)
    buffer.writeUInt16LE(this.#address.length, at + 40)
    buffer.writeUInt16LE(this.#groupBytes, at + 42)
    buffer.writeUInt32LE(message.head.length, at + 44)
    buffer.writeUInt32LE(this.#bodyBytes, at + 48)
    let next = at + MESSAGE_FIXED
    if ((fact.flags & MESSAGE_FLAG.transaction) !== 0) {
      next = buffer.writeDoubleLE(fact.transaction, next)
      next = buffer.writeUInt32LE(fact.ordinal, next)
    }
    buffer.set(this.#address, next)
    next += this.#address.length
    const groupAt = next
    if (this.#groupBytes > 0) next += buffer.write(message.group, next)
    if (message.head.length > 0) buffer.set(message.head, next)
    next += message.head.length
    if (fact.pieces === undefined) buffer.set(message.body, next)
    else writeRanges(buffer, next, fact.pieces)
    fact.rank = rankOf(message.priority, this.#groupBytes === 0 ? 0 : groupBucket(buffer.subarray(groupAt, next - message.head.length)))
  }
}

export class MessageFactReader {
  readonly #state: State
  readonly #reader = new FactReader()
  readonly #fact = newMessageFact()

  constructor(state: State) {
    this.#state = state
  }

  /** Good until the next call; where it lies is for the caller to add. */
  read(buffer: Buffer, start: number, end: number): MessageFact {
    const state = this.#state
    const fact = this.#fact
    const flags = buffer[start]
    const route = buffer.readUInt32LE(start + 28)
    const at = start + MESSAGE_FIXED + messageExtras(flags)
    const joins = (flags & MESSAGE_FLAG.transaction) !== 0
    fact.transaction = joins ? buffer.readDoubleLE(at - 12) : 0
    fact.ordinal = joins ? buffer.readUInt32LE(at - 4) : 0
    fact.length = end - start
    fact.flags = flags
    fact.acceptedAtMs = buffer.readDoubleLE(start + 4)
    fact.expiresAtMs = buffer.readDoubleLE(start + 12)
    fact.deliverAtMs = buffer.readDoubleLE(start + 20)
    fact.session = buffer.readUInt32LE(start + 32)
    fact.note = buffer.readUInt32LE(start + 36)
    fact.set = (flags & MESSAGE_FLAG.toSet) !== 0 ? state.sets.byNumber.get(route) : undefined
    fact.queue = (flags & MESSAGE_FLAG.toSet) !== 0 ? undefined : state.queueByNumber.get(route)
    const addressBytes = buffer.readUInt16LE(start + 40)
    const groupBytes = buffer.readUInt16LE(start + 42)
    const groupAt = at + addressBytes
    fact.rank = rankOf(buffer[start + 1], groupBytes === 0 ? 0 : groupBucket(buffer.subarray(groupAt, groupAt + groupBytes)))
    fact.address = (flags & MESSAGE_FLAG.retain) !== 0 ? readAddress(this.#reader.reset(buffer, at, at + addressBytes)) : undefined
    fact.pieces = undefined
    if ((flags & MESSAGE_FLAG.large) !== 0) {
      const head = buffer.readUInt32LE(start + 44)
      fact.pieces = readRanges(this.#reader.reset(buffer, groupAt + groupBytes + head, end))
    }
    return fact
  }
}

/** The message that a fact tells of. `large`: its body, if it lies elsewhere. */
export function readHeld(
  record: Buffer,
  dialects: readonly string[],
  addressAt: (record: Buffer, start: number, end: number) => CoreAddress,
  large: Uint8Array | undefined,
): Held {
  const flags = record[0]
  let at = MESSAGE_FIXED + messageExtras(flags)
  const addressBytes = record.readUInt16LE(40)
  const groupBytes = record.readUInt16LE(42)
  const headBytes = record.readUInt32LE(44)
  const to = addressAt(record, at, at + addressBytes)
  at += addressBytes
  const group = groupBytes === 0 ? '' : record.toString('utf8', at, at + groupBytes)
  at += groupBytes
  const head = headBytes === 0 ? EMPTY : record.subarray(at, at + headBytes)
  at += headBytes
  const message: Message = {
    dialect: dialects[record.readUInt16LE(2)],
    head,
    body: large ?? (at === record.length ? EMPTY : record.subarray(at)),
    durable: true,
    priority: record[1],
    expiresAtMs: record.readDoubleLE(12),
    deliverAtMs: record.readDoubleLE(20),
    group,
    groupEnds: (flags & MESSAGE_FLAG.groupEnds) !== 0,
  }
  return { message, to, acceptedAtMs: record.readDoubleLE(4) }
}

function writeRanges(buffer: Buffer, at: number, ranges: readonly Range[]): void {
  let next = buffer.writeUInt32LE(ranges.length, at)
  for (const { segment, offset, length } of ranges) {
    next = buffer.writeUInt32LE(segment, next)
    next = buffer.writeUInt32LE(offset, next)
    next = buffer.writeUInt32LE(length, next)
  }
}

export function readRanges(from: FactReader): Range[] {
  const ranges: Range[] = []
  for (let left = from.u32(); left > 0; left--) ranges.push({ segment: from.u32(), offset: from.u32(), length: from.u32() })
  return ranges
}
