import { describe, expect, it } from 'vitest'
import { Account } from './account.ts'

describe('an account', () => {
  it('counts bytes by owner, by kind and in all', () => {
    const account = new Account()
    const a = account.register('queue', 'orders')
    const b = account.register('queue', 'bills')
    const c = account.register('connection', '127.0.0.1:1')
    account.add(a, 100)
    account.add(b, 50)
    account.add(c, 7)
    account.sub(a, 40)
    expect([account.of(a), account.of(b), account.of(c), account.total]).toEqual([60, 50, 7, 117])
    expect(account.totals()).toEqual({ queue: 110, connection: 7 })
  })

  it('gives the number of one who left to the next, without his bytes', () => {
    const account = new Account()
    const a = account.register('session', 'a')
    account.add(a, 10)
    account.forget(a)
    expect(account.total).toBe(0)
    expect(() => account.add(a, 1)).toThrow('not registered')
    const b = account.register('cache', 'b')
    expect(b).toBe(a)
    expect(account.of(b)).toBe(0)
    account.add(b, 5)
    expect(account.totals()).toEqual({ session: 0, cache: 5 })
  })

  it('does not let anybody give back more than he has', () => {
    const account = new Account()
    const a = account.register('queue', 'orders')
    account.add(a, 10)
    expect(() => account.sub(a, 11)).toThrow('orders gives back 1 bytes more than it has')
  })

  it('names those who hold most', () => {
    const account = new Account()
    for (let i = 0; i < 1000; i++) account.add(account.register('queue', `q${i}`), (i * 7919) % 1000)
    expect(account.top(3).map((each) => [each.name, each.bytes])).toEqual([
      ['q321', 999],
      ['q642', 998],
      ['q963', 997],
    ])
    expect(account.top(5000).length).toBe(999)
    expect(account.top(0)).toEqual([])
  })
})
