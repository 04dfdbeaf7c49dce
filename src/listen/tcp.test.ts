import { connect, type Socket } from 'node:net'
import { afterEach, describe, expect, it, vi } from 'vitest'
import type { BrokerError, Connection, Log, Wire } from '../api.ts'
import { realClock } from '../clock.ts'
import { defaultLimits } from '../config/defaults.ts'
import type { Limits } from '../config/settings.ts'
import { CodedError } from '../errors.ts'
import { Tcp } from './tcp.ts'

/** A front end that writes down what it is told. */
class Recording implements Connection {
  readonly wire: Wire
  received = Buffer.alloc(0)
  congestions: boolean[] = []
  closes = 0
  shutdowns: BrokerError[] = []
  onData: (bytes: Uint8Array) => void = () => {}

  constructor(wire: Wire) {
    this.wire = wire
  }

  data(bytes: Uint8Array): void {
    this.received = Buffer.concat([this.received, bytes])
    this.onData(bytes)
  }

  congested(high: boolean): void {
    this.congestions.push(high)
  }

  closed(): void {
    this.closes++
  }

  shutdown(error: BrokerError): void {
    this.shutdowns.push(error)
    this.wire.write(Buffer.from('bye'))
    this.wire.end()
  }
}

const opened: (() => void)[] = []

afterEach(async () => {
  for (const close of opened.splice(0).reverse()) close()
})

async function start(limits: Partial<Limits> = {}, accept?: (wire: Wire) => Connection) {
  const errors: Record<string, unknown>[] = []
  const warnings: string[] = []
  const log: Log = { debug() {}, info() {}, warn: (_, message) => warnings.push(message), error: (fields) => errors.push({ ...fields }) }
  const tcp = new Tcp({ clock: realClock, limits: { ...defaultLimits, ...limits }, log })
  const connections: Recording[] = []
  const address = await tcp.listen({
    name: 'test',
    host: '127.0.0.1',
    port: 0,
    frontEnd: {
      accept:
        accept ??
        ((wire) => {
          const connection = new Recording(wire)
          connections.push(connection)
          return connection
        }),
    },
  })
  opened.push(() => void tcp.shutdown(new CodedError('shutting-down', 'end of test'), 0))
  return { tcp, connections, errors, warnings, port: Number(address.split(':')[1]) }
}

async function client(port: number, options: { allowHalfOpen?: boolean } = {}): Promise<Socket & { text: () => string }> {
  const socket = connect({ port, host: '127.0.0.1', ...options })
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

describe('a TCP wire', () => {
  it('carries bytes both ways, and what is written in one turn leaves in order with pieces of every size', async () => {
    const { connections, port } = await start()
    const socket = await client(port)
    socket.write('hello')
    await until(() => expect(connections[0]?.received.toString()).toBe('hello'))
    const pieces = ['a', 'b'.repeat(3000), 'c', 'd', 'e'.repeat(2048), 'f'.repeat(2047), 'g']
    for (const piece of pieces) connections[0].wire.write(Buffer.from(piece))
    expect(connections[0].wire.backlogBytes).toBe(pieces.join('').length)
    await until(() => expect(socket.text()).toBe(pieces.join('')))
    expect(connections[0].wire.backlogBytes).toBe(0)
  })

  it('uses the memory of what was taken again, and never that of what still waits for a slow reader', async () => {
    const { tcp, connections, port } = await start({ outputBytesMax: 1e9 })
    const slow = await client(port)
    const quick = await client(port)
    await until(() => expect(connections).toHaveLength(2))
    slow.pause()
    const expected = ['', '']
    for (let turn = 0; turn < 1000; turn++) {
      connections.forEach(({ wire }, i) => {
        for (const bytes of [30, 700, 3000, 1200, turn * 10]) {
          const text = String.fromCharCode(33 + ((turn + bytes + i) % 90)).repeat(bytes)
          expected[i] += text
          if (bytes === 3000 || bytes > 4096) wire.write(Buffer.from(text))
          else {
            const at = wire.reserve(bytes)
            wire.room.write(text, at, 'latin1')
          }
        }
      })
      await new Promise((resolve) => setImmediate(resolve))
    }
    await until(() => expect(quick.text() === expected[1]).toBe(true))
    expect(connections[0].wire.backlogBytes).toBeGreaterThan(0)
    slow.resume()
    await until(() => expect(slow.text() === expected[0]).toBe(true))
    expect(tcp.output.usedBytes).toBe(0)
    connections[0].wire.destroy()
    expect(connections[0].wire.reserve(4096)).toBe(0)
    expect(connections[0].wire.room.length).toBeGreaterThanOrEqual(4096)
  })

  it('sends what was written before end(), hears nothing more and is closed once', async () => {
    const { connections, port } = await start()
    const socket = await client(port)
    await until(() => expect(connections).toHaveLength(1))
    const [connection] = connections
    connection.wire.write(Buffer.from('last words'))
    connection.wire.end()
    connection.wire.write(Buffer.from('too late'))
    socket.write('too late as well')
    await until(() => expect(connection.closes).toBe(1))
    expect(socket.text()).toBe('last words')
    expect(connection.received.length).toBe(0)
    connection.wire.destroy()
    connection.wire.end()
    await new Promise((resolve) => setImmediate(resolve))
    expect(connection.closes).toBe(1)
  })

  it('answers a request that came together with the FIN of its client', async () => {
    const { connections, port } = await start({}, (wire) => {
      const connection = new Recording(wire)
      connection.onData = () => wire.write(Buffer.from('answer'))
      connections.push(connection)
      return connection
    })
    const socket = await client(port, { allowHalfOpen: true })
    socket.end('request')
    await until(() => expect(socket.text()).toBe('answer'))
    await until(() => expect(connections[0].closes).toBe(1))
  })

  it('keeps a reset inside the connection', async () => {
    const { connections, errors, port } = await start()
    const first = await client(port)
    const second = await client(port)
    await until(() => expect(connections).toHaveLength(2))
    first.resetAndDestroy()
    await until(() => expect(connections.map((connection) => connection.closes).sort()).toEqual([0, 1]))
    connections[0].wire.write(Buffer.from('to nobody'))
    connections[1].wire.write(Buffer.from('still here'))
    await until(() => expect(second.text()).toBe('still here'))
    expect(errors).toEqual([])
  })

  it('ends a connection whose front end throws, with its stack in the log, and no other', async () => {
    const { connections, errors, port } = await start()
    await client(port)
    const second = await client(port)
    await until(() => expect(connections).toHaveLength(2))
    connections[1].onData = () => {
      throw new Error('a mistake of the front end')
    }
    second.write('x')
    await until(() => expect(connections[1].closes).toBe(1))
    expect(connections[0].closes).toBe(0)
    expect(String((errors[0].error as Error).stack)).toContain('a mistake of the front end')
  })

  it('survives a front end that throws on accept', async () => {
    const { errors, port } = await start({}, () => {
      throw new Error('no')
    })
    const socket = await client(port)
    await until(() => expect(socket.destroyed || socket.readableEnded).toBe(true))
    expect(errors).toHaveLength(1)
  })

  it('counts pauses: two want two resumes', async () => {
    const { connections, port } = await start()
    const socket = await client(port)
    await until(() => expect(connections).toHaveLength(1))
    const [{ wire }] = connections
    wire.pause()
    wire.pause()
    socket.write('held back')
    wire.resume()
    // The peer's answer to a write proves that a round of the loop with the socket's events has passed.
    wire.write(Buffer.from('!'))
    await until(() => expect(socket.text()).toBe('!'))
    expect(connections[0].received.length).toBe(0)
    wire.resume()
    await until(() => expect(connections[0].received.toString()).toBe('held back'))
    expect(() => wire.resume()).toThrow('resume without pause')
  })

  it('tells of congestion above the high mark and again below the low one', async () => {
    const { connections, port } = await start({ outputHighBytes: 1_000_000, outputLowBytes: 100_000, outputBytesMax: 1e9 })
    const socket = await client(port)
    await until(() => expect(connections).toHaveLength(1))
    socket.pause()
    for (let i = 0; i < 40; i++) connections[0].wire.write(Buffer.alloc(1_000_000))
    expect(connections[0].congestions).toEqual([])
    await until(() => expect(connections[0].congestions).toEqual([true]))
    expect(connections[0].wire.backlogBytes).toBeGreaterThan(1_000_000)
    socket.resume()
    await until(() => expect(connections[0].congestions).toEqual([true, false]))
    await until(() => expect(connections[0].wire.backlogBytes).toBe(0))
  })

  it('ends a connection that does not read beyond outputBytesMax', async () => {
    const { connections, warnings, port } = await start({ outputBytesMax: 5_000_000 })
    const socket = await client(port)
    await until(() => expect(connections).toHaveLength(1))
    socket.pause()
    for (let i = 0; i < 100; i++) connections[0].wire.write(Buffer.alloc(1_000_000))
    await until(() => expect(connections[0].closes).toBe(1))
    expect(warnings[0]).toContain('does not read')
  })

  it('ends the connection with the longest backlog when all together exceed outputTotalBytes', async () => {
    const { tcp, connections, warnings, port } = await start({ outputTotalBytes: 30_000_000, outputBytesMax: 1e9 })
    const sockets = [await client(port), await client(port)]
    await until(() => expect(connections).toHaveLength(2))
    for (const socket of sockets) socket.pause()
    for (let i = 0; i < 22; i++) connections[0].wire.write(Buffer.alloc(1_000_000))
    await until(() => expect(tcp.output.usedBytes).toBeGreaterThan(10_000_000))
    for (let i = 0; i < 18; i++) connections[1].wire.write(Buffer.alloc(1_000_000))
    await until(() => expect(connections[0].closes).toBe(1))
    expect(connections[1].closes).toBe(0)
    expect(warnings[0]).toContain('slow readers')
    for (const socket of sockets) socket.resume()
    await until(() => expect(tcp.output.usedBytes).toBe(0))
  })
})

describe('TCP listeners', () => {
  it('refuse connections beyond limits.connections and take others when one has gone', async () => {
    const { connections, warnings, port } = await start({ connections: 2 })
    const first = await client(port)
    await client(port)
    await until(() => expect(connections).toHaveLength(2))
    const third = await client(port)
    await until(() => expect(third.destroyed || third.readableEnded).toBe(true))
    expect(connections).toHaveLength(2)
    expect(warnings[0]).toContain('limits.connections')
    first.destroy()
    await until(() => expect(connections.some((connection) => connection.closes === 1)).toBe(true))
    await client(port)
    await until(() => expect(connections).toHaveLength(3))
  })

  it('admit connections at connectionsPerSecond, and none is lost', async () => {
    const { connections, port } = await start({ connectionsPerSecond: 20 })
    const begun = performance.now()
    const sockets = await Promise.all(Array.from({ length: 30 }, () => client(port)))
    for (const socket of sockets) socket.write('x')
    await until(() => expect(connections.filter((connection) => connection.received.length === 1)).toHaveLength(30))
    expect(performance.now() - begun).toBeGreaterThan(400)
  })

  it('close on shutdown: each front end says goodbye, who does not leave is cut off', async () => {
    const { tcp, connections, port } = await start()
    const reader = await client(port)
    const stuck = await client(port)
    await until(() => expect(connections).toHaveLength(2))
    stuck.pause()
    connections[1].wire.write(Buffer.alloc(20_000_000))
    await tcp.shutdown(new CodedError('shutting-down', 'the node stops'), 300)
    expect(connections.map((connection) => connection.closes)).toEqual([1, 1])
    expect(connections[0].shutdowns[0].code).toBe('shutting-down')
    await until(() => expect(reader.text()).toBe('bye'))
  })

  it('say which address is in use', async () => {
    const { tcp, port } = await start()
    await expect(tcp.listen({ name: 'again', host: '127.0.0.1', port, frontEnd: { accept: (wire) => new Recording(wire) } })).rejects.toMatchObject({
      code: 'EADDRINUSE',
    })
  })
})
