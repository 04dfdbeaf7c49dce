import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ask, check, fakeBroker, type FakeBroker, suiteOf } from './fake-suite.ts'
import { fail, lossy, mustEqual, notSupported, refused, skip } from './outcome.ts'
import { type Result, runSuite } from './runner.ts'

let broker: FakeBroker
beforeEach(async () => {
  broker = await fakeBroker({ known: { lines: { known: 'it is old' } } })
})
afterEach(() => broker.close())

const options = { patienceMs: 300, parallel: 4 }

describe('a check', () => {
  it('ends as it says, and with a sentence', async () => {
    const results = await runSuite(
      suiteOf(
        check('passes', async (trial) => mustEqual(await ask(trial, 'HO'), 'ho\n', 'the answer')),
        check('fails', async (trial) => mustEqual(await ask(trial, 'HO'), 'hi\n', 'the answer')),
        check('known', async () => fail('it did that')),
        check('lacks', async () => notSupported('it says so')),
        check('skips', async () => skip('no user')),
        check('loses', async () => lossy('half of it')),
        check('refuses', async () => refused('all of it')),
        check('breaks', async () => {
          throw new TypeError('a mistake of the check')
        }),
        { id: 'unseen', level: 'must', says: 'It thinks.', unchecked: 'Thoughts are not seen.' },
      ),
      broker.target,
      options,
    )
    expect(results.map(({ clause, outcome, known }) => [clause.id, outcome, known])).toEqual([
      ['passes', 'pass', undefined],
      ['fails', 'fail', undefined],
      ['known', 'fail', 'it is old'],
      ['lacks', 'not supported', undefined],
      ['skips', 'skipped', undefined],
      ['loses', 'lossy', undefined],
      ['refuses', 'refused', undefined],
      ['breaks', 'error', undefined],
      ['unseen', 'unchecked', undefined],
    ])
    expect(results[1]?.seen).toBe('the answer is ho\n where hi\n was due')
    expect(results[1]?.lines).toEqual(['A → HO', 'A ← ho'])
    expect(results[7]?.seen).toContain('TypeError: a mistake of the check')
    expect(results[8]?.seen).toBe('Thoughts are not seen.')
  })

  it('fails when what is due does not come in time', async () => {
    const [result] = await runSuite(
      suiteOf(check('waits', async (trial) => trial.within(new Promise(() => {}), 'a word did not come'))),
      broker.target,
      options,
    )
    expect(result?.outcome).toBe('fail')
    expect(result?.seen).toBe('a word did not come (waited 300 ms)')
  })

  it('that does not end is an error, and the others are told', async () => {
    const results = await runSuite(
      suiteOf(
        check('for ever', () => new Promise(() => {})),
        check('after', async () => {}),
      ),
      broker.target,
      { ...options, endsMs: 50 },
    )
    expect(results.map(({ outcome }) => outcome)).toEqual(['error', 'pass'])
  })

  it('leaves nothing open, and what cannot be cleaned up is a line of its own', async () => {
    const [result] = await runSuite(
      suiteOf(
        check('litters', async (trial) => {
          trial.after(() => {
            throw new Error('stuck')
          })
          await ask(trial, 'HO')
        }),
      ),
      broker.target,
      options,
    )
    expect(result?.outcome).toBe('pass')
    expect(result?.lines).toContain('not cleaned up: stuck')
    await expect.poll(() => broker.sockets.size).toBe(0)
  })
})

describe('a suite', () => {
  it('is told in the order of its clauses, whichever ends first', async () => {
    const told: string[] = []
    const slow = (ms: number) => () => sleep(ms)
    await runSuite(suiteOf(check('a', slow(40)), check('b', slow(1)), check('c', slow(10)), check('d', slow(1))), broker.target, {
      ...options,
      onResult: ({ clause }: Result) => void told.push(clause.id),
    })
    expect(told).toEqual(['a', 'b', 'c', 'd'])
  })

  it('runs so many checks at once, and those that want to be alone after all others', async () => {
    let running = 0
    let most = 0
    const alone: number[] = []
    const work = async (): Promise<void> => {
      most = Math.max(most, ++running)
      await sleep(5)
      running--
    }
    const lonely = async (): Promise<void> => void alone.push(running)
    const clauses = [check('alone', lonely, { alone: true }), ...Array.from({ length: 9 }, (_, i) => check(`c${i}`, work))]
    await runSuite(suiteOf(...clauses), broker.target, options)
    expect(most).toBe(4)
    expect(alone).toEqual([0])
  })

  it('of which the broker speaks nothing is not tried', async () => {
    const other = await fakeBroker({ lacks: { lines: 'It speaks in circles.' } })
    const [result] = await runSuite(suiteOf(check('a', async () => fail('asked'))), other.target, options)
    expect([result?.outcome, result?.seen]).toEqual(['not supported', 'It speaks in circles.'])
    await other.close()
  })

  it('is not asked what the broker would not survive', async () => {
    const other = await fakeBroker({ avoid: { lines: { a: 'It is the end.' } } })
    const [first, second] = await runSuite(
      suiteOf(
        check('a', async () => fail('asked')),
        check('b', async () => {}),
      ),
      other.target,
      options,
    )
    expect([first?.outcome, first?.seen, second?.outcome]).toEqual(['skipped', 'It is the end.', 'pass'])
    await other.close()
  })

  it('without a target is skipped', async () => {
    const [result] = await runSuite(suiteOf(check('a', async () => fail('asked'))), { ...broker.target, urls: {} }, options)
    expect([result?.outcome, result?.seen]).toEqual(['skipped', 'no target for mqtt'])
  })

  it('gives each trial names of its own', async () => {
    const names = new Set<string>()
    const named = Array.from({ length: 5 }, (_, i) => check(`c${i}`, async (trial) => void names.add(trial.name('x'))))
    await runSuite(suiteOf(...named), broker.target, options)
    await runSuite(suiteOf(...named), broker.target, options)
    expect(names.size).toBe(10)
  })
})
