// docs/LIFECYCLE.md, held by one message: it goes through the built program, and every function that the drawing names must have run.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { NodeProcess } from '../wire/node-process.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))

type Coverage = Readonly<{
  result: readonly Readonly<{
    url: string
    functions: readonly Readonly<{ functionName: string; ranges: readonly Readonly<{ count: number }>[] }>[]
  }>[]
}>

/** `src/core/live.ts: admit`, for each function of the product that ran. */
function whatRan(folder: string): ReadonlySet<string> {
  const ran = new Set<string>()
  for (const name of readdirSync(folder)) {
    const coverage = JSON.parse(readFileSync(join(folder, name), 'utf8')) as Coverage
    for (const { url, functions } of coverage.result) {
      const file = /\/dist\/((?:src|protocols)\/.*)\.js$/.exec(url)?.[1]
      if (file === undefined) continue
      for (const { functionName, ranges } of functions) if (ranges[0].count > 0) ran.add(`${file}.ts: ${functionName}`)
    }
  }
  return ran
}

it('one message takes the way that docs/LIFECYCLE.md draws', { timeout: 60_000 }, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'bascule-lifecycle-'))
  const drawn = [...readFileSync(join(root, 'docs/LIFECYCLE.md'), 'utf8').matchAll(/((?:src|protocols)\/[\w/-]+\.ts): (#?\w+)/g)].map(
    ([, file, name]) => `${file}: ${name}`,
  )
  expect(drawn.length).toBeGreaterThan(30)
  const before = process.env.NODE_V8_COVERAGE
  process.env.NODE_V8_COVERAGE = join(folder, 'coverage')
  const node = new NodeProcess({ data: join(folder, 'data') })
  if (before === undefined) delete process.env.NODE_V8_COVERAGE
  else process.env.NODE_V8_COVERAGE = before
  const { listeners } = await node.leads()
  const port = (name: string): string => listeners[name].split(':')[1]
  const client = (...args: readonly string[]): string => {
    const done = spawnSync(process.execPath, args, { cwd: root, encoding: 'utf8', timeout: 20_000 })
    expect(done.status, done.stderr).toBe(0)
    return done.stdout
  }
  client('examples/stomp-receive.mjs', '0', port('stomp'))
  client('node_modules/mqtt/build/bin/mqtt.js', 'pub', '-h', '127.0.0.1', '-p', port('mqtt'), '-q', '1', '-t', 'orders/eu', '-m', 'tea')
  expect(client('examples/stomp-receive.mjs', '1', port('stomp'))).toBe('/topic/orders.eu: tea\n')
  await node.signal('SIGTERM')
  const ran = whatRan(join(folder, 'coverage'))
  rmSync(folder, { recursive: true })
  expect(drawn.filter((step) => !ran.has(step))).toEqual([])
})
