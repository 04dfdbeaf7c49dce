// The client's side of SCRAM-SHA-256 and SCRAM-SHA-512 (RFC 5802 and 7677), for suites whose protocol carries it. It knows no protocol.
import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto'

const HEADER = 'n,,'

export class ScramClient {
  /** client-first: what the log-in begins with. */
  readonly first: string
  readonly #hash: 'sha256' | 'sha512'
  readonly #password: string
  #expected = ''

  constructor(mechanism: 'SCRAM-SHA-256' | 'SCRAM-SHA-512', user: string, password: string) {
    this.#hash = mechanism === 'SCRAM-SHA-512' ? 'sha512' : 'sha256'
    this.#password = password
    this.first = `${HEADER}n=${user.replaceAll('=', '=3D').replaceAll(',', '=2C')},r=${randomBytes(18).toString('base64').replaceAll(',', '')}`
  }

  /** client-final, as server-first asks for it; undefined if that is no server-first. */
  final(serverFirst: string): string | undefined {
    const [, nonce, salt, iterations] = /^r=([^,]+),s=([^,]+),i=(\d+)/.exec(serverFirst) ?? []
    if (nonce === undefined || salt === undefined || iterations === undefined) return undefined
    const salted = pbkdf2Sync(this.#password, Buffer.from(salt, 'base64'), Number(iterations), this.#hash === 'sha512' ? 64 : 32, this.#hash)
    const hmac = (key: Uint8Array, text: string): Buffer => createHmac(this.#hash, key).update(text).digest()
    const withoutProof = `c=${Buffer.from(HEADER).toString('base64')},r=${nonce}`
    const message = `${this.first.slice(HEADER.length)},${serverFirst},${withoutProof}`
    const key = hmac(salted, 'Client Key')
    const signature = hmac(createHash(this.#hash).update(key).digest(), message)
    this.#expected = `v=${hmac(hmac(salted, 'Server Key'), message).toString('base64')}`
    return `${withoutProof},p=${Buffer.from(key.map((byte, index) => byte ^ (signature[index] ?? 0))).toString('base64')}`
  }

  /** Whether server-final shows that the server knows the password too. */
  believes(serverFinal: string): boolean {
    return serverFinal === this.#expected
  }
}
