// The client's side of SCRAM (RFC 5802, 3), written from the specification and sharing nothing with ours: what each message is made of can be changed.
import { createHash, createHmac, pbkdf2Sync } from 'node:crypto'

export class ScramClient {
  readonly first: string
  readonly #hash: string
  readonly #password: string
  readonly #header: string
  #expected = ''

  constructor(mechanism: string, user: string, password: string, header = 'n,,', nonce = 'fyko+d2lbbFgONRv9qkxdawL') {
    this.#hash = mechanism === 'SCRAM-SHA-512' ? 'sha512' : 'sha256'
    this.#password = password
    this.#header = header
    this.first = `${header}n=${user.replaceAll('=', '=3D').replaceAll(',', '=2C')},r=${nonce}`
  }

  /** Answers server-first. `changes`: of what is sent, without the proof. */
  final(serverFirst: string, change: (withoutProof: string) => string = (text) => text): string {
    const [, nonce = '', salt = '', iterations = ''] = /^r=([^,]+),s=([^,]+),i=(\d+)$/.exec(serverFirst) ?? []
    const salted = pbkdf2Sync(this.#password, Buffer.from(salt, 'base64'), Number(iterations), this.#hash === 'sha512' ? 64 : 32, this.#hash)
    const hmac = (key: Uint8Array, text: string): Buffer => createHmac(this.#hash, key).update(text).digest()
    const clientKey = hmac(salted, 'Client Key')
    const withoutProof = change(`c=${Buffer.from(this.#header).toString('base64')},r=${nonce}`)
    const authMessage = `${this.first.slice(this.#header.length)},${serverFirst},${withoutProof}`
    const signature = hmac(createHash(this.#hash).update(clientKey).digest(), authMessage)
    this.#expected = `v=${hmac(hmac(salted, 'Server Key'), authMessage).toString('base64')}`
    return `${withoutProof},p=${Buffer.from(clientKey.map((byte, i) => byte ^ (signature[i] ?? 0))).toString('base64')}`
  }

  /** Is this whom we wanted to talk to? */
  knows(serverFinal: string): boolean {
    return serverFinal === this.#expected
  }
}
