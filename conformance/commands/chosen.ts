// Which clauses a command is about.
import type { Clause, Suite } from '../check.ts'

export type Slice = Readonly<{ number: number; of: number }>

/** By parts of identifiers, any of which will do, and by a slice of them all: every so many-th, from the number of the slice on. */
export function wantedBy(filters: readonly string[], slice: Slice | undefined, suites: readonly Suite[]): (clause: Clause) => boolean {
  const chosen = suites
    .flatMap(({ chapters }) => chapters.flatMap(({ clauses }) => clauses))
    .filter(({ id }) => filters.length === 0 || filters.some((filter) => id.includes(filter)))
  const wanted = new Set(slice === undefined ? chosen : chosen.filter((_, i) => i % slice.of === slice.number - 1))
  return (clause) => wanted.has(clause)
}
