// What the fewest bytes can ask for. A frame of 30 bytes must not cost the event loop a millisecond; time is a bad witness in a test, so what it costs is
// counted: values, frames and headers that are made of it, and memory that is taken for what it claims is still to come.
import { describe, expect, it } from 'vitest'
import { Parser as AmqpParser } from '../protocols/amqp/codec.ts'
import { DecodeFault } from '../protocols/amqp/errors.ts'
import { amqpDefaults } from '../protocols/amqp/fake-node.ts'
import { TermReader } from '../protocols/amqp/reader.ts'
import { splitSections } from '../protocols/amqp/sections.ts'
import type { Term } from '../protocols/amqp/term.ts'
import { Framer } from '../protocols/mqtt/codec.ts'
import { decodeSubscribe } from '../protocols/mqtt/packets.ts'
import { Parser as StompParser } from '../protocols/stomp/codec.ts'
import { WebSocketReader } from '../src/listen/websocket-reader.ts'

const BYTES = 30

/** Values in a value, itself included. */
function count(term: Term): number {
  if (term.type === 'described') return 1 + count(term.descriptor) + count(term.value)
  if (term.type === 'terms' || term.type === 'array') return term.value.reduce((sum, each) => sum + count(each), 1)
  if (term.type === 'pairs') return term.value.reduce((sum, [key, value]) => sum + count(key) + count(value), 1)
  return 1
}

/** An array of `claimed` values of this constructor, which has the bytes that are left. */
function array(wide: boolean, claimed: number, constructor: readonly number[], bytes = BYTES): Buffer {
  const all = Buffer.alloc(bytes)
  all[0] = wide ? 0xf0 : 0xe0
  if (wide) {
    all.writeUInt32BE(bytes - 5, 1)
    all.writeUInt32BE(claimed, 5)
  } else {
    all[1] = bytes - 2
    all[2] = claimed
  }
  all.set(constructor, wide ? 9 : 3)
  return all
}

describe('of 30 bytes', () => {
  it('the types of AMQP make no more values than can be counted in microseconds', () => {
    const reader = new TermReader(amqpDefaults)
    const limit = BYTES * 256
    const made = (bytes: Buffer): number => {
      try {
        return count(reader.over(bytes).term())
      } catch (error) {
        if (error instanceof DecodeFault) return 0
        throw error
      }
    }
    for (const code of [0x40, 0x41, 0x42, 0x43, 0x44, 0x45]) {
      for (const claimed of [200, 256, 257, 50_000, 99_999, 0xff_ff_ff_ff]) {
        expect(made(array(true, claimed, [code], 10))).toBe(claimed <= 256 ? claimed + 1 : 0)
        expect(made(array(true, claimed, [0x00, 0x53, 0x70, code], 13))).toBe(claimed <= 256 ? 1 + claimed * 3 : 0)
      }
    }
    // Whatever is nested in whatever, by a generator of its own so that each run is the same.
    let seed = 1
    const next = (): number => (seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0) >>> 16
    const codes = [0x00, 0x40, 0x43, 0x45, 0xc0, 0xc1, 0xd0, 0xe0, 0xf0, 0x53, 0xa0]
    for (let i = 0; i < 50_000; i++) {
      const bytes = Buffer.alloc(BYTES)
      for (let at = 0; at < BYTES; at++)
        bytes[at] = next() % 3 === 0 ? next() : next() % 2 === 0 ? codes[next() % codes.length] : BYTES - at - (next() % 4)
      expect(made(bytes)).toBeLessThanOrEqual(limit)
    }
    for (let depth = 1; depth < 8; depth++) {
      let inner = array(false, 255, [0x40], 4)
      for (let i = 1; i < depth; i++) inner = Buffer.concat([Buffer.from([0xc0, inner.length + 1, 1]), inner])
      expect(made(inner)).toBe(255 + depth)
    }
  })

  it('sections of an AMQP message are no more than their bytes', () => {
    const reader = new TermReader(amqpDefaults)
    const data = Buffer.from('005375a00000 5375a00000 5375a00000 5375a00000 5375a00000 5375a0'.replaceAll(' ', ''), 'hex').subarray(0, 30)
    expect(splitSections(reader.over(data.subarray(0, 25)), 1000)).toHaveLength(5)
  })

  it('codecs make no more frames than bytes, and take no memory for what is only claimed', () => {
    const before = process.memoryUsage().arrayBuffers
    const kept: unknown[] = []
    for (let i = 0; i < 200; i++) {
      const amqp = new AmqpParser(amqpDefaults.frameBytesMax, 255)
      amqp.push(Buffer.from('0000ffff02000000005314c0', 'hex'))
      expect(amqp.frame(0)).toBeUndefined()
      const stomp = new StompParser({ headersMax: 100, headerBytesMax: 10_000, lineBytesMax: 1_000, bodyBytesMax: 16_777_216 })
      stomp.version = '1.2'
      stomp.push(Buffer.from('SEND\ncontent-length:9999999\n\n'))
      expect(stomp.read()).toBeUndefined()
      const mqtt = new Framer({ expect() {}, frame: () => true })
      mqtt.push(Buffer.from('30ffffff0700016100', 'hex'))
      const websocket = new WebSocketReader({ messageBytesMax: 17_825_792, fragmentsMax: 4096 }, true)
      websocket.read(Buffer.from('82ff0000000001000000010203040506', 'hex'))
      kept.push(amqp, stomp, mqtt, websocket)
    }
    expect(kept).toHaveLength(800)
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(8 * 2 ** 20)
    let frames = 0
    const mqtt = new Framer({
      expect() {},
      frame() {
        frames++
        return true
      },
    })
    mqtt.push(Buffer.from('c000'.repeat(15), 'hex'))
    expect(frames).toBe(15)
    const filters = decodeSubscribe(Buffer.from(`0001${'00012300'.repeat(7)}`, 'hex'), 0, 30, 1000).filters
    expect(filters).toHaveLength(7)
    const stomp = new StompParser({ headersMax: 100, headerBytesMax: 10_000, lineBytesMax: 1_000, bodyBytesMax: 1_000 })
    stomp.version = '1.2'
    stomp.push(Buffer.from('A\n\n\0A\n\n\0A\n\n\0A\n\n\0A\n\n\0A\n\n\0A\n\n\0'))
    let whole = 0
    while (stomp.read() !== undefined) whole++
    expect(whole).toBeLessThanOrEqual(7)
  })
})
