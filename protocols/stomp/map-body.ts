// Map bodies as STOMP clients read and write them: JSON and XML of ActiveMQ (xstream.ts), and a plain JSON object, which anybody may send and which
// those get who ask for no form. What is none of them is undefined, and the message stays the text it is.
//
//     {"name":"value","age":30}                                                     plain
//     {"map":{"entry":[{"string":["name","value"]},{"string":"age","int":30}]}}     ActiveMQ
//     <map><entry><string>name</string><int>30</int></entry></map>                  ActiveMQ
import type { Value } from '../../src/api.ts'
import { textToValue, valueToText } from '../shared/values.ts'
import { type Element, isObject, lengthOf, readJson, readXml, writeJson, writeXml } from './xstream.ts'

export type Entries = readonly (readonly [string, Value])[]
export type MapForm = 'json' | 'xml'

export function readMap(text: string, form: MapForm): Entries | undefined {
  if (form === 'xml') return entriesOf(readXml(text))
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    return undefined
  }
  if (!isObject(json)) return undefined
  const map = json['map']
  const ofActiveMq = Object.keys(json).length === 1 && (map === '' || (isObject(map) && 'entry' in map))
  return ofActiveMq ? entriesOf(readJson(text, json)) : Object.entries(json).map(([key, item]) => [key, plainValue(item, 0)])
}

/**
 * As ActiveMQ writes it. Of entries with the same key the first is written, since its readers know only one. Undefined: it would have more than
 * `charactersMax`, since few bytes of another protocol can be many in these forms.
 */
export function writeMap(entries: Entries, form: MapForm, charactersMax: number): string | undefined {
  const first = new Map<string, Value>()
  for (const [key, value] of entries) if (!first.has(key)) first.set(key, value)
  const map = mapElement([...first].map(([key, value]) => [{ type: 'string', value: key }, value]))
  if (lengthOf(map, form === 'xml' ? 0 : undefined) > charactersMax) return undefined
  return form === 'xml' ? writeXml(map) : writeJson(map, isLiteral)
}

// ---- Elements -------------------------------------------------------------------------------------------------------

function entriesOf(map: Element | undefined): Entries | undefined {
  const pairs = map?.name === 'map' ? pairsOf(map) : undefined
  if (pairs === undefined) return undefined
  const entries: (readonly [string, Value])[] = []
  for (const [key, value] of pairs) {
    if (key.type !== 'string') return undefined
    entries.push([key.value, value])
  }
  return entries
}

/** Of an element `map`. */
function pairsOf({ holds }: Element): (readonly [Value, Value])[] | undefined {
  if (typeof holds === 'string') return holds.trim() === '' ? [] : undefined
  const pairs: (readonly [Value, Value])[] = []
  for (const { name, holds: parts } of holds) {
    if (name !== 'entry' || typeof parts === 'string' || parts.length === 0 || parts.length > 2) return undefined
    // Not every writer of JSON keeps the order of members: a lone string is the key, wherever it stands.
    const [one, other = EMPTY_STRING] = parts
    const swapped = one.name !== 'string' && other.name === 'string'
    const key = valueOf(swapped ? other : one)
    const value = valueOf(swapped ? one : other)
    if (key === undefined || value === undefined) return undefined
    pairs.push([key, value])
  }
  return pairs
}

function itemsOf({ holds }: Element): Value[] | undefined {
  if (typeof holds === 'string') return holds.trim() === '' ? [] : undefined
  const items: Value[] = []
  for (const each of holds) {
    const item = valueOf(each)
    if (item === undefined) return undefined
    items.push(item)
  }
  return items
}

function valueOf(element: Element): Value | undefined {
  const { name, holds } = element
  if (name === 'map') {
    const value = pairsOf(element)
    return value === undefined ? undefined : { type: 'map', value }
  }
  if (name === 'list') {
    const value = itemsOf(element)
    return value === undefined ? undefined : { type: 'list', value }
  }
  if (typeof holds !== 'string' && holds.length > 0) return undefined
  const text = typeof holds === 'string' ? holds : ''
  if (name === 'byte-array') return { type: 'binary', value: Buffer.from(text, 'base64') }
  const type = TYPES.get(name)
  return type === undefined ? undefined : textToValue(type, text)
}

function mapElement(pairs: readonly (readonly [Value, Value])[]): Element {
  return { name: 'map', holds: pairs.map(([key, value]) => ({ name: 'entry', holds: [elementOf(key), elementOf(value)] })) }
}

/** Types that Java has not are the next wider ones, or strings. */
function elementOf(value: Value): Element {
  switch (value.type) {
    case 'map':
      return mapElement(value.value)
    case 'list':
      return { name: 'list', holds: value.value.map(elementOf) }
    case 'null':
      return { name: 'null', holds: [] }
    case 'binary':
      return { name: 'byte-array', holds: Buffer.from(value.value).toString('base64') }
    case 'uint64':
      return { name: value.value < 2n ** 63n ? 'long' : 'string', holds: valueToText(value) }
    case 'char':
      // A Java character is 16 bits.
      return { name: value.value.length === 1 ? 'char' : 'string', holds: value.value }
    case 'float':
    case 'double': {
      const text = valueToText(value)
      return { name: value.type, holds: /^-?\d+$/.test(text) ? `${text}.0` : text }
    }
    default:
      return { name: NAMES[value.type], holds: valueToText(value) }
  }
}

/** Whether JSON says it without quotes. */
function isLiteral({ name, holds }: Element): boolean {
  return name === 'boolean' || (NUMBERS.has(name) && holds !== 'NaN' && holds !== 'Infinity' && holds !== '-Infinity')
}

const NAMES = {
  string: 'string',
  symbol: 'string',
  uuid: 'string',
  boolean: 'boolean',
  int8: 'byte',
  uint8: 'short',
  int16: 'short',
  uint16: 'int',
  int32: 'int',
  uint32: 'long',
  int64: 'long',
  timestamp: 'long',
} as const
const TYPES: ReadonlyMap<string, string> = new Map([
  ['string', 'string'],
  ['boolean', 'boolean'],
  ['char', 'char'],
  ['byte', 'int8'],
  ['short', 'int16'],
  ['int', 'int32'],
  ['long', 'int64'],
  ['float', 'float'],
  ['double', 'double'],
  ['null', 'null'],
])
const NUMBERS: ReadonlySet<string> = new Set(['byte', 'short', 'int', 'long', 'float', 'double'])
const EMPTY_STRING: Element = { name: 'string', holds: '' }

// ---- Plain JSON -----------------------------------------------------------------------------------------------------

function plainValue(json: unknown, depth: number): Value {
  switch (typeof json) {
    case 'string':
      return { type: 'string', value: json }
    case 'boolean':
      return { type: 'boolean', value: json }
    case 'number':
      return Number.isSafeInteger(json) ? { type: 'int64', value: BigInt(json) } : { type: 'double', value: json }
    default:
  }
  if (json === null || depth >= DEPTH_MAX) return { type: 'null' }
  if (Array.isArray(json)) return { type: 'list', value: json.map((item) => plainValue(item, depth + 1)) }
  if (!isObject(json)) return { type: 'null' }
  return { type: 'map', value: Object.entries(json).map(([key, item]) => [{ type: 'string', value: key }, plainValue(item, depth + 1)] as const) }
}

/** Nesting beyond this is cut: a body is a client's, and must not exhaust our stack. */
const DEPTH_MAX = 64
