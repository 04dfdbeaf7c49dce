// Our own broker.
import type { ProfileData } from '../target.ts'

const LENGTH =
  'A MESSAGE has a content-length exactly when its body is bytes: by that clients of ActiveMQ and of JMS tell bytes from text, and a body that came as text by any protocol goes out as one. A text with a NUL in it has one all the same, and `amq-msg-type:text`.'

const DOLLAR =
  'Topics that begin with $ are topics like others, hidden from wildcards: clients of other brokers use them among themselves. `$SYS` and `$share` are kept from them.'

export const bascule: ProfileData = {
  name: 'bascule',
  mqtt: { topic: '{path}' },
  amqp: { queue: 'queue://{name}', topic: 'topic://{name}' },
  stomp: { queue: '/queue/{name}', topic: '/topic/{name}' },
  // docs/conformance/ours.md is made from this: every should that is not kept has its reason here, and no must may be among them.
  known: {
    'mqtt-3.1.1': { 'MQTT311 4.7.2-a': DOLLAR },
    'mqtt-5': { 'MQTT5 4.7.2-a': DOLLAR },
    'stomp-1.2': { 'STOMP12-LENGTH-g': LENGTH },
    'stomp-1.1': { 'STOMP11-LENGTH-g': LENGTH },
    'stomp-1.0': { 'STOMP10-LENGTH-g': LENGTH },
  },
  lacks: {},
  avoid: {},
}
