import { readFileSync } from 'node:fs'
import { Ajv } from 'ajv'
import { describe, expect, it } from 'vitest'
import { html } from './html.ts'
import { json } from './json.ts'
import { junit } from './junit.ts'
import { markdown } from './markdown.ts'
import { beside, type Cell, type ClauseReport, type Report, standing, verdict } from './report.ts'

const cell = (outcome: Cell['outcome'], more: Partial<Cell> = {}): Cell => ({
  outcome,
  seen: outcome === 'pass' ? '' : `seen ${outcome}`,
  ms: 1.5,
  lines: [],
  ...more,
})

const clause = (id: string, level: ClauseReport['level'], ...cells: readonly (Cell | undefined)[]): ClauseReport => ({
  id,
  level,
  chapter: '3.1 <CONNECT> & "more"',
  says: `It keeps ${id}, a|b, <b> & [c](d).`,
  ...(cells[0]?.outcome === 'unchecked' ? {} : { how: 'It is asked.' }),
  cells,
})

/** What a hostile broker may say: markup, an end of everything that quotes it, what XML cannot hold. */
const HOSTILE = 'it said </td><script>alert(1)</script> ]]> & " \u0000\u0007\ufffe ``` |x| ![y](z)'

const report: Report = {
  format: 1,
  date: '2026-11-23T05:00:00.123Z',
  seconds: 12.3456,
  patienceMs: 2000,
  brokers: [
    { name: 'one', version: '1.0', urls: { mqtt: 'mqtt://127.0.0.1:1883' } },
    { name: 'two <2>', version: '', urls: {} },
  ],
  suites: [
    {
      name: 'lines',
      title: 'Lines & more',
      specification: 'https://example.org/lines?a=1&b=2',
      clauses: [
        clause('L-1', 'must', cell('pass'), cell('fail', { seen: HOSTILE, lines: ['A → 10 00', HOSTILE] })),
        clause('L-2', 'must', cell('fail', { known: 'reported' }), cell('pass', { known: 'fixed since' })),
        clause('L-3', 'should', cell('fail', { lines: ['A ✕ closed'] }), cell('error')),
        clause('L-4', 'must', cell('not supported'), cell('skipped')),
        clause('L-5', 'may', cell('lossy'), cell('refused')),
        clause('L-6', 'must', cell('unchecked'), undefined),
      ],
    },
  ],
}

describe('what counts', () => {
  it('is a failure of a must, and of weaker ones if asked', () => {
    expect(standing(cell('fail'), 'must', 'must')).toBe('fail')
    expect(standing(cell('fail'), 'should', 'must')).toBe('differs')
    expect(standing(cell('fail'), 'should', 'should')).toBe('fail')
    expect(standing(cell('fail'), 'may', 'should')).toBe('differs')
    expect(standing(cell('fail', { known: 'reported' }), 'must', 'must')).toBe('known')
    expect(standing(cell('pass', { known: 'fixed' }), 'must', 'must')).toBe('pass')
    expect(standing(cell('error'), 'may', 'must')).toBe('error')
  })

  it('is the first broker alone', () => {
    expect(verdict(report, 'must')).toEqual({ passed: 1, failed: 0, skipped: 5 })
    expect(verdict(report, 'should')).toEqual({ passed: 1, failed: 1, skipped: 4 })
    expect(
      verdict({ ...report, suites: report.suites.map((suite) => ({ ...suite, clauses: [clause('L-7', 'may', cell('error'))] })) }, 'must').failed,
    ).toBe(1)
  })
})

describe('JSON', () => {
  it('is what the schema says', () => {
    const schema: unknown = JSON.parse(readFileSync(new URL('../../docs/conformance/report.schema.json', import.meta.url), 'utf8'))
    const holds = new Ajv({ allErrors: true, strict: true }).compile(schema as object)
    holds(JSON.parse(json(report)))
    expect(holds.errors).toBeNull()
    holds({ ...report, format: 2 })
    expect(holds.errors).not.toBeNull()
  })
})

describe('JUnit', () => {
  it('is well-formed, whatever a broker said', () => {
    const elements = parseXml(junit(report, 'must'))
    expect(elements.filter(({ name }) => name === 'testcase')).toHaveLength(11)
    expect(elements.find(({ name }) => name === 'testsuites')?.attributes).toMatchObject({
      tests: '11',
      failures: '1',
      errors: '1',
      skipped: '7',
      time: '12.346',
    })
    expect(elements.filter(({ name }) => name === 'testsuite').map(({ attributes }) => attributes['failures'])).toEqual(['0', '1'])
    expect(elements.find(({ name }) => name === 'failure')?.attributes['message']).toContain('</script> ]]> & " ??? ```')
  })

  it('says of what is passed over why it is', () => {
    const messages = parseXml(junit(report, 'must')).flatMap(({ name, attributes }) => (name === 'skipped' ? [attributes['message']] : []))
    expect(messages).toEqual([
      'known to fail (reported): seen fail',
      'not kept, which a should allows: seen fail',
      'not supported: seen not supported',
      'lossy: seen lossy',
      'unchecked: seen unchecked',
      'skipped: seen skipped',
      'refused: seen refused',
    ])
  })
})

describe('HTML', () => {
  const page = html(report, 'must')

  it('is one file that loads nothing and takes no markup from a broker', () => {
    expect(page).not.toMatch(/<(link|img|iframe)|src=|@import|url\(/)
    expect(page).not.toContain('<script>alert')
    expect(page.match(/<script>/g)).toHaveLength(1)
    expect(page).toContain('&lt;script&gt;alert(1)&lt;/script&gt;')
  })

  it('is well-formed but for its head, and has each clause with its standings', () => {
    const body = page.slice(page.indexOf('<body>'), page.indexOf('<script>')).replaceAll(/<input([^>]*?)( checked)?>/g, '<input$1/>')
    const rows = parseXml(`${body}</body>`).filter(({ attributes }) => attributes['class'] === 'clause')
    expect(rows.map(({ attributes }) => attributes['data-standing'])).toEqual([
      'pass fail',
      'known pass',
      'differs error',
      'not-supported skipped',
      'lossy refused',
      'unchecked ',
    ])
  })
})

describe('Markdown', () => {
  const text = markdown(report, 'must')

  it('has tables whose every line has as many cells as its head, and fences that end', () => {
    const outside = text.replaceAll(/^```text\n.*?^```$/gms, '')
    expect(outside).not.toContain('```text')
    for (const table of outside.split('\n\n').filter((part) => part.startsWith('|'))) {
      const widths = new Set(table.split('\n').map((line) => line.replaceAll(/\\./g, '').split('|').length))
      expect([...widths]).toHaveLength(1)
    }
    expect(outside).not.toMatch(/<script|[^\\]\]\(/)
  })

  it('says of a suite that a broker does not speak just that', () => {
    const clauses = [clause('L-1', 'must', cell('not supported'), cell('pass')), clause('L-2', 'should', cell('not supported'), cell('fail'))]
    const suites = report.suites.map((suite) => ({ ...suite, clauses }))
    expect(markdown({ ...report, suites }, 'must')).toContain('| not spoken | 1 of 1 (1 of should and may differ) |')
  })

  it('tells what is not kept with what was seen and the bytes', () => {
    expect(text).toContain('A → 10 00')
    expect(text).toContain('Known: reported')
    expect(text).toContain('### L-3 (Lines & more, should): one 1.0')
  })
})

it('columns of several runs stand side by side, whatever clauses each has', () => {
  const [suite] = report.suites
  if (suite === undefined) throw new Error('no suite')
  const single = (name: string, ...clauses: ClauseReport[]): Report => ({
    ...report,
    brokers: [{ name, version: '', urls: {} }],
    suites: [{ ...suite, clauses }],
  })
  const all = beside([
    single('a', clause('L-1', 'must', cell('pass')), clause('L-2', 'must', cell('fail'))),
    single('b', clause('L-2', 'must', cell('pass')), clause('L-3', 'must', cell('skipped'))),
  ])
  expect(all.brokers.map(({ name }) => name)).toEqual(['a', 'b'])
  expect(all.suites[0]?.clauses.map(({ id, cells }) => [id, ...cells.map((each) => each?.outcome)])).toEqual([
    ['L-1', 'pass', undefined],
    ['L-2', 'fail', 'pass'],
    ['L-3', undefined, 'skipped'],
  ])
})

type Element = Readonly<{ name: string; attributes: Readonly<Record<string, string>> }>

/** The elements of well-formed XML in their order; throws where it is not: only what this project writes, no CDATA, no DTD. */
function parseXml(text: string): readonly Element[] {
  const elements: Element[] = []
  const open: string[] = []
  const rest = text.replace(/^<\?xml [^?]*\?>/, '')
  // What XML 1.0 cannot hold.
  if (/[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/u.test(rest)) throw new Error('a character that XML cannot hold')
  for (const [, words, tag] of rest.matchAll(/([^<]*)(<[^<>]*(?:"[^"<]*"[^<>"]*)*>)?/g)) {
    if (/&(?!(amp|lt|gt|quot);)/.test(words ?? '')) throw new Error(`a bare ampersand: ${words}`)
    if (tag === undefined) {
      if ((words ?? '').trim() !== '' && open.length === 0) throw new Error(`text outside: ${words}`)
      continue
    }
    const [, closing = '', name = '', inside = '', empty = ''] = /^<(\/?)([a-z][a-z\d-]*)((?:\s+[a-z-]+="[^"<]*")*)\s*(\/?)>$/.exec(tag) ?? []
    if (name === '') throw new Error(`no tag: ${tag}`)
    if (closing !== '') {
      if (open.pop() !== name) throw new Error(`${tag} ends nothing`)
      continue
    }
    const attributes: Record<string, string> = {}
    for (const [, key = '', value = ''] of inside.matchAll(/\s+([a-z-]+)="([^"]*)"/g)) {
      if (key in attributes || /&(?!(amp|lt|gt|quot);)/.test(value)) throw new Error(`not well-formed: ${tag}`)
      attributes[key] = value.replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&quot;', '"').replaceAll('&amp;', '&')
    }
    elements.push({ name, attributes })
    if (empty === '') open.push(name)
  }
  if (open.length > 0) throw new Error(`${open.join(', ')} stay open`)
  return elements
}
