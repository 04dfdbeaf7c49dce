// Cuts AMQP's bytes into protocol headers and frames (AMQP 1.0, 2.2 and 2.3), and puts frames together.
import type { Framing, Splitter } from '../mutant.ts'
import { encode, type Value } from './amqp-value.ts'

export const amqpFraming: Framing = () => ({ toClient: splitter(), toBroker: splitter() })

/** Which protocol a header announces: the byte behind `AMQP`. */
export const AMQP = 0
export const TLS = 2
export const SASL = 3

export function header(protocol: number, version: readonly number[] = [1, 0, 0]): Buffer {
  return Buffer.concat([Buffer.from('AMQP'), Buffer.of(protocol, ...version)])
}

export const isHeader = (bytes: Buffer): boolean => bytes.subarray(0, 4).toString('latin1') === 'AMQP'

/** Whole headers and frames. What begins with no header, and a frame whose size is too small to be one, is everything that is there. */
export function splitter(): Splitter {
  let rest: Buffer = Buffer.alloc(0)
  let begun = false
  return (bytes) => {
    rest = rest.length === 0 ? bytes : Buffer.concat([rest, bytes])
    const pieces: Buffer[] = []
    while (rest.length > 0) {
      const size = sizeOf(rest, begun)
      if (size === undefined || size > rest.length) break
      begun = true
      pieces.push(rest.subarray(0, size))
      rest = rest.subarray(size)
    }
    return pieces
  }
}

/** Of the piece at the beginning; undefined while it cannot be known. */
function sizeOf(bytes: Buffer, begun: boolean): number | undefined {
  if (!begun && !'AMQP'.startsWith(bytes.subarray(0, 4).toString('latin1'))) return bytes.length
  if (bytes.length < 4) return undefined
  if (isHeader(bytes)) return 8
  const size = bytes.readUInt32BE(0)
  return size < 8 ? bytes.length : size
}

export type FrameOptions = Readonly<{
  channel?: number
  payload?: Buffer /** 0: AMQP, 1: SASL. */
  type?: number /** Between header and body, a multiple of four bytes. */
  extended?: Buffer
}>

/** A frame around a performative, or an empty one. */
export function frame(body: Value | undefined, { channel = 0, payload, type = 0, extended }: FrameOptions = {}): Buffer {
  const head = Buffer.alloc(8)
  const rest = [extended ?? Buffer.alloc(0), body === undefined ? Buffer.alloc(0) : encode(body), payload ?? Buffer.alloc(0)]
  head.writeUInt32BE(rest.reduce((sum, { length }) => sum + length, 8))
  head.writeUInt8(2 + (extended?.length ?? 0) / 4, 4)
  head.writeUInt8(type, 5)
  head.writeUInt16BE(channel, 6)
  return Buffer.concat([head, ...rest])
}
