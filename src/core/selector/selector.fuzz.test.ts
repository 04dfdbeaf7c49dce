// Texts of any kind: a selector or a refusal with its place, never anything else, and what is a selector answers for any message.
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { CodedError } from '../../errors.ts'
import type { Scalar } from './evaluate.ts'
import { Selector } from './selector.ts'

const BOUNDS = { bytes: 4_096, depth: 16, terms: 64 }

const word = fc.constantFrom(
  ...['a', 'b', "'x'", "'it''s'", '7', '0x1F', '017', '.5', '7E3', '9223372036854775807', '-', '+', '*', '/', '(', ')', ',', '=', '<>', '<', '>='],
  ...[
    'AND',
    'OR',
    'NOT',
    'BETWEEN',
    'IN',
    'LIKE',
    'ESCAPE',
    'IS',
    'NULL',
    'TRUE',
    'FALSE',
    "'%a_'",
    '"a-b"',
    'convert_string_expressions:',
    'amqp."a"',
    "X'0a'",
    "UUID'",
    '7u',
    '\u0000',
    '😀',
  ],
)
const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 200 }),
  fc.array(word, { maxLength: 24 }).map((words) => words.join(' ')),
)
const scalar: fc.Arbitrary<Scalar> = fc.oneof(
  fc.string(),
  fc.integer(),
  fc.double(),
  fc.boolean(),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 64n - 1n }),
  fc.constant(undefined),
)

it('are selectors or refused', () => {
  let selectors = 0
  fc.assert(
    fc.property(text, scalar, scalar, fc.boolean(), (some, a, b, exact) => {
      let selector: Selector
      try {
        selector = new Selector(some, BOUNDS)
      } catch (error) {
        return error instanceof CodedError && (error.code === 'invalid' || error.code === 'limit')
      }
      selectors++
      return typeof selector.takes({ get: (name) => (name === 'a' ? a : b), exact: () => exact }) === 'boolean'
    }),
    { numRuns: 20_000 },
  )
  expect(selectors).toBeGreaterThan(100)
})
