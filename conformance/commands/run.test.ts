import { afterEach, beforeEach, expect, it } from 'vitest'
import type { Clause } from '../check.ts'
import { ask, check, fakeBroker, type FakeBroker, framings, suiteOf } from '../fake-suite.ts'
import { mutant } from '../mutant.ts'
import { fail, mustEqual } from '../outcome.ts'
import { verdict } from '../report/report.ts'
import { filtersOf, wantedBy } from './chosen.ts'
import { list } from './list.ts'
import { mutants } from './mutants.ts'
import { run, type RunCommand } from './run.ts'

let broker: FakeBroker
let printed = ''
beforeEach(async () => {
  broker = await fakeBroker()
  printed = ''
})
afterEach(() => broker.close())

const good = check('L-1', async (trial) => mustEqual(await ask(trial, 'HO'), 'ho\n', 'the answer'))
const bad = check('L-2', async (trial) => fail(`it says ${(await ask(trial, 'HI')).trim()}`))
const weak = check('L-3', async () => fail('it could'), { level: 'should' })
const unseen = { id: 'L-4', level: 'must', says: 'It thinks.', unchecked: 'Thoughts are not seen.' } as const

const commandOf = (clauses: readonly Clause[], more: Partial<RunCommand> = {}): RunCommand => ({
  suites: [suiteOf(...clauses)],
  brokers: [{ name: 'fake', version: '1', target: broker.target }],
  wanted: () => true,
  patienceMs: 300,
  parallel: 1,
  again: false,
  verbose: false,
  gate: 'must',
  faults: [],
  screen: { write: (text) => void (printed += text), terminal: false, columns: 80 },
  ...more,
})

it('in a log every clause is a line, failures with their bytes, and the last line counts', async () => {
  const report = await run(commandOf([good, bad, weak, unseen]))
  expect(printed.split('\n').slice(0, 6)).toEqual([
    'pass          L-1',
    'fail          L-2: it says hi',
    '    A → HI',
    '    A ← hi',
    'differs       L-3 (should): it could',
    'unchecked     L-4: Thoughts are not seen.',
  ])
  expect(printed.endsWith('\n\nfail lines L-2: it says hi\n\n1 passed, 1 failed, 2 skipped\n')).toBe(true)
  expect(verdict(report, 'must').failed).toBe(1)
})

it('weaker failures count when asked, and what is fine does not', async () => {
  expect(verdict(await run(commandOf([good, weak])), 'must').failed).toBe(0)
  expect(verdict(await run(commandOf([good, weak], { gate: 'should' })), 'should').failed).toBe(1)
})

it('what failed once only is told as kept, if it may be tried again', async () => {
  let asked = 0
  const flickers = check('L-6', async () => (++asked === 1 ? fail('late') : undefined))
  const report = await run(commandOf([flickers, bad], { again: true }))
  expect(report.suites[0]?.clauses.map(({ cells }) => cells[0]?.outcome)).toEqual(['pass', 'fail'])
  expect(printed).toContain('pass          L-6 when it is tried again\n')
  expect(asked).toBe(2)
})

it('on a terminal what passes is shown for a moment, on one line that is gone at the end', async () => {
  await run(commandOf([good, bad, good], { screen: { write: (text) => void (printed += text), terminal: true, columns: 30 } }))
  const [, before = ''] = /^([^]*)\nsuite/.exec(printed) ?? []
  expect(before).toContain('1 of 3  pass          L-1')
  // Each shown line ends where it is cleared.
  const cleared = '\r\u001b[2K'
  const stays = before.split(cleared).map((part, i, all) => (i === all.length - 1 ? part : part.slice(0, part.lastIndexOf('\n') + 1)))
  expect(stays.join('')).toBe('fail          L-2: it says hi\n    A → HI\n    A ← hi\n')
})

it('what passed has its bytes in the report only if they are asked for', async () => {
  const linesOf = async (verbose: boolean): Promise<unknown> => (await run(commandOf([good], { verbose }))).suites[0]?.clauses[0]?.cells[0]?.lines
  expect(await linesOf(false)).toEqual([])
  expect(await linesOf(true)).toEqual(['A → HO', 'A ← ho'])
})

it('a broker beside has a column of its own, and its failures do not count', async () => {
  const other = await fakeBroker({ known: {}, lacks: { lines: 'no lines' } })
  const command = commandOf([good])
  const report = await run({ ...command, brokers: [...command.brokers, { name: 'other', version: '', target: other.target }] })
  expect(report.suites[0]?.clauses[0]?.cells.map((cell) => cell?.outcome)).toEqual(['pass', 'not supported'])
  expect(printed).toContain('other    not supported L-1: no lines')
  await other.close()
})

it('a target at which nobody listens is told before any check', async () => {
  await broker.close()
  await expect(run(commandOf([good]))).rejects.toThrow(/^mqtt:\/\/127\.0\.0\.1:\d+ is not reached: connect ECONNREFUSED/)
  expect(printed).toBe('')
})

it('mutants are told check by check, and doubts once more at the end', async () => {
  const shouts = mutant('shouts', () => ({ toClient: (frame) => Buffer.from(frame.toString().toUpperCase()) }))
  const { suites, screen } = commandOf([{ ...good, mutants: [shouts] }, { ...good, id: 'L-5' }, unseen])
  const found = await mutants({ suites, framings, target: broker.target, wanted: () => true, patienceMs: 300, parallel: 1, faults: [], screen })
  expect(found).toEqual({ passed: 1, failed: 1 })
  expect(printed).toBe(
    'proven   lines L-1 by 1\nDOUBTFUL lines L-5: has no mutant\n\nDOUBTFUL lines L-5: has no mutant\n1 passed, 1 failed, 0 skipped\n',
  )
})

it('the list says what is not checked and why, and counts', () => {
  list(
    [suiteOf(good, unseen)],
    () => true,
    (text) => void (printed += text),
  )
  expect(printed).toContain('L-4                must   It thinks. Not checked: Thoughts are not seen.')
  expect(printed).toContain('2 clauses, 1 checked, 0 mutants')
})

it('clauses are chosen by parts of their identifiers and by slices, which together are all', () => {
  const suite = suiteOf(good, bad, weak, unseen)
  const clauses = suite.chapters.flatMap((chapter) => chapter.clauses)
  const ids = (filters: readonly string[], slice?: Parameters<typeof wantedBy>[1]): readonly string[] =>
    clauses.filter(wantedBy(filters, slice, [suite])).map(({ id }) => id)
  expect(ids(['-1', '-3'])).toEqual(['L-1', 'L-3'])
  expect([1, 2, 3].map((number) => ids([], { number, of: 3 }))).toEqual([['L-1', 'L-4'], ['L-2'], ['L-3']])
})

it('a whole identifier means that clause alone, whatever it begins; spaces and empty parts mean nothing', () => {
  const suite = suiteOf(good, { ...bad, id: 'L-10' }, weak)
  const ids = (filters: string): readonly string[] =>
    suite.chapters.flatMap((chapter) => chapter.clauses.filter(wantedBy(filtersOf(filters), undefined, [suite]))).map(({ id }) => id)
  expect(ids('L-1')).toEqual(['L-1'])
  expect(ids('-1')).toEqual(['L-1', 'L-10'])
  expect(ids(' L-1,, L-3 ,')).toEqual(['L-1', 'L-3'])
  expect(filtersOf(' ,')).toEqual([])
})

it('what no check caught is told at the end and counts as failed', async () => {
  const faults: string[] = []
  const faulty = check('L-7', async () => void faults.push('it fell'))
  await run(commandOf([faulty], { faults }))
  expect(printed.endsWith('\n\nerror that no check caught: it fell\n\n1 passed, 1 failed, 0 skipped\n')).toBe(true)
  const { suites, screen } = commandOf([])
  const found = await mutants({ suites, framings, target: broker.target, wanted: () => true, patienceMs: 300, parallel: 1, faults, screen })
  expect(found).toEqual({ passed: 0, failed: 1 })
})
