// A selector's text as tokens, each with where it stands. Names as in Java, strings in single quotes, numbers as JMS 2.0 (3.8.1.1) writes them.
// Beyond JMS: names may have dots, and any name may stand in double quotes, since headers of other protocols are called `content-type`;
// fields of a dialect, bytes, and whole numbers of 64 bits without a sign (qualified.ts).
import { CodedError } from '../../errors.ts'
import { bytesText, qualifiedName } from './qualified.ts'

export type Token = Readonly<
  | { kind: 'name' | 'string' | 'symbol' | 'keyword'; text: string; at: number }
  /** Exact: as bigint, up to 2^63, which only a minus makes a long; `unsigned` up to 2^64 - 1. */
  | { kind: 'exact'; value: bigint; unsigned: boolean; at: number }
  | { kind: 'approximate'; value: number; at: number }
  | { kind: 'end'; at: number }
>

const KEYWORDS: ReadonlySet<string> = new Set(['NULL', 'TRUE', 'FALSE', 'NOT', 'AND', 'OR', 'BETWEEN', 'LIKE', 'IN', 'IS', 'ESCAPE'])
const SPACE = /[ \t\f\r\n]+/y
const NAME = /[\p{L}\p{Nl}\p{Sc}\p{Pc}][\p{L}\p{Nl}\p{Sc}\p{Pc}\p{Nd}\p{Mn}\p{Mc}.]*/uy
const HYPHENATED = /[\p{L}\p{Nl}\p{Sc}\p{Pc}][\p{L}\p{Nl}\p{Sc}\p{Pc}\p{Nd}\p{Mn}\p{Mc}.-]*/uy
const APPROXIMATE = /(?:\d+\.\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+)[fFdD]?|\d+[fFdD]/y
const EXACT = /(0[xX][0-9a-fA-F]+|\d+)[lLuU]?/y
const SYMBOL = /<>|<=|>=|[=<>+\-*/(),]/y
const STRING = /'(?:[^']|'')*'/y
const QUOTED = /"(?:[^"]|"")+"/y
const QUALIFIED = /[A-Za-z][A-Za-z\d]*\."(?:[^"]|"")+"/y
const BYTES = /(?:X|UUID)'[^']*'/iy
const AFTER_NUMBER = /[\p{L}\p{Nd}\p{Pc}]/u
const LONG_MAX = 2n ** 63n
const UNSIGNED_MAX = 2n ** 64n - 1n

/** `hyphenated`: a name may have hyphens, and a minus wants a space before it. */
export function tokenize(text: string, hyphenated: boolean): readonly Token[] {
  const tokens: Token[] = []
  let at = 0
  const take = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at
    return pattern.exec(text)?.[0]
  }
  while (at < text.length) {
    const space = take(SPACE)
    if (space !== undefined) {
      at += space.length
      continue
    }
    const found = number(take, at) ?? word(take, at, hyphenated)
    if (found === undefined) throw unexpected(text, at)
    const { length, token } = found
    if ((token.kind === 'exact' || token.kind === 'approximate') && AFTER_NUMBER.test(text[at + length] ?? '')) throw unexpected(text, at + length)
    tokens.push(token)
    at += length
  }
  tokens.push({ kind: 'end', at: text.length })
  return tokens
}

export function invalid(sentence: string, at: number): CodedError {
  return new CodedError('invalid', `the selector is wrong at character ${at + 1}: ${sentence}`)
}

type Take = (pattern: RegExp) => string | undefined
type Found = Readonly<{ length: number; token: Token }>

function number(take: Take, at: number): Found | undefined {
  const approximate = take(APPROXIMATE)
  if (approximate !== undefined) {
    const value = Number(approximate.replace(/[fFdD]$/, ''))
    if (!Number.isFinite(value)) throw invalid('this number is too large', at)
    return { length: approximate.length, token: { kind: 'approximate', value, at } }
  }
  const exact = take(EXACT)
  if (exact === undefined) return undefined
  const value = exactOf(exact.replace(/[lLuU]$/, ''), at)
  const unsigned = /[uU]$/.test(exact)
  if (value > (unsigned ? UNSIGNED_MAX : LONG_MAX)) throw invalid('this number does not fit in 64 bits', at)
  return { length: exact.length, token: { kind: 'exact', value, unsigned, at } }
}

/** Hexadecimal and octal as Java writes them. */
function exactOf(digits: string, at: number): bigint {
  if (!/^0\d/.test(digits)) return BigInt(digits)
  if (/[89]/.test(digits)) throw invalid('a number that begins with 0 is octal', at)
  return BigInt(`0o${digits.slice(1)}`)
}

function word(take: Take, at: number, hyphenated: boolean): Found | undefined {
  const beyond = qualified(take, at) ?? bytes(take, at)
  if (beyond !== undefined) return beyond
  const name = take(hyphenated ? HYPHENATED : NAME)
  if (name !== undefined) {
    const upper = name.toUpperCase()
    const token: Token = KEYWORDS.has(upper) ? { kind: 'keyword', text: upper, at } : { kind: 'name', text: name, at }
    return { length: name.length, token }
  }
  const string = take(STRING)
  if (string !== undefined) return { length: string.length, token: { kind: 'string', text: string.slice(1, -1).replaceAll("''", "'"), at } }
  const quoted = take(QUOTED)
  if (quoted !== undefined) return { length: quoted.length, token: { kind: 'name', text: quoted.slice(1, -1).replaceAll('""', '"'), at } }
  const symbol = take(SYMBOL)
  return symbol === undefined ? undefined : { length: symbol.length, token: { kind: 'symbol', text: symbol, at } }
}

function qualified(take: Take, at: number): Found | undefined {
  const found = take(QUALIFIED)
  if (found === undefined) return undefined
  const dot = found.indexOf('.')
  const field = found.slice(dot + 2, -1).replaceAll('""', '"')
  return { length: found.length, token: { kind: 'name', text: qualifiedName(found.slice(0, dot), field), at } }
}

function bytes(take: Take, at: number): Found | undefined {
  const found = take(BYTES)
  if (found === undefined) return undefined
  const quote = found.indexOf("'")
  const text = bytesText(quote === 1 ? 'binary' : 'uuid', found.slice(quote + 1, -1))
  if (text === undefined) throw invalid(quote === 1 ? 'bytes are pairs of hexadecimal digits' : 'this is no UUID', at)
  return { length: found.length, token: { kind: 'string', text, at } }
}

function unexpected(text: string, at: number): CodedError {
  const found = text[at]
  if (found === "'") return invalid('this string does not end', at)
  if (found === '"') return invalid('this name does not end', at)
  return invalid(`${JSON.stringify(String.fromCodePoint(text.codePointAt(at) ?? 0))} has no meaning here`, at)
}
