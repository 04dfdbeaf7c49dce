import { describe, expect, it } from 'vitest'
import { COST_LN, makeHash, matches, readHash } from './hash.ts'

const password = Buffer.from('pass:wörd')

describe('a hash', () => {
  it('matches its password and no other, and is another one each time', () => {
    const [one, two] = [makeHash(password, 4), makeHash(password, 4)]
    expect(one).not.toBe(two)
    for (const text of [one, two]) {
      const hash = readHash(text)
      if (hash === undefined) throw new Error(`not read: ${text}`)
      expect(matches(password, hash)).toBe(true)
      expect(matches(Buffer.from('pass:word'), hash)).toBe(false)
      expect(matches(Buffer.alloc(0), hash)).toBe(false)
    }
  })

  it('costs what is recommended unless told otherwise', () => {
    expect(makeHash(password)).toMatch(new RegExp(`^\\$scrypt\\$ln=${COST_LN},r=8,p=5\\$[A-Za-z0-9+/]{22}\\$[A-Za-z0-9+/]{43}$`))
  })

  it('of another program is read too', () => {
    // RFC 7914, 12: scrypt("pleaseletmein", "SodiumChloride", 2^14, 8, 1), its first 32 bytes.
    const key = Buffer.from('7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2', 'hex').toString('base64').replace(/=+$/, '')
    const hash = readHash(`$scrypt$ln=14,r=8,p=1$${Buffer.from('SodiumChloride').toString('base64')}$${key}`)
    if (hash === undefined) throw new Error('not read')
    expect(matches(Buffer.from('pleaseletmein'), hash)).toBe(true)
  })

  it.each([
    'secret',
    '',
    '$2b$12$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW',
    '$scrypt$ln=0,r=8,p=1$c2FsdHNhbHRzYWx0$AAAAAAAAAAAAAAAAAAAAAAAA',
    '$scrypt$ln=30,r=8,p=1$c2FsdHNhbHRzYWx0$AAAAAAAAAAAAAAAAAAAAAAAA',
    '$scrypt$ln=14,r=99,p=1$c2FsdHNhbHRzYWx0$AAAAAAAAAAAAAAAAAAAAAAAA',
    '$scrypt$ln=14,r=8,p=99$c2FsdHNhbHRzYWx0$AAAAAAAAAAAAAAAAAAAAAAAA',
    '$scrypt$ln=14,r=8,p=1$c2FsdHNhbHRzYWx0$AAAA',
    '$scrypt$ln=14,r=8,p=1$$AAAAAAAAAAAAAAAAAAAAAAAA',
    '$scrypt$ln=14,r=8,p=1$c2FsdHNhbHRzYWx0$AAAAAAAAAAAAAAAAAAAAAAAA\n',
  ])('is not %j', (text) => {
    expect(readHash(text)).toBeUndefined()
  })
})
