// PUBACK: a message of QoS 1 has arrived.
import type { MqttConnection } from '../connection.ts'
import { packetIdOf, reasonOf } from '../packets.ts'
import { OF_PUBACK } from '../reasons.ts'

export function onPuback(connection: MqttConnection, buffer: Buffer, start: number, end: number): void {
  const packetId = packetIdOf(buffer, start)
  // Whatever its reason: the message is over [MQTT5-4.3.2-3]. One that was not taken is counted.
  if (connection.own.five !== undefined && reasonOf(buffer, start, end, OF_PUBACK) >= 0x80) connection.front.refusedByClients++
  connection.outgoing?.puback(packetId)
}
