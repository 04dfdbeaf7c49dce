// What a drill found, in the forms in which it is read: lines for people, JSON and JUnit for machines.
import type { Dark } from './darkness.ts'
import { type Counts, FORBIDDEN } from './ledger.ts'
import type { Fault } from './target.ts'

export type Round = Readonly<{
  round: number
  fault: Fault
  /** At which instant of the work. */
  at: string
  victim: string
  successor: string | undefined
  dark: Dark
  counts: Readonly<Counts>
  /** Every one is a reason to fail. */
  sentences: readonly string[]
  /** What the takeover said of its parts, in milliseconds. */
  takeover: Readonly<Record<string, number>> | undefined
  seconds: number
}>

export type Report = Readonly<{
  target: string
  seed: number
  queued: number
  rounds: readonly Round[]
  /** Of the messages that lay on their queue all the time. */
  queuedSentences: readonly string[]
  seconds: number
}>

export type Summary = Readonly<{ fault: Fault; rounds: number; p50Ms: number; p99Ms: number; maxMs: number; unmeasured: number }>

export function passed(round: Round): boolean {
  return round.sentences.length === 0 && FORBIDDEN.every((kind) => round.counts[kind] === 0)
}

export function failures(report: Report): number {
  return report.rounds.filter((each) => !passed(each)).length + (report.queuedSentences.length > 0 ? 1 : 0)
}

/** Rounds, and one more for the queue if there was one. */
export function cases(report: Report): number {
  return report.rounds.length + (report.queued > 0 ? 1 : 0)
}

export function summaries(rounds: readonly Round[]): readonly Summary[] {
  const faults = [...new Set(rounds.map((each) => each.fault))]
  return faults.map((fault) => {
    const all = rounds.filter((each) => each.fault === fault)
    const dark = all.flatMap((each) => (each.dark.allMs === undefined ? [] : [each.dark.allMs])).sort((a, b) => a - b)
    return {
      fault,
      rounds: all.length,
      p50Ms: at(dark, 0.5),
      p99Ms: at(dark, 0.99),
      maxMs: dark.at(-1) ?? Number.NaN,
      unmeasured: all.length - dark.length,
    }
  })
}

/** The smallest value that so large a part of all does not exceed. */
function at(sorted: readonly number[], part: number): number {
  return sorted[Math.max(0, Math.ceil(sorted.length * part) - 1)] ?? Number.NaN
}

export function roundLine(round: Round): string {
  const { dark, counts } = round
  const protocols = Object.entries(dark.byProtocol).map(([name, value]) => `${name} ${ms(value)}`)
  const bad = FORBIDDEN.filter((kind) => counts[kind] > 0).map((kind) => `${counts[kind]} ${kind}`)
  const parts =
    round.takeover === undefined
      ? ''
      : `  (${Object.entries(round.takeover)
          .map(([name, value]) => `${name} ${Math.round(value)}`)
          .join(', ')})`
  const before = (dark.allMs ?? 0) - (dark.sinceFaultMs ?? dark.allMs ?? 0)
  const already = before >= BEFORE_MS ? `, of it ${ms(before)} before the fault` : ''
  return [
    `round ${String(round.round).padStart(3)}  ${round.fault.padEnd(8)} ${round.victim} → ${round.successor ?? '?'}`,
    `dark ${ms(dark.allMs).padStart(7)} (${protocols.join(', ')}; everybody ${ms(dark.everybodyMs)}${already})`,
    `${counts.acknowledged} acknowledged, ${counts.duplicated} duplicated, ${bad.length === 0 ? '0 lost, 0 reordered' : bad.join(', ')}${parts}`,
  ].join('  ')
}

/** Between two acknowledgements of a busy machine; what is longer is told. */
const BEFORE_MS = 100

export function summaryLines(report: Report): readonly string[] {
  return summaries(report.rounds).map(
    ({ fault, rounds, p50Ms, p99Ms, maxMs, unmeasured }) =>
      `${fault.padEnd(8)} ${String(rounds).padStart(4)} rounds  dark p50 ${ms(p50Ms)}  p99 ${ms(p99Ms)}  max ${ms(maxMs)}${unmeasured > 0 ? `  (${unmeasured} not measured)` : ''}`,
  )
}

export function json(report: Report): string {
  const failed = failures(report)
  const body = { ...report, summary: summaries(report.rounds), passed: cases(report) - failed, failed }
  return `${JSON.stringify(body, (_, value: unknown) => (typeof value === 'number' ? Math.round(value * 1000) / 1000 : value), 2)}\n`
}

/** One testcase a round, as test servers read it. */
export function junit(report: Report): string {
  const lines = report.rounds.map((round) => {
    const name = `round ${round.round}: ${round.fault} of ${round.victim} (${round.at})`
    const reasons = [...FORBIDDEN.filter((kind) => round.counts[kind] > 0).map((kind) => `${round.counts[kind]} ${kind}`), ...round.sentences]
    return testcase(name, round.seconds, reasons, roundLine(round))
  })
  if (report.queued > 0) lines.push(testcase(`${report.queued} queued messages`, 0, report.queuedSentences, ''))
  const counts = `tests="${cases(report)}" failures="${failures(report)}" errors="0" skipped="0" time="${report.seconds.toFixed(3)}"`
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites ${counts}>`,
    `  <testsuite name="bascule drill" ${counts}>`,
    ...lines,
    '  </testsuite>',
    '</testsuites>',
    '',
  ].join('\n')
}

function testcase(name: string, seconds: number, reasons: readonly string[], output: string): string {
  const head = `    <testcase classname="drill" name="${escaped(name)}" time="${seconds.toFixed(3)}">`
  const failure = reasons.length === 0 ? '' : `<failure message="${escaped(reasons[0])}">${escaped(reasons.join('\n'))}</failure>`
  return `${head}${failure}${output === '' ? '' : `<system-out>${escaped(output)}</system-out>`}</testcase>`
}

/** What XML 1.0 cannot hold becomes a question mark. */
function escaped(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll(/[^\t\n\u0020-\ud7ff\ue000-\ufffd]/g, '?')
}

function ms(value: number | undefined): string {
  return value === undefined || Number.isNaN(value) ? '–' : `${Math.round(value)} ms`
}
