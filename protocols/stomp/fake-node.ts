// A node for the tests of STOMP: real sockets, the real core, a journal in memory, all three front ends; and a client of bytes.
// `restart` is kill -9 and takeover of the node.
import { once } from 'node:events'
import { connect as connectTcp, type Socket } from 'node:net'
import { realClock } from '../../src/clock.ts'
import { defaultLimits } from '../../src/config/defaults.ts'
import { CodedError } from '../../src/errors.ts'
import { Tcp } from '../../src/listen/tcp.ts'
import { CoreNode } from '../../test/support/core.ts'
import amqp from '../amqp/index.ts'
import { schema as amqpSchema } from '../amqp/settings.ts'
import mqtt from '../mqtt/index.ts'
import { defaults as mqttDefaults } from '../mqtt/settings.ts'
import { Parser } from './codec.ts'
import stomp from './index.ts'
import { schema } from './settings.ts'

const nodes: FakeNode[] = []

export async function startNode(settings: Record<string, unknown> = {}, changes: ConstructorParameters<typeof CoreNode>[0] = {}): Promise<FakeNode> {
  const node = new FakeNode(settings, changes)
  nodes.push(node)
  await node.start()
  return node
}

export async function stopNodes(): Promise<void> {
  for (const node of nodes.splice(0)) await node.stop()
}

export class FakeNode {
  readonly core: CoreNode
  readonly cleanups: (() => void)[] = []
  port = 0
  mqttPort = 0
  amqpPort = 0
  readonly #settings: Record<string, unknown>
  readonly #raws: Raw[] = []
  #tcp: Tcp | undefined

  constructor(settings: Record<string, unknown>, changes: ConstructorParameters<typeof CoreNode>[0]) {
    this.#settings = { ...defaultsOf(schema), ...settings }
    this.core = new CoreNode(changes)
  }

  async start(): Promise<void> {
    const log = { debug() {}, info() {}, warn() {}, error() {} }
    const { core } = this.core
    const fronts = [stomp.start(core, this.#settings, log), mqtt.start(core, mqttDefaults, log), amqp.start(core, defaultsOf(amqpSchema), log)]
    core.setDialects(fronts.map((front) => front.dialect))
    this.#tcp = new Tcp({ clock: realClock, limits: defaultLimits, log })
    const listen = async (frontEnd: (typeof fronts)[number], port: number): Promise<number> =>
      Number((await this.#tcp?.listen({ name: 'test', host: '127.0.0.1', port, frontEnd }))?.split(':')[1])
    this.port = await listen(fronts[0], this.port)
    this.mqttPort = await listen(fronts[1], this.mqttPort)
    this.amqpPort = await listen(fronts[2], this.amqpPort)
  }

  async restart(): Promise<void> {
    await this.#tcp?.shutdown(new CodedError('not-leading', 'killed'), 0)
    this.core.restart()
    await this.start()
  }

  async raw(): Promise<Raw> {
    const socket = connectTcp(this.port, '127.0.0.1')
    await once(socket, 'connect')
    const raw = new Raw(socket)
    this.#raws.push(raw)
    return raw
  }

  async client({ version = '1.2', headers = {} }: { version?: string; headers?: Record<string, string> } = {}): Promise<Raw> {
    const raw = await this.raw()
    raw.version = version
    raw.send('CONNECT', { ...(version === '1.0' ? {} : { 'accept-version': version, host: 'x' }), ...headers })
    const frame = await raw.next('CONNECTED')
    if (frame.headers['version'] !== version) throw new Error(`version ${frame.headers['version']} instead of ${version}`)
    return raw
  }

  async stop(): Promise<void> {
    for (const cleanup of this.cleanups) cleanup()
    for (const raw of this.#raws) raw.socket.destroy()
    await this.#tcp?.shutdown(new CodedError('shutting-down', 'the test is over'), 0)
    await this.core.core.stop()
  }
}

export type Got = { command: string; headers: Record<string, string>; body: Buffer; raw: Buffer }

/** A client of bytes. What it reads it parses by itself, so that MESSAGE frames with bodies can be read. */
export class Raw {
  readonly socket: Socket
  readonly closed: Promise<unknown>
  version = '1.2'
  onFrame: ((frame: Got) => void) | undefined
  #bytes = Buffer.alloc(0)
  readonly #frames: Got[] = []
  #wake: (() => void) | undefined
  #receipts = 0

  constructor(socket: Socket) {
    this.socket = socket
    socket.on('error', () => {})
    this.closed = once(socket, 'close')
    socket.on('data', (bytes) => {
      this.#bytes = this.#bytes.length === 0 ? bytes : Buffer.concat([this.#bytes, bytes])
      this.#parse()
    })
    socket.on('end', () => socket.end())
  }

  write(bytes: Buffer): void {
    this.socket.write(bytes)
  }

  send(command: string, headers: Readonly<Record<string, string>>, body = ''): void {
    const lines = Object.entries(headers).map(([name, value]) => `${name}:${value}\n`)
    this.write(Buffer.from(`${command}\n${lines.join('')}\n${body}\0`))
  }

  /** Ends with the receipt. */
  async ask(command: string, headers: Readonly<Record<string, string>>, body = ''): Promise<void> {
    const receipt = `ask${++this.#receipts}`
    this.send(command, { ...headers, receipt }, body)
    await this.receipt(receipt)
  }

  async receipt(id: string): Promise<void> {
    await this.#find(`RECEIPT ${id}`, (frame) => frame.command === 'RECEIPT' && frame.headers['receipt-id'] === id)
  }

  next(command: string): Promise<Got> {
    return this.#find(command, (frame) => frame.command === command)
  }

  message(): Promise<Got> {
    return this.next('MESSAGE')
  }

  async rawMessage(): Promise<Buffer> {
    return (await this.message()).raw
  }

  error(): Promise<Got> {
    return this.next('ERROR')
  }

  /** The bodies of messages that came beside what was asked for; everything that was due has come. */
  async leftOver(): Promise<string[]> {
    await this.ask('SEND', { destination: '/queue/nobody.listens.here' }, '')
    for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve))
    return this.#frames.filter((frame) => frame.command === 'MESSAGE').map((frame) => frame.body.toString())
  }

  async #find(what: string, is: (frame: Got) => boolean): Promise<Got> {
    for (;;) {
      const at = this.#frames.findIndex(is)
      if (at >= 0) return this.#frames.splice(at, 1)[0]
      const error = this.#frames.find((frame) => frame.command === 'ERROR')
      if (error !== undefined) throw new Error(`ERROR instead of ${what}: ${error.body.toString()}`)
      if (this.socket.destroyed) throw new Error(`closed while waiting for ${what}`)
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          this.socket.off('close', wake)
          resolve()
        }
        this.#wake = wake
        this.socket.once('close', wake)
      })
    }
  }

  #parse(): void {
    for (;;) {
      let at = 0
      while (at < this.#bytes.length && (this.#bytes[at] === 10 || this.#bytes[at] === 13)) at++
      const head = this.#bytes.indexOf('\n\n', at)
      if (head < 0) return
      const parsed = headersOf(this.#bytes.subarray(at, head + 2), this.version)
      const length = parsed.headers['content-length']
      const end = length === undefined ? this.#bytes.indexOf(0, head + 2) : head + 2 + Number(length)
      if (end < 0 || end >= this.#bytes.length) return
      const frame = { ...parsed, body: this.#bytes.subarray(head + 2, end), raw: this.#bytes.subarray(at, end + 1) }
      this.#bytes = this.#bytes.subarray(end + 1)
      if (this.onFrame === undefined) this.#frames.push(frame)
      else this.onFrame(frame)
      this.#wake?.()
    }
  }
}

/** By our own parser, whose escapes codec.test.ts and the stock clients check; the first header of a name counts. */
function headersOf(head: Buffer, version: string): { command: string; headers: Record<string, string> } {
  const parser = new Parser({ headersMax: 1000, headerBytesMax: 65_536, lineBytesMax: 65_536, bodyBytesMax: 0 })
  parser.version = version === '1.0' || version === '1.1' ? version : '1.2'
  const text = head.toString().replace(/\ncontent-length:/, '\ncontent-length-was:')
  parser.push(Buffer.from(`${text}\0`))
  const frame = parser.read()
  if (frame === undefined) throw new Error(`unreadable: ${head.toString()}: ${parser.fault?.sentence ?? ''}`)
  const headers: Record<string, string> = {}
  for (let i = 0; i < frame.headers.length; i += 2) headers[frame.headers[i].replace('content-length-was', 'content-length')] ??= frame.headers[i + 1]
  return { command: frame.command, headers }
}

function defaultsOf(schema: unknown): Record<string, unknown> {
  const { properties } = schema as { properties: Record<string, { default: unknown }> }
  return Object.fromEntries(Object.entries(properties).map(([name, property]) => [name, property.default]))
}
