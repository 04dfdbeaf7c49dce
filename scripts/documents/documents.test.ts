import { existsSync, readFileSync } from 'node:fs'
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
