import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { FAILURE_LINES, FAILURES_TOLD, readFailures, recordFailures, tellFailures } from './failures.mjs'

const numbered = (count: number): string => Array.from({ length: count }, (_, i) => `line ${i}`).join('\n')

describe('what failed in a suite', () => {
  it('is told with its name and what it said, as the suite recorded it in several goes', () => {
    const folder = mkdtempSync(join(tmpdir(), 'bascule-failures-'))
    const file = join(folder, 'failover')
    expect(readFailures(file)).toEqual([])
    recordFailures([], file)
    recordFailures([{ name: 'pair.test.ts > a standby leads', message: 'Error: waited\n\u001b[31min vain\u001b[39m' }], file)
    recordFailures([{ name: 'depth.test.ts > a takeover', message: 'AssertionError' }], file)
    expect(tellFailures('failover', readFailures(file), 'anything')).toEqual([
      'FAILED failover: pair.test.ts > a standby leads',
      '    Error: waited',
      '    in vain',
      'FAILED failover: depth.test.ts > a takeover',
      '    AssertionError',
    ])
    rmSync(folder, { recursive: true })
  })

  it('is bounded in lines and number', () => {
    const failures = Array.from({ length: FAILURES_TOLD + 3 }, (_, i) => ({ name: `t${i}`, message: numbered(100) }))
    const told = tellFailures('unit', failures, '')
    expect(told).toHaveLength(FAILURES_TOLD * (FAILURE_LINES + 2) + 1)
    expect(told[FAILURE_LINES + 1]).toBe(`    … ${100 - FAILURE_LINES} lines more`)
    expect(told.at(-1)).toBe('… and 3 more of unit')
  })

  it('is the last that a suite said, when it recorded nothing', () => {
    const told = tellFailures('crash', [], `${numbered(100)}\n\n29 passed, 1 failed, 0 skipped\n`)
    expect(told).toHaveLength(1 + FAILURE_LINES)
    expect(told[0]).toBe('FAILED crash, which ended with:')
    expect(told.at(-1)).toBe('    29 passed, 1 failed, 0 skipped')
  })
})
