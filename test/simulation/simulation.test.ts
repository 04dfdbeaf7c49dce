// That one seed is one history, and the seeds that found a fault once. The thousand of tier 1, and the mistakes they must find, are `npm run simulate`.
import { describe, expect, it } from 'vitest'
import { simulate } from './simulation.ts'

describe('a simulated world', () => {
  it('is the same for the same seed, and another for another', async () => {
    const lines: string[][] = [[], [], []]
    const outcomes = []
    for (const [i, seed] of [5, 5, 6].entries()) outcomes.push(await simulate({ seed, steps: 2_000, onTrace: (line) => lines[i].push(line) }))
    expect(lines[0].length).toBeGreaterThan(1_000)
    expect(lines[1]).toEqual(lines[0])
    expect(outcomes[1]).toEqual(outcomes[0])
    expect(outcomes[2].hash).not.toBe(outcomes[0].hash)
  })

  it.each([
    [53, 'two open transactions had another digest on the standby (core/transactions.test.ts)'],
    [802, 'a message of a group went to a consumer that was gone (core/groups.test.ts)'],
    [4741, 'a leader that had passed over a damaged snapshot deleted what that had covered (journal/file/rules.test.ts)'],
    [1782, 'a bit that flips in the newest segment that is durable looks like the end of a write (faults.ts)'],
    [3862, 'a commit that waits for room with its sends is undone with its session (simulated-connection.ts)'],
    [4505, 'a standby took the free lock of a claim that had vanished for that of its number, which another had made since (failover/rules.test.ts)'],
    [
      4776,
      'a commit that a succeeded leader wrote before its successor read counts: its client was wrong to think that it cannot (simulated-connection.ts)',
    ],
  ])('keeps every promise with seed %i, which once found that %s', async (seed) => {
    expect((await simulate({ seed, steps: 3_000 })).violation).toBeUndefined()
  })

  // Of clients that did no more than publish, consume and settle.
  it.each([
    [419, 'a claim that was not durable vanished under a node that started (failover/rules.test.ts)'],
    [512, 'a message left a queue that was not durable yet (core/core.test.ts)'],
    [633, 'the same'],
    [926, 'the same'],
    [1446, 'the same'],
  ])('keeps every promise with seed %i, which once found that %s', async (seed) => {
    expect((await simulate({ seed, steps: 3_000, plain: true })).violation).toBeUndefined()
  })
})
