import { expect, it } from 'vitest'
import type { Report } from '../../conformance/report/report.ts'
import { filled, unsupported } from './filled.ts'

const report = (cells: Readonly<Record<string, 'pass' | 'fail' | 'not supported'>>): Report => ({
  format: 1,
  date: '2026-11-23T00:00:00.000Z',
  seconds: 1,
  patienceMs: 1000,
  brokers: [{ name: 'one', version: '', urls: {} }],
  suites: [
    {
      name: 'lines',
      title: 'Lines',
      specification: '',
      clauses: Object.entries(cells).map(([id, outcome]) => ({
        id,
        level: 'must' as const,
        chapter: '1',
        says: '',
        cells: [{ outcome, seen: '', ms: 1, lines: [] }],
      })),
    },
  ],
})

it('what one listener does not speak is taken from the next, and nothing else', () => {
  const first = report({ a: 'pass', b: 'not supported', c: 'not supported', d: 'fail' })
  expect([...unsupported(first)]).toEqual(['b', 'c'])
  const told = filled(first, report({ b: 'fail', d: 'pass' }))
  expect(told.suites[0]?.clauses.map(({ id, cells: [cell] }) => `${id} ${cell?.outcome}`)).toEqual(['a pass', 'b fail', 'c not supported', 'd fail'])
  expect(told.seconds).toBe(2)
})
