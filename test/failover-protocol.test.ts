// docs/failover/protocol.md, kept true: every rule has its row in section 8, and the functions, tests and mutants that the row names are there. Whether they keep the rule
// is for those tests and mutants to say.
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { checks } from './model/checks.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const read = (path: string): string => readFileSync(join(root, path), 'utf8')
const protocol = read('docs/failover/protocol.md')
const models = readdirSync(join(root, 'docs/failover')).filter((file) => file.endsWith('.pml'))

type Named = Readonly<{ rule: number; file: string; names: readonly string[] }>

const rows = [...protocol.slice(protocol.indexOf('## 8.')).matchAll(/^\| ([0-9]+) \| (.*?) \| (.*?) \| (.*?) \| ?(.*?) ?\|$/gm)].map(
  ([, rule, code, tests, model, simulation]) => ({ rule: Number(rule), code, tests, model, simulation }),
)

const ticked = (text: string): readonly string[] => [...text.matchAll(/`([^`]+)`/g)].map(([, one]) => one)
const quoted = (text: string): readonly string[] => [...text.matchAll(/"([^"]+)"/g)].map(([, one]) => one)

/** `file.ts` followed by what it has: functions in ticks, tests in quotes. */
function named(rule: number, cell: string, namesIn: (text: string) => readonly string[]): readonly Named[] {
  return [...cell.matchAll(/`([^`]+\.ts)`([^,]*(?:,(?! `)[^,]*)*)/g)].map(([, file, rest]) => ({ rule, file: `src/${file}`, names: namesIn(rest) }))
}

const declares = (source: string, name: string): boolean =>
  new RegExp(String.raw`(?:^|\s)(?:function|class|const|interface) ${name}\b|^ +(?:async |readonly )*${name}(?: =|\()`, 'm').test(source)

describe('the failover protocol', () => {
  it('has each of its rules in the table of where it is kept', () => {
    const rules = [...protocol.slice(0, protocol.indexOf('## 2.')).matchAll(/^([0-9]+)\. /gm)].map(([, number]) => Number(number))
    expect(rules).toEqual(Array.from({ length: 20 }, (_, i) => i + 1))
    expect(rows.map(({ rule }) => rule)).toEqual(rules)
  })

  const code = rows.flatMap(({ rule, code }) => named(rule, code, ticked))
  it.each(code)('rule $rule is kept in $file', ({ file, names }) => {
    expect(existsSync(join(root, file)), file).toBe(true)
    expect(names.length).toBeGreaterThan(0)
    expect(names.filter((name) => !declares(read(file), name))).toEqual([])
  })

  const tests = rows.flatMap(({ rule, tests }) => named(rule, tests, quoted))
  it.each(tests)('rule $rule is tested in $file', ({ file, names }) => {
    expect(names.length).toBeGreaterThan(0)
    expect(names.filter((name) => !read(file).includes(`('${name}`))).toEqual([])
  })

  it('has a test and a mutant of a model for each rule', () => {
    expect(rows.filter(({ tests, model }) => quoted(tests).length === 0 || ticked(model).length === 0)).toEqual([])
  })

  it('names mutants of the models that are searched', () => {
    const searched = new Set(checks.flatMap(({ switches }) => switches))
    expect(rows.flatMap(({ model }) => ticked(model)).filter((name) => !searched.has(name))).toEqual([])
  })

  it('names mutants of the simulation that are there', () => {
    const simulation = read('test/simulation/mutants.ts')
    const names = rows.flatMap(({ simulation }) => quoted(simulation))
    expect(names.length).toBeGreaterThan(10)
    expect(names.filter((name) => !simulation.includes(`name: '${name}'`) && !simulation.includes(`name: "${name}"`))).toEqual([])
  })

  it.each(models)('has every switch of %s searched, and told', (file) => {
    const switches = [...new Set([...read(`docs/failover/${file}`).matchAll(/\b[MV]_[A-Z0-9]+\b/g)].map(([name]) => name))]
    const model = file.replace('.pml', '')
    const searched = new Set(checks.filter((check) => check.model === model).flatMap((check) => check.switches))
    expect(switches.length).toBeGreaterThan(0)
    expect(switches.filter((name) => !searched.has(name))).toEqual([])
    expect(switches.filter((name) => !protocol.includes(name))).toEqual([])
  })
})
