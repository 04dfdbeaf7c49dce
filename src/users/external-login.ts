// One log-in by EXTERNAL (RFC 4422, appendix A): TLS has shown who it is, and the client says at most whom it wants to act for: nobody but itself.
import type { LoginStep, LoginSteps } from '../api.ts'
import { CodedError } from '../errors.ts'

export class ExternalLogin implements LoginSteps {
  readonly #user: string
  #asked = false
  #over = false

  /** `user`: whose certificate it is. */
  constructor(user: string) {
    this.#user = user
  }

  async step(response: Uint8Array | undefined): Promise<LoginStep> {
    if (this.#over) throw new CodedError('unauthenticated', 'The log-in by EXTERNAL is over.')
    // Nothing is not the same as an empty name: it is asked for once.
    if (response === undefined && !this.#asked) {
      this.#asked = true
      return { kind: 'challenge', data: EMPTY }
    }
    this.#over = true
    if (response !== undefined && (response.length === 0 || Buffer.from(this.#user).equals(response)))
      return { kind: 'done', principal: this.#user, data: EMPTY }
    throw new CodedError('unauthenticated', 'The certificate is not of the user to act for.')
  }
}

const EMPTY = new Uint8Array(0)
