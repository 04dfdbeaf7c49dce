import { afterEach, beforeEach, expect, it } from 'vitest'
import type { Clause } from './check.ts'
import { ask, check, fakeBroker, type FakeBroker, framings, suiteOf } from './fake-suite.ts'
import { mutant } from './mutant.ts'
import { prove } from './mutants.ts'
import { fail, mustEqual } from './outcome.ts'

let broker: FakeBroker
beforeEach(async () => {
  broker = await fakeBroker()
})
afterEach(() => broker.close())

const shouts = mutant('shouts', () => ({ toClient: (frame) => Buffer.from(frame.toString().toUpperCase()) }))
const idle = mutant('does nothing', () => ({}))
const asks = check('answers', async (trial) => mustEqual(await ask(trial, 'HO'), 'ho\n', 'the answer'))

const doubtsOf = async (...checks: readonly Clause[]): Promise<readonly (readonly string[])[]> => {
  const proofs = await prove(suiteOf(...checks), framings, broker.target, { patienceMs: 300, parallel: 2 })
  return proofs.map(({ doubts }) => doubts)
}

it('a check that passes, and fails with each of its mutants, is proven', async () => {
  expect(await doubtsOf({ ...asks, mutants: [shouts] })).toEqual([[]])
})

it('a check without a mutant is in doubt', async () => {
  expect(await doubtsOf(asks)).toEqual([['has no mutant']])
})

it('a mutant that the check does not see is named', async () => {
  expect(await doubtsOf({ ...asks, mutants: [shouts, idle] })).toEqual([['a broker that does nothing: pass']])
})

it('a check that fails with the broker as it is proves nothing', async () => {
  expect(await doubtsOf(check('never', async () => fail('no'), { mutants: [shouts] }))).toEqual([['without a mutant: fail, no']])
})

it('a mutant that breaks the check instead of the clause is none', async () => {
  const breaks = check('breaks', async (trial) => {
    if ((await ask(trial, 'HO')) !== 'ho\n') throw new Error('lost the thread')
  })
  const [[doubt = ''] = []] = await doubtsOf({ ...breaks, mutants: [shouts] })
  expect(doubt).toMatch(/^a broker that shouts: error, Error: lost the thread/)
})

it('statements that are not checked need no proof', async () => {
  expect(await doubtsOf({ id: 'unseen', level: 'must', says: 'It thinks.', unchecked: 'Thoughts are not seen.' })).toEqual([])
})

it('a check of what our own broker does not do is proven by what would mend it', async () => {
  const wants = check('shouts', async (trial) => mustEqual(await ask(trial, 'HO'), 'HO\n', 'the answer'))
  expect(await doubtsOf({ ...wants, mends: shouts })).toEqual([[]])
  expect(await doubtsOf({ ...wants, mends: idle })).toEqual([['a broker that does nothing: fail, the answer is ho\n where HO\n was due']])
  expect(await doubtsOf({ ...asks, mends: idle })).toEqual([['a broker that is as it is: pass']])
})
