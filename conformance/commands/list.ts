// `bascule conformance list`: the clauses, without a broker.
import { type Clause, isCheck, type Suite } from '../check.ts'

export function list(suites: readonly Suite[], wanted: (clause: Clause) => boolean, write: (text: string) => void): void {
  for (const suite of suites) {
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
