// A node for the tests of AMQP: real sockets, the real core, a journal in memory, all three front ends; clients of bytes and of rhea.
// `restart` is kill -9 and takeover of the node.
import { once } from 'node:events'
import { connect as connectTcp, type Socket } from 'node:net'
import rhea, {
  type Connection,
  type ConnectionOptions,
  type EventContext,
  type Message as RheaMessage,
  type Receiver,
  type ReceiverOptions,
  type Sender,
} from 'rhea'
import { realClock } from '../../src/clock.ts'
import { defaultLimits } from '../../src/config/defaults.ts'
import { CodedError } from '../../src/errors.ts'
import { Tcp } from '../../src/listen/tcp.ts'
import { CoreNode } from '../../test/support/core.ts'
import mqtt from '../mqtt/index.ts'
import { defaults as mqttDefaults } from '../mqtt/settings.ts'
import stomp from '../stomp/index.ts'
import { schema as stompSchema } from '../stomp/settings.ts'
import { AMQP_HEADER } from './codec.ts'
import { frame } from './frames.ts'
import amqp from './index.ts'
import { TermReader } from './reader.ts'
import { type AmqpSettings, schema } from './settings.ts'
import { list, type Term, text, toValue, uint } from './term.ts'

const nodes: FakeNode[] = []

export async function startNode(settings: Partial<AmqpSettings> = {}, changes: ConstructorParameters<typeof CoreNode>[0] = {}): Promise<FakeNode> {
  const node = new FakeNode(settings, changes)
  nodes.push(node)
  await node.start()
  return node
}

export async function stopNodes(): Promise<void> {
  for (const node of nodes.splice(0)) await node.stop()
}

export function defaultsOf(section: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const { properties } = section as { properties: Record<string, { default: unknown }> }
  return Object.fromEntries(Object.entries(properties).map(([name, property]) => [name, property.default]))
}

export const amqpDefaults = defaultsOf(schema) as unknown as AmqpSettings

const SILENT = { debug() {}, info() {}, warn() {}, error() {} }

export class FakeNode {
  readonly core: CoreNode
  readonly ports = { amqp: 0, mqtt: 0, stomp: 0 }
  /** What the front ends logged as an error: a fault of ours. */
  readonly faults: unknown[] = []
  readonly #settings: AmqpSettings
  readonly #raws: Raw[] = []
  readonly #connections: Connection[] = []
  #tcp: Tcp | undefined

  constructor(settings: Partial<AmqpSettings>, changes: ConstructorParameters<typeof CoreNode>[0]) {
    this.#settings = { ...amqpDefaults, ...settings }
    this.core = new CoreNode(changes)
  }

  async start(): Promise<void> {
    const log = { ...SILENT, error: (fields: unknown) => void this.faults.push(fields) }
    const fronts = {
      amqp: amqp.start(this.core.core, this.#settings, log),
      mqtt: mqtt.start(this.core.core, mqttDefaults, log),
      stomp: stomp.start(this.core.core, defaultsOf(stompSchema), log),
    }
    this.core.core.setDialects(Object.values(fronts).flatMap(({ dialect, otherDialects = [] }) => [dialect, ...otherDialects]))
    this.#tcp = new Tcp({ clock: realClock, limits: defaultLimits, log })
    for (const name of ['amqp', 'mqtt', 'stomp'] as const) {
      const address = await this.#tcp.listen({ name, host: '127.0.0.1', port: this.ports[name], frontEnd: fronts[name] })
      this.ports[name] = Number(address.split(':')[1])
    }
  }

  async shutdown(code: 'not-leading' | 'shutting-down'): Promise<void> {
    await this.#tcp?.shutdown(new CodedError(code, 'it is over'), 1000)
  }

  async restart(): Promise<void> {
    await this.#tcp?.shutdown(new CodedError('not-leading', 'killed'), 0)
    this.core.restart()
    await this.start()
  }

  async raw(): Promise<Raw> {
    const socket = connectTcp(this.ports.amqp, '127.0.0.1')
    await once(socket, 'connect')
    const raw = new Raw(socket)
    this.#raws.push(raw)
    return raw
  }

  /** Open, without SASL; `opened` further fields of Open. */
  async opened(containerId = 'raw', opened: readonly (Term | undefined)[] = []): Promise<Raw> {
    const raw = await this.raw()
    raw.write(AMQP_HEADER)
    raw.send(0, 0x10, [text(containerId), undefined, ...opened])
    await raw.header()
    await raw.next(0x10)
    return raw
  }

  /** Open and Begin. */
  async begun(containerId = 'raw', incomingWindow = 1000): Promise<Raw> {
    const raw = await this.opened(containerId)
    raw.send(0, 0x11, [undefined, uint(0), uint(incomingWindow), uint(1000)])
    await raw.next(0x11)
    return raw
  }

  async rhea(options: Partial<ConnectionOptions> = {}): Promise<Connection> {
    const container = rhea.create_container({ id: options.container_id ?? `rhea-${this.#connections.length}` })
    container.on('error', () => {})
    const connection = container.connect({ port: this.ports.amqp, host: '127.0.0.1', reconnect: false, ...options } as ConnectionOptions)
    this.#connections.push(connection)
    for (const event of ['connection_error', 'connection_close', 'disconnected', 'error', 'session_error', 'receiver_error', 'sender_error'])
      connection.on(event, () => {})
    await told(connection, 'connection_open')
    return connection
  }

  async stop(): Promise<void> {
    for (const connection of this.#connections) (connection as unknown as { socket?: Socket }).socket?.destroy()
    for (const raw of this.#raws) raw.socket.destroy()
    await this.#tcp?.shutdown(new CodedError('shutting-down', 'the test is over'), 0)
    await this.core.core.stop()
  }
}

/** The next event of this name. */
export async function told(
  emitter: { once(event: string, listener: (context: EventContext) => void): unknown },
  event: string,
): Promise<EventContext> {
  return await new Promise((resolve) => emitter.once(event, resolve))
}

/** Sends and waits for the outcome: its name, and the condition if it was refused. */
export async function sendRhea(sender: Sender, message: RheaMessage | Buffer, format?: number): Promise<string> {
  if (!sender.sendable()) await told(sender, 'sendable')
  const delivery = format === undefined ? sender.send(message as RheaMessage) : sender.send(message, undefined, format)
  const names = ['accepted', 'rejected', 'released', 'modified'] as const
  return await new Promise((resolve) => {
    const listeners = names.map((name) => (context: EventContext): void => {
      if (context.delivery !== delivery) return
      for (const [i, each] of names.entries()) sender.removeListener(each, listeners[i])
      const error = (context.delivery?.remote_state as unknown as { error?: { condition: string } } | undefined)?.error
      resolve(error === undefined ? name : `${name} ${error.condition}`)
    })
    for (const [i, name] of names.entries()) sender.on(name, listeners[i])
  })
}

export async function openSender(connection: Connection, options: Parameters<Connection['open_sender']>[0]): Promise<Sender> {
  const sender = connection.open_sender(options)
  await told(sender, 'sender_open')
  return sender
}

export type Inbox = Readonly<{ receiver: Receiver; contexts: EventContext[]; next(): Promise<EventContext> }>

/** A receiver that keeps what it gets; without `credit_window` it has credit for 1,000. */
export async function openReceiver(connection: Connection, options: ReceiverOptions | string): Promise<Inbox> {
  const receiver = connection.open_receiver(typeof options === 'string' ? { source: options, autoaccept: false } : { autoaccept: false, ...options })
  const contexts: EventContext[] = []
  const waiting: ((context: EventContext) => void)[] = []
  receiver.on('message', (context: EventContext) => {
    const wake = waiting.shift()
    if (wake === undefined) contexts.push(context)
    else wake(context)
  })
  await told(receiver, 'receiver_open')
  return {
    receiver,
    contexts,
    next: async () => {
      const context = contexts.shift()
      return context ?? (await new Promise((resolve) => waiting.push(resolve)))
    },
  }
}

/** `fields` by place, as plain values where they are simple. `payload`: what follows the performative. */
export type Got = Readonly<{ channel: number; code: number; fields: readonly Term[]; payload: Buffer }>

/** A client of bytes: writes what it is told, reads frames. */
export class Raw {
  readonly socket: Socket
  readonly closed: Promise<unknown>
  readonly frames: Got[] = []
  #bytes = Buffer.alloc(0)
  #headers: Buffer[] = []
  #wanted = 1
  #wake: (() => void) | undefined
  #over = false

  constructor(socket: Socket) {
    this.socket = socket
    socket.on('error', () => {})
    this.closed = once(socket, 'close')
    socket.on('close', () => {
      this.#over = true
      this.#wake?.()
    })
    socket.on('data', (bytes) => {
      this.#bytes = this.#bytes.length === 0 ? bytes : Buffer.concat([this.#bytes, bytes])
      this.#read()
      this.#wake?.()
    })
  }

  write(bytes: Uint8Array): void {
    this.socket.write(bytes)
  }

  send(channel: number, code: number, fields: readonly (Term | undefined)[], payload?: Uint8Array, type = 0): void {
    const head = frame(channel, code, fields, type)
    if (payload === undefined) {
      this.write(head)
      return
    }
    const whole = Buffer.concat([head, payload])
    whole.writeUInt32BE(whole.length, 0)
    this.write(whole)
  }

  async header(): Promise<Buffer> {
    while (this.#headers.length === 0) await this.#more('a header')
    return this.#headers.shift() as Buffer
  }

  /** The next frame; with a code, the next of that code (others are passed). */
  async next(code?: number): Promise<Got> {
    for (;;) {
      const at = code === undefined ? 0 : this.frames.findIndex((got) => got.code === code)
      const [got] = at >= 0 ? this.frames.splice(at, 1) : []
      if (got !== undefined) return got
      await this.#more(`a frame ${code?.toString(16) ?? ''}`)
    }
  }

  /** The condition of the error in this frame; where it is depends on the performative. */
  static condition(got: Got): string | undefined {
    const error = got.fields[got.code === 0x16 ? 2 : 0]
    const value = error?.type === 'described' ? toValue(error) : undefined
    const first = value?.type === 'list' ? value.value[0] : undefined
    return first?.type === 'symbol' ? first.value : undefined
  }

  /** Expects the next SASL header to come in the middle of the stream. */
  expectHeader(): void {
    this.#wanted++
  }

  async #more(what: string): Promise<void> {
    if (this.#over) throw new Error(`the connection closed while ${what} was awaited`)
    await new Promise<void>((resolve) => {
      this.#wake = resolve
    })
  }

  #read(): void {
    for (;;) {
      if (this.#wanted > 0 && this.#bytes.length >= 8 && this.#bytes.toString('latin1', 0, 4) === 'AMQP') {
        this.#wanted--
        this.#headers.push(this.#bytes.subarray(0, 8))
        this.#bytes = this.#bytes.subarray(8)
        continue
      }
      if (this.#bytes.length < 8) return
      const size = this.#bytes.readUInt32BE(0)
      if (this.#bytes.length < size) return
      const whole = this.#bytes.subarray(0, size)
      this.#bytes = this.#bytes.subarray(size)
      if (size === 8) {
        this.frames.push({ channel: 0, code: 0, fields: [], payload: Buffer.alloc(0) })
        continue
      }
      const reader = new TermReader({ depthMax: 64, termsMax: 1e6 }).over(whole, 8)
      const term = reader.term()
      if (term.type !== 'described' || term.descriptor.type !== 'uint64' || term.value.type !== 'terms') throw new Error('no performative')
      this.frames.push({
        channel: whole.readUInt16BE(6),
        code: Number(term.descriptor.value),
        fields: term.value.value,
        payload: whole.subarray(reader.position),
      })
    }
  }
}

/** A target or source with this address. */
export function addressTerm(code: 0x28 | 0x29, address: string): Term {
  return { type: 'described', descriptor: { type: 'uint64', value: BigInt(code) }, value: list([text(address)]) }
}
