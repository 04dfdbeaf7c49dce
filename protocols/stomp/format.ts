// The dialect `stomp`: what a message that came by STOMP is for other protocols, and how one that came by another is written for STOMP
// (users-and-features.md 3.3 and 3.4). What leaves by STOMP as it came passes none of this: head.ts says how it is kept.
import { isUtf8 } from 'node:buffer'
import type { Address, Body, Broker, Canonical, CanonicalHead, Dialect, Lost, Message, Value } from '../../src/api.ts'
import { listToJson, lostInJson, mapToJson } from '../shared/json.ts'
import { ruleIn } from '../shared/losses.ts'
import { identifierToText, textToIdentifier, valueToText } from '../shared/values.ts'
import { SCHEDULED } from '../shared/schedule-names.ts'
import { formatAddress, parseAddress } from './address.ts'
import { describe } from './describe.ts'
import { belongsToFrame, isTrue, MESSAGE_ID, readHead, writeHead } from './head.ts'
import { losses } from './losses.ts'
import { type Entries, type MapForm, readMap } from './map-body.ts'
import type { StompSettings } from './settings.ts'
import { hasMoreValues } from './xstream.ts'
import { mapForm, NOT_OF_SEND, TRANSFORMATION, TRANSFORMATION_ERROR } from './transformation.ts'
import { PROPERTY_TYPES, readTypes, typed, writeTypes } from './property-types.ts'

/** `mapValuesMax`: a body of more is no map, but text. */
export function stompDialect(broker: Broker, { propertyTypes, mapValuesMax }: Pick<StompSettings, 'propertyTypes' | 'mapValuesMax'>): Dialect {
  return {
    name: 'stomp',
    toCanonical: (message) => toCanonical(broker, message, mapValuesMax),
    headOf: (message) => canonicalHead(broker, readHead(message.head), plainText),
    fromCanonical: (canonical, message, lost) => fromCanonical(canonical, message, lost, propertyTypes),
    describe,
    ruleOf: ruleIn(losses),
  }
}

function toCanonical(broker: Broker, message: Message, mapValuesMax: number): Canonical {
  const headers = readHead(message.head)
  const transformation = valueOf(headers, TRANSFORMATION)
  const readAsMap = (text: string, form: MapForm): Entries | undefined => (hasMoreValues(text, form, mapValuesMax) ? undefined : readMap(text, form))
  const body = readBody(message, valueOf(headers, 'content-length') !== undefined, valueOf(headers, 'amq-msg-type'), transformation, readAsMap)
  const head = canonicalHead(broker, headers, textToIdentifier)
  const error = transformationError(transformation, body)
  if (error === undefined || valueOf(headers, TRANSFORMATION_ERROR) !== undefined) return { ...head, body }
  return { ...head, properties: [...head.properties, [TRANSFORMATION_ERROR, plainText(error)]], body }
}

/** What ActiveMQ tells a message's readers, too, when its body is not what its sender says. */
function transformationError(transformation: string | undefined, body: Body): string | undefined {
  const form = mapForm(transformation)
  if (form !== undefined && body.kind !== 'map') return `the body is no map in ${form === 'json' ? 'JSON' : 'XML'}`
  return transformation !== undefined && NOT_OF_SEND.has(transformation) ? `Unknown transformation: ${transformation}` : undefined
}

const plainText = (value: string): Value => ({ type: 'string', value })

type Headers = ReturnType<typeof readHead>

function valueOf(headers: Headers, name: string): string | undefined {
  return headers.find((pair) => pair[0] === name)?.[1]
}

function canonicalHead(broker: Broker, headers: Headers, identifier: (text: string) => Value): CanonicalHead {
  const fields = new Map<string, string>()
  for (const [name, value] of headers) if (FIELDS.has(name) && !fields.has(name)) fields.set(name, value)
  const first = (name: string): string | undefined => fields.get(name)
  const correlationId = first('correlation-id')
  const replyTo = readAddress(broker, first('reply-to'))
  const timestampMs = numberOf(first('timestamp'))
  const groupSequence = numberOf(first('JMSXGroupSeq'))
  const types = readTypes(first(PROPERTY_TYPES))
  const properties: (readonly [string, Value])[] = []
  // A field that cannot be read, such as a reply-to that is no address of ours, is still worth something to who wrote it.
  const unread = (name: string): boolean =>
    (name === 'reply-to' && replyTo === undefined) ||
    (name === 'timestamp' && timestampMs === undefined) ||
    (name === 'JMSXGroupSeq' && groupSequence === undefined)
  for (const [name, value] of headers) {
    if (!FIELDS.has(name) || unread(name)) properties.push([name, typed(types.get(name), value)])
  }
  const qos = first('ActiveMQ.MQTT.QoS')
  return {
    messageId: undefined,
    correlationId: correlationId === undefined ? undefined : identifier(correlationId),
    replyTo,
    type: first('type'),
    contentType: first('content-type'),
    contentEncoding: first('content-encoding'),
    timestampMs,
    userId: undefined,
    groupSequence,
    qos: qos === '0' || qos === '1' || qos === '2' ? Number(qos) : undefined,
    retain: isTrue(first('ActiveMQ.Retain') ?? ''),
    properties,
  }
}

/** Table 3.4, "STOMP in": `amq-msg-type` decides, else content-length; a map by `transformation`. */
function readBody(
  message: Message,
  measured: boolean,
  kind: string | undefined,
  transformation: string | undefined,
  readAsMap: (text: string, form: MapForm) => Entries | undefined,
): Body {
  const bytes = Buffer.from(message.body.buffer, message.body.byteOffset, message.body.length)
  if (kind === 'bytes' || (measured && kind !== 'text' && transformation === undefined)) return { kind: 'bytes', bytes: message.body }
  // What calls itself text and is not stays as it is, rather than be mutilated.
  if (!isUtf8(bytes)) return { kind: 'bytes', bytes: message.body }
  const text = bytes.toString()
  const form = mapForm(transformation)
  const entries = form === undefined ? undefined : readAsMap(text, form)
  if (entries !== undefined) return { kind: 'map', entries }
  return measured && kind !== 'text' ? { kind: 'bytes', bytes: message.body } : { kind: 'text', text }
}

function fromCanonical(canonical: Canonical, message: Message, lost: Lost, propertyTypes: boolean): Readonly<{ head: Uint8Array; body: Uint8Array }> {
  const headers: (readonly [string, string])[] = []
  const add = (name: string, value: string | undefined): void => {
    if (value !== undefined) headers.push([name, value])
  }
  // First, where subscription.ts looks for it.
  const id = canonical.messageId === undefined ? '' : identifierToText(canonical.messageId)
  if (id !== '') add(MESSAGE_ID, id)
  // Its delay is over when somebody reads it, and STOMP has no header for a time; a delay that was asked for as such is among the properties.
  if (message.deliverAtMs > 0 && !canonical.properties.some(([name]) => name === 'AMQ_SCHEDULED_DELAY')) lost('deliverAt')
  if (message.durable) add('persistent', 'true')
  add('priority', String(message.priority))
  if (message.expiresAtMs > 0) add('expires', String(message.expiresAtMs))
  if (canonical.correlationId !== undefined) add('correlation-id', identifierToText(canonical.correlationId))
  const replyTo = canonical.replyTo === undefined ? undefined : formatAddress(canonical.replyTo)
  if (canonical.replyTo !== undefined && replyTo === undefined) lost('replyTo')
  add('reply-to', replyTo)
  add('type', canonical.type)
  add('content-type', canonical.contentType ?? (canonical.body.kind === 'object' ? canonical.body.contentType : undefined))
  add('content-encoding', canonical.contentEncoding)
  add('timestamp', canonical.timestampMs?.toString())
  if (message.group !== '') add('JMSXGroupID', message.group)
  add('JMSXGroupSeq', canonical.groupSequence?.toString())
  add('JMSXUserID', canonical.userId)
  add('ActiveMQ.MQTT.QoS', canonical.qos?.toString())
  if (canonical.retain) add('ActiveMQ.Retain', 'true')
  addProperties(canonical, add, lost, propertyTypes)
  const body = writeBody(canonical.body, headers, lost)
  return { head: writeHead(headers), body }
}

function addProperties({ properties, replyTo }: Canonical, add: (name: string, value: string) => void, lost: Lost, propertyTypes: boolean): void {
  let typesLost = false
  const kept: (readonly [string, Value])[] = []
  for (const property of properties) {
    const [name, value] = property
    // Somebody else's reply-to is one here, too.
    const foreign = name === 'reply-to' && replyTo === undefined
    if (name === '' || belongsToFrame(name) || (FIELDS.has(name) && !foreign)) {
      lost('properties')
      continue
    }
    // Their types are known by their names.
    if (!SCHEDULED.has(name)) kept.push(property)
    typesLost ||= value.type !== 'string' && !SCHEDULED.has(name) && (!propertyTypes || value.type === 'list' || value.type === 'map')
    add(name, valueToText(value))
  }
  const types = propertyTypes ? writeTypes(kept) : undefined
  if (types !== undefined) add(PROPERTY_TYPES, types)
  if (typesLost) lost('propertyTypes')
}

/** Table 3.4, "Core kind → STOMP". A content-length makes it bytes for who reads it. */
function writeBody(body: Body, headers: (readonly [string, string])[], lost: Lost): Uint8Array {
  switch (body.kind) {
    case 'none':
      lost('bodyKind')
      return EMPTY
    case 'text': {
      if (body.text === null) lost('bodyKind')
      const bytes = Buffer.from(body.text ?? '')
      // Without a content-length a NUL would end the frame; amq-msg-type says that it is text all the same.
      if (bytes.includes(0)) headers.push(['amq-msg-type', 'text'], ['content-length', String(bytes.length)])
      return bytes
    }
    case 'object':
      lost('bodyKind')
      headers.push(['content-length', String(body.bytes.length)])
      return body.bytes
    case 'bytes':
      headers.push(['content-length', String(body.bytes.length)])
      return body.bytes
    case 'map': {
      const { entries, types } = lostInJson(body.entries)
      if (entries) lost('bodyEntries')
      if (types) lost('bodyTypes')
      headers.push([TRANSFORMATION, 'jms-map-json'])
      return Buffer.from(mapToJson(body.entries))
    }
    case 'list':
      lost('bodyKind')
      return Buffer.from(listToJson(body.items))
  }
}

function readAddress(broker: Broker, name: string | undefined): Address | undefined {
  if (name === undefined) return undefined
  const address = parseAddress(broker, name)
  return 'code' in address ? undefined : address
}

function numberOf(text: string | undefined): number | undefined {
  return text !== undefined && /^-?\d{1,15}$/.test(text) ? Number(text) : undefined
}

/** Headers that are fields of a message or say how its body is written; all others are properties. */
const FIELDS: ReadonlySet<string> = new Set([
  'persistent',
  'priority',
  'expires',
  'correlation-id',
  'reply-to',
  'type',
  'content-type',
  'content-encoding',
  'timestamp',
  'JMSXGroupID',
  'JMSXGroupSeq',
  'ActiveMQ.MQTT.QoS',
  'ActiveMQ.Retain',
  'content-length',
  'amq-msg-type',
  'transformation',
  PROPERTY_TYPES,
])
const EMPTY = new Uint8Array(0)
