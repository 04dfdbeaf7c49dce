// A delivery as an MQTT 3.1.1 client reads it that subscribed with QoS 2, for people.
import type { Delivery, Described, Message } from '../../src/api.ts'
import { sentTo, type Topics } from './address.ts'
import { qosOf } from './format.ts'

export function describe(topics: Topics, message: Message, delivery: Delivery): Described {
  const name = topics.name(sentTo(delivery))
  return {
    destination: name === undefined ? undefined : Buffer.from(name).toString(),
    fields: [
      ['QoS', String(qosOf(message))],
      ['DUP', String(delivery.maybeSeen && qosOf(message) > 0)],
      ['RETAIN', String(delivery.retained)],
    ],
    body: { kind: 'payload', bytes: message.body },
  }
}
