import { expect, test } from 'vitest'
import type { Scalar, Selectable } from './evaluate.ts'
import type { SelectorBounds } from './parse.ts'
import { Selector } from './selector.ts'
import { SelectorSet } from './selector-set.ts'

const BOUNDS: SelectorBounds = { bytes: 4_096, depth: 32, terms: 256 }

function matched(set: SelectorSet<string>, values: Readonly<Record<string, Scalar>>): readonly string[] {
  const found: string[] = []
  set.match({ get: (name) => values[name], exact: () => true }, (what) => found.push(what))
  return found.sort()
}

test('those that take the message, and no others', () => {
  const set = new SelectorSet<string>()
  for (const text of ["id = 'x'", "id = 'y'", "id = 'x' AND size > 1", "id IN ('x', 'z')", 'size > 1', 'size = 2.0'])
    set.add(new Selector(text, BOUNDS), text)
  expect(matched(set, { id: 'x' })).toEqual(["id = 'x'", "id IN ('x', 'z')"])
  expect(matched(set, { id: 'x', size: 2 })).toEqual(["id = 'x'", "id = 'x' AND size > 1", "id IN ('x', 'z')", 'size = 2.0', 'size > 1'])
  expect(matched(set, { id: 'z', size: 1 })).toEqual(["id IN ('x', 'z')"])
  expect(matched(set, {})).toEqual([])
})

test('what is removed is forgotten', () => {
  const set = new SelectorSet<string>()
  const selectors = ["id = 'x'", "id IN ('x', 'z')", 'size > 1'].map((text) => new Selector(text, BOUNDS))
  for (const selector of selectors) set.add(selector, selector.text)
  for (const selector of selectors) {
    set.remove(selector, selector.text)
    expect(matched(set, { id: 'x', size: 2 })).not.toContain(selector.text)
  }
  expect(set.size).toBe(0)
})

test('five thousand equalities cost one look at the message', () => {
  const set = new SelectorSet<string>()
  for (let i = 0; i < 5_000; i++) set.add(new Selector(`JMSCorrelationID = 'c-${i}'`, BOUNDS), String(i))
  let looks = 0
  const message: Selectable = {
    get: () => {
      looks++
      return 'c-4711'
    },
    exact: () => false,
  }
  const found: string[] = []
  set.match(message, (what) => found.push(what))
  expect(found).toEqual(['4711'])
  expect(looks).toBe(1)
})
