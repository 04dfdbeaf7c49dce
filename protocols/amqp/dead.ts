// A dead letter's annotations: where it came from and why, added to what its sender wrote. With `group-first.ts` the only place where a head is changed on its way out.
import type { Address } from '../../src/api.ts'
import { formatAddress } from './address.ts'
import { annotationsAt } from './outbound.ts'
import type { TermReader } from './reader.ts'
import { MESSAGE_ANNOTATIONS, section, splitSections } from './sections.ts'
import { pairs, symbol, type Term, text } from './term.ts'
import { TermWriter } from './writer.ts'

export function deadHead(reader: TermReader, head: Uint8Array, dead: Readonly<{ reason: string; origin: Address }>): Uint8Array {
  const bytes = Buffer.from(head.buffer, head.byteOffset, head.length)
  const place = annotationsAt(splitSections(reader.over(bytes), SECTIONS_MAX))
  const term = place.found ? reader.over(bytes, place.value, place.end).term() : undefined
  const kept = term?.type === 'pairs' ? term.value : []
  const origin = formatAddress(dead.origin)
  const added: (readonly [Term, Term])[] = [[symbol('x-opt-dlq-reason'), text(dead.reason)]]
  if (origin !== undefined) added.push([symbol('x-opt-ORIG-ADDRESS'), text(origin)])
  if (origin !== undefined && dead.origin.kind === 'queue') added.push([symbol('x-opt-ORIG-QUEUE'), text(dead.origin.path.join('.'))])
  const written = section(new TermWriter(head.length + 256), MESSAGE_ANNOTATIONS).term(pairs([...kept, ...added]))
  return Buffer.concat([bytes.subarray(0, place.start), written.bytes(), bytes.subarray(place.end)])
}

/** Of a head: four kinds, each once. */
const SECTIONS_MAX = 8
