// Clients of the drill that speak STOMP 1.2, through stompit: its connections, frames and heart-beats; connecting again and sending again are ours.
import stompit, { type Client, type Message } from 'stompit'
import { type Address, Silent } from './addresses.ts'
import { keepConnected } from './keep.ts'
import { readPayload } from './payload.ts'
import { Producer, type ProducerOptions } from './producer.ts'
import type { Access, Actor, Stage } from './stage.ts'

/** A connection to a node that was stopped is given up after a silence of about this. */
const HEART_BEAT_MS = 1_000

/** `beats`: without them a connection lasts until one of both ends it. */
export function connectStomp(access: Access, address: Address, beats: boolean): Promise<Client> {
  const { host, port } = address
  const { username, password } = access
  const heartBeat = beats ? `${HEART_BEAT_MS},${HEART_BEAT_MS}` : '0,0'
  const headers = { 'accept-version': '1.2', 'heart-beat': heartBeat, ...(username === '' ? {} : { login: username, passcode: password }) }
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      client.destroy()
      reject(new Silent())
    }, access.addresses.answerMs(address))
    const client = stompit.connect({ host, port, timeout: 0, connectHeaders: headers }, (error, connected) => {
      clearTimeout(timer)
      if (error) {
        client.destroy()
        reject(error)
        return
      }
      connected.getTransportSocket().setNoDelay(true)
      endOnError(connected)
      resolve(connected)
    })
    client.on('error', () => {})
    // The library sets its own handlers in the turn after this event.
    client.once('socket-connect', () => process.nextTick(() => endOnError(client)))
  })
}

/** The library's own handler pipes the body of an ERROR frame from a stream that it then destroys with an error that nobody listens for: the process would end. */
function endOnError(client: Client): void {
  client.setCommandHandler('ERROR', (frame) => {
    frame.on('error', () => {})
    client.destroy(new Error(frame.headers['message'] ?? 'ERROR'))
  })
}

export type StompProducerOptions = ProducerOptions & Readonly<{ queue: string }>

/** Persistent messages with receipts. */
export class StompProducer extends Producer {
  readonly #destination: string
  #client: Client | undefined
  #closing = false

  constructor(options: StompProducerOptions, access: Access, stage: Stage) {
    super(options, access, stage)
    this.#destination = access.queuePrefix + options.queue
  }

  connect(): Promise<void> {
    return keepConnected({
      addresses: this.access.addresses,
      stopped: () => this.#closing,
      attempt: (address) => connectStomp(this.access, address, !this.steadfast),
      socketOf: (client) => client.getTransportSocket(),
      open: (client, node) => {
        this.#client = client
        this.opened(node)
        this.sendAgain()
      },
      lost: () => this.lost(),
    })
  }

  async close(): Promise<void> {
    this.#closing = true
    this.#client?.destroy()
  }

  protected send(number: number, payload: Buffer): void {
    const client = this.#client
    const headers = { destination: this.#destination, persistent: 'true', 'content-length': payload.length }
    client?.send(headers, { onReceipt: () => client === this.#client && this.acknowledged(number) }).end(payload)
  }
}

/** `answered`: each ACK asks for a receipt. */
export type StompConsumerOptions = Readonly<{ name: string; queue: string; answered: boolean }>

/** Takes message by message from a queue, with ack:client-individual. */
export class StompConsumer implements Actor {
  readonly name: string
  readonly #options: StompConsumerOptions
  readonly #access: Access
  readonly #stage: Stage
  #client: Client | undefined
  #asked = 0
  #closing = false

  constructor(options: StompConsumerOptions, access: Access, stage: Stage) {
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
    const { addresses, queuePrefix } = this.#access
    return keepConnected({
      addresses,
      stopped: () => this.#closing,
      attempt: (address) => connectStomp(this.#access, address, true),
      socketOf: (client) => client.getTransportSocket(),
      open: (client) => {
        this.#client = client
        this.#asked = 0
        client.subscribe({ destination: queuePrefix + this.#options.queue, ack: 'client-individual' }, (error, message) => {
          if (error === null) message.readString('latin1', (failed, body = '') => failed === null && this.#take(client, message, body))
        })
      },
      lost: () => {
        this.#client = undefined
        this.#asked = 0
      },
    })
  }

  async close(): Promise<void> {
    this.#closing = true
    this.#client?.destroy()
  }

  #take(client: Client, message: Message, body: string): void {
    const { name, answered } = this.#options
    const { ledger } = this.#stage
    const read = readPayload(Buffer.from(body, 'latin1'))
    if (read === undefined) {
      ledger.note(`${name}: a message of ${body.length} bytes is damaged or not of the drill`)
      return
    }
    ledger.delivered(name, read.producer, read.number)
    if (client !== this.#client) return
    if (!answered) {
      client.ack(message)
      return
    }
    this.#asked++
    client.ack(
      message,
      {},
      {
        onReceipt: () => {
          ledger.answered(name, read.producer, read.number)
          if (client === this.#client) this.#asked--
        },
      },
    )
  }
}
