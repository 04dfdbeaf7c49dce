// Selectors that name a dialect's fields: read by that dialect, whoever's the message is.
import { expect, it } from 'vitest'
import { CoreNode } from '../../test/support/core.ts'
import { headers, TestDialect } from '../../test/support/test-dialect.ts'
import type { CanonicalHead, Dialect, FieldReader, Message } from '../api.ts'
import { defaultLimits } from '../config/defaults.ts'
import { Selecting } from './selecting.ts'
import { Selector } from './selector/selector.ts'

const BOUNDS = { bytes: 1_000, depth: 10, terms: 10 }
const message = (color: string): Message => ({ ...PLAIN, head: headers({ color }) })
const PLAIN: Message = {
  dialect: 'test',
  head: Buffer.alloc(0),
  body: Buffer.alloc(0),
  durable: false,
  priority: 4,
  expiresAtMs: 0,
  deliverAtMs: 0,
  group: '',
  groupEnds: false,
}

class NamingDialect extends TestDialect {
  fieldsOf(_: Message, { properties: [[, color]] }: CanonicalHead): FieldReader {
    if (color.type === 'string' && color.value === 'broken') throw new Error('it cannot be read')
    return (name) => {
      if (name === 'broken') throw new Error('it cannot be read')
      return name === 'colour' ? color : undefined
    }
  }
}

function selecting(...dialects: Dialect[]): Selecting {
  const made = new Selecting(defaultLimits, { debug() {}, info() {}, warn() {}, error() {} })
  made.dialects = new Map(dialects.map((dialect) => [dialect.name, dialect]))
  return made
}

it('is a selector where that dialect has names for its fields, and no other is', () => {
  const fault = (text: string, ...dialects: Dialect[]): string | undefined => {
    const made = selecting(...dialects).compile(text)
    return made instanceof Error ? `${'code' in made && made.code}: ${made.message}` : undefined
  }
  const refused = 'invalid: the selector is wrong: test is no dialect whose fields it could name'
  expect(fault(`test."colour" = 'red'`, new NamingDialect())).toBeUndefined()
  expect(fault(`test."colour" = 'red'`, new TestDialect())).toBe(refused)
  expect(fault(`a = 1 OR test."colour" = 'red'`)).toBe(refused)
  expect(new CoreNode().core.selectorFault(`test."colour" = 'red'`)?.message).toContain('no dialect')
})

it('takes what that dialect says of each message, and nothing that it cannot read', () => {
  const made = selecting(new NamingDialect())
  const takes = (text: string, color: string): boolean => new Selector(text, BOUNDS).takes(made.view(message(color)))
  expect([takes(`test."colour" = 'red'`, 'red'), takes(`test."colour" = 'red'`, 'blue')]).toEqual([true, false])
  expect([takes(`test."colour" IS NULL`, 'broken'), takes(`test."broken" IS NULL AND color = 'red'`, 'red')]).toEqual([true, true])
  expect([takes(`other."colour" IS NULL`, 'red'), takes(`color = 'red'`, 'red')]).toEqual([true, true])
})
