// What two runs against one broker do not agree on is not told of it: a failure stands when both have it.
import type { Cell, Report } from '../../conformance/report/report.ts'

const failed = (cell: Cell | undefined): boolean => cell?.outcome === 'fail' || cell?.outcome === 'error'

/** The later report, with the earlier one's cell where the clause did not fail then. A clause that the earlier run did not have stays as it is. */
export function confirmed(later: Report, earlier: Report): Report {
  const cells = new Map(earlier.suites.flatMap(({ name, clauses }) => clauses.map(({ id, cells: [cell] }) => [`${name} ${id}`, cell] as const)))
  const suites = later.suites.map((suite) => ({
    ...suite,
    clauses: suite.clauses.map((clause) => {
      const before = cells.get(`${suite.name} ${clause.id}`)
      return before !== undefined && failed(clause.cells[0]) && !failed(before) ? { ...clause, cells: [before] } : clause
    }),
  }))
  return { ...later, suites }
}
