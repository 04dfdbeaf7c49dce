// PUBCOMP: a message of QoS 2 is over.
import type { MqttConnection } from '../connection.ts'
import { packetIdOf } from '../packets.ts'

export function onPubcomp(connection: MqttConnection, buffer: Buffer, start: number): void {
  connection.outgoing?.pubcomp(packetIdOf(buffer, start))
}
