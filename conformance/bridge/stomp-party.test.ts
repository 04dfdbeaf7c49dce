import { expect, it } from 'vitest'
import { plainMap } from './stomp-party.ts'

const plain = (text: string): string => plainMap(Buffer.from(text)).toString()

it('a map of ActiveMQ is the object that it says', () => {
  expect(plain('{"map":{"entry":[{"string":["a","x"]},{"string":"n","int":30}]}}')).toBe('{"a":"x","n":30}')
  expect(plain('{"map":{"entry":{"string":"good","boolean":true}}}')).toBe('{"good":true}')
})

it.for([
  '',
  'text',
  '{"a":"x"}',
  '{"map":{"entry":[{"string":["a"',
  '{"map":{"entry":null}}',
  '{"map":{"entry":[null]}}',
  '{"map":{"entry":"x"}}',
  '{"map":{"entry":[{"string":"alone"}]}}',
  '{"map":{"entry":[{"string":["a","x","y"]}]}}',
  '{"map":{"entry":[{"int":[1,2]}]}}',
])('what is none, or broken, stays as it came: %s', (text) => {
  expect(plain(text)).toBe(text)
})
