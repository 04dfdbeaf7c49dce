// The table of features says of each where it is tried: those tests are there, by the names that stand behind the files.
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'

const root = fileURLToPath(new URL('..', import.meta.url))
const rows = readFileSync(join(root, 'docs/features.md'), 'utf8')
  .split('\n')
  .filter((line) => line.startsWith('| ') && line.includes('`'))
  .map((line) => line.split('|').map((cell) => cell.trim()))

/** A scenario of a client is one that a suite runs. */
function tried(file: string, name: string): boolean {
  const path = [join(root, file), join(root, 'test/clients', file), join(root, 'test/clients/qpid-jms', file)].find((each) => existsSync(each))
  if (path === undefined) return false
  const text = readFileSync(path, 'utf8')
  if (file.endsWith('.py')) return text.includes(`def ${name}(`)
  return text.includes(file.endsWith('.java') ? `static void ${name}(` : name)
}

it('there is a table', () => {
  expect(rows.length).toBeGreaterThan(15)
})

it.for(rows.map((cells) => ({ feature: cells[1].replaceAll(/\(.*?\)/g, ''), tests: cells[6] })))('$feature is tried', ({ tests }) => {
  const named = [...tests.matchAll(/`([^`]+): ([^`]+)`/g)].map(([, file, name]) => ({ file, name, there: tried(file, name) }))
  expect(named.length).toBeGreaterThan(0)
  expect(named.filter(({ there }) => !there)).toEqual([])
})
