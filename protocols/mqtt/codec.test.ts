import mqttPacket from 'mqtt-packet'
import { describe, expect, it } from 'vitest'
import { SeededRandom } from '../../src/random.ts'
import { type Frames, Framer, ProtocolError, connack, lengthBytes, suback, unsuback, writeAcknowledgement, writeLength } from './codec.ts'

interface Seen {
  first: number
  content: string
}

class Collector implements Frames {
  readonly seen: Seen[] = []
  readonly expected: [number, number][] = []
  stopAfter = Number.POSITIVE_INFINITY
  max = Number.POSITIVE_INFINITY

  expect(first: number, remaining: number): void {
    if (remaining > this.max) throw new ProtocolError('too long')
    this.expected.push([first, remaining])
  }

  frame(first: number, buffer: Buffer, start: number, end: number): boolean {
    this.seen.push({ first, content: buffer.toString('hex', start, end) })
    return this.seen.length < this.stopAfter
  }
}

/** CONNECT of MQTT 3.1.1, SUBSCRIBE, QoS 1 PUBLISH, PINGREQ, a PUBLISH of 200 bytes, DISCONNECT: written out. */
const STREAM = Buffer.from(
  `${'100d00044d5154540402003c000161'}${'82060001000161 01'}${'320700016100056869'}${'c000'}${`30c801000161${'78'.repeat(197)}`}${'e000'}`.replace(
    / /g,
    '',
  ),
  'hex',
)
const FRAMES: Seen[] = [
  { first: 0x10, content: '00044d5154540402003c000161' },
  { first: 0x82, content: '000100016101' },
  { first: 0x32, content: '00016100056869' },
  { first: 0xc0, content: '' },
  { first: 0x30, content: `000161${'78'.repeat(197)}` },
  { first: 0xe0, content: '' },
]

describe('Framer', () => {
  it('finds every packet of one read', () => {
    const to = new Collector()
    new Framer(to).push(STREAM)
    expect(to.seen).toEqual(FRAMES)
  })

  it('finds the same packets when the bytes are split at every place', () => {
    for (let at = 1; at < STREAM.length; at++) {
      const to = new Collector()
      const framer = new Framer(to)
      framer.push(STREAM.subarray(0, at))
      framer.push(STREAM.subarray(at))
      expect(to.seen).toEqual(FRAMES)
      expect(framer.heldBytes).toBe(0)
    }
  })

  it('finds the same packets when every byte comes alone', () => {
    const to = new Collector()
    const framer = new Framer(to)
    for (const byte of STREAM) framer.push(Uint8Array.of(byte))
    expect(to.seen).toEqual(FRAMES)
    expect(to.expected.length).toBe(FRAMES.length)
  })

  it('finds the same packets in random splits of many streams', () => {
    for (let seed = 1; seed <= 200; seed++) {
      const random = new SeededRandom(seed)
      const copies = 1 + random.below(4)
      const stream = Buffer.concat(Array.from({ length: copies }, () => STREAM))
      const to = new Collector()
      const framer = new Framer(to)
      for (let at = 0; at < stream.length; ) {
        const next = Math.min(stream.length, at + 1 + random.below(40))
        framer.push(stream.subarray(at, next))
        at = next
      }
      expect(to.seen, `seed ${seed}`).toEqual(Array.from({ length: copies }, () => FRAMES).flat())
    }
  })

  it('judges a packet by its fixed header before it keeps a byte of it', () => {
    const to = new Collector()
    to.max = 1000
    // 268,435,455 bytes are announced.
    expect(() => new Framer(to).push(Buffer.from('30ffffff7f00', 'hex'))).toThrow(ProtocolError)
    const slowly = new Framer(to)
    for (const byte of [0x30, 0xff, 0xff, 0xff]) slowly.push(Uint8Array.of(byte))
    expect(() => slowly.push(Uint8Array.of(0x7f))).toThrow(ProtocolError)
  })

  it('keeps no more for a lying remaining length than what came, twice', () => {
    const to = new Collector()
    const framer = new Framer(to)
    framer.push(Buffer.concat([Buffer.from('30ffffff7f', 'hex'), Buffer.alloc(10_000)]))
    expect(framer.heldBytes).toBeLessThanOrEqual(2 * 10_005)
    for (let i = 0; i < 1000; i++) framer.push(Buffer.alloc(10))
    expect(framer.heldBytes).toBeLessThanOrEqual(4 * 10_005)
    expect(to.seen).toEqual([])
  })

  it('refuses a remaining length of five bytes, whole and split', () => {
    expect(() => new Framer(new Collector()).push(Buffer.from('308080808001', 'hex'))).toThrow(/four bytes/)
    const framer = new Framer(new Collector())
    for (const byte of [0x30, 0x80, 0x80, 0x80]) framer.push(Uint8Array.of(byte))
    expect(() => framer.push(Uint8Array.of(0x80))).toThrow(/four bytes/)
  })

  it('keeps what follows when it is told to, and goes on from there', () => {
    const to = new Collector()
    to.stopAfter = 1
    const framer = new Framer(to)
    framer.push(STREAM.subarray(0, 30))
    framer.push(STREAM.subarray(30))
    expect(to.seen.length).toBe(1)
    to.stopAfter = 3
    framer.resume()
    expect(to.seen.length).toBe(3)
    to.stopAfter = Number.POSITIVE_INFINITY
    framer.resume()
    expect(to.seen).toEqual(FRAMES)
  })

  it('wants nothing more once it is cleared', () => {
    const to = new Collector()
    const framer = new Framer(to)
    framer.push(STREAM.subarray(0, 20))
    framer.clear()
    framer.push(STREAM)
    expect(to.seen.length).toBe(1)
    expect(framer.heldBytes).toBe(0)
  })
})

describe('what the broker writes', () => {
  it('writes every length as the specification has it', () => {
    // The table of 2.2.3.
    const rows: [number, string][] = [
      [0, '00'],
      [127, '7f'],
      [128, '8001'],
      [16_383, 'ff7f'],
      [16_384, '808001'],
      [2_097_151, 'ffff7f'],
      [2_097_152, '80808001'],
      [268_435_455, 'ffffff7f'],
    ]
    for (const [length, hex] of rows) {
      const bytes = Buffer.alloc(4)
      const end = writeLength(bytes, 0, length)
      expect(bytes.toString('hex', 0, end)).toBe(hex)
      expect(lengthBytes(length)).toBe(end)
    }
  })

  it('writes the small packets byte for byte', () => {
    expect(Buffer.from(connack(true, 0)).toString('hex')).toBe('20020100')
    expect(Buffer.from(connack(false, 5)).toString('hex')).toBe('20020005')
    expect(Buffer.from(suback(258, [0, 1, 2, 0x80])).toString('hex')).toBe('9006010200010280')
    expect(Buffer.from(unsuback(0xffff)).toString('hex')).toBe('b002ffff')
    const bytes = Buffer.alloc(8)
    expect(writeAcknowledgement(bytes, writeAcknowledgement(bytes, 0, 0x40, 1), 0x62, 0x1234)).toBe(8)
    expect(bytes.toString('hex')).toBe('4002000162021234')
  })

  it('writes a SUBACK that needs a longer length', () => {
    const packet = suback(
      7,
      Array.from({ length: 200 }, () => 1),
    )
    expect(mqttPacket.parser().parse(Buffer.from(packet))).toBe(0)
    expect(Buffer.from(packet.subarray(0, 5)).toString('hex')).toBe('90ca010007')
    expect(packet.length).toBe(205)
  })
})
