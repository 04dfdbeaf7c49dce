// A value of AMQP's type system (part 1) as an object: the core's tagged values, and what only AMQP has.
import type { Value } from '../../src/api.ts'

export type Term =
  | Value
  | Readonly<{ type: 'terms'; value: readonly Term[] }>
  | Readonly<{ type: 'pairs'; value: readonly (readonly [Term, Term])[] }>
  | Readonly<{ type: 'array'; value: readonly Term[] }>
  | Readonly<{ type: 'described'; descriptor: Term; value: Term }>
  /** decimal32, decimal64, decimal128: carried as bytes, never computed with. */
  | Readonly<{ type: 'decimal'; value: Uint8Array }>

/** What of a term every protocol knows: descriptors are dropped, arrays are lists, decimals bytes. */
export function toValue(term: Term): Value {
  switch (term.type) {
    case 'terms':
    case 'array':
      return { type: 'list', value: term.value.map(toValue) }
    case 'pairs':
      return { type: 'map', value: term.value.map(([key, value]) => [toValue(key), toValue(value)] as const) }
    case 'described':
      return toValue(term.value)
    case 'decimal':
      return { type: 'binary', value: term.value }
    default:
      return term
  }
}

/** The text of a symbol or string. */
export function textOf(term: Term | undefined): string | undefined {
  return term !== undefined && (term.type === 'symbol' || term.type === 'string') ? term.value : undefined
}

export const symbol = (value: string): Term => ({ type: 'symbol', value })
export const text = (value: string): Term => ({ type: 'string', value })
export const uint = (value: number): Term => ({ type: 'uint32', value })
export const ushort = (value: number): Term => ({ type: 'uint16', value })
export const ubyte = (value: number): Term => ({ type: 'uint8', value })
export const boolean = (value: boolean): Term => ({ type: 'boolean', value })
export const described = (code: number, value: Term): Term => ({ type: 'described', descriptor: { type: 'uint64', value: BigInt(code) }, value })
export const symbols = (names: readonly string[]): Term => ({ type: 'array', value: names.map(symbol) })
export const list = (fields: readonly (Term | undefined)[]): Term => ({ type: 'terms', value: fields.map((field) => field ?? NULL) })
export const pairs = (value: readonly (readonly [Term, Term])[]): Term => ({ type: 'pairs', value })

export const NULL: Term = { type: 'null' }
