// `bascule conformance run`: the suites against one broker, and against others beside it; lines while it runs, a table at its end, a report.
import type { Clause, Level, Suite } from '../check.ts'
import { brokerReport, type Counts, countsOf, type Report, standing, type Standing, suiteReport, sumOf, titleOf, verdict } from '../report/report.ts'
import { type Result, runSuite } from '../runner.ts'
import type { Target } from '../target.ts'
import { Progress, type Screen } from './progress.ts'
import { reached } from './reached.ts'

/** A broker, and how reports call it. */
export type Tested = Readonly<{ name: string; version: string; target: Target }>

export type RunCommand = Readonly<{
  suites: readonly Suite[]
  /** The one that is judged, then those beside it. */
  brokers: readonly Tested[]
  wanted: (clause: Clause) => boolean
  patienceMs: number
  parallel: number
  /** What failed is tried once more, half as many at once and with twice the patience: only what fails twice is told as failed. */
  again: boolean
  /** What was on the wires, of checks that passed too. */
  verbose: boolean
  /** Failures of this level and of stricter ones count. */
  gate: Level
  /** Faults of this process that no check caught, a line each, more while it runs: they count as failed. */
  faults: readonly string[]
  screen: Screen
}>

/** Whether a broker with these addresses can be asked at all. */
export function canRun({ protocols }: Suite, { urls }: Target): boolean {
  return protocols.every((protocol) => urls[protocol] !== undefined)
}

export async function run(command: RunCommand): Promise<Report> {
  const { suites, brokers, wanted, patienceMs, parallel, gate, faults, screen } = command
  const begun = Date.now()
  for (const { target } of brokers) await reached(target, patienceMs)
  const tasks = suites.flatMap((suite) => brokers.filter(({ target }) => canRun(suite, target)).map((broker) => ({ suite, broker })))
  const clausesOf = ({ chapters }: Suite): number => chapters.flatMap(({ clauses }) => clauses.filter(wanted)).length
  const progress = new Progress(
    screen,
    tasks.reduce((sum, { suite }) => sum + clausesOf(suite), 0),
  )
  const columns = new Map<Suite, Map<Tested, readonly Result[]>>()
  for (const { suite, broker } of tasks) {
    const beside = broker === brokers[0] ? '' : ` of ${broker.name}`
    const onResult = (result: Result): void => {
      const { text, important } = lineOf(result, command)
      progress.told(beside === '' ? text : `${broker.name.padEnd(8)} ${text}`, important)
    }
    try {
      const first = await runSuite(suite, broker.target, { patienceMs, parallel, wanted, onResult })
      const results = command.again ? await triedAgain(suite, broker.target, first, command) : first
      columns.set(suite, (columns.get(suite) ?? new Map<Tested, readonly Result[]>()).set(broker, forReport(results, command.verbose)))
    } catch (error) {
      throw new Error(`${suite.name}${beside} could not be run`, { cause: error })
    }
  }
  progress.end()
  const report: Report = {
    format: 1,
    date: new Date(begun).toISOString(),
    seconds: (Date.now() - begun) / 1000,
    patienceMs,
    brokers: brokers.map(({ name, version, target }) => brokerReport(name, version, target)),
    suites: suites.flatMap((suite) => {
      const found = columns.get(suite)
      return found === undefined
        ? []
        : [
            suiteReport(
              suite,
              brokers.map((broker) => found.get(broker) ?? []),
            ),
          ]
    }),
  }
  const { passed, failed, skipped } = verdict(report, gate)
  screen.write(
    `\n${summary(report, gate)}\n${failedLines(report, gate, faults)}${passed} passed, ${failed + faults.length} failed, ${skipped} skipped\n`,
  )
  return report
}

/** How many at once, of those that there were: less is late because of the checks themselves. */
const AGAIN = 0.5

async function triedAgain(
  suite: Suite,
  target: Target,
  results: readonly Result[],
  { patienceMs, parallel, screen }: RunCommand,
): Promise<readonly Result[]> {
  const failed = new Set(results.flatMap((result) => (isClean(result) ? [] : [result.clause])))
  if (failed.size === 0) return results
  const second = await runSuite(suite, target, {
    patienceMs: 2 * patienceMs,
    parallel: Math.ceil(AGAIN * parallel),
    wanted: (clause) => failed.has(clause),
  })
  const found = new Map(second.map((result) => [result.clause, result]))
  return results.map((result) => {
    const now = found.get(result.clause)
    if (now === undefined) return result
    if (isClean(now)) screen.write(`${now.outcome.padEnd(13)} ${now.clause.id} when it is tried again\n`)
    return now
  })
}

/** What went over the wires of a check that passed is of use to nobody but who asked for it. */
function forReport(results: readonly Result[], verbose: boolean): readonly Result[] {
  return verbose ? results : results.map((result) => (isClean(result) ? { ...result, lines: [] } : result))
}

const isClean = ({ outcome }: Result): boolean => outcome !== 'fail' && outcome !== 'error'

function lineOf(result: Result, { verbose, gate }: RunCommand): Readonly<{ text: string; important: boolean }> {
  const { clause, seen, known, lines } = result
  const stands = standing(result, clause.level, gate)
  const reason = known === undefined ? '' : stands === 'known' ? ` (known: ${known})` : ` (kept, though known to fail: ${known})`
  const head = `${stands.padEnd(13)} ${clause.id}${clause.level === 'must' ? '' : ` (${clause.level})`}${seen === '' ? '' : `: ${seen}`}${reason}`
  const bytes = verbose || stands === 'fail' || stands === 'error' ? lines.map((line) => `    ${line}`) : []
  return { text: [head, ...bytes].join('\n'), important: verbose || !isClean(result) }
}

/** What counts against the broker, once more in a line each: of a long log often the end alone is read. */
function failedLines(report: Report, gate: Level, faults: readonly string[]): string {
  const lines = report.suites.flatMap(({ name, clauses }) =>
    clauses.flatMap(({ id, level, cells: [cell] }) => {
      const stands = cell === undefined ? undefined : standing(cell, level, gate)
      return stands === 'fail' || stands === 'error' ? [`${stands} ${name} ${id}: ${cell?.seen.split('\n')[0] ?? ''}\n`] : []
    }),
  )
  lines.push(...faults.map((fault) => `error that no check caught: ${fault}\n`))
  return lines.length === 0 ? '' : `\n${lines.join('')}\n`
}

const COLUMNS: readonly Standing[] = ['pass', 'fail', 'error', 'differs', 'known', 'lossy', 'refused', 'not supported', 'skipped', 'unchecked']

/** A line for each suite, broker and level. */
export function summary(report: Report, gate: Level): string {
  const line = (cells: readonly string[], counts: readonly (string | number)[]): string =>
    `${cells.map((cell, i) => cell.padEnd([14, 24, 8][i] ?? 0)).join('')}${counts.map((count, i) => String(count).padStart((COLUMNS[i]?.length ?? 0) + 2)).join('')}`
  const numbers = (counts: Counts): readonly number[] => COLUMNS.map((each) => counts[each])
  const rows = report.suites.flatMap(({ name, clauses }) =>
    report.brokers.flatMap((broker, column) =>
      (['must', 'should', 'may'] as const).flatMap((level) => {
        const of = clauses.filter((clause) => clause.level === level && clause.cells[column] !== undefined)
        return of.length === 0 ? [] : [line([name, titleOf(broker).slice(0, 23), level], numbers(countsOf(of, column, gate)))]
      }),
    ),
  )
  const all = numbers(sumOf(report.suites.flatMap(({ clauses }) => report.brokers.map((_, column) => countsOf(clauses, column, gate)))))
  return [line(['suite', 'broker', 'level'], COLUMNS), ...rows, line(['all', '', ''], all)].join('\n')
}
