// One log-in by SCRAM (RFC 5802), the server's side:
//
//     client-first  n,,n=anna,r=<its nonce>              ▶
//                 ◀ server-first  r=<both nonces>,s=<salt>,i=<iterations>
//     client-final  c=<first header>,r=<both nonces>,p=<proof>  ▶
//                 ◀ server-final  v=<our proof>
//
// Channels are not bound. Whoever has no name here is answered as anybody else, to the end.
import { randomBytes } from 'node:crypto'
import type { LoginStep, LoginSteps } from '../api.ts'
import { CodedError } from '../errors.ts'
import { isProof, serverSignature, type Verifier } from './scram.ts'

export type ScramOptions = Readonly<{
  /** Of a name that nobody has: one that no proof fits. */
  verifierOf: (name: string) => Verifier
  /** Waits in line; what is not right takes its time. */
  check: (isRight: () => boolean) => Promise<boolean>
}>

/** A message of an honest client is far below; nothing longer is looked at. */
const MESSAGE_BYTES_MAX = 4_096
const NONCE_BYTES = 24

type Begun = Readonly<{ name: string; header: string; firstBare: string; serverFirst: string; nonce: string; verifier: Verifier }>

export class ScramLogin implements LoginSteps {
  readonly #options: ScramOptions
  #begun: Begun | undefined
  #over = false

  constructor(options: ScramOptions) {
    this.#options = options
  }

  async step(response: Uint8Array | undefined): Promise<LoginStep> {
    if (this.#over) throw malformed('a message after the last one')
    if (this.#begun === undefined && response === undefined) return { kind: 'challenge', data: EMPTY }
    // Whatever happens below: the next message is the last, or none.
    const begun = this.#begun
    this.#over = true
    if (response === undefined || response.length > MESSAGE_BYTES_MAX) throw malformed('an empty message, or one that is too long')
    const text = Buffer.from(response).toString()
    if (begun !== undefined) return this.#finish(begun, text)
    this.#begun = this.#begin(text)
    this.#over = false
    return { kind: 'challenge', data: Buffer.from(this.#begun.serverFirst) }
  }

  #begin(text: string): Begun {
    // n: the client binds no channel; y: it would, and believes that we cannot. p asks for it, m for an extension that must be known.
    const match = /^([ny]),(?:a=([^,]+))?,(n=([^,]+),r=([\x21-\x2b\x2d-\x7e]+)(?:,[A-Za-z]=.*)?)$/s.exec(text)
    const [header, authorized, firstBare, name, nonce] = [match?.[1], match?.[2], match?.[3], nameOf(match?.[4]), match?.[5]]
    if (header === undefined || firstBare === undefined || name === undefined || nonce === undefined) {
      throw malformed(text.startsWith('p=') ? 'channel binding, which is not offered' : 'a first message that is none')
    }
    if (authorized !== undefined && nameOf(authorized) !== name) throw malformed('the name of somebody else to act for')
    const verifier = this.#options.verifierOf(name)
    const both = nonce + randomBytes(NONCE_BYTES).toString('base64')
    const serverFirst = `r=${both},s=${verifier.salt.toString('base64')},i=${verifier.iterations}`
    return { name, header: text.slice(0, -firstBare.length), firstBare, serverFirst, nonce: both, verifier }
  }

  async #finish({ name, header, firstBare, serverFirst, nonce, verifier }: Begun, text: string): Promise<LoginStep> {
    const match = /^(c=([A-Za-z0-9+/=]+),r=([^,]+)(?:,[A-Za-z]=[^,]*)*),p=([A-Za-z0-9+/]+={0,2})$/s.exec(text)
    const [withoutProof, binding, theirs, proof] = [match?.[1], match?.[2], match?.[3], match?.[4]]
    if (withoutProof === undefined || binding === undefined || proof === undefined) throw malformed('a last message that is none')
    if (theirs !== nonce || binding !== Buffer.from(header).toString('base64')) throw malformed('a nonce or header that was not agreed')
    const authMessage = `${firstBare},${serverFirst},${withoutProof}`
    if (!(await this.#options.check(() => isProof(verifier, authMessage, Buffer.from(proof, 'base64'))))) {
      throw new CodedError('unauthenticated', 'User or password is wrong.')
    }
    return { kind: 'done', principal: name, data: Buffer.from(`v=${serverSignature(verifier, authMessage).toString('base64')}`) }
  }
}

/** RFC 5802, 5.1: commas and equals signs are written as =2C and =3D, and no other equals sign is there. */
function nameOf(written: string | undefined): string | undefined {
  if (written === undefined || /=(?!2C|3D)/.test(written) || written.includes('\0')) return undefined
  return written.replaceAll('=2C', ',').replaceAll('=3D', '=')
}

function malformed(what: string): CodedError {
  return new CodedError('unauthenticated', `The log-in by SCRAM holds ${what}.`)
}

const EMPTY = new Uint8Array(0)
