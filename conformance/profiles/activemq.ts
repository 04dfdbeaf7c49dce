// ActiveMQ Classic.
import type { ProfileData } from '../target.ts'

export const activemq: ProfileData = {
  name: 'activemq',
  mqtt: { topic: '{path}' },
  amqp: { queue: 'queue://{name}', topic: 'topic://{name}' },
  stomp: { queue: '/queue/{name}', topic: '/topic/{name}' },
  known: {},
  lacks: { 'mqtt-5': 'It speaks MQTT 3.1 and 3.1.1.' },
}
