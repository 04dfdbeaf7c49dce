// Clients of the drill that speak MQTT 3.1.1, through MQTT.js. The library resumes its sessions and sends again what was not answered; where it connects,
// and how often it tries, is ours: every 20 ms, the addresses in turn.
import type { Duplex } from 'node:stream'
import { type IClientOptions, MqttClient } from 'mqtt'
import { type Address, RETRY_MS, seek, Silent } from './addresses.ts'
import { dial } from './dial.ts'
import { readPayload } from './payload.ts'
import { Producer, type ProducerOptions } from './producer.ts'
import type { Access, Actor, Stage } from './stage.ts'

/** The smallest there is: a connection to a node that was stopped is given up after one and a half of it. */
const KEEPALIVE_S = 1

function optionsOf(access: Access, clientId: string, more: Partial<IClientOptions>): IClientOptions {
  const { username, password } = access
  return {
    protocolId: 'MQTT',
    protocolVersion: 4,
    clientId,
    resubscribe: false,
    ...(username === '' ? {} : { username, password }),
    ...more,
  }
}

/** A client that changes over, for as long as the drill lasts. `onSession` is told whether the broker had kept its session. */
function lasting(
  access: Access,
  options: Partial<IClientOptions> & { clientId: string },
  on: Readonly<{ open: (node: number, sessionPresent: boolean) => void; lost: () => void }>,
): MqttClient {
  let address: Address | undefined
  const client = new MqttClient(
    (connecting) => {
      const chosen = access.addresses.next()
      address = chosen
      const answerMs = access.addresses.answerMs(chosen)
      // Read by the library once it has the stream.
      connecting.options.connectTimeout = answerMs
      return dialed(access, chosen, answerMs, () => access.addresses.silent(chosen))
    },
    optionsOf(access, options.clientId, { keepalive: KEEPALIVE_S, reconnectPeriod: RETRY_MS, ...options }),
  )
  client.on('error', () => {})
  client.on('packetreceive', (packet) => {
    if (packet.cmd === 'connack' && packet.returnCode === 0) on.open(address?.node ?? -1, packet.sessionPresent)
  })
  client.on('close', on.lost)
  return client
}

/** `onSilence`: the connection was taken, and in all the time that it had nothing came. */
function dialed({ listener }: Access, address: Address, answerMs: number, onSilence: () => void): Duplex {
  const { stream, socket } = dial(address, listener === 'websocket' ? 'mqtt' : undefined)
  let connectedMs = Number.NaN
  socket.once('connect', () => {
    connectedMs = performance.now()
  })
  socket.once('close', () => {
    if (socket.bytesRead === 0 && performance.now() - connectedMs >= answerMs - 50) onSilence()
  })
  return stream
}

/** Leaves no session behind. */
async function forget(access: Access, clientId: string): Promise<void> {
  const end = performance.now() + 2_000
  await seek(
    access.addresses,
    () => performance.now() > end,
    async (address) => (await once(access, clientId, address)).endAsync(),
  )
}

/** One connection that is not made again, with a clean session. */
function once(access: Access, clientId: string, address: Address): Promise<MqttClient> {
  return new Promise((resolve, reject) => {
    let silent = false
    const connectTimeout = access.addresses.answerMs(address)
    const client = new MqttClient(
      () => dialed(access, address, connectTimeout, () => (silent = true)),
      optionsOf(access, clientId, { clean: true, keepalive: 0, reconnectPeriod: 0, connectTimeout }),
    )
    client.on('error', () => {})
    client.once('connect', () => resolve(client))
    client.once('close', () => {
      reject(silent ? new Silent() : new Error('closed'))
      client.end(true)
    })
  })
}

export type MqttProducerOptions = ProducerOptions & Readonly<{ topic: string; qos: 1 | 2 }>

/** QoS 1 from a clean session, QoS 2 from a kept one, so that everything arrives, once. */
export class MqttProducer extends Producer {
  readonly #options: MqttProducerOptions
  #client: MqttClient | undefined
  #closing = false

  constructor(options: MqttProducerOptions, access: Access, stage: Stage) {
    super(options, access, stage)
    this.#options = options
  }

  async connect(): Promise<void> {
    if (this.steadfast) {
      await this.#again()
      return
    }
    const { name, qos } = this.#options
    let connects = 0
    await new Promise<void>((resolve) => {
      this.#client = lasting(
        this.access,
        { clientId: name, clean: qos === 1 },
        {
          open: (node, sessionPresent) => {
            if (qos === 2 && connects++ > 0 && !sessionPresent) this.stage.ledger.note(`${name}: the broker lost its session`)
            this.opened(node)
            resolve()
            this.pump()
          },
          lost: () => this.lost(),
        },
      )
    })
  }

  /** Steadfast: another connection only when the last one is gone. */
  async #again(): Promise<void> {
    const found = await seek(
      this.access.addresses,
      () => this.#closing,
      async (address) => ({ client: await once(this.access, this.name, address), node: address.node }),
    )
    if (found === undefined) return
    this.#client = found.client
    found.client.once('close', () => {
      this.lost()
      if (!this.#closing) void this.#again()
    })
    if (!found.client.connected) return
    this.opened(found.node)
    this.pump()
  }

  async close(): Promise<void> {
    this.#closing = true
    await this.#client?.endAsync(true)
    if (this.#options.qos === 2) await forget(this.access, this.name)
  }

  protected send(number: number, payload: Buffer): void {
    const { topic, qos } = this.#options
    this.#client?.publish(topic, payload, { qos }, (error) => {
      if (error === undefined || error === null) this.acknowledged(number)
    })
  }
}

export type MqttConsumerOptions = Readonly<{ name: string; filter: string; qos: 1 | 2 }>

/** A kept session. The library acknowledges each message once we had it; of QoS 2 it passes each on once. */
export class MqttConsumer implements Actor {
  readonly name: string
  readonly #options: MqttConsumerOptions
  readonly #access: Access
  readonly #stage: Stage
  #client: MqttClient | undefined
  #connected = false

  constructor(options: MqttConsumerOptions, access: Access, stage: Stage) {
    this.name = options.name
    this.#options = options
    this.#access = access
    this.#stage = stage
  }

  get connected(): boolean {
    return this.#connected
  }

  /** PUBACK is not answered, and the rest the library keeps to itself. */
  get idle(): boolean {
    return true
  }

  async connect(): Promise<void> {
    const { name, filter, qos } = this.#options
    let connects = 0
    let opened = (): void => {}
    const open = new Promise<void>((resolve) => {
      opened = resolve
    })
    const client = lasting(
      this.#access,
      { clientId: name, clean: false },
      {
        open: (_node, sessionPresent) => {
          if (connects++ > 0 && !sessionPresent) this.#stage.ledger.note(`${name}: the broker lost its session`)
          this.#connected = true
          opened()
        },
        lost: () => {
          this.#connected = false
        },
      },
    )
    this.#client = client
    client.on('message', (_topic, payload) => {
      const read = readPayload(payload)
      if (read === undefined) this.#stage.ledger.note(`${name}: a message of ${payload.length} bytes is damaged or not of the drill`)
      else this.#stage.ledger.delivered(name, read.producer, read.number)
    })
    await open
    const [granted] = await client.subscribeAsync(filter, { qos })
    if (granted?.qos !== qos) throw new Error(`${name}: asked for QoS ${qos}, granted ${granted?.qos}`)
  }

  async close(): Promise<void> {
    await this.#client?.endAsync(true)
    await forget(this.#access, this.name)
  }
}
