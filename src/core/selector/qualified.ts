// What a selector can name beyond JMS: a field as one dialect calls it, such as `name."field"`, which only that dialect can read, and
// values that are bytes, `X'0aff'` and `UUID'…'`. Inside the engine both are strings that begin with an unpaired surrogate, which no text
// that came as bytes can: so they are found by a look-up like any other, and no text is equal to them.
import type { Value } from '../../api.ts'

const MARK = '\ud800'
const MARK_CODE = 0xd800

/** `field` is of the dialect; names of dialects have no dots. */
export function qualifiedName(dialect: string, field: string): string {
  return `${MARK}${dialect}.${field}`
}

export function isMarked(text: string): boolean {
  return text.charCodeAt(0) === MARK_CODE
}

/** Text, bytes and a UUID: values of these types are not equal, and not unequal either. */
export function areUnlike(one: string, other: string): boolean {
  return isMarked(one) ? !isMarked(other) || one.charCodeAt(1) !== other.charCodeAt(1) : isMarked(other)
}

export function dialectOf(name: string): string {
  return name.slice(1, name.indexOf('.'))
}

export function fieldOf(name: string): string {
  return name.slice(name.indexOf('.') + 1)
}

/** Hexadecimal digits, of a UUID with hyphens; undefined: they are no such value. */
export function bytesText(type: 'binary' | 'uuid', digits: string): string | undefined {
  if (!(type === 'uuid' ? UUID : BINARY).test(digits)) return undefined
  return marked(type, digits.replaceAll('-', '').toLowerCase())
}

export function textOfBytes({ type, value }: Value & { type: 'binary' | 'uuid' }): string {
  return marked(type, Buffer.from(value.buffer, value.byteOffset, value.length).toString('hex'))
}

function marked(type: 'binary' | 'uuid', hexadecimal: string): string {
  return `${MARK}${type}.${hexadecimal}`
}

const BINARY = /^(?:[\da-f]{2})*$/i
const UUID = /^[\da-f]{8}-[\da-f]{4}-[\da-f]{4}-[\da-f]{4}-[\da-f]{12}$/i
