import { expect, it } from 'vitest'
import { RunningAccount } from './running-account.ts'

function account(): RunningAccount {
  const made = new RunningAccount()
  made.producer('p')
  made.recipient('r', ['p'])
  return made
}

it('owes what was acknowledged until it comes, in whatever order the two are', () => {
  const it = account()
  it.acknowledged('p', 0)
  it.delivered('r', 1, 'p', 1)
  it.acknowledged('p', 1)
  expect(it.missing()).toEqual(['r never got 1 of p: 0'])
  it.delivered('r', 1, 'p', 0)
  expect(it.missing()).toEqual([])
})

it('owes nothing that was not acknowledged, and stays small when such messages come for ever', () => {
  const it = account()
  for (let number = 0; number < 50_000; number += 2) it.delivered('r', 1, 'p', number)
  it.acknowledged('p', 49_998)
  expect(it.missing()).toEqual([])
  it.acknowledged('p', 50_001)
  expect(it.missing()).toEqual(['r never got 1 of p: 50001'])
})
