// Clients of the drill that speak AMQP 1.0, through rhea: its connections, links and settlements; where it connects, connecting again and sending again are ours.
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import rhea, { type Connection, type ConnectionOptions, type EventContext, type Message, type Sender } from 'rhea'
import { type Address, Silent } from './addresses.ts'
import { QueueConsumer, type Read } from './consumer.ts'
import { dial } from './dial.ts'
import { keepConnected } from './keep.ts'
import { Producer, type ProducerOptions } from './producer.ts'
import type { Access, Stage } from './stage.ts'

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

/**
 * Takes message by message from a queue. Where settlements are answered the receiver settles second, once the broker has told that it did; else it accepts
 * and settles at once, and hears nothing.
 */
export class AmqpConsumer extends QueueConsumer<Client> {
  protected attempt(address: Address): Promise<Client> {
    return connectAmqp(this.access, address, this.name, true)
  }

  protected socketOf({ socket }: Client): Socket {
    return socket
  }

  protected subscribe(client: Client): void {
    const { queue, answered } = this.options
    /** Deliveries whose settlement was asked for. */
    const asked = new Map<unknown, Read>()
    client.connection.on('message', ({ message, delivery }: EventContext) => {
      const read = this.came(bytesOf(message))
      if (read === undefined) return
      if (answered && this.isCurrent(client)) {
        this.asks()
        asked.set(delivery, read)
      }
      delivery?.accept()
    })
    client.connection.on('settled', ({ delivery }: EventContext) => {
      const read = asked.get(delivery)
      asked.delete(delivery)
      if (read !== undefined) this.answered(client, read)
    })
    for (const event of ['receiver_error', 'session_error'])
      client.connection.on(event, ({ receiver }: EventContext) =>
        this.stage.ledger.note(`${this.name}: ${event} ${JSON.stringify(receiver?.error ?? '')}`),
      )
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
