// DISCONNECT: the client goes, and its will is forgotten [MQTT-3.14.4-3]. With MQTT 5 it may keep its will, and say anew how long its session stays.
import { ProtocolError } from '../codec.ts'
import type { MqttConnection } from '../connection.ts'
import { keepMsOf } from '../five.ts'
import { decodeDisconnect } from '../packets.ts'
import { OF_DISCONNECT, PROTOCOL_ERROR, SUCCESS } from '../reasons.ts'

export function onDisconnect(connection: MqttConnection, buffer: Buffer, start: number, end: number): void {
  const { five } = connection.own
  if (five === undefined) return leave(connection, 'clean', undefined)
  const { reason, sessionExpirySeconds } = decodeDisconnect(buffer, start, end, OF_DISCONNECT)
  // [MQTT5-3.14.2.2.2] A session that was to end with its connection stays so.
  if (five.sessionExpiryAsked === 0 && (sessionExpirySeconds ?? 0) > 0)
    throw new ProtocolError('a session expiry in DISCONNECT where CONNECT had none', PROTOCOL_ERROR)
  const keepMs = sessionExpirySeconds === undefined ? undefined : keepMsOf(sessionExpirySeconds, connection.front.settings)
  leave(connection, reason === SUCCESS ? 'clean' : 'lost', keepMs)
}

function leave(connection: MqttConnection, how: 'clean' | 'lost', keepMs: number | undefined): void {
  // What was acknowledged before it in the same read counts.
  connection.outgoing?.flush()
  connection.leave(how, keepMs)
}
