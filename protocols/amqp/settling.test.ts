// What one disposition may cost a turn, counted: deliveries looked at and runs settled.
import { describe, expect, it } from 'vitest'
import type { OutgoingLink } from './outgoing-link.ts'
import { ACCEPTED } from './outcome.ts'
import { type Run, Settling, type Unsettled } from './settling.ts'

/** Counts what is read of it. */
class Counted extends Map<number, Unsettled> {
  looked = 0

  override get(id: number): Unsettled | undefined {
    this.looked++
    return super.get(id)
  }

  override *entries(): MapIterator<[number, Unsettled]> {
    for (const entry of super.entries()) {
      this.looked++
      yield entry
    }
  }
}

function unsettled(ids: readonly number[]): Counted {
  const link = {} as OutgoingLink
  const all = new Counted()
  for (const [at, id] of ids.entries()) all.set(id, { link, coreTag: at + 1 })
  return all
}

const range = (length: number, step = 1): number[] => Array.from({ length }, (_, at) => at * step)

describe('a disposition in shares', () => {
  it.each([
    ['of all that is unsettled', range(50_000), 0, 49_999, 50_000],
    ['of a range with gaps', range(10_000, 5), 0, 49_999, 10_000],
    ['of some of many', range(50_000), 30_000, 49_000, 19_001],
    ['beyond the largest id', [0xff_ff_ff_fe, 0xff_ff_ff_ff, 0, 1, 2], 0xff_ff_ff_ff, 1, 3],
  ])('%s looks at no more in one than it may, and settles each once', (_, ids, first, last, settled) => {
    const all = unsettled(ids)
    const runs: Run[] = []
    const settling = new Settling(
      all,
      { kind: 'disposition', received: true, first, last, settled: true, outcome: ACCEPTED },
      (run) => void runs.push(run),
    )
    let seen = 0
    for (let more = true; more; ) {
      more = settling.share(1_000)
      expect(all.looked - seen).toBeLessThanOrEqual(1_001)
      seen = all.looked
    }
    expect(runs.reduce((sum, run) => sum + ((run.lastId - run.firstId) >>> 0) + 1, 0)).toBe(settled)
    expect(all.size).toBe(ids.length - settled)
    expect(runs.length).toBeLessThanOrEqual(settled === 10_000 ? settled : Math.ceil(settled / 990) + 1)
  })

  it('counts a run for more than what follows in it', () => {
    const runs: Run[] = []
    const settling = new Settling(
      unsettled(range(1_000, 2)),
      { kind: 'disposition', received: true, first: 0, last: 2_000, settled: true, outcome: ACCEPTED },
      (run) => void runs.push(run),
    )
    expect(settling.share(1_000)).toBe(true)
    expect(runs.length).toBeLessThanOrEqual(200)
  })

  it('keeps what is to be settled by a discharge', () => {
    const all = unsettled(range(3))
    const outcome = { kind: 'transactional', id: 'x', outcome: ACCEPTED } as const
    new Settling(all, { kind: 'disposition', received: true, first: 0, last: 2, settled: false, outcome }, () => {}).share(1_000)
    expect(all.size).toBe(3)
  })
})
