import { describe, expect, it } from 'vitest'
import { compositeOf, toValue } from './amqp-composite.ts'
import { frame, header, splitter } from './amqp-framing.ts'
import {
  array,
  binary,
  boolean,
  decode,
  described,
  encode,
  int,
  list,
  long,
  map,
  nothing,
  raw,
  string,
  symbol,
  timestamp,
  uint,
  ulong,
  type Value,
} from './amqp-value.ts'
import { read } from './amqp-wire.ts'

const hex = (value: Value): string => encode(value).toString('hex')

describe('a value', () => {
  it('is written by its shortest constructor, or by the one that it names', () => {
    expect(hex(nothing)).toBe('40')
    expect([hex(boolean(true)), hex(boolean(false, 0x56))]).toEqual(['41', '5600'])
    expect([hex(uint(0)), hex(uint(7)), hex(uint(256)), hex(uint(0, 0x70))]).toEqual(['43', '5207', '7000000100', '7000000000'])
    expect([hex(ulong(0)), hex(ulong(255)), hex(ulong(256))]).toEqual(['44', '53ff', '800000000000000100'])
    expect([hex(int(-1)), hex(int(-129)), hex(long(-1, 0x81))]).toEqual(['54ff', '71ffffff7f', '81ffffffffffffffff'])
    expect([hex(string('ab')), hex(string('a', 0xb1)), hex(symbol('a'))]).toEqual(['a1026162', 'b10000000161', 'a30161'])
    expect([hex(list([])), hex(list([nothing])), hex(list([], 0xd0))]).toEqual(['45', 'c0020140', 'd00000000400000000'])
    expect(hex(map([[symbol('k'), string('v')]]))).toBe('c10702a3016ba10176')
    expect(hex(array([symbol('a'), symbol('bc')]))).toBe('e00702a30161026263')
    expect(hex(described(ulong(0x24), list([])))).toBe('00532445')
    expect(hex(raw('de ad'))).toBe('dead')
  })

  it('is read as it was written, with its constructor', () => {
    const values: Value[] = [
      timestamp(-5),
      binary(Buffer.alloc(300, 7)),
      list([uint(5), list([string('x'.repeat(400))])]),
      map([[ulong(1), array([int(1), int(70_000)])]]),
      { type: 'double', value: 1.5 },
      { type: 'uuid', value: Buffer.alloc(16, 3) },
      described(symbol('x:y'), described(string('odd'), nothing)),
    ]
    for (const value of values) {
      const bytes = encode(value)
      const read = decode(bytes)
      expect(read.end).toBe(bytes.length)
      expect(encode(read.value).equals(bytes)).toBe(true)
    }
  })

  it('that is cut short, too long or of no type is told', () => {
    const whole = encode(map([[symbol('key'), list([string('value'), uint(300)])]]))
    for (let length = 0; length < whole.length; length++) expect(() => decode(whole.subarray(0, length))).toThrow(/ends|longer|no count/)
    expect(() => decode(Buffer.from('3f', 'hex'))).toThrow('is no constructor')
    expect(() => decode(Buffer.from('c0020240', 'hex'))).toThrow('says that it has 2 values and has 1')
    expect(() => decode(Buffer.from('c1020140', 'hex'))).toThrow('a key without a value')
  })
})

describe('a composite', () => {
  it('leaves out the nulls at its end, and is read by number or symbol', () => {
    const open = toValue({ kind: 'open', containerId: 'a', channelMax: 5, offeredCapabilities: ['x'] })
    expect(hex(open)).toBe('005310c00f08a101614040600005404040a30178')
    expect(compositeOf(open)).toEqual({ kind: 'open', containerId: 'a', channelMax: 5, offeredCapabilities: ['x'] })
    expect(compositeOf(described(symbol('amqp:end:list'), list([])))).toEqual({ kind: 'end' })
    expect(compositeOf(described(ulong(0x99), list([])))).toBeUndefined()
  })

  it('with wrong types, too many fields or too few is read as well as it can be, and the faults are told', () => {
    const faults: string[] = []
    compositeOf(described(ulong(0x18), list([string('no error'), nothing])), faults)
    expect(faults).toEqual(['close has 2 fields where it can have 1', 'error of close is "no error", which is nothing that the specification has'])
    faults.length = 0
    compositeOf(described(ulong(0x16), list([])), faults)
    expect(faults).toEqual(['detach has no handle'])
  })
})

describe('a frame', () => {
  it('is read for its channel, its performative and its payload', () => {
    const transfer = frame(toValue({ kind: 'transfer', handle: 3 }), { channel: 258, payload: Buffer.from('rest'), extended: Buffer.alloc(4) })
    expect(read(transfer).piece).toMatchObject({ kind: 'transfer', handle: 3, channel: 258, payload: Buffer.from('rest') })
    expect(read(frame(undefined, { channel: 1 })).piece).toMatchObject({ kind: 'empty', channel: 1 })
    expect(read(Buffer.from('414d515003010000', 'hex')).piece).toMatchObject({ kind: 'header', protocol: 3, version: '1.0.0' })
    expect(read(frame(string('x'))).piece).toMatchObject({ kind: 'unreadable' })
  })

  it('is cut from the stream whatever the pieces are in which it comes', () => {
    const pieces = [header(3), frame(undefined), header(0), frame(toValue({ kind: 'begin' })), frame(toValue({ kind: 'end' }), { channel: 7 })]
    const stream = Buffer.concat(pieces)
    for (let at = 0; at <= stream.length; at++) {
      const split = splitter()
      expect([...split(stream.subarray(0, at)), ...split(stream.subarray(at))].map((piece) => piece.toString('hex'))).toEqual(
        pieces.map((piece) => piece.toString('hex')),
      )
    }
  })

  it('that is none, and a stream that is no AMQP, go through as they came', () => {
    const http = Buffer.from('GET / HTTP/1.1')
    expect(splitter()(http)).toEqual([http])
    const small = Buffer.from('0000000702000000', 'hex')
    const split = splitter()
    expect([...split(header(0)), ...split(small)]).toEqual([header(0), small])
  })
})
