// Maps as ActiveMQ Classic 6.3.1 writes them: the texts here are its own bytes, recorded from subscriptions with jms-map-xml and jms-map-json.
import { describe, expect, it } from 'vitest'
import type { Value } from '../../src/api.ts'
import { type MapForm, readMap, writeMap as writeBounded } from './map-body.ts'

type Entries = readonly (readonly [string, Value])[]

const writeMap = (entries: Entries, form: MapForm): string => writeBounded(entries, form, 100_000) ?? ''
const string = (value: string): Value => ({ type: 'string', value })
const int = (value: number): Value => ({ type: 'int32', value })

/** What, as XML, as JSON. */
const recorded: readonly (readonly [string, Value, string, string])[] = [
  ['string', string('De & jan'), '<string>De &amp; jan</string>', '{"string":["k","De & jan"]}'],
  ['empty string', string(''), '<string></string>', '{"string":["k",""]}'],
  ['digits in a string', string('007'), '<string>007</string>', '{"string":["k","007"]}'],
  ['int', int(30), '<int>30</int>', '{"string":"k","int":30}'],
  ['long', { type: 'int64', value: 9_007_199_254_740_993n }, '<long>9007199254740993</long>', '{"string":"k","long":9007199254740993}'],
  ['short', { type: 'int16', value: 4 }, '<short>4</short>', '{"string":"k","short":4}'],
  ['byte', { type: 'int8', value: -3 }, '<byte>-3</byte>', '{"string":"k","byte":-3}'],
  ['boolean', { type: 'boolean', value: true }, '<boolean>true</boolean>', '{"string":"k","boolean":true}'],
  ['double', { type: 'double', value: 1.5 }, '<double>1.5</double>', '{"string":"k","double":1.5}'],
  ['char', { type: 'char', value: 'x' }, '<char>x</char>', '{"string":"k","char":"x"}'],
  ['null', { type: 'null' }, '<null/>', '{"string":"k","null":""}'],
  ['bytes', { type: 'binary', value: Buffer.from([1, 2, 3]) }, '<byte-array>AQID</byte-array>', '{"string":"k","byte-array":"AQID"}'],
  ['empty list', { type: 'list', value: [] }, '<list/>', '{"string":"k","list":""}'],
  ['empty map', { type: 'map', value: [] }, '<map/>', '{"string":"k","map":""}'],
  [
    'list',
    { type: 'list', value: [int(1), int(2), string('z')] },
    '<list>\n      <int>1</int>\n      <int>2</int>\n      <string>z</string>\n    </list>',
    '{"string":"k","list":{"int":[1,2],"string":"z"}}',
  ],
  [
    'map',
    { type: 'map', value: [[string('i'), int(1)] as const, [string('j'), int(2)] as const] },
    [
      '<map>',
      ...['  <entry>', '    <string>i</string>', '    <int>1</int>', '  </entry>'],
      ...['  <entry>', '    <string>j</string>', '    <int>2</int>', '  </entry>'],
      '</map>',
    ].join('\n    '),
    '{"string":"k","map":{"entry":[{"string":"i","int":1},{"string":"j","int":2}]}}',
  ],
]

describe('a map for a subscriber who asked for ActiveMQ’s form', () => {
  it.each(recorded)('has the bytes that ActiveMQ writes, and reads back with its types: %s', (_, value, xml, json) => {
    const entries: Entries = [['k', value]]
    const asXml = `<map>\n  <entry>\n    <string>k</string>\n    ${xml}\n  </entry>\n</map>`
    expect(writeMap(entries, 'xml')).toBe(asXml)
    expect(writeMap(entries, 'json')).toBe(`{"map":{"entry":${json}}}`)
    expect(readMap(asXml, 'xml')).toEqual(entries)
    expect(readMap(`{"map":{"entry":${json}}}`, 'json')).toEqual(entries)
  })

  it('of several entries has them in an array, in order, each name once; of none is an empty element', () => {
    const entries: Entries = [
      ['b', int(1)],
      ['a', string('x')],
      ['b', int(2)],
    ]
    expect(writeMap(entries, 'json')).toBe('{"map":{"entry":[{"string":"b","int":1},{"string":["a","x"]}]}}')
    expect(writeMap([], 'json')).toBe('{"map":""}')
    expect(writeMap([], 'xml')).toBe('<map/>')
    expect(readMap('{"map":""}', 'json')).toEqual([])
    expect(readMap('<map/>', 'xml')).toEqual([])
    expect(readMap(' <?xml version="1.0"?> <map></map>\n', 'xml')).toEqual([])
  })

  it.each<[string, Value, string, string]>([
    ['uint8', { type: 'uint8', value: 200 }, 'short', '200'],
    ['uint16', { type: 'uint16', value: 40_000 }, 'int', '40000'],
    ['uint32', { type: 'uint32', value: 4_000_000_000 }, 'long', '4000000000'],
    ['uint64 that fits', { type: 'uint64', value: 7n }, 'long', '7'],
    ['uint64 that does not', { type: 'uint64', value: 2n ** 64n - 1n }, 'string', '18446744073709551615'],
    ['timestamp', { type: 'timestamp', value: 5n }, 'long', '5'],
    ['symbol', { type: 'symbol', value: 's' }, 'string', 's'],
    ['char beyond 16 bits', { type: 'char', value: '😀' }, 'string', '😀'],
    ['whole float', { type: 'float', value: 1 }, 'float', '1.0'],
    ['float', { type: 'float', value: Math.fround(0.1) }, 'float', '0.1'],
    ['not a number', { type: 'double', value: Number.NaN }, 'double', 'NaN'],
    ['infinity', { type: 'double', value: -Infinity }, 'double', '-Infinity'],
    ['uuid', { type: 'uuid', value: Buffer.alloc(16, 0x11) }, 'string', '11111111-1111-1111-1111-111111111111'],
  ])('has what Java has not in the next type that it has: %s', (_, value, name, text) => {
    expect(writeMap([['k', value]], 'xml')).toContain(`<${name}>${text}</${name}>`)
    const json = writeMap([['k', value]], 'json')
    expect(() => JSON.parse(json)).not.toThrow()
    expect(readMap(json, 'json')?.[0][1].type).toBe(
      { short: 'int16', int: 'int32', long: 'int64', float: 'float', double: 'double', string: 'string' }[name],
    )
  })

  it('never holds a NUL, which would end the frame, nor what XML cannot hold', () => {
    const entries: Entries = [['a\0<b>', string('\0\u0001\r\n\t"\'&lt;😀]]>')]]
    for (const form of ['xml', 'json'] as const) {
      const text = writeMap(entries, form)
      expect(text).not.toContain('\0')
      expect(readMap(text, form)).toEqual(entries)
    }
  })

  it('is not written where it would be longer than is allowed, as few bytes of another protocol can be', () => {
    const entries: Entries = Array.from({ length: 1000 }, (_, i) => [`k${i}`, int(0)])
    for (const form of ['xml', 'json'] as const) {
      const { length } = writeMap(entries, form)
      expect(writeBounded(entries, form, length * 0.9)).toBeUndefined()
      expect(writeBounded(entries, form, length * 1.6)).toHaveLength(length)
    }
  })

  it('has keys that are no strings only inside of another map', () => {
    const entries: Entries = [['m', { type: 'map', value: [[int(1), int(2)] as const, [string('x'), int(3)] as const] }]]
    for (const form of ['xml', 'json'] as const) expect(readMap(writeMap(entries, form), form)).toEqual(entries)
    expect(readMap('<map><entry><int>1</int><int>2</int></entry></map>', 'xml')).toBeUndefined()
  })
})

describe('a body that should be a map', () => {
  it.each([
    '',
    'nonsense',
    '<map>',
    '<map/>x',
    'x<map/>',
    '<map></list>',
    '<map><entry/></map>',
    '<map>text</map>',
    '<map><entry><string>k</string><int>1</int><int>2</int></entry></map>',
    '<map><entry><string>k</string><int>one</int></entry></map>',
    '<map><entry><string>k</string><byte>300</byte></entry></map>',
    '<map><entry><string>k</string><float>1.2.3</float></entry></map>',
    '<map><entry><string>k</string><java.lang.Runtime/></entry></map>',
    '<map><entry><string>k</string><list><int>x</int></list></entry></map>',
    '<map><entry><string>k</string><string><string>x</string></string></entry></map>',
    '<map a="b"/>',
    '<list/>',
    '</map>',
  ])('and is not one is none: %s', (text) => {
    expect(readMap(text, 'xml')).toBeUndefined()
  })

  it.each([
    '',
    '[]',
    '"x"',
    'null',
    '{"map":{"entry":[1]}}',
    '{"map":{"entry":{"string":"k","int":"x"}}}',
    '{"map":{"entry":{"string":["a","b","c"]}}}',
    '{"map":{"entry":{"int":[1,2]}}}',
    '{"map":{"entry":{"string":"k","thread":""}}}',
    '{"map":{"entry":{"string":"k","list":[["x"]]}}}',
  ])('and is not one is none: %s', (text) => {
    expect(readMap(text, 'json')).toBeUndefined()
  })

  it('may name the value before the key, since members of JSON have no order for everybody', () => {
    expect(readMap('{"map":{"entry":{"int":5,"string":"k"}}}', 'json')).toEqual([['k', int(5)]])
  })

  it('keeps every digit of a long, and quotes and digits inside of strings as they are', () => {
    const text = '{"map":{"entry":[{"string":["a \\"1234567890123456789\\" b","x"]},{"string":"l","long":-9223372036854775808}]}}'
    expect(readMap(text, 'json')).toEqual([
      ['a "1234567890123456789" b', string('x')],
      ['l', { type: 'int64', value: -(2n ** 63n) }],
    ])
  })

  it('may be as long as a body in one string, of plain characters or of escapes, beside a long', () => {
    const long = '{"string":"l","long":9007199254740993}'
    const plain = 'x'.repeat(12 * 1024 * 1024)
    for (const [written, read] of [
      [plain, plain],
      ['\\\\\\"'.repeat(3_000_000), '\\"'.repeat(3_000_000)],
      ['\\"'.repeat(6_000_000), '"'.repeat(6_000_000)],
      ['\\\\'.repeat(6_000_000), '\\'.repeat(6_000_000)],
    ]) {
      const [string, number] = readMap(`{"map":{"entry":[{"string":["k","${written}"]},${long}]}}`, 'json') ?? []
      // Not by toEqual: what it would print of a difference is as long.
      expect(string?.[1].type === 'string' && string[1].value === read).toBe(true)
      expect(number).toEqual(['l', { type: 'int64', value: 9_007_199_254_740_993n }])
    }
  })

  it('has long numbers read exactly and short ones as ever, wherever they stand', () => {
    const items = ['1', '-0.5', '1e3', '1234567890.12345678', '0.1234567890123456789', '-1.2345678901234567e-300']
    const text = `{"map":{"entry":{"string":"k","list":{"double":[${items.join(',')}],"long":[-1234567890123456,9223372036854775807,5]}}}}`
    const value = [
      ...items.map((item): Value => ({ type: 'double', value: Number(item) })),
      ...[-1_234_567_890_123_456n, 2n ** 63n - 1n, 5n].map((long): Value => ({ type: 'int64', value: long })),
    ]
    expect(readMap(text, 'json')).toEqual([['k', { type: 'list', value }]])
  })

  it('that nests too deep is none, and takes no longer than its length', () => {
    const deep = 100_000
    const xml = `<map><entry><string>k</string>${'<list>'.repeat(deep)}${'</list>'.repeat(deep)}</entry></map>`
    expect(readMap(xml, 'xml')).toBeUndefined()
    const json = `{"map":{"entry":{"string":"k","list":${'{"list":'.repeat(2000)}""${'}'.repeat(2000)}}}}`
    expect(readMap(json, 'json')).toBeUndefined()
    expect(readMap(`<map>${' '.repeat(1_000_000)}`, 'xml')).toBeUndefined()
    expect(readMap(`<map>${'<'.repeat(1_000_000)}`, 'xml')).toBeUndefined()
    expect(readMap(`{"map":{"entry":"${'\\\\'.repeat(500_000)}1234567890123456"}}`, 'json')).toBeUndefined()
  })
})
