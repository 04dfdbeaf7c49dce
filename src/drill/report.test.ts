import { expect, it } from 'vitest'
import { noCounts } from './ledger.ts'
import { cases, failures, json, junit, type Report, type Round, summaries } from './report.ts'

function round(number: number, allMs: number | undefined, more: Partial<Round> = {}): Round {
  return {
    round: number,
    fault: 'kill',
    at: 'random',
    victim: 'a',
    successor: 'b',
    dark: { allMs, byProtocol: {}, sinceFaultMs: allMs, everybodyMs: allMs },
    counts: noCounts(),
    sentences: [],
    takeover: undefined,
    seconds: 1,
    ...more,
  }
}

function report(rounds: readonly Round[], more: Partial<Report> = {}): Report {
  return { target: 'x', seed: 1, queued: 0, rounds, queuedSentences: [], seconds: 2, ...more }
}

it('percentiles are values that were measured, and rounds that measured nothing are counted', () => {
  const rounds = Array.from({ length: 100 }, (_, i) => round(i + 1, i + 1))
  expect(summaries([...rounds, round(101, undefined)])).toEqual([{ fault: 'kill', rounds: 101, p50Ms: 50, p99Ms: 99, maxMs: 100, unmeasured: 1 }])
})

it('a round fails by what is forbidden and by every sentence, not by duplicates', () => {
  const duplicated = round(1, 1, { counts: { ...noCounts(), duplicated: 5 } })
  const lost = round(2, 1, { counts: { ...noCounts(), lost: 1 } })
  const said = round(3, 1, { sentences: ['nobody took over'] })
  expect(failures(report([duplicated, lost, said]))).toBe(2)
  expect(failures(report([duplicated], { queued: 5, queuedSentences: ['1 of 5 is lost'] }))).toBe(1)
  expect(cases(report([duplicated], { queued: 5 }))).toBe(2)
})

it('JUnit has a testcase a round, with what went wrong, and is well formed whatever a node said', () => {
  const bad = round(2, 1, { sentences: ['a said "<x> & \u0000y"'], counts: { ...noCounts(), lost: 3 } })
  const xml = junit(report([round(1, 5), bad]))
  expect(xml).toContain('<testsuite name="bascule drill" tests="2" failures="1" errors="0" skipped="0" time="2.000">')
  expect(xml).toContain('<failure message="3 lost">3 lost\na said &quot;&lt;x&gt; &amp; ?y&quot;</failure>')
  expect(xml.match(/<testcase /g)).toHaveLength(2)
})

it('JSON has every round, the summary and the verdict', () => {
  expect(JSON.parse(json(report([round(1, 5.12345)])))).toMatchObject({
    passed: 1,
    failed: 0,
    summary: [{ fault: 'kill', rounds: 1, p50Ms: 5.123 }],
    rounds: [{ round: 1, dark: { allMs: 5.123 } }],
  })
})
