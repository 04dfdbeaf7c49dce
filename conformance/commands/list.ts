// `bascule conformance list`: the clauses, without a broker.
import type { Clause } from '../check.ts'
import { isCheck } from '../check.ts'
import type { Entry } from './entry.ts'

export function list(entries: readonly Entry[], wanted: (clause: Clause) => boolean, write: (text: string) => void): void {
  for (const { suite } of entries) {
    write(`${suite.name}: ${suite.title}, ${suite.specification}\n`)
    for (const { title, clauses } of suite.chapters) {
      const chosen = clauses.filter(wanted)
      if (chosen.length > 0) write(`  ${title}\n`)
      for (const clause of chosen) {
        const { id, level, says } = clause
        write(`    ${id.padEnd(18)} ${level.padEnd(6)} ${says}${isCheck(clause) ? '' : ` Not checked: ${clause.unchecked}`}\n`)
      }
    }
    const all = suite.chapters.flatMap(({ clauses }) => clauses.filter(wanted))
    const checks = all.filter(isCheck)
    const mutants = checks.reduce((sum, check) => sum + check.mutants.length, 0)
    write(`  ${all.length} clauses, ${checks.length} checked, ${mutants} mutants\n`)
  }
}
