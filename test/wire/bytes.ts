// What the raw clients of tests and benches share: a socket whose output is gathered and leaves once a turn, in one write.
import { connect } from 'node:net'
import type { Duplex } from 'node:stream'
import { createWebSocketStream, WebSocket } from 'ws'

/** Where to connect; with a subprotocol over WebSocket. */
export type Place = Readonly<{ host: string; port: number; subprotocol?: string }>

export interface SocketListener {
  data(bytes: Buffer): void
  /** Once, whoever closed it. */
  closed(error: Error | undefined): void
}

export class TurnSocket {
  readonly socket: Duplex
  #pieces: Buffer[] = []
  #waiting = false
  #error: Error | undefined

  private constructor(socket: Duplex, listener: SocketListener) {
    this.socket = socket
    socket.on('data', (bytes: Buffer) => listener.data(bytes))
    socket.on('error', (error) => {
      this.#error = error
    })
    socket.on('close', () => listener.closed(this.#error))
  }

  static open({ host, port, subprotocol }: Place, listener: SocketListener): Promise<TurnSocket> {
    return new Promise((resolve, reject) => {
      if (subprotocol !== undefined) {
        const ws = new WebSocket(`ws://${host.includes(':') ? `[${host}]` : host}:${port}`, subprotocol)
        ws.once('error', reject)
        ws.once('open', () => {
          ws.removeListener('error', reject)
          const stream = createWebSocketStream(ws)
          // What the other side has ended is over; the library waits for us to end it too.
          stream.once('end', () => stream.destroy())
          resolve(new TurnSocket(stream, listener))
        })
        return
      }
      const socket = connect({ port, host, noDelay: true })
      socket.once('error', reject)
      socket.once('connect', () => {
        socket.removeListener('error', reject)
        resolve(new TurnSocket(socket, listener))
      })
    })
  }

  write(bytes: Buffer): void {
    this.#pieces.push(bytes)
    if (this.#waiting) return
    this.#waiting = true
    setImmediate(() => this.flush())
  }

  flush(): void {
    this.#waiting = false
    if (this.#pieces.length === 0) return
    const pieces = this.#pieces
    this.#pieces = []
    if (!this.socket.destroyed) this.socket.write(pieces.length === 1 && pieces[0] !== undefined ? pieces[0] : Buffer.concat(pieces))
  }

  /** Leaves after what was written. */
  end(): void {
    this.flush()
    this.socket.end()
  }

  destroy(): void {
    this.socket.destroy()
  }
}

export function addressOf(listener: string): Readonly<{ host: string; port: number }> {
  const colon = listener.lastIndexOf(':')
  return { host: listener.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(listener.slice(colon + 1)) }
}

/** Waits for a condition, and says what it waited for when it gives up. `everyMs` 0: looks in every turn, which takes a core. */
export async function until(what: string, condition: () => boolean, timeoutMs = 10_000, everyMs = 5): Promise<void> {
  const end = performance.now() + timeoutMs
  while (!condition()) {
    if (performance.now() > end) throw new Error(`waited ${timeoutMs} ms in vain for: ${what}`)
    await new Promise((resolve) => (everyMs === 0 ? setImmediate(resolve) : setTimeout(resolve, everyMs)))
  }
}
