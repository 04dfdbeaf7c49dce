// Hashes of passwords as the configuration has them: scrypt, with parameters, salt and key in one string of the usual form.
//
//     $scrypt$ln=14,r=8,p=5$<salt, base64>$<key, base64>
//
// Not here: when and where one is computed. It takes long on purpose, so that guessing does too (`hash-thread.ts`).
import { randomBytes, scryptSync, timingSafeEqual } from 'node:crypto'

export type Hash = Readonly<{
  /** The cost in memory and time is 2 to the power of this, times r, times p. */
  ln: number
  r: number
  p: number
  salt: Buffer
  key: Buffer
}>

/** What is recommended at the time of writing: 16 MiB and a fifth of a second. */
export const COST_LN = 14
export const COST_LN_MIN = 1
export const COST_LN_MAX = 17
const R = 8
const P = 5
const SALT_BYTES = 16
const KEY_BYTES = 32
/** Nobody's configuration makes this process take more than 128 MiB or many seconds for one log-in. */
const R_MAX = 8
const P_MAX = 16

export function makeHash(password: Uint8Array, ln = COST_LN): string {
  const salt = randomBytes(SALT_BYTES)
  return writeHash({ ln, r: R, p: P, salt, key: keyOf(password, { ln, r: R, p: P, salt }, KEY_BYTES) })
}

/** Undefined: this is not such a hash, or one of parameters that are refused. */
export function readHash(text: string): Hash | undefined {
  const match = /^\$scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})\$([A-Za-z0-9+/]{11,86})={0,2}\$([A-Za-z0-9+/]{22,86})={0,2}$/.exec(text)
  if (match === null) return undefined
  const [ln, r, p] = match.slice(1, 4).map(Number)
  if (ln < COST_LN_MIN || ln > COST_LN_MAX || r < 1 || r > R_MAX || p < 1 || p > P_MAX) return undefined
  return { ln, r, p, salt: Buffer.from(match[4], 'base64'), key: Buffer.from(match[5], 'base64') }
}

/** Takes as long for a wrong password as for the right one. */
export function matches(password: Uint8Array, hash: Hash): boolean {
  return timingSafeEqual(keyOf(password, hash, hash.key.length), hash.key)
}

function writeHash({ ln, r, p, salt, key }: Hash): string {
  const text = (bytes: Buffer): string => bytes.toString('base64').replace(/=+$/, '')
  return `$scrypt$ln=${ln},r=${r},p=${p}$${text(salt)}$${text(key)}`
}

function keyOf(password: Uint8Array, { ln, r, p, salt }: Omit<Hash, 'key'>, bytes: number): Buffer {
  return scryptSync(password, salt, bytes, { N: 2 ** ln, r, p, maxmem: 256 * 2 ** ln * r + 1024 * p * r })
}
