import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { WebSocketReader } from './websocket-reader.ts'

const limits = { messageBytesMax: 1_000_000, fragmentsMax: 100 }

type Made = Readonly<{ opcode: number; fin: boolean; payload: Uint8Array; key: number }>

/** A client's frame (RFC 6455 5.2). */
function frame({ opcode, fin, payload, key }: Made): Buffer {
  const length = payload.length
  const head = Buffer.alloc(length < 126 ? 6 : length < 65_536 ? 8 : 14)
  head[0] = (fin ? 0x80 : 0) | opcode
  head[1] = 0x80 | (length < 126 ? length : length < 65_536 ? 126 : 127)
  if (head.length === 8) head.writeUInt16BE(length, 2)
  if (head.length === 14) head.writeUInt32BE(length, 6)
  head.writeUInt32BE(key, head.length - 4)
  const mask = head.subarray(-4)
  return Buffer.concat([head, payload.map((byte, i) => byte ^ mask[i & 3])])
}

/** Reads these bytes cut at these places. */
function readAll(reader: WebSocketReader, bytes: Buffer, cuts: readonly number[]): Buffer {
  const stream: Buffer[] = []
  let from = 0
  for (const cut of [...cuts.toSorted((a, b) => a - b), bytes.length]) {
    // A chunk of its own, and not always on a border of words.
    const chunk = Buffer.concat([Buffer.alloc(from & 7), bytes.subarray(from, cut)]).subarray(from & 7)
    from = cut
    stream.push(Buffer.from(reader.read(chunk)))
  }
  return Buffer.concat(stream)
}

const key = fc.integer({ min: 0, max: 0xffffffff })
const control = fc.record({
  opcode: fc.constantFrom(9, 10),
  fin: fc.constant(true),
  payload: fc.uint8Array({ maxLength: 125 }),
  key,
})
const size = fc.oneof(fc.nat(300), fc.integer({ min: 66_000, max: 66_010 }))
const piece = fc.record({ payload: size.map((bytes) => Uint8Array.from({ length: bytes }, (_, i) => (i * 31) ^ bytes)), key })
const message = fc
  .array(fc.tuple(piece, fc.array(control, { maxLength: 2 })), { minLength: 1, maxLength: 4 })
  .map((pieces) =>
    pieces.flatMap(([{ payload, key: of }, between], i): Made[] => [
      { opcode: i === 0 ? 2 : 0, fin: i === pieces.length - 1, payload, key: of },
      ...between,
    ]),
  )

describe('a WebSocket reader', () => {
  it('gives the stream that was sent, and every control frame, wherever frames and reads are cut', () => {
    fc.assert(
      fc.property(fc.array(message, { maxLength: 4 }), fc.array(fc.nat(), { maxLength: 12 }), (messages, cuts) => {
        const frames = messages.flat()
        const bytes = Buffer.concat(frames.map(frame))
        const reader = new WebSocketReader(limits, false)
        const stream = readAll(
          reader,
          bytes,
          cuts.map((cut) => cut % (bytes.length + 1)),
        )
        expect(reader.breach).toBeUndefined()
        expect(stream.equals(Buffer.concat(frames.filter(({ opcode }) => opcode < 8).map(({ payload }) => payload)))).toBe(true)
        expect(Buffer.concat(reader.control).equals(Buffer.concat(frames.filter(({ opcode }) => opcode >= 8).map(frame)))).toBe(true)
      }),
      { numRuns: 100 },
    )
  })

  it('takes text cut within its characters, and finds at its end that one is not whole', () => {
    const text = Buffer.from('aé€𝄞z')
    for (let cut = 0; cut <= text.length; cut++) {
      const bytes = Buffer.concat([
        frame({ opcode: 1, fin: false, payload: text.subarray(0, cut), key: 0x01020304 }),
        frame({ opcode: 0, fin: true, payload: text.subarray(cut), key: 0xa0b0c0d0 }),
      ])
      for (let read = 0; read <= bytes.length; read++) {
        const reader = new WebSocketReader(limits, true)
        expect(readAll(reader, bytes, [read]).toString()).toBe('aé€𝄞z')
        expect([reader.text, reader.breach]).toEqual([true, undefined])
      }
      const cutOff = new WebSocketReader(limits, true)
      cutOff.read(frame({ opcode: 1, fin: true, payload: text.subarray(0, cut), key: 7 }))
      expect(cutOff.breach?.code).toBe([0, 1, 3, 6, 10, 11].includes(cut) ? undefined : 1007)
    }
  })

  it.each([[0xc0], [0xc1], [0xf5], [0xff], [0x61, 0x80], [0xe2, 0x61]])(
    'finds a byte that begins no character before its message is complete: %j',
    (...bytes) => {
      const reader = new WebSocketReader(limits, true)
      reader.read(frame({ opcode: 1, fin: false, payload: Buffer.from(bytes), key: 9 }))
      expect(reader.breach?.code).toBe(1007)
    },
  )

  it.each([
    ['a frame without a mask', [0x82, 0x01, 0x61], 1002],
    ['a reserved bit', [0xa2, 0x80, 0, 0, 0, 0], 1002],
    ['an opcode that is none', [0x83, 0x80, 0, 0, 0, 0], 1002],
    ['a control opcode that is none', [0x8b, 0x80, 0, 0, 0, 0], 1002],
    ['a ping in fragments', [0x09, 0x80, 0, 0, 0, 0], 1002],
    ['a ping that is too long', [0x89, 0xfe, 0, 126, 0, 0, 0, 0], 1002],
    ['a fragment of nothing', [0x80, 0x80, 0, 0, 0, 0], 1002],
    ['a message within another', [0x02, 0x80, 0, 0, 0, 0, 0x82, 0x80, 0, 0, 0, 0], 1002],
    ['text where there is none', [0x81, 0x80, 0, 0, 0, 0], 1003],
    ['a message that is too long', [0x82, 0xff, 0, 0, 0, 0, 0x40, 0, 0, 0, 0, 0, 0, 0], 1009],
    ['a length beyond all numbers', [0x82, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0], 1009],
    ['a length of 64 bits', [0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], 1002],
  ])('refuses %s, wherever it is cut, and reads nothing after it', (_, bytes, code) => {
    const good = frame({ opcode: 2, fin: true, payload: Buffer.from('good'), key: 0x11223344 })
    const all = Buffer.concat([good, Buffer.from(bytes), good])
    for (let cut = 0; cut <= all.length; cut++) {
      const reader = new WebSocketReader(limits, false)
      expect(readAll(reader, all, [cut]).toString()).toBe('good')
      expect(reader.breach?.code).toBe(code)
    }
  })

  it('counts the fragments and bytes of a message, not those of all', () => {
    const reader = new WebSocketReader({ messageBytesMax: 10, fragmentsMax: 3 }, false)
    const send = (opcode: number, fin: boolean, bytes: number) => reader.read(frame({ opcode, fin, payload: Buffer.alloc(bytes), key: 1 }))
    for (let i = 0; i < 5; i++) {
      send(2, false, 4)
      send(0, false, 3)
      send(0, true, 3)
    }
    expect(reader.breach).toBeUndefined()
    send(2, false, 10)
    send(0, true, 1)
    expect(reader.breach?.code).toBe(1009)
    const other = new WebSocketReader({ messageBytesMax: 10, fragmentsMax: 3 }, false)
    for (let i = 0; i < 4; i++) other.read(frame({ opcode: i === 0 ? 2 : 0, fin: false, payload: Buffer.alloc(0), key: 1 }))
    expect(other.breach?.code).toBe(1008)
  })

  it('reads nothing after a close frame', () => {
    const reader = new WebSocketReader(limits, false)
    const close = frame({ opcode: 8, fin: true, payload: Buffer.from([3, 0xe8]), key: 5 })
    const data = frame({ opcode: 2, fin: true, payload: Buffer.from('x'), key: 6 })
    expect(reader.read(Buffer.concat([data, close, data])).toString()).toBe('x')
    expect(reader.control).toEqual([close])
    expect(reader.read(data).length).toBe(0)
  })
})
