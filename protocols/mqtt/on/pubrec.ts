// PUBREC: a message of QoS 2 has arrived; PUBREL follows when that is written down.
import { SEND_PUBREL, withReason } from '../answers.ts'
import type { MqttConnection } from '../connection.ts'
import { packetIdOf, reasonOf } from '../packets.ts'
import { OF_PUBACK, PACKET_ID_NOT_FOUND } from '../reasons.ts'

export function onPubrec(connection: MqttConnection, buffer: Buffer, start: number, end: number): void {
  const packetId = packetIdOf(buffer, start)
  const { five } = connection.own
  if (five !== undefined && reasonOf(buffer, start, end, OF_PUBACK) >= 0x80) {
    // [MQTT5-4.3.3-3] It was not taken, and is over.
    connection.front.refusedByClients++
    connection.outgoing?.refused(packetId)
    return
  }
  if (connection.outgoing !== undefined) return connection.outgoing.pubrec(packetId)
  // Nothing was sent on this connection: of an earlier session. The client's half is finished all the same.
  connection.answers.push(connection.lastTicket, five === undefined ? SEND_PUBREL : withReason(SEND_PUBREL, PACKET_ID_NOT_FOUND), packetId)
  connection.answer()
}
