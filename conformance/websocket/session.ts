// How checks of WebSocket get a connection: by a subprotocol that the server speaks, in which they know a question and its answer.
import { header, readFrame } from '../clients/stomp-frame.ts'
import { OPCODE, statusOf } from '../clients/ws-frame.ts'
import { type Request, WsWire } from '../clients/ws-wire.ts'
import { mustEqual, notSupported, skip } from '../outcome.ts'
import type { Trial } from '../trial.ts'

/** What checks need to know of a subprotocol. */
export type Dialect = Readonly<{
  names: readonly string[]
  /** What its messages are: OPCODE.binary, or OPCODE.text where that is allowed too. */
  opcode: number
  /** The first thing that a client says, and whether all of its answer is there. */
  hello: (trial: Trial) => Buffer
  welcomed: (stream: Buffer) => boolean
  /** A question of exactly so many bytes (undefined: the shortest), to be asked any number of times after the first answer. */
  question: (trial: Trial, sizeBytes?: number) => Buffer
  answered: (stream: Buffer) => boolean
}>

const string = (text: string): Buffer => {
  const bytes = Buffer.from(text)
  return Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 255]), bytes])
}

function mqttPacket(first: number, body: Buffer): Buffer {
  const length: number[] = []
  let left = body.length
  do {
    length.push((left & 127) | (left > 127 ? 128 : 0))
    left >>= 7
  } while (left > 0)
  return Buffer.concat([Buffer.from([first, ...length]), body])
}

export const mqtt: Dialect = {
  names: ['mqtt'],
  opcode: OPCODE.binary,
  hello(trial) {
    const login = [trial.user, trial.password].flatMap((each) => (each === undefined ? [] : [string(each)]))
    const flags = 2 | (trial.user === undefined ? 0 : 128) | (trial.password === undefined ? 0 : 64)
    return mqttPacket(0x10, Buffer.concat([string('MQTT'), Buffer.from([4, flags, 0, 60]), string(trial.name('ws').slice(0, 23)), ...login]))
  },
  welcomed: (stream) => stream.length >= 4 && stream[0] === 0x20,
  question(trial, sizeBytes) {
    if (sizeBytes === undefined) return Buffer.from([0xc0, 0])
    // PUBLISH of QoS 1: its head has two, three or four bytes.
    const topic = string(trial.profile.mqtt.topic(trial.name('t')))
    const headBytes = sizeBytes < 130 ? 2 : sizeBytes < 16_387 ? 3 : 4
    return mqttPacket(0x32, Buffer.concat([topic, Buffer.from([0, 1]), Buffer.alloc(sizeBytes - headBytes - topic.length - 2, 'p')]))
  },
  answered: (stream) => stream.length >= 2 && (stream[0] === 0xd0 || (stream.length >= 4 && stream[0] === 0x40)),
}

export const stomp: Dialect = {
  names: ['v12.stomp', 'v11.stomp', 'v10.stomp'],
  opcode: OPCODE.text,
  hello(trial) {
    const login = trial.user === undefined ? '' : `login:${trial.user}\npasscode:${trial.password ?? ''}\n`
    return Buffer.from(`CONNECT\naccept-version:1.0,1.1,1.2\nhost:${trial.profile.stomp.host ?? trial.addressOf('ws').host}\n${login}\n\0`)
  },
  welcomed: (stream) => stream.includes('CONNECTED\n') && stream.includes(0),
  question(trial, sizeBytes) {
    const head = `SEND\ndestination:${trial.profile.stomp.topic(trial.name('t'))}\nreceipt:r\n\n`
    return Buffer.from(`${head}${'p'.repeat(sizeBytes === undefined ? 1 : sizeBytes - head.length - 1)}\0`)
  },
  answered(stream) {
    const begin = stream.findIndex((byte) => byte !== 10 && byte !== 13)
    const frame = begin < 0 || !stream.includes(0) ? undefined : readFrame(stream.subarray(begin))
    return frame?.command === 'RECEIPT' && header(frame, 'receipt-id') === 'r'
  },
}

export const amqp: Dialect = {
  names: ['amqp'],
  opcode: OPCODE.binary,
  hello: () => Buffer.from('AMQP\x03\x01\0\0', 'latin1'),
  welcomed: (stream) => stream.length >= 8 && stream.toString('latin1', 0, 4) === 'AMQP',
  question: () => skip('AMQP has no question as short as this'),
  answered: () => false,
}

export type Opened = Readonly<{ wire: WsWire; dialect: Dialect; ask: (sizeBytes?: number) => Promise<void> }>

/** A hand-shake that was accepted for one of these dialects, nothing said yet. */
export async function shaken(
  trial: Trial,
  dialects: readonly Dialect[] = [mqtt, stomp, amqp],
  request: Request = {},
): Promise<Readonly<{ wire: WsWire; dialect: Dialect }>> {
  for (const dialect of dialects) {
    const wire = await WsWire.open(trial)
    wire.text(wire.request({ ...request, headers: { 'Sec-WebSocket-Protocol': dialect.names.join(', '), ...request.headers } }))
    const head = await wire.responseOrEnd()
    if (head !== undefined && statusOf(head) === 101 && dialect.names.includes(head.headers.get('sec-websocket-protocol') ?? ''))
      return { wire, dialect }
    wire.destroy()
  }
  return notSupported(`there is none of the subprotocols ${dialects.flatMap(({ names }) => names).join(', ')}`)
}

/** What a server says it speaks means something only if it does not say so of every name. */
export async function mustChoose(trial: Trial): Promise<void> {
  const wire = await WsWire.open(trial)
  wire.text(wire.request({ headers: { 'Sec-WebSocket-Protocol': 'made-up' } }))
  if ((await wire.responseOrEnd())?.headers.get('sec-websocket-protocol') === 'made-up') notSupported('the server agrees to any subprotocol')
}

/** The same, greeted in the dialect: what is asked now is answered. */
export async function opened(trial: Trial, dialects: readonly Dialect[] = [mqtt, stomp], request: Request = {}): Promise<Opened> {
  const { wire, dialect } = await shaken(trial, dialects, request)
  return greeted(trial, wire, dialect)
}

/** The first message of a client on a connection whose hand-shake was accepted, and its answer. */
export async function greeted(trial: Trial, wire: WsWire, dialect: Dialect): Promise<Opened> {
  wire.frame({ opcode: dialect.opcode, payload: dialect.hello(trial) })
  await wire.until(dialect.welcomed, 'the answer to the first message')
  return {
    wire,
    dialect,
    async ask(sizeBytes) {
      wire.frame({ opcode: dialect.opcode, payload: dialect.question(trial, sizeBytes) })
      await answer(wire, dialect)
    },
  }
}

export async function answer(wire: WsWire, dialect: Dialect): Promise<void> {
  await wire.until(dialect.answered, 'the answer to a message')
}

/** The response to a hand-shake that must not be accepted. */
export async function refusal(trial: Trial, request: Request): Promise<Awaited<ReturnType<WsWire['shake']>>> {
  const wire = await WsWire.open(trial)
  const head = await wire.shake(request)
  const status = statusOf(head)
  mustEqual(status >= 400 && status < 600 ? 'refused' : head.start, 'refused', 'the answer to the hand-shake')
  return head
}
