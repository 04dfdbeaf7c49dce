// aedes: MQTT 3.1.1 alone.
import type { ProfileData } from '../target.ts'

export const aedes: ProfileData = {
  name: 'aedes',
  mqtt: { topic: '{path}' },
  amqp: { queue: '{name}', topic: '{name}' },
  stomp: { queue: '{name}', topic: '{name}' },
  known: {},
  lacks: { 'mqtt-5': 'It speaks MQTT 3.1 and 3.1.1.' },
  avoid: {},
}
