// CONNECT: who is it, which session, and CONNACK. The first packet, and the only one of its kind [MQTT-3.1.0-1] [MQTT-3.1.0-2].
import type { Address, ErrorCode, Will } from '../../../src/api.ts'
import { NAMESPACE } from '../address.ts'
import * as codec from '../codec.ts'
import type { MqttConnection } from '../connection.ts'
import { CONNACK_CODE, codeOf, FIVE_UNSUPPORTED_VERSION, IDENTIFIER_REJECTED, NOT_AUTHORIZED, UNACCEPTABLE_VERSION } from '../errors.ts'
import { newMessage } from '../format.ts'
import { type Connect, decodeConnect } from '../packets.ts'
import { isReserved } from './publish.ts'

export function onConnect(connection: MqttConnection, buffer: Buffer, start: number, end: number): void {
  const connect = decodeConnect(buffer, start, end)
  if (connect.version === 0) {
    // [MQTT-3.1.2-2]; a client of MQTT 5 understands only its own form.
    return refuse(connection, connect.level === 5 ? codec.connackFive(FIVE_UNSUPPORTED_VERSION) : codec.connack(false, UNACCEPTABLE_VERSION))
  }
  if (!identifierFits(connection, connect)) return refuse(connection, codec.connack(false, IDENTIFIER_REJECTED))
  const will = willOf(connection, connect)
  const { broker } = connection.front
  const { remote, secure } = connection.wire
  connection.state = 'connecting'
  // What follows is not read before the client is known: it may send at once [MQTT 3.1.4], and gets as far as the kernel's buffers.
  connection.wire.pause()
  const { user, password } = connect
  broker.authenticate({ user, password: password === undefined ? undefined : Buffer.from(password), remote, secure }).then(
    (principal) => open(connection, connect, will, principal),
    (error: unknown) => refuse(connection, codec.connack(false, loginRefused(connect, codeOf(error)))),
  )
}

function open(connection: MqttConnection, connect: Connect, will: Will | undefined, principal: string): void {
  // The wire may be gone, or its time over.
  if (connection.state !== 'connecting') return
  const { broker, settings, log } = connection.front
  const { clientId, clean } = connect
  const keepMs = clean ? 0 : settings.sessionExpiryMs === 0 ? Number.POSITIVE_INFINITY : settings.sessionExpiryMs
  const queuePath = clientId === '' ? ['session', '', `${broker.node}-${++connection.front.nameless}`] : ['session', clientId]
  connection.own = {
    version: connect.version,
    clientId,
    kept: !clean,
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
    connection.opened(session, session.resumed && connect.version === 4, silenceMaxMs(connect.keepAliveSeconds, settings.keepAliveMaxSeconds))
    if (will !== undefined && will.to.kind === 'queue') session.declare(will.to, { durable: true, lifetime: 'permanent' })
  } catch (error) {
    const code = codeOf(error)
    log[code === 'internal' ? 'error' : 'debug']({ err: error, client: clientId, remote: connection.wire.remote }, 'MQTT session refused')
    refuse(connection, codec.connack(false, CONNACK_CODE[code]))
  }
}

/** Code 4 says that name or password are wrong: whoever named nobody was not wrong, and is told that somebody must be named. */
function loginRefused({ user = '', password }: Connect, code: ErrorCode): number {
  const nameless = user === '' && (password === undefined || password.length === 0)
  return code === 'unauthenticated' && nameless ? NOT_AUTHORIZED : CONNACK_CODE[code]
}

/** [MQTT-3.2.2-4] [MQTT-3.2.2-5] */
function refuse(connection: MqttConnection, connack: Uint8Array): void {
  if (connection.state === 'closed') return
  connection.wire.write(connack)
  connection.lose('its CONNECT was refused')
}

function identifierFits(connection: MqttConnection, connect: Connect): boolean {
  const { clientIdBytesMax, clientIdCharactersMax31 } = connection.front.settings
  const { clientId, version, clean } = connect
  if (Buffer.byteLength(clientId) > clientIdBytesMax) return false
  // MQTT 3.1: 1 to 23 characters, and nobody else gives it a name.
  if (version === 3) return clientId !== '' && Array.from(clientId).length <= clientIdCharactersMax31
  // [MQTT-3.1.3-7] [MQTT-3.1.3-8] Without a name there is nothing by which to find a session again.
  return clientId !== '' || clean
}

function willOf(connection: MqttConnection, connect: Connect): Will | undefined {
  const will = connect.will
  if (will === undefined) return undefined
  const to: Address = connection.front.topics.address(will.topic, 0, will.topic.length)
  if (isReserved(to)) {
    connection.front.reservedDropped++
    return undefined
  }
  // A copy: it stays as long as the connection, and must not keep what was read with it.
  const payload = Buffer.from(will.payload)
  const retain = !will.retain || to.kind === 'queue' ? 'no' : payload.length === 0 ? 'clear' : 'set'
  return { to, message: newMessage(will.qos, will.retain, payload), retain, delayMs: 0 }
}

function silenceMaxMs(askedSeconds: number, maxSeconds: number): number {
  const seconds = maxSeconds > 0 && (askedSeconds === 0 || askedSeconds > maxSeconds) ? maxSeconds : askedSeconds
  return seconds * 1500
}
