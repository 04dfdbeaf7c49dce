// The configuration for a pair on real machines must be one that a node takes, and must explain itself.
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { protocols } from '../protocols/index.ts'
import { loadSettings } from '../src/config/load.ts'

const file = fileURLToPath(new URL('../config/active-standby.yaml', import.meta.url))

it('config/active-standby.yaml is a configuration that a node takes', async () => {
  const settings = await loadSettings({ file, environment: {}, flags: {}, sets: [] }, protocols)
  const defaults = await loadSettings({ file: '', environment: {}, flags: {}, sets: [] }, protocols)
  expect(settings).toMatchObject({ data: '/var/lib/bascule', node: '', insecure: true })
  for (const { host } of Object.values(settings.listeners).filter(({ enabled }) => enabled)) expect(host).toBe('0.0.0.0')
  // What it names without changing it stays what the program does by itself.
  expect(settings.failover).toEqual(defaults.failover)
  expect(settings.journal).toEqual(defaults.journal)
})

it('every key in it is explained', () => {
  const unexplained: string[] = []
  let comment = false
  for (const line of readFileSync(file, 'utf8').split('\n')) {
    // Host and port stand under the sentence of their listener; what a section has is explained key by key.
    const key = /^( {2})?\w+:( .+)?$/.exec(line)
    if (key !== null && !comment && (key[1] !== undefined || key[2] !== undefined)) unexplained.push(line)
    comment = /^\s*#/.test(line)
  }
  expect(unexplained).toEqual([])
})
