// Writes PUBLISH packets of MQTT 5: the message's own properties as they came, before them those of this one packet. One for each connection, because
// aliases and identifiers are its own; publish-writer.ts is for all connections of the other versions.
import type { Delivery, Message, Wire } from '../../src/api.ts'
import { sentTo, type Topics } from './address.ts'
import { lengthBytes, writeLength } from './codec.ts'
import type { Five } from './five.ts'
import { PROPERTY, PropertyWriter } from './properties.ts'
import { takenFrom } from './taking.ts'

/** Larger payloads are given to the wire as they are. */
const COPIED_BYTES_MAX = 256

export type Written = 'written' | 'unnameable' | 'too-large'

/** Of the packet: byte 1, its identifier (0: none), and the subscription identifiers. */
export type Packet = Readonly<{ first: number; packetId: number; identifiers: readonly number[]; nowMs: number }>

const NOTHING = Buffer.alloc(0)

export function writeFive(wire: Wire, topics: Topics, five: Five, message: Message, delivery: Delivery, packet: Packet): Written {
  const { identifiers, packetId } = packet
  const to = sentTo(delivery)
  const name = topics.name(to)
  if (name === undefined) return 'unnameable'
  const known = five.aliasesOut.get(to)
  let alias = known ?? (five.aliasesOut.size < five.aliasesOutMax ? five.aliasesOut.size + 1 : 0)
  let topic = known === undefined ? name : NOTHING
  const beside = delivery.dead === undefined && !delivery.groupFirst ? NOTHING : saidBeside(topics, delivery)
  const kept = message.head.length > 1 ? message.head.length - 1 : 0
  let propertyBytes = kept + beside.length
  if (alias !== 0) propertyBytes += 3
  if (message.expiresAtMs !== 0) propertyBytes += 5
  for (let i = 0; i < identifiers.length; i++) propertyBytes += 1 + lengthBytes(identifiers[i])
  const { body } = message
  const rest = (packetId === 0 ? 0 : 2) + body.length
  let remaining = 2 + topic.length + rest + lengthBytes(propertyBytes) + propertyBytes
  if (alias !== 0 && 1 + lengthBytes(remaining) + remaining > five.packetBytesMax) {
    // An alias is ours to use: no message is too large for it.
    alias = 0
    topic = name
    propertyBytes -= 3
    remaining = 2 + topic.length + rest + lengthBytes(propertyBytes) + propertyBytes
  }
  const total = 1 + lengthBytes(remaining) + remaining
  // [MQTT5-3.1.2-24]
  if (total > five.packetBytesMax || remaining > 268_435_455) return 'too-large'
  if (alias !== 0 && known === undefined) five.aliasesOut.set(to, alias)
  const whole = body.length <= COPIED_BYTES_MAX
  const bytes = Buffer.allocUnsafe(whole ? total : total - body.length)
  bytes[0] = packet.first
  let at = writeLength(bytes, 1, remaining)
  at = bytes.writeUInt16BE(topic.length, at)
  bytes.set(topic, at)
  at += topic.length
  if (packetId !== 0) at = bytes.writeUInt16BE(packetId, at)
  at = writeLength(bytes, at, propertyBytes)
  if (alias !== 0) {
    bytes[at] = PROPERTY.topicAlias
    at = bytes.writeUInt16BE(alias, at + 1)
  }
  if (message.expiresAtMs !== 0) {
    bytes[at] = PROPERTY.messageExpiry
    // [MQTT5-3.3.2-6] What is left of it, rounded up.
    at = bytes.writeUInt32BE(Math.min(0xffff_ffff, Math.max(0, Math.ceil((message.expiresAtMs - packet.nowMs) / 1000))), at + 1)
  }
  for (let i = 0; i < identifiers.length; i++) {
    bytes[at] = PROPERTY.subscriptionIdentifier
    at = writeLength(bytes, at + 1, identifiers[i])
  }
  if (kept > 0) bytes.set(message.head.subarray(1), at)
  bytes.set(beside, at + kept)
  at += kept + beside.length
  if (whole) bytes.set(body, at)
  wire.write(bytes)
  if (!whole) wire.write(body)
  return 'written'
}

/** What the broker says of a dead letter, and of the first of a group; it is not in the message. */
function saidBeside(topics: Topics, delivery: Delivery): Buffer {
  const { dead, groupFirst } = delivery
  const properties = new PropertyWriter()
  if (groupFirst) properties.pair('JMSXGroupFirstForConsumer', 'true')
  if (dead === undefined || takenFrom(delivery) !== undefined) return properties.take()
  const origin = topics.name(dead.origin)
  if (origin !== undefined) properties.pair('original-destination', Buffer.from(origin).toString())
  properties.pair('dlqDeliveryFailureCause', dead.reason.replaceAll('\0', ''))
  return properties.take()
}
