// Map and list bodies as JSON, for protocols that have neither (users-and-features.md 3.4). Written by MQTT, shared with STOMP.
// One way only. Whole numbers keep all their digits; what JSON cannot say is a string: binary in base64, uuid in its usual form, NaN and infinities by name.
import type { Value } from '../../src/api.ts'
import { shortestFloat } from './numbers.ts'

/** Of entries with the same key the first is written: readers that know only one take the first. */
export function mapToJson(entries: readonly (readonly [string, Value])[]): string {
  const seen = new Set<string>()
  let text = ''
  for (const [key, value] of entries) {
    if (seen.has(key)) continue
    seen.add(key)
    text += `${text === '' ? '' : ','}${JSON.stringify(key)}:${toJson(value)}`
  }
  return `{${text}}`
}

export function listToJson(items: readonly Value[]): string {
  return `[${items.map(toJson).join(',')}]`
}

/** What `mapToJson` leaves out of the map or its values: entries whose key was there already, and types that do not read back. */
export function lostInJson(entries: readonly (readonly [string, Value])[]): Readonly<{ entries: boolean; types: boolean }> {
  return { entries: repeatsKey(entries), types: !entries.every(([, value]) => readsBack(value)) }
}

export function repeatsKey(entries: readonly (readonly [string, Value])[]): boolean {
  return new Set(entries.map(([key]) => key)).size < entries.length
}

/** Whole numbers read back as int64, others as double. */
function readsBack(value: Value): boolean {
  switch (value.type) {
    case 'null':
    case 'boolean':
    case 'string':
      return true
    case 'int64':
      return Number.isSafeInteger(Number(value.value))
    case 'double':
      return Number.isFinite(value.value) && !Number.isSafeInteger(value.value)
    case 'list':
      return value.value.every(readsBack)
    case 'map':
      return (
        value.value.every(([key, item]) => key.type === 'string' && readsBack(item)) &&
        !repeatsKey(value.value.map(([key, item]) => [keyText(key), item]))
      )
    default:
      return false
  }
}

function toJson(value: Value): string {
  switch (value.type) {
    case 'null':
      return 'null'
    case 'boolean':
      return value.value ? 'true' : 'false'
    case 'int8':
    case 'int16':
    case 'int32':
    case 'uint8':
    case 'uint16':
    case 'uint32':
    case 'double':
      return Number.isFinite(value.value) ? JSON.stringify(value.value) : `"${value.value}"`
    case 'float':
      return toJson({ type: 'double', value: shortestFloat(value.value) })
    case 'int64':
    case 'uint64':
    case 'timestamp':
      return value.value.toString()
    case 'string':
    case 'symbol':
    case 'char':
      return JSON.stringify(value.value)
    case 'uuid':
      return JSON.stringify(uuidText(value.value))
    case 'binary':
      return JSON.stringify(Buffer.from(value.value).toString('base64'))
    case 'list':
      return listToJson(value.value)
    case 'map':
      return mapToJson(value.value.map(([key, item]) => [keyText(key), item] as const))
  }
}

/** A key that is no string is written as its JSON. */
function keyText(key: Value): string {
  return key.type === 'string' || key.type === 'symbol' || key.type === 'char' ? key.value : toJson(key).replace(/^"|"$/g, '')
}

function uuidText(bytes: Uint8Array): string {
  const hex = Buffer.from(bytes).toString('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}
