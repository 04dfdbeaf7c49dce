// PINGREQ: there is nothing to wait for [MQTT-3.12.4-1].
import { PINGRESP_BYTES } from '../codec.ts'
import type { MqttConnection } from '../connection.ts'

export function onPingreq(connection: MqttConnection): void {
  connection.wire.write(PINGRESP_BYTES)
}
