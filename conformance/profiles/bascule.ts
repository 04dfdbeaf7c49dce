import type { Profile } from '../target.ts'

export const bascule: Profile = {
  name: 'bascule',
  queue: (name) => `/queue/${name}`,
  topic: (name) => `/topic/${name}`,
  amqpQueue: (name) => `queue://${name}`,
  amqpTopic: (name) => `topic://${name}`,
  known: {},
}
