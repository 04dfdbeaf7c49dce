import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { conformance } from './conformance.ts'
import { UsageError } from './usage.ts'

let folder: string
let printed = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'conformance-command-'))
  printed = ''
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    printed += String(text)
    return true
  })
})
afterEach(() => {
  vi.restoreAllMocks()
  rmSync(folder, { recursive: true, force: true })
})

describe('wrong usage is told in a sentence', () => {
  const wrong: readonly (readonly [string, string])[] = [
    ['run --suit x', 'unknown flag --suit: did you mean --suite?'],
    ['runn', 'conformance wants run, list or mutants, not runn: did you mean run?'],
    ['run more', 'unexpected argument more'],
    ['run --suite mqtt-3.1.2', 'there is no suite mqtt-3.1.2: did you mean mqtt-3.1.1?'],
    ['run --target mqtt', '--target is PROTOCOL=URL'],
    ['run --target coap=coap://a', '--target is PROTOCOL=URL'],
    ['run --target mqtt=nowhere', 'nowhere is no URL'],
    ['run --target ws=ws://127.0.0.1:1 --suite mqtt-3.1.1', '--suite mqtt-3.1.1 wants --target for mqtt'],
    ['run --filter NOTHING', 'no clause has NOTHING in its identifier'],
    ['run --slice 3/2', '--slice is K/N'],
    ['run --slice 0/2', '--slice is K/N'],
    ['run --level shall', '--level is must, should or may, not shall'],
    ['run --patience soon', '--patience is a whole number, not soon'],
    ['run --profile rabitmq', 'there is no profile rabitmq: did you mean rabbitmq?'],
    ['run --profile none.json', '--profile none.json: ENOENT'],
    ['run --reference aede', 'there is no reference aede: did you mean aedes?'],
  ]
  it.for(wrong)('%s', async ([args, sentence]) => {
    const error = await conformance(args.split(' ')).then(
      () => undefined,
      (thrown: unknown) => thrown,
    )
    expect(error).toBeInstanceOf(UsageError)
    expect(String(error)).toContain(sentence)
    expect(printed).toBe('')
  })
})

it('a profile of a file is read, and a wrong one is wrong usage', async () => {
  const file = join(folder, 'profile.json')
  writeFileSync(file, '{"known": 3}')
  await expect(conformance(['run', '--profile', file])).rejects.toThrow('known of a profile has suites')
})

it('one clause against a node of our own, beside aedes, with every kind of report', async () => {
  const file = (name: string): string => join(folder, name)
  const reports = ['json', 'junit', 'html', 'markdown'].flatMap((form) => [`--${form}`, file(form)])
  expect(await conformance(['run', '--filter', 'MQTT-3.1.0-2', '--suite', 'mqtt-3.1.1', '--reference', 'aedes', ...reports])).toBe(0)
  expect(printed.endsWith('\n1 passed, 0 failed, 0 skipped\n')).toBe(true)
  const { brokers, suites } = JSON.parse(readFileSync(file('json'), 'utf8'))
  expect(brokers.map(({ name }: { name: string }) => name)).toEqual(['bascule', 'aedes'])
  expect(suites[0].clauses[0].cells.map(({ outcome }: { outcome: string }) => outcome)).toEqual(['pass', 'pass'])
  for (const form of ['junit', 'html', 'markdown']) expect(readFileSync(file(form), 'utf8')).toContain('MQTT-3.1.0-2')
})

it('its mutant is found', async () => {
  expect(await conformance(['mutants', '--filter', 'MQTT-3.1.0-2', '--suite', 'mqtt-3.1.1'])).toBe(0)
  expect(printed).toContain('proven   mqtt-3.1.1 MQTT-3.1.0-2 by 1')
})

it('nobody listens: a failure of the run, not of the broker', async () => {
  await expect(conformance(['run', '--suite', 'mqtt-3.1.1', '--target', 'mqtt=mqtt://127.0.0.1:1'])).rejects.toThrow('is not reached')
})
