// What every wire does, whatever carries its bytes: it gathers what is written in a turn and hands it over at once, tells its front end about
// backlog, and keeps every fault of the connection inside the connection. It knows no protocol and sets no timer.
// Not here: what one hand-over and one end look like on the wire; those are `tcp-wire.ts` and `websocket-wire.ts`.
//
// A hot room. Per idle connection it costs this object, four listeners and the socket itself.
//
//   open ──end()──▶ ending ──all taken, or linger time over──▶ closed
//    └──destroy(), reset, hard limit, peer's FIN──────────────▶ closed        (`Connection.closed` is called once, by the socket's 'close')
import type { Socket } from 'node:net'
import type { BrokerError, Connection, Log, Wire } from '../api.ts'
import type { Outgoing, Output } from './output.ts'

/** Smaller pieces are copied into one buffer, larger ones go by reference (libraries: copying 2 KiB costs about what a further iovec does). */
const COPY_BYTES = 2048
/** Gathered bytes that do not wait for the end of the turn. */
const AT_ONCE_BYTES = 64 * 1024

/** A wire as the listener that made it sees it. */
export interface OwnedWire extends Outgoing {
  pause(): void
  destroy(): void
  /** The node stops or leads no more. */
  shutdown(error: BrokerError): void
}

/** What a wire tells the listener that made it. */
export interface WireOwner {
  readonly log: Log
  readonly output: Output
  /** It only waits for its last bytes to leave: to be cut off if that takes too long. */
  lingers(wire: OwnedWire): void
  gone(wire: OwnedWire): void
}

export abstract class GatheringWire implements Wire, OwnedWire {
  readonly remote: string
  readonly secure = false
  protected readonly socket: Socket
  protected readonly owner: WireOwner
  protected connection: Connection | undefined
  protected state: 'open' | 'ending' | 'closed' = 'open'
  protected pauses = 0
  #pieces: Uint8Array[] = []
  #gatheredBytes = 0
  #countedBytes = 0
  #listed = false
  #high = false
  /** Its peer sends no more, and was not being read when that came. */
  #finished = false
  #taken: (() => void) | undefined

  constructor(socket: Socket, owner: WireOwner) {
    this.socket = socket
    this.owner = owner
    this.remote = `${socket.remoteAddress ?? '?'}:${socket.remotePort ?? 0}`
  }

  /** Hands these over; `taken` is called when the operating system has them. */
  protected abstract send(pieces: readonly Uint8Array[], taken: () => void): void
  /** Says to the peer that nothing more comes. Reading goes on, so that its answer, FIN or reset is seen; what comes is dropped. */
  protected abstract sayEnd(): void
  protected abstract pauseReading(): void
  protected abstract resumeReading(): void

  /** `accept` is the front end's; a front end that throws on it loses only this connection. */
  protected accepted(accept: (wire: Wire) => Connection): boolean {
    this.socket.on('error', ignore)
    this.socket.on('close', () => this.#gone())
    try {
      this.connection = accept(this)
      return true
    } catch (error) {
      this.fault(error)
      return false
    }
  }

  get backlogBytes(): number {
    return this.#gatheredBytes + this.socket.writableLength
  }

  get countedBytes(): number {
    return this.#countedBytes
  }

  write(bytes: Uint8Array): void {
    if (this.state !== 'open') return
    this.#pieces.push(bytes)
    this.#gatheredBytes += bytes.length
    if (!this.#listed) {
      this.#listed = true
      this.owner.output.gather(this)
    }
    // The marks are looked at in `flush`, at the end of the turn: a front end is not called from inside its own `write`.
    if (this.#gatheredBytes >= AT_ONCE_BYTES) this.#send()
  }

  pause(): void {
    if (++this.pauses === 1 && this.state === 'open') this.pauseReading()
  }

  resume(): void {
    if (this.pauses === 0) throw new Error('resume without pause')
    if (--this.pauses > 0 || this.state !== 'open') return
    if (this.#finished) this.end()
    else this.resumeReading()
  }

  end(): void {
    if (this.state !== 'open') return
    this.#send()
    if (this.state !== 'open') return
    this.state = 'ending'
    this.sayEnd()
    this.owner.lingers(this)
  }

  destroy(): void {
    if (this.state === 'closed') return
    this.state = 'closed'
    this.#forget()
    this.socket.destroy()
  }

  shutdown(error: BrokerError): void {
    if (this.state !== 'open') return
    try {
      this.connection?.shutdown(error)
    } catch (fault) {
      this.fault(fault)
    }
  }

  overrun(): void {
    this.owner.log.warn({ remote: this.remote, backlogBytes: this.#countedBytes }, 'connection ended: too many bytes wait for slow readers')
    this.destroy()
  }

  flush(): void {
    this.#listed = false
    if (this.state !== 'open') return
    this.#send()
    this.#look()
  }

  /** What was read. */
  protected received(bytes: Uint8Array): void {
    if (this.state !== 'open') return
    try {
      this.connection?.data(bytes)
    } catch (error) {
      this.fault(error)
    }
  }

  /**
   * The peer sends no more, and all it sent was handed over: a client that died is noticed at once, which matters more than one that only stopped writing.
   * A front end that reads nothing for the time being has something to finish first; unless it waits for this peer to read.
   */
  protected finished(): void {
    if (this.pauses === 0 || this.#high) this.end()
    else this.#finished = true
  }

  /** A front end's own mistake: this connection ends, the others never know. */
  protected fault(error: unknown): void {
    this.owner.log.error({ remote: this.remote, error }, 'connection ended: its front end failed')
    this.destroy()
  }

  #send(): void {
    if (this.#gatheredBytes === 0) {
      this.#pieces.length = 0
      return
    }
    this.#taken ??= () => this.#look()
    this.send(this.#pieces, this.#taken)
    this.#pieces.length = 0
    this.#gatheredBytes = 0
    const limit = this.owner.output.limits.outputBytesMax
    if (this.socket.writableLength > limit) {
      this.owner.log.warn(
        { remote: this.remote, backlogBytes: this.socket.writableLength, limit },
        'connection ended: it does not read what it asked for',
      )
      this.destroy()
    }
  }

  /** Counts what waits and tells the front end when it crosses a mark. */
  #look(): void {
    if (this.state === 'closed') return
    const waiting = this.socket.writableLength
    const change = waiting - this.#countedBytes
    this.#countedBytes = waiting
    if (change !== 0) this.owner.output.count(change)
    if (this.state !== 'open') return
    const backlog = waiting + this.#gatheredBytes
    if (this.#high ? backlog < this.owner.output.limits.outputLowBytes : backlog > this.owner.output.highBytes) {
      this.#high = !this.#high
      try {
        this.connection?.congested(this.#high)
      } catch (error) {
        this.fault(error)
      }
    }
  }

  #gone(): void {
    this.state = 'closed'
    this.#forget()
    this.owner.gone(this)
    const connection = this.connection
    this.connection = undefined
    try {
      connection?.closed()
    } catch (error) {
      this.owner.log.error({ remote: this.remote, error }, 'front end failed while its connection closed')
    }
  }

  /** Nothing of it waits any more. */
  #forget(): void {
    this.#pieces.length = 0
    this.#gatheredBytes = 0
    const counted = this.#countedBytes
    this.#countedBytes = 0
    this.owner.output.count(-counted)
  }
}

/** Runs of small pieces become one buffer each; large ones stay as they are. */
export function joinSmall(pieces: readonly Uint8Array[]): readonly Uint8Array[] {
  const joined: Uint8Array[] = []
  for (let i = 0; i < pieces.length; ) {
    let bytes = 0
    let end = i
    while (end < pieces.length && pieces[end].length < COPY_BYTES) bytes += pieces[end++].length
    if (end - i > 1) {
      const run = Buffer.allocUnsafe(bytes)
      let at = 0
      for (; i < end; i++) {
        run.set(pieces[i], at)
        at += pieces[i].length
      }
      joined.push(run)
    } else {
      joined.push(pieces[i++])
    }
  }
  return joined
}

/** Resets and the like: 'close' follows and says all that matters. Without a listener they would end the process. */
function ignore(): void {}
