import { connect, type Socket } from 'node:net'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { WebSocket } from 'ws'
import type { BrokerError, Connection, Log, Wire } from '../api.ts'
import { MovableClock, realClock } from '../clock.ts'
import { defaultLimits, defaults } from '../config/defaults.ts'
import type { Limits, WebSocketSettings } from '../config/settings.ts'
import { CodedError } from '../errors.ts'
import { Tcp } from './tcp.ts'
import { listenWebSocket, type Spoken } from './websocket.ts'

/** A front end that writes down what it is told. */
class Recording implements Connection {
  readonly wire: Wire
  readonly reads: Buffer[] = []
  congestions: boolean[] = []
  closes = 0
  onData: (bytes: Uint8Array) => void = () => {}

  constructor(wire: Wire) {
    this.wire = wire
  }

  get received(): Buffer {
    return Buffer.concat(this.reads)
  }

  data(bytes: Uint8Array): void {
    this.reads.push(Buffer.from(bytes))
    this.onData(bytes)
  }

  congested(high: boolean): void {
    this.congestions.push(high)
  }

  closed(): void {
    this.closes++
  }

  shutdown(_: BrokerError): void {
    this.wire.write(Buffer.from('bye'))
    this.wire.end()
  }
}

const opened: (() => void)[] = []

afterEach(() => {
  for (const close of opened.splice(0).reverse()) close()
})

type Changes = Readonly<{ limits?: Partial<Limits>; settings?: Partial<WebSocketSettings>; clock?: MovableClock; host?: string }>

async function start({ limits = {}, settings = {}, clock, host = '127.0.0.1' }: Changes = {}) {
  const errors: Record<string, unknown>[] = []
  const warnings: string[] = []
  const log: Log = { debug() {}, info() {}, warn: (_, message) => warnings.push(message), error: (fields) => errors.push({ ...fields }) }
  const tcp = new Tcp({ clock: clock ?? realClock, limits: { ...defaultLimits, ...limits }, log })
  const connections: Recording[] = []
  const chosen: string[] = []
  const spoken = (name: string, subprotocols: readonly string[], textMessages: boolean): Spoken => ({
    name,
    subprotocols,
    textMessages,
    accept(wire) {
      const connection = new Recording(wire)
      connections.push(connection)
      chosen.push(name)
      return connection
    },
  })
  const address = await listenWebSocket({
    name: 'websocket',
    host,
    port: 0,
    settings: { ...defaults.websocket, ...settings },
    clock: clock ?? realClock,
    log,
    tcp,
    spoken: [spoken('binary', ['bytes', 'bytes-old'], false), spoken('texts', ['v2.text', 'v1.text'], true)],
  })
  opened.push(() => void tcp.shutdown(new CodedError('shutting-down', 'end of test'), 0))
  return { tcp, connections, chosen, errors, warnings, port: Number(address.split(':')[1]) }
}

type Client = WebSocket & { messages: (string | Buffer)[]; closed: { code: number; reason: string } | undefined; status: number | undefined }

/** Ends when it is open, or refused. */
async function client(port: number, subprotocols: string | string[] = 'bytes', options: object = {}): Promise<Client> {
  const ws = Object.assign(new WebSocket(`ws://127.0.0.1:${port}/any/path?x=1`, subprotocols, options), {
    messages: [] as (string | Buffer)[],
    closed: undefined,
    status: undefined,
  }) as Client
  ws.on('message', (data, isBinary) => ws.messages.push(isBinary ? (data as Buffer) : (data as Buffer).toString()))
  ws.on('close', (code, reason) => {
    ws.closed = { code, reason: reason.toString() }
  })
  ws.on('error', () => {})
  opened.push(() => ws.terminate())
  await new Promise<void>((resolve) => {
    ws.once('open', () => resolve())
    ws.once('unexpected-response', (request, response) => {
      ws.status = response.statusCode
      request.destroy()
      resolve()
    })
    ws.once('close', () => resolve())
  })
  return ws
}

type Raw = Socket & { text: () => string }

async function raw(port: number): Promise<Raw> {
  const socket = connect({ port, host: '127.0.0.1' })
  let text = ''
  socket.on('error', () => {})
  socket.on('data', (bytes) => {
    text += bytes.toString('latin1')
  })
  await new Promise((resolve) => socket.once('connect', resolve))
  opened.push(() => socket.destroy())
  return Object.assign(socket, { text: () => text })
}

const until = (check: () => void) => vi.waitFor(check, { timeout: 5_000, interval: 5 })

const handshake = (changes: Readonly<Record<string, string>> = {}): string => {
  const headers = {
    Host: 'localhost',
    Upgrade: 'websocket',
    Connection: 'Upgrade',
    'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
    'Sec-WebSocket-Version': '13',
    'Sec-WebSocket-Protocol': 'bytes',
    ...changes,
  }
  const lines = Object.entries(headers).flatMap(([name, value]) => (value === '' ? [] : [`${name}: ${value}`]))
  return `GET / HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`
}

/** A client's frame with mask 0: the payload stands in it as it is. */
function frame(opcode: number, payload: Buffer, fin = true): Buffer {
  const head = payload.length < 126 ? [payload.length | 0x80] : [126 | 0x80, payload.length >> 8, payload.length & 255]
  return Buffer.concat([Buffer.from([(fin ? 0x80 : 0) | opcode, ...head, 0, 0, 0, 0]), payload])
}

describe('a WebSocket wire', () => {
  it('carries bytes both ways, and what is written in one turn leaves as one binary message', async () => {
    const { connections, port } = await start()
    const ws = await client(port)
    ws.send(Buffer.from('hel'))
    ws.send(Buffer.from('lo'))
    await until(() => expect(connections[0]?.received.toString()).toBe('hello'))
    for (const piece of ['a', 'b'.repeat(3000), 'c']) connections[0].wire.write(Buffer.from(piece))
    await until(() => expect(ws.messages).toEqual([Buffer.from(`a${'b'.repeat(3000)}c`)]))
  })

  it('sends many large and small pieces as one message of several frames', async () => {
    const { connections, port } = await start()
    const ws = await client(port)
    await until(() => expect(connections).toHaveLength(1))
    const pieces = ['x'.repeat(10), 'y'.repeat(20_000), 'z', 'a', 'b'.repeat(30_000), 'c']
    for (const piece of pieces) connections[0].wire.write(Buffer.from(piece))
    await until(() => expect(ws.messages.map(String)).toEqual([pieces.join('')]))
    expect(connections[0].wire.backlogBytes).toBe(0)
  })

  it('gives a message that was sent in fragments, with a ping between them, in one piece', async () => {
    const { connections, port } = await start()
    const socket = await raw(port)
    socket.write(handshake())
    await until(() => expect(socket.text()).toContain('101 Switching'))
    socket.write(Buffer.concat([frame(2, Buffer.from('frag'), false), frame(9, Buffer.from('?')), frame(0, Buffer.from('ments'))]))
    await until(() => expect(connections[0].reads.map(String)).toEqual(['fragments']))
    await until(() => expect(socket.text()).toContain('\x8a\x01?'))
  })

  it('gives what one read brought in one call, and nothing after a pause', async () => {
    const { connections, port } = await start()
    const socket = await raw(port)
    socket.write(handshake())
    await until(() => expect(connections).toHaveLength(1))
    connections[0].onData = () => connections[0].wire.pause()
    socket.write(Buffer.concat([frame(2, Buffer.from('a')), frame(2, Buffer.from('b'))]))
    await until(() => expect(connections[0].reads.map(String)).toEqual(['ab']))
    socket.write(frame(2, Buffer.from('c')))
    connections[0].wire.write(Buffer.from('!'))
    await until(() => expect(socket.text()).toContain('!'))
    expect(connections[0].reads).toHaveLength(1)
    connections[0].wire.resume()
    await until(() => expect(connections[0].received.toString()).toBe('abc'))
  })

  it('answers text to a client that began with text, and binary to one that did not', async () => {
    const { connections, port } = await start()
    const texts = await client(port, 'v1.text')
    const bytes = await client(port, 'v1.text')
    texts.send('first')
    texts.send(Buffer.from('second'))
    bytes.send(Buffer.from('first'))
    bytes.send('second')
    await until(() => expect(connections.map((each) => each.received.toString())).toEqual(['firstsecond', 'firstsecond']))
    for (const { wire } of connections) wire.write(Buffer.from('grüße'))
    await until(() => expect(texts.messages).toEqual(['grüße']))
    await until(() => expect(bytes.messages).toEqual([Buffer.from('grüße')]))
    connections[0].wire.write(Buffer.from([0xff, 0xfe]))
    await until(() => expect(texts.messages[1]).toEqual(Buffer.from([0xff, 0xfe])))
  })

  it('ends with 1003 a connection that sends text where there is none', async () => {
    const { connections, port } = await start()
    const ws = await client(port)
    ws.send('text')
    await until(() => expect(ws.closed?.code).toBe(1003))
    await until(() => expect(connections[0].closes).toBe(1))
    expect(connections[0].received.length).toBe(0)
  })

  it('ends with 1009 before a message that is too long has come', async () => {
    const { connections, port } = await start({ settings: { messageBytesMax: 1024 } })
    const socket = await raw(port)
    socket.write(handshake())
    await until(() => expect(connections).toHaveLength(1))
    // Its head alone: 2000 bytes will follow.
    socket.write(Buffer.from([0x82, 0xfe, 2000 >> 8, 2000 & 255, 0, 0, 0, 0]))
    await until(() => expect(socket.text()).toContain('\x88\x02\x03\xf1'))
    await until(() => expect(connections[0].closes).toBe(1))
  })

  it('ends with 1008 a message of too many fragments', async () => {
    const { connections, port } = await start({ settings: { fragmentsMax: 8 } })
    const ws = await client(port)
    for (let i = 0; i < 9; i++) ws.send(Buffer.from('x'), { fin: false })
    await until(() => expect(ws.closed?.code).toBe(1008))
    await until(() => expect(connections[0].closes).toBe(1))
  })

  it.each([
    ['an unknown opcode', Buffer.from([0x83, 0x80, 0, 0, 0, 0])],
    ['a frame without a mask', Buffer.from([0x82, 0x01, 0x61])],
    ['a reserved bit', Buffer.from([0xc2, 0x80, 0, 0, 0, 0])],
    ['a fragment of nothing', Buffer.from([0x80, 0x80, 0, 0, 0, 0])],
    ['a long ping', Buffer.from([0x89, 0xfe, 0, 200, 0, 0, 0, 0])],
  ])('ends with 1002 a connection that sends %s', async (_, bytes) => {
    const { connections, errors, port } = await start()
    const socket = await raw(port)
    const other = await client(port)
    socket.write(handshake())
    await until(() => expect(connections).toHaveLength(2))
    socket.write(bytes)
    await until(() => expect(socket.text()).toContain('\x88\x02\x03\xea'))
    await until(() => expect(connections[1].closes).toBe(1))
    connections[0].wire.write(Buffer.from('still here'))
    await until(() => expect(other.messages.map(String)).toEqual(['still here']))
    expect(errors).toEqual([])
  })

  it('ends with 1007 text that is no UTF-8', async () => {
    const { connections, port } = await start()
    const socket = await raw(port)
    socket.write(handshake({ 'Sec-WebSocket-Protocol': 'v1.text' }))
    await until(() => expect(connections).toHaveLength(1))
    socket.write(frame(1, Buffer.from([0xff, 0xff])))
    await until(() => expect(socket.text()).toContain('\x88\x02\x03\xef'))
    await until(() => expect(connections[0].closes).toBe(1))
  })

  it('sends what was written before end(), closes with 1000, hears nothing more and is closed once', async () => {
    const { connections, port } = await start()
    const ws = await client(port)
    await until(() => expect(connections).toHaveLength(1))
    const [connection] = connections
    connection.wire.write(Buffer.from('last words'))
    connection.wire.end()
    connection.wire.write(Buffer.from('too late'))
    ws.send(Buffer.from('too late as well'))
    await until(() => expect(ws.closed).toEqual({ code: 1000, reason: '' }))
    expect(ws.messages.map(String)).toEqual(['last words'])
    await until(() => expect(connection.closes).toBe(1))
    expect(connection.received.length).toBe(0)
    connection.wire.destroy()
    connection.wire.end()
  })

  it('is cut off when its client does not answer the close frame', async () => {
    const clock = new MovableClock()
    const { connections, port } = await start({ clock })
    const socket = await raw(port)
    socket.write(handshake())
    await until(() => expect(connections).toHaveLength(1))
    connections[0].wire.end()
    await until(() => expect(socket.text()).toContain('\x88\x02\x03\xe8'))
    clock.advance(4_000)
    expect(connections[0].closes).toBe(0)
    clock.advance(2_000)
    await until(() => expect(connections[0].closes).toBe(1))
  })

  it('is closed once when its client closes, and gives what came before that', async () => {
    const { connections, port } = await start()
    const ws = await client(port)
    await until(() => expect(connections).toHaveLength(1))
    ws.send(Buffer.from('one'))
    ws.close(1000)
    await until(() => expect(connections[0].closes).toBe(1))
    expect(connections[0].received.toString()).toBe('one')
    expect(ws.closed?.code).toBe(1000)
    connections[0].wire.write(Buffer.from('to nobody'))
  })

  it('keeps a reset, and the mistakes of its front end, inside the connection', async () => {
    const { connections, errors, port } = await start()
    const first = await raw(port)
    first.write(handshake())
    await until(() => expect(connections).toHaveLength(1))
    const second = await client(port)
    const third = await client(port)
    await until(() => expect(connections).toHaveLength(3))
    first.resetAndDestroy()
    await until(() => expect(connections[0].closes).toBe(1))
    connections[1].onData = () => {
      throw new Error('a mistake of the front end')
    }
    second.send(Buffer.from('x'))
    await until(() => expect(connections[1].closes).toBe(1))
    expect(errors).toHaveLength(1)
    connections[2].wire.write(Buffer.from('still here'))
    await until(() => expect(third.messages.map(String)).toEqual(['still here']))
  })

  it('tells of congestion above the high mark and again below the low one', async () => {
    const { connections, port } = await start({ limits: { outputHighBytes: 1_000_000, outputLowBytes: 100_000, outputBytesMax: 1e9 } })
    const ws = await client(port)
    await until(() => expect(connections).toHaveLength(1))
    ws.pause()
    for (let i = 0; i < 40; i++) connections[0].wire.write(Buffer.alloc(1_000_000))
    await until(() => expect(connections[0].congestions).toEqual([true]))
    ws.resume()
    await until(() => expect(connections[0].congestions).toEqual([true, false]))
    await until(() => expect(connections[0].wire.backlogBytes).toBe(0))
  })

  it('ends a connection that does not read beyond outputBytesMax, and counts nothing for it afterwards', async () => {
    const { tcp, connections, warnings, port } = await start({ limits: { outputBytesMax: 5_000_000 } })
    const ws = await client(port)
    await until(() => expect(connections).toHaveLength(1))
    ws.pause()
    for (let i = 0; i < 100; i++) connections[0].wire.write(Buffer.alloc(1_000_000))
    await until(() => expect(connections[0].closes).toBe(1))
    expect(warnings[0]).toContain('does not read')
    expect(tcp.output.usedBytes).toBe(0)
  })

  it('gives what has come of a message that is not complete, and keeps nothing of it', async () => {
    const { connections, port } = await start()
    const socket = await raw(port)
    socket.write(handshake())
    await until(() => expect(connections).toHaveLength(1))
    const whole = frame(2, Buffer.from('begun'), false)
    socket.write(whole.subarray(0, whole.length - 2))
    await until(() => expect(connections[0].received.toString()).toBe('beg'))
    socket.write(Buffer.concat([whole.subarray(whole.length - 2), frame(0, Buffer.from(' and ended'))]))
    await until(() => expect(connections[0].received.toString()).toBe('begun and ended'))
  })

  it('pings who is silent, and ends who does not answer; who is paused is left alone', async () => {
    const clock = new MovableClock()
    const { connections, port } = await start({ clock, settings: { pingIntervalMs: 1000 } })
    const socket = await raw(port)
    socket.write(handshake())
    await until(() => expect(connections).toHaveLength(1))
    const living = await client(port)
    const paused = await client(port)
    await until(() => expect(connections).toHaveLength(3))
    let pings = 0
    living.on('ping', () => pings++)
    connections[2].wire.pause()
    paused.pause()
    clock.advance(1000)
    clock.advance(1000)
    await until(() => expect(socket.text()).toContain('\x89\x00'))
    await until(() => expect(pings).toBe(1))
    // The pong of the living has been read once its message after it has.
    living.send(Buffer.from('x'))
    await until(() => expect(connections[1].received.length).toBe(1))
    clock.advance(1000)
    await until(() => expect(connections[0].closes).toBe(1))
    expect(connections.map((each) => each.closes)).toEqual([1, 0, 0])
  })
})

describe('the hand-shake', () => {
  it.each([
    [['v1.text', 'v2.text'], 'texts', 'v2.text'],
    [['v1.text'], 'texts', 'v1.text'],
    [['unknown', 'bytes-old'], 'binary', 'bytes-old'],
    [['v1.text', 'bytes'], 'texts', 'v1.text'],
    [['bytes', 'v2.text'], 'binary', 'bytes'],
  ])('chooses of %j the front end named first, and of its names the best: %s, %s', async (offered, name, subprotocol) => {
    const { chosen, port } = await start()
    const ws = await client(port, offered)
    expect(ws.protocol).toBe(subprotocol)
    expect(chosen).toEqual([name])
  })

  it.each([
    ['no subprotocol', { 'Sec-WebSocket-Protocol': '' }, 400],
    ['only unknown ones', { 'Sec-WebSocket-Protocol': 'wamp, soap' }, 400],
    ['a list that is none', { 'Sec-WebSocket-Protocol': 'bytes,,' }, 400],
    ['no host', { Host: '' }, 400],
    ['two hosts', { host: 'localhost' }, 400],
    ['a body', { 'Content-Length': '5' }, 400],
    ['a body of unknown length', { 'Transfer-Encoding': 'chunked' }, 400],
    ['no key', { 'Sec-WebSocket-Key': '' }, 400],
    ['a key of the wrong length', { 'Sec-WebSocket-Key': 'abc' }, 400],
    ['a malformed list of extensions', { 'Sec-WebSocket-Extensions': 'x-one; =' }, 400],
    ['an old version', { 'Sec-WebSocket-Version': '8' }, 426],
    ['no version', { 'Sec-WebSocket-Version': '' }, 426],
    ['another upgrade', { Upgrade: 'h2c' }, 426],
    ['no upgrade', { Upgrade: '', Connection: 'close' }, 426],
    ['too large headers', { 'X-Long': 'x'.repeat(20_000) }, 431],
  ])('with %s is refused', async (_, changes, status) => {
    const { tcp, connections, port } = await start()
    const socket = await raw(port)
    socket.write(handshake(changes))
    await until(() => expect(socket.text()).toMatch(new RegExp(`^HTTP/1.1 ${status} `)))
    await until(() => expect(socket.readableEnded).toBe(true))
    expect(connections).toHaveLength(0)
    await until(() => expect(tcp.connections).toBe(0))
  })

  it('that is none is refused: a request for a page, one with a body, bytes of something else', async () => {
    const { tcp, port } = await start()
    const requests = ['GET / HTTP/1.1\r\nHost: x\r\n\r\n', `POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n${'x'.repeat(1000)}`]
    for (const request of requests) {
      const socket = await raw(port)
      socket.write(request)
      await until(() => expect(socket.text()).toMatch(/^HTTP\/1\.1 426 [\s\S]*upgrade: websocket/i))
      await until(() => expect(socket.readableEnded).toBe(true))
    }
    const foreign = await raw(port)
    foreign.write(Buffer.from('16030100c8010000c40303', 'hex'))
    await until(() => expect(foreign.readableEnded || foreign.destroyed).toBe(true))
    await until(() => expect(tcp.connections).toBe(0))
  })

  it('behind another request on the same connection is not heard', async () => {
    const { tcp, connections, port } = await start()
    for (const between of [0, 1]) {
      const socket = await raw(port)
      const requests = ['GET / HTTP/1.1\r\nHost: x\r\n\r\n', handshake()]
      if (between === 0) socket.write(requests.join(''))
      else for (const request of requests) await new Promise((resolve) => socket.write(request, resolve))
      await until(() => expect(socket.readableEnded || socket.destroyed).toBe(true))
      expect(socket.text()).toMatch(/^HTTP\/1\.1 426 /)
      expect(socket.text()).not.toContain('101 Switching')
    }
    expect(connections).toHaveLength(0)
    await until(() => expect(tcp.connections).toBe(0))
  })

  describe('at the path of a protocol', () => {
    const paths = { binary: '/bytes', texts: '/text' }
    const shake = (port: number, path: string, protocol: string) =>
      raw(port).then((socket) => {
        socket.write(handshake({ 'Sec-WebSocket-Protocol': protocol }).replace('GET / ', `GET ${path} `))
        return socket
      })

    it.each([
      ['/bytes', '', 'binary', undefined],
      ['/bytes?token=1', '', 'binary', undefined],
      ['http://localhost/text?x', '', 'texts', undefined],
      ['/text', '', 'texts', undefined],
      ['/text', 'v1.text, v2.text', 'texts', 'v2.text'],
      ['/elsewhere', 'bytes', 'binary', 'bytes'],
    ])('%s, who asks for %j speaks %s and is answered %j', async (path, protocol, name, answered) => {
      const { chosen, port } = await start({ settings: { paths } })
      const socket = await shake(port, path, protocol)
      await until(() => expect(socket.text()).toMatch(/^HTTP\/1.1 101 [^]*\r\n\r\n/))
      expect(chosen).toEqual([name])
      expect(/Sec-WebSocket-Protocol: (.*)\r\n/.exec(socket.text())?.[1]).toBe(answered)
    })

    it.each([
      ['/bytes', 'v1.text', false, 400],
      ['/elsewhere', '', false, 400],
      ['/elsewhere', 'bytes', true, 404],
    ])('%s, who asks for %j is refused (pathsOnly %s): %d', async (path, protocol, pathsOnly, status) => {
      const { chosen, port } = await start({ settings: { paths, pathsOnly } })
      const socket = await shake(port, path, protocol)
      await until(() => expect(socket.text()).toMatch(new RegExp(`^HTTP/1.1 ${status} `)))
      expect(chosen).toEqual([])
    })
  })

  it('of HTTP 1.0 is refused', async () => {
    const { connections, port } = await start()
    const socket = await raw(port)
    socket.write(handshake().replace('HTTP/1.1', 'HTTP/1.0'))
    await until(() => expect(socket.text()).toMatch(/^HTTP\/1.1 400 /))
    expect(connections).toHaveLength(0)
  })

  it('that comes byte by byte, or not at all, is cut off after handshakeTimeoutMs', async () => {
    const { tcp, connections, port } = await start({ settings: { handshakeTimeoutMs: 200 } })
    const silent = await raw(port)
    const slow = await raw(port)
    const dripping = setInterval(() => slow.write('G'), 20)
    opened.push(() => clearInterval(dripping))
    const good = await client(port)
    await until(() => expect(tcp.connections).toBe(3))
    await until(() => expect([silent.destroyed || silent.readableEnded, slow.destroyed || slow.readableEnded]).toEqual([true, true]))
    await until(() => expect(tcp.connections).toBe(1))
    expect(connections).toHaveLength(1)
    expect(good.readyState).toBe(WebSocket.OPEN)
  })

  it('counts in limits.connections, from the first byte on', async () => {
    const { tcp, warnings, port } = await start({ limits: { connections: 2 } })
    await raw(port)
    await client(port)
    const third = await raw(port)
    await until(() => expect(third.destroyed || third.readableEnded).toBe(true))
    expect(tcp.connections).toBe(2)
    expect(tcp.connectionsTotal).toBe(2)
    expect(warnings[0]).toContain('limits.connections')
  })

  it('waits its turn at connectionsPerSecond', async () => {
    const { connections, port } = await start({ limits: { connectionsPerSecond: 20 } })
    const begun = performance.now()
    await Promise.all(Array.from({ length: 30 }, () => client(port)))
    expect(connections).toHaveLength(30)
    expect(performance.now() - begun).toBeGreaterThan(400)
  })

  it.each([
    ['http://127.0.0.1:PORT', [], 101],
    ['https://127.0.0.1:PORT', [], 101],
    ['http://evil.example', [], 403],
    ['null', [], 403],
    ['https://app.example', ['https://app.example'], 101],
    ['https://app.example.evil', ['https://app.example'], 403],
    ['http://evil.example', ['*'], 101],
  ])('of a page of %s with origins %j: %i', async (origin, origins, status) => {
    const { port } = await start({ settings: { origins } })
    const ws = await client(port, 'bytes', { headers: { Origin: origin.replace('PORT', String(port)) } })
    expect(ws.status ?? 101).toBe(status)
  })

  it('of a page whose foreign name was pointed to this machine is refused', async () => {
    const { port } = await start()
    const ws = await client(port, 'bytes', { headers: { Origin: `http://evil.example:${port}`, Host: `evil.example:${port}` } })
    expect(ws.status).toBe(403)
  })

  it('offers no compression', async () => {
    const { port } = await start()
    const ws = await client(port, 'bytes', { perMessageDeflate: true })
    expect(ws.extensions).toBe('')
  })
})

describe('a WebSocket listener', () => {
  it('closes on shutdown with 1001 after the front end’s goodbye; who is in a hand-shake or does not leave is cut off', async () => {
    const { tcp, connections, port } = await start()
    const reader = await client(port)
    const begun = await raw(port)
    const stuck = await raw(port)
    stuck.write(handshake())
    await until(() => expect(connections).toHaveLength(2))
    stuck.pause()
    connections[1].wire.write(Buffer.alloc(20_000_000))
    await tcp.shutdown(new CodedError('shutting-down', 'the node stops'), 300)
    expect(connections.map((connection) => connection.closes)).toEqual([1, 1])
    expect(reader.messages.map(String)).toEqual(['bye'])
    expect(reader.closed?.code).toBe(1001)
    await until(() => expect(begun.destroyed || begun.readableEnded).toBe(true))
    expect(tcp.output.usedBytes).toBe(0)
  })

  it('says which address is in use', async () => {
    const { port } = await start()
    const tcp = new Tcp({ clock: realClock, limits: defaultLimits, log: { debug() {}, info() {}, warn() {}, error() {} } })
    const again = { name: 'again', host: '127.0.0.1', port, settings: defaults.websocket, clock: realClock, log: tcp.log, tcp, spoken: [] }
    await expect(listenWebSocket(again)).rejects.toMatchObject({ code: 'EADDRINUSE' })
  })
})
