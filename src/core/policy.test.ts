import { expect, test } from 'vitest'
import { defaults } from '../config/defaults.ts'
import { CoreAddress } from './addresses.ts'
import { policyFrom, SharedPolicies } from './policy.ts'

const policyOf = (name: string, limitMessages: number, deadLetter = 'dead') =>
  policyFrom({ ...defaults.destinations, deadLetter }, new CoreAddress('queue', [name], ''), { durable: true, lifetime: 'permanent', limitMessages })

test('queues of which the same holds share one policy', () => {
  const policies = new SharedPolicies()
  const first = policies.share(policyOf('a', 10))
  expect(policies.share(policyOf('b', 10))).toBe(first)
  expect(policies.share(policyOf('c', 11))).not.toBe(first)
  expect(policies.share(policyOf('d', 10, 'dead.{name}')).deadLetter?.path).toEqual(['dead', 'd'])
})

test('policies that nobody shares do not gather', () => {
  const policies = new SharedPolicies()
  const first = policies.share(policyOf('a', 1))
  for (let limit = 2; limit < 1_000; limit++) policies.share(policyOf('a', limit))
  const again = policies.share(policyOf('a', 1))
  expect(again).not.toBe(first)
  expect(again).toEqual(first)
})
