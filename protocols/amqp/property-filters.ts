// Property filter expressions (OASIS AMQP Filter Expressions 1.0, 4.2.4 and 4.2.5) as conditions of a selector: each field of the map is one,
// and all must hold. What the fields of a message are: message-fields.ts. Texts of strings may be modified (4.1.1): `&p:` a prefix, `&s:` a
// suffix, `&&` an ampersand; anything else behind an ampersand is refused.
import { type AmqpError, fault, quote } from './errors.ts'
import { APPLICATION_PROPERTY, HAS_APPLICATION_PROPERTY, PROPERTY } from './message-fields.ts'
import { PROPERTY_NAMES, type PropertyName } from './sections.ts'
import { type Term, textOf } from './term.ts'

/** Undefined: a value is of a kind that is not compared here (decimals, NaN, infinity), so the filter cannot be in force. */
export type Conditions = readonly string[] | AmqpError | undefined

/** By a filter's descriptor. Undefined: it is another filter. */
export function filterOf(code: number, name: string | undefined): ((value: Term) => Conditions) | undefined {
  if (code === 0x173 || name === 'amqp:properties-filter') return (value) => conditions(value, ofProperty)
  if (code === 0x174 || name === 'amqp:application-properties-filter') return (value) => conditions(value, ofApplicationProperty)
  return undefined
}

/** '': it holds for every message. */
type Condition = string | AmqpError | undefined

function conditions(map: Term, of: (name: string, value: Term) => Condition): Conditions {
  if (map.type !== 'pairs') return fault('invalid', 'A filter of properties is a map.')
  const found: string[] = []
  let applies = true
  for (const [key, value] of map.value) {
    const name = textOf(key)
    if (name === undefined) return fault('invalid', 'A filter of properties has a field whose name is no text.')
    const condition = of(name, value)
    if (typeof condition === 'object') return condition
    if (condition === undefined) applies = false
    else if (condition !== '') found.push(condition)
  }
  return applies ? found : undefined
}

function ofProperty(name: string, value: Term): Condition {
  if (!isPropertyName(name)) return fault('invalid', `A filter of properties names ${quote(name)}, which is no property (part 3.2.4).`)
  // 4.1.1: one that is null matches, whatever the message has.
  if (value.type === 'null') return ''
  if (!TYPES[name].has(value.type)) return fault('invalid', `A filter of properties has a value for ${name} that is of another type than this has.`)
  return condition(`${PROPERTY}${name}`, value)
}

function ofApplicationProperty(name: string, value: Term): Condition {
  // It must be there, whatever it is.
  if (value.type === 'null') return `${field(`${HAS_APPLICATION_PROPERTY}${name}`)} = TRUE`
  return condition(`${APPLICATION_PROPERTY}${name}`, value)
}

function condition(name: string, value: Term): Condition {
  if (value.type === 'string' && value.value.startsWith('&')) return modified(name, value.value)
  if (value.type === 'decimal') return undefined
  const literal = literalOf(value)
  if (literal === undefined) return fault('invalid', `A filter of properties has a value for ${quote(name)} that is not simple.`)
  return literal === '' ? undefined : `${field(name)} = ${literal}`
}

function modified(name: string, text: string): Condition {
  const rest = text.slice(3)
  if (text.startsWith('&p:')) return `${field(name)} LIKE ${literally(rest, '', '%')}`
  if (text.startsWith('&s:')) return `${field(name)} LIKE ${literally(rest, '%', '')}`
  if (text.startsWith('&&')) return `${field(name)} = ${string(text.slice(1))}`
  return fault('invalid', `A filter of properties has a value for ${quote(name)} that begins with & and is no &p:, &s: or &&.`)
}

/** Undefined: there is none of this type. '': of this value. */
function literalOf(value: Term): string | undefined {
  switch (value.type) {
    case 'string':
    case 'symbol':
    case 'char':
      return string(value.value)
    case 'boolean':
      return value.value ? 'TRUE' : 'FALSE'
    case 'int8':
    case 'int16':
    case 'int32':
    case 'uint8':
    case 'uint16':
    case 'uint32':
    case 'int64':
    case 'timestamp':
      return String(value.value)
    case 'uint64':
      return `${value.value}u`
    case 'float':
    case 'double':
      return Number.isFinite(value.value) ? `${value.value}d` : ''
    case 'binary':
      return `X'${Buffer.from(value.value).toString('hex')}'`
    case 'uuid':
      return `UUID'${hyphenated(Buffer.from(value.value).toString('hex'))}'`
    default:
      return undefined
  }
}

function field(name: string): string {
  return `amqp."${name.replaceAll('"', '""')}"`
}

function string(text: string): string {
  return `'${text.replaceAll("'", "''")}'`
}

/** As a pattern of LIKE that means nothing but itself. */
function literally(text: string, before: string, behind: string): string {
  const escaped = text.replaceAll(/[%_\\]/g, '\\$&')
  return `${string(before + escaped + behind)}${escaped === text ? '' : " ESCAPE '\\'"}`
}

function hyphenated(hex: string): string {
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
}

function isPropertyName(name: string): name is PropertyName {
  return (PROPERTY_NAMES as readonly string[]).includes(name)
}

type Types = ReadonlySet<Term['type']>

const TEXT: Types = new Set(['string', 'symbol'])
const WHOLE: Types = new Set(['int8', 'int16', 'int32', 'int64', 'uint8', 'uint16', 'uint32', 'uint64'])
const NUMBER: Types = new Set([...WHOLE, 'float', 'double', 'decimal'])
const TIME: Types = new Set([...WHOLE, 'timestamp'])
const IDENTIFIER: Types = new Set([...TEXT, ...NUMBER, 'uuid', 'binary'])

/** What each may be compared with: numbers of any type with numbers, texts with texts. */
const TYPES: Readonly<Record<PropertyName, Types>> = {
  'message-id': IDENTIFIER,
  'user-id': new Set(['binary']),
  to: TEXT,
  subject: TEXT,
  'reply-to': TEXT,
  'correlation-id': IDENTIFIER,
  'content-type': TEXT,
  'content-encoding': TEXT,
  'absolute-expiry-time': TIME,
  'creation-time': TIME,
  'group-id': TEXT,
  'group-sequence': NUMBER,
  'reply-to-group-id': TEXT,
}
