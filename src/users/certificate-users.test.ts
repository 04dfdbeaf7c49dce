import { describe, expect, it } from 'vitest'
import type { Certificate } from '../api.ts'
import { MovableClock } from '../clock.ts'
import { defaultLimits } from '../config/defaults.ts'
import type { User } from '../config/settings.ts'
import { Authenticator } from './authenticator.ts'
import { CertificateUsers } from './certificate-users.ts'
import { makeHash } from './hash.ts'

const PRINT = 'AB'.repeat(32)
const certificate = (changes: Partial<Certificate> = {}): Certificate => ({ commonName: '', names: [], fingerprint: 'CD'.repeat(32), ...changes })

describe('a user is found', () => {
  const users = new CertificateUsers([
    { name: 'anna', certificate: 'anna' },
    { name: 'bert', certificate: 'bert.example.com' },
    { name: 'carl', certificate: PRINT.toLowerCase().replaceAll(/..(?=.)/g, '$&:') },
    { name: 'dora', password: 'x' },
  ])

  it('by common name, by an alternative name, by fingerprint', () => {
    expect(users.userOf(certificate({ commonName: 'anna', names: ['x'] }))).toBe('anna')
    expect(users.userOf(certificate({ commonName: 'x', names: ['y', 'bert.example.com'] }))).toBe('bert')
    expect(users.userOf(certificate({ fingerprint: PRINT }))).toBe('carl')
  })

  it('by nothing that only resembles it', () => {
    for (const commonName of ['', 'Anna', 'dora', 'annax', PRINT, PRINT.toLowerCase()])
      expect([commonName, users.userOf(certificate({ commonName, names: [commonName] }))]).toEqual([commonName, undefined])
  })

  it('not at all by names of two, but by the fingerprint', () => {
    const both = { commonName: 'anna', names: ['bert.example.com'] }
    expect(users.userOf(certificate(both))).toBeUndefined()
    expect(users.userOf(certificate({ ...both, fingerprint: PRINT }))).toBe('carl')
  })
})

const users: readonly User[] = [
  { name: 'anna', certificate: 'anna' },
  { name: 'bert', password: makeHash(Buffer.from('b'), 1), certificate: 'bert' },
]

function start(certificateLogin: boolean, anonymous = false) {
  const asked: string[] = []
  const authenticator = new Authenticator({
    users,
    anonymous,
    certificateLogin,
    limits: defaultLimits,
    clock: new MovableClock(),
    check: async (password, hash) => asked.push(hash) > 0 && hash === users[1].password && Buffer.from(password).equals(Buffer.from('b')),
  })
  const from = { remote: '10.0.0.1:1', secure: true }
  const code = (error: Error & { code?: string }): string => error.code ?? error.message
  return {
    asked,
    login: (shown: string | undefined, user?: string, password?: string): Promise<string> =>
      authenticator
        .authenticate({
          ...from,
          user,
          password: password === undefined ? undefined : Buffer.from(password),
          certificate: shown === undefined ? undefined : certificate({ commonName: shown }),
        })
        .catch(code),
    external: (shown: string | undefined) =>
      authenticator.authenticateBy('EXTERNAL', { ...from, certificate: shown === undefined ? undefined : certificate({ commonName: shown }) }),
    code,
  }
}

describe('EXTERNAL', () => {
  const principal = (step: { kind: string; principal?: string }): string => step.principal ?? step.kind

  it('is the user of the certificate, who may name nobody else', async () => {
    const { external, code } = start(false)
    for (const [response, answer] of [
      ['', 'anna'],
      ['anna', 'anna'],
      ['bert', 'unauthenticated'],
      ['ann', 'unauthenticated'],
      ['anna\0', 'unauthenticated'],
    ])
      expect([response, await external('anna')?.step(Buffer.from(response)).then(principal, code)]).toEqual([response, answer])
  })

  it('asks once whom to act for', async () => {
    const { external, code } = start(false)
    const steps = external('anna')
    expect(await steps?.step(undefined)).toEqual({ kind: 'challenge', data: new Uint8Array(0) })
    expect(await steps?.step(Buffer.from('')).then(principal)).toBe('anna')
    expect(await steps?.step(Buffer.from('')).then(principal, code)).toBe('unauthenticated')
    const other = external('anna')
    await other?.step(undefined)
    expect(await other?.step(undefined).then(principal, code)).toBe('unauthenticated')
    expect(await other?.step(Buffer.from('')).then(principal, code)).toBe('unauthenticated')
  })

  it('is nobody’s without a certificate, or with one of no user', () => {
    const { external } = start(false)
    expect([external(undefined), external('eve')]).toEqual([undefined, undefined])
  })
})

describe('a certificate in place of a password', () => {
  it('counts where that is configured, for whoever names nobody or its user', async () => {
    const { login, asked } = start(true)
    expect([await login('anna'), await login('anna', ''), await login('anna', 'anna')]).toEqual(['anna', 'anna', 'anna'])
    expect(asked).toEqual([])
    expect([await login('anna', 'bert'), await login('eve'), await login(undefined)]).toEqual([
      'unauthenticated',
      'unauthenticated',
      'unauthenticated',
    ])
  })

  it('does not count where it is not', async () => {
    const { login } = start(false)
    expect([await login('anna'), await login('anna', 'anna')]).toEqual(['unauthenticated', 'unauthenticated'])
    expect(await start(false, true).login('anna')).toBe('anonymous')
  })

  it('is not looked at by who gives a password', async () => {
    const { login } = start(true)
    expect([await login('anna', 'bert', 'b'), await login('anna', 'bert', 'x'), await login('anna', 'anna', 'x')]).toEqual([
      'bert',
      'unauthenticated',
      'unauthenticated',
    ])
  })

  it('is not needed by who may come without a name', async () => {
    const { login } = start(true, true)
    expect([await login('anna'), await login('eve'), await login(undefined)]).toEqual(['anna', 'anonymous', 'anonymous'])
  })
})
