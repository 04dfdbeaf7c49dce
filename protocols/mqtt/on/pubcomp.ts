// PUBCOMP: a message of QoS 2 is over.
import type { MqttConnection } from '../connection.ts'
import { packetIdOf, reasonOf } from '../packets.ts'
import { OF_PUBREL } from '../reasons.ts'

export function onPubcomp(connection: MqttConnection, buffer: Buffer, start: number, end: number): void {
  const packetId = packetIdOf(buffer, start)
  if (connection.own.five !== undefined) reasonOf(buffer, start, end, OF_PUBREL)
  connection.outgoing?.pubcomp(packetId)
}
