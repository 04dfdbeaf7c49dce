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
import { readHeartbeat } from './heartbeat.ts'

const holder = `
  import { claim } from ${JSON.stringify(new URL('claim.ts', import.meta.url).href)}
  import { realClock } from ${JSON.stringify(new URL('../clock.ts', import.meta.url).href)}
  import { realDisk } from ${JSON.stringify(new URL('../disk.ts', import.meta.url).href)}
  import { realRandom } from ${JSON.stringify(new URL('../random.ts', import.meta.url).href)}
  const held = await claim({ directory: process.argv[1], node: 'other', address: '10.0.0.2:1', disk: realDisk, clock: realClock, random: realRandom,
    force: false, pollMs: 5, leaseMs: Number(process.argv[2]), signal: new AbortController().signal, onWaiting() {},
    onLost: (error) => console.log('lost ' + error.message) })
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

  /** A process that leads epoch 1. Answers what it says from then on. */
  const start = async (leaseMs = 0): Promise<string[]> => {
    const said: string[] = []
    const started = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', holder, directory, String(leaseMs)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    child = started
    await new Promise<void>((resolve, reject) => {
      started.stdout.on('data', (data: Buffer) => {
        said.push(data.toString())
        if (data.toString().includes('leads 1')) resolve()
      })
      started.on('exit', () => reject(new Error('the holder ended')))
    })
    return said
  }

  const take = async (
    force: boolean,
    onWaiting: (holder: { node: string; epoch: number }) => void = () => undefined,
    signal = new AbortController().signal,
    leaseMs = 0,
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
      leaseMs,
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

  it('follows a stopped process when its lease has run out; woken, that one finds out by itself and writes nothing more', async () => {
    const said = await start(400)
    const sinceMs = realClock.monoMs()
    const stop = async (): Promise<void> => {
      // Not in the middle of its first heartbeat.
      while ((await readHeartbeat(realDisk, directory, 1)) === undefined) await new Promise((resolve) => setImmediate(resolve))
      child?.kill('SIGSTOP')
    }
    const mine = await take(false, () => void stop(), new AbortController().signal, 400)
    expect(mine.epoch).toBe(2)
    expect(realClock.monoMs() - sinceMs).toBeGreaterThan(400)
    child?.kill('SIGCONT')
    const before = await readHeartbeat(realDisk, directory, 1)
    while (!said.some((line) => line.includes('lost a higher epoch than 1'))) await new Promise((resolve) => setImmediate(resolve))
    // It may have been stopped within a write; it begins none.
    expect([before, undefined]).toContainEqual(await readHeartbeat(realDisk, directory, 1))
    expect(mine.look()).toBe(true)
  })

  it('is not disturbed by those who probe: they lock in shared mode what nobody claims any more', async () => {
    const abort = new AbortController()
    const first = await take(false)
    const waiters = Array.from({ length: 3 }, () => take(false, () => undefined, abort.signal).catch(() => undefined))
    let last = first
    for (let epoch = 2; epoch <= 30; epoch++) {
      last = await take(true)
      expect(last.epoch).toBe(epoch)
      expect(last.look()).toBe(true)
    }
    abort.abort()
    await Promise.all(waiters)
    expect(await realDisk.list(join(directory, 'epochs'))).toHaveLength(30)
  })

  it('of many that want the claim of one that was killed gives it to one', async () => {
    await start()
    const abort = new AbortController()
    let ready = 0
    const claims = Array.from({ length: 4 }, () =>
      take(
        false,
        ({ epoch }) => {
          if (epoch === 1 && ++ready === 4) child?.kill('SIGKILL')
        },
        abort.signal,
      ),
    )
    const winner = await Promise.race(claims)
    expect(winner.epoch).toBe(2)
    abort.abort()
    const ends = await Promise.allSettled(claims)
    expect(ends.filter((end) => end.status === 'fulfilled')).toHaveLength(1)
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
