// The dialect `amqp`: what a message that came by AMQP is for other protocols, and how one that came by another is written for AMQP
// (users-and-features.md 3.3 and 3.4). What leaves by AMQP as it came passes none of this. Bodies: body.ts.
import { isUtf8 } from 'node:buffer'
import type { Broker, Canonical, CanonicalHead, Dialect, Lost, Message, Value } from '../../src/api.ts'
import { SCHEDULED, scheduledValue } from '../shared/schedule-names.ts'
import { listToJson, repeatsKey } from '../shared/json.ts'
import { ruleIn } from '../shared/losses.ts'
import { annotationOf, formatAddress, kindOfAnnotation, parseAddress } from './address.ts'
import { readBody, writeBody } from './body.ts'
import { ANNOTATION_PREFIX, DELIVERY_ANNOTATION_PREFIX, FOOTER_PREFIX, FOREIGN_REPLY, REPLY_GROUP } from './carried.ts'
import { describe } from './describe.ts'
import { DIALECT, numberOf } from './incoming-message.ts'
import { losses } from './losses.ts'
import { fieldsOf } from './message-fields.ts'
import { identifierToText } from '../shared/values.ts'
import { TermReader } from './reader.ts'
import {
  APPLICATION_PROPERTIES,
  DELIVERY_ANNOTATIONS,
  FOOTER,
  MESSAGE_ANNOTATIONS,
  PROPERTIES,
  type Section,
  section,
  splitSections,
} from './sections.ts'
import type { AmqpSettings } from './settings.ts'
import { pairs, symbol, type Term, textOf, toValue, ubyte, uint } from './term.ts'
import { TermWriter } from './writer.ts'

export function amqpDialect(broker: Broker, settings: AmqpSettings): Dialect {
  return {
    name: DIALECT,
    toCanonical: (message) => toCanonical(broker, settings, message),
    headOf: (message) => withTexts(takenApart(broker, settings, bufferOf(message.head)).head),
    fieldsOf: (message, head) => fieldsOf(settings, message, head),
    fromCanonical,
    describe: (message, delivery) => describe(broker, settings, message, delivery),
    ruleOf: ruleIn(losses),
  }
}

type Pair = readonly [string, Value]

function toCanonical(broker: Broker, settings: AmqpSettings, message: Message): Canonical {
  const bytes = message.head.length === 0 ? bufferOf(message.body) : Buffer.concat([message.head, message.body])
  const { head, reader, sections, jmsType } = takenApart(broker, settings, bytes)
  return { ...head, body: readBody(reader, bytes, sections, head.contentType, jmsType) }
}

/** Identifiers as the texts by which clients of JMS and other protocols know them. */
function withTexts(head: CanonicalHead): CanonicalHead {
  return { ...head, messageId: textId(head.messageId), correlationId: textId(head.correlationId) }
}

function textId(id: Value | undefined): Value | undefined {
  return id === undefined ? undefined : { type: 'string', value: identifierToText(id) }
}

type Parts = Readonly<{ head: CanonicalHead; reader: TermReader; sections: readonly Section[]; jmsType: number | undefined }>

function takenApart(broker: Broker, settings: AmqpSettings, bytes: Buffer): Parts {
  const reader = new TermReader(settings)
  const sections = splitSections(reader.over(bytes), settings.sectionsMax)
  const find = (code: number): Section | undefined => sections.find((section) => section.code === code)
  const read = (section: Section | undefined): Term | undefined =>
    section === undefined ? undefined : reader.over(bytes, section.value, section.end).term()
  const properties: Pair[] = []
  const annotations = new Map<string, Term>()
  for (const [key, value] of pairsOf(read(find(APPLICATION_PROPERTIES)))) properties.push([nameOf(key), toValue(value)])
  for (const [key, value] of pairsOf(read(find(MESSAGE_ANNOTATIONS)))) annotations.set(nameOf(key), value)

  const fields = read(find(PROPERTIES))
  const at = (index: number): Term | undefined => {
    const term = fields?.type === 'terms' ? fields.value[index] : undefined
    return term?.type === 'null' ? undefined : term
  }
  const userId = at(1)
  const replyTo = textOf(at(4))
  const kind = kindOfAnnotation(numberOf(annotations.get('x-opt-jms-reply-to')))
  const replyAddress = replyTo === undefined ? undefined : parseAddress(broker, replyTo, kind)
  const reply = replyAddress === undefined || 'condition' in replyAddress ? undefined : replyAddress
  // A reply-to that is no address of ours is still worth something to who wrote it.
  if (replyTo !== undefined && reply === undefined) properties.push([FOREIGN_REPLY, { type: 'string', value: replyTo }])
  const replyGroup = textOf(at(12))
  if (replyGroup !== undefined) properties.push([REPLY_GROUP, { type: 'string', value: replyGroup }])
  addAnnotations(properties, annotations)
  for (const [key, value] of pairsOf(read(find(DELIVERY_ANNOTATIONS))))
    properties.push([`${DELIVERY_ANNOTATION_PREFIX}${nameOf(key)}`, toValue(value)])
  for (const [key, value] of pairsOf(read(find(FOOTER)))) properties.push([`${FOOTER_PREFIX}${nameOf(key)}`, toValue(value)])

  const qos = numberOf(annotations.get('x-opt-mqtt-qos'))
  const retain = annotations.get('x-opt-retain')
  const head: CanonicalHead = {
    messageId: idOf(at(0)),
    correlationId: idOf(at(5)),
    replyTo: reply,
    type: textOf(at(3)),
    contentType: textOf(at(6)),
    contentEncoding: textOf(at(7)),
    timestampMs: numberOf(at(9)),
    userId: userId?.type === 'binary' ? userOf(userId.value) : textOf(userId),
    groupSequence: numberOf(at(11)),
    qos: qos === 0 || qos === 1 || qos === 2 ? qos : undefined,
    retain: retain?.type === 'boolean' && retain.value,
    properties,
  }
  return { head, reader, sections, jmsType: numberOf(annotations.get('x-opt-jms-msg-type')) }
}

/** Others know it as text: what is none goes by the name that JMS has for binary identifiers. */
function userOf(bytes: Uint8Array): string {
  return isUtf8(bytes) ? Buffer.from(bytes).toString() : identifierToText({ type: 'binary', value: bytes })
}

/** Annotations that mean something to others go by their names there; the rest by ActiveMQ's prefix, from which they come back. */
function addAnnotations(properties: Pair[], annotations: ReadonlyMap<string, Term>): void {
  for (const [name, value] of annotations) {
    if (FIELDS.has(name)) continue
    const known = RENAMED.get(name)
    properties.push([known ?? `${ANNOTATION_PREFIX}${name}`, toValue(value)])
  }
}

function fromCanonical(canonical: Canonical, message: Message, lost: Lost): Readonly<{ head: Uint8Array; body: Uint8Array }> {
  const annotations: (readonly [Term, Term])[] = []
  const deliveryAnnotations: (readonly [Term, Term])[] = []
  const footer: (readonly [Term, Term])[] = []
  const applications: (readonly [Term, Term])[] = []
  const seen = new Set<string>()
  let replyGroup: Term | undefined
  /** One that is no address of ours. */
  let foreignReply: string | undefined
  for (const [name, value] of canonical.properties) {
    // A map has each key once: readers that know only one take the first.
    if (seen.has(name)) {
      lost('properties')
      continue
    }
    seen.add(name)
    const target = name.startsWith(ANNOTATION_PREFIX)
      ? annotations
      : name.startsWith(DELIVERY_ANNOTATION_PREFIX)
        ? deliveryAnnotations
        : name.startsWith(FOOTER_PREFIX)
          ? footer
          : undefined
    if (target !== undefined) {
      // The same key twice is no map, and a key that is not ASCII no symbol: whoever reads that ends the connection.
      const key = name.slice(ANNOTATION_PREFIX.length)
      if (FIELDS.has(key) || (RENAMED.has(key) && target === annotations) || !ASCII.test(key)) lost('annotations')
      else target.push([symbol(key), value])
    } else if (name === REPLY_GROUP && value.type === 'string') replyGroup = value
    else if (name === FOREIGN_REPLY && value.type === 'string' && canonical.replyTo === undefined) foreignReply = value.value
    else if (!addScheduled(annotations, name, value)) applications.push([{ type: 'string', value: name }, simple(value, lost)])
  }
  const written = writeBody(canonical.body, footer)
  if (canonical.body.kind === 'map' && repeatsKey(canonical.body.entries)) lost('bodyEntries')
  annotations.push([symbol('x-opt-jms-msg-type'), { type: 'int8', value: written.jmsType }])
  const replyTo = canonical.replyTo === undefined ? undefined : formatAddress(canonical.replyTo)
  if (canonical.replyTo !== undefined && replyTo === undefined) lost('replyTo')
  if (canonical.replyTo !== undefined && replyTo !== undefined) {
    annotations.push([symbol('x-opt-jms-reply-to'), { type: 'int8', value: annotationOf(canonical.replyTo) }])
  }
  if (canonical.qos !== undefined) annotations.push([symbol('x-opt-mqtt-qos'), ubyte(canonical.qos)])
  if (canonical.retain) annotations.push([symbol('x-opt-retain'), { type: 'boolean', value: true }])
  // A delay that is told says the same.
  if (message.deliverAtMs > 0 && !seen.has('AMQ_SCHEDULED_DELAY'))
    annotations.push([symbol('x-opt-delivery-time'), { type: 'int64', value: BigInt(message.deliverAtMs) }])

  const contentType = canonical.contentType ?? (canonical.body.kind === 'object' ? canonical.body.contentType : undefined)
  const writer = new TermWriter(512)
  if (deliveryAnnotations.length > 0) section(writer, DELIVERY_ANNOTATIONS).term(pairs(deliveryAnnotations))
  section(writer, MESSAGE_ANNOTATIONS).term(pairs(annotations))
  writer.composite(PROPERTIES, [
    idTerm(canonical.messageId, lost),
    canonical.userId === undefined ? undefined : { type: 'binary', value: Buffer.from(canonical.userId, 'utf8') },
    undefined,
    optional(canonical.type),
    optional(replyTo ?? foreignReply),
    idTerm(canonical.correlationId, lost),
    contentType === undefined ? undefined : asciiSymbol(contentType, 'contentType', lost),
    canonical.contentEncoding === undefined ? undefined : asciiSymbol(canonical.contentEncoding, 'contentEncoding', lost),
    message.expiresAtMs > 0 ? { type: 'timestamp', value: BigInt(message.expiresAtMs) } : undefined,
    canonical.timestampMs === undefined ? undefined : { type: 'timestamp', value: BigInt(Math.trunc(canonical.timestampMs)) },
    message.group === '' ? undefined : { type: 'string', value: message.group },
    canonical.groupSequence === undefined ? undefined : uint(canonical.groupSequence >>> 0),
    replyGroup,
  ])
  if (applications.length > 0) section(writer, APPLICATION_PROPERTIES).term(pairs(applications))
  return { head: writer.bytes(), body: written.bytes }
}

/** What ActiveMQ's scheduling fields are here; false: it is none of them, or has another value than they have. */
function addScheduled(annotations: (readonly [Term, Term])[], name: string, value: Value): boolean {
  const known = SCHEDULED.get(name)
  const said = known === undefined ? undefined : scheduledValue(known.type, value)
  if (known === undefined || said === undefined) return false
  annotations.push([symbol(known.annotation), said])
  return true
}

/** Application properties are simple values (part 3.2.5): what is not goes as JSON. */
function simple(value: Value, lost: Lost): Term {
  if (value.type !== 'list' && value.type !== 'map') return value
  lost('propertyTypes')
  return { type: 'string', value: value.type === 'list' ? listToJson(value.value) : listToJson([value]).slice(1, -1) }
}

/** Identifiers are one of four types (part 3.2.4); whole numbers become ulong if they are not negative, the rest is text. */
function idTerm(id: Value | undefined, lost: Lost): Term | undefined {
  if (id === undefined) return undefined
  switch (id.type) {
    case 'null':
      return undefined
    case 'uint64':
    case 'uuid':
    case 'binary':
    case 'string':
      return id
    case 'symbol':
    case 'char':
      return { type: 'string', value: id.value }
    case 'list':
    case 'map':
      lost('idTypes')
      return { type: 'string', value: listToJson([id]) }
    default:
      lost('idTypes')
      return { type: 'string', value: String(id.value) }
  }
}

/** Symbols are ASCII (part 1.6.21). */
function asciiSymbol(value: string, field: string, lost: Lost): Term | undefined {
  if (ASCII.test(value)) return symbol(value)
  lost(field)
  return undefined
}

function optional(value: string | undefined): Term | undefined {
  return value === undefined ? undefined : { type: 'string', value }
}

function idOf(term: Term | undefined): Value | undefined {
  return term === undefined ? undefined : toValue(term)
}

function pairsOf(term: Term | undefined): readonly (readonly [Term, Term])[] {
  return term?.type === 'pairs' ? term.value : []
}

/** Keys of annotations are symbols (or numbers, reserved), those of properties strings. */
function nameOf(key: Term): string {
  const value = toValue(key)
  return value.type === 'string' || value.type === 'symbol' ? value.value : listToJson([value]).slice(1, -1)
}

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
}

const ASCII = /^[\x20-\x7e]*$/
/** Annotations that are fields of the message, or say how its parts are to be read. */
const FIELDS: ReadonlySet<string> = new Set([
  'x-opt-jms-msg-type',
  'x-opt-jms-dest',
  'x-opt-jms-reply-to',
  'x-opt-delivery-time',
  'x-opt-mqtt-qos',
  'x-opt-retain',
])
const RENAMED: ReadonlyMap<string, string> = new Map([
  ['x-opt-dedup-id', '_AMQ_DUPL_ID'],
  ...[...SCHEDULED].map(([name, { annotation }]) => [annotation, name] as const),
])
