// Clients of the crash test that speak AMQP 1.0.
import type { Ready } from '../wire/node-process.ts'
import { Consumer, Producer, type Stage } from './actor.ts'
import { type AmqpDisposition, AmqpWire } from './amqp-wire.ts'
import { payloadOf, readPayload } from './payload.ts'
import { placeOf } from './place.ts'

export interface AmqpProducerOptions {
  readonly window: number
  /** `second`: the broker says accepted, and settles when we have. */
  readonly receiverSettles: 'first' | 'second'
}

/** Durable messages, unsettled; what was not accepted when the broker died is left at that. */
export class AmqpProducer extends Producer {
  readonly #address: string
  readonly #second: boolean
  #wire: AmqpWire | undefined
  /** By delivery id. */
  #numbers = new Map<number, number>()

  constructor(name: string, address: string, options: AmqpProducerOptions, stage: Stage) {
    super(name, options.window, stage)
    this.#address = address
    this.#second = options.receiverSettles === 'second'
  }

  async connect(ready: Ready): Promise<void> {
    this.#numbers = new Map()
    this.outstanding = 0
    const { name } = this
    const receiverSettles = this.#second ? 'second' : 'first'
    const link = { containerId: name, name, receives: false, address: this.#address, receiverSettles } as const
    this.#wire = await AmqpWire.connect(placeOf(ready, 'amqp', 'amqp'), link, (wire) => {
      wire.onDisposition = (disposition) => this.#decided(wire, disposition)
      wire.onEnded = (sentence) => this.alive && this.stage.wrong(`${name}: ${sentence}`)
      wire.onClosed = () => {
        this.connected = false
      }
    })
    this.connected = true
    this.pump()
  }

  get closed(): boolean {
    return this.#wire?.closed ?? true
  }

  override died(): void {
    super.died()
    this.#wire?.mute()
  }

  protected send(number: number): void {
    const id = this.#wire?.send(payloadOf(this.name, number, this.stage.random))
    if (id !== undefined) this.#numbers.set(id, number)
  }

  #decided(wire: AmqpWire, { first, last, settled, accepted }: AmqpDisposition): void {
    if (settled === this.#second) this.stage.wrong(`${this.name}: a disposition is ${settled ? '' : 'not '}settled`)
    if (this.#second) wire.settleSent(first, last)
    for (let id = first; id <= last; id++) {
      const number = this.#numbers.get(id)
      if (number === undefined || !accepted) {
        this.stage.wrong(`${this.name}: delivery ${id} is ${accepted ? 'accepted and not in flight' : 'not accepted'}`)
        continue
      }
      this.#numbers.delete(id)
      this.outstanding--
      this.acknowledged(number)
    }
    this.pump()
  }
}

export interface AmqpConsumerOptions {
  readonly address: string
  /** `first`: we settle, and nobody answers. `second`: we say accepted, and the broker settles when that is durable. */
  readonly receiverSettles: 'first' | 'second'
  /** One disposition for all that is settled at once, or one for each. */
  readonly dispositions: 'ranges' | 'single'
  /** A durable subscription. */
  readonly durable?: boolean
}

export class AmqpConsumer extends Consumer {
  readonly #options: AmqpConsumerOptions
  #wire: AmqpWire | undefined
  /** To be settled by the next flush. */
  #open: Settling[] = []
  /** Accepted by us and not yet settled by the broker, by delivery id. */
  readonly #asked = new Map<number, Settling>()

  constructor(name: string, options: AmqpConsumerOptions, stage: Stage) {
    super(name, stage)
    this.#options = options
  }

  async connect(ready: Ready): Promise<void> {
    this.forget()
    this.#asked.clear()
    this.#open = []
    this.connection++
    const { name } = this
    const link = { containerId: name, name, receives: true, ...this.#options }
    this.#wire = await AmqpWire.connect(placeOf(ready, 'amqp', 'amqp'), link, (wire) => {
      wire.onMessage = (id, body) => this.#take(id, body)
      wire.onDisposition = (disposition) => this.#answered(disposition)
      wire.onEnded = (sentence) => this.alive && this.stage.wrong(`${name}: ${sentence}`)
    })
  }

  override get idle(): boolean {
    return super.idle && this.#asked.size === 0
  }

  get closed(): boolean {
    return this.#wire?.closed ?? true
  }

  override died(): void {
    super.died()
    this.#wire?.mute()
  }

  protected flush(): void {
    const settling = this.#open
    this.#open = []
    const { receiverSettles, dispositions } = this.#options
    const settled = receiverSettles === 'first'
    const now = performance.now()
    for (const each of settling) {
      this.stage.ledger.settling(this.name, each.producer, each.number, now)
      if (!settled) this.#asked.set(each.id, each)
      if (dispositions === 'single') this.#wire?.accept(each.id, each.id, settled)
    }
    // One link alone in its session: its delivery ids have no gaps.
    const [first, last] = [settling[0], settling.at(-1)]
    if (dispositions === 'ranges' && first !== undefined && last !== undefined) this.#wire?.accept(first.id, last.id, settled)
    this.#wire?.topUp()
    this.#wire?.flush()
  }

  #take(id: number, body: Buffer): void {
    const { producer, number } = readPayload(body)
    this.stage.ledger.delivered(this.name, this.connection, producer, number, performance.now())
    this.later(() => this.#open.push({ id, producer, number }))
  }

  #answered({ first, last, settled, accepted }: AmqpDisposition): void {
    for (let id = first; id <= last; id++) {
      const asked = this.#asked.get(id)
      if (asked === undefined || !settled || !accepted) this.stage.wrong(`${this.name}: an answer for delivery ${id}, for which it waits not`)
      else this.stage.ledger.answered(this.name, asked.producer, asked.number)
      this.#asked.delete(id)
    }
  }
}

interface Settling {
  readonly id: number
  readonly producer: string
  readonly number: number
}
