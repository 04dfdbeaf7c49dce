// PUBACK: a message of QoS 1 has arrived.
import type { MqttConnection } from '../connection.ts'
import { packetIdOf } from '../packets.ts'

export function onPuback(connection: MqttConnection, buffer: Buffer, start: number): void {
  const packetId = packetIdOf(buffer, start)
  connection.outgoing?.puback(packetId)
}
