// What comes before Open (parts 2.2, 5.3): headers, and who the client is.
//
//     header ─SASL─▶ sasl ─init─▶ login (─challenge─▶ sasl ─response─▶ login) ─ok─▶ second ─AMQP─▶ over
//        └───────────────AMQP (bare)────────────────────────────────────────────────────────────▶ over
//
// Not here: mechanisms (sasl.ts), Open and what follows it (connection.ts).
import type { Broker, LoginStep, Wire } from '../../src/api.ts'
import { AMQP_HEADER, FRAME_SASL, type Frame, type Parser, SASL_HEADER } from './codec.ts'
import { errorOf } from './errors.ts'
import { saslChallenge, saslMechanisms, saslOutcome } from './frames.ts'
import { readPerformative } from './performatives.ts'
import type { TermReader } from './reader.ts'
import { Sasl } from './sasl.ts'

export interface GreetingOwner {
  readonly over: boolean
  readonly reader: TermReader
  write(bytes: Uint8Array): void
  /** Nothing is read while it is asked who the client is. */
  holdForLogin(on: boolean): void
  /** Our header is written: the next is Open. */
  greeted(): void
  is(principal: string): void
  fail(error: ReturnType<typeof errorOf>): void
  /** What had to be said is said. */
  hangUp(): void
}

export class Greeting {
  readonly #owner: GreetingOwner
  readonly #broker: Broker
  readonly #wire: Wire
  readonly #sasl: Sasl
  #state: 'header' | 'sasl' | 'login' | 'second' | 'over' = 'header'

  constructor(owner: GreetingOwner, broker: Broker, wire: Wire) {
    this.#owner = owner
    this.#broker = broker
    this.#wire = wire
    this.#sasl = new Sasl(broker, wire)
  }

  /** No header was sent: there is nothing else to say (part 2.2). */
  get silent(): boolean {
    return this.#state === 'header'
  }

  /** Takes one header or frame; false: none is there, or it is not the time. */
  step(parser: Parser): boolean {
    if (this.#state === 'header' || this.#state === 'second') {
      const header = parser.header()
      if (header !== undefined) this.#onHeader(header)
      return header !== undefined
    }
    if (this.#state !== 'sasl') return false
    const frame = parser.frame(FRAME_SASL)
    if (frame !== undefined) this.#onSasl(frame)
    return frame !== undefined
  }

  #onHeader(header: Buffer): void {
    const owner = this.#owner
    if (header.equals(SASL_HEADER) && this.#state === 'header') {
      owner.write(SASL_HEADER)
      owner.write(saslMechanisms(this.#sasl.mechanisms))
      this.#state = 'sasl'
    } else if (header.equals(AMQP_HEADER)) {
      owner.write(AMQP_HEADER)
      const bare = this.#state === 'header'
      this.#state = 'over'
      owner.greeted()
      if (bare) this.#loginBare()
    } else {
      // Another protocol or version: we say what we speak, and close (part 2.2).
      owner.write(header[4] === 3 || header[4] === 2 ? SASL_HEADER : AMQP_HEADER)
      owner.hangUp()
    }
  }

  /** A header without SASL before it: nobody in particular. */
  #loginBare(): void {
    const { remote, secure } = this.#wire
    this.#owner.holdForLogin(true)
    this.#broker.authenticate({ user: undefined, password: undefined, remote, secure }).then(
      (principal) => this.#logged(() => this.#owner.is(principal)),
      (error: unknown) => this.#logged(() => this.#owner.fail(errorOf(error))),
    )
  }

  #logged(then: () => void): void {
    if (this.#owner.over) return
    then()
    if (!this.#owner.over) this.#owner.holdForLogin(false)
  }

  #onSasl(frame: Frame): void {
    const said = readPerformative(this.#owner.reader.over(frame.bytes, frame.start, frame.end))
    if (said.kind !== 'sasl-init' && said.kind !== 'sasl-response') {
      this.#failed(1)
      return
    }
    this.#state = 'login'
    this.#owner.holdForLogin(true)
    const step = said.kind === 'sasl-init' ? this.#sasl.begin(said.mechanism, said.response) : this.#sasl.goOn(said.response)
    step.then(
      (answer) => this.#logged(() => this.#went(answer)),
      (error: unknown) => this.#logged(() => this.#failed(errorOf(error).condition === 'amqp:unauthorized-access' ? 1 : 4)),
    )
  }

  #went(answer: LoginStep): void {
    const { kind, data } = answer
    if (kind === 'done') this.#owner.is(answer.principal)
    this.#state = kind === 'done' ? 'second' : 'sasl'
    this.#owner.write(kind === 'done' ? saslOutcome(0, data) : saslChallenge(data))
  }

  #failed(code: number): void {
    this.#owner.write(saslOutcome(code))
    this.#owner.hangUp()
  }
}
