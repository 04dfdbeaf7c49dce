// ActiveMQ Classic.
import type { ProfileData } from '../target.ts'

export const activemq: ProfileData = {
  name: 'activemq',
  mqtt: { topic: '{path}' },
  amqp: { queue: 'queue://{name}', topic: 'topic://{name}' },
  // Who does not ask for it gets a map without its body.
  stomp: { queue: '/queue/{name}', topic: '/topic/{name}', transformation: 'jms-map-json' },
  known: {},
  lacks: { 'mqtt-5': 'It speaks MQTT 3.1 and 3.1.1.' },
  avoid: {
    'amqp-1.0': {
      'AMQP-2.7.2-a': 'It harms the broker beyond the connection on which it comes, which its maintainers should hear of before others do.',
    },
  },
}
