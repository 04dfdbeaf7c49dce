// Map bodies as ActiveMQ's STOMP users write them: `transformation:jms-map-json` and `jms-map-xml`. Read only; we write plain JSON objects.
// Not a JSON or XML library: what is not in one of the three forms is undefined, and the message stays the text it is.
//
//     {"name":"value","age":30}                                                     plain, as we write it
//     {"map":{"entry":[{"string":["name","value"]},{"string":"age","int":30}]}}     ActiveMQ
//     <map><entry><string>name</string><int>30</int></entry></map>                  ActiveMQ
import type { Value } from '../../src/api.ts'

type Entries = (readonly [string, Value])[]

export function readMap(text: string, transformation: 'jms-map-json' | 'jms-map-xml'): Entries | undefined {
  return transformation === 'jms-map-json' ? readJsonMap(text) : readXmlMap(text)
}

function readJsonMap(text: string): Entries | undefined {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    return undefined
  }
  if (!isObject(json)) return undefined
  const map = json['map']
  if (Object.keys(json).length === 1 && isObject(map) && 'entry' in map) return readActiveMqEntries(map['entry'])
  const entries: Entries = []
  for (const [key, item] of Object.entries(json)) entries.push([key, valueOf(item, 0)])
  return entries
}

/** Each entry holds a string for the key and one value; when that is a string too, both are in one array. */
function readActiveMqEntries(entry: unknown): Entries | undefined {
  const entries: Entries = []
  for (const item of Array.isArray(entry) ? entry : [entry]) {
    if (!isObject(item)) return undefined
    const strings = item['string']
    if (Array.isArray(strings)) {
      if (typeof strings[0] !== 'string') return undefined
      entries.push([strings[0], { type: 'string', value: String(strings[1] ?? '') }])
      continue
    }
    const type = Object.keys(item).find((key) => key !== 'string')
    const value = typeof strings === 'string' && type !== undefined ? typed(type, String(item[type])) : undefined
    if (value === undefined || typeof strings !== 'string') return undefined
    entries.push([strings, value])
  }
  return entries
}

/** Anchored at each step (sticky), so that its time grows with the length of the text and no faster. */
function readXmlMap(text: string): Entries | undefined {
  const trimmed = text.trim()
  const open = trimmed.indexOf('<map>')
  const end = trimmed.length - '</map>'.length
  if (open < 0 || !trimmed.endsWith('</map>') || !/^(?:<\?xml[^>]*\?>\s*)?$/.test(trimmed.slice(0, Math.min(open, 200)))) return undefined
  const entries: Entries = []
  const entry = /\s*<entry>\s*<string>([^<]*)<\/string>\s*<(\w{1,20})>([^<]*)<\/\2>\s*<\/entry>\s*/y
  entry.lastIndex = open + '<map>'.length
  while (entry.lastIndex < end) {
    const match = entry.exec(trimmed)
    const value = match === null ? undefined : typed(match[2], unescapeXml(match[3]))
    if (match === null || value === undefined) return undefined
    entries.push([unescapeXml(match[1]), value])
  }
  return entries
}

/** By ActiveMQ's (Java's) names of types. */
function typed(type: string, text: string): Value | undefined {
  switch (type) {
    case 'string':
      return { type: 'string', value: text }
    case 'boolean':
      return { type: 'boolean', value: text === 'true' }
    case 'char':
      return { type: 'char', value: text }
    case 'byte':
      return whole('int8', text)
    case 'short':
      return whole('int16', text)
    case 'int':
      return whole('int32', text)
    case 'long':
      return /^-?\d{1,19}$/.test(text) ? { type: 'int64', value: BigInt(text) } : undefined
    case 'float':
      return { type: 'float', value: Number(text) }
    case 'double':
      return { type: 'double', value: Number(text) }
    default:
      return undefined
  }
}

function whole(type: 'int8' | 'int16' | 'int32', text: string): Value | undefined {
  return /^-?\d{1,10}$/.test(text) ? { type, value: Number(text) } : undefined
}

function valueOf(json: unknown, depth: number): Value {
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
  if (Array.isArray(json)) return { type: 'list', value: json.map((item) => valueOf(item, depth + 1)) }
  if (!isObject(json)) return { type: 'null' }
  return { type: 'map', value: Object.entries(json).map(([key, item]) => [{ type: 'string', value: key }, valueOf(item, depth + 1)] as const) }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function unescapeXml(text: string): string {
  return text.replace(/&(lt|gt|amp|quot|apos);/g, (_, name: string) => XML[name] ?? '')
}

const XML: Readonly<Record<string, string>> = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" }
/** Nesting beyond this is cut: a body is a client's, and must not exhaust our stack. */
const DEPTH_MAX = 64
