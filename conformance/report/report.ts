// What a run found: every clause of every suite, with a cell for each broker. All other forms (lines, JSON, JUnit, HTML, Markdown) are made from it.
import type { Clause, Level, ProtocolName, Suite } from '../check.ts'
import { isCheck } from '../check.ts'
import type { Outcome } from '../outcome.ts'
import type { Result } from '../runner.ts'
import type { Known, Target } from '../target.ts'

export type Cell = Readonly<{
  outcome: Outcome | 'unchecked'
  /** What the broker did, or why it was not tried. Empty when the clause is kept. */
  seen: string
  /** Why the profile says that this fails there; only if it does say so. */
  known?: string
  ms: number
  /** What went over the wires: of checks that did not pass, unless all were asked for. */
  lines: readonly string[]
}>

export type ClauseReport = Readonly<{
  id: string
  level: Level
  chapter: string
  says: string
  /** How it is provoked; missing where it is not checked. */
  how?: string
  /** One for each broker, in the order of `brokers`. Undefined: this broker was not asked. */
  cells: readonly (Cell | undefined)[]
}>

export type SuiteReport = Readonly<{ name: string; title: string; specification: string; clauses: readonly ClauseReport[] }>

export type BrokerReport = Readonly<{
  name: string
  /** As the broker says, empty if nobody told. */
  version: string
  urls: Readonly<Partial<Record<ProtocolName, string>>>
}>

export type Report = Readonly<{
  /** Of this form; another number when a reader of the old one would misread it. */
  format: 1
  /** When the run began, ISO 8601. */
  date: string
  seconds: number
  patienceMs: number
  /** The first is the one under test, all others stand beside it. */
  brokers: readonly BrokerReport[]
  suites: readonly SuiteReport[]
}>

/** How a cell counts: `known` is a failure that the profile knows, `differs` one of a level that does not count as failed. */
export type Standing = Outcome | 'unchecked' | 'known' | 'differs'

const LEVELS: readonly Level[] = ['must', 'should', 'may']

/** `gate`: failures of this level and of stricter ones count. */
export function standing({ outcome, known }: Cell, level: Level, gate: Level): Standing {
  if (outcome !== 'fail') return outcome
  if (known !== undefined) return 'known'
  return LEVELS.indexOf(level) <= LEVELS.indexOf(gate) ? 'fail' : 'differs'
}

export function suiteReport(suite: Suite, columns: readonly (readonly Result[])[]): SuiteReport {
  const found = columns.map((results) => new Map(results.map((result) => [result.clause.id, result])))
  const clauses = suite.chapters.flatMap(({ title, clauses: all }) =>
    all.flatMap((clause): ClauseReport[] => {
      const cells = found.map((results) => cellOf(results.get(clause.id)))
      return cells.every((cell) => cell === undefined) ? [] : [{ ...statementOf(clause, title), cells }]
    }),
  )
  const { name, title, specification } = suite
  return { name, title, specification, clauses }
}

export function statementOf(clause: Clause, chapter: string): Omit<ClauseReport, 'cells'> {
  const { id, level, says } = clause
  return { id, level, chapter, says, ...(isCheck(clause) ? { how: clause.how } : {}) }
}

function cellOf(result: Result | undefined): Cell | undefined {
  if (result === undefined) return undefined
  const { outcome, seen, known, ms, lines } = result
  return { outcome, seen, ...(known === undefined ? {} : { known }), ms: Math.round(ms * 10) / 10, lines }
}

/** What the profile knows of this clause. */
export const knownOf = (known: Known, suite: string, id: string): string | undefined => known[suite]?.[id]

export type Counts = Readonly<Record<Standing, number>>

const NONE: Counts = { pass: 0, lossy: 0, refused: 0, fail: 0, known: 0, differs: 0, 'not supported': 0, skipped: 0, error: 0, unchecked: 0 }

export function countsOf(clauses: readonly ClauseReport[], column: number, gate: Level): Counts {
  const counts: Record<Standing, number> = { ...NONE }
  for (const { cells, level } of clauses) {
    const cell = cells[column]
    if (cell !== undefined) counts[standing(cell, level, gate)]++
  }
  return counts
}

export const sumOf = (all: readonly Counts[]): Counts =>
  all.reduce((sum, counts) => {
    const next: Record<Standing, number> = { ...sum }
    for (const standing of Object.keys(NONE) as Standing[]) next[standing] += counts[standing]
    return next
  }, NONE)

/** The broker under test passes: nothing failed that counts, and every check could be carried out. */
export function verdict(report: Report, gate: Level): Readonly<{ passed: number; failed: number; skipped: number }> {
  const { pass, fail, error, ...rest } = sumOf(report.suites.map(({ clauses }) => countsOf(clauses, 0, gate)))
  return { passed: pass, failed: fail + error, skipped: Object.values(rest).reduce((sum, each) => sum + each, 0) }
}

/** Whether of the broker under test anything was tried to its end: a run that tries nothing finds no fault. */
export function triesAny({ suites }: Report): boolean {
  const untried: readonly (Cell['outcome'] | undefined)[] = ['not supported', 'skipped', 'unchecked', undefined]
  return suites.some(({ clauses }) => clauses.some(({ cells: [cell] }) => !untried.includes(cell?.outcome)))
}

/** Columns of several runs side by side; a clause that only some of them have gets empty cells of the others. */
export function beside(reports: readonly Report[]): Report {
  const [first] = reports
  if (first === undefined) throw new Error('nothing to put side by side')
  const brokers = reports.flatMap((report) => report.brokers)
  const names = [...new Set(reports.flatMap(({ suites }) => suites.map(({ name }) => name)))]
  const suites = names.map((name): SuiteReport => {
    const of = reports.map((report) => report.suites.find((suite) => suite.name === name))
    const all = new Map<string, Omit<ClauseReport, 'cells'>>()
    for (const suite of of) for (const { cells: _, ...clause } of suite?.clauses ?? []) if (!all.has(clause.id)) all.set(clause.id, clause)
    const maps = of.map((suite) => new Map(suite?.clauses.map((clause) => [clause.id, clause.cells])))
    const clauses = [...all.values()].map((clause) => ({
      ...clause,
      cells: reports.flatMap(({ brokers: columns }, i) => maps[i]?.get(clause.id) ?? columns.map(() => undefined)),
    }))
    const { title, specification } = of.find((suite) => suite !== undefined) ?? { title: name, specification: '' }
    return { name, title, specification, clauses }
  })
  return { ...first, seconds: reports.reduce((sum, { seconds }) => sum + seconds, 0), brokers, suites }
}

/** A broker's name for people. */
export const titleOf = ({ name, version }: BrokerReport): string => (version === '' ? name : `${name} ${version}`)

export const brokerReport = (name: string, version: string, { urls }: Target): BrokerReport => ({ name, version, urls })
