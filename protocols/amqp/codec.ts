// Bytes → frames (part 2.3), with the guard: what a frame claims is checked before a byte of it is kept.
// It knows no socket and no performative; what is in a frame is performatives.ts.
import { ConnectionFault } from './errors.ts'

export type Frame = Readonly<{
  type: number
  channel: number
  /** All of the frame; its body is from `start` to its end. Empty body: a heartbeat. */
  bytes: Buffer
  start: number
}>

export const AMQP_HEADER = Buffer.from([0x41, 0x4d, 0x51, 0x50, 0, 1, 0, 0])
export const SASL_HEADER = Buffer.from([0x41, 0x4d, 0x51, 0x50, 3, 1, 0, 0])
export const FRAME_AMQP = 0
export const FRAME_SASL = 1
/** Part 2.3.1: 8 bytes before the extended header, which nobody uses and everybody must skip. */
const HEAD_BYTES = 8

/** Gathers what came until a header or frame is whole. Keeps at most one frame and one chunk. */
export class Parser {
  frameBytesMax: number
  channelMax: number
  #chunks: Buffer[] = []
  #length = 0

  constructor(frameBytesMax: number, channelMax: number) {
    this.frameBytesMax = frameBytesMax
    this.channelMax = channelMax
  }

  push(bytes: Uint8Array): void {
    if (bytes.length === 0) return
    this.#chunks.push(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length))
    this.#length += bytes.length
  }

  /** The protocol header (part 2.2); undefined: not all there yet. What cannot become one is told at once. */
  header(): Buffer | undefined {
    const have = this.#peek(Math.min(8, this.#length))
    for (let i = 0; i < Math.min(4, have.length); i++) {
      if (have[i] !== AMQP_HEADER[i]) throw new ConnectionFault('amqp:connection:framing-error', 'The connection does not begin with an AMQP header.')
    }
    return have.length < 8 ? undefined : this.#take(8)
  }

  frame(type: number): Frame | undefined {
    if (this.#length < HEAD_BYTES) return undefined
    const head = this.#peek(HEAD_BYTES)
    const size = head.readUInt32BE(0)
    const start = head[4] * 4
    const found = head[5]
    const channel = head.readUInt16BE(6)
    if (size < HEAD_BYTES) throw framing(`A frame of ${size} bytes is shorter than its own head.`)
    if (size > this.frameBytesMax) throw framing(`A frame of ${size} bytes exceeds max-frame-size (frameBytesMax ${this.frameBytesMax}).`)
    if (start < HEAD_BYTES || start > size) throw framing('The data offset of a frame is outside of it.')
    if (found !== type) throw framing(`A frame of type ${found} where ${type} was expected.`)
    if (type === FRAME_AMQP && channel > this.channelMax) throw framing(`Channel ${channel} exceeds channel-max (${this.channelMax}).`)
    if (this.#length < size) return undefined
    return { type: found, channel, bytes: this.#take(size), start }
  }

  /** Whole in the first chunk most of the time; joined when not. */
  #peek(bytes: number): Buffer {
    const [first] = this.#chunks
    if (first === undefined) return EMPTY
    if (first.length < bytes) this.#join(bytes)
    return this.#chunks[0].subarray(0, bytes)
  }

  #take(bytes: number): Buffer {
    if (this.#chunks[0].length < bytes) this.#join(bytes)
    const [first] = this.#chunks
    const taken = first.subarray(0, bytes)
    this.#length -= bytes
    if (first.length === bytes) this.#chunks.shift()
    else this.#chunks[0] = first.subarray(bytes)
    return taken
  }

  /** Makes the first chunk at least this long, copying no more than it must. */
  #join(bytes: number): void {
    let have = 0
    let count = 0
    while (have < bytes) have += this.#chunks[count++].length
    const last = this.#chunks[count - 1]
    const rest = have - bytes
    const joined = Buffer.concat([...this.#chunks.slice(0, count - 1), last.subarray(0, last.length - rest)])
    this.#chunks.splice(0, count, ...(rest > 0 ? [joined, last.subarray(last.length - rest)] : [joined]))
  }
}

function framing(sentence: string): ConnectionFault {
  return new ConnectionFault('amqp:connection:framing-error', sentence)
}

const EMPTY = Buffer.alloc(0)
