// DISCONNECT: the client goes, and its will is forgotten [MQTT-3.14.4-3].
import type { MqttConnection } from '../connection.ts'

export function onDisconnect(connection: MqttConnection): void {
  // What was acknowledged before it in the same read counts.
  connection.outgoing?.flush()
  connection.leaveCleanly()
}
