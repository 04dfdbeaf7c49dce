// What the configuration has of a password for SCRAM (RFC 5802, RFC 7677): keys by which a client's proof is checked and ours is made, in the form
// of RFC 5803. Whoever reads them can guess passwords, but cannot log in with them.
//
//     SCRAM-SHA-256$<iterations>:<salt, base64>$<StoredKey, base64>:<ServerKey, base64>
//
// Not here: the exchange itself (scram-login.ts).
import { createHash, createHmac, pbkdf2Sync, randomBytes, timingSafeEqual } from 'node:crypto'

export type Mechanism = 'SCRAM-SHA-256' | 'SCRAM-SHA-512'

/** Strongest first. */
export const MECHANISMS: readonly Mechanism[] = ['SCRAM-SHA-512', 'SCRAM-SHA-256']

export type Verifier = Readonly<{ mechanism: Mechanism; iterations: number; salt: Buffer; storedKey: Buffer; serverKey: Buffer }>

/** Clients compute them at each log-in, and some refuse more than 65,536. */
export const ITERATIONS = 32_768
/** RFC 7677, 4. */
export const ITERATIONS_MIN = 4_096
export const ITERATIONS_MAX = 1_000_000
export const SALT_BYTES = 16

const HASHES: Readonly<Record<Mechanism, Readonly<{ name: string; bytes: number }>>> = {
  'SCRAM-SHA-256': { name: 'sha256', bytes: 32 },
  'SCRAM-SHA-512': { name: 'sha512', bytes: 64 },
}

/** `password`: prepared already. */
export function makeVerifier(mechanism: Mechanism, password: string, iterations = ITERATIONS, salt = randomBytes(SALT_BYTES)): Verifier {
  const { name, bytes } = HASHES[mechanism]
  const salted = pbkdf2Sync(password, salt, iterations, bytes, name)
  return {
    mechanism,
    iterations,
    salt,
    storedKey: createHash(name)
      .update(hmac(mechanism, salted, 'Client Key'))
      .digest(),
    serverKey: hmac(mechanism, salted, 'Server Key'),
  }
}

export function writeVerifier({ mechanism, iterations, salt, storedKey, serverKey }: Verifier): string {
  const [a, b, c] = [salt, storedKey, serverKey].map((bytes) => bytes.toString('base64'))
  return `${mechanism}$${iterations}:${a}$${b}:${c}`
}

/** Undefined: this is none, or one of a number of iterations that is refused. */
export function readVerifier(text: string): Verifier | undefined {
  const match = /^(SCRAM-SHA-(?:256|512))\$(\d{4,7}):([A-Za-z0-9+/]{8,128}={0,2})\$([A-Za-z0-9+/]{43,88}={0,2}):([A-Za-z0-9+/]{43,88}={0,2})$/.exec(
    text,
  )
  const mechanism = MECHANISMS.find((each) => each === match?.[1])
  if (match === null || mechanism === undefined) return undefined
  const iterations = Number(match[2])
  const [salt, storedKey, serverKey] = match.slice(3).map((part) => Buffer.from(part, 'base64'))
  const { bytes } = HASHES[mechanism]
  if (iterations < ITERATIONS_MIN || iterations > ITERATIONS_MAX || storedKey.length !== bytes || serverKey.length !== bytes) return undefined
  return { mechanism, iterations, salt, storedKey, serverKey }
}

/** For a name that nobody has: the same salt each time, on each node of a pair, and keys that no proof fits. */
export function decoyOf(mechanism: Mechanism, iterations: number, saltBytes: number, secret: Uint8Array, name: string): Verifier {
  const salt = createHmac('sha512', secret).update(`${mechanism}:${name}`).digest().subarray(0, saltBytes)
  const { bytes } = HASHES[mechanism]
  return { mechanism, iterations, salt, storedKey: randomBytes(bytes), serverKey: randomBytes(bytes) }
}

/** RFC 5802, 3: is this the proof of somebody who has the password? */
export function isProof({ mechanism, storedKey }: Verifier, authMessage: string, proof: Buffer): boolean {
  const signature = hmac(mechanism, storedKey, authMessage)
  if (proof.length !== signature.length) return false
  const clientKey = Buffer.alloc(proof.length)
  for (let i = 0; i < proof.length; i++) clientKey[i] = (proof[i] ?? 0) ^ (signature[i] ?? 0)
  return timingSafeEqual(createHash(HASHES[mechanism].name).update(clientKey).digest(), storedKey)
}

/** Shows the client that we know its password's keys. */
export function serverSignature({ mechanism, serverKey }: Verifier, authMessage: string): Buffer {
  return hmac(mechanism, serverKey, authMessage)
}

function hmac(mechanism: Mechanism, key: Uint8Array, text: string): Buffer {
  return createHmac(HASHES[mechanism].name, key).update(text).digest()
}
