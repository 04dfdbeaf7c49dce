import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { protocols } from '../../protocols/index.ts'
import { loadSettings } from '../../src/config/load.ts'
import { documents } from './documents.ts'

const place = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url))

describe('generated documents', () => {
  it.each(Object.keys(documents))('%s is what the sources say (npm run generate)', (path) => {
    expect(existsSync(place(path)), 'npm run generate').toBe(true)
    expect(readFileSync(place(path), 'utf8')).toBe(documents[path]())
  })

  it('the example configuration is valid and changes nothing', async () => {
    const load = (file: string) => loadSettings({ file, environment: {}, flags: {}, sets: [] }, protocols)
    expect(await load(place('config/bascule.yaml'))).toEqual(await load(''))
  })

  it('every option has a description and a default', () => {
    const walk = (schema: Readonly<Record<string, unknown>>, path: string): readonly string[] => {
      const { properties, description, default: value } = schema
      if (typeof properties === 'object' && properties !== null)
        return Object.entries(properties).flatMap(([name, inner]) => walk(inner as Readonly<Record<string, unknown>>, `${path}.${name}`))
      return description === undefined || value === undefined ? [path] : []
    }
    const schema = JSON.parse(readFileSync(place('config/bascule.schema.json'), 'utf8')) as Readonly<Record<string, unknown>>
    expect(walk(schema, '')).toEqual([])
  })
})

describe('the page of a protocol', () => {
  const folders = readdirSync(place('protocols'), { withFileTypes: true }).filter((each) => each.isDirectory() && each.name !== 'shared')

  it.each(folders.map((each) => each.name))('%s has the headings that all have, in their order, and is listed', (folder) => {
    const page = readFileSync(place(`docs/protocols/${folder}.md`), 'utf8')
    const headings = [...page.matchAll(/^## (.+)$/gm)].map(([, heading]) => heading)
    const common = ['Addresses', 'Messages', 'Life cycles', 'Where the specification leaves room', 'Known issues']
    expect(headings.filter((heading) => common.includes(heading))).toEqual(common)
    expect(readFileSync(place(`protocols/${folder}/README.md`), 'utf8')).toContain('\n## Tests\n')
    expect(readFileSync(place('docs/protocols/README.md'), 'utf8')).toContain(`(${folder}.md)`)
  })
})
