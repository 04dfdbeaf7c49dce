// Clients of the drill that speak AMQP 1.0, through rhea: its connections, links and settlements; where it connects, connecting again and sending again are ours.
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import rhea, { type Connection, type ConnectionOptions, type EventContext, type Message, type Sender } from 'rhea'
import { type Address, Silent } from './addresses.ts'
import { dial } from './dial.ts'
import { keepConnected } from './keep.ts'
import { readPayload } from './payload.ts'
import { Producer, type ProducerOptions } from './producer.ts'
import type { Access, Actor, Stage } from './stage.ts'

/** What the broker is asked for; a connection to a node that was stopped is given up after twice as much silence. The library alone would wait a second longer. */
const IDLE_MS = 500
const CREDIT = 200

type Client = Readonly<{ connection: Connection; socket: Socket }>

/** `beats`: without them a connection lasts until one of both ends it. */
function connectAmqp(access: Access, address: Address, containerId: string, beats: boolean): Promise<Client> {
  const { username, password } = access
  const { stream, socket } = dial(address, access.listener === 'websocket' ? 'amqp' : undefined)
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(new Silent())
      socket.destroy()
    }, access.addresses.answerMs(address))
    const options = {
      container_id: containerId,
      reconnect: false,
      ...(beats ? { idle_time_out: IDLE_MS } : {}),
      ...(username === '' ? {} : { username, password }),
      connection_details: () => ({
        // What is written before it is connected waits in the stream.
        connect: (_port: number, _host: string, _options: unknown, connected: () => void) => {
          process.nextTick(connected)
          return stream
        },
      }),
    }
    if (beats) endWhenSilent(stream, socket)
    const connection = rhea.create_container().connect(options as unknown as ConnectionOptions)
    connection.once('connection_open', () => {
      clearTimeout(timer)
      resolve({ connection, socket })
    })
    socket.once('close', () => {
      clearTimeout(timer)
      reject(new Error('closed'))
      // By this alone the library knows an end, and a stream that was destroyed does not tell it: its timers would go on for ever.
      stream.emit('end')
    })
    // What nobody listens for the library prints, or throws.
    connection.on('error', () => socket.destroy())
    for (const event of ['connection_error', 'connection_close', 'protocol_error', 'disconnected']) connection.on(event, () => socket.destroy())
  })
}

function endWhenSilent(stream: Duplex, socket: Socket): void {
  const timer = setTimeout(() => socket.destroy(), 2 * IDLE_MS)
  stream.on('data', () => timer.refresh())
  socket.once('close', () => clearTimeout(timer))
}

export type AmqpProducerOptions = ProducerOptions & Readonly<{ queue: string }>

/** Durable messages, unsettled until the broker says what became of them. */
export class AmqpProducer extends Producer {
  readonly #queue: string
  #client: Client | undefined
  #sender: Sender | undefined
  /** The number of each delivery of this connection. */
  #numbers = new Map<unknown, number>()
  #closing = false

  constructor(options: AmqpProducerOptions, access: Access, stage: Stage) {
    super(options, access, stage)
    this.#queue = options.queue
  }

  connect(): Promise<void> {
    return keepConnected({
      addresses: this.access.addresses,
      stopped: () => this.#closing,
      attempt: (address) => connectAmqp(this.access, address, this.name, !this.steadfast),
      socketOf: ({ socket }) => socket,
      open: (client, node) => this.#open(client, node),
      lost: () => this.lost(),
    })
  }

  async close(): Promise<void> {
    this.#closing = true
    this.#client?.socket.destroy()
  }

  #open(client: Client, node: number): void {
    this.#client = client
    const numbers = new Map<unknown, number>()
    this.#numbers = numbers
    const { connection } = client
    connection.on('accepted', ({ delivery }: EventContext) => {
      const number = numbers.get(delivery)
      numbers.delete(delivery)
      if (number !== undefined && client === this.#client) this.acknowledged(number)
    })
    for (const outcome of ['rejected', 'released', 'modified', 'sender_error', 'session_error'])
      connection.on(outcome, ({ sender }: EventContext) => this.stage.ledger.note(`${this.name}: ${outcome} ${JSON.stringify(sender?.error ?? '')}`))
    this.#sender = connection.open_sender({ target: { address: this.#queue, capabilities: ['queue'] } })
    this.opened(node)
    this.sendAgain()
  }

  /** What there is no credit for waits in the library, in order. */
  protected send(number: number, payload: Buffer): void {
    const delivery = this.#sender?.send({ durable: true, body: rhea.message.data_section(payload) })
    if (delivery !== undefined) this.#numbers.set(delivery, number)
  }
}

/** `answered`: the receiver settles second, once the broker has told that it did; else it accepts and settles at once, and hears nothing. */
export type AmqpConsumerOptions = Readonly<{ name: string; queue: string; answered: boolean }>

/** Takes message by message from a queue. */
export class AmqpConsumer implements Actor {
  readonly name: string
  readonly #options: AmqpConsumerOptions
  readonly #access: Access
  readonly #stage: Stage
  #client: Client | undefined
  #asked = 0
  #closing = false

  constructor(options: AmqpConsumerOptions, access: Access, stage: Stage) {
    this.name = options.name
    this.#options = options
    this.#access = access
    this.#stage = stage
  }

  get connected(): boolean {
    return this.#client !== undefined
  }

  get idle(): boolean {
    return this.#asked === 0
  }

  connect(): Promise<void> {
    return keepConnected({
      addresses: this.#access.addresses,
      stopped: () => this.#closing,
      attempt: (address) => connectAmqp(this.#access, address, this.name, true),
      socketOf: ({ socket }) => socket,
      open: (client) => this.#open(client),
      lost: () => {
        this.#client = undefined
        this.#asked = 0
      },
    })
  }

  async close(): Promise<void> {
    this.#closing = true
    this.#client?.socket.destroy()
  }

  #open(client: Client): void {
    const { name, queue, answered } = this.#options
    const { ledger } = this.#stage
    this.#client = client
    this.#asked = 0
    /** Deliveries whose settlement was asked for. */
    const asked = new Map<unknown, Readonly<{ producer: string; number: number }>>()
    client.connection.on('message', ({ message, delivery }: EventContext) => {
      const body = bytesOf(message)
      const read = readPayload(body)
      if (read === undefined) {
        ledger.note(`${name}: a message of ${body.length} bytes is damaged or not of the drill`)
        return
      }
      ledger.delivered(name, read.producer, read.number)
      if (answered && client === this.#client) {
        this.#asked++
        asked.set(delivery, read)
      }
      delivery?.accept()
    })
    client.connection.on('settled', ({ delivery }: EventContext) => {
      const read = asked.get(delivery)
      if (read === undefined) return
      asked.delete(delivery)
      ledger.answered(name, read.producer, read.number)
      if (client === this.#client) this.#asked--
    })
    for (const event of ['receiver_error', 'session_error'])
      client.connection.on(event, ({ receiver }: EventContext) => ledger.note(`${name}: ${event} ${JSON.stringify(receiver?.error ?? '')}`))
    client.connection.open_receiver({
      source: { address: queue, capabilities: ['queue'] },
      autoaccept: false,
      credit_window: CREDIT,
      rcv_settle_mode: answered ? 1 : 0,
    })
  }
}

/** The library makes of a data section an object with its content. */
function bytesOf(message: Message | undefined): Buffer {
  const body: unknown = message?.body
  const content: unknown = typeof body === 'object' && body !== null && 'content' in body ? body.content : body
  return Buffer.isBuffer(content) ? content : Buffer.alloc(0)
}
