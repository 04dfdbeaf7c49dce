// What the raw clients of tests and benches share: a socket whose output is gathered and leaves once a turn, in one write.
import { connect, type Socket } from 'node:net'

export interface SocketListener {
  data(bytes: Buffer): void
  /** Once, whoever closed it. */
  closed(error: Error | undefined): void
}

export class TurnSocket {
  readonly socket: Socket
  #pieces: Buffer[] = []
  #waiting = false
  #error: Error | undefined

  private constructor(socket: Socket, listener: SocketListener) {
    this.socket = socket
    socket.setNoDelay(true)
    socket.on('data', (bytes) => listener.data(bytes))
    socket.on('error', (error) => {
      this.#error = error
    })
    socket.on('close', () => listener.closed(this.#error))
  }

  static open(address: Readonly<{ host: string; port: number }>, listener: SocketListener): Promise<TurnSocket> {
    return new Promise((resolve, reject) => {
      const socket = connect(address.port, address.host)
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

/** Waits for a condition, and says what it waited for when it gives up. */
export async function until(what: string, condition: () => boolean, timeoutMs = 10_000): Promise<void> {
  const end = performance.now() + timeoutMs
  while (!condition()) {
    if (performance.now() > end) throw new Error(`waited ${timeoutMs} ms in vain for: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
