// The table of features says of each where it is tried: those tests run, by the names that stand behind the files, and each protocol that has words for
// a feature is in one of them.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'

const root = fileURLToPath(new URL('..', import.meta.url))
const clients = join(root, 'test/clients')
const rows = readFileSync(join(root, 'docs/features.md'), 'utf8')
  .split('\n')
  .filter((line) => line.startsWith('| ') && line.includes('`'))
  .map((line) => line.split('|').map((cell) => cell.trim()))

/** What a test says it uses. */
const SPEAKS = { STOMP: /stomp|\.ask\('S/i, AMQP: /amqp|rhea|qpid|openReceiver/i, MQTT: /mqtt|paho/i } as const

const suites = readdirSync(clients)
  .filter((name) => name.endsWith('.test.ts'))
  .map((name) => readFileSync(join(clients, name), 'utf8'))

/** The text of the test by that name, with its file's; undefined where none runs. */
function tried(file: string, name: string): string | undefined {
  const path = [join(root, file), join(clients, file), join(clients, 'qpid-jms', file)].find((each) => existsSync(each))
  if (path === undefined) return undefined
  const text = readFileSync(path, 'utf8')
  if (file.endsWith('.test.ts')) return testBy(name, text, file)
  const defined = text.includes(file.endsWith('.java') ? `static void ${name}(` : `def ${name}(`)
  const runner = file.endsWith('.java') ? `'${basename(file, '.java')}'` : `'${file}'`
  return defined && suites.some((suite) => suite.includes(runner) && suite.includes(`['${name}', '`)) ? file : undefined
}

/** `it('…'`, and the last line of a table that `it` runs through. */
const TITLE = /^ *(?:it(?:\.(?:each|for)\(.*\))?|\](?: as const)?\))\(\n? *(['"`])(.*?)\1,/gm

function testBy(name: string, text: string, file: string): string | undefined {
  const titles = [...text.matchAll(TITLE)]
  const found = titles.findIndex(([, , title]) => title.includes(name))
  if (found < 0) return undefined
  const { index } = titles[found]
  return /^protocols\/(\w+)/.exec(file)?.[1] ?? text.slice(index, titles[found + 1]?.index)
}

it('there is a table', () => {
  expect(rows.length).toBeGreaterThan(15)
})

it.for(rows.map((cells) => ({ feature: cells[1].replaceAll(/\(.*?\)/g, ''), cells })))('$feature is tried', ({ cells }) => {
  const [, , stomp, amqp, five, , tests] = cells
  const named = [...tests.matchAll(/`([^`]+): ([^`]+)`/g)].map(([whole, file, name]) => ({ whole, test: tried(file, name) }))
  expect(named.flatMap(({ whole, test }) => (test === undefined ? [whole] : []))).toEqual([])
  const said = { STOMP: stomp, AMQP: amqp, MQTT: five }
  const wanted = (['STOMP', 'AMQP', 'MQTT'] as const).filter((protocol) => !said[protocol].startsWith('–'))
  expect(wanted.filter((protocol) => named.some(({ test = '' }) => SPEAKS[protocol].test(test)))).toEqual(wanted)
})
