import { expect, it } from 'vitest'
import type { Report } from '../../conformance/report/report.ts'
import { confirmed } from './confirmed.ts'

const reportOf = (outcomes: Readonly<Record<string, 'pass' | 'fail' | 'error'>>): Report => ({
  format: 1,
  date: '',
  seconds: 0,
  patienceMs: 0,
  brokers: [{ name: 'a', version: '', urls: {} }],
  suites: [
    {
      name: 'lines',
      title: '',
      specification: '',
      clauses: Object.entries(outcomes).map(([id, outcome]) => ({
        id,
        level: 'must',
        chapter: '',
        says: '',
        cells: [{ outcome, seen: '', ms: 0, lines: [] }],
      })),
    },
  ],
})

it('a failure stands when both runs have it, or when it is new', () => {
  const both = confirmed(
    reportOf({ a: 'fail', b: 'fail', c: 'pass', d: 'error', e: 'fail' }),
    reportOf({ a: 'fail', b: 'pass', c: 'fail', d: 'pass' }),
  )
  expect(both.suites[0]?.clauses.map(({ id, cells }) => `${id} ${cells[0]?.outcome}`)).toEqual(['a fail', 'b pass', 'c pass', 'd pass', 'e fail'])
})
