// Artemis, with \`anycastPrefix=queue://;multicastPrefix=topic://\` on its acceptor of AMQP and \`anycastPrefix=/queue/;multicastPrefix=/topic/\` on that of STOMP: without them an address does not say what it is.
import type { ProfileData } from '../target.ts'

export const artemis: ProfileData = {
  name: 'artemis',
  mqtt: { topic: '{path}' },
  amqp: { queue: 'queue://{name}', topic: 'topic://{name}' },
  stomp: { queue: '/queue/{name}', topic: '/topic/{name}' },
  known: {},
  lacks: {},
  avoid: {
    'amqp-1.0': {
      'AMQP-2.7.2-a': 'It harms the broker beyond the connection on which it comes, which its maintainers should hear of before others do.',
    },
  },
}
