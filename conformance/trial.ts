// One run of one check: where the broker is, names that nobody else uses, what was seen on the wire, what must be closed at the end.
import { setTimeout as sleep } from 'node:timers/promises'
import { fail, skip } from './outcome.ts'
import type { ProtocolName } from './check.ts'
import type { Address, Addresses, Profile } from './target.ts'

export type TrialOptions = Readonly<{
  addresses: Addresses
  /** The suite's (first) protocol. */
  protocol: ProtocolName
  user?: string
  password?: string
  profile: Profile
  patienceMs: number
  number: string
}>

/** Lines kept of one trial; more would be a flood. */
const LINES = 400
/** For each of the things to be cleaned up. */
const CLOSES_MS = 10_000

export class Trial {
  /** Of the suite's (first) protocol. */
  readonly address: Address
  readonly user: string | undefined
  readonly password: string | undefined
  readonly profile: Profile
  /** How long to wait for what must come; what must not come is shown by something that comes later, not by time. */
  readonly patienceMs: number
  /** What went over the wires, in order: `A → CONNECT …`, with the bytes. */
  readonly lines: string[] = []
  /** The first thing that came and could not be read, whatever the check was about: it is not passed then. */
  broken: string | undefined
  readonly #addresses: Addresses
  readonly #number: string
  readonly #closers: (() => void | Promise<void>)[] = []
  #wires = 0

  constructor(options: TrialOptions) {
    this.#addresses = options.addresses
    this.address = this.addressOf(options.protocol)
    this.user = options.user
    this.password = options.password
    this.profile = options.profile
    this.patienceMs = options.patienceMs
    this.#number = options.number
  }

  /** A name that no other trial uses, of letters, digits and `-`. The same word gives the same name. */
  name(word: string): string {
    return `c${this.#number}-${word}`
  }

  /** Of any protocol of the target; the check is skipped where it has none. */
  addressOf(protocol: ProtocolName): Address {
    return this.#addresses[protocol] ?? skip(`no target for ${protocol}`)
  }

  /** A letter for the next connection in `lines`: A, B, … */
  wireName(): string {
    return String.fromCharCode(65 + (this.#wires++ % 26))
  }

  line(text: string): void {
    if (this.lines.length < LINES) this.lines.push(text)
    else if (this.lines.length === LINES) this.lines.push('…')
  }

  /** When the check is over, however it ends: last come first closed. */
  after(close: () => void | Promise<void>): void {
    this.#closers.push(close)
  }

  /** Ends with what `promise` ends with; fails with `otherwise` when patience runs out first. */
  async within<T>(promise: Promise<T>, otherwise: string, patienceMs = this.patienceMs): Promise<T> {
    const over = new AbortController()
    try {
      return await Promise.race([
        promise,
        sleep(patienceMs, undefined, { signal: over.signal }).then(() => fail(`${otherwise} (waited ${patienceMs} ms)`)),
      ])
    } finally {
      over.abort()
    }
  }

  async close(): Promise<void> {
    for (const close of this.#closers.splice(0).reverse()) {
      // What cannot be cleaned up is no fault of the check, and must not end the run of all others.
      try {
        await Promise.race([close(), sleep(CLOSES_MS, undefined, { ref: false })])
      } catch (error) {
        this.line(`not cleaned up: ${error instanceof Error ? error.message : String(error)}`)
      }
    }
  }
}
