// For tests: a node of its own with real sockets, the real core and a journal in memory, and real clients of it.
import { once } from 'node:events'
import { connect as connectTcp, type Socket } from 'node:net'
import mqttClient, { type IClientOptions, type IPublishPacket, type MqttClient } from 'mqtt'
import type { FrontEnd } from '../../src/api.ts'
import { realClock } from '../../src/clock.ts'
import { defaultLimits } from '../../src/config/defaults.ts'
import { CodedError } from '../../src/errors.ts'
import { Tcp } from '../../src/listen/tcp.ts'
import { CoreNode } from '../../test/support/core.ts'
import mqtt from './index.ts'
import { defaults, type MqttSettings } from './settings.ts'

const SILENT = { debug() {}, info() {}, warn() {}, error() {} }

export class Node {
  readonly core: CoreNode
  readonly settings: MqttSettings
  port = 0
  #tcp: Tcp | undefined
  readonly #clients: MqttClient[] = []
  readonly #raws: Raw[] = []

  constructor(
    settings: Partial<MqttSettings> = {},
    changes: ConstructorParameters<typeof CoreNode>[0] = {},
    journal: ConstructorParameters<typeof CoreNode>[1] = {},
  ) {
    this.core = new CoreNode(changes, journal)
    this.settings = { ...defaults, ...settings }
  }

  async start(): Promise<this> {
    const frontEnd: FrontEnd = mqtt.start(this.core.core, this.settings, SILENT)
    this.core.core.setDialects([frontEnd.dialect, ...(frontEnd.otherDialects ?? [])])
    frontEnd.started()
    this.#tcp = new Tcp({ clock: realClock, limits: defaultLimits, log: SILENT })
    const address = await this.#tcp.listen({ name: 'mqtt', host: '127.0.0.1', port: this.port, frontEnd })
    this.port = Number(address.split(':')[1])
    return this
  }

  /** Killed, and another begins with what was committed. */
  async restart(): Promise<void> {
    await this.#tcp?.shutdown(new CodedError('not-leading', 'killed'), 0)
    this.core.restart()
    await this.start()
  }

  async client(options: IClientOptions = {}): Promise<MqttClient> {
    const client = mqttClient.connect({ host: '127.0.0.1', port: this.port, reconnectPeriod: 0, ...options })
    client.on('error', () => {})
    this.#clients.push(client)
    await connected(client)
    return client
  }

  async raw(): Promise<Raw> {
    const socket = connectTcp(this.port, '127.0.0.1')
    await once(socket, 'connect')
    const raw = new Raw(socket)
    this.#raws.push(raw)
    return raw
  }

  async stop(): Promise<void> {
    for (const client of this.#clients) client.end(true)
    for (const raw of this.#raws) raw.socket.destroy()
    await this.#tcp?.shutdown(new CodedError('shutting-down', 'the test is over'), 0)
    await this.core.core.stop()
  }
}

/** A client of bytes. */
export class Raw {
  readonly socket: Socket
  received = Buffer.alloc(0)
  closed = false
  #woken: () => void = () => {}

  constructor(socket: Socket) {
    this.socket = socket
    socket.on('data', (bytes: Buffer) => {
      this.received = Buffer.concat([this.received, bytes])
      this.#woken()
    })
    socket.on('close', () => {
      this.closed = true
      this.#woken()
    })
    socket.on('error', () => {})
  }

  send(hex: string): void {
    this.socket.write(Buffer.from(hex.replace(/ /g, ''), 'hex'))
  }

  /** Takes this many bytes of what came, when they are there. */
  async take(bytes: number): Promise<string> {
    while (this.received.length < bytes) {
      if (this.closed) throw new Error(`closed after ${this.received.toString('hex')}`)
      await this.#change()
    }
    const taken = this.received.toString('hex', 0, bytes)
    this.received = this.received.subarray(bytes)
    return taken
  }

  async end(): Promise<string> {
    while (!this.closed) await this.#change()
    return this.received.toString('hex')
  }

  /** Whether bytes come before this PINGREQ is answered. */
  async silent(): Promise<boolean> {
    this.send('c000')
    return (await this.take(2)) === 'd000'
  }

  #change(): Promise<void> {
    return new Promise((resolve) => {
      this.#woken = resolve
    })
  }
}

/** Its CONNACK. */
export function connected(client: MqttClient): Promise<{ sessionPresent: boolean }> {
  return new Promise((resolve) => {
    client.once('connect', resolve)
  })
}

/** Gathers what a client receives, and waits for it. */
export class Inbox {
  readonly packets: IPublishPacket[] = []
  #woken: () => void = () => {}

  constructor(client: MqttClient) {
    client.on('message', (_topic, _payload, packet) => {
      this.packets.push(packet)
      this.#woken()
    })
  }

  get texts(): string[] {
    return this.packets.map((packet) => packet.payload.toString())
  }

  async first(count: number): Promise<IPublishPacket[]> {
    while (this.packets.length < count) {
      await new Promise<void>((resolve) => {
        this.#woken = resolve
      })
    }
    return this.packets
  }
}
