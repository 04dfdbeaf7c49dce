import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { profiles } from '../../conformance/profiles/profile.ts'
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
    ['run --filter ,', '--filter wants a part of an identifier'],
    ['run --target mqtt=mqtt://127.0.0.1:1 --filter AMQP-2.4', 'what is asked for is of amqp-1.0, which wants --target for amqp'],
    ['mutants --reference aedes --target amqp=amqp://127.0.0.1:1', 'mutants has no column for --reference'],
    ['mutants --target amqp=amqp://127.0.0.1:1 --filter MQTT-3.1.0-1', 'which wants --target for mqtt'],
    ['run --target mqtt=ws://127.0.0.1:1', 'mqtt is tested at mqtt:// or tcp://, not at ws://'],
    ['run --target mqtt=mqtt://127.0.0.1:1 --suite mqtt-3.1.1', 'is not reached'],
    ['run --patience 0', '--patience is 1 or more milliseconds'],
    ['run --json /nonexistent/x.json', '--json /nonexistent/x.json: ENOENT'],
    ['list --json x.json', 'list writes no reports: --json is of run'],
    ['mutants --html x.html', 'mutants writes no reports: --html is of run'],
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

it('a run that carries out no check does not pass', async () => {
  await expect(conformance(['run', '--suite', 'mqtt-5', '--filter', 'MQTT-3.1.0-1', '--profile', 'aedes'])).rejects.toThrow(
    'no check was carried out',
  )
  expect(printed.endsWith('\n0 passed, 0 failed, 1 skipped\n')).toBe(true)
})

it('of a node of our own a broken should counts unless told otherwise', async () => {
  const file = join(folder, 'profile.json')
  // What MQTT sends goes elsewhere than where the client of STOMP waits.
  writeFileSync(file, JSON.stringify({ ...profiles['bascule'], known: {}, mqtt: { topic: 'elsewhere/{path}' } }))
  const args = ['run', '--suite', 'bridge', '--filter', 'BRIDGE-mqtt-5-stomp-text', '--profile', file, '--patience', '300']
  expect(await conformance(args)).toBe(1)
  expect(await conformance([...args, '--level', 'must'])).toBe(0)
})

it('a fault of the broker in this process fails a run whose checks all pass', async () => {
  vi.spyOn(process.stderr, 'write').mockImplementation(() => true)
  let thrown = false
  // The line of the check is printed while the run is under way.
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    const emitter: NodeJS.EventEmitter = process
    if (!thrown) emitter.emit('uncaughtException', new Error('fault of ours'))
    thrown = true
    printed += String(text)
    return true
  })
  expect(await conformance(['run', '--filter', 'MQTT-3.1.0-2', '--suite', 'mqtt-3.1.1'])).toBe(1)
  expect(printed.endsWith('\nerror that no check caught: fault of ours\n\n1 passed, 1 failed, 0 skipped\n')).toBe(true)
})
