// How a client says who it is (part 5.3): one exchange of SASL, of one step (PLAIN, ANONYMOUS) or of several (SCRAM, which the core knows).
// EXTERNAL is offered to whoever has shown the certificate of a user in TLS. Not here: frames, and when they come (connection.ts).
import type { Broker, LoginStep, LoginSteps, Wire } from '../../src/api.ts'
import { brokerError } from './errors.ts'

export class Sasl {
  readonly #broker: Broker
  readonly #wire: Pick<Wire, 'remote' | 'secure' | 'certificate'>
  #begun = false
  #steps: LoginSteps | undefined

  constructor(broker: Broker, wire: Pick<Wire, 'remote' | 'secure' | 'certificate'>) {
    this.#broker = broker
    this.#wire = wire
  }

  /** Clients that know several take the first, or the strongest. */
  get mechanisms(): readonly string[] {
    const { mechanisms } = this.#broker
    const certified = this.#wire.certificate !== undefined && this.#stepsBy('EXTERNAL') !== undefined
    return [...(certified ? ['EXTERNAL'] : []), ...mechanisms, 'PLAIN', 'ANONYMOUS']
  }

  /** What sasl-init says. Rejects with what ends the exchange: a mechanism that was not offered, too (part 5.3.3.2). */
  async begin(mechanism: string, response: Uint8Array | undefined): Promise<LoginStep> {
    if (this.#begun || !this.mechanisms.includes(mechanism)) throw brokerError('unauthenticated', 'The mechanism is not one that was offered.')
    this.#begun = true
    if (mechanism === 'PLAIN' || mechanism === 'ANONYMOUS') return this.#atOnce(mechanism, response)
    this.#steps = this.#stepsBy(mechanism)
    return this.goOn(response)
  }

  #stepsBy(mechanism: string): LoginSteps | undefined {
    const { remote, secure, certificate } = this.#wire
    return this.#broker.authenticateBy(mechanism, { remote, secure, certificate })
  }

  /** What sasl-response says. */
  async goOn(response: Uint8Array | undefined): Promise<LoginStep> {
    if (this.#steps === undefined) throw brokerError('unauthenticated', 'Nothing was asked.')
    return this.#steps.step(response)
  }

  async #atOnce(mechanism: 'PLAIN' | 'ANONYMOUS', response: Uint8Array | undefined): Promise<LoginStep> {
    const credentials = mechanism === 'ANONYMOUS' ? NOBODY : credentialsOf(response)
    if (credentials === undefined) throw brokerError('unauthenticated', 'The response is not as RFC 4616 has it.')
    const { remote, secure } = this.#wire
    return { kind: 'done', principal: await this.#broker.authenticate({ ...credentials, remote, secure }), data: EMPTY }
  }
}

type Credentials = Readonly<{ user: string | undefined; password: Uint8Array | undefined }>

/** RFC 4616: whom to act for (nobody but oneself), who it is, the password. */
function credentialsOf(response: Uint8Array | undefined): Credentials | undefined {
  if (response === undefined) return undefined
  const bytes = Buffer.from(response.buffer, response.byteOffset, response.length)
  const first = bytes.indexOf(0)
  const second = bytes.indexOf(0, first + 1)
  if (first < 0 || second < 0) return undefined
  const user = bytes.toString('utf8', first + 1, second)
  const other = bytes.toString('utf8', 0, first)
  return other === '' || other === user ? { user, password: bytes.subarray(second + 1) } : undefined
}

const NOBODY: Credentials = { user: undefined, password: undefined }
const EMPTY = new Uint8Array(0)
