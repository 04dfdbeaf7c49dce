// Tagged values ↔ text, for protocols whose headers are text, and identifiers ↔ text by AMQP's mapping of JMS. Written for STOMP.
import type { Value } from '../../src/api.ts'
import { listToJson } from './json.ts'
import { shortestFloat } from './numbers.ts'

/** Numbers in decimal, bytes in hexadecimal, a uuid in its usual form, null as nothing, lists and maps as JSON. */
export function valueToText(value: Value): string {
  switch (value.type) {
    case 'null':
      return ''
    case 'string':
    case 'symbol':
    case 'char':
      return value.value
    case 'float':
      return String(shortestFloat(value.value))
    case 'binary':
      return Buffer.from(value.value).toString('hex')
    case 'uuid':
    case 'map':
      return listToJson([value]).replace(/^\["?|"?\]$/g, '')
    case 'list':
      return listToJson(value.value)
    default:
      return String(value.value)
  }
}

/** The other way; undefined: the text is no value of this type, or there is no such type. Lists and maps do not come back. */
export function textToValue(type: string, text: string): Value | undefined {
  switch (type) {
    case 'null':
      return text === '' ? { type } : undefined
    case 'boolean':
      return text === 'true' || text === 'false' ? { type, value: text === 'true' } : undefined
    case 'int8':
    case 'int16':
    case 'int32':
    case 'uint8':
    case 'uint16':
    case 'uint32': {
      const [least, most] = RANGES[type]
      const number = WHOLE.test(text) ? Number(text) : Number.NaN
      return number >= least && number <= most ? { type, value: number } : undefined
    }
    case 'int64':
    case 'timestamp':
      return bigValue(type, text, -(2n ** 63n), 2n ** 63n - 1n)
    case 'uint64':
      return bigValue(type, text, 0n, 2n ** 64n - 1n)
    case 'float':
    case 'double':
      if (!REAL.test(text)) return undefined
      return { type, value: type === 'float' ? Math.fround(Number(text)) : Number(text) }
    case 'string':
      return { type, value: text }
    case 'symbol':
      return ASCII.test(text) ? { type, value: text } : undefined
    case 'char':
      return CHAR.test(text) ? { type, value: text } : undefined
    case 'uuid': {
      const hex = UUID.test(text) ? text.replaceAll('-', '') : ''
      return hex === '' ? undefined : { type, value: Buffer.from(hex, 'hex') }
    }
    case 'binary':
      return HEX.test(text) ? { type, value: Buffer.from(text, 'hex') } : undefined
    default:
      return undefined
  }
}

/**
 * An identifier as text that comes back with its type (amqp-bindmap-jms 3.2.1.1). Strings stay as they are, unless they look like another type. Of the
 * types that AMQP's identifiers have not, nothing but the text is kept.
 */
export function identifierToText(id: Value): string {
  switch (id.type) {
    case 'uint64':
      return `ID:AMQP_ULONG:${id.value}`
    case 'uuid':
      return `ID:AMQP_UUID:${valueToText(id)}`
    case 'binary':
      return `ID:AMQP_BINARY:${valueToText(id).toUpperCase()}`
    case 'string':
      return id.value.startsWith('ID:AMQP_') ? `ID:AMQP_STRING:${id.value}` : id.value
    default:
      return valueToText(id)
  }
}

export function textToIdentifier(text: string): Value {
  const [, prefix = '', rest = ''] = /^ID:AMQP_(ULONG|UUID|BINARY|STRING):([^]*)$/.exec(text) ?? []
  const type = prefix === 'ULONG' ? 'uint64' : prefix.toLowerCase()
  return textToValue(type, rest) ?? { type: 'string', value: text }
}

function bigValue(type: 'int64' | 'uint64' | 'timestamp', text: string, least: bigint, most: bigint): Value | undefined {
  const number = WHOLE.test(text) ? BigInt(text) : most + 1n
  return number >= least && number <= most ? { type, value: number } : undefined
}

const RANGES = {
  int8: [-128, 127],
  int16: [-32_768, 32_767],
  int32: [-2_147_483_648, 2_147_483_647],
  uint8: [0, 255],
  uint16: [0, 65_535],
  uint32: [0, 4_294_967_295],
} as const
const ASCII = /^[\x20-\x7e]*$/
const CHAR = /^[^]$/u
/** Bounded, as everything that comes from a client. */
const WHOLE = /^-?\d{1,20}$/
const REAL = /^(?:-?\d{1,400}(?:\.\d{1,400})?(?:[eE][+-]?\d{1,3})?|NaN|-?Infinity)$/
const UUID = /^[\da-f]{8}-[\da-f]{4}-[\da-f]{4}-[\da-f]{4}-[\da-f]{12}$/i
const HEX = /^(?:[\da-f]{2})*$/i
