// PUBREC: a message of QoS 2 has arrived; PUBREL follows when that is written down.
import { SEND_PUBREL } from '../answers.ts'
import type { MqttConnection } from '../connection.ts'
import { packetIdOf } from '../packets.ts'

export function onPubrec(connection: MqttConnection, buffer: Buffer, start: number): void {
  const packetId = packetIdOf(buffer, start)
  if (connection.outgoing !== undefined) return connection.outgoing.pubrec(packetId)
  // Nothing was sent on this connection: of an earlier session. The client's half is finished all the same.
  connection.answers.push(connection.lastTicket, SEND_PUBREL, packetId)
  connection.answer()
}
