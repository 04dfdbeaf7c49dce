// The facts and their page: docs/journal.md names each number, and no other. What is written is read back as it was.
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { FACT, FactReader, FactWriter } from './facts.ts'

describe('the facts', () => {
  it('stand in docs/journal.md, each by number and name, and no other', () => {
    const page = readFileSync(new URL('../../docs/journal.md', import.meta.url), 'utf8')
    const table = page.slice(page.indexOf('## Facts'), page.indexOf('The fixed part of a message fact'))
    const told = [...table.matchAll(/^\| (\d+) \| (\w+) \|/gm)].map(([, number, name]) => [name, Number(number)])
    expect(told).toEqual(Object.entries(FACT).sort(([, a], [, b]) => a - b))
  })

  it('have numbers that the journal takes, each once', () => {
    const numbers = Object.values(FACT)
    expect(new Set(numbers).size).toBe(numbers.length)
    expect(numbers.every((number) => number >= 1 && number <= 254)).toBe(true)
  })

  it('are read back as they were written, however long', () => {
    const long = Buffer.alloc(10_000, 7)
    const fact = new FactWriter()
      .u8(255)
      .u16(65_535)
      .u32(2 ** 32 - 1)
      .f64(2 ** 53)
      .text('Zürich \u{1f980}')
      .bytes(long)
    const from = new FactReader().reset(fact.buffer, 0, fact.length)
    expect([from.u8(), from.u16(), from.u32(), from.f64(), from.text()]).toEqual([255, 65_535, 2 ** 32 - 1, 2 ** 53, 'Zürich \u{1f980}'])
    expect(Buffer.from(from.bytes()).equals(long)).toBe(true)
    expect(from.left).toBe(0)
    expect(() => from.u8()).toThrow(/ends/)
  })
})
