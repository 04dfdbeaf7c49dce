// The sections of a message (part 3.2) as it lies in bytes: where each begins and ends, and the few fields that the broker acts on.
// Nothing else is looked into: what leaves by AMQP leaves as it came. What sections mean to other protocols is format.ts.
import { DecodeFault } from './errors.ts'
import { Fields } from './fields.ts'
import type { TermReader } from './reader.ts'
import { textOf } from './term.ts'
import type { TermWriter } from './writer.ts'

export const HEADER = 0x70
export const DELIVERY_ANNOTATIONS = 0x71
export const MESSAGE_ANNOTATIONS = 0x72
export const PROPERTIES = 0x73
export const APPLICATION_PROPERTIES = 0x74
export const DATA = 0x75
export const SEQUENCE = 0x76
export const VALUE = 0x77
export const FOOTER = 0x78

/** Fields of the section `properties` (part 3.2.4), in their order on the wire. */
export const PROPERTY_NAMES = [
  'message-id',
  'user-id',
  'to',
  'subject',
  'reply-to',
  'correlation-id',
  'content-type',
  'content-encoding',
  'absolute-expiry-time',
  'creation-time',
  'group-id',
  'group-sequence',
  'reply-to-group-id',
] as const
export type PropertyName = (typeof PROPERTY_NAMES)[number]

/** Where one section begins (with its descriptor), where its value does, and where it ends. */
export type Section = Readonly<{ code: number; start: number; value: number; end: number }>

export type Header = Readonly<{ durable: boolean; priority: number; ttlMs: number | undefined }>

/**
 * All sections of what `reader` is over. The header is the first or missing, each kind is there once, and the body is of one kind. The specification wants the others in order
 * too; rhea writes the footer before the body, and nobody is hurt by that.
 */
export function splitSections(reader: TermReader, sectionsMax: number): readonly Section[] {
  const sections: Section[] = []
  let seen = 0
  while (reader.position < reader.end) {
    const start = reader.position
    if (reader.code() !== 0) throw new DecodeFault('a section of a message has no descriptor')
    const code = reader.descriptor()
    if (code < HEADER || code > FOOTER) throw new DecodeFault('a message has a section that is not known')
    const bit = 1 << (code - HEADER)
    const repeats = (seen & bit) !== 0 && code !== DATA && code !== SEQUENCE
    const mixes = (bit & BODY_BITS) !== 0 && (seen & BODY_BITS & ~bit) !== 0
    if (repeats || mixes || (code === HEADER && seen !== 0)) throw new DecodeFault('the sections of a message are out of order')
    if (sections.length >= sectionsMax) throw new DecodeFault(`a message has more than ${sectionsMax} sections (sectionsMax)`)
    const value = reader.position
    const type = reader.peek()
    reader.skip()
    if (!fits(code, type)) throw new DecodeFault('a section of a message is of another type')
    sections.push({ code, start, value, end: reader.position })
    seen |= bit
  }
  return sections
}

/** The first annotation that nobody understands and that may not be ignored (part 3.2.10), of those before and behind the body; undefined: none. */
export function strangeAnnotation(reader: TermReader, sectionsMax: number): string | undefined {
  const { buffer } = reader
  for (const { code, value, end } of splitSections(reader, sectionsMax)) {
    if (code !== DELIVERY_ANNOTATIONS && code !== MESSAGE_ANNOTATIONS && code !== FOOTER) continue
    const term = reader.over(buffer, value, end).term()
    for (const [key] of term.type === 'pairs' ? term.value : []) {
      const name = textOf(key)
      if (name === undefined || !name.startsWith('x-opt')) return name ?? `a key of type ${key.type}`
    }
  }
  return undefined
}

/** Data, sequence, value. */
const BODY_BITS = (1 << 5) | (1 << 6) | (1 << 7)

/** Does a section of this kind begin with this constructor? */
function fits(code: number, type: number): boolean {
  switch (code) {
    case HEADER:
    case PROPERTIES:
    case SEQUENCE:
      return type === 0x45 || type === 0xc0 || type === 0xd0
    case DATA:
      return type === 0xa0 || type === 0xb0
    case VALUE:
      return true
    default:
      return type === 0xc1 || type === 0xd1
  }
}

export function readHeader(reader: TermReader, bytes: Buffer, section: Section): Header {
  const fields = new Fields(reader.over(bytes, section.value, section.end), 'header')
  const durable = fields.boolean('durable') ?? false
  const priority = Math.min(9, fields.ubyte('priority') ?? 4)
  return { durable, priority, ttlMs: fields.uint('ttl') }
}

/** Of the properties, what the broker acts on. */
export type Routing = Readonly<{ to: string | undefined; expiresAtMs: number; group: string; groupEnds: boolean }>

export function readRouting(reader: TermReader, bytes: Buffer, section: Section): Routing {
  const fields = new Fields(reader.over(bytes, section.value, section.end), 'properties')
  fields.skip(2)
  const to = fields.term()
  fields.skip(5)
  const expiresAtMs = fields.timestamp('absolute-expiry-time') ?? 0
  fields.skip(1)
  const group = fields.string('group-id') ?? ''
  // JMSXGroupSeq -1, as the unsigned number that clients make of it.
  const groupEnds = fields.uint('group-sequence') === 0xffff_ffff
  return { groupEnds, to: to?.type === 'string' || to?.type === 'symbol' ? to.value : undefined, expiresAtMs: Math.max(0, expiresAtMs), group }
}

/** The value of one key of a map section, if it has that key; the map is read only if the name occurs in it at all. */
export function annotation(
  reader: TermReader,
  bytes: Buffer,
  section: Section | undefined,
  name: string,
): ReturnType<TermReader['term']> | undefined {
  if (section === undefined || !bytes.subarray(section.value, section.end).includes(name, 0, 'latin1')) return undefined
  reader.over(bytes, section.value, section.end)
  const { count } = reader.openMap()
  for (let i = 0; i < count; i += 2) {
    const key = reader.term()
    if ((key.type === 'symbol' || key.type === 'string') && key.value === name) return reader.term()
    reader.skip()
  }
  return undefined
}

/** Begins a section: its value follows. */
export function section(writer: TermWriter, code: number): TermWriter {
  return writer.u8(0).u8(0x53).u8(code)
}
