// What every wire does, whatever carries its bytes: it gathers what is written in a turn and hands it over at once, tells its front end about
// backlog, and keeps every fault of the connection inside the connection. It knows no protocol and sets no timer.
// Not here: what one hand-over and one end look like on the wire; those are `tcp-wire.ts` and `websocket-wire.ts`.
//
// A hot room. Per idle connection it costs this object, four listeners and the socket itself.
//
//   open ──end()──▶ ending ──all taken, or linger time over──▶ closed
//    └──destroy(), reset, hard limit, peer's FIN──────────────▶ closed        (`Connection.closed` is called once, by the socket's 'close')
import type { Socket } from 'node:net'
import type { BrokerError, Certificate, Connection, Log, Wire } from '../api.ts'
import type { Outgoing, Output } from './output.ts'
import { securityOf } from './security.ts'

/** Smaller pieces are copied into pages, larger ones go by reference (libraries: copying 2 KiB costs about what a further iovec does). */
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
  readonly secure: boolean
  readonly certificate: Certificate | undefined
  protected readonly socket: Socket
  protected readonly owner: WireOwner
  protected connection: Connection | undefined
  protected state: 'open' | 'ending' | 'closed' = 'open'
  protected pauses = 0
  /** See `Wire.room`: the page that is being filled. */
  room: Buffer = NOWHERE
  // What is gathered: pieces, then what of the page is no piece yet. A small piece that stays alone is never copied.
  #pieces: Uint8Array[] = []
  #alone: Uint8Array | undefined
  #pageFrom = 0
  #pageAt = 0
  /** Pages that are full, of this turn. */
  #full: Buffer[] | undefined
  /** Pages handed over and not yet taken by the operating system, each hand-over that has some ending with undefined. */
  #sent: (Buffer | undefined)[] | undefined
  #gatheredBytes = 0
  #countedBytes = 0
  #listed = false
  #high = false
  /** Its peer sends no more, and was not being read when that came. */
  #finished = false
  #taken: (() => void) | undefined
  #pagesTaken: ((error?: Error | null) => void) | undefined

  constructor(socket: Socket, owner: WireOwner) {
    this.socket = socket
    this.owner = owner
    this.remote = `${socket.remoteAddress ?? '?'}:${socket.remotePort ?? 0}`
    const { secure, certificate } = securityOf(socket)
    this.secure = secure
    this.certificate = certificate
  }

  /** Hands these over; `taken` is called when the operating system has them. False: they are dropped, and `taken` is not called. */
  protected abstract send(pieces: readonly Uint8Array[], taken: (error?: Error | null) => void): boolean
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
    if (bytes.length < COPY_BYTES && this.#gatheredBytes > 0) {
      const at = this.reserve(bytes.length)
      this.room.set(bytes, at)
    } else {
      if (bytes.length < COPY_BYTES) this.#alone = bytes
      else {
        this.#endPiece()
        this.#pieces.push(bytes)
      }
      this.#gather(bytes.length)
    }
    // The marks are looked at in `flush`, at the end of the turn: a front end is not called from inside its own `write`.
    if (this.#gatheredBytes >= AT_ONCE_BYTES) this.#send()
  }

  reserve(bytes: number): number {
    if (this.state !== 'open') {
      this.room = NOWHERE
      return 0
    }
    if (this.#gatheredBytes >= AT_ONCE_BYTES) this.#send()
    const alone = this.#alone
    // It goes into the page; a page that ends meanwhile must not take it along too.
    this.#alone = undefined
    const wanted = alone === undefined ? bytes : bytes + alone.length
    if (this.#pageAt + wanted > this.room.length || this.room === NOWHERE) this.#nextPage(wanted)
    if (alone !== undefined) {
      this.room.set(alone, this.#pageAt)
      this.#pageAt += alone.length
    }
    const at = this.#pageAt
    this.#pageAt = at + bytes
    this.#gather(bytes)
    return at
  }

  trim(bytes: number): void {
    if (this.state !== 'open') return
    this.#pageAt -= bytes
    this.#gatheredBytes -= bytes
  }

  #gather(bytes: number): void {
    this.#gatheredBytes += bytes
    if (this.#listed) return
    this.#listed = true
    this.owner.output.gather(this)
  }

  #nextPage(bytes: number): void {
    if (this.room !== NOWHERE) {
      this.#endPiece()
      this.#full ??= []
      this.#full.push(this.room)
    }
    this.room = this.owner.output.pages.take(bytes, this.#gatheredBytes)
    this.#pageFrom = this.#pageAt = 0
  }

  /** What was written into the page becomes a piece of its own. */
  #endPiece(): void {
    if (this.#alone !== undefined) {
      this.#pieces.push(this.#alone)
      this.#alone = undefined
    }
    if (this.#pageAt === this.#pageFrom) return
    this.#pieces.push(this.room.subarray(this.#pageFrom, this.#pageAt))
    this.#pageFrom = this.#pageAt
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
    const pieces = this.#takePieces()
    const pages = this.#handOver()
    // What is dropped at an end is left to the collector, with its pages.
    if (!this.send(pieces, pages)) this.#sent = undefined
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

  #takePieces(): readonly Uint8Array[] {
    const { room } = this
    // A page that few bytes would hold for a slow reader is not given to him.
    if (room !== NOWHERE && this.socket.writableLength > 0 && this.#pageAt * 2 < room.length) {
      if (this.#pageAt > this.#pageFrom) this.#pieces.push(Buffer.from(room.subarray(this.#pageFrom, this.#pageAt)))
      if (this.#pageFrom === 0) {
        this.owner.output.pages.give(room)
        this.room = NOWHERE
        this.#pageAt = 0
      }
      this.#pageFrom = this.#pageAt
    }
    this.#endPiece()
    return this.#pieces
  }

  /** Its pages are used again when the operating system has them; answers what is to be called then. */
  #handOver(): (error?: Error | null) => void {
    const full = this.#full
    if (this.room === NOWHERE && full === undefined) {
      this.#taken ??= () => this.#look()
      return this.#taken
    }
    this.#sent ??= []
    if (full !== undefined) this.#sent.push(...full)
    this.#full = undefined
    if (this.room !== NOWHERE) this.#sent.push(this.room)
    this.#sent.push(undefined)
    this.room = NOWHERE
    this.#pageFrom = this.#pageAt = 0
    this.#pagesTaken ??= (error) => {
      this.#usePagesAgain(error === null || error === undefined)
      this.#look()
    }
    return this.#pagesTaken
  }

  /** Hand-overs end in the order in which they were made. After a failure nobody knows who still reads the pages: they are left to the collector. */
  #usePagesAgain(whole: boolean): void {
    for (let page = this.#sent?.shift(); page !== undefined; page = this.#sent?.shift()) if (whole) this.owner.output.pages.give(page)
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
    this.#alone = undefined
    this.#full = undefined
    this.#sent = undefined
    this.room = NOWHERE
    this.#pageFrom = this.#pageAt = 0
    this.#gatheredBytes = 0
    const counted = this.#countedBytes
    this.#countedBytes = 0
    this.owner.output.count(-counted)
  }
}

/** Where a wire that is no more lets its front end write. */
const NOWHERE = Buffer.allocUnsafeSlow(4096)

/** Resets and the like: 'close' follows and says all that matters. Without a listener they would end the process. */
function ignore(): void {}
