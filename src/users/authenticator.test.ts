import { describe, expect, it } from 'vitest'
import { MovableClock } from '../clock.ts'
import { defaultLimits } from '../config/defaults.ts'
import type { Limits } from '../config/settings.ts'
import { Authenticator } from './authenticator.ts'
import { openHashThread } from './hash-thread.ts'
import { makeHash } from './hash.ts'

const users = [
  { name: 'anna', password: makeHash(Buffer.from('a'), 1) },
  { name: 'bert', password: makeHash(Buffer.from('b'), 1) },
]

type Changes = Readonly<{ anonymous?: boolean; limits?: Partial<Limits>; users?: typeof users }>

/** Checks are counted, and wait while `held`. */
function start(changes: Changes = {}) {
  const clock = new MovableClock()
  const asked: string[] = []
  const gate: { held: boolean; open: () => void } = { held: false, open() {} }
  const real = openHashThread()
  const authenticator = new Authenticator({
    users: changes.users ?? users,
    anonymous: changes.anonymous ?? false,
    limits: { ...defaultLimits, ...changes.limits },
    clock,
    async check(password, hash) {
      asked.push(`${Buffer.from(password)} ${users.find((user) => user.password === hash)?.name ?? 'decoy'}`)
      if (gate.held)
        await new Promise<void>((resolve) => {
          gate.open = resolve
        })
      return real.check(password, hash)
    },
  })
  const login = (user?: string, password?: string, remote = '10.0.0.1:1000'): Promise<string> =>
    authenticator
      .authenticate({ user, password: password === undefined ? undefined : Buffer.from(password), remote, secure: false })
      .catch((error: Error & { code?: string }) => error.code ?? error.message)
  return { clock, asked, gate, authenticator, login }
}

describe('without users', () => {
  it('everybody is anonymous, whatever name they give', async () => {
    const { login, asked } = start({ users: [] })
    expect([await login(), await login('anna', 'wrong')]).toEqual(['anonymous', 'anonymous'])
    expect(asked).toEqual([])
  })
})

describe('with users', () => {
  it('each comes with their own password, and nobody else does', async () => {
    const { login } = start()
    expect(await login('anna', 'a')).toBe('anna')
    expect(await login('bert', 'b')).toBe('bert')
    for (const [user, password] of [['anna', 'b'], ['anna', ''], ['anna', undefined], ['Anna', 'a'], ['', 'a'], ['', ''], [undefined, 'a'], []])
      expect([user, password, await login(user, password)]).toEqual([user, password, 'unauthenticated'])
  })

  it('a name that nobody has costs a check of the same parameters', async () => {
    const { login, asked } = start()
    expect(await login('eve', 'a')).toBe('unauthenticated')
    expect(asked).toEqual(['a decoy'])
    const hashes: string[] = []
    const costly = [{ name: 'x', password: '$scrypt$ln=15,r=4,p=3$c2FsdHNhbHRzYWx0$AAAAAAAAAAAAAAAAAAAAAAAA' }]
    const check = async (_: Uint8Array, hash: string) => hashes.push(hash) < 0
    const authenticator = new Authenticator({ users: costly, anonymous: false, limits: defaultLimits, clock: new MovableClock(), check })
    await expect(authenticator.authenticate({ user: 'eve', password: Buffer.from('a'), remote: '', secure: false })).rejects.toThrow('wrong')
    expect(hashes[0]).toMatch(/^\$scrypt\$ln=15,r=4,p=3\$/)
  })

  it('one may come without a name where that is allowed, but not with a wrong one', async () => {
    const { login } = start({ anonymous: true })
    expect([await login(), await login('', ''), await login('anna', 'a')]).toEqual(['anonymous', 'anonymous', 'anna'])
    expect([await login('anna', 'x'), await login('eve', 'x')]).toEqual(['unauthenticated', 'unauthenticated'])
  })
})

describe('a log-in', () => {
  it('that succeeded is not checked again until its time is over; one that failed is', async () => {
    const { login, asked, clock } = start({ limits: { loginRememberedMs: 1000 } })
    for (let i = 0; i < 3; i++) await login('anna', 'a')
    expect(asked).toHaveLength(1)
    clock.advance(999)
    await login('anna', 'a')
    expect(asked).toHaveLength(1)
    clock.advance(1)
    await login('anna', 'a')
    expect(asked).toHaveLength(2)
    await login('anna', 'wrong')
    await login('anna', 'wrong')
    expect(asked).toHaveLength(4)
  })

  it('is always checked when nothing is to be remembered', async () => {
    const { login, asked } = start({ limits: { loginRememberedMs: 0 } })
    for (let i = 0; i < 3; i++) await login('anna', 'a')
    expect(asked).toHaveLength(3)
  })

  it('of the user that came longest ago is forgotten first beyond loginsRemembered', async () => {
    const { login, asked, authenticator } = start({ limits: { loginsRemembered: 1 } })
    await login('anna', 'a')
    await login('bert', 'b')
    await login('bert', 'b')
    expect(authenticator.remembered).toBe(1)
    await login('anna', 'a')
    expect(asked).toEqual(['a anna', 'b bert', 'a anna'])
  })

  it('of a name cannot pass for one of a longer name and a shorter password', async () => {
    const { login } = start({ users: [{ name: 'an', password: makeHash(Buffer.from('nab'), 1) }] })
    expect(await login('an', 'nab')).toBe('an')
    expect(await login('ann', 'ab')).toBe('unauthenticated')
  })

  it('that comes a thousand times at once is checked once', async () => {
    const { login, asked } = start()
    expect(new Set(await Promise.all(Array.from({ length: 1000 }, () => login('anna', 'a'))))).toEqual(new Set(['anna']))
    expect(asked).toHaveLength(1)
  })

  it('is throttled when loginsWaiting others wait, or a quarter of that from its own address; afterwards it is not', async () => {
    const { login, asked, gate } = start({ limits: { loginsWaiting: 8 } })
    gate.held = true
    // One is being checked and waits no more.
    const first = login('eve', 'first', '10.0.0.9:1')
    const own = ['1', '2', '3'].map((password) => login('eve', password, `10.0.0.1:100${password}`))
    expect(await own[2]).toBe('throttled')
    const others = Array.from({ length: 7 }, (_, i) => login('eve', `other ${i}`, `10.0.1.${i}:1`))
    expect(await others[6]).toBe('throttled')
    expect(asked).toEqual(['first decoy'])
    gate.held = false
    gate.open()
    expect(await Promise.all([first, ...own.slice(0, 2), ...others.slice(0, 6)])).toEqual(Array.from({ length: 9 }, () => 'unauthenticated'))
    expect(await login('anna', 'a')).toBe('anna')
    expect(asked).toHaveLength(10)
  })

  it('whose check fails is refused as internal, and the next one is checked', async () => {
    let fails = true
    const check = async () => {
      if (fails) throw new Error('the thread ended')
      return true
    }
    const authenticator = new Authenticator({ users, anonymous: false, limits: defaultLimits, clock: new MovableClock(), check })
    const login = { user: 'anna', password: Buffer.from('a'), remote: '', secure: false }
    await expect(authenticator.authenticate(login)).rejects.toMatchObject({ code: 'internal' })
    fails = false
    expect(await authenticator.authenticate(login)).toBe('anna')
  })
})
