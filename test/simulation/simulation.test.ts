// A few seeds, so that a change that breaks the simulation itself is seen at once; the thousand of tier 1 are `npm run simulate`.
import { describe, expect, it } from 'vitest'
import { simulate } from './simulation.ts'

describe('a simulated world', () => {
  it('is the same for the same seed', async () => {
    const [one, two, other] = [
      await simulate({ seed: 5, steps: 2_000 }),
      await simulate({ seed: 5, steps: 2_000 }),
      await simulate({ seed: 6, steps: 2_000 }),
    ]
    expect(one).toEqual(two)
    expect(one.hash).not.toBe(other.hash)
  })
})
