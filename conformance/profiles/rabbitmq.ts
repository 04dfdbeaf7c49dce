// RabbitMQ 3 with its plugins for MQTT, STOMP and AMQP 1.0; of 4 the addresses of AMQP are \`/queues/…\`, and queues must be there before.
import type { ProfileData } from '../target.ts'

export const rabbitmq: ProfileData = {
  name: 'rabbitmq',
  mqtt: { topic: '{path}' },
  amqp: { queue: '/queue/{name}', topic: '/topic/{name}' },
  stomp: { queue: '/queue/{name}', topic: '/topic/{name}', host: '/' },
  known: {},
}
