// The drill must find fault when there is one: nodes with one thing wrong (`faulty-node.ts`), and the same node with nothing wrong as the control.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'
import { bascule, type Ended } from '../program/program.ts'

const folder = mkdtempSync(join(tmpdir(), 'bascule-drill-proof-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const faultyNode = fileURLToPath(new URL('faulty-node.ts', import.meta.url))
const TEST_MS = 90_000

function drill(fault: string, ...args: readonly string[]): Promise<Ended> {
  const program = ['--program', faultyNode, '--node-arg=--import', '--node-arg=tsx']
  // No test must wait for a takeover longer than it takes; a lease of a second is long beside what this machine can do.
  const common = ['--lease', '1000', '--patience', '8000', '--seed', '4', '--data', join(folder, fault)]
  return bascule(['drill', ...common, ...program, ...args], { DRILL_FAULT: fault }, TEST_MS)
}

describe('the drill', () => {
  it('passes a pair without fault, and says the same in all its forms', { timeout: TEST_MS }, async () => {
    const files = { json: join(folder, 'report.json'), junit: join(folder, 'report.xml') }
    const { code, out, err } = await drill('none', '--rounds', '3', '--faults', 'kill,pause,handover', '--json', files.json, '--junit', files.junit)
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
    const { code, out, err } = await drill('unfenced', '--rounds', '1', '--faults', 'pause')
    for (const steadfast of ['mqtt-stay', 'stomp-stay', 'amqp-stay'])
      expect(out, err).toMatch(new RegExp(`never got .*-${steadfast} \\d+, which was acknowledged`))
    expect(out).toMatch(/^0 passed, 1 failed, 0 skipped\n$/m)
    expect(code).toBe(1)
  })

  it('finds a journal that loses its tail', { timeout: TEST_MS }, async () => {
    const { code, out, err } = await drill('late', '--rounds', '2', '--faults', 'kill', '--rate', '3000')
    expect(out, err).toMatch(/never got .* which was acknowledged|again after its settlement was answered|more than once/)
    expect(code).toBe(1)
  })

  it('finds a broker that delivers again what was settled', { timeout: TEST_MS }, async () => {
    const { code, out, err } = await drill('forgetful', '--rounds', '1', '--faults', 'kill')
    for (const strict of ['stomp-strict', '(amqp|ws)-strict'])
      expect(out, err).toMatch(new RegExp(`${strict} got .* again after its settlement was answered`))
    expect(code).toBe(1)
  })
})
