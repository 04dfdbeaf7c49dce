// How fast packets are cut, read and written, without sockets, journal and core: `npx tsx protocols/mqtt/codec.bench.ts`.
// The core is one that takes everything; so the numbers are the most that this front end can do on one core of the machine.
import type { Broker, Delivery, Log, Message, Session, Sink, Wire } from '../../src/api.ts'
import { MqttConnection } from './connection.ts'
import { FakeBroker, FakeSession } from './fake-core.ts'
import { newMessage } from './format.ts'
import { newFront } from './index.ts'
import { defaults } from './settings.ts'

const COUNT = 1_000_000
const silent: Log = { debug() {}, info() {}, warn() {}, error() {} }

class QuickSession extends FakeSession {
  override publish(): number {
    return this.ticket()
  }
}

class QuickBroker extends FakeBroker {
  override open(...[identity, replies]: Parameters<Broker['open']>): Session {
    const session = new QuickSession(identity, replies)
    this.sessions.push(session)
    return session
  }
}

class NullWire implements Wire {
  readonly remote = ''
  readonly secure = false
  readonly backlogBytes = 0
  bytes = 0
  write(bytes: Uint8Array): void {
    this.bytes += bytes.length
  }
  readonly room: Buffer = Buffer.alloc(4096)
  reserve(bytes: number): number {
    this.bytes += bytes
    return 0
  }
  trim(bytes: number): void {
    this.bytes -= bytes
  }
  pause(): void {}
  resume(): void {}
  end(): void {
    throw new Error('the connection ended')
  }
  destroy(): void {}
}

async function connected() {
  const broker = new QuickBroker()
  const wire = new NullWire()
  const connection = new MqttConnection(newFront(broker, defaults, silent), wire)
  connection.data(Buffer.from('100d00044d5154540402003c000161', 'hex'))
  for (let i = 0; i < 3; i++) await new Promise(setImmediate)
  const session = broker.sessions[0]
  session.commit()
  for (let i = 0; i < 3; i++) await new Promise(setImmediate)
  return { connection, wire, session }
}

function report(what: string, count: number, started: bigint): void {
  const ns = Number(process.hrtime.bigint() - started)
  process.stdout.write(`${what}: ${Math.round((count / ns) * 1e6)} k/s, ${Math.round(ns / count)} ns each\n`)
}

function publishPacket(qos: number, payload: number): Buffer {
  const body = Buffer.concat([
    Buffer.from('000a73656e736f72732f6131', 'hex'),
    qos > 0 ? Buffer.from([0, 7]) : Buffer.alloc(0),
    Buffer.alloc(payload, 120),
  ])
  return Buffer.concat([
    body.length < 128 ? Buffer.from([0x30 | (qos << 1), body.length]) : Buffer.from([0x30 | (qos << 1), (body.length & 127) | 128, body.length >> 7]),
    body,
  ])
}

for (const [payload, qos] of [
  [16, 0],
  [1024, 0],
  [1024, 1],
] as const) {
  const { connection, session } = await connected()
  const packet = publishPacket(qos, payload)
  const perChunk = Math.floor(65_536 / packet.length)
  const chunk = Buffer.concat(Array.from({ length: perChunk }, () => packet))
  for (let round = 0; round < 2; round++) {
    const started = process.hrtime.bigint()
    for (let sent = 0; sent < COUNT; sent += perChunk) {
      connection.data(chunk)
      session.commit()
    }
    if (round === 1) report(`PUBLISH in, QoS ${qos}, ${payload} B`, COUNT, started)
  }
}

for (const [name, qos, fanOut] of [
  ['PUBLISH out, QoS 0, 1024 B, every message another', 0, false],
  ['PUBLISH out, QoS 0, 1024 B, the same message to all', 0, true],
  ['PUBLISH out, QoS 1, 1024 B, with its PUBACK', 1, false],
] as const) {
  const { connection, session } = await connected()
  connection.data(Buffer.from('82060001000161 02'.replace(' ', ''), 'hex'))
  const sink: Sink = session.consumer?.sink ?? fail()
  const to = { namespace: '', kind: 'topic', path: ['sensors', 'a1'] } as const
  const queue = { namespace: 'mqtt', kind: 'queue', path: ['session', 'a'] } as const
  const body = Buffer.alloc(1024, 120)
  const one = newMessage(qos, false, body)
  const tags = [2]
  const started = process.hrtime.bigint()
  for (let sent = 0; sent < COUNT; ) {
    const acknowledgements = Buffer.alloc(qos === 0 ? 0 : 400)
    for (let i = 0; i < 100; i++, sent++) {
      const message: Message = fanOut ? one : newMessage(qos, false, body)
      const delivery: Delivery = {
        tag: qos === 0 ? 0 : sent + 1,
        message,
        to,
        ref: { queue: 1, sequence: sent },
        queue,
        mode: qos === 0 ? 'settled' : 'unsettled',
        tags,
        attempts: 1,
        failures: 0,
        maybeSeen: false,
        groupFirst: false,
        mark: 0,
        acceptedAtMs: 0,
        retained: false,
        dead: undefined,
        added: undefined,
      }
      sink.deliver(delivery)
      if (qos > 0) acknowledgements.writeUInt32BE(0x40020000 + 1 + (sent % 65_535), i * 4)
    }
    sink.flush()
    if (qos > 0) connection.data(acknowledgements)
    if (session.consumer !== undefined) session.consumer.calls.length = 0
  }
  report(name, COUNT, started)
}

function fail(): never {
  throw new Error('nothing was subscribed to')
}
