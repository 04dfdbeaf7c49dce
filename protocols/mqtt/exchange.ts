// One log-in in several steps [MQTT5-4.12], at CONNECT or again on a connection: what the client says goes to the core's `LoginSteps`, what that answers to the client.
// Which packets may come when is judged in on/auth.ts; what a mechanism's bytes mean is the core's.
import type { BrokerError, ErrorCode, LoginSteps } from '../../src/api.ts'
import { codeOf } from './errors.ts'

export interface ExchangeOwner {
  /** Nobody waits for an answer any more. */
  readonly closed: boolean
  /** AUTH 0x18 with this is due. */
  challenge(data: Uint8Array): void
  /** `data` proves to the client that it is us. */
  done(principal: string, data: Uint8Array): void
  refused(code: ErrorCode, says: string): void
}

export class Exchange {
  /** The core has the client's last word, and has not answered. */
  busy = false
  readonly #steps: LoginSteps
  readonly #owner: ExchangeOwner

  constructor(steps: LoginSteps, owner: ExchangeOwner) {
    this.#steps = steps
    this.#owner = owner
  }

  /** `data` undefined: the client said nothing. */
  step(data: Uint8Array | undefined): void {
    const owner = this.#owner
    this.busy = true
    this.#steps.step(data).then(
      (answer) => {
        this.busy = false
        if (owner.closed) return
        if (answer.kind === 'challenge') owner.challenge(answer.data)
        else owner.done(answer.principal, answer.data)
      },
      (error: BrokerError) => {
        this.busy = false
        if (!owner.closed) owner.refused(codeOf(error), error.message)
      },
    )
  }
}
