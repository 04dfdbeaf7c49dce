import type { Suite } from '../check.ts'
import { acknowledgements } from './acknowledgements.ts'
import { answering } from './answers.ts'
import { auth } from './auth.ts'
import { connack } from './connack.ts'
import { connect } from './connect.ts'
import { connectActions } from './connect-actions.ts'
import { connectProperties } from './connect-properties.ts'
import { data } from './data.ts'
import { delivery } from './delivery.ts'
import { ending } from './ending.ts'
import { format } from './format.ts'
import { order } from './order.ts'
import { publishActions } from './publish-actions.ts'
import { publishFlags } from './publish.ts'
import { publishProperties } from './publish-properties.ts'
import { quota } from './quota.ts'
import { sessions } from './sessions.ts'
import { shared } from './shared.ts'
import { subscribing } from './subscribe.ts'
import { unsubscribing } from './unsubscribe.ts'
import { topics } from './topics.ts'
import { will } from './will.ts'

export const mqtt5: Suite = {
  name: 'mqtt-5',
  title: 'MQTT 5.0',
  specification: 'https://docs.oasis-open.org/mqtt/mqtt/v5.0/os/mqtt-v5.0-os.html',
  protocols: ['mqtt'],
  chapters: [
    data,
    format,
    connect,
    connectProperties,
    will,
    connectActions,
    connack,
    publishFlags,
    publishProperties,
    publishActions,
    acknowledgements,
    subscribing,
    unsubscribing,
    ending,
    auth,
    sessions,
    delivery,
    order,
    topics,
    shared,
    quota,
    answering,
  ],
}
