import { describe, expect, it } from 'vitest'
import { ScramClient } from '../../test/support/scram-client.ts'
import type { LoginSteps } from '../api.ts'
import { MovableClock } from '../clock.ts'
import { defaultLimits } from '../config/defaults.ts'
import type { Limits } from '../config/settings.ts'
import { Authenticator } from './authenticator.ts'
import { makeHash } from './hash.ts'
import { makeVerifier, writeVerifier } from './scram.ts'

const both = (password: string): readonly string[] =>
  (['SCRAM-SHA-256', 'SCRAM-SHA-512'] as const).map((mechanism) => writeVerifier(makeVerifier(mechanism, password, 4096)))
const users = [
  { name: 'anna', password: makeHash(Buffer.from('a'), 1), scram: both('a') },
  { name: 'be=rt, the 2nd', password: makeHash(Buffer.from('b'), 1), scram: both('b') },
]
const plain = { name: 'carl', password: makeHash(Buffer.from('c'), 1) }

function start(changes: Readonly<{ limits?: Partial<Limits>; users?: readonly (typeof users)[0][] }> = {}) {
  const clock = new MovableClock()
  const warned: unknown[] = []
  const authenticator = new Authenticator({
    users: changes.users ?? users,
    anonymous: true,
    limits: { ...defaultLimits, ...changes.limits },
    clock,
    check: async () => false,
    log: { debug() {}, info() {}, error() {}, warn: (fields) => void warned.push(fields) },
  })
  const begin = (mechanism = 'SCRAM-SHA-256', remote = '10.0.0.1:1000'): LoginSteps => {
    const steps = authenticator.authenticateBy(mechanism, { remote, secure: false })
    if (steps === undefined) throw new Error('there is no such mechanism')
    return steps
  }
  return { clock, warned, authenticator, begin }
}

const send = async (steps: LoginSteps, text: string): Promise<string> => {
  const answer = await steps.step(Buffer.from(text))
  return `${answer.kind === 'done' ? `${answer.principal} ` : ''}${Buffer.from(answer.data)}`
}
const refusal = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => 'let in',
    (error: { code: string }) => error.code,
  )

describe('a log-in by SCRAM', () => {
  it.each(['SCRAM-SHA-256', 'SCRAM-SHA-512'])('by %s lets in who has the password, and shows that it knows it', async (mechanism) => {
    const { begin } = start()
    for (const [user, password] of [
      ['anna', 'a'],
      ['be=rt, the 2nd', 'b'],
    ] as const) {
      const steps = begin(mechanism)
      const client = new ScramClient(mechanism, user, password)
      const final = await send(steps, client.final(await send(steps, client.first)))
      expect(final.startsWith(`${user} v=`)).toBe(true)
      expect(client.knows(final.slice(user.length + 1))).toBe(true)
    }
  })

  it('may begin with nothing, which is answered by nothing', async () => {
    const { begin } = start()
    const steps = begin()
    expect(await steps.step(undefined)).toEqual({ kind: 'challenge', data: new Uint8Array(0) })
    const client = new ScramClient('SCRAM-SHA-256', 'anna', 'a')
    expect(await send(steps, client.final(await send(steps, client.first)))).toMatch(/^anna v=/)
  })

  it.each([
    ['would bind a channel, and believes that we cannot', 'y,,'],
    ['acts for itself by name', 'n,a=anna,'],
  ])('of a client that %s is as any', async (_, header) => {
    const { begin } = start()
    const steps = begin()
    const client = new ScramClient('SCRAM-SHA-256', 'anna', 'a', header)
    expect(await send(steps, client.final(await send(steps, client.first)))).toMatch(/^anna v=/)
  })

  it.each([
    ['another password', 'anna', 'b', (text: string) => text],
    ['a name that nobody has', 'eve', 'a', (text: string) => text],
    ['the nonce of somebody else', 'anna', 'a', (text: string) => `${text}x`],
    ['another header than at first', 'anna', 'a', (text: string) => text.replace('biws', 'eSws')],
  ])('with %s is refused after its last message, after a fifth of a second', async (_, user, password, change) => {
    const { begin, clock } = start()
    const steps = begin()
    const client = new ScramClient('SCRAM-SHA-256', user, password)
    const refused = refusal(send(steps, client.final(await send(steps, client.first), change)))
    for (let i = 0; i < 10; i++) await Promise.resolve()
    clock.advance(200)
    expect(await refused).toBe('unauthenticated')
    expect(await refusal(send(steps, client.first))).toBe('unauthenticated')
  })

  it.each([
    'p=tls-unique,,n=anna,r=x',
    'n,a=bert,n=anna,r=x',
    'n,,m=ext,n=anna,r=x',
    'n,,n=an=na,r=x',
    'n,,n=,r=x',
    'n,,n=anna,r=',
    'n,,n=anna',
    'n=anna,r=x',
    '',
    'n,,n=an\0na,r=x',
    `n,,n=anna,r=${'x'.repeat(5000)}`,
  ])('that begins with %j is refused at once', async (text) => {
    const steps = start().begin()
    expect(await refusal(send(steps, text))).toBe('unauthenticated')
    expect(await refusal(send(steps, 'n,,n=anna,r=x'))).toBe('unauthenticated')
  })

  it('has another nonce each time, which goes on from the client’s', async () => {
    const { begin } = start()
    const [one, two] = [await send(begin(), 'n,,n=anna,r=mine'), await send(begin(), 'n,,n=anna,r=mine')]
    expect(one).toMatch(/^r=mine[^,]{20,},s=/)
    expect(one).not.toBe(two)
  })

  it('asks of a name that nobody has what it asks of others: the same salt each time, on each node', async () => {
    const salts = new Set<string | undefined>()
    for (const { begin } of [start(), start()]) {
      const asked = await send(begin(), 'n,,n=eve,r=mine')
      expect(asked).toMatch(/,s=[A-Za-z0-9+/]{22}==,i=4096$/)
      salts.add(/s=([^,]+)/.exec(asked)?.[1])
      expect(await send(begin(), 'n,,n=eva,r=mine')).not.toContain([...salts][0])
    }
    expect(salts.size).toBe(1)
  })

  it('of a user without a verifier goes as that of nobody, and is logged once for each mechanism', async () => {
    const { begin, warned } = start({ users: [...users, plain] as typeof users })
    expect(await send(begin(), 'n,,n=carl,r=mine')).toMatch(/^r=mine/)
    expect(warned).toMatchObject([{ user: 'carl' }])
    for (const name of ['eve', 'carl', 'carl']) await send(begin(), `n,,n=${name},r=mine`)
    expect(warned).toHaveLength(1)
    for (let i = 0; i < 2; i++) await send(begin('SCRAM-SHA-512'), 'n,,n=carl,r=mine')
    expect(warned).toMatchObject([{ mechanism: 'SCRAM-SHA-256' }, { mechanism: 'SCRAM-SHA-512' }])
  })
})

describe('what is offered', () => {
  it('is what every user can; what some can is to be had, and no other', () => {
    expect(start().authenticator.mechanisms).toEqual(['SCRAM-SHA-512', 'SCRAM-SHA-256'])
    expect(start({ users: [] }).authenticator.mechanisms).toEqual([])
    const some = start({ users: [...users, plain] as typeof users }).authenticator
    expect(some.mechanisms).toEqual([])
    const from = { remote: '', secure: false }
    expect(some.authenticateBy('SCRAM-SHA-256', from)).toBeDefined()
    expect(some.authenticateBy('SCRAM-SHA-1', from)).toBeUndefined()
    expect(start({ users: [plain] as unknown as typeof users }).authenticator.authenticateBy('SCRAM-SHA-256', from)).toBeUndefined()
  })
})

describe('guessing', () => {
  it('goes one at a time, a fifth of a second each, and an address has a quarter of the line', async () => {
    const { begin, clock } = start({ limits: { loginsWaiting: 8 } })
    const guess = async (remote: string, password = 'x'): Promise<unknown> => {
      const steps = begin('SCRAM-SHA-256', remote)
      const client = new ScramClient('SCRAM-SHA-256', 'anna', password)
      return refusal(send(steps, client.final(await send(steps, client.first))))
    }
    const ended: unknown[] = []
    const guesses = Array.from({ length: 4 }, () => guess('10.0.0.1:5').then((how) => ended.push(how)))
    const other = guess('10.0.0.2:5', 'a').then((how) => ended.push(how))
    const settle = async (): Promise<void> => {
      for (let i = 0; i < 50; i++) await Promise.resolve()
    }
    await settle()
    expect(ended).toEqual(['throttled', 'throttled'])
    clock.advance(199)
    await settle()
    expect(ended).toHaveLength(2)
    clock.advance(1)
    await settle()
    expect(ended.slice(2)).toEqual(['unauthenticated'])
    clock.advance(200)
    await Promise.all([...guesses, other])
    expect(ended.slice(3)).toEqual(['unauthenticated', 'let in'])
  })
})
