// The hand-shake of TLS: admitted sockets in, encrypted ones out. What is spoken on them is not asked here; how long a hand-shake may take and what else
// bounds it is `tcp.ts`. Node's own TLS does the work.
//
// So many hand-shakes are under way at once. Who has sent nothing is not among them and takes nobody's turn; who has, waits in a line and costs a socket
// and its first bytes: a flood of connections that never speak takes no memory for TLS and keeps nobody out, and many clients that come back at once
// do not slow each other down to nothing. Who begins and goes no further keeps its turn as long as a hand-shake may take.
import type { Socket } from 'node:net'
import { createServer, type Server, type TLSSocket } from 'node:tls'
import type { Log } from '../api.ts'
import type { TlsSettings } from '../config/settings.ts'
import type { Credentials } from './credentials.ts'

export type HandshakesOptions = Readonly<{ settings: TlsSettings; credentials: Credentials; handshakesMax: number; log: Log }>

type Secured = (socket: TLSSocket) => void

/** A record of TLS. A client's first words are shorter, and nothing may follow them before they are answered. */
const FIRST_BYTES_MAX = 5 + 16 * 1024

export class Handshakes {
  /** From the connection to the end of its hand-shake. */
  readonly timeoutMs: number
  readonly #options: HandshakesOptions
  readonly #server: Server
  readonly #leave: () => void
  /** Under way, by the addresses of both ends: the library does not say which socket an encrypted one is of. */
  readonly #begun = new Map<string, Readonly<{ socket: Socket; secured: Secured }>>()
  /** They have spoken, and wait for their turn. Oldest first. */
  readonly #waiting = new Map<Socket, Secured>()

  constructor(options: HandshakesOptions) {
    const { settings, credentials } = options
    this.#options = options
    this.timeoutMs = settings.handshakeTimeoutMs
    // It listens nowhere: it is given sockets that were admitted.
    this.#server = createServer({
      ...credentials.context,
      requestCert: settings.clientCertificates !== 'none',
      rejectUnauthorized: settings.clientCertificates === 'required',
      handshakeTimeout: this.timeoutMs * 2,
    })
    this.#server.on('secureConnection', (socket) => this.#done(socket))
    this.#server.on('tlsClientError', (error, socket) => {
      this.#options.log.debug({ remote: `${socket.remoteAddress}:${socket.remotePort}`, error }, 'connection ended: no hand-shake of TLS')
      socket.destroy()
    })
    this.#leave = credentials.renew(this.#server)
  }

  /** Hand-shakes under way. */
  get active(): number {
    return this.#begun.size
  }

  /**
   * `secured` is called at most once: not when the socket is gone before. Of the socket nothing was read yet, and its mark of high water is low: beyond
   * the first piece nothing is read before its turn has come.
   */
  greet(socket: Socket, secured: Secured): void {
    socket.once('readable', () => {
      // Without a byte its client has ended it. What is read stays with the socket, where the library finds it.
      const bytes = socket.readableLength
      if (bytes === 0 || bytes > FIRST_BYTES_MAX) socket.destroy()
      else if (this.#begun.size < this.#options.handshakesMax) this.#begin(socket, secured)
      else this.#wait(socket, secured)
    })
  }

  /** No further ones. */
  close(): void {
    this.#leave()
    this.#waiting.clear()
  }

  #wait(socket: Socket, secured: Secured): void {
    this.#waiting.set(socket, secured)
    socket.once('close', () => this.#waiting.delete(socket))
  }

  /** False: it died before its turn. Then it has no addresses, or the same as others that died. */
  #begin(socket: Socket, secured: Secured): boolean {
    if (socket.destroyed || socket.remoteAddress === undefined) {
      socket.destroy()
      return false
    }
    const ends = endsOf(socket)
    const begun = { socket, secured }
    this.#begun.set(ends, begun)
    socket.once('close', () => this.#over(ends, begun))
    // Whoever leaves within the hand-shake has nothing to be told; later it is the wire that decides.
    socket.allowHalfOpen = false
    this.#server.emit('connection', socket)
    return true
  }

  #over(ends: string, begun: Readonly<{ socket: Socket }>): void {
    if (this.#begun.get(ends) !== begun) return
    this.#begun.delete(ends)
    for (const [socket, secured] of this.#waiting) {
      this.#waiting.delete(socket)
      if (this.#begin(socket, secured)) return
    }
  }

  #done(socket: TLSSocket): void {
    // Without an address it is gone already.
    const ends = endsOf(socket)
    const begun = this.#begun.get(ends)
    if (begun === undefined) {
      socket.destroy()
      return
    }
    this.#over(ends, begun)
    // Where a certificate is optional: none is as good as a right one, a wrong one is not.
    if (this.#options.settings.clientCertificates === 'optional' && !socket.authorized && socket.getPeerX509Certificate() !== undefined) {
      const reason: unknown = socket.authorizationError
      this.#options.log.debug(
        { remote: `${socket.remoteAddress}:${socket.remotePort}`, reason },
        'connection ended: nobody vouches for its certificate',
      )
      socket.destroy()
      return
    }
    socket.allowHalfOpen = true
    // Of a record that is none the library only tells: the socket would stay.
    socket.on('error', () => socket.destroy())
    begun.secured(socket)
  }
}

const endsOf = ({ remoteAddress, remotePort, localAddress, localPort }: Socket): string =>
  `${remoteAddress} ${remotePort} ${localAddress} ${localPort}`
