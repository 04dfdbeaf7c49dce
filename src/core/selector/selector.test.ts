// Selectors as texts: what they take, what is unknown, what is refused and where.
import { describe, expect, test } from 'vitest'
import type { CodedError } from '../../errors.ts'
import type { Scalar, Selectable } from './evaluate.ts'
import { compileLike } from './like.ts'
import type { SelectorBounds } from './parse.ts'
import { given, Selector } from './selector.ts'

const BOUNDS: SelectorBounds = { bytes: 16_384, depth: 32, terms: 256 }
const MESSAGE: Readonly<Record<string, Scalar>> = {
  color: 'red',
  quote: "it's",
  size: 7,
  weight: 2.5,
  large: 2n ** 62n,
  urgent: true,
  calm: false,
  digits: '12',
  'content-type': 'text/plain',
  'a.b': 1,
  $x: 1,
  _y: 2,
  naïve: 'ja',
}

function of(values: Readonly<Record<string, Scalar>>): Selectable {
  return { get: (name) => values[name], exact: (name) => values[name] !== undefined && name !== 'weight' }
}

function takes(text: string, values = MESSAGE): boolean {
  return new Selector(text, BOUNDS).takes(of(values))
}

function refusal(text: string, bounds = BOUNDS): string {
  try {
    new Selector(text, bounds)
  } catch (error) {
    const { code, message } = error as CodedError
    return `${code}: ${message}`
  }
  return 'taken'
}

describe('a selector takes', () => {
  test.each([
    "color = 'red'",
    "'red' = color",
    "color <> 'blue'",
    "quote = 'it''s'",
    'size = 7',
    'size = 7.0',
    'size = 7L',
    'size = 0x7',
    'size = 07',
    'size = 7e0',
    'size = 7.',
    'size > .5',
    'size = 7f AND size = 7.0d',
    'size >= 7 AND size <= 7 AND size < 8 AND size > 6',
    'weight = 2.5',
    'weight > 2',
    'large = 4611686018427387904',
    'large = 0x4000000000000000L',
    'large > 4611686018427387903',
    'large < 9.3e18',
    'large - 1 = 4611686018427387903',
    'size > -9223372036854775808',
    'urgent',
    'urgent = TRUE',
    'NOT calm',
    'calm = false',
    'urgent <> calm',
    'size BETWEEN 7 AND 9',
    'size NOT BETWEEN 8 AND 9',
    'size between size - 1 and size + 1',
    "color IN ('blue', 'red')",
    "color NOT IN ('blue', 'green')",
    'size IN (6, 7)',
    "color LIKE 'r%'",
    "color LIKE 'r_d'",
    "color NOT LIKE 'r_'",
    'missing IS NULL',
    'color IS NOT NULL',
    'size + 1 * 2 = 9',
    '(size + 1) * 2 = 16',
    'size / 2 = 3',
    'size / 2.0 = 3.5',
    'weight * 2 = 5',
    '-size = -7',
    '- -size = 7',
    '+size = 7',
    "color = 'blue' OR size = 7",
    "NOT color = 'blue'",
    "NOT (color = 'blue' AND size = 7)",
    "color = 'blue' OR color = 'red' AND size = 7",
    "missing = 'x' OR size = 7",
    '"content-type" = \'text/plain\'',
    'a.b = 1',
    '$x = 1 AND _y = 2',
    "naïve = 'ja'",
    'TRUE',
    "\tcolor\n=\r'red'\f",
    '9223372036854775807 + 1 < 0',
    "hyphenated_props:content-type = 'text/plain'",
    'convert_string_expressions:digits = 12',
    'convert_string_expressions:digits > 11',
    'convert_string_expressions:digits + 1 = 13',
    'convert_string_expressions:digits IN (12)',
    'convert_string_expressions:digits BETWEEN 11 AND 13',
    "convert_string_expressions:hyphenated_props:content-type = 'text/plain' AND digits = 12",
  ])('%s', (text) => {
    expect(takes(text)).toBe(true)
  })
})

describe('a selector does not take', () => {
  test.each([
    "color = 'blue'",
    "color = 'RED'",
    "COLOR = 'red'",
    'size = 8',
    'calm',
    'color',
    // Unlike types: neither equal nor unequal.
    'color = 7',
    'color <> 7',
    "size = '7'",
    'urgent = 1',
    'digits = 12',
    'digits > 11',
    'color > 1',
    // What is null is unknown, and so is what touches it.
    "missing = 'x'",
    "missing <> 'x'",
    "NOT missing = 'x'",
    'missing',
    'NOT missing',
    'missing BETWEEN 1 AND 2',
    'missing NOT BETWEEN 1 AND 2',
    "missing IN ('x')",
    "missing NOT IN ('x')",
    "missing LIKE '%'",
    "missing NOT LIKE '%'",
    'missing + 1 = 1',
    "missing = 'x' AND size = 7",
    "missing = 'x' OR size = 8",
    'color IS NULL',
    'missing IS NOT NULL',
    'color + 1 = 1',
    'NOT color + 1 = 1',
    'size / 0 = 0',
    'FALSE',
    'convert_string_expressions:color = 12',
  ])('%s', (text) => {
    expect(takes(text)).toBe(false)
  })
})

test('unlike types make a comparison false, and so its NOT true', () => {
  expect(takes('NOT color = 7')).toBe(true)
  expect(takes('NOT color <> 7')).toBe(true)
  expect(takes("size NOT LIKE 'x'")).toBe(true)
})

describe('a selector is refused at its place', () => {
  test.each([
    ["color = 'red", 9, 'this string does not end'],
    ['"color', 1, 'this name does not end'],
    ['size = 1x', 9, '"x" has no meaning here'],
    ['size = 08', 8, 'a number that begins with 0 is octal'],
    ['size = 9223372036854775808', 8, 'this number does not fit in 64 bits'],
    ['size = 99999999999999999999', 8, 'this number does not fit in 64 bits'],
    ['size = 1e999', 8, 'this number is too large'],
    ['size + 1', 1, 'a boolean is wanted here, and this is a number'],
    ["'red'", 1, 'a boolean is wanted here, and this is a string'],
    ['size = 1 AND 2', 14, 'a boolean is wanted here, and this is a number'],
    ["color > 'a'", 9, 'a number is wanted here, and this is a string'],
    ['size BETWEEN 1', 15, 'AND is missing'],
    ['size IN ()', 10, '")" does not belong here'],
    ['size IN (a)', 10, 'IN wants a list of literals'],
    ["color IN ('a'", 14, ') is missing'],
    ['color LIKE color', 12, 'LIKE wants a pattern in quotes'],
    ["color LIKE 'a' ESCAPE 'ab'", 23, 'ESCAPE wants one character in quotes'],
    ["color LIKE 'a!' ESCAPE '!'", 12, 'the pattern ends with its escape character'],
    ['color IS 7', 10, 'NULL is missing'],
    ['color = NULL', 9, '"NULL" does not belong here'],
    ['color NOT 7', 11, '"7" does not belong here'],
    ['size =', 7, 'it ends too early'],
    ['(size = 1', 10, ') is missing'],
    ['size = 1)', 9, '")" does not belong here'],
    ['size = 1 size', 10, '"size" does not belong here'],
    ['size == 1', 7, '"=" does not belong here'],
    ['size # 1', 6, '"#" has no meaning here'],
    ['a = 😀', 5, '"😀" has no meaning here'],
    ['hyphenated_props:size = #', 25, '"#" has no meaning here'],
  ])('%s', (text, at, sentence) => {
    expect(refusal(text)).toBe(`invalid: the selector is wrong at character ${at}: ${sentence}`)
  })
})

test('text, nesting and terms are bounded', () => {
  expect(refusal(`${'('.repeat(32)}urgent${')'.repeat(32)}`)).toBe('taken')
  expect(refusal(`${'('.repeat(33)}urgent${')'.repeat(33)}`)).toContain('limit: the selector is nested deeper than limits.selectorDepth (32)')
  expect(refusal(`${'NOT '.repeat(33)}urgent`)).toContain('limits.selectorDepth')
  expect(refusal(`size = ${'- '.repeat(34)}size`)).toContain('limits.selectorDepth')
  expect(refusal(Array.from({ length: 128 }, (_, i) => `a = ${i}`).join(' OR '))).toBe('taken')
  expect(refusal(Array.from({ length: 129 }, (_, i) => `a = ${i}`).join(' OR '))).toContain('limits.selectorTerms (256)')
  expect(refusal(`color = '${'x'.repeat(16_400)}'`)).toContain('limits.selectorBytes (16384)')
})

test('an empty text is no selector', () => {
  expect([given(undefined), given(''), given(' \n'), given('a = 1')]).toEqual([undefined, undefined, undefined, 'a = 1'])
})

describe('an equality to look up', () => {
  test.each([
    ["id = 'x'", { name: 'id', keys: ['x'], alone: true }],
    ["'x' = id", { name: 'id', keys: ['x'], alone: true }],
    ['id = 7.0', { name: 'id', keys: [7], alone: true }],
    ['id = 9007199254740993', { name: 'id', keys: [9007199254740993n], alone: true }],
    ['id = 9007199254740992.0', { name: 'id', keys: [9007199254740992n], alone: true }],
    ["id IN ('x', 'y', 'x')", { name: 'id', keys: ['x', 'y'], alone: true }],
    ["id = 'x' AND size > 1", { name: 'id', keys: ['x'], alone: false }],
    ["size > 1 AND id = 'x'", { name: 'id', keys: ['x'], alone: false }],
    ["id = 'x' OR size > 1", undefined],
    ["NOT id = 'x'", undefined],
    ["id <> 'x'", undefined],
    ['id = other', undefined],
    ['convert_string_expressions:id = 7', undefined],
    ['convert_string_expressions:id = TRUE', undefined],
    ["convert_string_expressions:hyphenated_props: convert_string_expressions:a-b = 'x'", { name: 'a-b', keys: ['x'], alone: true }],
    ["convert_string_expressions:id IN ('x', 'y')", { name: 'id', keys: ['x', 'y'], alone: true }],
    ["convert_string_expressions:id = 'x' AND size > 1", { name: 'id', keys: ['x'], alone: false }],
    ["convert_string_expressions:id = '7.0'", { name: 'id', keys: ['7.0', 7], alone: true }],
    ["convert_string_expressions:id = 'True'", { name: 'id', keys: ['True', true], alone: true }],
  ])('%s', (text, equality) => {
    expect(new Selector(text, BOUNDS).equality).toEqual(equality)
  })
})

describe('LIKE', () => {
  test.each([
    ['%', '', '', true],
    ['', '', '', true],
    ['', '', 'a', false],
    ['_', '', '', false],
    ['a%b', '', 'ab', true],
    ['a%b', '', 'a', false],
    ['ab%ba', '', 'aba', false],
    ['%ab%ab%', '', 'aab', false],
    ['%ab%ab%', '', 'abab', true],
    ['%a_c%', '', 'abaaac', true],
    ['%aab%', '', 'aaab', true],
    ['12%3', '', '123', true],
    ['12%3', '', '1234', false],
    ['\\_%', '\\', '_foo', true],
    ['\\_%', '\\', 'bar', false],
    ['100!%', '!', '100%', true],
    ['100!%', '!', '1000', false],
    ['a!!%', '!', 'a!b', true],
    ['.*', '', 'ab', false],
    [`%${'ab'.repeat(40)}%`, '', `xx${'ab'.repeat(41)}yy`, true],
    [`%${'a_'.repeat(40)}c%`, '', `${'ab'.repeat(40)}c`, true],
    [`%${'a_'.repeat(40)}c%`, '', `${'ab'.repeat(39)}c`, false],
  ])('%s (escape %s) on %s: %s', (pattern, escape, text, expected) => {
    expect(compileLike(pattern, escape)(text)).toBe(expected)
  })

  test('agrees with a regular expression on generated patterns', () => {
    let seed = 7
    const next = (n: number): number => {
      seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0
      return (seed >>> 8) % n
    }
    for (let round = 0; round < 3_000; round++) {
      const pattern = Array.from({ length: next(9) }, () => 'ab_%'[next(4)]).join('')
      const text = Array.from({ length: next(12) }, () => 'ab'[next(2)]).join('')
      const expected = new RegExp(`^${pattern.replaceAll('%', '.*').replaceAll('_', '.')}$`, 's').test(text)
      expect([pattern, text, compileLike(pattern, '')(text)]).toEqual([pattern, text, expected])
    }
  })

  test('takes time in proportion to the text, whatever the pattern', () => {
    const like = compileLike(`%${'a%'.repeat(50)}${'a_'.repeat(200)}b%`, '')
    let read = 0
    const text = new Proxy(Object('a'.repeat(100_000)) as object, {
      get(target, name) {
        if (name === 'charCodeAt') read++
        const value = Reflect.get(target, name) as unknown
        return typeof value === 'function' ? value.bind(target) : value
      },
    }) as unknown as string
    expect(like(text)).toBe(false)
    expect(read).toBeLessThan(200_000)
  })
})
