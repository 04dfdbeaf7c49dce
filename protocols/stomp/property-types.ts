// The header x-amq-types: which types properties have, since a header is text (users-and-features.md 3.3, `properties`).
//
//     x-amq-types:count=int32,ratio=double          names with `,` `=` `%` percent-encoded; what is not named is a string
//
// A sender may always say it. The broker says it when the setting `propertyTypes` is on.
import type { Value } from '../../src/api.ts'
import { textToValue } from '../shared/values.ts'

export const PROPERTY_TYPES = 'x-amq-types'

/** Undefined: all are strings. Lists and maps are text here, and cannot come back. */
export function writeTypes(properties: readonly (readonly [string, Value])[]): string | undefined {
  const parts: string[] = []
  for (const [name, { type }] of properties) {
    if (type !== 'string' && type !== 'list' && type !== 'map') parts.push(`${name.replace(/[%,=]/g, encodeURIComponent)}=${type}`)
  }
  return parts.length === 0 ? undefined : parts.join(',')
}

/** By name. What is not in the form is passed over: it was a client that wrote it. */
export function readTypes(text: string | undefined): ReadonlyMap<string, string> {
  const types = new Map<string, string>()
  if (text === undefined) return types
  for (const part of text.split(',')) {
    const equals = part.lastIndexOf('=')
    if (equals > 0) types.set(part.slice(0, equals).replace(/%(2C|3D|25)/gi, decodeURIComponent), part.slice(equals + 1))
  }
  return types
}

/** What does not fit its type stays a string, rather than be lost. */
export function typed(type: string | undefined, text: string): Value {
  return (type === undefined ? undefined : textToValue(type, text)) ?? { type: 'string', value: text }
}
