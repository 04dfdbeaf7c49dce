// Bytes → frames (part 2.3), with the guard: what a frame claims is checked before a byte of it is kept.
// It knows no socket and no performative; what is in a frame is performatives.ts.
import { ConnectionFault } from './errors.ts'

export type Frame = Readonly<{
  type: number
  channel: number
  /** What holds the frame; its body is from `start` to `end`. Empty body: a heartbeat. */
  bytes: Buffer
  start: number
  end: number
}>

export const AMQP_HEADER = Buffer.from([0x41, 0x4d, 0x51, 0x50, 0, 1, 0, 0])
export const SASL_HEADER = Buffer.from([0x41, 0x4d, 0x51, 0x50, 3, 1, 0, 0])
export const FRAME_AMQP = 0
export const FRAME_SASL = 1
/** Part 2.3.1: 8 bytes before the extended header, which nobody uses and everybody must skip. */
const HEAD_BYTES = 8
/** Part 5.3.1: MIN-MAX-FRAME-SIZE. */
const SASL_FRAME_BYTES_MAX = 512

/** Gathers what came until a header or frame is whole. Keeps at most one frame and one chunk. Hot: a frame within a chunk is told by its place in it. */
export class Parser {
  frameBytesMax: number
  channelMax: number
  /** From `at` on it is to be read; behind it the others. */
  #chunk: Buffer = EMPTY
  #at = 0
  #others: Buffer[] = []
  #othersBytes = 0

  constructor(frameBytesMax: number, channelMax: number) {
    this.frameBytesMax = frameBytesMax
    this.channelMax = channelMax
  }

  push(bytes: Uint8Array): void {
    if (bytes.length === 0) return
    const chunk = bytes instanceof Buffer ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
    if (this.#at === this.#chunk.length && this.#others.length === 0) {
      this.#chunk = chunk
      this.#at = 0
    } else {
      this.#others.push(chunk)
      this.#othersBytes += chunk.length
    }
  }

  get #length(): number {
    return this.#chunk.length - this.#at + this.#othersBytes
  }

  /** The protocol header (part 2.2); undefined: not all there yet. What cannot become one is told at once. */
  header(): Buffer | undefined {
    const bytes = Math.min(8, this.#length)
    this.#join(bytes)
    const have = this.#chunk.subarray(this.#at, this.#at + bytes)
    for (let i = 0; i < Math.min(4, have.length); i++) {
      if (have[i] !== AMQP_HEADER[i]) throw new ConnectionFault('amqp:connection:framing-error', 'The connection does not begin with an AMQP header.')
    }
    if (have.length < 8) return undefined
    this.#at += 8
    return have
  }

  frame(type: number): Frame | undefined {
    if (this.#length < HEAD_BYTES) return undefined
    this.#step()
    this.#join(HEAD_BYTES)
    const head = this.#at
    const chunk = this.#chunk
    const size = chunk.readUInt32BE(head)
    const start = chunk[head + 4] * 4
    const found = chunk[head + 5]
    const channel = chunk.readUInt16BE(head + 6)
    if (size < HEAD_BYTES) throw framing(`A frame of ${size} bytes is shorter than its own head.`)
    if (type === FRAME_SASL && size > SASL_FRAME_BYTES_MAX)
      throw framing(`A frame of SASL has ${size} bytes, and at most ${SASL_FRAME_BYTES_MAX} are allowed.`)
    if (size > this.frameBytesMax) throw framing(`A frame of ${size} bytes exceeds max-frame-size (frameBytesMax ${this.frameBytesMax}).`)
    if (start < HEAD_BYTES || start > size) throw framing('The data offset of a frame is outside of it.')
    if (found !== type) throw framing(`A frame of type ${found} where ${type} was expected.`)
    if (type === FRAME_AMQP && channel > this.channelMax) throw framing(`Channel ${channel} exceeds channel-max (${this.channelMax}).`)
    if (this.#length < size) return undefined
    this.#join(size)
    const at = this.#at
    this.#at = at + size
    return { type: found, channel, bytes: this.#chunk, start: at + start, end: at + size }
  }

  /** Makes the chunk hold at least so many bytes from here on, which there are. Copies no more than it must. */
  #join(bytes: number): void {
    let have = this.#chunk.length - this.#at
    if (have >= bytes) return
    const parts = [this.#chunk.subarray(this.#at)]
    let count = 0
    while (have < bytes) {
      const next = this.#others[count++]
      parts.push(next)
      have += next.length
      this.#othersBytes -= next.length
    }
    this.#others.splice(0, count)
    const rest = have - bytes
    const last = parts[count]
    if (rest > 0) {
      parts[count] = last.subarray(0, last.length - rest)
      this.#others.unshift(last.subarray(last.length - rest))
      this.#othersBytes += rest
    }
    this.#chunk = Buffer.concat(parts, bytes)
    this.#at = 0
  }

  /** A chunk that is used up makes way for the next. */
  #step(): void {
    if (this.#at < this.#chunk.length) return
    const next = this.#others.shift()
    if (next === undefined) return
    this.#chunk = next
    this.#at = 0
    this.#othersBytes -= next.length
  }
}

function framing(sentence: string): ConnectionFault {
  return new ConnectionFault('amqp:connection:framing-error', sentence)
}

const EMPTY = Buffer.alloc(0)
