// PUBREL: the client forgets a message of QoS 2, and so do we; its identifier is free for another. PUBCOMP when that is written down [MQTT-4.3.3-2].
import type { Session } from '../../../src/api.ts'
import { SEND_PUBCOMP } from '../answers.ts'
import type { MqttConnection } from '../connection.ts'
import { packetIdOf } from '../packets.ts'

export function onPubrel(connection: MqttConnection, session: Session, buffer: Buffer, start: number): void {
  const packetId = packetIdOf(buffer, start)
  const ticket = session.notes.has(packetId) ? session.note(packetId, false) : 0
  if (ticket > 0) return connection.owe(ticket, SEND_PUBCOMP, packetId)
  // Unknown: forgotten before. The client must be able to forget it too.
  connection.answers.push(connection.lastTicket, SEND_PUBCOMP, packetId)
  connection.answer()
}
