// `bascule pair` as people run it: events on standard output, commands on standard input, and nothing left behind.
import { type ChildProcess, spawn } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { afterEach, describe, expect, it } from 'vitest'
import { temporaryFolder } from '../program/program.ts'
import { until } from '../wire/bytes.ts'
import { program } from '../wire/node-process.ts'

const folder = temporaryFolder()
const running: ChildProcess[] = []
const started: string[] = []
afterEach(() => {
  for (const child of running.splice(0)) child.kill('SIGKILL')
  for (const data of started.splice(0)) for (const pid of nodesOn(data)) process.kill(pid, 'SIGKILL')
  folder.remove()
})

/** Processes that have this data directory among their arguments. */
function nodesOn(data: string): readonly number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')
        return words.includes(data) && words.includes('start')
      } catch {
        return false
      }
    })
    .map(Number)
}

function startPair(name: string, ...args: string[]) {
  const data = folder.path(name)
  const child = spawn(process.execPath, [program, 'pair', '--ports', 'free', '--data', data, ...args], { stdio: ['pipe', 'pipe', 'pipe', 'ipc'] })
  running.push(child)
  started.push(data)
  const pair = { child, data, out: '', code: undefined as number | null | undefined }
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding('utf8').on('data', (text: string) => {
      pair.out += text
    })
  child.on('exit', (code) => {
    pair.code = code
  })
  const says = (pattern: RegExp): Promise<void> => until(`${pattern} in\n${pair.out}`, () => pattern.test(pair.out), 20_000)
  const type = (line: string): void => void child.stdin?.write(`${line}\n`)
  return { pair, says, type }
}

async function up(name: string, ...args: string[]) {
  const started = startPair(name, ...args)
  await started.says(/ active   epoch 1/)
  await started.says(/ standby /)
  return started
}

describe('bascule pair', () => {
  it('shows how the other node takes over from one that is killed, starts that again, and leaves nothing', { timeout: 60_000 }, async () => {
    const { pair, says, type } = await up('kill')
    type('kill')
    await says(/ active   epoch 2, \d+ ms after [ab] was killed/)
    await says(/ ended    SIGKILL, starts again in 2 s/)
    await until('both nodes run again', () => nodesOn(pair.data).length === 2, 20_000)
    type('status')
    await says(/^node +role +epoch/m)
    type('frobnicate')
    await says(/frobnicate is none of kill/)
    type('quit')
    await until('its end', () => pair.code !== undefined, 20_000)
    expect(pair.code).toBe(0)
    expect(nodesOn(pair.data)).toEqual([])
  })

  it('stops a node, sees it succeeded, and wakes it', { timeout: 60_000 }, async () => {
    const { pair, says, type } = await up('stop', '--set', 'failover.leaseMs=500')
    type('stop')
    await says(/ stopped /)
    await says(/ active   epoch 2, \d+ ms after [ab] was stopped/)
    type('cont')
    await says(/ woken\n(.*\n)*.* standby /)
    pair.child.kill('SIGTERM')
    await until('its end', () => pair.code !== undefined, 20_000)
    expect(nodesOn(pair.data)).toEqual([])
  })

  it('killed itself while a node is stopped, leaves nothing', { timeout: 60_000 }, async () => {
    const { pair, says, type } = await up('killed')
    type('stop')
    await says(/ stopped /)
    pair.child.kill('SIGKILL')
    await until('the end of both nodes', () => nodesOn(pair.data).length === 0, 20_000)
  })
})
