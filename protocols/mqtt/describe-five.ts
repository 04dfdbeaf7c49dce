// A delivery as an MQTT 5 client reads it that subscribed with QoS 2, for people. Subscription identifiers and aliases are left out: they belong to one client.
import type { Delivery, Described, Message } from '../../src/api.ts'
import type { Topics } from './address.ts'
import { describe } from './describe.ts'
import { readHead } from './format-five.ts'

export function describeFive(topics: Topics, message: Message, delivery: Delivery, nowMs: number): Described {
  const plain = describe(topics, message, delivery)
  const head = readHead(message.head)
  const fields: (readonly [string, string])[] = [...plain.fields]
  if (head.saysText) fields.push(['Payload Format Indicator', '1'])
  if (message.expiresAtMs !== 0) fields.push(['Message Expiry Interval', String(Math.max(0, Math.ceil((message.expiresAtMs - nowMs) / 1000)))])
  if (head.contentType !== undefined) fields.push(['Content Type', head.contentType])
  if (head.responseTopic !== undefined) fields.push(['Response Topic', head.responseTopic.toString()])
  if (head.correlationData !== undefined) fields.push(['Correlation Data', head.correlationData.toString('hex')])
  for (const [name, value] of head.user) fields.push([`User Property ${name}`, value])
  return { ...plain, fields, body: { kind: head.saysText ? 'text' : 'payload', bytes: message.body } }
}
