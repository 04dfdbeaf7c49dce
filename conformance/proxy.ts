// The proxy before a broker that turns it into a mutant. One listener a mutant, any number of them at once.
import { createServer, connect, type Socket } from 'node:net'
import type { Address } from './target.ts'
import type { Edited, Framing, Mutant, Splitter } from './mutant.ts'

export type Proxy = Readonly<{ address: Address; close: () => Promise<void> }>

export async function openProxy(broker: Address, framing: Framing, mutant: Mutant): Promise<Proxy> {
  const sockets = new Set<Socket>()
  const editOf = mutant.start()
  const server = createServer({ noDelay: true, allowHalfOpen: false }, (client) => {
    const upstream = connect({ host: broker.host, port: broker.port, noDelay: true })
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => sockets.delete(socket))
    }
    const close = (): void => {
      client.destroy()
      upstream.destroy()
    }
    const write = (socket: Socket, bytes: Buffer): void => {
      if (socket.writable && bytes.length > 0) socket.write(bytes)
    }
    const edit = editOf({ toClient: (bytes) => write(client, bytes), toBroker: (bytes) => write(upstream, bytes), close })
    const split = framing()
    if (edit.arrives !== undefined) client.on('data', (bytes: Buffer) => (edit.arrives?.(bytes) === 'close' ? close() : undefined))
    pass(upstream, client, split.toClient, edit.toClient)
    pass(client, upstream, split.toBroker, edit.toBroker)
    upstream.on('close', () => {
      if (edit.brokerClosed?.() !== false) client.end()
    })
    client.on('close', () => {
      if (edit.clientClosed?.() !== false) upstream.end()
    })

    function pass(from: Socket, to: Socket, splitter: Splitter, edited: ((frame: Buffer) => Edited) | undefined): void {
      from.on('data', (bytes: Buffer) => {
        if (edited === undefined) return write(to, bytes)
        // What came together goes on together.
        to.cork()
        for (const frame of splitter(bytes)) {
          const stands = edited(frame)
          if (stands === 'close') return close()
          if (stands === undefined) write(to, frame)
          else for (const each of Buffer.isBuffer(stands) ? [stands] : stands) write(to, each)
        }
        to.uncork()
      })
    }
  })
  await new Promise<void>((resolve, reject) => {
    server.on('error', reject)
    server.listen(0, '127.0.0.1', resolve)
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the proxy has no port')
  return {
    address: { ...broker, host: '127.0.0.1', port: address.port },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        for (const socket of sockets) socket.destroy()
      }),
  }
}
