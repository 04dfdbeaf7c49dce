// One client's connection: its state, what it owes and is owed. What each packet does is in `on/`, what goes out by itself in outgoing.ts.
//
//     fresh ── CONNECT ─→ connecting ── session open, committed: CONNACK ─→ connected ── DISCONNECT, loss, fault ─→ closed
//                         (what follows CONNECT is kept, unread)
//     A log-in in several steps goes from connecting to authenticating, where AUTH is read, and back, as often as it asks.
//
// Its fault stays in it: whatever a client sends, at worst `ProtocolError` is thrown, and this connection ends.
import type { BrokerError, Connection, Replies, Session, Wire } from '../../src/api.ts'
import { HeartBeat, type HeartBeatOwner } from '../shared/heart-beat.ts'
import { isSessionQueue } from './address.ts'
import { connackAccepted, connackRefused, disconnect, NO_WISHES } from './answers-five.ts'
import { Answers, FREE_ID, SEND_PACKET, SEND_PUBACK, SEND_PUBCOMP, SEND_TAKEN } from './answers.ts'
import * as codec from './codec.ts'
import { ProtocolError } from './codec.ts'
import { ACCEPTED } from './errors.ts'
import { expectFive } from './expect-five.ts'
import { expectFour } from './expect-four.ts'
import type { Five } from './five.ts'
import type { Front } from './front.ts'
import { onAuth } from './on/auth.ts'
import { onConnect } from './on/connect.ts'
import { onDisconnect } from './on/disconnect.ts'
import { onPingreq } from './on/pingreq.ts'
import { onPuback } from './on/puback.ts'
import { onPubcomp } from './on/pubcomp.ts'
import { onPublish } from './on/publish.ts'
import { onPubrec } from './on/pubrec.ts'
import { onPubrel } from './on/pubrel.ts'
import { onSubscribe } from './on/subscribe.ts'
import { onUnsubscribe } from './on/unsubscribe.ts'
import { type Link, Outgoing } from './outgoing.ts'
import { PublishTurns } from './publish-turns.ts'
import { DISCONNECT_REASON, KEEP_ALIVE_TIMEOUT, PACKET_TOO_LARGE, PROTOCOL_ERROR, UNSPECIFIED, USE_ANOTHER_SERVER } from './reasons.ts'
import { newSessionState, type SessionState } from './session-state.ts'

/** Longest CONNECT: fixed fields and five strings of 65,535 bytes, and with MQTT 5 two blocks of properties. A peer that nobody knows yet may make us keep no more. */
const CONNECT_BYTES_MAX = 10 + 5 * 65_537

/** An answer that stands for CONNACK and what begins with it; its number is the session-present flag. */
const CONNECTED = 3

export class MqttConnection implements Connection, Replies, codec.Frames, Link, HeartBeatOwner {
  readonly front: Front
  readonly wire: Wire
  readonly answers = new Answers()
  lastTicket = 0
  state: 'fresh' | 'connecting' | 'authenticating' | 'connected' | 'closed' = 'fresh'
  session: Session | undefined = undefined
  /** With the CONNECT that is being served. */
  own: SessionState = newSessionState()
  outgoing: Outgoing | undefined = undefined
  readonly #framer: codec.Framer
  #doneUpTo = 0
  #answering = false
  #turns: PublishTurns | undefined = undefined
  #keepAlive: HeartBeat | undefined = undefined
  #silenceMaxMs = 0
  #pressed = false
  #congested = false
  #cancelConnectTimeout: () => void

  constructor(front: Front, wire: Wire) {
    this.front = front
    this.wire = wire
    this.#framer = new codec.Framer(this)
    this.#cancelConnectTimeout = front.broker.schedule(front.settings.connectTimeoutMs, () => {
      if (this.state !== 'connected') this.lose('no CONNECT in time')
    })
  }

  // ---- The wire says ----------------------------------------------------------------------------------------------------

  data(bytes: Uint8Array): void {
    if (this.state === 'closed') return
    this.#keepAlive?.read()
    this.#read(() => this.#framer.push(bytes))
  }

  congested(high: boolean): void {
    this.#congested = high
    this.outgoing?.congested(high)
  }

  closed(): void {
    this.#leave('lost')
  }

  shutdown(error: BrokerError): void {
    // MQTT 3.1.1 has no word for it, MQTT 5 may say where to go. What is in flight is neither acknowledged nor refused, and wills wait for the successor.
    this.ended(error)
  }

  // ---- The framer says --------------------------------------------------------------------------------------------------

  expect(first: number, remaining: number): void {
    const type = first >> 4
    if (this.state !== 'connected') this.#expectFromStranger(type, remaining)
    if (type === codec.PUBLISH) {
      if (remaining > this.front.settings.packetBytesMax)
        throw new ProtocolError(`a packet of more than ${this.front.settings.packetBytesMax} bytes`, PACKET_TOO_LARGE)
      return
    }
    if (this.own.five !== undefined) return expectFive(type, first & 0x0f, remaining, this.front.settings.packetBytesMax)
    // MQTT 3.1 sets DUP on PUBREL, SUBSCRIBE and UNSUBSCRIBE that it sends again.
    expectFour(type, first & (this.own.version === 3 ? 0x07 : 0x0f), remaining, this.front.settings.packetBytesMax)
  }

  frame(first: number, buffer: Buffer, start: number, end: number): boolean {
    const session = this.session
    if (session === undefined) {
      if (this.state === 'fresh') onConnect(this, buffer, start, end)
      else if (first >> 4 === codec.AUTH) onAuth(this, buffer, start, end)
      else onDisconnect(this, buffer, start, end)
      return false
    }
    switch (first >> 4) {
      case codec.PUBLISH:
        onPublish(this, session, first, buffer, start, end)
        break
      case codec.PUBACK:
        onPuback(this, buffer, start, end)
        break
      case codec.PUBREC:
        onPubrec(this, buffer, start, end)
        break
      case codec.PUBREL:
        onPubrel(this, session, buffer, start, end)
        break
      case codec.PUBCOMP:
        onPubcomp(this, buffer, start, end)
        break
      case codec.SUBSCRIBE:
        onSubscribe(this, session, buffer, start, end)
        break
      case codec.UNSUBSCRIBE:
        onUnsubscribe(this, session, buffer, start, end)
        break
      case codec.PINGREQ:
        onPingreq(this)
        break
      case codec.DISCONNECT:
        onDisconnect(this, buffer, start, end)
        break
      case codec.AUTH:
        onAuth(this, buffer, start, end)
        break
      default:
        throw new ProtocolError('a second CONNECT [MQTT-3.1.0-2]', PROTOCOL_ERROR)
    }
    // An answer, a refusal or DISCONNECT may have ended the connection meanwhile.
    return this.state === 'connected'
  }

  // ---- The core says ----------------------------------------------------------------------------------------------------

  done(upTo: number): void {
    this.#doneUpTo = upTo
    this.answer()
  }

  admitted(ticket: number): void {
    this.#turns?.admitted(ticket)
  }

  refused(error: BrokerError): void {
    this.#turns?.refused(error)
  }

  pressure(high: boolean): void {
    if (high === this.#pressed || this.state === 'closed') return
    this.#pressed = high
    if (high) this.wire.pause()
    else {
      // It was not the client that was silent.
      this.#keepAlive?.read()
      this.wire.resume()
    }
  }

  ended(error: BrokerError): void {
    if (this.state === 'closed') return
    // The core has ended the session itself: no will, no word more to it.
    this.session = undefined
    const { five } = this.own
    const told = five !== undefined && this.state === 'connected'
    if (told) this.#sayGoodbye(error)
    this.#leave('lost')
    this.front.log.debug({ client: this.own.clientId, remote: this.wire.remote, code: error.code }, 'MQTT connection ended by the broker')
    // A taken-over socket may be dead; it must not linger beside its successor.
    if (error.code === 'taken-over' && !told) this.wire.destroy()
    else this.wire.end()
  }

  // ---- The keep-alive says ----------------------------------------------------------------------------------------------

  /** The broker owes its client no sign of life but PINGRESP. */
  beat(): void {}

  /** [MQTT-3.1.2-24] One and a half times the keep-alive without a packet. */
  silent(): void {
    this.lose('silent for longer than its keep-alive', KEEP_ALIVE_TIMEOUT)
  }

  get paused(): boolean {
    return this.#pressed
  }

  // ---- For the handlers -------------------------------------------------------------------------------------------------

  /** A call was made that needs an answer: `what` is sent when it is done. */
  owe(ticket: number, what: number, packetId: number): void {
    this.lastTicket = ticket
    this.answers.push(ticket, what, packetId)
  }

  /** Of publishes that are not simply taken. */
  get turns(): PublishTurns {
    this.#turns ??= new PublishTurns(this)
    return this.#turns
  }

  /** The client was asked something before CONNACK: what it answers is read. */
  listen(): void {
    this.state = 'authenticating'
    this.#read(() => this.#framer.resume())
    this.wire.resume()
  }

  /** It answered, and what follows is not read before that was looked at. */
  ponder(): void {
    this.state = 'connecting'
    this.wire.pause()
  }

  /** After CONNECT was understood: the session is open, CONNACK follows when that is committed. */
  opened(session: Session, sessionPresent: boolean, silenceMaxMs: number): void {
    this.session = session
    this.#silenceMaxMs = silenceMaxMs
    if (this.own.five !== undefined && session.resumed) this.own.five.leftOver = this.front.settings.receiveMaximum
    this.owe(session.opened, CONNECTED, sessionPresent ? 1 : 0)
  }

  /** Writes what is owed and done. */
  answer(): void {
    // Whoever is called from here may owe more: the loop below sees it.
    if (this.#answering || this.state === 'closed') return
    this.#answering = true
    for (let count = this.answers.ready(this.#doneUpTo); count > 0; count = this.answers.ready(this.#doneUpTo)) this.#write(count)
    this.#answering = false
  }

  outgoingOf(session: Session): Outgoing {
    this.outgoing ??= this.#newOutgoing(session)
    return this.outgoing
  }

  /** Ends the connection because of what came or did not come: the will is sent. `code`: what a client of MQTT 5 is told. */
  lose(reason: string, code = UNSPECIFIED): void {
    if (this.state === 'closed') return
    const { five } = this.own
    if (five !== undefined && this.state === 'connected') this.wire.write(disconnect(five, code, reason, ''))
    this.front.log.debug({ client: this.own.clientId, remote: this.wire.remote, reason }, 'MQTT connection ended')
    this.#leave('lost')
    this.wire.end()
  }

  /** DISCONNECT. `keepMs`: how long its session stays, if it says that anew. */
  leave(how: 'clean' | 'lost', keepMs: number | undefined): void {
    this.#leave(how, keepMs)
    this.wire.end()
  }

  // ---- Inside -----------------------------------------------------------------------------------------------------------

  /** Before CONNACK: of somebody whom nobody knows. */
  #expectFromStranger(type: number, remaining: number): void {
    if (this.state === 'fresh' && type !== codec.CONNECT) throw new ProtocolError('the first packet is not CONNECT [MQTT-3.1.0-1]', PROTOCOL_ERROR)
    // [MQTT5-3.1.2-30]
    if (this.state === 'authenticating' && type !== codec.AUTH && type !== codec.DISCONNECT)
      throw new ProtocolError('neither AUTH nor DISCONNECT before CONNACK', PROTOCOL_ERROR)
    if (remaining > CONNECT_BYTES_MAX + 2 * (4 + this.front.settings.propertyBytesMax))
      throw new ProtocolError('a packet that is longer than its fields can be')
  }

  /** Runs what may meet a client's fault. */
  #read(run: () => void): void {
    try {
      run()
      this.outgoing?.flush()
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error
      if (this.state === 'authenticating') this.#writeRefusal(error.reason, error.message)
      this.lose(error.message, error.reason)
    }
  }

  /** MQTT 5: the connection ends by the broker's wish, and its client is told why, and where to go if another node is known. */
  #sayGoodbye(error: BrokerError): void {
    const { five } = this.own
    if (five === undefined) return
    const leaving = error.code === 'shutting-down' || error.code === 'not-leading'
    const [server = '', ...others] = leaving ? this.front.broker.pairAddresses('mqtt', this.wire.secure) : []
    const elsewhere = others.length > 0 ? server : ''
    this.wire.write(disconnect(five, elsewhere === '' ? DISCONNECT_REASON[error.code] : USE_ANOTHER_SERVER, error.message, elsewhere))
  }

  /** As `#write`, with the reasons of MQTT 5; what is answered to its end is one publish less that waits. */
  #writeFive(five: Five, count: number): void {
    const bytes = Buffer.allocUnsafe(count * 5)
    let from = 0
    let at = 0
    for (let i = 0; i < count; i++) {
      const code = this.answers.shift()
      const what = Math.floor(code / 65_536)
      const first = what & 0xff
      const packetId = code % 65_536
      if (first >= SEND_PUBACK) {
        const reason = what >> 8
        if (first === SEND_PUBACK || (first === SEND_PUBCOMP && (reason === 0 || five.leftOver-- > 0))) five.answered()
        at = reason === 0 ? codec.writeAcknowledgement(bytes, at, first, packetId) : codec.writeReasoned(bytes, at, first, packetId, reason)
        continue
      }
      if (at > from) this.wire.write(bytes.subarray(from, at))
      from = at
      this.#act(what, packetId)
    }
    if (at > from) this.wire.write(bytes.subarray(from, at))
  }

  #act(what: number, packetId: number): void {
    if (what === SEND_PACKET) this.wire.write(this.answers.shiftPacket())
    else if (what === FREE_ID) this.outgoing?.free(packetId)
    else if (what === SEND_TAKEN) this.outgoing?.taken()
    else if (what === CONNECTED) this.#connected(packetId === 1)
  }

  #write(count: number): void {
    if (this.own.five !== undefined) return this.#writeFive(this.own.five, count)
    const bytes = Buffer.allocUnsafe(count * 4)
    let from = 0
    let at = 0
    for (let i = 0; i < count; i++) {
      const code = this.answers.shift()
      const what = Math.floor(code / 65_536)
      const packetId = code % 65_536
      if (what >= SEND_PUBACK) {
        at = codec.writeAcknowledgement(bytes, at, what, packetId)
        continue
      }
      if (at > from) this.wire.write(bytes.subarray(from, at))
      from = at
      this.#act(what, packetId)
    }
    if (at > from) this.wire.write(bytes.subarray(from, at))
  }

  #connected(sessionPresent: boolean): void {
    const { five, clientId } = this.own
    const session = this.session
    const connack =
      five === undefined || session === undefined
        ? codec.connack(sessionPresent, ACCEPTED)
        : connackAccepted(five, sessionPresent, session, this.front.settings, clientId)
    if (connack === undefined) return this.#refuseLarge()
    this.state = 'connected'
    this.front.connected++
    if (this.front.connected > this.front.connectedMax) this.front.connectedMax = this.front.connected
    this.#cancelConnectTimeout()
    this.wire.write(connack)
    if (this.#silenceMaxMs > 0) this.#keepAlive = new HeartBeat(this.front.broker, this, { beatAfterMs: 0, silenceMaxMs: this.#silenceMaxMs })
    // Not from inside the core's call: what was kept meanwhile goes to the core in its turn.
    this.front.broker.clock.turn(() => this.#begin())
  }

  /** [MQTT5-3.1.2-24] What its client must be told does not fit into what it takes. */
  #refuseLarge(): void {
    this.#writeRefusal(PACKET_TOO_LARGE, '')
    this.leave('clean', undefined)
  }

  #writeRefusal(reason: number, says: string): void {
    const connack = connackRefused(this.own.five ?? NO_WISHES, reason, says)
    if (connack !== undefined) this.wire.write(connack)
  }

  #begin(): void {
    const session = this.session
    if (session === undefined || this.state !== 'connected') return
    try {
      this.#read(() => {
        this.#takeHeld(session)
        this.#framer.resume()
      })
    } catch (error) {
      // Ours, not the client's; it must stay in this connection all the same.
      this.front.log.error({ err: error, client: this.own.clientId }, 'MQTT connection failed')
      this.lose('an internal error')
    }
    this.wire.resume()
  }

  /** A session that is continued takes from what it held. */
  #takeHeld(session: Session): void {
    for (const { queue, tag } of session.held) {
      if (isSessionQueue(queue)) {
        this.own.queueMade = true
        this.own.five?.restore(session.boundTo(queue))
      }
      if (!this.outgoingOf(session).take(queue, tag)) throw new Error(`cannot take from a held queue: ${session.refusal?.message}`)
    }
  }

  #newOutgoing(session: Session): Outgoing {
    const outgoing = new Outgoing(this, session)
    if (this.#congested) outgoing.congested(true)
    return outgoing
  }

  #leave(how: 'clean' | 'lost', keepMs?: number): void {
    if (this.state === 'closed') return
    if (this.state === 'connected') this.front.connected--
    this.state = 'closed'
    this.#cancelConnectTimeout()
    this.#keepAlive?.stop()
    this.#framer.clear()
    const session = this.session
    this.session = undefined
    session?.close(how, keepMs)
  }
}
