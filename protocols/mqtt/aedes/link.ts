// One client of MQTT 3.1 or 3.1.1 whose packets aedes reads and answers. aedes has the state machine of the connection; what must last is the core's, and
// aedes is let go on when the core has committed it. Each client has an aedes of its own: who is taken over, and who hears what, the core decides.
//
//     wire → framer → judge → WireStream → aedes ── hooks ──→ publishes.ts, subscriptions.ts → core
//     wire ←───────────────── WireStream ← aedes ← publish ── deliveries.ts ←───────────────── core
//
// Not here: which clients come here (choice.ts). MQTT 5 does not.
import type { Aedes, AuthenticateError, Client } from 'aedes'
import type { BrokerError, Connection, Replies, Session, Will, Wire } from '../../../src/api.ts'
import { HeartBeat, type HeartBeatOwner } from '../../shared/heart-beat.ts'
import { isSessionQueue, NAMESPACE } from '../address.ts'
import { keepAliveOf } from '../answers-five.ts'
import * as codec from '../codec.ts'
import { ProtocolError } from '../codec.ts'
import { CONNACK_CODE, codeOf, IDENTIFIER_REJECTED } from '../errors.ts'
import { FOR_EVER, keepMsOf } from '../five.ts'
import { newMessage } from '../format.ts'
import type { Front } from '../front.ts'
import { identifierFits, loginRefused } from '../on/connect.ts'
import { isReserved } from '../on/publish.ts'
import { type Connect, decodeConnect } from '../packets.ts'
import { newSessionState, type SessionState } from '../session-state.ts'
import { Deliveries, type Outbound, type Receiver } from './deliveries.ts'
import { Gate } from './gate.ts'
import { CONNECT_BYTES_MAX, expect, judge } from './judge.ts'
import { Publishes } from './publishes.ts'
import { type Kept, mq, persistence } from './stores.ts'
import { subscribe, unsubscribe } from './subscriptions.ts'
import { WireStream } from './wire-stream.ts'

/** The class of aedes, which is loaded only where it is asked for. */
type Engine = typeof Aedes

/** aedes's own signs of life to its cluster, of which there is none. */
const SELDOM_MS = 86_400_000

export class AedesLink implements Connection, Replies, codec.Frames, HeartBeatOwner, Receiver, Kept {
  readonly front: Front
  readonly wire: Wire
  readonly publishes: Publishes
  readonly deliveries = new Deliveries(this)
  session: Session | undefined = undefined
  own: SessionState = newSessionState()
  /** Of the session's last call: what is answered later is answered after it. */
  lastTicket = 0
  isCongested = false
  readonly #engine: Engine
  readonly #framer = new codec.Framer(this)
  readonly #stream: WireStream
  /** What waits for the core beside publishes. */
  readonly #others = new Gate()
  #state: 'fresh' | 'connecting' | 'connected' | 'closed' = 'fresh'
  #aedes: Aedes | undefined = undefined
  #client: Client | undefined = undefined
  #keepAlive: HeartBeat | undefined = undefined
  #outbound: Outbound | undefined = undefined
  #goodbye = false
  #wireGone = false
  #pressed = false
  readonly #cancelConnectTimeout: () => void

  constructor(front: Front, wire: Wire, engine: Engine) {
    this.front = front
    this.wire = wire
    this.#engine = engine
    this.publishes = new Publishes(this)
    this.#stream = new WireStream(wire, () => this.#leave(this.#goodbye ? 'clean' : 'lost'))
    this.#cancelConnectTimeout = front.broker.schedule(front.settings.connectTimeoutMs, () => {
      if (this.#state !== 'connected') this.lose('no CONNECT in time')
    })
  }

  // ---- The wire says ----------------------------------------------------------------------------------------------------

  data(bytes: Uint8Array): void {
    this.#keepAlive?.read()
    this.#read(() => this.#framer.push(bytes))
  }

  congested(high: boolean): void {
    this.isCongested = high
    this.#stream.congested(high)
    this.deliveries.congested(high)
  }

  closed(): void {
    this.#wireGone = true
    // What came before the end is still taken, DISCONNECT above all: aedes reads it when it is done with what came before.
    if (this.#state !== 'connected' || this.publishes.parks) return this.#leave('lost')
    this.deliveries.stop()
    this.#stream.gone()
  }

  shutdown(error: BrokerError): void {
    this.ended(error)
  }

  // ---- The framer says --------------------------------------------------------------------------------------------------

  expect(first: number, remaining: number): void {
    if (this.#state === 'fresh' && remaining > CONNECT_BYTES_MAX) throw new ProtocolError('a packet that is longer than its fields can be')
    expect(first, remaining, this.own.version, this.front.settings.packetBytesMax)
  }

  frame(first: number, buffer: Buffer, start: number, end: number): boolean {
    if (this.#goodbye || this.#state === 'closed') return false
    const content = buffer.subarray(start, end)
    if (this.#state === 'fresh') {
      const connect = decodeConnect(buffer, start, end)
      if (connect.version !== 3 && connect.version !== 4) throw new ProtocolError('not a version that aedes speaks')
      this.#state = 'connecting'
      this.own = { ...this.own, version: connect.version }
      // What follows is not read before the client is known: it may send at once [MQTT 3.1.4], and gets as far as the kernel's buffers.
      this.wire.pause()
      this.#begin(connect, headerOf(first, content.length), content).catch((error: unknown) => {
        this.front.log.error({ err: error, remote: this.wire.remote }, 'aedes could not begin')
        this.lose('an internal error')
      })
      return false
    }
    judge(this.front, first, buffer, start, end)
    this.#goodbye = first >> 4 === codec.DISCONNECT
    this.#stream.packet(headerOf(first, content.length), content)
    return true
  }

  // ---- The core says ----------------------------------------------------------------------------------------------------

  done(upTo: number): void {
    // An identifier that PUBREL freed may be that of a publish already.
    this.#others.done(upTo)
    this.publishes.done(upTo)
  }

  admitted(ticket: number): void {
    this.publishes.admitted(ticket)
  }

  refused(error: BrokerError): void {
    this.publishes.refused(error)
  }

  pressure(high: boolean): void {
    if (high === this.#pressed || this.#state === 'closed') return
    this.#pressed = high
    if (high) this.wire.pause()
    else this.wire.resume()
  }

  ended(error: BrokerError): void {
    if (this.#state === 'closed') return
    // The core has ended the session itself: no will, no word more to it.
    this.session = undefined
    this.#leave('lost')
    // A taken-over socket may be dead; it must not linger beside its successor.
    if (error.code === 'taken-over') this.wire.destroy()
  }

  // ---- The keep-alive says ----------------------------------------------------------------------------------------------

  beat(): void {}

  /** [MQTT-3.1.2-24] */
  silent(): void {
    this.lose('silent for longer than its keep-alive')
  }

  /** aedes reads no further while a publish waits. */
  get paused(): boolean {
    return this.#pressed || this.publishes.waits
  }

  // ---- aedes says -------------------------------------------------------------------------------------------------------

  get resumed(): boolean {
    // MQTT 3.1 has no such flag and must see 0.
    return this.session?.resumed === true && this.own.version !== 3
  }

  unsubscribe(filters: readonly string[]): Promise<void> {
    unsubscribe(this, filters)
    return this.settled()
  }

  forget(packetId: number): void {
    this.publishes.forget(packetId)
  }

  settled(): Promise<void> {
    return new Promise((resolve) => this.#others.after(this.lastTicket, resolve))
  }

  received(packetId: number): Promise<void> {
    return new Promise((resolve) => this.deliveries.received(packetId, resolve))
  }

  acknowledged(kind: 'puback' | 'pubcomp', packetId: number): Promise<void> {
    return new Promise((resolve, reject) => {
      if (!this.deliveries.acknowledged(kind, packetId, resolve)) reject(new ProtocolError(`${kind} for a message of another quality of service`))
    })
  }

  // ---- For deliveries, publishes and subscriptions ----------------------------------------------------------------------

  send(packet: Outbound, sent: () => void): void {
    this.#outbound = packet
    this.#client?.publish({ ...packet }, () => sent())
  }

  release(packetId: number): void {
    const pubrel = Buffer.allocUnsafe(4)
    codec.writeAcknowledgement(pubrel, 0, (codec.PUBREL << 4) | 2, packetId)
    this.#stream.write(pubrel)
  }

  after(ticket: number, go: () => void): void {
    this.#others.after(ticket, go)
  }

  lose(reason: string): void {
    if (this.#state === 'closed') return
    this.front.log.debug({ client: this.own.clientId, remote: this.wire.remote, reason }, 'MQTT connection ended')
    this.#leave('lost')
  }

  // ---- Inside -----------------------------------------------------------------------------------------------------------

  #read(run: () => void): void {
    try {
      run()
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error
      this.lose(error.message)
    }
  }

  async #begin(connect: Connect, header: Buffer, content: Buffer): Promise<void> {
    const { settings } = this.front
    const aedes = new this.#engine({
      mq: mq(),
      persistence: persistence(this),
      heartbeatInterval: SELDOM_MS,
      connectTimeout: settings.connectTimeoutMs,
      // The core's credit bounds what is written, and the wire what is not taken.
      drainTimeout: 0,
      // Notes of the core, which has a limit of its own.
      maxInflightInbound: 0,
      maxClientsIdLength: settings.clientIdCharactersMax31,
      preConnect(_client, packet, callback) {
        // The core has the will, and the keep-alive is ours: silence is no fault of a client that is not read.
        delete packet.will
        packet.keepalive = 0
        callback(null, true)
      },
      authenticate: (_client, _user, _password, callback) => this.#logIn(connect, callback),
      authorizePublish: (_client, packet, callback) => this.publishes.publish(packet, callback),
      authorizeSubscribe: (_client, wish, callback) => subscribe(this, wish, callback),
      // The one place where an identifier can be given.
      authorizeForward: (_client, packet) => Object.assign(packet, this.#outbound),
    })
    aedes.on('clientReady', () => this.#connected(keepAliveOf(connect.keepAliveSeconds, settings.keepAliveMaxSeconds) * 1500))
    // Of a kept session it was done before it was answered.
    aedes.on('unsubscribe', (filters) => {
      if (!this.own.kept && this.#state === 'connected') unsubscribe(this, filters)
    })
    await aedes.listen()
    if (this.#state === 'closed') return aedes.close()
    this.#aedes = aedes
    this.#client = aedes.handle(this.#stream)
    this.#stream.packet(header, content)
  }

  #logIn(connect: Connect, answer: (error: AuthenticateError | null, success: boolean) => void): void {
    const { broker } = this.front
    const { remote, secure, certificate } = this.wire
    const { user, password } = connect
    const refuse = (returnCode: number): void => answer(Object.assign(new Error('CONNECT was refused'), { returnCode }), false)
    if (!identifierFits(this, connect)) return refuse(IDENTIFIER_REJECTED)
    const login = { user, password: password === undefined ? undefined : Buffer.from(password), remote, secure, certificate }
    broker.authenticate(login).then(
      (principal) => this.#open(connect, principal, refuse, () => answer(null, true)),
      (error: unknown) => refuse(loginRefused(connect, codeOf(error))),
    )
  }

  #open(connect: Connect, principal: string, refuse: (code: number) => void, opened: () => void): void {
    if (this.#state !== 'connecting') return
    const { broker, settings, log } = this.front
    const { clean, clientId, version } = connect
    const keepMs = clean ? 0 : keepMsOf(FOR_EVER, settings)
    const path = clientId === '' ? ['session', '', `${broker.node}-${++this.front.nameless}`] : ['session', clientId]
    this.own = {
      ...newSessionState(),
      version: version === 3 ? 3 : 4,
      clientId,
      kept: keepMs > 0,
      queue: broker.address('queue', path, NAMESPACE),
      parkedNotes: new Set(),
      declared: new Set(),
    }
    try {
      const will = this.#willOf(connect)
      const { remote } = this.wire
      // [MQTT-3.1.4-2] The one that was connected with this identifier is ended first.
      const session = broker.open({ principal, protocol: 'mqtt', remote, clientId, clash: 'take-over', keepMs, fresh: clean, will }, this)
      this.session = session
      this.lastTicket = session.opened
      if (will?.to.kind === 'queue') session.declare(will.to, { durable: true, lifetime: 'permanent' })
      this.#others.after(session.opened, opened)
    } catch (error) {
      const code = codeOf(error)
      log[code === 'internal' ? 'error' : 'debug']({ err: error, client: clientId, remote: this.wire.remote }, 'MQTT session refused')
      refuse(CONNACK_CODE[code])
    }
  }

  #willOf({ will }: Connect): Will | undefined {
    if (will === undefined) return undefined
    const to = this.front.topics.address(will.topic, 0, will.topic.length)
    if (isReserved(to)) {
      this.front.reservedDropped++
      return undefined
    }
    // A copy: it stays as long as the connection, and must not keep what was read with it.
    const payload = Buffer.from(will.payload)
    const retain = !will.retain || to.kind === 'queue' ? 'no' : payload.length === 0 ? 'clear' : 'set'
    return { to, message: newMessage(will.qos, will.retain, payload), retain, delayMs: 0 }
  }

  /** aedes has sent CONNACK. */
  #connected(silenceMaxMs: number): void {
    const session = this.session
    if (session === undefined || this.#state !== 'connecting') return
    this.#state = 'connected'
    this.#cancelConnectTimeout()
    this.front.connected++
    if (this.front.connected > this.front.connectedMax) this.front.connectedMax = this.front.connected
    if (silenceMaxMs > 0) this.#keepAlive = new HeartBeat(this.front.broker, this, { beatAfterMs: 0, silenceMaxMs })
    for (const { queue } of session.held) {
      // Of another engine there may be more: shared queues, which are not taken from here.
      if (!isSessionQueue(queue)) continue
      this.own.queueMade = true
      if (!this.deliveries.take(session, queue, this.isCongested)) return this.lose(`cannot take from a held queue: ${session.refusal?.message}`)
    }
    this.#read(() => this.#framer.resume())
    this.wire.resume()
  }

  #leave(how: 'clean' | 'lost'): void {
    if (this.#state === 'closed') return
    if (this.#state === 'connected') this.front.connected--
    this.#state = 'closed'
    this.#cancelConnectTimeout()
    this.#keepAlive?.stop()
    this.#framer.clear()
    this.deliveries.stop()
    this.publishes.stop()
    this.#others.clear()
    const session = this.session
    this.session = undefined
    session?.close(how)
    this.#stream.destroy()
    this.#aedes?.close()
    if (!this.#wireGone) this.wire.end()
  }
}

function headerOf(first: number, remaining: number): Buffer {
  const header = Buffer.allocUnsafe(1 + codec.lengthBytes(remaining))
  header[0] = first
  codec.writeLength(header, 1, remaining)
  return header
}
