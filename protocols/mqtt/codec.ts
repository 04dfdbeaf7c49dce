// MQTT's framing: bytes in, control packets out, and the small packets that the broker writes. Hand-written, in place, because this is the hot room;
// `mqtt-packet` is what the tests compare it with. It knows no socket, timer, session or broker.
//
//     byte 1            bytes 2…5                  then
//     type  flags       remaining length, varint   as many bytes as it says
//
// What a packet claims to be is judged when its fixed header is there, before a byte of it is kept. A packet that is split over
// several reads gathers in a buffer that grows with what came, so that a lying length costs its sender and not us.

import { MALFORMED } from './reasons.ts'

/** Control packet types, the high half of byte 1 [MQTT-2.2.1]. */
export const CONNECT = 1
export const CONNACK = 2
export const PUBLISH = 3
export const PUBACK = 4
export const PUBREC = 5
export const PUBREL = 6
export const PUBCOMP = 7
export const SUBSCRIBE = 8
export const SUBACK = 9
export const UNSUBSCRIBE = 10
export const UNSUBACK = 11
export const PINGREQ = 12
export const PINGRESP = 13
export const DISCONNECT = 14
/** MQTT 5 only. */
export const AUTH = 15

/** The client broke the protocol: its connection ends, and nothing else. */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError'
  /** What a client of MQTT 5 is told. */
  readonly reason: number

  constructor(message: string, reason = MALFORMED) {
    super(message)
    this.reason = reason
  }
}

export interface Frames {
  /** A fixed header is complete. Throws `ProtocolError` if such a packet, or one of that size, is not welcome. */
  expect(first: number, remaining: number): void
  /** One packet: `buffer[start … end)` follows its fixed header. What is kept may be kept as a view. false: keep what follows for `resume`. */
  frame(first: number, buffer: Buffer, start: number, end: number): boolean
}

export class Framer {
  readonly #to: Frames
  /** The packet that is not complete yet, with its fixed header: `#have` bytes in `#part`. */
  #part: Buffer | undefined = undefined
  #have = 0
  /** Of that packet, once its fixed header is there: bytes in all, and where its content begins; 0 before. */
  #total = 0
  #content = 0
  #held: Buffer[] | undefined = undefined
  #cleared = false

  constructor(to: Frames) {
    this.#to = to
  }

  push(bytes: Uint8Array): void {
    if (this.#cleared) return
    const chunk = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    if (this.#held !== undefined) {
      this.#held.push(chunk)
      return
    }
    this.#run(chunk)
  }

  /** Goes on where `frame` answered false. */
  resume(): void {
    const held = this.#held
    if (held === undefined) return
    this.#held = undefined
    for (let i = 0; i < held.length; i++) this.push(held[i])
  }

  /** Forgets everything: nothing more is wanted. */
  clear(): void {
    this.#cleared = true
    this.#held = undefined
    this.#part = undefined
    this.#have = 0
    this.#total = 0
  }

  /** Bytes kept for later. */
  get heldBytes(): number {
    let bytes = this.#part === undefined ? 0 : this.#part.length
    for (const chunk of this.#held ?? []) bytes += chunk.length
    return bytes
  }

  #run(chunk: Buffer): void {
    let at = 0
    if (this.#have > 0) {
      at = this.#complete(chunk)
      if (at < 0) return
    }
    const length = chunk.length
    while (at < length) {
      // The fixed header in place; its last byte is the first of at most four below 128 [MQTT-2.2.3].
      let content = at + 1
      let remaining = 0
      let shift = 1
      let byte = 128
      while (content < length) {
        byte = chunk[content++]
        remaining += (byte & 127) * shift
        if (byte < 128) break
        if (shift === 2_097_152) throw new ProtocolError('the remaining length has more than four bytes')
        shift *= 128
      }
      if (byte >= 128) {
        this.#keep(chunk, at, 0, 0)
        return
      }
      const first = chunk[at]
      this.#to.expect(first, remaining)
      const end = content + remaining
      if (end > length) {
        this.#keep(chunk, at, end - at, content - at)
        return
      }
      if (!this.#to.frame(first, chunk, content, end)) {
        this.#hold(chunk, end)
        return
      }
      at = end
    }
  }

  #hold(chunk: Buffer, from: number): void {
    if (this.#cleared) return
    this.#held = from < chunk.length ? [chunk.subarray(from)] : []
  }

  #keep(chunk: Buffer, from: number, total: number, content: number): void {
    const have = chunk.length - from
    this.#part = Buffer.allocUnsafeSlow(roomFor(have, total))
    chunk.copy(this.#part, 0, from)
    this.#have = have
    this.#total = total
    this.#content = content
  }

  /** Goes on with the kept packet; answers where in `chunk` the next begins, -1 when all of it is used up. */
  #complete(chunk: Buffer): number {
    let at = 0
    while (this.#total === 0) {
      if (at === chunk.length) return -1
      this.#append(chunk, at, at + 1)
      at++
      this.#header()
    }
    const until = Math.min(chunk.length, at + this.#total - this.#have)
    this.#append(chunk, at, until)
    if (this.#have < this.#total) return -1
    const packet = this.#part
    const total = this.#total
    const content = this.#content
    this.#part = undefined
    this.#have = 0
    this.#total = 0
    if (packet === undefined) throw new Error('a packet was being kept and is not there')
    if (this.#to.frame(packet[0], packet, content, total)) return until
    this.#hold(chunk, until)
    return -1
  }

  /** Looks whether the fixed header is complete now. */
  #header(): void {
    const part = this.#part
    if (part === undefined) return
    let remaining = 0
    let shift = 1
    for (let i = 1; i < this.#have; i++) {
      remaining += (part[i] & 127) * shift
      if (part[i] < 128) {
        this.#to.expect(part[0], remaining)
        this.#content = i + 1
        this.#total = i + 1 + remaining
        return
      }
      if (shift === 2_097_152) throw new ProtocolError('the remaining length has more than four bytes')
      shift *= 128
    }
  }

  #append(chunk: Buffer, from: number, until: number): void {
    const need = this.#have + until - from
    let part = this.#part
    if (part === undefined || need > part.length) {
      const grown = Buffer.allocUnsafeSlow(roomFor(need, this.#total))
      part?.copy(grown, 0, 0, this.#have)
      this.#part = grown
      part = grown
    }
    chunk.copy(part, this.#have, from, until)
    this.#have = need
  }
}

const PART_BYTES = 512

/** Twice what is there, never more than the packet needs. */
function roomFor(have: number, total: number): number {
  const room = Math.max(PART_BYTES, have * 2)
  return total > 0 && total < room ? total : room
}

// ---- What the broker writes -----------------------------------------------------------------------------------------

export const PINGRESP_BYTES: Uint8Array = Buffer.from([PINGRESP << 4, 0])

export function connack(sessionPresent: boolean, code: number): Uint8Array {
  return Buffer.from([CONNACK << 4, 2, sessionPresent ? 1 : 0, code])
}

/** `granted`: 0, 1, 2 or 0x80 for each filter, in order. */
export function suback(packetId: number, granted: readonly number[]): Uint8Array {
  const header = lengthBytes(2 + granted.length)
  const bytes = Buffer.allocUnsafe(1 + header + 2 + granted.length)
  bytes[0] = SUBACK << 4
  writeLength(bytes, 1, 2 + granted.length)
  bytes.writeUInt16BE(packetId, 1 + header)
  bytes.set(granted, 3 + header)
  return bytes
}

export function unsuback(packetId: number): Uint8Array {
  return Buffer.from([UNSUBACK << 4, 2, packetId >> 8, packetId & 255])
}

/** PUBACK, PUBREC, PUBREL or PUBCOMP at `at`; answers where the next begins. `first` is byte 1, flags included. */
export function writeAcknowledgement(bytes: Uint8Array, at: number, first: number, packetId: number): number {
  bytes[at] = first
  bytes[at + 1] = 2
  bytes[at + 2] = packetId >> 8
  bytes[at + 3] = packetId & 255
  return at + 4
}

/** The same with a reason code, in MQTT 5's form without properties. */
export function writeReasoned(bytes: Uint8Array, at: number, first: number, packetId: number, reason: number): number {
  bytes[at] = first
  bytes[at + 1] = 3
  bytes[at + 2] = packetId >> 8
  bytes[at + 3] = packetId & 255
  bytes[at + 4] = reason
  return at + 5
}

export function lengthBytes(length: number): number {
  return length < 128 ? 1 : length < 16_384 ? 2 : length < 2_097_152 ? 3 : 4
}

/** Answers where what follows begins. */
export function writeLength(bytes: Uint8Array, at: number, length: number): number {
  let left = length
  let place = at
  while (left > 127) {
    bytes[place++] = (left & 127) | 128
    left = Math.floor(left / 128)
  }
  bytes[place] = left
  return place + 1
}
