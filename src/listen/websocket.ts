// The WebSocket listener: HTTP hand-shakes in, wires out, each to the front end whose subprotocol was agreed on, or whose path was asked for.
// What one connection does is `websocket-wire.ts`; how many there may be and how fast they come, `tcp.ts`. Nothing is compressed:
// that costs more than it saves on a broker's small messages, and memory for each connection.
import { createServer, type IncomingMessage, type Server, STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import type * as Ws from 'ws'
import type { Clock, FrontEnd, Log, Protocol } from '../api.ts'
import type { WebSocketSettings } from '../config/settings.ts'
import { isExtensionList } from './extensions.ts'
import type { OwnedWire, WireOwner } from './gathering-wire.ts'
import { isLoopback } from './loopback.ts'
import { mayConnect } from './origin.ts'
import type { Output } from './output.ts'
import type { Tcp } from './tcp.ts'
import type { Handshakes } from './tls.ts'
import { WebSocketWire } from './websocket-wire.ts'

/** A front end and the names by which it is asked for. */
export type Spoken = Pick<Protocol, 'name' | 'subprotocols' | 'textMessages'> & Pick<FrontEnd, 'accept'>

export type WebSocketListenOptions = Readonly<{
  name: string
  host: string
  port: number
  settings: WebSocketSettings
  clock: Clock
  log: Log
  tcp: Tcp
  tls?: Handshakes | undefined
  spoken: readonly Spoken[]
}>

/** The library takes 40 ms to load: neither a start nor a takeover waits for that. It comes with the first connection, or earlier where there is time. */
export async function loadWebSocket(): Promise<typeof Ws> {
  return import('ws')
}

/** Answers where it listens, as `host:port`; rejects when the address cannot be had. */
export function listenWebSocket(options: WebSocketListenOptions): Promise<string> {
  return new WebSockets(options).listen()
}

class WebSockets implements WireOwner {
  readonly log: Log
  readonly output: Output
  readonly #options: WebSocketListenOptions
  readonly #http: Server
  #upgrades: Ws.WebSocketServer | undefined
  readonly #wires = new Set<WebSocketWire>()
  /** Sockets whose first request was none for WebSocket: what was sent behind it is not heard, though the parser has it already. */
  readonly #answered = new WeakSet<Socket>()
  #cancelTick: (() => void) | undefined

  constructor(options: WebSocketListenOptions) {
    const { settings, log, tcp } = options
    this.log = log
    this.output = tcp.output
    this.#options = options
    // It listens nowhere: it is given sockets that were admitted. Its time limits are ours, see `Tcp.listenAndGreet`.
    this.#http = createServer({ maxHeaderSize: settings.headerBytesMax }, (request, response) => {
      this.#answered.add(request.socket)
      response.writeHead(426, { upgrade: 'websocket', connection: 'Upgrade, close', 'content-type': 'text/plain' })
      response.end('Here is only WebSocket.\n', () => request.socket.destroySoon())
    })
    this.#http.on('upgrade', (request: IncomingMessage, _, head: Buffer) => this.#upgrade(request, head))
  }

  listen(): Promise<string> {
    const { name, host, port, settings, tcp, tls } = this.#options
    return tcp.listenAndGreet({
      name,
      host,
      port,
      tls,
      greetMs: settings.handshakeTimeoutMs,
      greet: (socket) => {
        if (this.#upgrades === undefined) void this.#greetFirst(socket)
        else this.#greet(socket)
      },
    })
  }

  /** Nothing is read of it before. */
  #greet(socket: Socket): void {
    this.#http.emit('connection', socket)
    socket.resume()
  }

  async #greetFirst(socket: Socket): Promise<void> {
    try {
      const library = await loadWebSocket()
      this.#upgrades ??= this.#newUpgrades(library)
      if (!socket.destroyed) this.#greet(socket)
    } catch (error) {
      this.log.error({ error }, 'the WebSocket library cannot be loaded')
      socket.destroy()
    }
  }

  #newUpgrades(library: typeof Ws): Ws.WebSocketServer {
    return new library.WebSocketServer({
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      handleProtocols: (_, request) => this.#agree(request)?.subprotocol ?? false,
    })
  }

  lingers(wire: OwnedWire): void {
    this.#options.tcp.lingers(wire)
  }

  gone(wire: OwnedWire): void {
    this.#options.tcp.gone(wire)
    if (wire instanceof WebSocketWire) this.#wires.delete(wire)
    if (this.#wires.size > 0) return
    this.#cancelTick?.()
    this.#cancelTick = undefined
  }

  #upgrade(request: IncomingMessage, head: Buffer): void {
    const { socket } = request
    const { headers } = request
    if (this.#answered.has(socket)) return
    // RFC 6455 4.2.1, RFC 9112 3.2 and 6.3: rules of the hand-shake that neither Node.js nor the library holds an upgrade against. A body would be taken for frames.
    if (request.httpVersionMajor === 1 && request.httpVersionMinor === 0) return refuse(socket, 400, 'A hand-shake is of HTTP 1.1.')
    if (headers.host === undefined) return refuse(socket, 400, 'A hand-shake has the header Host.')
    if ((request.headersDistinct['host']?.length ?? 0) > 1) return refuse(socket, 400, 'A hand-shake has the header Host once.')
    if (headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) !== 0)
      return refuse(socket, 400, 'A hand-shake has no body.')
    if (headers.upgrade?.toLowerCase() !== 'websocket') return refuse(socket, 426, 'Here is only WebSocket.', 'Upgrade: websocket\r\n')
    // RFC 6455 4.4. Version 8 names the origin elsewhere; no client of today speaks it.
    if (headers['sec-websocket-version'] !== '13')
      return refuse(socket, 426, 'Only version 13 of WebSocket is spoken.', 'Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n')
    const extensions = headers['sec-websocket-extensions']
    if (extensions !== undefined && !isExtensionList(extensions)) return refuse(socket, 400, 'Sec-WebSocket-Extensions is malformed.')
    const { settings, host } = this.#options
    if (!mayConnect({ origin: headers.origin, host: headers.host, origins: settings.origins, loopback: isLoopback(host) }))
      return refuse(socket, 403, 'Pages of this origin may not connect: see websocket.origins.')
    const here = this.#spokenAt(request)
    if (here.length === 0) return refuse(socket, 404, 'No protocol is spoken at this path: see websocket.paths.')
    const agreed = this.#agree(request)
    if (agreed === undefined) {
      const known = here.flatMap(({ subprotocols }) => subprotocols).join(', ')
      return refuse(socket, 400, `Sec-WebSocket-Protocol must name one of ${known}.`)
    }
    this.#upgrades?.handleUpgrade(request, socket, head, (ws) => {
      const wire = new WebSocketWire(ws, socket, this, { ...settings, textMessages: agreed.spoken.textMessages })
      if (!this.#options.tcp.seat(socket, wire)) {
        ws.on('error', () => {})
        ws.terminate()
        return
      }
      this.#wires.add(wire)
      wire.open((opened) => agreed.spoken.accept(opened))
      this.#tickLater()
    })
  }

  /** Who may be spoken to at the path of a request: one whose own path it is, or all. */
  #spokenAt({ url = '/' }: IncomingMessage): readonly Spoken[] {
    const { spoken, settings } = this.#options
    // A request may name its resource by an absolute URI (RFC 6455 4.2.1).
    const [path] = url.replace(/^https?:\/\/[^/?]*/, '').split('?', 1)
    const own = spoken.filter(({ name }) => settings.paths[name] === path)
    return own.length > 0 || settings.pathsOnly ? own : spoken
  }

  /**
   * The front end that the client names first; of the names of that one, the best that the client offers. Who names none speaks what is spoken
   * at this path alone, and is answered without a name, as RFC 6455 4.2.2 has it.
   */
  #agree(request: IncomingMessage): Readonly<{ spoken: Spoken; subprotocol: string | false }> | undefined {
    const here = this.#spokenAt(request)
    const names = request.headers['sec-websocket-protocol']
    if (names === undefined && here.length === 1 && this.#options.settings.paths[here[0].name] !== undefined)
      return { spoken: here[0], subprotocol: false }
    const offered = (names ?? '').split(',').map((name) => name.trim())
    for (const name of offered) {
      const spoken = here.find(({ subprotocols }) => subprotocols.includes(name))
      const subprotocol = spoken?.subprotocols.find((one) => offered.includes(one))
      if (spoken !== undefined && subprotocol !== undefined) return { spoken, subprotocol }
    }
    return undefined
  }

  /** One timer for all connections, and none while there are none. */
  #tickLater(): void {
    const { clock, settings } = this.#options
    if (settings.pingIntervalMs === 0) return
    this.#cancelTick ??= clock.after(settings.pingIntervalMs, () => {
      this.#cancelTick = undefined
      for (const wire of this.#wires) wire.tick()
      if (this.#wires.size > 0) this.#tickLater()
    })
  }
}

/** Answers in one piece and closes. */
function refuse(socket: Socket, status: number, sentence: string, headers = ''): void {
  const body = `${sentence}\n`
  const connection = headers === '' ? 'close' : 'Upgrade, close'
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n${headers}Connection: ${connection}\r\n` +
      `Content-Type: text/plain\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
    () => socket.destroySoon(),
  )
}
