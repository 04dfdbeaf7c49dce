// Tables of Markdown: the counts of all suites, and each suite's clauses by broker.
import type { Level } from '../check.ts'
import { type Cell, countsOf, type Report, type Standing, standing, type SuiteReport, titleOf } from './report.ts'

export function markdown(report: Report, gate: Level): string {
  const failures = report.brokers.flatMap((_, column) => failuresOf(report, column, gate))
  return [
    `# Conformance of ${report.brokers.map(titleOf).join(' beside ')}`,
    `Run on ${report.date.slice(0, 10)}, ${Math.round(report.seconds)} s, an answer may take ${report.patienceMs} ms.`,
    countsTable(report, gate),
    ...(failures.length === 0 ? [] : ['## What is not kept', ...failures]),
    ...report.suites.flatMap((suite) => [`## ${suite.title}`, clausesTable(suite, report, gate)]),
    '',
  ].join('\n\n')
}

/** How each standing is written in a cell. */
const WORDS: Readonly<Record<Standing, string>> = {
  pass: 'kept',
  lossy: 'lossy',
  refused: 'refused',
  fail: '**fails**',
  differs: '*differs*',
  known: 'fails (known)',
  'not supported': 'not supported',
  skipped: 'not tried',
  error: '**error**',
  unchecked: '–',
}

/** Suites × brokers: must-level checks that are kept of those that were tried, and how many of the weaker levels are not. */
export function countsTable({ brokers, suites }: Report, gate: Level): string {
  const rows = suites.map((suite) => [
    suite.title,
    ...brokers.map((_, column) => {
      const asked = suite.clauses.some(({ cells }) => cells[column] !== undefined)
      if (!asked) return ''
      if (suite.specification === '') return bridged(suite, column, gate)
      const must = countsOf(
        suite.clauses.filter(({ level }) => level === 'must'),
        column,
        gate,
      )
      if (
        must['not supported'] > 0 &&
        must['not supported'] === suite.clauses.filter(({ level, how }) => level === 'must' && how !== undefined).length
      )
        return 'not spoken'
      const weaker = suite.clauses.filter(({ level, cells }) => level !== 'must' && cells[column]?.outcome === 'fail').length
      const failed = must.fail + must.known
      const notes = [
        ...(must['not supported'] > 0 ? [`${must['not supported']} not supported`] : []),
        ...(must.skipped > 0 ? [`${must.skipped} not tried`] : []),
        ...(must.error > 0 ? [`${must.error} not carried out`] : []),
        ...(weaker > 0 ? [`${weaker} of should and may differ`] : []),
      ]
      return `${must.pass} of ${must.pass + failed + must.error}${notes.length === 0 ? '' : ` (${notes.join(', ')})`}`
    }),
  ])
  return table(['must-level checks kept', ...brokers.map(titleOf)], rows)
}

/** Where no specification says what is due: how much crosses whole. */
function bridged({ clauses }: SuiteReport, column: number, gate: Level): string {
  const counts = countsOf(clauses, column, gate)
  const changed = counts.differs + counts.known + counts.fail
  const tried = counts.pass + counts.lossy + counts.refused + changed + counts.error
  const notes = [
    `${counts.lossy} lossy`,
    `${counts.refused} refused`,
    ...(changed > 0 ? [`${changed} not as they may be`] : []),
    ...(counts.error > 0 ? [`${counts.error} not carried out`] : []),
  ]
  return tried === 0 ? '–' : `exact ${counts.pass} of ${tried} (${notes.join(', ')})`
}

export function clausesTable(suite: SuiteReport, { brokers }: Report, gate: Level): string {
  const columns = brokers.map((_, column) => column).filter((column) => suite.clauses.some(({ cells }) => cells[column] !== undefined))
  const rows = suite.clauses.map(({ id, level, says, cells }) => [
    inline(id),
    level,
    inline(says),
    ...columns.map((column) => {
      const cell = cells[column]
      return cell === undefined ? '' : WORDS[standing(cell, level, gate)]
    }),
  ])
  return table(['clause', 'level', 'what a server does', ...columns.flatMap((column) => brokers[column] ?? []).map(titleOf)], rows)
}

/** One entry for each clause that this broker does not keep: what it is, what was seen, and the bytes. */
export function failuresOf({ brokers, suites }: Report, column: number, gate: Level): readonly string[] {
  return suites.flatMap((suite) =>
    suite.clauses.flatMap(({ id, level, says, how = '', cells }) => {
      const cell = cells[column]
      const broker = brokers[column]
      if (cell === undefined || broker === undefined || (cell.outcome !== 'fail' && cell.outcome !== 'error')) return []
      const heading = `### ${inline(id)} (${suite.title}, ${level}${brokers.length > 1 ? `): ${titleOf(broker)}` : ')'}`
      const known = standing(cell, level, gate) === 'known' ? [`Known: ${inline(cell.known ?? '')}`] : []
      return [
        [
          heading,
          `${inline(says)} *${inline(how)}*`,
          `${cell.outcome === 'error' ? 'The check could not be carried out' : 'Seen'}: ${inline(seenOf(cell))}`,
          ...known,
          ...transcript(cell),
        ].join('\n\n'),
      ]
    }),
  )
}

const seenOf = ({ seen }: Cell): string => seen.split('\n')[0] ?? ''

/** So many lines at the beginning and at the end of what went over the wires; the other reports have all. */
const FIRST = 30
const LAST = 15

function transcript({ lines }: Cell): readonly string[] {
  // Bytes of a broker must not end the fence.
  const shown =
    lines.length <= FIRST + LAST ? lines : [...lines.slice(0, FIRST), `… ${lines.length - FIRST - LAST} lines more …`, ...lines.slice(-LAST)]
  return lines.length === 0 ? [] : [['```text', ...shown.map((line) => line.replaceAll('```', '` ` `')), '```'].join('\n')]
}

/** Of cells that are Markdown already. */
export function table(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`
  return [line(heads), `|${heads.map(() => '---|').join('')}`, ...rows.map(line)].join('\n')
}

/** Text of a broker in a line of Markdown: nothing in it makes a table, a link or an element. */
export const inline = (text: string): string =>
  text
    .replaceAll(/[|[\]*_`\\]/g, '\\$&')
    .replaceAll('<', '&lt;')
    .replaceAll(/\s+/g, ' ')
