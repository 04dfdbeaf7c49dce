// Which clauses a command is about.
import type { Clause, Suite } from '../check.ts'

export type Slice = Readonly<{ number: number; of: number }>

/** What a flag lists with commas between. Empty: nothing but commas and spaces. */
export function filtersOf(given: string): readonly string[] {
  return given
    .split(',')
    .map((filter) => filter.trim())
    .filter((filter) => filter !== '')
}

/** By identifiers, or parts of them where no clause has that very one, any of which will do; and by a slice of them all: every so many-th, from the number of the slice on. */
export function wantedBy(filters: readonly string[], slice: Slice | undefined, suites: readonly Suite[]): (clause: Clause) => boolean {
  const all = suites.flatMap(({ chapters }) => chapters.flatMap(({ clauses }) => clauses))
  const ids = new Set(all.map(({ id }) => id))
  const chosen = all.filter(({ id }) => filters.length === 0 || filters.some((filter) => (ids.has(filter) ? id === filter : id.includes(filter))))
  const wanted = new Set(slice === undefined ? chosen : chosen.filter((_, i) => i % slice.of === slice.number - 1))
  return (clause) => wanted.has(clause)
}
