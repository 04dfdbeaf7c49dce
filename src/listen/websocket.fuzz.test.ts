// Bytes that no client should send, at every stage of a connection. Whatever comes: the process lives, other connections are served, nothing stays counted.
import { connect, type Socket } from 'node:net'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import { WebSocket } from 'ws'
import type { Connection, Wire } from '../api.ts'
import { realClock } from '../clock.ts'
import { defaultLimits, defaults } from '../config/defaults.ts'
import { CodedError } from '../errors.ts'
import { Tcp } from './tcp.ts'
import { listenWebSocket } from './websocket.ts'

const errors: unknown[] = []
const tcp = new Tcp({ clock: realClock, limits: defaultLimits, log: { debug() {}, info() {}, warn() {}, error: (fields) => errors.push(fields) } })
let port = 0
let witness: WebSocket
const echoes: string[] = []
let closes = 0

/** Sends back what it gets. */
class Echo implements Connection {
  readonly #wire: Wire

  constructor(wire: Wire) {
    this.#wire = wire
  }

  data(bytes: Uint8Array): void {
    this.#wire.write(Buffer.from(bytes))
  }

  congested(): void {}

  closed(): void {
    closes++
  }

  shutdown(): void {
    this.#wire.end()
  }
}

beforeAll(async () => {
  const spoken = [{ name: 'echo', subprotocols: ['echo'], textMessages: true, accept: (wire: Wire) => new Echo(wire) }]
  const settings = { ...defaults.websocket, messageBytesMax: 4096, fragmentsMax: 16, handshakeTimeoutMs: 200 }
  const place = { name: 'websocket', host: '127.0.0.1', port: 0 }
  const address = await listenWebSocket({ ...place, settings, clock: realClock, log: tcp.log, tcp, spoken })
  port = Number(address.split(':')[1])
  witness = new WebSocket(`ws://${address}`, 'echo')
  witness.on('message', (data) => echoes.push((data as Buffer).toString()))
  await new Promise((resolve) => witness.once('open', resolve))
})

afterAll(() => tcp.shutdown(new CodedError('shutting-down', 'end of test'), 0))

const handshake =
  'GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n' +
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: echo\r\n\r\n'

function opened(): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  socket.on('data', () => {})
  return new Promise((resolve) => socket.once('connect', () => resolve(socket)))
}

/** Sends the pieces in reads of their own, where the system lets them be; then leaves. */
async function send(pieces: readonly Uint8Array[], rudely: boolean): Promise<void> {
  const socket = await opened()
  for (const piece of pieces) {
    if (!socket.writable) break
    await new Promise<void>((resolve) => socket.write(piece, () => resolve()))
    await new Promise((resolve) => setImmediate(resolve))
  }
  const gone = new Promise<void>((resolve) => socket.once('close', () => resolve()))
  if (rudely) socket.resetAndDestroy()
  else socket.end()
  await gone
}

async function stillServes(word: string): Promise<void> {
  witness.send(word)
  await vi.waitFor(() => expect(echoes.at(-1)).toBe(word), { timeout: 5_000, interval: 2 })
  await vi.waitFor(() => expect(tcp.connections).toBe(1), { timeout: 5_000, interval: 2 })
  expect(tcp.output.usedBytes).toBe(0)
  expect(errors).toEqual([])
  expect(witness.readyState).toBe(WebSocket.OPEN)
}

const frame = fc
  .record({
    first: fc.oneof(fc.constantFrom(0x81, 0x82, 0x01, 0x02, 0x00, 0x80, 0x88, 0x89, 0x8a), fc.integer({ min: 0, max: 255 })),
    masked: fc.boolean(),
    lie: fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.integer({ min: -3, max: 70_000 }) }),
    payload: fc.uint8Array({ maxLength: 300 }),
  })
  .map(({ first, masked, lie, payload }) => {
    const length = Math.max(0, payload.length + lie)
    const flag = masked ? 0x80 : 0
    const head = length < 126 ? [length | flag] : length < 65_536 ? [126 | flag, length >> 8, length & 255] : [127 | flag, 0, 0, 0, 0, 0, 1, 0, 0]
    return Buffer.concat([Buffer.from([first, ...head, ...(masked ? [1, 2, 3, 4] : [])]), payload])
  })

it('frames of every kind, true and false, cut anywhere, end at most their own connection', { timeout: 60_000 }, async () => {
  let round = 0
  await fc.assert(
    fc.asyncProperty(
      fc.array(frame, { minLength: 1, maxLength: 8 }),
      fc.array(fc.nat(2000), { maxLength: 4 }),
      fc.boolean(),
      async (frames, cuts, rudely) => {
        const bytes = Buffer.concat([Buffer.from(handshake), ...frames])
        const at = [0, ...cuts.map((cut) => cut % bytes.length), bytes.length].sort((a, b) => a - b)
        await send(
          at.slice(1).map((end, i) => bytes.subarray(at[i], end)),
          rudely,
        )
        await stillServes(`round ${round++}`)
      },
    ),
    { numRuns: 150 },
  )
  expect(closes).toBeGreaterThan(20)
})

it('hand-shakes with a byte wrong, or of bytes at all, end at most their own connection', { timeout: 60_000 }, async () => {
  let round = 0
  const broken = fc.tuple(fc.nat(handshake.length - 1), fc.nat(255)).map(([at, byte]) => {
    const bytes = Buffer.from(handshake)
    bytes[at] = byte
    return bytes
  })
  await fc.assert(
    fc.asyncProperty(fc.oneof(broken, fc.uint8Array({ maxLength: 500 })), fc.boolean(), async (bytes, rudely) => {
      await send([bytes], rudely)
      await stillServes(`hand-shake ${round++}`)
    }),
    { numRuns: 150 },
  )
})
