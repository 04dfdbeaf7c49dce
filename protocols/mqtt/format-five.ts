// The dialect `mqtt5`: how a message that came by MQTT 5 with properties is kept, and what it is for other protocols (users-and-features.md 3.3 and 3.4).
// One that came without properties is of the dialect `mqtt` (format.ts): both begin alike, and a client of MQTT 5 is written either.
//
//     head   1 byte as in `mqtt`, then the properties as their sender wrote them, in order, without their length, and without those of one packet
//            (alias, expiry, subscription identifiers). MQTT 5 to MQTT 5 is so byte-equal.
//     body   the payload
import { isUtf8 } from 'node:buffer'
import type { Address, Body, Canonical, CanonicalHead, Dialect, Lost, Message, Value } from '../../src/api.ts'
import { listToJson, mapToJson, repeatsKey } from '../shared/json.ts'
import { SCHEDULED } from '../shared/schedule-names.ts'
import { identifierToText, textToIdentifier, valueToText } from '../shared/values.ts'
import type { Topics } from './address.ts'
import { ProtocolError } from './codec.ts'
import { newMessage, qosOf } from './format.ts'
import { PROPERTY, PropertyWriter, skipString } from './properties.ts'
import { isReadable, type PublishProperties } from './publish-properties.ts'

export const DIALECT_FIVE = 'mqtt5'

/** `packet` holds the properties that were `found`. The expiry begins `nowMs`. */
export function newMessageFive(qos: number, retain: boolean, payload: Uint8Array, packet: Buffer, found: PublishProperties, nowMs: number): Message {
  if (found.keptBytes === 0 && found.expirySeconds < 0) return newMessage(qos, retain, payload)
  const head = Buffer.allocUnsafeSlow(1 + found.keptBytes)
  head[0] = retain ? qos | 4 : qos
  let at = 1
  for (let i = 0; i < found.kept.length; i += 2) at += packet.copy(head, at, found.kept[i], found.kept[i + 1])
  return {
    dialect: DIALECT_FIVE,
    head,
    body: payload,
    durable: qos > 0,
    priority: found.priority,
    expiresAtMs: found.expirySeconds < 0 ? 0 : nowMs + found.expirySeconds * 1000,
    deliverAtMs: found.delayMs === 0 ? 0 : nowMs + found.delayMs,
    group: found.group,
    groupEnds: found.groupEnds,
  }
}

/** Names of user properties that are fields of a message elsewhere. */
export const FIELD = {
  messageId: 'message-id',
  type: 'type',
  contentEncoding: 'content-encoding',
  timestamp: 'timestamp',
  priority: 'priority',
  group: 'JMSXGroupID',
  groupSequence: 'JMSXGroupSeq',
} as const
const FIELDS: ReadonlySet<string> = new Set(Object.values(FIELD))

export function dialectFive(topics: Topics): Omit<Dialect, 'describe' | 'ruleOf'> {
  return {
    name: DIALECT_FIVE,
    toCanonical: (message) => {
      const properties = readHead(message.head)
      return { ...headOf(topics, message, properties, textToIdentifier), body: bodyOf(message, properties) }
    },
    headOf: (message) => headOf(topics, message, readHead(message.head), plainText),
    fromCanonical: (canonical, message, lost) => fromCanonical(topics, canonical, message, lost),
  }
}

const plainText = (value: string): Value => ({ type: 'string', value })

/** The properties of a head, read. */
export interface HeadFive {
  saysText: boolean
  contentType: string | undefined
  responseTopic: Buffer | undefined
  correlationData: Buffer | undefined
  readonly user: (readonly [string, string])[]
}

/** What was judged when it came, or was written by `fromCanonical`. */
export function readHead(bytes: Uint8Array): HeadFive {
  const head = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const found: HeadFive = { saysText: false, contentType: undefined, responseTopic: undefined, correlationData: undefined, user: [] }
  for (let at = 1; at < head.length; ) {
    const id = head[at]
    if (id === PROPERTY.payloadFormat) {
      found.saysText = head[at + 1] === 1
      at += 2
      continue
    }
    const end = skipString(head, at + 1, head.length)
    const value = head.subarray(at + 3, end)
    at = end
    if (id === PROPERTY.contentType) found.contentType = value.toString()
    else if (id === PROPERTY.responseTopic) found.responseTopic = value
    else if (id === PROPERTY.correlationData) found.correlationData = value
    else {
      at = skipString(head, end, head.length)
      found.user.push([value.toString(), head.toString('utf8', end + 2, at)])
    }
  }
  return found
}

function headOf(topics: Topics, message: Message, head: HeadFive, identifier: (text: string) => Value): CanonicalHead {
  const fields = new Map<string, string>()
  const properties: (readonly [string, Value])[] = []
  for (const [name, value] of head.user) {
    // Of equal ones the first is the field; one that cannot be read is worth something to who wrote it.
    if (FIELDS.has(name) && !fields.has(name) && isReadable(name, value)) fields.set(name, value)
    else properties.push([name, { type: 'string', value }])
  }
  const id = fields.get(FIELD.messageId)
  const timestamp = fields.get(FIELD.timestamp)
  const sequence = fields.get(FIELD.groupSequence)
  return {
    messageId: id === undefined ? undefined : identifier(id),
    correlationId: head.correlationData === undefined ? undefined : correlationOf(head.correlationData, identifier),
    replyTo: head.responseTopic === undefined ? undefined : addressOf(topics, head.responseTopic),
    type: fields.get(FIELD.type),
    contentType: head.contentType,
    contentEncoding: fields.get(FIELD.contentEncoding),
    timestampMs: timestamp === undefined ? undefined : Number(timestamp),
    userId: undefined,
    groupSequence: sequence === undefined ? undefined : Number(sequence),
    qos: qosOf(message),
    retain: message.head.length > 0 && (message.head[0] & 4) !== 0,
    properties,
  }
}

/** Bytes that are text are text to those who have both, so that an answer finds who asked; others are bytes. */
function correlationOf(bytes: Buffer, identifier: (text: string) => Value): Value {
  return isUtf8(bytes) ? identifier(bytes.toString()) : { type: 'binary', value: bytes }
}

function correlationBytes(id: Value): Uint8Array {
  if (id.type === 'binary' && !isUtf8(id.value)) return id.value
  return Buffer.from(identifierToText(id))
}

function addressOf(topics: Topics, name: Buffer): Address | undefined {
  try {
    return topics.address(name, 0, name.length)
  } catch (error) {
    if (error instanceof ProtocolError) return undefined
    throw error
  }
}

/** Table 3.4, "MQTT 5 in". */
function bodyOf(message: Message, head: HeadFive): Body {
  const bytes = Buffer.from(message.body.buffer, message.body.byteOffset, message.body.byteLength)
  return head.saysText && isUtf8(bytes) ? { kind: 'text', text: bytes.toString() } : { kind: 'bytes', bytes: message.body }
}

function fromCanonical(topics: Topics, canonical: Canonical, message: Message, lost: Lost): Readonly<{ head: Uint8Array; body: Uint8Array }> {
  const properties = new PropertyWriter()
  const { body } = canonical
  if (body.kind === 'text') properties.byte(PROPERTY.payloadFormat, 1)
  const contentType = canonical.contentType ?? contentTypeOf(body)
  if (contentType !== undefined && !(isText(contentType) && properties.text(PROPERTY.contentType, contentType))) lost('contentType')
  if (canonical.replyTo !== undefined) {
    const name = topics.name(canonical.replyTo)
    if (name === undefined || !topics.reaches(canonical.replyTo)) lost('replyTo')
    else properties.binary(PROPERTY.responseTopic, name)
  }
  if (canonical.correlationId !== undefined && !properties.binary(PROPERTY.correlationData, correlationBytes(canonical.correlationId)))
    lost('correlationId')
  const field = (name: string, value: string | undefined, core: string): void => {
    if (value !== undefined && !(isText(value) && properties.pair(name, value))) lost(core)
  }
  field(FIELD.messageId, canonical.messageId === undefined ? undefined : identifierToText(canonical.messageId), 'messageId')
  field(FIELD.type, canonical.type, 'type')
  field(FIELD.contentEncoding, canonical.contentEncoding, 'contentEncoding')
  field(FIELD.timestamp, canonical.timestampMs?.toString(), 'timestamp')
  field(FIELD.priority, message.priority === 4 ? undefined : String(message.priority), 'priority')
  field(FIELD.group, message.group === '' ? undefined : message.group, 'groupId')
  field(FIELD.groupSequence, canonical.groupSequence?.toString(), 'groupSequence')
  // A delay that was asked for as such is among the properties.
  if (message.deliverAtMs !== 0 && !canonical.properties.some(([name]) => name === 'AMQ_SCHEDULED_DELAY')) lost('deliverAt')
  if (canonical.userId !== undefined) lost('userId')
  writeUserProperties(canonical, properties, lost)
  // The table's row "qos for messages of other origin": durable → 1, else 0.
  const qos = canonical.qos ?? (message.durable ? 1 : 0)
  const head = Buffer.concat([Buffer.of(canonical.retain ? qos | 4 : qos), properties.take()])
  return { head, body: payloadOf(body, lost) }
}

function writeUserProperties(canonical: Canonical, properties: PropertyWriter, lost: Lost): void {
  let typesLost = false
  for (const [name, value] of canonical.properties) {
    const text = valueToText(value)
    if (isTaken(name, text) || !isText(name) || !isText(text) || !properties.pair(name, text)) {
      lost('properties')
      continue
    }
    // Those of a schedule are known by their names.
    typesLost ||= value.type !== 'string' && !SCHEDULED.has(name)
  }
  if (typesLost) lost('propertyTypes')
}

/** It would be read as a field. */
function isTaken(name: string, value: string): boolean {
  return FIELDS.has(name) && isReadable(name, value)
}

function contentTypeOf(body: Body): string | undefined {
  if (body.kind === 'object') return body.contentType
  return body.kind === 'map' || body.kind === 'list' ? 'application/json' : undefined
}

/** Table 3.4, "Core kind → MQTT". */
function payloadOf(body: Body, lost: Lost): Uint8Array {
  if (body.kind === 'object' || body.kind === 'map' || body.kind === 'list' || body.kind === 'none') lost('bodyKind')
  switch (body.kind) {
    case 'bytes':
    case 'object':
      return body.bytes
    case 'text':
      if (body.text === null) lost('bodyKind')
      return Buffer.from(body.text ?? '', 'utf8')
    case 'map':
      if (repeatsKey(body.entries)) lost('bodyEntries')
      return Buffer.from(mapToJson(body.entries), 'utf8')
    case 'list':
      return Buffer.from(listToJson(body.items), 'utf8')
    case 'none':
      return new Uint8Array(0)
  }
}

/** [MQTT5-1.5.4-2] */
function isText(value: string): boolean {
  return !value.includes('\0')
}
