import type { Suite } from '../check.ts'
import { connack } from './connack.ts'
import { connect } from './connect.ts'
import { data } from './data.ts'
import { identifier } from './identifier.ts'
import { publishing } from './publish.ts'
import { retaining } from './retain.ts'
import { errors } from './errors.ts'
import { state } from './state.ts'
import { subscribing } from './subscribe.ts'
import { topics } from './topics.ts'
import { unsubscribing } from './unsubscribe.ts'
import { will } from './will.ts'

export const mqtt311: Suite = {
  name: 'mqtt-3.1.1',
  title: 'MQTT 3.1.1',
  specification: 'https://docs.oasis-open.org/mqtt/mqtt/v3.1.1/os/mqtt-v3.1.1-os.html',
  protocols: ['mqtt'],
  chapters: [data, connect, will, identifier, connack, publishing, retaining, subscribing, unsubscribing, state, topics, errors],
}
