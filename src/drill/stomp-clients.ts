// Clients of the drill that speak STOMP 1.2, through stompit: its connections, frames and heart-beats; connecting again and sending again are ours.
import type { Socket } from 'node:net'
import stompit, { type Client, type Message } from 'stompit'
import { type Address, Silent } from './addresses.ts'
import { QueueConsumer } from './consumer.ts'
import { keepConnected } from './keep.ts'
import { Producer, type ProducerOptions } from './producer.ts'
import type { Access, Stage } from './stage.ts'

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

/** Takes message by message from a queue, with ack:client-individual. Where settlements are answered, each ACK asks for a receipt. */
export class StompConsumer extends QueueConsumer<Client> {
  protected attempt(address: Address): Promise<Client> {
    return connectStomp(this.access, address, true)
  }

  protected socketOf(client: Client): Socket {
    return client.getTransportSocket()
  }

  protected subscribe(client: Client): void {
    client.subscribe({ destination: this.access.queuePrefix + this.options.queue, ack: 'client-individual' }, (error, message) => {
      if (error === null) message.readString('latin1', (failed, body = '') => failed === null && this.#take(client, message, body))
    })
  }

  #take(client: Client, message: Message, body: string): void {
    const read = this.came(Buffer.from(body, 'latin1'))
    if (read === undefined || !this.isCurrent(client)) return
    if (!this.options.answered) {
      client.ack(message)
      return
    }
    this.asks()
    client.ack(message, {}, { onReceipt: () => this.answered(client, read) })
  }
}
