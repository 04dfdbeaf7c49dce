// One message on its way to a receiver, as transfer frames (part 2.7.5): headers by hand, the payload by reference. Hot room.
// It knows neither windows nor credit: channel.ts asks for the next frame when one may go.
import type { Delivery, EntryRef, Message, Wire } from '../../src/api.ts'
import { DELIVERY_ANNOTATIONS, MESSAGE_ANNOTATIONS, type Section } from './sections.ts'

/** What of an outbound delivery its link is told. */
export interface OutboundLink {
  readonly handle: number
  /** The first frame of this delivery goes out. */
  begun(): void
  /** The last one went. */
  sent(): void
}

export type Outbound = {
  readonly link: OutboundLink
  readonly deliveryId: number
  readonly ref: EntryRef
  readonly attempts: number
  readonly settled: boolean
  /** A resumed delivery that its receiver has settled already: told so, without its message. */
  readonly state: Buffer | undefined
  readonly parts: readonly Uint8Array[]
  readonly total: number
  sent: number
}

/** Below this copying is cheaper than another piece for the socket. */
const COPY_BYTES = 2048
/** Where frames are written: as `Wire` says. */
export type Out = Pick<Wire, 'write' | 'reserve' | 'room'>

/** Writes the next frame of at most this size; answers whether it was the last. */
export function writeTransfer(out: Outbound, channel: number, frameBytesMax: number, to: Out): boolean {
  const first = out.sent === 0
  const left = out.total - out.sent
  const stateBytes = out.state === undefined ? 0 : out.state.length + 2
  const fixed = first ? 14 + 5 + 5 + 2 + TAG_BYTES + 1 + 1 + 1 + stateBytes : 14 + 5 + 4 + 1
  const bytes = Math.min(left, frameBytesMax - fixed)
  const more = bytes < left
  const copies = bytes < COPY_BYTES
  let at = to.reserve(copies ? fixed + bytes : fixed)
  const { room } = to
  at = room.writeUInt32BE(fixed + bytes, at)
  at = room.writeUInt32BE(0x02_00_00_00 | channel, at)
  at = room.writeUInt32BE(0x00_53_14_c0, at)
  room[at++] = fixed - 13
  room[at++] = first && stateBytes > 0 ? 9 : 6
  room[at++] = 0x70
  at = room.writeUInt32BE(out.link.handle, at)
  if (first) {
    room[at++] = 0x70
    at = room.writeUInt32BE(out.deliveryId, at)
    room[at++] = 0xa0
    room[at++] = TAG_BYTES
    at = writeTag(room, at, out)
    room[at++] = 0x43
    room[at++] = out.settled ? 0x41 : 0x42
  } else {
    // delivery-id, delivery-tag, message-format, settled: as in the first frame.
    room.fill(0x40, at, at + 4)
    at += 4
  }
  room[at++] = more ? 0x41 : 0x42
  if (first && out.state !== undefined) {
    room[at++] = 0x40
    at += out.state.copy(room, at)
    room[at++] = 0x41
  }
  writePayload(out, bytes, to, copies ? at : -1)
  out.sent += bytes
  return !more
}

/** `at`: where in the room; -1: by reference. */
function writePayload(out: Outbound, bytes: number, to: Out, at: number): void {
  const { room } = to
  let skip = out.sent
  let left = bytes
  for (const part of out.parts) {
    if (left === 0) break
    if (skip >= part.length) {
      skip -= part.length
      continue
    }
    const piece = skip === 0 && part.length <= left ? part : part.subarray(skip, Math.min(part.length, skip + left))
    skip = 0
    left -= piece.length
    if (at < 0) to.write(piece)
    else {
      room.set(piece, at)
      at += piece.length
    }
  }
}

/** The header section (part 3.2.1), which is the broker's: written anew for each delivery. */
export function headerSection(message: Message, delivery: Delivery, wallMs: number): Buffer {
  const ttlMs = message.expiresAtMs === 0 ? 0 : Math.min(0xff_ff_ff_ff, Math.max(1, message.expiresAtMs - wallMs))
  const bytes = Buffer.allocUnsafe(10 + (ttlMs === 0 ? 1 : 5) + (delivery.failures < 256 ? 2 : 5))
  let at = bytes.writeUInt32BE(0x00_53_70_c0, 0)
  bytes[at++] = bytes.length - 5
  bytes[at++] = 5
  bytes[at++] = message.durable ? 0x41 : 0x42
  bytes[at++] = 0x50
  bytes[at++] = message.priority
  if (ttlMs === 0) bytes[at++] = 0x40
  else {
    bytes[at++] = 0x70
    at = bytes.writeUInt32BE(ttlMs, at)
  }
  bytes[at++] = delivery.attempts === 1 && !delivery.maybeSeen ? 0x41 : 0x42
  if (delivery.failures < 256) {
    bytes[at++] = 0x52
    bytes[at++] = delivery.failures
  } else {
    bytes[at++] = 0x70
    bytes.writeUInt32BE(delivery.failures, at)
  }
  return bytes
}

/**
 * The queue's number, sequence and attempt: the same entry has the same number and sequence for life, across reconnects and takeovers, and no other has
 * them: what a client says of an old delivery is never taken for one of a queue that was made anew. Answers where the tag ends.
 */
function writeTag(bytes: Buffer, at: number, { ref, attempts }: Pick<Outbound, 'ref' | 'attempts'>): number {
  const { queue, sequence } = ref
  // Numbers of queues that do not outlive a node have its epoch above the first 32 bits.
  at = bytes.writeUIntBE(queue % 2 ** 48, at, 6)
  at = bytes.writeUIntBE(Math.floor(sequence / 2 ** 8) % 2 ** 48, at, 6)
  bytes[at++] = sequence % 256
  bytes[at++] = attempts & 0xff
  return at
}

export const TAG_BYTES = 14

/** The whole tag of a delivery. */
export function bytesOfTag({ ref, attempts }: Pick<Delivery, 'ref' | 'attempts'>): Buffer {
  const bytes = Buffer.allocUnsafe(TAG_BYTES)
  writeTag(bytes, 0, { ref, attempts })
  return bytes
}

/** The part of a tag that stays with an entry (all but its last byte), in hexadecimal. */
export function entryOfTag({ queue, sequence }: EntryRef): string {
  return (queue % 2 ** 48).toString(16).padStart(12, '0') + sequence.toString(16).padStart(14, '0')
}

/** Where the annotations of a head stand, or would have to stand. */
export function annotationsAt(sections: readonly Section[]): Readonly<{ start: number; value: number; end: number; found: boolean }> {
  let at = 0
  for (const section of sections) {
    if (section.code === MESSAGE_ANNOTATIONS) return { start: section.start, value: section.value, end: section.end, found: true }
    if (section.code === DELIVERY_ANNOTATIONS) at = section.end
  }
  return { start: at, value: at, end: at, found: false }
}
