// Our own broker.
import type { ProfileData } from '../target.ts'

export const bascule: ProfileData = {
  name: 'bascule',
  mqtt: { topic: '{path}' },
  amqp: { queue: 'queue://{name}', topic: 'topic://{name}' },
  stomp: { queue: '/queue/{name}', topic: '/topic/{name}' },
  known: {},
  lacks: {},
}
