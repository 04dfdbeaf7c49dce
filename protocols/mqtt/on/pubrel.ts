// PUBREL: the client forgets a message of QoS 2, and so do we; its identifier is free for another. PUBCOMP when that is written down [MQTT-4.3.3-2].
import type { Session } from '../../../src/api.ts'
import { SEND_PUBCOMP, withReason } from '../answers.ts'
import type { MqttConnection } from '../connection.ts'
import { packetIdOf, reasonOf } from '../packets.ts'
import { OF_PUBREL, PACKET_ID_NOT_FOUND } from '../reasons.ts'

export function onPubrel(connection: MqttConnection, session: Session, buffer: Buffer, start: number, end: number): void {
  const packetId = packetIdOf(buffer, start)
  const { five } = connection.own
  if (five !== undefined) reasonOf(buffer, start, end, OF_PUBREL)
  const ticket = session.notes.has(packetId) ? session.note(packetId, false) : 0
  if (ticket > 0) return connection.owe(ticket, SEND_PUBCOMP, packetId)
  // Unknown: forgotten before. The client must be able to forget it too.
  connection.answers.push(connection.lastTicket, five === undefined ? SEND_PUBCOMP : withReason(SEND_PUBCOMP, PACKET_ID_NOT_FOUND), packetId)
  connection.answer()
}
