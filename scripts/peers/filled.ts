// A broker with a listener of WebSocket for each protocol is asked at one of them, and at the next for what that one did not speak.
import type { Report } from '../../conformance/report/report.ts'

/** The identifiers of what the broker does not support. */
export function unsupported({ suites }: Report): ReadonlySet<string> {
  return new Set(suites.flatMap(({ clauses }) => clauses.flatMap(({ id, cells: [cell] }) => (cell?.outcome === 'not supported' ? [id] : []))))
}

/** The first report, with the cells of the second where the first has nothing but that it is not supported. */
export function filled(first: Report, second: Report): Report {
  const cells = new Map(second.suites.flatMap(({ name, clauses }) => clauses.map(({ id, cells: [cell] }) => [`${name} ${id}`, cell] as const)))
  const suites = first.suites.map((suite) => ({
    ...suite,
    clauses: suite.clauses.map((clause) => {
      const other = cells.get(`${suite.name} ${clause.id}`)
      return clause.cells[0]?.outcome === 'not supported' && other !== undefined ? { ...clause, cells: [other] } : clause
    }),
  }))
  return { ...first, seconds: first.seconds + second.seconds, suites }
}
