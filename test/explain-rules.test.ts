// Every loss that a dialect can tell has a rule, every rule stands in the documentation and, with the same words, in the matrix of mappings.
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { losses as amqp } from '../protocols/amqp/losses.ts'
import { ruleOf as mqttRuleOf } from '../protocols/mqtt/losses.ts'
import { ruleIn } from '../protocols/shared/losses.ts'
import { losses as stomp } from '../protocols/stomp/losses.ts'
import type { Loss } from '../src/api.ts'
import { rules } from './matrix/tables/rules.ts'

const read = (path: string): string => readFileSync(new URL(`../${path}`, import.meta.url), 'utf8')
const catalogues: Readonly<Record<string, (field: string) => Loss>> = { amqp: ruleIn(amqp), stomp: ruleIn(stomp), mqtt: mqttRuleOf }

/** The names in `lost('…')` and in calls that hand the field on. */
function fieldsOf(protocol: string): readonly string[] {
  const source = read(`protocols/${protocol}/format.ts`)
  return [...new Set([...source.matchAll(/lost\('(\w+)'\)/g), ...source.matchAll(/asciiSymbol\([\w.]+, '(\w+)'/g)].map(([, field]) => field))]
}

describe.each(Object.entries(catalogues))('%s', (protocol, ruleOf) => {
  it('has a rule for every field that it can lose', () => {
    const fields = fieldsOf(protocol)
    expect(fields.length).toBeGreaterThan(4)
    for (const field of fields) expect([field, ruleOf(field).rule]).not.toEqual([field, 'not-carried'])
  })

  it('explains each rule in docs/how-to/explain.md', () => {
    const page = read('docs/how-to/explain.md')
    for (const field of fieldsOf(protocol)) expect(page).toContain(`| \`${ruleOf(field).rule}\` |`)
  })
})

it('rules that the matrix knows are of the kind lossy there, and the page names no other', () => {
  const known = new Set(
    [...Object.values(catalogues)].flatMap((ruleOf) => ['amqp', 'stomp', 'mqtt'].flatMap(fieldsOf).map((field) => ruleOf(field).rule)),
  )
  const lossy = new Map(Object.entries(rules).map(([rule, { kind }]) => [rule, kind]))
  for (const rule of known) expect([rule, lossy.get(rule) ?? 'lossy']).toEqual([rule, 'lossy'])
  const named = [...read('docs/how-to/explain.md').matchAll(/^\| `([\w-]+)` \|/gm)].map(([, rule]) => rule)
  for (const rule of named) expect(known).toContain(rule)
})
