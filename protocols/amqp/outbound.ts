// One message on its way to a receiver, as transfer frames (part 2.7.5): headers by hand, the payload by reference. Hot room.
// It knows neither windows nor credit: channel.ts asks for the next frame when one may go.
import type { Delivery, Message } from '../../src/api.ts'
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
  readonly tag: Buffer
  readonly settled: boolean
  /** A resumed delivery that its receiver has settled already: told so, without its message. */
  readonly state: Buffer | undefined
  readonly parts: readonly Uint8Array[]
  readonly total: number
  sent: number
}

/** Below this copying is cheaper than another piece for the socket. */
const COPY_BYTES = 2048
/** Most that the head of a transfer frame takes: 8 of the frame, 6 of the list, handle, id, tag, format, flags, a state. */
const HEAD_BYTES = 96

/** Writes the next frame of at most this size; answers whether it was the last. */
export function writeTransfer(out: Outbound, channel: number, frameBytesMax: number, write: (bytes: Uint8Array) => void): boolean {
  const first = out.sent === 0
  const left = out.total - out.sent
  const head = Buffer.allocUnsafe(HEAD_BYTES + (left < COPY_BYTES ? left : 0))
  const stateBytes = out.state === undefined ? 0 : out.state.length + 2
  const fixed = first ? 14 + 5 + 5 + 2 + out.tag.length + 1 + 1 + 1 + stateBytes : 14 + 5 + 4 + 1
  const bytes = Math.min(left, frameBytesMax - fixed)
  const more = bytes < left
  let at = 8
  at = head.writeUInt32BE(0x00_53_14_c0, at)
  head[at++] = fixed - 13
  head[at++] = first ? (stateBytes > 0 ? 9 : 6) : 6
  head[at++] = 0x70
  at = head.writeUInt32BE(out.link.handle, at)
  if (first) {
    head[at++] = 0x70
    at = head.writeUInt32BE(out.deliveryId, at)
    head[at++] = 0xa0
    head[at++] = out.tag.length
    at += out.tag.copy(head, at)
    head[at++] = 0x43
    head[at++] = out.settled ? 0x41 : 0x42
  } else {
    // delivery-id, delivery-tag, message-format, settled: as in the first frame.
    head.fill(0x40, at, at + 4)
    at += 4
  }
  head[at++] = more ? 0x41 : 0x42
  if (first && out.state !== undefined) {
    head[at++] = 0x40
    at += out.state.copy(head, at)
    head[at++] = 0x41
  }
  head.writeUInt32BE(at + bytes, 0)
  head.writeUInt32BE(0x02_00_00_00 | channel, 4)
  writePayload(out, head, at, bytes, write)
  out.sent += bytes
  return !more
}

function writePayload(out: Outbound, head: Buffer, at: number, bytes: number, write: (bytes: Uint8Array) => void): void {
  const copies = bytes < COPY_BYTES && at + bytes <= head.length
  if (!copies) write(head.subarray(0, at))
  let end = at
  let skip = out.sent
  let left = bytes
  for (const part of out.parts) {
    if (left === 0) break
    if (skip >= part.length) {
      skip -= part.length
      continue
    }
    const piece = part.subarray(skip, Math.min(part.length, skip + left))
    skip = 0
    left -= piece.length
    if (copies) {
      head.set(piece, end)
      end += piece.length
    } else write(piece)
  }
  if (copies) write(head.subarray(0, end))
}

/** The header section (part 3.2.1), which is the broker's: written anew for each delivery. */
export function headerSection(message: Message, delivery: Delivery, wallMs: number): Buffer {
  const ttlMs = message.expiresAtMs === 0 ? 0 : Math.min(0xff_ff_ff_ff, Math.max(1, message.expiresAtMs - wallMs))
  const bytes = Buffer.allocUnsafe(20)
  let at = bytes.writeUInt32BE(0x00_53_70_c0, 0)
  // The size is known at the end.
  at += 1
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
    at = bytes.writeUInt32BE(delivery.failures, at)
  }
  bytes[4] = at - 5
  return bytes.subarray(0, at)
}

/** Sequence and attempt: the same entry has the same sequence for life, across reconnects and takeovers. */
export function deliveryTag(delivery: Delivery, ofSeveral = false): Buffer {
  if (ofSeveral) {
    const long = Buffer.allocUnsafe(6)
    long.writeUIntBE(delivery.ref.queue % 2 ** 48, 0, 6)
    return Buffer.concat([long, deliveryTag(delivery)])
  }
  const tag = Buffer.allocUnsafe(TAG_BYTES)
  tag.writeUIntBE(Math.floor(delivery.ref.sequence / 2 ** 8) % 2 ** 48, 0, 6)
  tag[6] = delivery.ref.sequence % 256
  tag[7] = delivery.attempts & 0xff
  return tag
}

const TAG_BYTES = 8

/** Where the annotations of a head stand, or would have to stand. */
export function annotationsAt(sections: readonly Section[]): Readonly<{ start: number; value: number; end: number; found: boolean }> {
  let at = 0
  for (const section of sections) {
    if (section.code === MESSAGE_ANNOTATIONS) return { start: section.start, value: section.value, end: section.end, found: true }
    if (section.code === DELIVERY_ANNOTATIONS) at = section.end
  }
  return { start: at, value: at, end: at, found: false }
}
