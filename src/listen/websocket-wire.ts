// One WebSocket connection as a `Wire`. A front end sees a stream of bytes, as on TCP: messages carry it, and their borders mean nothing [MQTT-6.0.0-2].
// Frames of data are opened by `websocket-reader.ts`; control frames, the closing hand-shake and what is sent are the library's (`ws`); what all wires do
// is `gathering-wire.ts`.
//
// What leaves is binary. Only to a client whose first message was text, over a subprotocol that knows text, it is text, as long as it is UTF-8:
// clients of that kind read frames as strings.
import { isUtf8 } from 'node:buffer'
import type { Socket } from 'node:net'
import type { WebSocket } from 'ws'
import type { BrokerError, Connection, Wire } from '../api.ts'
import { GatheringWire, type WireOwner } from './gathering-wire.ts'
import { type ReaderLimits, WebSocketReader } from './websocket-reader.ts'

/** Up to here everything becomes one buffer, so that a message is one frame. */
const ONE_FRAME_BYTES = 16 * 1024

/** Close codes (RFC 6455 7.4.1 and the registry of IANA). */
const NORMAL = 1000
const GOING_AWAY = 1001

export class WebSocketWire extends GatheringWire {
  readonly #ws: WebSocket
  readonly #reader: WebSocketReader
  /** The library's own ear: it is given control frames, and nothing else. */
  readonly #library: (bytes: Buffer) => void
  readonly #mayBeText: boolean
  #farewell = NORMAL
  /** Since the last `tick`. */
  #heard = true
  #pinged = false

  constructor(ws: WebSocket, socket: Socket, owner: WireOwner, options: ReaderLimits & Readonly<{ textMessages: boolean }>) {
    super(socket, owner)
    this.#ws = ws
    this.#mayBeText = options.textMessages
    this.#reader = new WebSocketReader(options, options.textMessages)
    const listeners = socket.listeners('data')
    this.#library = (bytes) => {
      for (const each of listeners) Reflect.apply(each, socket, [bytes])
    }
  }

  open(accept: (wire: Wire) => Connection): void {
    // A breach of RFC 6455 in a control frame: the library has begun to close with the code that belongs to it.
    this.#ws.on('error', (error) => this.#breach(error))
    this.socket.removeAllListeners('data')
    if (!this.accepted(accept)) return
    this.socket.on('data', (bytes: Buffer) => this.#read(bytes))
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

  override shutdown(error: BrokerError): void {
    this.#farewell = GOING_AWAY
    super.shutdown(error)
  }

  protected send(pieces: readonly Uint8Array[], taken: (error?: Error | null) => void): boolean {
    const ws = this.#ws
    if (ws.readyState !== ws.OPEN) return false
    let bytes = 0
    for (const piece of pieces) bytes += piece.length
    const text = this.#mayBeText && this.#reader.text !== false
    if (text || bytes <= ONE_FRAME_BYTES) {
      const message = pieces.length === 1 ? pieces[0] : Buffer.concat(pieces, bytes)
      ws.send(message, { binary: !text || !isUtf8(message), compress: false }, taken)
      return true
    }
    const last = pieces.length - 1
    this.socket.cork()
    for (let i = 0; i < last; i++) ws.send(pieces[i], { binary: true, compress: false, fin: false })
    ws.send(pieces[last], { binary: true, compress: false }, taken)
    this.socket.uncork()
    return true
  }

  protected sayEnd(): void {
    this.#ws.close(this.#farewell)
    this.#ws.resume()
  }

  protected pauseReading(): void {
    this.#ws.pause()
  }

  protected resumeReading(): void {
    this.#control()
    this.#ws.resume()
  }

  /** A close frame waits like what came before it, if the front end reads nothing for the time being. */
  #control(): void {
    const { control } = this.#reader
    if (control.length > 0 && this.pauses === 0) for (const frame of control.splice(0)) this.#library(frame)
  }

  /** What one read has brought goes to the front end in one call, as on TCP: nothing comes after a pause. */
  #read(bytes: Buffer): void {
    this.#heard = true
    const reader = this.#reader
    const stream = reader.read(bytes)
    if (stream.length > 0) this.received(stream)
    this.#control()
    const { breach } = reader
    if (breach === undefined || this.state !== 'open') return
    this.#breach(new Error(`closed with ${breach.code}${breach.reason === undefined ? '' : `: ${breach.reason}`}`))
    this.#ws.close(breach.code, breach.reason)
    // Who broke the rules is not waited for (RFC 6455 7.1.7); what he still sends is read, so that no reset takes the close frame from him.
    this.socket.end()
  }

  #breach(error: Error): void {
    this.owner.log.debug({ remote: this.remote, error }, 'connection ended: its client broke the rules of WebSocket')
    if (this.state !== 'open') return
    this.state = 'ending'
    this.owner.lingers(this)
  }
}
