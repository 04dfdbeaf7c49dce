// RabbitMQ 3 with its plugins for MQTT, STOMP and AMQP 1.0; of 4 the addresses of AMQP are \`/queues/…\`, and queues must be there before.
import type { ProfileData } from '../target.ts'

export const rabbitmq: ProfileData = {
  name: 'rabbitmq',
  mqtt: { topic: '{path}' },
  amqp: { queue: '/queue/{name}', topic: '/topic/{name}' },
  stomp: { queue: '/queue/{name}', topic: '/topic/{name}', host: '/' },
  known: {},
  lacks: { 'mqtt-5': 'RabbitMQ 3 speaks MQTT 3.1 and 3.1.1; MQTT 5 came with 3.13.' },
  avoid: {},
}
