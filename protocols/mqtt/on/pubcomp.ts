// PUBCOMP: a message of QoS 2 is over.
import type { MqttConnection } from '../connection.ts'
import { packetIdOf } from '../packets.ts'

export function onPubcomp(connection: MqttConnection, buffer: Buffer, start: number): void {
  const packetId = packetIdOf(buffer, start)
  connection.outgoing?.pubcomp(packetId)
}
