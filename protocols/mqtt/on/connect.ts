// CONNECT: who is it, which session, and CONNACK. The first packet, and the only one of its kind [MQTT-3.1.0-1] [MQTT-3.1.0-2].
import type { Address, ErrorCode, Will } from '../../../src/api.ts'
import { NAMESPACE } from '../address.ts'
import { connackRefused, keepAliveOf, NO_WISHES, type Wishes } from '../answers-five.ts'
import * as codec from '../codec.ts'
import { ProtocolError } from '../codec.ts'
import type { MqttConnection } from '../connection.ts'
import { CONNACK_CODE, codeOf, IDENTIFIER_REJECTED, NOT_AUTHORIZED, UNACCEPTABLE_VERSION } from '../errors.ts'
import { Exchange } from '../exchange.ts'
import { FOR_EVER, Five, keepMsOf, wishes } from '../five.ts'
import { newMessage } from '../format.ts'
import { newMessageFive } from '../format-five.ts'
import type { Front } from '../front.ts'
import { type Connect, decodeConnect, type UnknownLevel } from '../packets.ts'
import { ALLOWED, PROPERTY, readProperties } from '../properties.ts'
import { judgePayload } from '../publish-five.ts'
import {
  BAD_AUTHENTICATION_METHOD,
  CONNACK_REASON,
  CONTINUE_AUTHENTICATION,
  IDENTIFIER_NOT_VALID,
  NOT_AUTHORIZED as NOT_AUTHORIZED_FIVE,
  PACKET_TOO_LARGE,
  PAYLOAD_FORMAT_INVALID,
  PROTOCOL_ERROR,
  TOPIC_INVALID,
} from '../reasons.ts'
import { writeAuth } from './auth.ts'
import { isReserved } from './publish.ts'

export function onConnect(connection: MqttConnection, buffer: Buffer, start: number, end: number): void {
  const connect = read(connection, buffer, start, end)
  // [MQTT-3.1.2-2]
  if (connect.version === 0) return refuse(connection, codec.connack(false, UNACCEPTABLE_VERSION))
  const five = connect.version === 5 ? new Five(connect, connection.front.settings) : undefined
  const say: Say = (code, reason, says) => (five === undefined ? codec.connack(false, code) : connackRefused(five, reason, says))
  if (connect.properties !== undefined) {
    const { texts, binaries } = connect.properties
    // [MQTT5-3.1.2.11.10]
    if (binaries.has(PROPERTY.authenticationData) && !texts.has(PROPERTY.authenticationMethod))
      return refuse(connection, say(0, PROTOCOL_ERROR, 'authentication data without a method'))
  }
  if (!identifierFits(connection, connect)) {
    return refuse(connection, say(IDENTIFIER_REJECTED, IDENTIFIER_NOT_VALID, 'the client identifier is longer than is allowed'))
  }
  const will = willOf(connection, connect, say)
  if (will === 'refused') return
  const { broker } = connection.front
  const { remote, secure, certificate } = connection.wire
  const go = (principal: string): void => open(connection, connect, five, will, principal)
  if (five !== undefined && connect.properties?.texts.has(PROPERTY.authenticationMethod) === true)
    return converse(connection, five, connect.properties.binaries.get(PROPERTY.authenticationData), go)
  connection.state = 'connecting'
  // What follows is not read before the client is known: it may send at once [MQTT 3.1.4], and gets as far as the kernel's buffers.
  connection.wire.pause()
  const { user, password } = connect
  broker
    .authenticate({ user, password: password === undefined ? undefined : Buffer.from(password), remote, secure, certificate })
    .then(go, (error: unknown) => {
      const code = loginRefused(connect, codeOf(error))
      refuse(connection, say(code, code === NOT_AUTHORIZED ? NOT_AUTHORIZED_FIVE : CONNACK_REASON[codeOf(error)], sentenceOf(error)))
    })
}

/** Enhanced authentication [MQTT5-4.12]: user name and password are not looked at. */
function converse(connection: MqttConnection, five: Five, data: Buffer | undefined, go: (principal: string) => void): void {
  const { remote, secure, certificate } = connection.wire
  const steps = connection.front.broker.authenticateBy(five.method, { remote, secure, certificate })
  // [MQTT5-4.12.0-1]
  if (steps === undefined) return refuse(connection, connackRefused(five, BAD_AUTHENTICATION_METHOD, 'nobody logs in by this authentication method'))
  const exchange = new Exchange(steps, {
    get closed() {
      return connection.state === 'closed'
    },
    challenge(more: Uint8Array) {
      if (writeAuth(connection, five, CONTINUE_AUTHENTICATION, more)) connection.listen()
      else refuse(connection, connackRefused(five, PACKET_TOO_LARGE, ''))
    },
    done(principal: string, proof: Uint8Array) {
      five.exchange = undefined
      five.principal = principal
      five.proof = proof
      go(principal)
    },
    // [MQTT5-4.12.0-4]
    refused(code: ErrorCode, says: string) {
      const reason = code === 'unauthenticated' ? NOT_AUTHORIZED_FIVE : CONNACK_REASON[code]
      refuse(connection, connackRefused(five, reason, code === 'internal' ? '' : says))
    },
  })
  five.exchange = exchange
  // What AUTH is read by.
  connection.own = { ...connection.own, version: 5, five }
  connection.ponder()
  exchange.step(data === undefined ? undefined : Buffer.from(data))
}

/** What is wrong with a CONNECT of MQTT 5 is told in CONNACK [MQTT5-4.13.1-1]. */
function read(connection: MqttConnection, buffer: Buffer, start: number, end: number): Connect | UnknownLevel {
  try {
    return decodeConnect(buffer, start, end, connection.front.settings.propertyBytesMax)
  } catch (error) {
    if (error instanceof ProtocolError && buffer.toString('latin1', start, Math.min(end, start + 7)) === '\0\x04MQTT\x05') {
      const connack = connackRefused(wishesOf(buffer, start, end), error.reason, error.message)
      if (connack !== undefined) connection.wire.write(connack)
    }
    throw error
  }
}

/** What it said of the packets that it takes, if that can be read: all before it has its place. */
function wishesOf(buffer: Buffer, start: number, end: number): Wishes {
  try {
    return wishes(readProperties(buffer, start + 10, end, ALLOWED.connect).numbers)
  } catch {
    return NO_WISHES
  }
}

function sentenceOf(error: unknown): string {
  return codeOf(error) === 'internal' || !(error instanceof Error) ? '' : error.message
}

function open(connection: MqttConnection, connect: Connect, five: Five | undefined, will: Will | undefined, principal: string): void {
  // The wire may be gone, or its time over.
  if (connection.state !== 'connecting') return
  const { broker, settings, log } = connection.front
  const { clean } = connect
  const clientId = connect.clientId === '' && five !== undefined ? assignedClientId(connection, five) : connect.clientId
  const keepMs = five !== undefined ? keepMsOf(five.sessionExpiryAsked, settings) : clean ? 0 : keepMsOf(FOR_EVER, settings)
  const queuePath = clientId === '' ? ['session', '', `${broker.node}-${++connection.front.nameless}`] : ['session', clientId]
  connection.own = {
    version: connect.version,
    five,
    clientId,
    kept: keepMs > 0,
    queue: broker.address('queue', queuePath, NAMESPACE),
    queueMade: false,
    parkedNotes: new Set(),
    declared: new Set(),
  }
  try {
    const session = broker.open(
      // [MQTT-3.1.4-2] The one that was connected with this identifier is ended first.
      { principal, protocol: 'mqtt', remote: connection.wire.remote, clientId, clash: 'take-over', keepMs, fresh: clean, will },
      connection,
    )
    // [MQTT-3.2.2-1] [MQTT-3.2.2-2]; 3.1 has no such flag and must see 0.
    connection.opened(session, session.resumed && connect.version !== 3, keepAliveOf(connect.keepAliveSeconds, settings.keepAliveMaxSeconds) * 1500)
    if (will !== undefined && will.to.kind === 'queue') session.declare(will.to, { durable: true, lifetime: 'permanent' })
  } catch (error) {
    const code = codeOf(error)
    log[code === 'internal' ? 'error' : 'debug']({ err: error, client: clientId, remote: connection.wire.remote }, 'MQTT session refused')
    const connack = five === undefined ? codec.connack(false, CONNACK_CODE[code]) : connackRefused(five, CONNACK_REASON[code], sentenceOf(error))
    refuse(connection, connack)
  }
}

/** Code 4 says that name or password are wrong: whoever named nobody was not wrong, and is told that somebody must be named. */
export function loginRefused({ user = '', password }: Connect, code: ErrorCode): number {
  const nameless = user === '' && (password === undefined || password.length === 0)
  return code === 'unauthenticated' && nameless ? NOT_AUTHORIZED : CONNACK_CODE[code]
}

/** [MQTT-3.2.2-4] [MQTT-3.2.2-5] */
function refuse(connection: MqttConnection, connack: Uint8Array | undefined): void {
  if (connection.state === 'closed') return
  if (connack !== undefined) connection.wire.write(connack)
  connection.lose('its CONNECT was refused')
}

export function identifierFits(connection: Readonly<{ front: Front }>, connect: Connect): boolean {
  const { clientIdBytesMax, clientIdCharactersMax31 } = connection.front.settings
  const { clientId, version, clean } = connect
  if (Buffer.byteLength(clientId) > clientIdBytesMax) return false
  // MQTT 3.1: 1 to 23 characters, and nobody else gives it a name.
  if (version === 3) return clientId !== '' && Array.from(clientId).length <= clientIdCharactersMax31
  // [MQTT-3.1.3-7] [MQTT-3.1.3-8] Without a name there is nothing by which to find a session again; with MQTT 5 it is given one [MQTT5-3.1.3-6].
  return version === 5 || clientId !== '' || clean
}

/** Never given twice: by this node, in this term, one after the other. */
function assignedClientId({ front }: MqttConnection, five: Five): string {
  const startedAt = front.broker.figures().startedAtMs.toString(36)
  five.assignedClientId = `assigned-${front.broker.node}-${startedAt}-${++front.nameless}`
  return five.assignedClientId
}

/** The CONNACK of a refused CONNECT, in the words of its version. */
type Say = (code: number, reason: number, says: string) => Uint8Array | undefined

function willOf(connection: MqttConnection, connect: Connect, say: Say): Will | undefined | 'refused' {
  const will = connect.will
  if (will === undefined) return undefined
  const refused = (reason: number, says: string): 'refused' => {
    refuse(connection, say(0, reason, says))
    return 'refused'
  }
  let to: Address
  try {
    to = connection.front.topics.address(will.topic, 0, will.topic.length)
  } catch (error) {
    if (!(error instanceof ProtocolError) || will.properties === undefined) throw error
    return refused(error.reason, error.message)
  }
  if (isReserved(to)) {
    if (will.properties !== undefined) return refused(TOPIC_INVALID, 'the will topic belongs to the broker')
    connection.front.reservedDropped++
    return undefined
  }
  if (will.properties?.found.saysText === true && connection.front.settings.checkPayloadFormat) {
    const fault = judgePayload(will.payload)
    if (fault !== undefined) return refused(PAYLOAD_FORMAT_INVALID, fault.message)
  }
  // A copy: it stays as long as the connection, and must not keep what was read with it.
  const payload = Buffer.from(will.payload)
  const retain = !will.retain || to.kind === 'queue' ? 'no' : payload.length === 0 ? 'clear' : 'set'
  const { properties } = will
  if (properties === undefined) return { to, message: newMessage(will.qos, will.retain, payload), retain, delayMs: 0 }
  // Its time to live begins when it is sent.
  const { expirySeconds, willDelaySeconds } = properties.found
  const message = newMessageFive(will.qos, will.retain, payload, properties.packet, { ...properties.found, expirySeconds: -1 }, 0)
  // A time to live of 0 seconds is over when it is sent: the shortest there is, since 0 stands for none.
  return { to, message, retain, delayMs: willDelaySeconds * 1000, ttlMs: expirySeconds < 0 ? 0 : Math.max(1, expirySeconds * 1000) }
}
