// A delivery as a STOMP 1.2 client reads it, for people. `ack` and `subscription` are left out: they belong to one subscription.
import type { Delivery, Described, Message } from '../../src/api.ts'
import { formatAddress } from './address.ts'
import { MESSAGE_ID, readHead } from './head.ts'
import { mapForm, TRANSFORMATION } from './transformation.ts'

export function describe(message: Message, delivery: Delivery): Described {
  const { dead } = delivery
  const head = readHead(message.head)
  const fields: (readonly [string, string])[] = []
  if (head[0]?.[0] !== MESSAGE_ID) fields.push([MESSAGE_ID, `${delivery.ref.queue}-${delivery.ref.sequence}`])
  if (dead !== undefined) {
    fields.push(['original-destination', formatAddress(dead.origin) ?? formatAddress(delivery.to) ?? ''], ['dlqDeliveryFailureCause', dead.reason])
  }
  if (delivery.maybeSeen || delivery.attempts > 1) fields.push(['redelivered', 'true'])
  if (delivery.retained) fields.push(['ActiveMQ.Retained', 'true'])
  fields.push(...head)
  const first = (name: string): string | undefined => head.find((pair) => pair[0] === name)?.[1]
  const kind =
    first('amq-msg-type') ?? (mapForm(first(TRANSFORMATION)) !== undefined ? 'map' : first('content-length') === undefined ? 'text' : 'bytes')
  return {
    destination: formatAddress(dead === undefined ? delivery.to : delivery.queue) ?? formatAddress(delivery.queue),
    fields,
    body: { kind, bytes: message.body },
  }
}
