import { describe, expect, it } from 'vitest'
import { preparePassword } from './prepare-password.ts'
import { isProof, makeVerifier, readVerifier, serverSignature, writeVerifier } from './scram.ts'

describe('the exchange of RFC 7677, 3', () => {
  const verifier = makeVerifier('SCRAM-SHA-256', 'pencil', 4096, Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64'))
  const nonce = 'rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0'
  const authMessage = `n=user,r=rOprNGfwEbeRWgbNEkqO,r=${nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r=${nonce}`
  const proof = Buffer.from('dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=', 'base64')

  it('is right, and any other proof is not', () => {
    expect(isProof(verifier, authMessage, proof)).toBe(true)
    expect(serverSignature(verifier, authMessage).toString('base64')).toBe('6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=')
    for (let i = 0; i < proof.length; i++) {
      const other = Buffer.from(proof)
      other[i] ^= 1
      expect(isProof(verifier, authMessage, other)).toBe(false)
    }
    expect(isProof(verifier, `${authMessage} `, proof)).toBe(false)
    expect(isProof(verifier, authMessage, proof.subarray(1))).toBe(false)
  })
})

describe('a verifier', () => {
  it.each(['SCRAM-SHA-256', 'SCRAM-SHA-512'] as const)('of %s is read as it was written, and is another one each time', (mechanism) => {
    const verifier = makeVerifier(mechanism, 'pencil', 5000)
    expect(readVerifier(writeVerifier(verifier))).toEqual(verifier)
    expect(makeVerifier(mechanism, 'pencil', 5000).salt).not.toEqual(verifier.salt)
  })

  const [salt, key] = ['W22ZaJ0SNY7soEsUEjb6gQ==', 'A'.repeat(43)]
  it.each([
    'pencil',
    '',
    `SCRAM-SHA-1$4096:${salt}$${key}=:${key}=`,
    `SCRAM-SHA-256$4095:${salt}$${key}=:${key}=`,
    `SCRAM-SHA-256$9999999:${salt}$${key}=:${key}=`,
    `SCRAM-SHA-512$4096:${salt}$${key}=:${key}=`,
    `SCRAM-SHA-256$4096:${salt}$${key}=:${key}=\n`,
  ])('is not %j', (text) => {
    expect(readVerifier(text)).toBeUndefined()
  })
})

describe('a password', () => {
  it.each([
    // RFC 4013, 3, as far as it is about what may stand in a password.
    ['I\u00adX', 'IX'],
    ['user', 'user'],
    ['USER', 'USER'],
    ['\u00aa', 'a'],
    ['\u2168', 'IX'],
    ['\u0007', undefined],
    ['\u06271', undefined],
    ['\u0627\u0661\u0628', '\u0627\u0661\u0628'],
    ['\u0627a\u0628', undefined],
    ['gru\u0308\u00dfe\u00a01', 'gr\u00fc\u00dfe 1'],
    ['\u200b', undefined],
    ['\ue000', undefined],
    ['\ufffd', undefined],
  ])('%j is prepared as %j', (password, prepared) => {
    expect(preparePassword(password)).toBe(prepared)
  })
})
