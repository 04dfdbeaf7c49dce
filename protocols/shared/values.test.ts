import { describe, expect, it } from 'vitest'
import type { Value } from '../../src/api.ts'
import { identifierToText, textToIdentifier, textToValue, valueToText } from './values.ts'

const uuid = Buffer.from('00112233445566778899aabbccddeeff', 'hex')

describe('a value as text', () => {
  it.each<[Value, string]>([
    [{ type: 'null' }, ''],
    [{ type: 'boolean', value: false }, 'false'],
    [{ type: 'int8', value: -128 }, '-128'],
    [{ type: 'uint16', value: 65_535 }, '65535'],
    [{ type: 'int64', value: -(2n ** 63n) }, '-9223372036854775808'],
    [{ type: 'uint64', value: 2n ** 64n - 1n }, '18446744073709551615'],
    [{ type: 'timestamp', value: -1n }, '-1'],
    [{ type: 'float', value: Math.fround(0.1) }, '0.1'],
    [{ type: 'float', value: Math.fround(3.4e38) }, '3.4e+38'],
    [{ type: 'float', value: Number.NaN }, 'NaN'],
    [{ type: 'double', value: 0.1 }, '0.1'],
    [{ type: 'double', value: Number.NEGATIVE_INFINITY }, '-Infinity'],
    [{ type: 'string', value: 'a,b' }, 'a,b'],
    [{ type: 'symbol', value: 's' }, 's'],
    [{ type: 'char', value: '😀' }, '😀'],
    [{ type: 'uuid', value: uuid }, '00112233-4455-6677-8899-aabbccddeeff'],
    [{ type: 'binary', value: Buffer.from([0, 255]) }, '00ff'],
  ])('%o is %s, and back', (value, text) => {
    expect(valueToText(value)).toBe(text)
    expect(textToValue(value.type, text)).toEqual(value)
  })

  it('is JSON for lists and maps', () => {
    expect(valueToText({ type: 'list', value: [{ type: 'string', value: 'x' }] })).toBe('["x"]')
    expect(
      valueToText({
        type: 'map',
        value: [
          [
            { type: 'string', value: 'a' },
            { type: 'list', value: [] },
          ],
        ],
      }),
    ).toBe('{"a":[]}')
  })

  it.each([
    ['int8', '128'],
    ['uint8', '-1'],
    ['int32', '1.5'],
    ['int64', '9223372036854775808'],
    ['uint64', '1'.repeat(1000)],
    ['boolean', 'yes'],
    ['double', ''],
    ['double', '0x10'],
    ['char', 'ab'],
    ['symbol', 'ä'],
    ['uuid', '0011'],
    ['binary', '0'],
    ['null', 'x'],
    ['list', '[]'],
    ['__proto__', 'x'],
  ])('of type %s is not %s', (type, text) => {
    expect(textToValue(type, text)).toBeUndefined()
  })
})

describe('an identifier as text', () => {
  it.each<[Value, string]>([
    [{ type: 'string', value: 'x-7' }, 'x-7'],
    [{ type: 'uint64', value: 7n }, 'ID:AMQP_ULONG:7'],
    [{ type: 'uuid', value: uuid }, 'ID:AMQP_UUID:00112233-4455-6677-8899-aabbccddeeff'],
    [{ type: 'binary', value: Buffer.from([0, 255]) }, 'ID:AMQP_BINARY:00FF'],
    [{ type: 'string', value: 'ID:AMQP_ULONG:7' }, 'ID:AMQP_STRING:ID:AMQP_ULONG:7'],
    [{ type: 'string', value: 'ID:host-1:2' }, 'ID:host-1:2'],
  ])('%o comes back with its type', (id, text) => {
    expect(identifierToText(id)).toBe(text)
    expect(textToIdentifier(text)).toEqual(id)
  })

  it('that only looks like a typed one is a string', () => {
    expect(textToIdentifier('ID:AMQP_ULONG:x')).toEqual({ type: 'string', value: 'ID:AMQP_ULONG:x' })
  })
})
