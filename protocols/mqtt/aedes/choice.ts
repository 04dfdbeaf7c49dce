// Which engine a client gets, by its first bytes: aedes speaks 3.1 and 3.1.1, all else is for our own engine, which knows how to refuse what is no MQTT.
//
//     byte 1    2 … 5             then
//     CONNECT   remaining length  0 4 M Q T T 4   or   0 6 M Q I s d p 3
import type { BrokerError, Connection, Wire } from '../../../src/api.ts'
import { CONNECT } from '../codec.ts'

type Begin = (wire: Wire) => Connection
/** aedes is there when it is loaded. */
export type Engines = Readonly<{ aedes: Promise<Begin>; native: Begin }>

const SPOKEN: readonly Buffer[] = [Buffer.from('\0\x04MQTT\x04', 'latin1'), Buffer.from('\0\x06MQIsdp\x03', 'latin1')]

export class Choice implements Connection {
  readonly #wire: Wire
  readonly #engines: Engines
  #first: Buffer = Buffer.alloc(0)
  #chosen: Connection | undefined = undefined
  #congested = false
  #waits = false
  #closed = false
  readonly #cancelTimeout: () => void

  /** `schedule`: what runs when nothing has come for too long. */
  constructor(wire: Wire, engines: Engines, schedule: (run: () => void) => () => void) {
    this.#wire = wire
    this.#engines = engines
    this.#cancelTimeout = schedule(() => wire.end())
  }

  data(bytes: Uint8Array): void {
    if (this.#chosen !== undefined) return this.#chosen.data(bytes)
    this.#first = Buffer.concat([this.#first, bytes])
    const engine = this.#waits ? undefined : engineFor(this.#first)
    if (engine === undefined) return
    this.#cancelTimeout()
    if (engine === 'native') return this.#choose(this.#engines.native)
    this.#waits = true
    this.#wire.pause()
    this.#engines.aedes.then(
      (begin) => {
        if (this.#closed) return
        this.#choose(begin)
        this.#wire.resume()
      },
      () => this.#wire.end(),
    )
  }

  congested(high: boolean): void {
    this.#congested = high
    this.#chosen?.congested(high)
  }

  closed(): void {
    this.#closed = true
    this.#cancelTimeout()
    this.#chosen?.closed()
  }

  shutdown(error: BrokerError): void {
    if (this.#chosen === undefined) this.#wire.end()
    else this.#chosen.shutdown(error)
  }

  #choose(begin: Begin): void {
    const chosen = begin(this.#wire)
    this.#chosen = chosen
    if (this.#congested) chosen.congested(true)
    chosen.data(this.#first)
    this.#first = Buffer.alloc(0)
  }
}

/** Undefined: not to be seen yet. */
export function engineFor(first: Buffer): keyof Engines | undefined {
  if (first.length === 0) return undefined
  if (first[0] !== CONNECT << 4) return 'native'
  let at = 1
  while (at < first.length && first[at] >= 128 && at < 4) at++
  // Longer than any CONNECT, if its length takes four bytes.
  if (at === 4) return 'native'
  if (at === first.length) return undefined
  // Too short to say a version: no more of it comes.
  if (at === 1 && first[1] < SPOKEN[0].length) return 'native'
  const said = first.subarray(at + 1)
  let maybe = false
  for (const spoken of SPOKEN) {
    const length = Math.min(spoken.length, said.length)
    if (said.compare(spoken, 0, length, 0, length) !== 0) continue
    if (length === spoken.length) return 'aedes'
    maybe = true
  }
  return maybe ? undefined : 'native'
}
