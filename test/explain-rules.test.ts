// Every loss that a dialect can tell has a rule, and rules that the matrix of mappings names are of the kind lossy there.
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { losses as amqp } from '../protocols/amqp/losses.ts'
import { losses as mqtt } from '../protocols/mqtt/losses.ts'
import { lossesFive as mqtt5 } from '../protocols/mqtt/losses-five.ts'
import { losses as stomp } from '../protocols/stomp/losses.ts'
import { rules } from './matrix/tables/rules.ts'

const catalogues = { amqp, mqtt, mqtt5, stomp }
/** Where those that are not a front end's only dialect are. */
const paths: Readonly<Record<string, string>> = { mqtt5: 'mqtt/format-five.ts' }

/** The names in `lost('…')` and in calls that hand the field on. */
function fieldsOf(protocol: string): readonly string[] {
  const source = readFileSync(new URL(`../protocols/${paths[protocol] ?? `${protocol}/format.ts`}`, import.meta.url), 'utf8')
  return [...new Set([...source.matchAll(/lost\('(\w+)'\)/g), ...source.matchAll(/asciiSymbol\([\w.]+, '(\w+)'/g)].map(([, field]) => field))]
}

describe.each(Object.entries(catalogues))('%s', (protocol, losses) => {
  it('has a rule for every field that it can lose', () => {
    const fields = fieldsOf(protocol)
    expect(fields.length).toBeGreaterThan(4)
    expect(Object.keys(losses)).toEqual(expect.arrayContaining([...fields]))
  })

  it('has no rule that means something else in the matrix', () => {
    const kinds = new Map(Object.entries(rules).map(([rule, { kind }]) => [rule, kind]))
    for (const { rule } of Object.values(losses)) expect([rule, kinds.get(rule) ?? 'lossy']).toEqual([rule, 'lossy'])
  })
})
