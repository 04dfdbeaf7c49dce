// Clients of the crash test that speak STOMP 1.2.
import type { Random } from '../../src/random.ts'
import type { Ready } from '../wire/node-process.ts'
import { StompWire, type StompFrame, type StompHeaders } from '../wire/stomp-wire.ts'
import { Consumer, Producer, type Stage } from './actor.ts'
import { payloadOf, readPayload } from './payload.ts'
import { placeOf } from './place.ts'

/** When a message is to come: no earlier than so many milliseconds after it is sent, and by which headers. */
export interface Timing {
  readonly delayMs: number
  readonly headers: StompHeaders
}

export interface StompProducerOptions {
  readonly destination: string
  readonly window: number
  readonly timing?: (random: Random) => Timing
  /** Between an answer and what is sent next. */
  readonly paceMs?: number
  /** Of no message group. */
  readonly ungrouped?: boolean
  /** No body that travels in pieces: a message that is sent again and again may have none. */
  readonly whole?: boolean
}

/** Persistent messages with receipts, each of one of seven message groups; what had no receipt when the broker died is left at that. */
export class StompProducer extends Producer {
  readonly #options: StompProducerOptions
  #wire: StompWire | undefined
  #open = new Set<number>()

  constructor(name: string, options: StompProducerOptions, stage: Stage) {
    super(name, options.window, stage)
    this.#options = options
  }

  async connect(ready: Ready): Promise<void> {
    const wire = await StompWire.connect(placeOf(ready, 'stomp', 'v12.stomp'))
    this.#open = new Set()
    this.outstanding = 0
    wire.onReceipt = (id) => {
      const number = Number(id)
      if (!this.#open.delete(number)) this.stage.wrong(`${this.name}: receipt ${id} for nothing`)
      this.outstanding--
      this.acknowledged(number)
      const { paceMs } = this.#options
      if (paceMs === undefined) this.pump()
      else setTimeout(() => this.pump(), paceMs)
    }
    wire.onError = (error) => this.alive && this.stage.wrong(`${this.name}: ERROR ${error.body.toString()}`)
    wire.onClosed = () => {
      this.connected = false
    }
    this.#wire = wire
    this.connected = true
    this.pump()
  }

  get closed(): boolean {
    return this.#wire?.closed ?? true
  }

  /** One that paces itself stays modest. */
  override burst(count: number): void {
    super.burst(this.#options.paceMs === undefined ? count : Math.ceil(count / 10))
  }

  protected send(number: number): void {
    const { destination, timing, ungrouped, whole } = this.#options
    const body = payloadOf(this.name, number, this.stage.random, whole)
    const grouped: StompHeaders = ungrouped === true ? {} : { JMSXGroupID: `${this.name} ${number % 7}` }
    const { delayMs, headers } = timing?.(this.stage.random) ?? { delayMs: 0, headers: {} }
    if (delayMs > 0) this.stage.ledger.notBefore(this.name, number, performance.now() + delayMs)
    this.#open.add(number)
    this.#wire?.send(
      'SEND',
      {
        ...headers,
        destination,
        persistent: 'true',
        receipt: String(number),
        'content-length': String(body.length),
        ...grouped,
        producer: this.name,
      },
      body,
    )
  }
}

export interface StompConsumerOptions {
  readonly destination: string
  readonly ack: 'client' | 'client-individual'
  /** Which settlements ask for a receipt. */
  readonly receipts: 'all' | 'none' | 'even'
  /** A durable subscription. */
  readonly clientId?: string
  readonly selector?: string
  /** It gets several messages of each number, and knows them by their names. */
  readonly copies?: boolean
}

export class StompConsumer extends Consumer {
  readonly #options: StompConsumerOptions
  #wire: StompWire | undefined
  #lastReceipt = 0
  /** Settled by the receipt of this name. */
  readonly #asked = new Map<string, readonly Settling[]>()
  /** Cumulative: delivered and not settled. */
  #open: Settling[] = []

  constructor(name: string, options: StompConsumerOptions, stage: Stage) {
    super(name, stage)
    this.#options = options
  }

  async connect(ready: Ready): Promise<void> {
    this.forget()
    this.#asked.clear()
    this.#open = []
    this.connection++
    const { destination, ack, clientId, selector } = this.#options
    const wire = await StompWire.connect(placeOf(ready, 'stomp', 'v12.stomp'), clientId === undefined ? {} : { headers: { 'client-id': clientId } })
    wire.onMessage = (message) => this.#take(message)
    wire.onError = (error) => this.alive && this.stage.wrong(`${this.name}: ERROR ${error.body.toString()}`)
    wire.onReceipt = (id) => {
      for (const { producer, number, copy } of this.#asked.get(id) ?? []) this.stage.ledger.answered(this.name, producer, number, copy)
      this.#asked.delete(id)
    }
    this.#wire = wire
    const durable: StompHeaders = clientId === undefined ? {} : { 'activemq.subscriptionName': 'crash' }
    await wire.ask('SUBSCRIBE', { id: '0', destination, ack, ...durable, ...(selector === undefined ? {} : { selector }) })
  }

  get closed(): boolean {
    return this.#wire?.closed ?? true
  }

  protected flush(): void {
    this.#wire?.flush()
  }

  #take(message: StompFrame): void {
    const { producer, number } = readPayload(message.body)
    const copy = this.#options.copies === true ? message.headers.get('message-id') : undefined
    this.stage.ledger.delivered(this.name, this.connection, producer, number, performance.now(), copy)
    const settling = { producer, number, copy }
    const id = message.headers.get('ack') ?? ''
    if (this.#options.ack === 'client-individual') {
      this.later(() => this.#settle(id, [settling]))
      return
    }
    this.#open.push(settling)
    const upTo = this.#open.length
    // One ACK settles what came before it, too.
    if (upTo === 1) {
      this.later(() => {
        const last = this.#lastId
        this.#settle(last, this.#open)
        this.#open = []
      })
    }
    this.#lastId = id
  }

  #lastId = ''

  #settle(id: string, settled: readonly Settling[]): void {
    const now = performance.now()
    for (const { producer, number, copy } of settled) this.stage.ledger.settling(this.name, producer, number, now, copy)
    const { receipts } = this.#options
    this.#lastReceipt++
    const asks = receipts === 'all' || (receipts === 'even' && this.#lastReceipt % 2 === 0)
    const receipt = `r${this.#lastReceipt}`
    if (asks) this.#asked.set(receipt, settled)
    this.#wire?.send('ACK', asks ? { id, receipt } : { id })
  }
}

interface Settling {
  readonly producer: string
  readonly number: number
  readonly copy: string | undefined
}
