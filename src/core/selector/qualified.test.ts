// Fields as a dialect names them, and values that are bytes: beside JMS, and never confused with what JMS knows.
import { describe, expect, test } from 'vitest'
import type { CanonicalHead, Message, Value } from '../../api.ts'
import { CodedError } from '../../errors.ts'
import { Selector } from './selector.ts'
import { qualifiedName } from './qualified.ts'
import { MessageView } from './view.ts'

const BOUNDS = { bytes: 16_384, depth: 32, terms: 256 }
const FIELDS: Readonly<Record<string, Value>> = {
  subject: { type: 'string', value: 'red%' },
  'a "b"': { type: 'symbol', value: '12' },
  number: { type: 'int32', value: 12 },
  largest: { type: 'uint64', value: 2n ** 64n - 1n },
  id: { type: 'binary', value: Buffer.from([0x0a, 0xff]) },
  none: { type: 'binary', value: Buffer.alloc(0) },
  five: { type: 'int32', value: 5 },
  half: { type: 'double', value: 5 },
  uuid: { type: 'uuid', value: Buffer.alloc(16, 0xab) },
}
const head = { properties: [['subject', { type: 'string', value: 'of JMS' }]] } as unknown as CanonicalHead
const message = { priority: 4, group: '' } as Message

function takes(text: string): boolean {
  const view = new MessageView(
    () => head,
    (dialect) => (name) => (dialect === 'amqp' ? FIELDS[name] : undefined),
  )
  return new Selector(text, BOUNDS).takes(view.of(message))
}

describe('a selector takes by a field of a dialect', () => {
  test.each([
    `amqp."subject" = 'red%'`,
    `subject = 'of JMS' AND amqp."subject" <> 'of JMS'`,
    String.raw`amqp."subject" LIKE 'red\%' ESCAPE '\'`,
    `amqp."a ""b""" = '12' AND amqp."a ""b""" LIKE '%2'`,
    `amqp."nothing" IS NULL`,
    `amqp."id" = X'0AfF'`,
    `amqp."id" <> X'0a' AND amqp."id" IN (X'', x'0aff')`,
    `amqp."none" = X''`,
    `amqp."uuid" <> UUID'00000000-0000-0000-0000-000000000000'`,
    `amqp."five" / 2 = 2`,
    `amqp."half" / 2 = 2.5`,
    `amqp."uuid" = UUID'abababab-abab-ABAB-abab-abababababab'`,
    `amqp."largest" = 18446744073709551615u`,
    `amqp."number" = 12u AND amqp."number" = 12.0d`,
    `hyphenated_props:amqp."subject" = 'red%'`,
    `convert_string_expressions:amqp."a ""b""" = '12'`,
    `convert_string_expressions:amqp."a ""b""" IN ('12', '13')`,
  ])('%s', (text) => {
    expect(takes(text)).toBe(true)
  })
})

describe('a selector does not take', () => {
  test.each([
    // Bytes are no text, and no text is bytes.
    `amqp."id" LIKE '%'`,
    `amqp."id" LIKE '%ff'`,
    `amqp."id" = '0aff'`,
    `amqp."id" = X'0a'`,
    `amqp."subject" = X''`,
    // Of unlike types, neither equal nor unequal.
    `amqp."id" <> '0aff'`,
    `'a' <> amqp."id"`,
    `amqp."subject" <> X''`,
    `amqp."uuid" <> X'00'`,
    `amqp."five" / 2 = 2.5`,
    `amqp."uuid" = X'${'ab'.repeat(16)}'`,
    // Fields of a dialect are read as nothing else than they are, also where texts of JMS are.
    `convert_string_expressions:amqp."a ""b""" = 12`,
    `convert_string_expressions:amqp."a ""b""" IN (12)`,
    `convert_string_expressions:amqp."number" = '12'`,
    `convert_string_expressions:amqp."a ""b""" BETWEEN 11 AND 13`,
    `amqp."properties" = 'of JMS'`,
    `other."subject" IS NOT NULL`,
  ])('%s', (text) => {
    expect(takes(text)).toBe(false)
  })
})

describe('an equality to look up is found', () => {
  test.each([
    ['amqp."id" = 7', [7], true],
    [`amqp."id" = '7'`, ['7'], true],
    [`convert_string_expressions:amqp."id" = '7'`, ['7'], true],
    ['convert_string_expressions:amqp."id" = 7', [7], true],
    [`amqp."id" = '7' AND (size > 1)`, ['7'], false],
    [`amqp."x" LIKE 'a%' AND (size > 1 AND amqp."id" = '7')`, ['7'], false],
  ])('%s', (text, keys, alone) => {
    expect(new Selector(text, BOUNDS).equality).toEqual({ name: qualifiedName('amqp', 'id'), keys, alone })
  })
})

describe('a selector is refused', () => {
  test.each([
    [`amqp."id" = X'0'`, 13, 'bytes are pairs of hexadecimal digits'],
    [`amqp."id" = UUID'abab'`, 13, 'this is no UUID'],
    ['amqp."id" = 18446744073709551616u', 13, 'this number does not fit in 64 bits'],
    ['amqp."id" = 9223372036854775808', 13, 'this number does not fit in 64 bits'],
    ['amqp."id" = -1u', 14, 'this number does not fit in 64 bits'],
    [`amqp."id = 'x'`, 6, 'this name does not end'],
  ])('%s', (text, at, sentence) => {
    expect(() => new Selector(text, BOUNDS)).toThrow(new CodedError('invalid', `the selector is wrong at character ${at}: ${sentence}`))
  })
})

test('a selector says whose fields it names', () => {
  expect([...new Selector(`amqp."a" = 1 OR mqtt."b" = 2 OR "c.d" = 3`, BOUNDS).dialects]).toEqual(['amqp', 'mqtt'])
})
