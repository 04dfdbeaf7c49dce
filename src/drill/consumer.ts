// What consumers of the drill that take from a queue have in common: a connection that is kept, the ledger, and how many settlements wait for their answer.
import type { Socket } from 'node:net'
import type { Address } from './addresses.ts'
import { keepConnected } from './keep.ts'
import { readPayload } from './payload.ts'
import type { Access, Actor, Stage } from './stage.ts'

/** `answered`: the broker tells of each settlement, and the ledger holds it to that; else it hears nothing. */
export type ConsumerOptions = Readonly<{ name: string; queue: string; answered: boolean }>

/** Which message it was. */
export type Read = Readonly<{ producer: string; number: number }>

export abstract class QueueConsumer<Client> implements Actor {
  readonly name: string
  protected readonly options: ConsumerOptions
  protected readonly access: Access
  protected readonly stage: Stage
  #client: Client | undefined
  #asked = 0
  #closing = false

  constructor(options: ConsumerOptions, access: Access, stage: Stage) {
    this.name = options.name
    this.options = options
    this.access = access
    this.stage = stage
  }

  protected abstract attempt(address: Address): Promise<Client>
  protected abstract socketOf(client: Client): Socket
  /** It is connected: takes message by message. */
  protected abstract subscribe(client: Client): void

  get connected(): boolean {
    return this.#client !== undefined
  }

  get idle(): boolean {
    return this.#asked === 0
  }

  connect(): Promise<void> {
    return keepConnected({
      addresses: this.access.addresses,
      stopped: () => this.#closing,
      attempt: (address) => this.attempt(address),
      socketOf: (client) => this.socketOf(client),
      open: (client) => {
        this.#client = client
        this.#asked = 0
        this.subscribe(client)
      },
      lost: () => {
        this.#client = undefined
        this.#asked = 0
      },
    })
  }

  async close(): Promise<void> {
    this.#closing = true
    if (this.#client !== undefined) this.socketOf(this.#client).destroy()
  }

  /** Of the connection that it has now. */
  protected isCurrent(client: Client): boolean {
    return client === this.#client
  }

  /** A message came. Undefined: it is none of the drill's. */
  protected came(body: Buffer): Read | undefined {
    const read = readPayload(body)
    if (read === undefined) this.stage.ledger.note(`${this.name}: a message of ${body.length} bytes is damaged or not of the drill`)
    else this.stage.ledger.delivered(this.name, read.producer, read.number)
    return read
  }

  /** A settlement leaves that will be answered. */
  protected asks(): void {
    this.#asked++
  }

  protected answered(client: Client, { producer, number }: Read): void {
    this.stage.ledger.answered(this.name, producer, number)
    if (client === this.#client) this.#asked--
  }
}
