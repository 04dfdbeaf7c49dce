// JUnit's XML, as test servers read it: a testsuite for each suite and broker, a testcase for each clause.
import type { Level } from '../check.ts'
import { escaped } from './escaped.ts'
import { type Cell, type ClauseReport, countsOf, type Report, standing, titleOf } from './report.ts'

export function junit(report: Report, gate: Level): string {
  const suites = report.suites.flatMap((suite) =>
    report.brokers.map((broker, column) => {
      const cases = suite.clauses.flatMap((clause) => {
        const cell = clause.cells[column]
        return cell === undefined ? [] : [{ clause, cell }]
      })
      const { pass, fail, error } = countsOf(suite.clauses, column, gate)
      const seconds = cases.reduce((sum, { cell }) => sum + cell.ms, 0) / 1000
      const counts = { tests: cases.length, failures: fail, errors: error, skipped: cases.length - pass - fail - error }
      const name = report.brokers.length === 1 ? suite.name : `${suite.name} ${titleOf(broker)}`
      return { counts, seconds, name, lines: cases.map(({ clause, cell }) => testcase(name, clause, cell, gate)) }
    }),
  )
  const asked = suites.filter(({ counts }) => counts.tests > 0)
  const sum = (of: 'tests' | 'failures' | 'errors' | 'skipped'): number => asked.reduce((all, { counts }) => all + counts[of], 0)
  const total = { tests: sum('tests'), failures: sum('failures'), errors: sum('errors'), skipped: sum('skipped') }
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites name="conformance" ${attributes(total, report.seconds)}>`,
    ...asked.flatMap(({ counts, seconds, name, lines }) => [
      `  <testsuite name="${escaped(name)}" timestamp="${escaped(report.date.replace(/\.\d+Z$/, ''))}" ${attributes(counts, seconds)}>`,
      ...lines,
      '  </testsuite>',
    ]),
    '</testsuites>',
    '',
  ].join('\n')
}

function attributes(counts: Readonly<Record<string, number>>, seconds: number): string {
  return `${Object.entries(counts)
    .map(([name, count]) => `${name}="${count}"`)
    .join(' ')} time="${seconds.toFixed(3)}"`
}

function testcase(suite: string, { id, level, chapter, says }: ClauseReport, cell: Cell, gate: Level): string {
  const head = `    <testcase classname="${escaped(`${suite}.${chapter}`)}" name="${escaped(`${id} (${level}): ${says}`)}" time="${(cell.ms / 1000).toFixed(3)}"`
  const output = cell.lines.length === 0 ? '' : `<system-out>${escaped(cell.lines.join('\n'))}</system-out>`
  const seen = escaped(cell.seen)
  const [first = ''] = seen.split('\n')
  switch (standing(cell, level, gate)) {
    case 'pass':
      return output === '' ? `${head}/>` : `${head}>${output}</testcase>`
    case 'fail':
      return `${head}><failure message="${first}">${seen}</failure>${output}</testcase>`
    case 'error':
      return `${head}><error message="${first}">${seen}</error>${output}</testcase>`
    case 'known':
      return `${head}><skipped message="${escaped(`known to fail (${cell.known ?? ''}): `)}${first}"/>${output}</testcase>`
    case 'differs':
      return `${head}><skipped message="not kept, which a ${level} allows: ${first}"/>${output}</testcase>`
    case 'lossy':
    case 'refused':
    case 'not supported':
    case 'skipped':
    case 'unchecked':
      return `${head}><skipped message="${cell.outcome}: ${first}"/>${output}</testcase>`
  }
}
