// Messages of AMQP 1.0 (3.2): sections to bytes and back.
import { type Composite, compositeOf, toValue, type Written } from '../clients/amqp-composite.ts'
import { binary, decode, described, encode, type Entry, map, string, ulong, type Value } from '../clients/amqp-value.ts'
import { fail } from '../outcome.ts'

export const SECTIONS = {
  header: 0x70,
  deliveryAnnotations: 0x71,
  messageAnnotations: 0x72,
  properties: 0x73,
  applicationProperties: 0x74,
  data: 0x75,
  sequence: 0x76,
  value: 0x77,
  footer: 0x78,
} as const
export type SectionName = keyof typeof SECTIONS

export const section = (name: SectionName, value: Value): Buffer => encode(described(ulong(SECTIONS[name]), value))
export const header = (fields: Partial<Omit<Written<'header'>, 'kind'>>): Buffer => encode(toValue({ kind: 'header', ...fields }))
export const properties = (fields: Partial<Omit<Written<'properties'>, 'kind'>>): Buffer => encode(toValue({ kind: 'properties', ...fields }))
export const annotations = (name: 'deliveryAnnotations' | 'messageAnnotations' | 'footer', entries: readonly Entry[]): Buffer =>
  section(name, map(entries))
export const applicationProperties = (entries: readonly Entry[]): Buffer => section('applicationProperties', map(entries))
export const data = (bytes: Buffer | string): Buffer => section('data', binary(bytes))

/** A message of these sections, whose body is this text. */
export const message = (text: string, ...sections: readonly Buffer[]): Buffer => Buffer.concat([...sections, section('value', string(text))])

const BARE: ReadonlySet<Section['name']> = new Set(['properties', 'applicationProperties', 'data', 'sequence', 'value', 'unknown'])

export type Section = Readonly<{ name: SectionName | 'unknown'; value: Value; bytes: Buffer }>

/** Fails when the bytes are no sections. */
export function sectionsOf(payload: Buffer): readonly Section[] {
  const sections: Section[] = []
  for (let at = 0; at < payload.length; ) {
    const { value, end } = readAt(payload, at)
    const code = value.type === 'described' && value.descriptor.type === 'ulong' ? Number(value.descriptor.value) : -1
    const name = (Object.keys(SECTIONS) as SectionName[]).find((each) => SECTIONS[each] === code) ?? 'unknown'
    sections.push({ name, value: value.type === 'described' ? value.value : value, bytes: payload.subarray(at, end) })
    at = end
  }
  return sections
}

function readAt(payload: Buffer, at: number): ReturnType<typeof decode> {
  try {
    return decode(payload, at)
  } catch (error) {
    return fail(`a message came that cannot be read: ${error instanceof Error ? error.message : String(error)}`)
  }
}

/** The bytes of the bare message: properties, application properties and body; or of the sections that are named. */
export function bareOf(payload: Buffer, names: ReadonlySet<Section['name']> = BARE): Buffer {
  return Buffer.concat(sectionsOf(payload).flatMap(({ name, bytes }) => (names.has(name) ? [bytes] : [])))
}

export function sectionOf(payload: Buffer, name: SectionName): Section | undefined {
  return sectionsOf(payload).find((each) => each.name === name)
}

/** What the header says; without one, what its absence means. */
export function headerOf(payload: Buffer): Composite<'header'> {
  const found = sectionOf(payload, 'header')
  const composite = found === undefined ? undefined : compositeOf(decode(found.bytes).value)
  return composite?.kind === 'header' ? composite : { kind: 'header' }
}

/** The body, if it is one string. */
export function textOfBody(payload: Buffer): string | undefined {
  const body = sectionOf(payload, 'value')?.value
  return body?.type === 'string' ? body.value : undefined
}

/** The value of an entry of an annotations section or of the application properties; undefined when there is none. */
export function entryOf(payload: Buffer, name: SectionName, key: string): Value | undefined {
  const found = sectionOf(payload, name)?.value
  return found?.type === 'map'
    ? found.value.find(([each]) => (each.type === 'symbol' || each.type === 'string') && each.value === key)?.[1]
    : undefined
}
