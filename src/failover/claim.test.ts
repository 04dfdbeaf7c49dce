// Claims on the real disk, against real processes. The rules one by one are in journal/file/rules.test.ts.
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { realClock } from '../clock.ts'
import { realDisk } from '../disk.ts'
import { prepareDirectory } from '../journal/file/directory.ts'
import { realRandom } from '../random.ts'
import { decodeClaim, encodeClaim, epochOf } from './claim-file.ts'
import { type Leadership, claim } from './claim.ts'

const holder = `
  import { claim } from ${JSON.stringify(new URL('claim.ts', import.meta.url).href)}
  import { realClock } from ${JSON.stringify(new URL('../clock.ts', import.meta.url).href)}
  import { realDisk } from ${JSON.stringify(new URL('../disk.ts', import.meta.url).href)}
  import { realRandom } from ${JSON.stringify(new URL('../random.ts', import.meta.url).href)}
  const held = await claim({ directory: process.argv[1], node: 'other', address: '10.0.0.2:1', disk: realDisk, clock: realClock, random: realRandom,
    force: false, pollMs: 5, signal: new AbortController().signal, onWaiting() {} })
  console.log('leads ' + held.epoch)
  setInterval(() => held.look(), 1000)
`

describe('a claim among processes', () => {
  let directory = ''
  let child: ChildProcess | undefined
  const held: Leadership[] = []
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'bascule-claim-'))
    await prepareDirectory(realDisk, directory)
  })
  afterEach(async () => {
    child?.kill('SIGKILL')
    child = undefined
    for (const one of held.splice(0)) await one.release()
    await rm(directory, { recursive: true, force: true })
  })

  const start = async (): Promise<void> => {
    const started = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', holder, directory], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    child = started
    await new Promise<void>((resolve, reject) => {
      started.stdout.on('data', (data: Buffer) => {
        if (data.toString().includes('leads 1')) resolve()
      })
      started.on('exit', () => reject(new Error('the holder ended')))
    })
  }

  const take = async (
    force: boolean,
    onWaiting: (holder: { node: string; epoch: number }) => void = () => undefined,
    signal = new AbortController().signal,
  ): Promise<Leadership> => {
    const made = await claim({
      directory,
      node: 'me',
      address: '',
      disk: realDisk,
      clock: realClock,
      random: realRandom,
      force,
      pollMs: 5,
      signal,
      onWaiting,
    })
    held.push(made)
    return made
  }

  it('waits for the one that leads, says for whom, and follows when that one is killed', async () => {
    await start()
    const waited: { node: string; epoch: number }[] = []
    const mine = take(false, (one) => {
      waited.push(one)
      child?.kill('SIGKILL')
    })
    expect((await mine).epoch).toBe(2)
    expect(waited).toEqual([{ node: 'other', epoch: 1 }])
    expect((await mine).look()).toBe(true)
  })

  it('does not take a stopped process for a dead one, unless it is told to', async () => {
    await start()
    child?.kill('SIGSTOP')
    const abort = new AbortController()
    const waiting = new Promise<void>((resolve) => {
      take(false, () => resolve(), abort.signal).catch(() => undefined)
    })
    await waiting
    abort.abort()
    expect((await take(true)).epoch).toBe(2)
  })

  it('stops waiting when it is aborted', async () => {
    await take(false)
    const abort = new AbortController()
    await expect(take(false, () => abort.abort(), abort.signal)).rejects.toThrow('abort')
  })

  it('is lost to a higher one, and at its release', async () => {
    const first = await take(false)
    expect(first.look()).toBe(true)
    const second = await take(true)
    expect([first.look(), second.look()]).toEqual([false, true])
    await second.release()
    expect(second.look()).toBe(false)
    expect((await take(false)).epoch).toBe(3)
  })

  it('says in its file who holds it', async () => {
    await take(false)
    const text = await readFile(join(directory, 'epochs', '0000000001'))
    expect(decodeClaim(text)).toMatchObject({ node: 'me', address: '' })
  })

  it('names its temporary file safely, whatever the node is called', async () => {
    const made = await claim({
      directory,
      node: '../../evil name/',
      address: '',
      disk: realDisk,
      clock: realClock,
      random: realRandom,
      force: false,
      pollMs: 5,
      signal: new AbortController().signal,
      onWaiting: () => undefined,
    })
    held.push(made)
    expect(made.epoch).toBe(1)
    expect(await realDisk.list(join(directory, 'epochs'))).toEqual(['0000000001'])
  })
})

describe('the file of a claim', () => {
  it('comes back, and nothing else is taken for one', () => {
    const file = { node: 'a', address: 'b', nonce: 'c', startedMs: 4 }
    expect(decodeClaim(encodeClaim(file))).toMatchObject(file)
    for (const text of ['', '{', '[]', 'null', '{"node":1}', '"x"']) expect(decodeClaim(Buffer.from(text))).toBeUndefined()
    expect([epochOf('0000000012'), epochOf('12'), epochOf('.claim-a-b'), epochOf('0000000012x')]).toEqual([12, undefined, undefined, undefined])
  })
})
