// Artemis, with \`anycastPrefix=queue://;multicastPrefix=topic://\` on its acceptor of AMQP and \`anycastPrefix=/queue/;multicastPrefix=/topic/\` on that of STOMP: without them an address does not say what it is.
import type { ProfileData } from '../target.ts'

export const artemis: ProfileData = {
  name: 'artemis',
  mqtt: { topic: '{path}' },
  amqp: { queue: 'queue://{name}', topic: 'topic://{name}' },
  stomp: { queue: '/queue/{name}', topic: '/topic/{name}' },
  known: {},
  lacks: {},
}
