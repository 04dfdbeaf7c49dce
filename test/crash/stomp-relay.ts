// Takes messages from one queue and sends them to another, so many in one STOMP transaction: whatever happens, what it took is there once, and in order.
// The ledger needs to know nothing of it: a transaction of which only the sends happened makes a duplicate, one of which only the settlements did a loss.
import type { Ready } from '../wire/node-process.ts'
import { type StompFrame, type StompHeaders, StompWire } from '../wire/stomp-wire.ts'
import type { Actor, Stage } from './actor.ts'
import { placeOf } from './place.ts'

export interface StompRelayOptions {
  readonly from: string
  readonly to: string
  /** Messages of one transaction, at most. */
  readonly most: number
  /** What each message it sends says beside. */
  readonly headers?: StompHeaders
}

export class StompRelay implements Actor {
  readonly name: string
  readonly #stage: Stage
  readonly #options: StompRelayOptions
  #wire: StompWire | undefined
  /** Delivered and not in a transaction that is committed, oldest first. */
  #waiting: StompFrame[] = []
  /** How many of them are in the one that is under way. */
  #underWay = 0
  #transactions = 0
  #alive = false

  constructor(name: string, options: StompRelayOptions, stage: Stage) {
    this.name = name
    this.#options = options
    this.#stage = stage
  }

  async connect(ready: Ready): Promise<void> {
    const wire = await StompWire.connect(placeOf(ready, 'stomp', 'v12.stomp'))
    this.#waiting = []
    this.#underWay = 0
    this.#alive = true
    wire.onMessage = (message) => {
      this.#waiting.push(message)
      this.#next()
    }
    wire.onReceipt = () => {
      this.#waiting.splice(0, this.#underWay)
      this.#underWay = 0
      this.#next()
    }
    wire.onError = (error) => this.#alive && this.#stage.wrong(`${this.name}: ERROR ${error.body.toString()}`)
    this.#wire = wire
    await wire.ask('SUBSCRIBE', { id: '0', destination: this.#options.from, ack: 'client-individual' })
  }

  work(): void {}
  rest(): void {}
  burst(): void {}

  get idle(): boolean {
    return this.#waiting.length === 0
  }

  get closed(): boolean {
    return this.#wire?.closed ?? true
  }

  died(): void {
    this.#alive = false
  }

  #next(): void {
    if (!this.#alive || this.#underWay > 0 || this.#waiting.length === 0) return
    const { random } = this.#stage
    const messages = this.#waiting.slice(0, 1 + random.below(this.#options.most))
    // One in four is thought better of, and done again.
    this.#underWay = messages.length
    if (random.below(4) === 0) this.#transact(messages, 'ABORT', () => this.#transact(messages, 'COMMIT'))
    else this.#transact(messages, 'COMMIT')
  }

  /** Its end follows a little later: a broker that dies in between has on disk what never happened. */
  #transact(messages: readonly StompFrame[], end: 'COMMIT' | 'ABORT', then: () => void = () => {}): void {
    const wire = this.#wire
    const transaction = `t${++this.#transactions}`
    wire?.send('BEGIN', { transaction })
    for (const { headers, body } of messages) {
      const length = String(body.length)
      wire?.send('SEND', { ...this.#options.headers, destination: this.#options.to, persistent: 'true', transaction, 'content-length': length }, body)
      wire?.send('ACK', { id: headers.get('ack') ?? '', transaction })
    }
    setTimeout(() => {
      // It may have another connection by then.
      if (!this.#alive || wire !== this.#wire) return
      wire?.send(end, end === 'COMMIT' ? { transaction, receipt: transaction } : { transaction })
      wire?.flush()
      then()
    }, this.#stage.random.below(60))
  }
}
