// The drill must find fault when there is one: nodes with one thing wrong (`faulty-node.ts`), and the same node with nothing wrong as the control.
// What a journal does wrong is in `proof-journal.test.ts`.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { drill, TEST_MS } from './faulty-drill.ts'

const folder = mkdtempSync(join(tmpdir(), 'bascule-drill-proof-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe('the drill', () => {
  it('passes a pair without fault, and says the same in all its forms', { timeout: TEST_MS }, async () => {
    const files = { json: join(folder, 'report.json'), junit: join(folder, 'report.xml') }
    const { code, out, err } = await drill(
      folder,
      'none',
      '--rounds',
      '3',
      '--faults',
      'kill,pause,handover',
      '--json',
      files.json,
      '--junit',
      files.junit,
    )
    expect(code, out + err).toBe(0)
    expect(out).toMatch(/^3 passed, 0 failed, 0 skipped\n$/m)
    const report = JSON.parse(readFileSync(files.json, 'utf8')) as { passed: number; failed: number; rounds: { counts: Record<string, number> }[] }
    expect(report).toMatchObject({ passed: 3, failed: 0 })
    for (const { counts } of report.rounds) {
      expect(counts.acknowledged).toBeGreaterThan(0)
      expect(counts.lost).toBe(0)
    }
    const xml = readFileSync(files.junit, 'utf8')
    expect(xml).toContain('<testsuites tests="3" failures="0"')
    expect(xml.match(/<testcase /g)).toHaveLength(3)
  })

  it('finds a leader that does not look before it acknowledges', { timeout: TEST_MS }, async () => {
    const { code, out, err } = await drill(folder, 'unfenced', '--rounds', '1', '--faults', 'pause')
    for (const steadfast of ['mqtt-stay', 'stomp-stay', 'amqp-stay'])
      expect(out, err).toMatch(new RegExp(`never got .*-${steadfast} \\d+, which was acknowledged`))
    expect(out).toMatch(/^0 passed, 1 failed, 0 skipped\n$/m)
    expect(code).toBe(1)
  })
})
