// Body sections ↔ the core's kinds of body (users-and-features.md 3.4, "AMQP in" and "Core kind → AMQP").
import { isUtf8 } from 'node:buffer'
import type { Body, Value } from '../../src/api.ts'
import { listToJson } from '../shared/json.ts'
import { DecodeFault } from './errors.ts'
import type { TermReader } from './reader.ts'
import { DATA, FOOTER, type Section, SEQUENCE, VALUE } from './sections.ts'
import { pairs, type Term, toValue } from './term.ts'
import { TermWriter } from './writer.ts'

/** x-opt-jms-msg-type */
const JMS = { message: 0, object: 1, map: 2, bytes: 3, stream: 4, text: 5 } as const
const JAVA_OBJECT = 'application/x-java-serialized-object'

export function readBody(
  reader: TermReader,
  bytes: Buffer,
  sections: readonly Section[],
  contentType: string | undefined,
  jmsType: number | undefined,
): Body {
  const bodies = sections.filter(({ code }) => code >= DATA && code <= VALUE)
  const [first] = bodies
  if (first === undefined) return withoutBody(contentType, jmsType)
  switch (first.code) {
    case DATA:
      return data(Buffer.concat(bodies.map((section) => dataOf(reader, bytes, section))), contentType)
    case SEQUENCE:
      return { kind: 'list', items: bodies.flatMap((section) => itemsOf(reader.over(bytes, section.value, section.end).term())) }
    default:
      return value(reader.over(bytes, first.value, first.end).term(), jmsType)
  }
}

function dataOf(reader: TermReader, bytes: Buffer, section: Section): Buffer {
  const term = reader.over(bytes, section.value, section.end).term()
  if (term.type !== 'binary') throw new DecodeFault('a data section holds no binary')
  return Buffer.from(term.value.buffer, term.value.byteOffset, term.value.length)
}

function itemsOf(term: Term): readonly Value[] {
  return term.type === 'terms' ? term.value.map(toValue) : []
}

function data(bytes: Buffer, contentType: string | undefined): Body {
  if (contentType === JAVA_OBJECT) return { kind: 'object', bytes, contentType }
  if (isTextual(contentType) && isUtf8(bytes)) return { kind: 'text', text: bytes.toString('utf8') }
  return { kind: 'bytes', bytes }
}

function value(term: Term, jmsType: number | undefined): Body {
  switch (term.type) {
    case 'null':
      return jmsType === JMS.message ? { kind: 'none' } : { kind: 'text', text: null }
    case 'string':
      return { kind: 'text', text: term.value }
    case 'binary':
      return { kind: 'bytes', bytes: term.value }
    case 'pairs':
      return { kind: 'map', entries: term.value.map(([key, item]) => [keyOf(key), toValue(item)] as const) }
    case 'terms':
    case 'array':
      return { kind: 'list', items: term.value.map(toValue) }
    case 'described':
      return value(term.value, jmsType)
    default:
      // A single value of another type has no kind of its own: a list of one keeps its type.
      return { kind: 'list', items: [toValue(term)] }
  }
}

/** Table 3.4: no body at all is what its content type says. */
function withoutBody(contentType: string | undefined, jmsType: number | undefined): Body {
  if (contentType === JAVA_OBJECT) return { kind: 'object', bytes: EMPTY, contentType }
  if (isTextual(contentType)) return { kind: 'text', text: '' }
  if (jmsType === JMS.bytes || contentType === 'application/octet-stream') return { kind: 'bytes', bytes: EMPTY }
  return { kind: 'none' }
}

export type WrittenBody = Readonly<{ bytes: Buffer; jmsType: number }>

export function writeBody(body: Body, footer: readonly (readonly [Term, Term])[]): WrittenBody {
  const { jmsType, code, term } = bodyTerm(body)
  const writer = new TermWriter(64 + (term.type === 'binary' ? term.value.length : 0))
  writer.u8(0).u8(0x53).u8(code).term(term)
  if (footer.length > 0) writer.u8(0).u8(0x53).u8(FOOTER).term(pairs(footer))
  return { bytes: writer.bytes(), jmsType }
}

function bodyTerm(body: Body): Readonly<{ jmsType: number; code: number; term: Term }> {
  switch (body.kind) {
    case 'text':
      return { jmsType: JMS.text, code: VALUE, term: body.text === null ? { type: 'null' } : { type: 'string', value: body.text } }
    case 'bytes':
      return { jmsType: JMS.bytes, code: DATA, term: { type: 'binary', value: body.bytes } }
    case 'object':
      return { jmsType: JMS.object, code: DATA, term: { type: 'binary', value: body.bytes } }
    case 'map':
      return { jmsType: JMS.map, code: VALUE, term: mapTerm(body.entries) }
    case 'list':
      return { jmsType: JMS.stream, code: SEQUENCE, term: { type: 'list', value: body.items } }
    case 'none':
      return { jmsType: JMS.message, code: VALUE, term: { type: 'null' } }
    default:
      return body satisfies never
  }
}

/** Of entries with the same key the first is written. */
function mapTerm(entries: readonly (readonly [string, Value])[]): Term {
  const seen = new Set<string>()
  const kept: (readonly [Term, Term])[] = []
  for (const [key, item] of entries) {
    if (seen.has(key)) continue
    seen.add(key)
    kept.push([{ type: 'string', value: key }, item])
  }
  return pairs(kept)
}

/** By the mapping of JMS to AMQP: text/*, and the types of text that are called otherwise. */
function isTextual(contentType: string | undefined): boolean {
  if (contentType === undefined) return false
  const type = contentType.split(';')[0].trim().toLowerCase()
  return type.startsWith('text/') || /^application\/(?:.*\+)?(?:json|xml|javascript|ecmascript|xml-dtd)$/.test(type)
}

function keyOf(key: Term): string {
  const found = toValue(key)
  return found.type === 'string' || found.type === 'symbol' || found.type === 'char' ? found.value : listToJson([found]).slice(1, -1)
}

const EMPTY = new Uint8Array(0)
