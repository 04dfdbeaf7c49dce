// Whole conversations of every protocol with the real front ends and the real core, over WebSocket: cut into frames and messages anywhere, also inside a
// letter of UTF-8, with control frames between the pieces, and the reads cut anywhere again. What is answered is what is answered over TCP.
// A seed that once failed becomes a file in the corpus of its protocol. What is no WebSocket at all: src/listen/websocket.fuzz.test.ts.
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { isDeepStrictEqual } from 'node:util'
import { isUtf8 } from 'node:buffer'
import { afterEach, describe, expect, it } from 'vitest'
import { realClock } from '../../src/clock.ts'
import { defaultLimits, defaults } from '../../src/config/defaults.ts'
import { CodedError } from '../../src/errors.ts'
import { Tcp } from '../../src/listen/tcp.ts'
import { listenWebSocket } from '../../src/listen/websocket.ts'
import { SeededRandom } from '../../src/random.ts'
import { CoreNode } from '../../test/support/core.ts'
import { protocols } from '../index.ts'

/** So many turns of the event loop, which both sides share, nothing comes any more: the conversation has come to its end, however busy the machine is. */
const QUIET_TURNS = 300
/** Longest wait for what is wanted. */
const PATIENCE_MS = 3_000
const SEEDS = 6

const closing: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0)) await close()
})

/** A node of its own, so that names and numbers are the same each time. `faults`: what was logged as its own. */
async function start(protocol: string) {
  const node = new CoreNode()
  const faults: unknown[] = []
  const log = { debug() {}, info() {}, warn() {}, error: (fields: unknown) => void faults.push(fields) }
  const fronts = protocols.map((each) => ({ ...each, front: each.start(node.core, defaultsOf(each.schema), log) }))
  node.core.setDialects(fronts.map(({ front }) => front.dialect))
  const tcp = new Tcp({ clock: realClock, limits: defaultLimits, log })
  const place = { host: '127.0.0.1', port: 0 }
  const own = fronts.find((each) => each.name === protocol)
  if (own === undefined) throw new Error(`no front end ${protocol}`)
  const plain = await tcp.listen({ ...place, name: protocol, frontEnd: own.front })
  const spoken = fronts.map(({ name, subprotocols, textMessages, front }) => ({ name, subprotocols, textMessages, accept: front.accept.bind(front) }))
  const options = { ...place, name: 'websocket', settings: defaults.websocket, clock: realClock, log, tcp, spoken }
  const websocket = await listenWebSocket(options)
  for (const { front } of fronts) front.started()
  closing.push(() => tcp.shutdown(new CodedError('shutting-down', 'end of test'), 0))
  const portOf = (address: string): number => Number(address.split(':')[1])
  return { faults, plain: portOf(plain), websocket: portOf(websocket), subprotocol: own.subprotocols[0] ?? '' }
}

function defaultsOf(schema: unknown): Record<string, unknown> {
  const { properties } = schema as { properties: Record<string, { default: unknown }> }
  return Object.fromEntries(Object.entries(properties).map(([name, property]) => [name, property.default]))
}

/** `code`: of a close frame that does not say that all is well. */
type Answer = Readonly<{ bytes: Buffer; ended: boolean; code?: number }>

/** What came until the other side ended it, or was silent. */
class Listener {
  readonly socket: Socket
  readonly pieces: Buffer[] = []
  ended = false
  #quietTurns = 0

  constructor(port: number) {
    this.socket = connect({ host: '127.0.0.1', port, noDelay: true })
    this.socket.on('error', () => {})
    this.socket.on('data', (bytes) => {
      this.pieces.push(bytes)
      this.#quietTurns = 0
    })
    this.socket.on('end', () => {
      this.ended = true
    })
    this.socket.on('close', () => {
      this.ended = true
    })
  }

  async write(pieces: readonly Uint8Array[]): Promise<void> {
    for (const piece of pieces) {
      if (!this.socket.writable) return
      this.socket.write(piece)
      await new Promise((resolve) => setImmediate(resolve))
    }
    this.#quietTurns = 0
  }

  /** Until it ends, or `enough`; without that until it is silent. */
  async rest(enough?: (bytes: Buffer) => boolean): Promise<Buffer> {
    const end = performance.now() + PATIENCE_MS
    const waits = (): boolean => (enough === undefined ? this.#quietTurns++ < QUIET_TURNS : !enough(Buffer.concat(this.pieces)))
    while (!this.ended && performance.now() < end && waits()) await new Promise((resolve) => setImmediate(resolve))
    this.socket.destroy()
    return Buffer.concat(this.pieces)
  }
}

async function overTcp(port: number, bytes: Buffer): Promise<Answer> {
  const listener = new Listener(port)
  await once(listener.socket, 'connect')
  await listener.write([bytes])
  return { bytes: await listener.rest(), ended: listener.ended }
}

type Over = Readonly<{ port: number; subprotocol: string; random: SeededRandom; enough: (answer: Answer) => boolean }>

async function overWebSocket({ port, subprotocol, random, enough }: Over, bytes: Buffer): Promise<Answer> {
  const listener = new Listener(port)
  await once(listener.socket, 'connect')
  const key = 'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=='
  listener.socket.write(
    `GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n${key}\r\nSec-WebSocket-Protocol: ${subprotocol}\r\n\r\n`,
  )
  while (!listener.ended && !Buffer.concat(listener.pieces).includes('\r\n\r\n')) await once(listener.socket, 'data')
  const head = Buffer.concat(listener.pieces).indexOf('\r\n\r\n') + 4
  await listener.write(cut(Buffer.concat(framesOf(bytes, subprotocol.endsWith('stomp') && isUtf8(bytes), random)), random, 400))
  return payloadOf((await listener.rest((all) => enough(payloadOf(all.subarray(head))))).subarray(head))
}

function cut(bytes: Buffer, random: SeededRandom, most: number): Buffer[] {
  const pieces: Buffer[] = []
  for (let at = 0; at < bytes.length; ) {
    const next = at + 1 + random.below(most)
    pieces.push(bytes.subarray(at, next))
    at = next
  }
  return pieces
}

/** Messages of text end between two letters; their fragments end anywhere. */
function framesOf(bytes: Buffer, text: boolean, random: SeededRandom): Buffer[] {
  const frames: Buffer[] = []
  for (let at = 0; at < bytes.length; ) {
    let end = Math.min(bytes.length, at + 1 + random.below(random.below(4) === 0 ? 3 : 200))
    while (text && end < bytes.length && (bytes[end] & 0xc0) === 0x80) end++
    const fragments = random.below(2) === 0 ? [bytes.subarray(at, end)] : cut(bytes.subarray(at, end), random, 12)
    fragments.forEach((fragment, i) => {
      const last = i === fragments.length - 1 ? 0x80 : 0
      frames.push(maskedFrame(last | (i > 0 ? 0 : text ? 1 : 2), fragment, random))
      if (random.below(3) === 0) frames.push(maskedFrame(0x89 + random.below(2), Buffer.from(random.bytes(random.below(126))), random))
      if (random.below(8) === 0) frames.push(maskedFrame(last === 0 ? 0 : text ? 0x81 : 0x82, Buffer.alloc(0), random))
    })
    at = end
  }
  return frames
}

function maskedFrame(first: number, payload: Uint8Array, random: SeededRandom): Buffer {
  const mask = random.bytes(4)
  const length = payload.length < 126 ? [0x80 | payload.length] : [0x80 | 126, payload.length >> 8, payload.length & 255]
  return Buffer.concat([Buffer.from([first, ...length]), mask, payload.map((byte, i) => byte ^ mask[i % 4])])
}

/** What the broker's frames of data carry; a close frame ends it. */
function payloadOf(bytes: Buffer): Answer {
  const pieces: Buffer[] = []
  for (let at = 0; at < bytes.length; ) {
    const code = bytes[at] & 15
    let length = bytes[at + 1] & 127
    at += 2
    if (length === 126) {
      length = bytes.readUInt16BE(at)
      at += 2
    } else if (length === 127) {
      length = Number(bytes.readBigUInt64BE(at))
      at += 8
    }
    const payload = bytes.subarray(at, at + length)
    at += length
    if (code === 8) {
      const why = payload.length < 2 ? 1005 : payload.readUInt16BE(0)
      return { bytes: Buffer.concat(pieces), ended: true, ...(why === 1000 ? {} : { code: why }) }
    }
    if (code < 8) pieces.push(payload)
  }
  return { bytes: Buffer.concat(pieces), ended: false }
}

/** Which answer comes first depends on which commit had what in it, never what is answered; but in AMQP also what is: sending ahead of credit is a fault there. */
function said(protocol: string, { bytes, ended, code }: Answer): unknown {
  return { ended, code, what: protocol === 'amqp' ? undefined : bytes.toString('latin1').split('').toSorted().join('') }
}

function corpus(protocol: string): readonly (readonly [string, Buffer])[] {
  const folder = new URL(`../${protocol}/corpus/`, import.meta.url)
  return readdirSync(folder).map((name) => {
    const file = readFileSync(new URL(name, folder))
    return [name, name.endsWith('.hex') ? Buffer.from(file.toString('utf8').replace(/\s/g, ''), 'hex') : file] as const
  })
}

const CONNECT = 'CONNECT\naccept-version:1.2\nhost:x\n\n\0\n'
const talk = [
  CONNECT,
  'SUBSCRIBE\nid:ä\ndestination:/queue/ä\nack:client-individual\nreceipt:1\n\n\0',
  'SEND\ndestination:/queue/grüße\nname:𝄞 😀\nreceipt:zwei €\n\ngrüße 😀 € ä\0\n\n',
  'SEND\ndestination:/topic/nobody\nreceipt:3\n\n\0',
  'DISCONNECT\nreceipt:ende €\n\n\0',
].join('')
const conversations: readonly (readonly [protocol: string, name: string, bytes: Buffer])[] = [
  ...corpus('mqtt').map(([name, bytes]) => ['mqtt', name, bytes] as const),
  ...corpus('amqp').map(([name, bytes]) => ['amqp', name, bytes] as const),
  ['stomp', 'a talk in letters of all lengths', Buffer.from(talk)],
  ...corpus('stomp').map(([name, bytes]) => ['stomp', `${name} behind CONNECT`, Buffer.concat([Buffer.from(CONNECT), bytes])] as const),
]

describe('a conversation over WebSocket, cut anywhere, is answered as over TCP', () => {
  it.each(conversations)('%s: %s', async (protocol, _, bytes) => {
    const plain = await start(protocol)
    const wanted = said(protocol, await overTcp(plain.plain, bytes))
    expect(plain.faults).toEqual([])
    for (let seed = 1; seed <= SEEDS; seed++) {
      const { faults, websocket, subprotocol } = await start(protocol)
      const enough = (answer: Answer): boolean => isDeepStrictEqual(said(protocol, answer), wanted)
      const got = said(protocol, await overWebSocket({ port: websocket, subprotocol, random: new SeededRandom(seed), enough }, bytes))
      expect(got, `seed ${seed}`).toEqual(wanted)
      expect(faults).toEqual([])
    }
  })
})
