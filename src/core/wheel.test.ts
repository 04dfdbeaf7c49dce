import { describe, expect, it } from 'vitest'
import { SeededRandom } from '../random.ts'
import { Wheel } from './wheel.ts'

const NOW = 1_763_800_000_000
const DAY = 86_400_000

function dueAt(wheel: Wheel, nowMs: number, limit = 1000): string[] {
  const told: string[] = []
  wheel.due(nowMs, limit, (id, kind) => told.push(`${id}:${kind}`))
  return told
}

describe('a wheel', () => {
  it('tells a deadline at its time, not before, and within 10 ms', () => {
    for (const delay of [1, 9, 10, 15, 2559, 2561, 655_361, 3_600_000, DAY, 30 * DAY, 500 * DAY, 3650 * DAY]) {
      const wheel = new Wheel(NOW)
      wheel.set(7, 2, NOW + delay)
      expect(wheel.nextMs()).toBeLessThanOrEqual(NOW + delay + 10)
      expect(dueAt(wheel, NOW + delay - 1)).toEqual([])
      expect(dueAt(wheel, NOW + delay + 10)).toEqual(['7:2'])
      expect(wheel.nextMs()).toBe(Number.POSITIVE_INFINITY)
      expect(wheel.size).toBe(0)
    }
  })

  it('tells what lies in the past at once', () => {
    const wheel = new Wheel(NOW)
    wheel.set(1, 0, NOW - 5000)
    wheel.set(2, 0, 0)
    wheel.set(3, 0, -1)
    expect(wheel.nextMs()).toBeLessThanOrEqual(NOW)
    expect(dueAt(wheel, NOW)).toEqual(['1:0', '2:0', '3:0'])
  })

  it('keeps one deadline for each kind of an id, the last set', () => {
    const wheel = new Wheel(NOW)
    for (let kind = 0; kind < 4; kind++) wheel.set(5, kind, NOW + 100 * (kind + 1))
    wheel.set(5, 0, NOW + 1000)
    expect(wheel.size).toBe(4)
    expect(wheel.clear(5, 3)).toBe(true)
    expect(wheel.clear(5, 3)).toBe(false)
    expect(wheel.clear(6, 0)).toBe(false)
    expect(dueAt(wheel, NOW + 900)).toEqual(['5:1', '5:2'])
    expect(dueAt(wheel, NOW + 1000)).toEqual(['5:0'])
  })

  it('has no deadline that is Infinity', () => {
    const wheel = new Wheel(NOW)
    wheel.set(1, 1, NOW + 10)
    wheel.set(1, 1, Number.POSITIVE_INFINITY)
    expect(wheel.size).toBe(0)
  })

  it('refuses ids and kinds that it cannot name', () => {
    const wheel = new Wheel()
    expect(() => wheel.set(2 ** 30, 0, 1)).toThrow(RangeError)
    expect(() => wheel.set(-1, 0, 1)).toThrow(RangeError)
    expect(() => wheel.set(1, 4, 1)).toThrow(RangeError)
    wheel.set(2 ** 30 - 1, 3, 1)
    expect(dueAt(wheel, 10)).toEqual([`${2 ** 30 - 1}:3`])
  })

  it('tells at most the limit and the rest next time', () => {
    const wheel = new Wheel(NOW)
    for (let id = 0; id < 25; id++) wheel.set(id, 0, NOW + 3_600_000)
    const told: string[][] = []
    while (wheel.nextMs() <= NOW + 3_600_000) told.push(dueAt(wheel, NOW + 3_600_000, 10))
    expect(told.flat()).toEqual(Array.from({ length: 25 }, (_, id) => `${id}:0`))
    expect(Math.max(...told.map((each) => each.length))).toBe(10)
  })

  it('lets the callback set and clear anything, also what is due now', () => {
    const wheel = new Wheel(NOW)
    for (let id = 0; id < 10; id++) wheel.set(id, 0, NOW + 50)
    const told: number[] = []
    wheel.due(NOW + 60, 100, (id) => {
      told.push(id)
      if (id === 0) {
        for (let other = 1; other < 10; other += 2) wheel.clear(other, 0)
        wheel.set(0, 0, NOW + 40)
        wheel.set(100, 0, NOW + 70)
      }
      if (told.length === 3) wheel.set(0, 0, NOW + 5000)
    })
    expect(told).toEqual([0, 2, 4, 6, 8])
    expect(dueAt(wheel, NOW + 70)).toEqual(['100:0'])
    expect(dueAt(wheel, NOW + 5000)).toEqual(['0:0'])
  })

  it('does not wait for a wall clock that was set back', () => {
    const wheel = new Wheel(NOW)
    wheel.set(1, 0, NOW + 100)
    expect(dueAt(wheel, NOW + 50)).toEqual([])
    expect(dueAt(wheel, NOW - 1000 * DAY)).toEqual([])
    wheel.set(2, 0, NOW - 1000 * DAY + 20)
    expect(dueAt(wheel, NOW - 1000 * DAY + 30)).toEqual(['2:0'])
    expect(dueAt(wheel, NOW + 100)).toEqual(['1:0'])
  })

  it('looks at a limited number of deadlines a call', () => {
    const wheel = new Wheel(NOW)
    for (let id = 0; id < 100_000; id++) wheel.set(id, 0, NOW + 3_600_000 + (id % 100) * 10)
    let calls = 0
    while (wheel.nextMs() <= NOW + 3_600_000 - 20_000) {
      dueAt(wheel, NOW + 3_600_000 - 20_000, 1000)
      calls++
    }
    let told = 0
    while (wheel.nextMs() <= NOW + 3_602_000) {
      told += wheel.due(NOW + 3_602_000, 1000, () => {})
      calls++
    }
    expect(told).toBe(100_000)
    expect(calls).toBeGreaterThan(100)
  })

  it('holds a million deadlines in 25 bytes each and gives the memory back', () => {
    const wheel = new Wheel(NOW)
    for (let id = 0; id < 1_000_000; id++) wheel.set(id, id & 3, NOW + 1 + id)
    expect(wheel.bytes / wheel.size).toBeLessThan(25)
    for (let id = 0; id < 1_000_000; id++) wheel.clear(id, id & 3)
    expect(wheel.size).toBe(0)
    expect(wheel.bytes).toBeLessThan(200_000)
  })

  it('agrees with a sorted list through random sets, clears and jumps of time', () => {
    for (let seed = 1; seed <= 20; seed++) expect(rehearse(seed)).toEqual([])
  })
})

/** What a wheel did wrong in 3,000 random steps. */
function rehearse(seed: number): readonly string[] {
  const wrong: string[] = []
  const random = new SeededRandom(seed)
  const pick = (spans: readonly number[]) => random.below(spans[random.below(spans.length)] ?? 1)
  let now = NOW + random.below(DAY * 600)
  const wheel = new Wheel(seed % 2 === 0 ? now : 0)
  const model = new Map<string, number>()
  for (let step = 0; step < 3000 && wrong.length === 0; step++) {
    const id = random.below(60)
    const kind = random.below(4)
    const what = random.below(10)
    if (what < 5) {
      const at = now + pick([50, 5000, 1_000_000, 100 * DAY, 1000 * DAY]) - 20
      wheel.set(id, kind, at)
      model.set(`${id}:${kind}`, at)
    } else if (what < 7) {
      if (wheel.clear(id, kind) !== model.delete(`${id}:${kind}`)) wrong.push(`step ${step}: clear`)
    } else {
      now += pick([30, 3000, 700_000, 50 * DAY])
      const limit = 1 + random.below(20)
      let last = Number.NEGATIVE_INFINITY
      while (wheel.nextMs() <= now) {
        wheel.due(now, limit, (dueId, dueKind) => {
          const at = model.get(`${dueId}:${dueKind}`) ?? Number.NaN
          if (!(at <= now)) wrong.push(`step ${step}: told ${dueId}:${dueKind} at ${now}, due at ${at}`)
          if (!(at > last - 20.001)) wrong.push(`step ${step}: ${at} told after ${last}`)
          last = Math.max(last, at)
          model.delete(`${dueId}:${dueKind}`)
        })
      }
      for (const [name, at] of model) if (at <= now - 10) wrong.push(`step ${step}: ${name} of ${at} not told at ${now}`)
    }
    if (wheel.size !== model.size) wrong.push(`step ${step}: ${wheel.size} deadlines, not ${model.size}`)
    if (wheel.nextMs() > Math.max(now, ...[Math.min(...model.values())].filter(Number.isFinite)) + 10 && model.size > 0)
      wrong.push(`step ${step}: next at ${wheel.nextMs()}`)
  }
  return wrong
}
