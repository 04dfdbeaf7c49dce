// One TCP connection as a `Wire`: what was gathered in a turn leaves with one write. What all wires do is `gathering-wire.ts`.
import type { Connection, Wire } from '../api.ts'
import { GatheringWire } from './gathering-wire.ts'

export class TcpWire extends GatheringWire {
  open(accept: (wire: Wire) => Connection): void {
    if (!this.accepted(accept)) return
    this.socket.on('data', (bytes: Buffer) => this.received(bytes))
    this.socket.on('end', () => this.finished())
    // Made paused (`pauseOnConnect`), so that nothing is read before there is somebody to read it.
    if (this.pauses === 0 && this.state === 'open') this.socket.resume()
  }

  /** The socket sends all of it with one `writev`. */
  protected send(pieces: readonly Uint8Array[], taken: (error?: Error | null) => void): boolean {
    const { socket } = this
    if (pieces.length === 1) {
      socket.write(pieces[0], taken)
      return true
    }
    const last = pieces.length - 1
    socket.cork()
    for (let i = 0; i < last; i++) socket.write(pieces[i])
    socket.write(pieces[last], taken)
    socket.uncork()
    return true
  }

  protected sayEnd(): void {
    this.socket.end()
    this.socket.resume()
  }

  protected pauseReading(): void {
    this.socket.pause()
  }

  protected resumeReading(): void {
    this.socket.resume()
  }
}
