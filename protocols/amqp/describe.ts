// A delivery as an AMQP client reads it, for people: every section with the names of the specification and every value with its type.
import type { Broker, Delivery, Described, Message } from '../../src/api.ts'
import { listToJson } from '../shared/json.ts'
import { formatAddress } from './address.ts'
import { annotatedHead, isAnnotated } from './annotated.ts'
import { headerSection } from './outbound.ts'
import { TermReader } from './reader.ts'
import {
  APPLICATION_PROPERTIES,
  DATA,
  DELIVERY_ANNOTATIONS,
  FOOTER,
  HEADER,
  MESSAGE_ANNOTATIONS,
  PROPERTIES,
  type Section,
  SEQUENCE,
  splitSections,
  VALUE,
  PROPERTY_NAMES,
} from './sections.ts'
import type { AmqpSettings } from './settings.ts'
import { type Term, toValue } from './term.ts'

type Field = readonly [string, string]

export function describe(broker: Broker, settings: AmqpSettings, message: Message, delivery: Delivery): Described {
  const reader = new TermReader(settings)
  const head = isAnnotated(delivery) ? annotatedHead(reader, message.head, delivery) : message.head
  const bytes = Buffer.concat([headerSection(message, delivery, broker.clock.wallMs()), head, message.body])
  const sections = splitSections(reader.over(bytes), settings.sectionsMax)
  const read = (section: Section): Term => reader.over(bytes, section.value, section.end).term()
  const fields: Field[] = []
  const bodies: Section[] = []
  for (const section of sections) {
    if (section.code >= DATA && section.code <= VALUE) bodies.push(section)
    else fields.push(...fieldsOf(section.code, read(section)))
  }
  return {
    destination: formatAddress(delivery.dead === undefined ? delivery.to : delivery.queue) ?? formatAddress(delivery.queue),
    fields,
    body: bodyOf(bodies.map(({ code }) => code)[0], bodies.map(read)),
  }
}

function fieldsOf(code: number, term: Term): readonly Field[] {
  if (term.type === 'pairs') return term.value.map(([key, value]) => [`${SECTIONS[code]}.${plain(key)}`, valueText(value)])
  const names = code === HEADER ? HEADER_FIELDS : PROPERTY_NAMES
  const values = term.type === 'terms' ? term.value : []
  return values.flatMap((value, i): readonly Field[] => (value.type === 'null' ? [] : [[`${SECTIONS[code]}.${names[i] ?? i}`, valueText(value)]]))
}

function bodyOf(code: number | undefined, terms: readonly Term[]): Described['body'] {
  const [first] = terms
  if (code === undefined || first === undefined) return { kind: 'no body', bytes: new Uint8Array(0) }
  if (code === DATA) return { kind: 'data', bytes: Buffer.concat(terms.map((term) => (term.type === 'binary' ? term.value : new Uint8Array(0)))) }
  if (code === SEQUENCE) return { kind: 'amqp-sequence', bytes: Buffer.from(terms.map(plain).join('\n')) }
  const kind = `amqp-value ${typeName(first)}`
  return { kind, bytes: first.type === 'binary' ? first.value : first.type === 'null' ? new Uint8Array(0) : Buffer.from(plain(first)) }
}

/** Text as it is; what is no text says what it is. */
function valueText(term: Term): string {
  return term.type === 'string' ? term.value : `${plain(term)} (${typeName(term)})`
}

function plain(term: Term): string {
  const value = toValue(term)
  if (value.type === 'string' || value.type === 'symbol' || value.type === 'char') return value.value
  if (value.type === 'binary') return `0x${Buffer.from(value.value).toString('hex')}`
  return listToJson([value])
    .slice(1, -1)
    .replace(/^"(.*)"$/, '$1')
}

function typeName(term: Term): string {
  return TYPES[term.type] ?? term.type
}

const TYPES: Readonly<Record<string, string>> = {
  int8: 'byte',
  int16: 'short',
  int32: 'int',
  int64: 'long',
  uint8: 'ubyte',
  uint16: 'ushort',
  uint32: 'uint',
  uint64: 'ulong',
  terms: 'list',
  pairs: 'map',
}

const SECTIONS: Readonly<Record<number, string>> = {
  [HEADER]: 'header',
  [DELIVERY_ANNOTATIONS]: 'delivery-annotations',
  [MESSAGE_ANNOTATIONS]: 'message-annotations',
  [PROPERTIES]: 'properties',
  [APPLICATION_PROPERTIES]: 'application-properties',
  [FOOTER]: 'footer',
}
const HEADER_FIELDS = ['durable', 'priority', 'ttl', 'first-acquirer', 'delivery-count']
