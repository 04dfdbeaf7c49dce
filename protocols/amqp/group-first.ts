// The first message of a group that goes to a consumer says so to JMS clients, which see application properties and nothing that the broker could write
// beside them. Where the configuration asks for it only: it changes what its sender wrote.
import type { TermReader } from './reader.ts'
import { APPLICATION_PROPERTIES, PROPERTIES, section, splitSections } from './sections.ts'
import { boolean, pairs, type Term, text } from './term.ts'
import { TermWriter } from './writer.ts'

const NAME = 'JMSXGroupFirstForConsumer'
/** Of a head: four kinds, each once. */
const SECTIONS_MAX = 8

export function groupFirstHead(reader: TermReader, head: Uint8Array): Uint8Array {
  const bytes = Buffer.from(head.buffer, head.byteOffset, head.length)
  const sections = splitSections(reader.over(bytes), SECTIONS_MAX)
  const own = sections.find(({ code }) => code === APPLICATION_PROPERTIES)
  // Behind the last of those that stand before it.
  const end = sections.findLast(({ code }) => code <= PROPERTIES)?.end ?? 0
  const { start, end: behind } = own ?? { start: end, end }
  const term = own === undefined ? undefined : reader.over(bytes, own.value, own.end).term()
  const kept = term?.type === 'pairs' ? term.value.filter(([name]) => !(name.type === 'string' && name.value === NAME)) : []
  const added: readonly [Term, Term] = [text(NAME), boolean(true)]
  const written = section(new TermWriter(head.length + 64), APPLICATION_PROPERTIES).term(pairs([...kept, added]))
  return Buffer.concat([bytes.subarray(0, start), written.bytes(), bytes.subarray(behind)])
}
