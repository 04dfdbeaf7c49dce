import { type AddressInfo, connect as connectPlain, createServer, Socket } from 'node:net'
import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls'
import { afterEach, describe, expect, it, vi } from 'vitest'
import type { Connection, Log, Wire } from '../api.ts'
import { realClock } from '../clock.ts'
import { defaultLimits, defaults } from '../config/defaults.ts'
import type { Limits, TlsSettings } from '../config/settings.ts'
import { CodedError } from '../errors.ts'
import { brokerTls, certificatePath, clientTls } from '../../test/support/certificates.ts'
import { Credentials } from './credentials.ts'
import { Tcp } from './tcp.ts'
import { Handshakes } from './tls.ts'

/** A front end that writes down what it is told. */
class Recording implements Connection {
  readonly wire: Wire
  received = Buffer.alloc(0)
  congestions: boolean[] = []
  closes = 0

  constructor(wire: Wire) {
    this.wire = wire
  }

  data(bytes: Uint8Array): void {
    this.received = Buffer.concat([this.received, bytes])
  }

  congested(high: boolean): void {
    this.congestions.push(high)
  }

  closed(): void {
    this.closes++
  }

  shutdown(): void {
    this.wire.write(Buffer.from('bye'))
    this.wire.end()
  }
}

const opened: (() => void)[] = []

afterEach(() => {
  for (const close of opened.splice(0).reverse()) close()
})

async function start(changes: Readonly<{ tls?: Partial<TlsSettings>; limits?: Partial<Limits> }> = {}) {
  const log: Log = { debug() {}, info() {}, warn() {}, error() {} }
  const settings = { ...defaults.tls, ...brokerTls, ca: certificatePath('authority.pem'), ...changes.tls }
  const limits = { ...defaultLimits, ...changes.limits }
  const credentials = await Credentials.open({ settings, clock: realClock, log })
  const tls = new Handshakes({ settings, credentials, handshakesMax: limits.handshakes, log })
  const tcp = new Tcp({ clock: realClock, limits, log })
  const connections: Recording[] = []
  const accept = (wire: Wire): Connection => {
    const connection = new Recording(wire)
    connections.push(connection)
    return connection
  }
  const address = await tcp.listen({ name: 'test', host: '127.0.0.1', port: 0, tls, frontEnd: { accept } })
  opened.push(() => {
    credentials.close()
    void tcp.shutdown(new CodedError('shutting-down', 'end of test'), 0)
  })
  return { tcp, tls, connections, port: Number(address.split(':')[1]) }
}

type Client = Readonly<{ socket: TLSSocket; text: () => string; closed: () => boolean }>

/** Once its side of the hand-shake is done, or it failed. */
async function client(port: number, options: ConnectionOptions = clientTls()): Promise<Client> {
  const socket = connect({ port, host: '127.0.0.1', ...options })
  opened.push(() => socket.destroy())
  let text = ''
  let closed = false
  socket.on('error', () => {})
  socket.on('data', (bytes) => {
    text += bytes.toString('latin1')
  })
  await new Promise<void>((resolve) => {
    socket.once('secureConnect', resolve)
    socket.once('close', () => {
      closed = true
      resolve()
    })
  })
  return { socket, text: () => text, closed: () => closed }
}

async function silent(port: number): Promise<Socket> {
  const socket = connectPlain(port, '127.0.0.1')
  opened.push(() => socket.destroy())
  socket.on('error', () => {})
  socket.resume()
  await new Promise((resolve) => socket.once('connect', resolve))
  return socket
}

/** As `silent`, but for the first byte of a hand-shake. */
async function begun(port: number): Promise<Socket> {
  const socket = await silent(port)
  socket.write(Buffer.from([0x16]))
  return socket
}

describe('a socket that died before its turn', () => {
  it('takes no turn, nor one of another that died', async () => {
    const { port, tls } = await start({ limits: { handshakes: 1 } })
    const ended: string[] = []
    // Without a descriptor they have no address, as those that were reset.
    const dead = ['a', 'b', 'c'].map((name) => {
      const socket = new Socket()
      socket.once('close', () => ended.push(name))
      socket.push(Buffer.from([0x16]))
      tls.greet(socket, () => ended.push('secured'))
      return socket
    })
    opened.push(() => dead.forEach((socket) => socket.destroy()))
    await vi.waitFor(() => expect([ended, tls.active]).toEqual([['a', 'b', 'c'], 0]))
    expect((await client(port)).closed()).toBe(false)
  })
})

describe('a connection over TLS', () => {
  it('carries bytes both ways, and says that it is secure', async () => {
    const { connections, port } = await start()
    const { socket, text } = await client(port)
    socket.write('hello')
    await vi.waitFor(() => expect(connections[0]?.received.toString()).toBe('hello'))
    const { wire } = connections[0]
    wire.write(Buffer.from('an'))
    wire.write(Buffer.from('swer'))
    await vi.waitFor(() => expect(text()).toBe('answer'))
    expect([wire.secure, wire.certificate, wire.remote]).toEqual([true, undefined, `127.0.0.1:${socket.localPort}`])
  })

  it('takes what its client sent together with the end of the hand-shake', async () => {
    const { connections, port } = await start()
    const socket = connect({ port, host: '127.0.0.1', ...clientTls() })
    opened.push(() => socket.destroy())
    socket.write('early')
    await vi.waitFor(() => expect(connections[0]?.received.toString()).toBe('early'))
  })

  it('sends what is written before it ends, and is over when its client ends it', async () => {
    const { connections, port, tcp } = await start()
    const first = await client(port)
    await vi.waitFor(() => expect(connections.length).toBe(1))
    connections[0].wire.write(Buffer.alloc(300_000, 'x'))
    connections[0].wire.end()
    await vi.waitFor(() => expect([first.text().length, first.closed()]).toEqual([300_000, true]))
    const second = await client(port)
    await vi.waitFor(() => expect(connections.length).toBe(2))
    second.socket.end()
    const third = await client(port)
    await vi.waitFor(() => expect(connections.length).toBe(3))
    third.socket.destroy()
    await vi.waitFor(() => expect([connections.map(({ closes }) => closes), tcp.connections]).toEqual([[1, 1, 1], 0]))
  })

  it('is over when its client sends what is no TLS in the middle', async () => {
    const { connections, port } = await start()
    const there = connectPlain(port, '127.0.0.1')
    const relay = createServer(
      (socket) =>
        void socket
          .on('error', () => {})
          .pipe(there)
          .pipe(socket),
    )
    await new Promise<void>((resolve) => relay.listen(0, '127.0.0.1', resolve))
    opened.push(() => (relay.close(), there.destroy()))
    await client((relay.address() as AddressInfo).port)
    await vi.waitFor(() => expect(connections.length).toBe(1))
    there.write(Buffer.from('\x17\x03\x03\x00\x20this is no record of this session', 'latin1'))
    await vi.waitFor(() => expect(connections[0].closes).toBe(1))
  })

  it('is not read while it is paused, and tells of a slow reader', async () => {
    const { connections, port } = await start({ limits: { outputHighBytes: 100_000, outputLowBytes: 1_000 } })
    const { socket, text } = await client(port)
    await vi.waitFor(() => expect(connections.length).toBe(1))
    const [connection] = connections
    connection.wire.pause()
    const sent = Buffer.alloc(8_000_000, 'y')
    socket.write(sent)
    socket.pause()
    for (let i = 0; i < 80; i++) connection.wire.write(Buffer.alloc(100_000, 'z'))
    await vi.waitFor(() => expect(connection.congestions).toEqual([true]))
    expect(connection.wire.backlogBytes).toBeGreaterThan(1_000_000)
    expect(connection.received.length).toBe(0)
    connection.wire.resume()
    socket.resume()
    await vi.waitFor(() => expect([connection.received.length, text().length]).toEqual([8_000_000, 8_000_000]), 10_000)
    expect(connection.congestions).toEqual([true, false])
    expect(connection.received.equals(sent)).toBe(true)
  })
})

describe('hand-shakes', () => {
  it('that take too long are cut off, and count as connections till then', async () => {
    const { port, tcp, tls, connections } = await start({ tls: { handshakeTimeoutMs: 300 } })
    const sockets = [await silent(port), await begun(port)]
    await vi.waitFor(() => expect([tcp.connections, tls.active]).toEqual([2, 1]))
    await Promise.all(sockets.map((socket) => new Promise((resolve) => socket.once('close', resolve))))
    await vi.waitFor(() => expect([tcp.connections, tls.active, connections.length]).toEqual([0, 0, 0]))
  })

  it('are so many at once, and the others wait their turn', async () => {
    const { port, tcp, tls, connections } = await start({ limits: { handshakes: 2 } })
    const first = await begun(port)
    const others = [await begun(port), await begun(port)]
    await vi.waitFor(() => expect(tls.active).toBe(2))
    const waiting = client(port)
    await vi.waitFor(() => expect(tcp.connections).toBe(4))
    expect([tls.active, connections.length]).toEqual([2, 0])
    first.destroy()
    others[1].destroy()
    const { socket } = await waiting
    socket.write('at last')
    await vi.waitFor(() => expect(connections[0]?.received.toString()).toBe('at last'))
    await vi.waitFor(() => expect([tls.active, tcp.connections]).toEqual([1, 2]))
  })

  it('begin with the first byte: connections that send nothing take nobody’s turn', async () => {
    const { port, tcp, tls, connections } = await start({ limits: { handshakes: 2 } })
    const sockets = await Promise.all(Array.from({ length: 20 }, () => silent(port)))
    await vi.waitFor(() => expect(tcp.connections).toBe(20))
    const { socket, closed } = await client(port)
    expect([closed(), sockets.some((each) => each.closed)]).toEqual([false, false])
    socket.write('at once')
    await vi.waitFor(() => expect(connections[0]?.received.toString()).toBe('at once'))
    // Whoever was silent for a while may begin all the same; whoever ends without a word does not wait for a turn first.
    for (const each of sockets.slice(0, 2)) each.write(Buffer.from([0x16]))
    await vi.waitFor(() => expect([tls.active, tcp.connections]).toEqual([2, 21]))
    sockets[2].end()
    await vi.waitFor(() => expect(tcp.connections).toBe(20))
  })

  it('take no more than their first words from a connection that waits', async () => {
    const { port, tls } = await start({ limits: { handshakes: 1 } })
    await begun(port)
    await vi.waitFor(() => expect(tls.active).toBe(1))
    const greeted = vi.spyOn(tls, 'greet')
    const [short, long] = [await silent(port), await silent(port)]
    await vi.waitFor(() => expect(greeted).toHaveBeenCalledTimes(2))
    const there = greeted.mock.calls.map(([socket]) => socket).find(({ remotePort }) => remotePort === short.localPort)
    short.write(Buffer.alloc(5, 0x16))
    await vi.waitFor(() => expect(there?.readableLength).toBe(5))
    short.write(Buffer.alloc(5_000_000))
    long.write(Buffer.alloc(5_000_000, 0x16))
    await new Promise((resolve) => long.once('close', resolve))
    expect([there?.destroyed, there?.readableLength]).toEqual([false, 5])
  })

  it('that wait too long for their turn are cut off too', async () => {
    const { port, tcp } = await start({ limits: { handshakes: 1 }, tls: { handshakeTimeoutMs: 300 } })
    const sockets = await Promise.all(Array.from({ length: 50 }, () => begun(port)))
    await Promise.all(sockets.map((socket) => new Promise((resolve) => (socket.closed ? resolve(undefined) : socket.once('close', resolve)))))
    await vi.waitFor(() => expect(tcp.connections).toBe(0))
  })

  it('are refused beyond limits.connections', async () => {
    const { port, tcp } = await start({ limits: { connections: 1 } })
    await silent(port)
    await vi.waitFor(() => expect(tcp.connections).toBe(1))
    expect((await client(port)).closed()).toBe(true)
    expect(tcp.refused).toBe(1)
  })

  it('of what is no TLS end at once', async () => {
    const { port, tls, tcp } = await start()
    const socket = await silent(port)
    socket.write('GET / HTTP/1.1\r\n\r\n')
    await new Promise((resolve) => socket.once('close', resolve))
    await vi.waitFor(() => expect([tcp.connections, tls.active]).toEqual([0, 0]))
  })

  it('of old versions are refused', async () => {
    const { port } = await start({ tls: { minVersion: 'TLSv1.3' } })
    expect((await client(port, { ...clientTls(), maxVersion: 'TLSv1.2' })).closed()).toBe(true)
    expect((await client(port)).socket.getProtocol()).toBe('TLSv1.3')
  })

  it('end with the node', async () => {
    const { port, tcp, tls } = await start({ limits: { handshakes: 1 } })
    const sockets = [await silent(port), await begun(port), await begun(port)]
    await vi.waitFor(() => expect([tcp.connections, tls.active]).toEqual([3, 1]))
    tcp.stopAccepting()
    await Promise.all(sockets.map((socket) => new Promise((resolve) => (socket.closed ? resolve(undefined) : socket.once('close', resolve)))))
    await vi.waitFor(() => expect([tcp.connections, tls.active]).toEqual([0, 0]))
  })
})

/** Let in: with the certificate that was seen, or none. */
async function seen(port: number, connections: readonly Recording[], name: string | undefined, maxVersion: 'TLSv1.2' | 'TLSv1.3'): Promise<unknown> {
  const before = connections.length
  const { socket, closed } = await client(port, { ...clientTls(name), maxVersion })
  socket.write('x')
  await vi.waitFor(() => expect(connections.length > before || closed()).toBe(true))
  return connections.length === before ? 'refused' : (connections[before].wire.certificate?.commonName ?? 'none')
}

describe.each(['TLSv1.2', 'TLSv1.3'] as const)('certificates of clients over %s', (version) => {
  it('are not asked for by default', async () => {
    const { port, connections } = await start()
    expect([await seen(port, connections, 'anna', version), await seen(port, connections, undefined, version)]).toEqual(['none', 'none'])
  })

  it('may be there, and then are right', async () => {
    const { port, connections } = await start({ tls: { clientCertificates: 'optional' } })
    const told: unknown[] = []
    for (const name of ['anna', 'stranger', 'expired', undefined]) told.push(await seen(port, connections, name, version))
    expect(told).toEqual(['anna', 'refused', 'refused', 'none'])
  })

  it('must be there', async () => {
    const { port, connections } = await start({ tls: { clientCertificates: 'required' } })
    const told: unknown[] = []
    for (const name of ['anna', 'stranger', 'expired', undefined]) told.push(await seen(port, connections, name, version))
    expect(told).toEqual(['anna', 'refused', 'refused', 'refused'])
  })

  it('are shown each time: no session is continued', async () => {
    const { port, connections } = await start({ tls: { clientCertificates: 'optional' } })
    const first = await client(port, { ...clientTls('anna'), maxVersion: version })
    let session: Buffer | undefined = first.socket.getSession()
    first.socket.on('session', (ticket) => {
      session = ticket
    })
    first.socket.write('x')
    await vi.waitFor(() => expect(connections.length).toBe(1))
    connections[0].wire.write(Buffer.from('y'))
    await vi.waitFor(() => expect(first.text()).toBe('y'))
    const second = await client(port, { ...clientTls(), ...(session === undefined ? {} : { session }), maxVersion: version })
    await vi.waitFor(() => expect(connections.length).toBe(2))
    expect([second.socket.isSessionReused(), connections[1].wire.certificate]).toEqual([false, undefined])
  })
})

describe('what is seen of a certificate', () => {
  it('is its names and its fingerprint', async () => {
    const { port, connections } = await start({ tls: { clientCertificates: 'optional' } })
    await client(port, clientTls('bert'))
    await client(port, clientTls('anna'))
    await vi.waitFor(() => expect(connections.length).toBe(2))
    const [bert, anna] = connections.map(({ wire }) => wire.certificate)
    expect(bert).toMatchObject({ commonName: 'machine 7', names: ['bert.example.com', 'machine-7.example.com'] })
    expect(bert?.fingerprint).toMatch(/^[0-9A-F]{64}$/)
    expect(anna).toMatchObject({ commonName: 'anna', names: ['anna@example.com'] })
  })
})
