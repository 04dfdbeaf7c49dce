// The annotations of a message that the broker knows more of than its sender wrote: a dead letter's, where it came from and why; and what receivers
// added by `modified` (part 3.4.5). With `group-first.ts` the only place where a head is changed on its way out.
import type { Delivery } from '../../src/api.ts'
import { formatAddress } from './address.ts'
import { DecodeFault } from './errors.ts'
import { DIALECT } from './incoming-message.ts'
import { annotationsAt } from './outbound.ts'
import type { TermReader } from './reader.ts'
import { MESSAGE_ANNOTATIONS, section, splitSections } from './sections.ts'
import { pairs, symbol, type Term, text, textOf } from './term.ts'
import { TermWriter } from './writer.ts'

type Pairs = readonly (readonly [Term, Term])[]

/** Has it more than its sender wrote? */
export function isAnnotated({ dead, added }: Delivery): boolean {
  return dead !== undefined || added !== undefined
}

type HeadChange = (reader: TermReader, head: Uint8Array, delivery: Delivery) => Uint8Array

/**
 * A head goes in as it came, its maps unread: one that cannot be read goes out as it came too. If it ended its receiver instead, it would end whoever is
 * given it next.
 */
export function changedHead(change: HeadChange, reader: TermReader, head: Uint8Array, delivery: Delivery): Uint8Array {
  try {
    return change(reader, head, delivery)
  } catch (error) {
    if (error instanceof DecodeFault) return head
    throw error
  }
}

export function annotatedHead(reader: TermReader, head: Uint8Array, { dead, added = [] }: Pick<Delivery, 'dead' | 'added'>): Uint8Array {
  const bytes = Buffer.from(head.buffer, head.byteOffset, head.length)
  const place = annotationsAt(splitSections(reader.over(bytes), SECTIONS_MAX))
  const own: Pairs = place.found ? pairsOf(reader.over(bytes, place.value, place.end).term()) : []
  // Part 3.4.5: a key that is there already has the new value. All of them at once: a message may have many, and have been given back often.
  const newest = new Map<string, Pairs[number]>()
  for (const { dialect, bytes: more } of added)
    if (dialect === DIALECT) for (const pair of pairsOf(reader.over(Buffer.from(more)).term())) newest.set(keyOf(pair[0]), pair)
  if (dead !== undefined) for (const pair of ofDead(dead)) newest.set(keyOf(pair[0]), pair)
  const all = [...own.filter(([key]) => !newest.has(keyOf(key))), ...newest.values()]
  const written = section(new TermWriter(head.length + 256), MESSAGE_ANNOTATIONS).term(pairs(all))
  return Buffer.concat([bytes.subarray(0, place.start), written.bytes(), bytes.subarray(place.end)])
}

function ofDead({ reason, origin }: NonNullable<Delivery['dead']>): Pairs {
  const address = formatAddress(origin)
  const all: (readonly [Term, Term])[] = [[symbol('x-opt-dlq-reason'), text(reason)]]
  if (address !== undefined) all.push([symbol('x-opt-ORIG-ADDRESS'), text(address)])
  if (address !== undefined && origin.kind === 'queue') all.push([symbol('x-opt-ORIG-QUEUE'), text(origin.path.join('.'))])
  return all
}

const pairsOf = (term: Term): Pairs => (term.type === 'pairs' ? term.value : [])
/** Keys are symbols or numbers (part 3.2.10). */
const keyOf = (key: Term): string => textOf(key) ?? (key.type === 'uint64' ? String(key.value) : key.type)

/** Of a head: four kinds, each once. */
const SECTIONS_MAX = 8
