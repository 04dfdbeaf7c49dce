// The drill must find a journal that loses or forgets something; a broker without fault, and one that is not fenced, are in `proof.test.ts`.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { drill, TEST_MS } from './faulty-drill.ts'

const folder = mkdtempSync(join(tmpdir(), 'bascule-drill-proof-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe('the drill', () => {
  it('finds a journal that loses its tail', { timeout: TEST_MS }, async () => {
    const { code, out, err } = await drill(folder, 'late', '--rounds', '2', '--faults', 'kill', '--rate', '3000')
    expect(out, err).toMatch(/never got .* which was acknowledged|again after its settlement was answered|more than once/)
    expect(code).toBe(1)
  })

  it('finds a broker that delivers again what was settled', { timeout: TEST_MS }, async () => {
    const { code, out, err } = await drill(folder, 'forgetful', '--rounds', '1', '--faults', 'kill')
    for (const strict of ['stomp-strict', '(amqp|ws)-strict'])
      expect(out, err).toMatch(new RegExp(`${strict} got .* again after its settlement was answered`))
    expect(code).toBe(1)
  })
})
