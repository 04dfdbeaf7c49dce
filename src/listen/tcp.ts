// TCP listeners: sockets in, wires out. It bounds how many connections there are and how fast they come, and closes them when the node stops.
// What one connection does is `tcp-wire.ts`; what travels on it, the front ends'. Listeners whose connections begin with a hand-shake
// (`websocket.ts`) get sockets and give back wires, and stand under the same bounds.
import { createServer, type Server, type Socket } from 'node:net'
import type { BrokerError, Clock, FrontEnd, Log } from '../api.ts'
import type { Limits } from '../config/settings.ts'
import type { OwnedWire, WireOwner } from './gathering-wire.ts'
import { Output } from './output.ts'
import { TcpWire } from './tcp-wire.ts'
import type { Handshakes } from './tls.ts'

/** How long an ending connection may take to send its last bytes. */
const LINGER_MS = 5_000
/** How often connections that wait to be admitted, or to be cut off, are looked at. */
const TICK_MS = 50

/** `tls`: the connections begin with its hand-shake. */
export type Place = Readonly<{ name: string; host: string; port: number; tls?: Handshakes | undefined }>
export type TcpListenOptions = Place & Readonly<{ frontEnd: Pick<FrontEnd, 'accept'> }>
/** `greet` begins the hand-shake; who has not become a wire (`seat`) after `greetMs` is cut off. */
export type GreetOptions = Place & Readonly<{ greet: (socket: Socket) => void; greetMs: number }>

export class Tcp implements WireOwner {
  readonly log: Log
  readonly output: Output
  readonly #clock: Clock
  readonly #limits: Limits
  readonly #servers: Server[] = []
  readonly #wires = new Set<OwnedWire>()
  /** Ending wires and when they are cut off, oldest first. */
  readonly #lingering = new Map<OwnedWire, number>()
  /** Sockets that have not finished their hand-shake, and when they are cut off. */
  readonly #greeted = new Map<Socket, number>()
  /** Accepted by the system, not yet by us: more came than `connectionsPerSecond`. Oldest first. */
  readonly #waiting = new Map<Socket, (socket: Socket) => void>()
  readonly #handshakes = new Set<Handshakes>()
  #admissions = 0
  #admissionsAtMs: number
  #ticking: (() => void) | undefined
  #emptied: (() => void) | undefined
  #refused = 0
  #accepted = 0

  constructor(options: Readonly<{ clock: Clock; limits: Limits; log: Log }>) {
    this.#clock = options.clock
    this.#limits = options.limits
    this.log = options.log
    this.output = new Output(options.clock, options.limits, this.#wires)
    this.#admissionsAtMs = options.clock.monoMs()
    this.#admissions = options.limits.connectionsPerSecond
  }

  get connections(): number {
    return this.#wires.size + this.#waiting.size + this.#greeted.size
  }

  /** Since the start; without those that were closed at once. */
  get connectionsTotal(): number {
    return this.#accepted
  }

  /** Connections closed at once because there were too many. */
  get refused(): number {
    return this.#refused
  }

  /** Answers where it listens, as `host:port`; rejects when the address cannot be had. */
  listen(options: TcpListenOptions): Promise<string> {
    const { tls, frontEnd } = options
    const open = (socket: Socket): void => {
      const wire = new TcpWire(socket, this)
      this.#wires.add(wire)
      wire.open((opened) => frontEnd.accept(opened))
    }
    if (tls === undefined) return this.#listen(options, open)
    return this.#listen(options, (socket) => this.#secure(socket, tls, open))
  }

  /** As `listen`, for connections that begin with a hand-shake. */
  listenAndGreet(options: GreetOptions): Promise<string> {
    const { tls, greet, greetMs } = options
    const open = (socket: Socket): void => {
      this.#await(socket, greetMs)
      greet(socket)
    }
    if (tls === undefined) return this.#listen(options, open)
    return this.#listen(options, (socket) => this.#secure(socket, tls, open))
  }

  #secure(socket: Socket, tls: Handshakes, open: (socket: Socket) => void): void {
    this.#await(socket, tls.timeoutMs)
    tls.greet(socket, (secured) => {
      if (this.#greeted.delete(socket)) open(secured)
      else secured.destroy()
    })
  }

  /** Cut off after so long, unless it is greeted by then. */
  #await(socket: Socket, greetMs: number): void {
    this.#greeted.set(socket, this.#clock.monoMs() + greetMs)
    socket.on('error', () => {})
    socket.once('close', () => this.#greeted.delete(socket))
    this.#tickLater()
  }

  /** The hand-shake of this socket is done. False: too late, the node stops. */
  seat(socket: Socket, wire: OwnedWire): boolean {
    if (!this.#greeted.delete(socket)) return false
    this.#wires.add(wire)
    return true
  }

  #listen(options: Place, open: (socket: Socket) => void): Promise<string> {
    if (options.tls !== undefined) this.#handshakes.add(options.tls)
    const server = createServer(
      {
        allowHalfOpen: true,
        noDelay: true,
        keepAlive: true,
        keepAliveInitialDelay: 60_000,
        pauseOnConnect: true,
        // TLS has marks of its own: these only hold what is read before its hand-shake to one piece.
        ...(options.tls === undefined ? {} : { highWaterMark: 1 }),
      },
      (socket) => this.#accept(socket, open),
    )
    return new Promise((resolve, reject) => {
      server.once('error', reject)
      server.listen({ host: options.host, port: options.port, backlog: 1024 }, () => {
        server.off('error', reject)
        // Running out of descriptors: the system keeps the connection in its backlog, and the next is tried again.
        server.on('error', (error) => this.log.warn({ listener: options.name, error }, 'a connection could not be accepted'))
        this.#servers.push(server)
        resolve(addressOf(server))
      })
    })
  }

  /** No further connections. */
  stopAccepting(): void {
    for (const server of this.#servers) server.close()
    this.#servers.length = 0
    for (const socket of this.#waiting.keys()) socket.destroy()
    this.#waiting.clear()
    for (const handshakes of this.#handshakes) handshakes.close()
    for (const socket of this.#greeted.keys()) socket.destroy()
    this.#greeted.clear()
  }

  /** What is on its way in stays there; answers still go out. */
  stopReading(): void {
    for (const wire of this.#wires) wire.pause()
  }

  /** Every front end says goodbye in its protocol's words; who has not read it after `graceMs` is cut off. */
  async shutdown(error: BrokerError, graceMs: number): Promise<void> {
    this.stopAccepting()
    for (const wire of this.#wires) wire.shutdown(error)
    if (this.#wires.size > 0) {
      await new Promise<void>((resolve) => {
        const cancel = this.#clock.after(graceMs, () => {
          for (const wire of this.#wires) wire.destroy()
        })
        this.#emptied = () => {
          cancel()
          resolve()
        }
      })
    }
    this.#ticking?.()
    this.#ticking = undefined
  }

  lingers(wire: OwnedWire): void {
    this.#lingering.set(wire, this.#clock.monoMs() + LINGER_MS)
    this.#tickLater()
  }

  gone(wire: OwnedWire): void {
    this.#wires.delete(wire)
    this.#lingering.delete(wire)
    if (this.#wires.size === 0) this.#emptied?.()
  }

  #accept(socket: Socket, open: (socket: Socket) => void): void {
    if (this.connections >= this.#limits.connections) {
      // Counted, and logged at powers of two only: whoever connects in a loop must not fill the log.
      const refused = ++this.#refused
      if ((refused & (refused - 1)) === 0)
        this.log.warn({ refused, limit: this.#limits.connections }, 'connection refused: limits.connections is reached')
      socket.destroy()
      return
    }
    this.#accepted++
    if (this.#limits.connectionsPerSecond > 0 && (this.#waiting.size > 0 || !this.#admit())) {
      this.#waiting.set(socket, open)
      this.#tickLater()
      return
    }
    open(socket)
  }

  /** A bucket of one second's connections, filled evenly. */
  #admit(): boolean {
    const now = this.#clock.monoMs()
    const rate = this.#limits.connectionsPerSecond
    this.#admissions = Math.min(rate, this.#admissions + ((now - this.#admissionsAtMs) * rate) / 1000)
    this.#admissionsAtMs = now
    if (this.#admissions < 1) return false
    this.#admissions--
    return true
  }

  /** One timer for all connections, and none while nobody waits. */
  #tickLater(): void {
    this.#ticking ??= this.#clock.after(TICK_MS, () => {
      this.#ticking = undefined
      this.#tick()
      if (this.#lingering.size + this.#waiting.size + this.#greeted.size > 0) this.#tickLater()
    })
  }

  #tick(): void {
    const now = this.#clock.monoMs()
    for (const [wire, untilMs] of this.#lingering) {
      if (untilMs > now) break
      this.#lingering.delete(wire)
      wire.destroy()
    }
    for (const [socket, untilMs] of this.#greeted) if (untilMs <= now) socket.destroy()
    for (const [socket, open] of this.#waiting) {
      if (!this.#admit()) break
      this.#waiting.delete(socket)
      // Nothing was read of it, so it cannot have failed: if its client left, the first read says so.
      open(socket)
    }
  }
}

function addressOf(server: Server): string {
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('a TCP server has an address')
  return address.family === 'IPv6' ? `[${address.address}]:${address.port}` : `${address.address}:${address.port}`
}
