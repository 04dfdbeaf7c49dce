import { expect, it } from 'vitest'
import { Darkness } from './darkness.ts'

it('the dark time is from the last answer of an old connection to the first of a new one, over all and for each protocol', () => {
  const darkness = new Darkness()
  darkness.acknowledged('p', 'mqtt', 0, 0, 100)
  darkness.acknowledged('q', 'stomp', 0, 0, 120)
  expect(darkness.node).toBe(0)
  darkness.fault(130, ['p', 'q'])
  // It was on its way.
  darkness.acknowledged('p', 'mqtt', 0, 0, 131)
  expect(darkness.over).toBe(false)
  darkness.acknowledged('p', 'mqtt', 1, 200, 231)
  expect(darkness.waiting).toEqual(['q'])
  darkness.acknowledged('q', 'stomp', 1, 210, 250)
  expect(darkness.over).toBe(true)
  expect(darkness.successor).toBe(1)
  expect(darkness.take()).toEqual({ allMs: 100, byProtocol: { mqtt: 100, stomp: 130 }, sinceFaultMs: 101, everybodyMs: 119 })
})

it('what a node says that was stopped and woken neither ends nor lengthens it', () => {
  const darkness = new Darkness()
  darkness.acknowledged('p', 'mqtt', 0, 0, 100)
  darkness.fault(110, ['p'])
  darkness.acknowledged('p', 'mqtt', 1, 300, 400)
  darkness.acknowledged('steadfast', 'mqtt', 0, 0, 900)
  expect(darkness.node).toBe(1)
  expect(darkness.take().allMs).toBe(300)
})

it('without a successor nothing is measured, and the next round begins anew', () => {
  const darkness = new Darkness()
  darkness.acknowledged('p', 'mqtt', 0, 0, 100)
  darkness.fault(110, ['p'])
  expect(darkness.take()).toEqual({ allMs: undefined, byProtocol: { mqtt: undefined }, sinceFaultMs: undefined, everybodyMs: undefined })
  darkness.acknowledged('p', 'mqtt', 1, 500, 600)
  darkness.fault(610, ['p'])
  expect(darkness.successor).toBe(undefined)
  darkness.acknowledged('p', 'mqtt', 0, 650, 700)
  expect(darkness.take().allMs).toBe(100)
})

it('the idle time between two rounds counts for neither', () => {
  const darkness = new Darkness()
  darkness.acknowledged('p', 'mqtt', 0, 0, 100)
  darkness.begin()
  expect(darkness.answering).toBe(false)
  darkness.acknowledged('p', 'mqtt', 0, 0, 3_000)
  expect(darkness.answering).toBe(true)
  darkness.fault(3_010, ['p'])
  darkness.acknowledged('p', 'mqtt', 1, 3_050, 3_080)
  expect(darkness.take().allMs).toBe(80)
})
