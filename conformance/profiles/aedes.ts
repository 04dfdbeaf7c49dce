// aedes: MQTT 3.1.1 alone.
import type { ProfileData } from '../target.ts'

export const aedes: ProfileData = {
  name: 'aedes',
  mqtt: { topic: '{path}' },
  amqp: { queue: '{name}', topic: '{name}' },
  stomp: { queue: '{name}', topic: '{name}' },
  known: {},
}
