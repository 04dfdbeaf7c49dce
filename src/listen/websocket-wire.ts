// One WebSocket connection as a `Wire`. A front end sees a stream of bytes, as on TCP: messages carry it, and their borders mean nothing [MQTT-6.0.0-2].
// Frames, masks, pings and the closing hand-shake are the library's (`ws`); what all wires do is `gathering-wire.ts`.
//
// What leaves is binary. Only to a client whose first message was text, over a subprotocol that knows text, it is text, as long as it is UTF-8:
// clients of that kind read frames as strings.
import { isUtf8 } from 'node:buffer'
import type { Socket } from 'node:net'
import type { RawData, WebSocket } from 'ws'
import type { BrokerError, Connection, Wire } from '../api.ts'
import { GatheringWire, joinSmall, type OwnedWire, type WireOwner } from './gathering-wire.ts'

/** Up to here everything becomes one buffer, so that a message is one frame. */
const ONE_FRAME_BYTES = 16 * 1024

/** Close codes (RFC 6455 7.4.1 and the registry of IANA). */
const NORMAL = 1000
const GOING_AWAY = 1001
const UNSUPPORTED_DATA = 1003
const TRY_AGAIN_LATER = 1013

/** What a wire tells the listener that made it. */
export interface WebSocketOwner extends WireOwner {
  /** So many more bytes of messages that are not complete are kept. */
  unfinished(change: number): void
  gone(wire: OwnedWire): void
}

export class WebSocketWire extends GatheringWire {
  readonly #ws: WebSocket
  readonly #owner: WebSocketOwner
  /** The subprotocol allows text messages. */
  readonly #mayBeText: boolean
  #text: boolean
  #farewell = NORMAL
  #decided = false
  /** What the read that is being looked at has completed. */
  #messages: Buffer[] = []
  #unfinishedBytes = 0
  /** Since the last `tick`. */
  #heard = true
  #pinged = false

  constructor(ws: WebSocket, socket: Socket, owner: WebSocketOwner, mayBeText: boolean) {
    super(socket, owner)
    this.#ws = ws
    this.#owner = owner
    this.#mayBeText = mayBeText
    this.#text = mayBeText
  }

  /** Bytes kept of a message that is not complete. */
  get unfinishedBytes(): number {
    return this.#unfinishedBytes
  }

  open(accept: (wire: Wire) => Connection): void {
    const ws = this.#ws
    // A breach of RFC 6455 or a limit: the library has begun to close with the code that belongs to it.
    ws.on('error', (error) => this.#breach(error))
    ws.on('message', (data, isBinary) => this.#message(data, isBinary))
    // After the library's own listeners, which are there already and have put messages together.
    this.socket.on('close', () => {
      this.#deliver()
      this.#keep(0)
    })
    if (!this.accepted(accept)) return
    this.socket.on('data', (bytes: Buffer) => this.#read(bytes.length))
  }

  /** Called at equal intervals: who was silent for a whole one is asked, who is silent for one more is gone. Who is not read cannot be heard. */
  tick(): void {
    if (this.state !== 'open') return
    if (this.#heard || this.pauses > 0) {
      this.#heard = false
      this.#pinged = false
    } else if (!this.#pinged) {
      this.#pinged = true
      this.#ws.ping()
    } else {
      this.owner.log.debug({ remote: this.remote }, 'connection ended: its peer answers no ping')
      this.destroy()
    }
  }

  /** Too many unfinished messages wait in this process, and this one is the longest. */
  tooMuch(): void {
    this.owner.log.warn({ remote: this.remote, unfinishedBytes: this.#unfinishedBytes }, 'connection ended: too many unfinished messages are kept')
    this.#refuse(TRY_AGAIN_LATER, 'too many unfinished messages')
    this.#keep(0)
    // What comes is dropped; what the library keeps goes with the socket.
    this.socket.removeAllListeners('data')
    this.socket.resume()
  }

  override shutdown(error: BrokerError): void {
    this.#farewell = GOING_AWAY
    super.shutdown(error)
  }

  override destroy(): void {
    this.#keep(0)
    super.destroy()
  }

  protected send(pieces: readonly Uint8Array[], taken: () => void): void {
    const ws = this.#ws
    if (ws.readyState !== ws.OPEN) return
    let bytes = 0
    for (const piece of pieces) bytes += piece.length
    if (this.#text || bytes <= ONE_FRAME_BYTES) {
      const message = pieces.length === 1 ? pieces[0] : Buffer.concat(pieces, bytes)
      ws.send(message, { binary: !this.#text || !isUtf8(message), compress: false }, taken)
      return
    }
    const frames = joinSmall(pieces)
    const last = frames.length - 1
    this.socket.cork()
    for (let i = 0; i < last; i++) ws.send(frames[i], { binary: true, compress: false, fin: false })
    ws.send(frames[last], { binary: true, compress: false }, taken)
    this.socket.uncork()
  }

  protected sayEnd(): void {
    this.#keep(0)
    this.#ws.close(this.#farewell)
    this.#ws.resume()
  }

  protected pauseReading(): void {
    this.#ws.pause()
  }

  protected resumeReading(): void {
    this.#ws.resume()
  }

  #message(data: RawData, isBinary: boolean): void {
    if (this.state !== 'open' || !(data instanceof Buffer)) return
    // [MQTT-6.0.0-1]
    if (!isBinary && !this.#mayBeText) return this.#refuse(UNSUPPORTED_DATA, 'this subprotocol is sent in binary messages')
    if (!this.#decided) {
      this.#decided = true
      this.#text = !isBinary
    }
    this.#messages.push(data)
  }

  #read(bytes: number): void {
    this.#heard = true
    // What follows a message within one read is at most that read: as much as any socket keeps.
    this.#keep(this.#messages.length > 0 || this.state !== 'open' ? 0 : this.#unfinishedBytes + bytes)
    this.#deliver()
  }

  /** What one read has brought goes to the front end in one call, as on TCP: nothing comes after a pause. */
  #deliver(): void {
    const messages = this.#messages
    if (messages.length === 0) return
    this.#messages = []
    this.received(messages.length === 1 ? messages[0] : Buffer.concat(messages))
  }

  #keep(bytes: number): void {
    const change = bytes - this.#unfinishedBytes
    if (change === 0) return
    this.#unfinishedBytes = bytes
    this.#owner.unfinished(change)
  }

  #refuse(code: number, reason: string): void {
    if (this.state !== 'open') return
    this.state = 'ending'
    this.#keep(0)
    this.#ws.close(code, reason)
    this.owner.lingers(this)
  }

  #breach(error: Error): void {
    this.owner.log.debug({ remote: this.remote, error }, 'connection ended: its client broke the rules of WebSocket')
    if (this.state !== 'open') return
    this.state = 'ending'
    this.#keep(0)
    this.owner.lingers(this)
  }
}
