import { describe, expect, it } from 'vitest'
import { SeededRandom } from '../random.ts'
import { MatchList } from './match-list.ts'

function drained(list: MatchList): number[] {
  const all: number[] = []
  for (let first = list.first; first !== 0; first = list.first) {
    all.push(first)
    list.dropFirst()
  }
  return all
}

describe('a list of matches', () => {
  it('gives what has a higher priority first, and then what came first', () => {
    const list = new MatchList()
    for (const [priority, sequence] of [
      [4, 1],
      [4, 5],
      [9, 3],
      [0, 2],
      [4, 4],
      [9, 8],
    ])
      list.add(priority, sequence)
    expect(list.count).toBe(6)
    expect(list.priority).toBe(9)
    expect(drained(list)).toEqual([3, 8, 1, 4, 5, 2])
    expect([list.count, list.first]).toEqual([0, 0])
  })

  it('has each sequence once', () => {
    const list = new MatchList()
    for (const sequence of [1, 2, 3, 2, 1, 3, 3]) list.add(4, sequence)
    expect(list.count).toBe(3)
    expect(drained(list)).toEqual([1, 2, 3])
  })

  it.each([1, 2, 3, 4, 5])('agrees with a sorted set, whatever is done (seed %i)', (seed) => {
    const random = new SeededRandom(seed)
    const list = new MatchList()
    const model = new Set<number>()
    let wrong = 0
    for (let step = 0; step < 20_000; step++) {
      const what = random.below(100)
      const spread = Math.floor(step / 2_000) % 2 === 0 ? 60 : 30
      if (what < spread) {
        const sequence = 1 + random.below(5_000) + Math.floor(step / 10)
        list.add(4, sequence)
        model.add(sequence)
      } else if (what < 99 && model.size > 0) {
        if (list.first !== Math.min(...model)) wrong++
        model.delete(list.first)
        list.dropFirst()
      } else if (what === 99 && random.below(20) === 0) {
        list.keep((sequence) => sequence % 3 !== 0)
        for (const sequence of model) if (sequence % 3 === 0) model.delete(sequence)
      }
      if (list.count !== model.size) wrong++
    }
    expect(wrong).toBe(0)
    expect(drained(list)).toEqual([...model].sort((a, b) => a - b))
  })
})
