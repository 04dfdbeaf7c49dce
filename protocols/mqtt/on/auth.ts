// AUTH: the client's next word of a log-in in several steps [MQTT5-4.12], before CONNACK or again on a connection that was opened so.
//
//     CONNECT method, data ─→ ── challenge ─→ AUTH 0x18, data ─→ client ── AUTH 0x18, data ─→ … ── done ─→ CONNACK method, data
//     AUTH 0x19 method, data ─→ …                              (all else goes on meanwhile)     … ── done ─→ AUTH 0x00 method, data
//                                                               refused: CONNACK or DISCONNECT, and the connection ends
import type { ErrorCode } from '../../../src/api.ts'
import { auth } from '../answers-five.ts'
import { ProtocolError } from '../codec.ts'
import type { MqttConnection } from '../connection.ts'
import { Exchange } from '../exchange.ts'
import type { Five } from '../five.ts'
import { type Auth, decodeAuth } from '../packets.ts'
import { CONTINUE_AUTHENTICATION, DISCONNECT_REASON, NOT_AUTHORIZED, PACKET_TOO_LARGE, PROTOCOL_ERROR, REAUTHENTICATE, SUCCESS } from '../reasons.ts'

export function onAuth(connection: MqttConnection, buffer: Buffer, start: number, end: number): void {
  const { five } = connection.own
  // [MQTT5-4.12.0-7]
  if (five === undefined || five.method === '') throw new ProtocolError('AUTH where CONNECT named no authentication method', PROTOCOL_ERROR)
  const said = decodeAuth(buffer, start, end)
  // [MQTT5-4.12.0-5] [MQTT5-4.12.1-1]
  if (said.method !== five.method) throw new ProtocolError('AUTH with another authentication method than CONNECT', PROTOCOL_ERROR)
  const { exchange } = five
  if (said.reason === CONTINUE_AUTHENTICATION && exchange !== undefined && !exchange.busy) {
    if (connection.state !== 'connected') connection.ponder()
    exchange.step(said.data)
  } else if (said.reason === REAUTHENTICATE && exchange === undefined) again(connection, five, said)
  else throw new ProtocolError('an AUTH that was not waited for', PROTOCOL_ERROR)
}

/** Writes AUTH; false: the client takes no packet that long. */
export function writeAuth(connection: MqttConnection, five: Five, reason: number, data: Uint8Array): boolean {
  const packet = auth(five, reason, data)
  if (packet !== undefined) connection.wire.write(packet)
  return packet !== undefined
}

/** Re-authentication [MQTT5-4.12.1]. */
function again(connection: MqttConnection, five: Five, { data }: Auth): void {
  const { remote, secure, certificate } = connection.wire
  const steps = connection.front.broker.authenticateBy(five.method, { remote, secure, certificate })
  if (steps === undefined) return connection.lose('nobody logs in by its authentication method any more', NOT_AUTHORIZED)
  const tooLong = (): void => connection.lose('AUTH is longer than the client takes', PACKET_TOO_LARGE)
  five.exchange = new Exchange(steps, {
    get closed() {
      return connection.state === 'closed'
    },
    challenge(more: Uint8Array) {
      if (!writeAuth(connection, five, CONTINUE_AUTHENTICATION, more)) tooLong()
    },
    done(principal: string, proof: Uint8Array) {
      five.exchange = undefined
      if (principal !== five.principal) connection.lose('it logged in as somebody else', NOT_AUTHORIZED)
      else if (!writeAuth(connection, five, SUCCESS, proof)) tooLong()
    },
    // [MQTT5-4.12.1-2]
    refused(code: ErrorCode, says: string) {
      connection.lose(says, DISCONNECT_REASON[code])
    },
  })
  five.exchange.step(data)
}
