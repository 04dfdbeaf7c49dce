// One TCP connection as a `Wire`: gathers what is written in a turn and sends it with one write, tells its front end about backlog,
// and keeps every fault of the connection inside the connection. It knows no protocol and sets no timer.
//
// A hot room. Per idle connection it costs this object, four listeners and the socket itself.
//
//   open ──end()──▶ ending ──all taken, or linger time over──▶ closed
//    └──destroy(), reset, hard limit, peer's FIN──────────────▶ closed        (`Connection.closed` is called once, by the socket's 'close')
import type { Socket } from 'node:net'
import type { Connection, Log, Wire } from '../api.ts'
import type { Outgoing, Output } from './output.ts'

/** Smaller pieces are copied into one buffer, larger ones go by reference (libraries: copying 2 KiB costs about what a further iovec does). */
const COPY_BYTES = 2048
/** Gathered bytes that do not wait for the end of the turn. */
const AT_ONCE_BYTES = 64 * 1024

/** What a wire tells the listener that made it. */
export interface WireOwner {
  readonly log: Log
  readonly output: Output
  /** It only waits for its last bytes to leave: to be cut off if that takes too long. */
  lingers(wire: TcpWire): void
  gone(wire: TcpWire): void
}

export class TcpWire implements Wire, Outgoing {
  readonly remote: string
  readonly secure = false
  readonly #socket: Socket
  readonly #owner: WireOwner
  #connection: Connection | undefined
  #pieces: Uint8Array[] = []
  #gatheredBytes = 0
  #countedBytes = 0
  #pauses = 0
  #state: 'open' | 'ending' | 'closed' = 'open'
  #listed = false
  #high = false
  #taken: (() => void) | undefined

  constructor(socket: Socket, owner: WireOwner) {
    this.#socket = socket
    this.#owner = owner
    this.remote = `${socket.remoteAddress ?? '?'}:${socket.remotePort ?? 0}`
  }

  /** `accept` is the front end's; a front end that throws on it loses only this connection. */
  open(accept: (wire: Wire) => Connection): void {
    this.#socket.on('error', ignore)
    this.#socket.on('close', () => this.#gone())
    try {
      this.#connection = accept(this)
    } catch (error) {
      this.#fault(error)
      return
    }
    this.#socket.on('data', (bytes: Buffer) => this.#data(bytes))
    // The peer's FIN ends the connection: a client that died is noticed at once, which matters more than one that only stopped writing.
    this.#socket.on('end', () => this.end())
    // Made paused (`pauseOnConnect`), so that nothing is read before there is somebody to read it.
    if (this.#pauses === 0 && this.#state === 'open') this.#socket.resume()
  }

  get backlogBytes(): number {
    return this.#gatheredBytes + this.#socket.writableLength
  }

  get countedBytes(): number {
    return this.#countedBytes
  }

  write(bytes: Uint8Array): void {
    if (this.#state !== 'open') return
    this.#pieces.push(bytes)
    this.#gatheredBytes += bytes.length
    if (!this.#listed) {
      this.#listed = true
      this.#owner.output.gather(this)
    }
    // The marks are looked at in `flush`, at the end of the turn: a front end is not called from inside its own `write`.
    if (this.#gatheredBytes >= AT_ONCE_BYTES) this.#send()
  }

  pause(): void {
    if (++this.#pauses === 1 && this.#state === 'open') this.#socket.pause()
  }

  resume(): void {
    if (this.#pauses === 0) throw new Error('resume without pause')
    if (--this.#pauses === 0 && this.#state === 'open') this.#socket.resume()
  }

  end(): void {
    if (this.#state !== 'open') return
    this.#send()
    if (this.#state !== 'open') return
    this.#state = 'ending'
    this.#socket.end()
    // Reading goes on, so that the peer's FIN or reset is seen; what comes is dropped.
    this.#socket.resume()
    this.#owner.lingers(this)
  }

  destroy(): void {
    if (this.#state === 'closed') return
    this.#state = 'closed'
    this.#forget()
    this.#socket.destroy()
  }

  /** The node stops or leads no more. */
  shutdown(error: Parameters<Connection['shutdown']>[0]): void {
    if (this.#state !== 'open') return
    try {
      this.#connection?.shutdown(error)
    } catch (fault) {
      this.#fault(fault)
    }
  }

  overrun(): void {
    this.#owner.log.warn({ remote: this.remote, backlogBytes: this.#countedBytes }, 'connection ended: too many bytes wait for slow readers')
    this.destroy()
  }

  flush(): void {
    this.#listed = false
    if (this.#state !== 'open') return
    this.#send()
    this.#look()
  }

  #send(): void {
    if (this.#gatheredBytes === 0) {
      this.#pieces.length = 0
      return
    }
    this.#taken ??= () => this.#look()
    const socket = this.#socket
    const pieces = this.#pieces
    if (pieces.length === 1) socket.write(pieces[0], this.#taken)
    else this.#sendPieces(socket, pieces, this.#taken)
    pieces.length = 0
    this.#gatheredBytes = 0
    const limit = this.#owner.output.limits.outputBytesMax
    if (socket.writableLength > limit) {
      this.#owner.log.warn(
        { remote: this.remote, backlogBytes: socket.writableLength, limit },
        'connection ended: it does not read what it asked for',
      )
      this.destroy()
    }
  }

  /** Runs of small pieces become one buffer; the socket sends all of it with one `writev`. */
  #sendPieces(socket: Socket, pieces: readonly Uint8Array[], taken: () => void): void {
    socket.cork()
    for (let i = 0; i < pieces.length; ) {
      let bytes = 0
      let end = i
      while (end < pieces.length && pieces[end].length < COPY_BYTES) bytes += pieces[end++].length
      let piece = pieces[i]
      if (end - i > 1) {
        const joined = Buffer.allocUnsafe(bytes)
        let at = 0
        for (; i < end; i++) {
          joined.set(pieces[i], at)
          at += pieces[i].length
        }
        piece = joined
      } else {
        i++
      }
      if (i < pieces.length) socket.write(piece)
      else socket.write(piece, taken)
    }
    socket.uncork()
  }

  /** Counts what waits and tells the front end when it crosses a mark. */
  #look(): void {
    if (this.#state === 'closed') return
    const waiting = this.#socket.writableLength
    const change = waiting - this.#countedBytes
    this.#countedBytes = waiting
    if (change !== 0) this.#owner.output.count(change)
    if (this.#state !== 'open') return
    const backlog = waiting + this.#gatheredBytes
    if (this.#high ? backlog < this.#owner.output.limits.outputLowBytes : backlog > this.#owner.output.highBytes) {
      this.#high = !this.#high
      try {
        this.#connection?.congested(this.#high)
      } catch (error) {
        this.#fault(error)
      }
    }
  }

  #data(bytes: Buffer): void {
    if (this.#state !== 'open') return
    try {
      this.#connection?.data(bytes)
    } catch (error) {
      this.#fault(error)
    }
  }

  /** A front end's own mistake: this connection ends, the others never know. */
  #fault(error: unknown): void {
    this.#owner.log.error({ remote: this.remote, error }, 'connection ended: its front end failed')
    this.destroy()
  }

  #gone(): void {
    this.#state = 'closed'
    this.#forget()
    this.#owner.gone(this)
    const connection = this.#connection
    this.#connection = undefined
    try {
      connection?.closed()
    } catch (error) {
      this.#owner.log.error({ remote: this.remote, error }, 'front end failed while its connection closed')
    }
  }

  /** Nothing of it waits any more. */
  #forget(): void {
    this.#pieces.length = 0
    this.#gatheredBytes = 0
    const counted = this.#countedBytes
    this.#countedBytes = 0
    this.#owner.output.count(-counted)
  }
}

/** Resets and the like: 'close' follows and says all that matters. Without a listener they would end the process. */
function ignore(): void {}
