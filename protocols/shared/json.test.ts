import { describe, expect, it } from 'vitest'
import type { Value } from '../../src/api.ts'
import { listToJson, lostInJson, mapToJson } from './json.ts'

describe('JSON of bodies', () => {
  const rows: [Value, string][] = [
    [{ type: 'null' }, 'null'],
    [{ type: 'boolean', value: false }, 'false'],
    [{ type: 'int8', value: -128 }, '-128'],
    [{ type: 'uint32', value: 4294967295 }, '4294967295'],
    [{ type: 'int64', value: -9223372036854775808n }, '-9223372036854775808'],
    [{ type: 'uint64', value: 18446744073709551615n }, '18446744073709551615'],
    [{ type: 'double', value: 0.5 }, '0.5'],
    [{ type: 'double', value: Number.NaN }, '"NaN"'],
    [{ type: 'float', value: Number.NEGATIVE_INFINITY }, '"-Infinity"'],
    [{ type: 'string', value: 'a"\u0000é' }, '"a\\"\\u0000é"'],
    [{ type: 'char', value: 'x' }, '"x"'],
    [{ type: 'timestamp', value: 1700000000000n }, '1700000000000'],
    [{ type: 'binary', value: new Uint8Array([1, 2, 255]) }, '"AQL/"'],
    [{ type: 'uuid', value: Uint8Array.from({ length: 16 }, (_, i) => i) }, '"00010203-0405-0607-0809-0a0b0c0d0e0f"'],
    [
      {
        type: 'list',
        value: [
          { type: 'int32', value: 1 },
          { type: 'list', value: [] },
        ],
      },
      '[1,[]]',
    ],
    [
      {
        type: 'map',
        value: [
          [
            { type: 'int32', value: 7 },
            { type: 'string', value: 'x' },
          ],
        ],
      },
      '{"7":"x"}',
    ],
  ]
  it.each(rows)('%o', (value, json) => {
    expect(listToJson([value])).toBe(`[${json}]`)
  })

  it('keeps the first of two equal keys, and keys that name what objects have', () => {
    const text = mapToJson([
      ['a', { type: 'int32', value: 1 }],
      ['a', { type: 'int32', value: 2 }],
      ['__proto__', { type: 'string', value: 'p' }],
    ])
    expect(text).toBe('{"a":1,"__proto__":"p"}')
  })

  it('a float has the digits that make it, not those of a double', () => {
    expect(
      listToJson([
        { type: 'float', value: Math.fround(0.1) },
        { type: 'float', value: Math.fround(16_777_217) },
      ]),
    ).toBe('[0.1,16777216]')
  })

  it.each<[string, Value, boolean]>([
    ['a string', { type: 'string', value: '1' }, false],
    ['a whole number of 64 bits', { type: 'int64', value: 3n }, false],
    ['a number that JSON readers round', { type: 'int64', value: 2n ** 60n }, true],
    ['a number of 32 bits', { type: 'int32', value: 3 }, true],
    ['a fraction', { type: 'double', value: 0.5 }, false],
    ['a double that looks whole', { type: 'double', value: 3 }, true],
    ['bytes', { type: 'binary', value: new Uint8Array(1) }, true],
    ['a list with bytes in it', { type: 'list', value: [{ type: 'binary', value: new Uint8Array(1) }] }, true],
    ['a map with a number as key', { type: 'map', value: [[{ type: 'int64', value: 1n }, { type: 'null' }]] }, true],
  ])('tells whether %s reads back as it was', (_, value, types) => {
    expect(lostInJson([['a', value]])).toEqual({ entries: false, types })
  })
})
