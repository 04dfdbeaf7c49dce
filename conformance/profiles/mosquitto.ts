// Mosquitto: MQTT alone.
import type { ProfileData } from '../target.ts'

export const mosquitto: ProfileData = {
  name: 'mosquitto',
  mqtt: { topic: '{path}' },
  amqp: { queue: '{name}', topic: '{name}' },
  stomp: { queue: '{name}', topic: '{name}' },
  known: {},
  lacks: {},
  avoid: {},
}
