// The dialect `mqtt`: how a message that came by MQTT is kept, and what it is for other protocols (users-and-features.md 3.3 and 3.4).
//
//     head   1 byte: QoS in bits 0 and 1, RETAIN as published in bit 2. MQTT 5's properties will follow it.
//     body   the payload
//
// The topic is not in the message: `Delivery.to` says where it was sent, and so what leaves by MQTT is what came.
import type { Body, Canonical, CanonicalHead, Dialect, Lost, Message } from '../../src/api.ts'
import { listToJson, mapToJson, repeatsKey } from '../shared/json.ts'

export const DIALECT = 'mqtt'

/** One for each QoS and RETAIN, shared by all messages. */
const HEADS: readonly Uint8Array[] = [0, 1, 2, 3, 4, 5, 6].map((bits) => Uint8Array.of(bits))

export function newMessage(qos: number, retain: boolean, payload: Uint8Array): Message {
  return {
    dialect: DIALECT,
    head: HEADS[retain ? qos | 4 : qos],
    body: payload,
    // The table's row `durable`: QoS > 0.
    durable: qos > 0,
    priority: 4,
    expiresAtMs: 0,
    deliverAtMs: 0,
    group: '',
    groupEnds: false,
  }
}

/** The QoS that its publisher, or the table for messages of other origin, gave a message of this dialect. */
export function qosOf(message: Message): number {
  return message.head.length === 0 ? 0 : message.head[0] & 3
}

export const dialect: Omit<Dialect, 'describe' | 'ruleOf'> = {
  name: DIALECT,

  toCanonical: (message: Message): Canonical => ({ ...headOf(message), body: { kind: 'bytes', bytes: message.body } }),

  headOf,

  fromCanonical(canonical: Canonical, message: Message, lost: Lost) {
    tellLosses(canonical, message, lost)
    // The table's row "qos for messages of other origin": durable → 1, else 0.
    const qos = canonical.qos ?? (message.durable ? 1 : 0)
    return { head: HEADS[canonical.retain ? qos | 4 : qos], body: payloadOf(canonical.body) }
  },
}

function headOf(message: Message): CanonicalHead {
  return {
    messageId: undefined,
    correlationId: undefined,
    replyTo: undefined,
    type: undefined,
    contentType: undefined,
    contentEncoding: undefined,
    timestampMs: undefined,
    userId: undefined,
    groupSequence: undefined,
    qos: qosOf(message),
    retain: message.head.length > 0 && (message.head[0] & 4) !== 0,
    properties: [],
  }
}

function payloadOf(body: Body): Uint8Array {
  switch (body.kind) {
    case 'bytes':
    case 'object':
      return body.bytes
    case 'text':
      return Buffer.from(body.text ?? '', 'utf8')
    case 'map':
      return Buffer.from(mapToJson(body.entries), 'utf8')
    case 'list':
      return Buffer.from(listToJson(body.items), 'utf8')
    case 'none':
      return new Uint8Array(0)
  }
}

/** Every row of table 3.3 that says `—` under MQTT 3.1.1. */
function tellLosses(canonical: Canonical, message: Message, lost: Lost): void {
  if (canonical.messageId !== undefined) lost('messageId')
  if (canonical.correlationId !== undefined) lost('correlationId')
  if (canonical.replyTo !== undefined) lost('replyTo')
  if (canonical.type !== undefined) lost('type')
  if (canonical.contentType !== undefined) lost('contentType')
  if (canonical.contentEncoding !== undefined) lost('contentEncoding')
  if (canonical.body.kind !== 'bytes') lost('bodyKind')
  if (canonical.body.kind === 'map' && repeatsKey(canonical.body.entries)) lost('bodyEntries')
  if (canonical.timestampMs !== undefined) lost('timestamp')
  if (message.expiresAtMs !== 0) lost('expiration')
  if (message.priority !== 4) lost('priority')
  if (message.group !== '') lost('groupId')
  if (canonical.groupSequence !== undefined) lost('groupSequence')
  if (message.deliverAtMs !== 0) lost('deliverAt')
  if (canonical.userId !== undefined) lost('userId')
  // One word for all of them: their names are the users', and there is no end to those.
  if (canonical.properties.length > 0) lost('properties')
}
