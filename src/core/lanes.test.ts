import { expect, it } from 'vitest'
import { Entries, NEXT, PREV, SEQUENCE } from './entries.ts'
import { Lane } from './lanes.ts'
import { PRIORITY_NORMAL } from './messages.ts'

it('puts entries back where they belong, in whatever order they come, from wherever is near', () => {
  const entries = new Entries()
  const lane = new Lane(entries)
  const rows = Array.from({ length: 3_000 }, (_, number) => entries.add(0, number + 1, 0))
  for (const row of rows) lane.add(row, PRIORITY_NORMAL)
  const taken = rows.filter((_, number) => number % 7 === 0 || number < 20 || number > 2_980)
  for (const row of taken) lane.unlink(row, PRIORITY_NORMAL)
  // Looked at is what lies between two that come back one after the other, not the whole list each time.
  let looked = 0
  const get = entries.get.bind(entries)
  entries.get = (row, field) => {
    if (field === NEXT || field === PREV) looked++
    return get(row, field)
  }
  for (const row of taken.toReversed()) lane.add(row, PRIORITY_NORMAL)
  expect(looked).toBeLessThan(rows.length * 10)
  const order: number[] = []
  for (let row = lane.head; row !== 0; row = get(row, NEXT)) order.push(entries.double(row, SEQUENCE))
  expect(order).toEqual(rows.map((_, number) => number + 1))
  expect(lane.count).toBe(rows.length)
})
