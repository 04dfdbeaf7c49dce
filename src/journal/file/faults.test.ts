// What a leader and a follower do when the directory under them fails: vanishes, is another's, cannot be read or written. On the simulated disk, and where
// the real one can be made to fail so, on that.
import { mkdtemp, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { DIRECTORY, type Leading, Stage, settle } from '../../../test/simulation/stage.ts'
import type { Operation } from '../../../test/simulation/simulated-disk.ts'
import { realClock } from '../../clock.ts'
import { realDisk } from '../../disk.ts'
import { type Leadership, claim } from '../../failover/claim.ts'
import { realRandom } from '../../random.ts'
import { Heard, Replayed, put } from '../journal.contract.ts'
import type { Journal } from '../journal.ts'
import { readFormat, prepareDirectory } from './directory.ts'
import { followFileJournal } from './follow.ts'
import { openFileJournal } from './open.ts'
import { HEAD_BYTES, decodeHead, encodeHead } from './segment.ts'

const silent = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined }

const commit = async (journal: Journal, text: string): Promise<void> => {
  put(journal, text)
  await journal.drained()
}

const poll = async (stage: Stage, times = 4): Promise<void> => {
  for (let i = 0; i < times; i++) {
    await settle(30)
    stage.clock.advance(10)
  }
  await settle(30)
}

const FIRST = `${DIRECTORY}/segments/seg-0000000001-0000000001`

/** As if a segment of another cluster had been copied in. */
const makeForeign = (stage: Stage, path: string): void => {
  const bytes = stage.disk.bytes(path)
  const head = decodeHead(bytes.subarray(0, HEAD_BYTES))
  if (typeof head === 'string') throw new Error(head)
  const image = Buffer.alloc(HEAD_BYTES)
  encodeHead({ ...head, cluster: 'f'.repeat(32), node: 'stranger' }, image)
  image.copy(bytes)
}

describe('another cluster', () => {
  it('a segment of it is refused, by name and writer', async () => {
    const stage = await Stage.make()
    await commit((await stage.lead('a')).journal, 'one')
    makeForeign(stage, FIRST)
    const failure = await stage.lead('b').catch((error: unknown) => error)
    expect(failure).toMatchObject({ kind: 'foreign', file: 'seg-0000000001-0000000001' })
    expect(String(failure)).toContain('another cluster (ffffffffffffffffffffffffffffffff, written by node stranger)')
    expect(await stage.names('segments')).toEqual(['seg-0000000001-0000000001'])
  })

  it('a later segment of it is refused too', async () => {
    const stage = await Stage.make()
    const { journal } = await stage.lead('a')
    for (let i = 0; i < 8; i++) await commit(journal, `${i}`.padEnd(250_000, '.'))
    makeForeign(stage, `${DIRECTORY}/segments/seg-0000000001-0000000002`)
    await expect(stage.lead('b')).rejects.toMatchObject({ kind: 'foreign', file: 'seg-0000000001-0000000002' })
  })

  it('its directory in the place of ours is refused by a leader', async () => {
    const stage = await Stage.make()
    const { cluster } = await readFormat(stage.as('a'), DIRECTORY)
    await (await stage.lead('a', {}, { cluster })).journal.close()
    await expect(stage.lead('b', {}, { cluster: 'e'.repeat(32) })).rejects.toThrow(
      `another cluster's directory now (${cluster}, and not ${'e'.repeat(32)})`,
    )
  })

  it('its directory in the place of ours is not followed, and ours is again', async () => {
    const stage = await Stage.make()
    const { cluster } = await readFormat(stage.as('a'), DIRECTORY)
    const { journal } = await stage.lead('a')
    await commit(journal, 'one')
    await commit(journal, 'two')
    const format = stage.disk.bytes(`${DIRECTORY}/format`)
    const ours = Buffer.from(format)
    format.write('e'.repeat(32), ours.indexOf(cluster))
    const { follower, logged, begun } = stage.follow('s', { cluster })
    await poll(stage)
    expect(follower.status).toMatchObject({ state: 'warming', batch: 0 })
    expect(logged).toEqual(['the journal cannot be followed: this node begins anew as soon as it can'])
    ours.copy(format)
    stage.clock.advance(5_000)
    await poll(stage)
    expect(follower.status.state).toBe('warm')
    expect(begun.at(-1)?.texts).toEqual(['one'])
    expect(logged).toHaveLength(2)
  })

  it('a segment of it is not followed', async () => {
    const stage = await Stage.make()
    const { cluster } = await readFormat(stage.as('a'), DIRECTORY)
    const { journal } = await stage.lead('a')
    await commit(journal, 'one')
    await commit(journal, 'two')
    makeForeign(stage, FIRST)
    const { follower, told } = stage.follow('s', { cluster })
    await poll(stage)
    expect(follower.status.state).toBe('warming')
    expect(told.texts).toEqual([])
  })
})

describe('a leader', () => {
  const fails = (stage: Stage, code: string, operations: readonly Operation[]): void => {
    stage.disk.fail = (name, operation) => (name === 'a' && operations.includes(operation) ? { code, after: false } : undefined)
  }

  it.each([
    ['EIO', 'write'],
    ['EIO', 'sync'],
    ['ENOSPC', 'write'],
    ['EROFS', 'write'],
    ['ESTALE', 'write'],
    ['EIO', 'exists'],
    ['ENOENT', 'sync'],
  ] as const)('ends with one line when the disk answers %s to a %s', async (code, operation) => {
    const stage = await Stage.make()
    const { journal, heard } = await stage.lead('a')
    await commit(journal, 'one')
    const told = heard.committedBatches.length
    fails(stage, code, [operation])
    put(journal, 'two')
    await expect(journal.drained()).rejects.toThrow(operation === 'exists' ? 'higher epoch' : code)
    for (const text of ['three', 'four']) expect(put(journal, text)).toBeUndefined()
    await settle()
    stage.clock.advance(100)
    await journal.close()
    expect(heard.losses).toHaveLength(1)
    expect(heard.committedBatches).toHaveLength(told)
    expect(stage.errors).toHaveLength(1)
    expect(stage.errors[0]).toContain(operation === 'exists' ? 'a higher epoch' : code)
  })

  it.each(['ENOENT', 'EROFS', 'EIO'])('ends when a segment cannot be begun (%s)', async (code) => {
    const stage = await Stage.make()
    const { journal, heard } = await stage.lead('a')
    fails(stage, code, ['open', 'rename'])
    let committed = 0
    for (; committed < 20; committed++) {
      put(journal, `${committed}`.padEnd(250_000, '.'))
      if (
        !(await journal.drained().then(
          () => true,
          () => false,
        ))
      )
        break
    }
    expect(committed).toBeGreaterThan(0)
    expect(committed).toBeLessThan(20)
    expect(heard.losses).toHaveLength(1)
    expect(stage.errors).toHaveLength(1)
  })

  it('does not begin on a full disk, and begins when there is room', async () => {
    const stage = await Stage.make()
    await commit((await stage.lead('a')).journal, 'one')
    const leadership = await stage.claim('b', true)
    stage.disk.fail = (name, operation) => (name === 'b' && operation === 'write' ? { code: 'ENOSPC', after: false } : undefined)
    await expect(stage.open('b', leadership)).rejects.toThrow('ENOSPC')
    stage.disk.fail = () => undefined
    expect((await stage.lead('b')).replayed.texts).toEqual(['one'])
  })
})

describe('a follower', () => {
  it.each([
    ['EIO', 'read'],
    ['EIO', 'list'],
    ['EIO', 'open'],
    ['ESTALE', 'read'],
    ['ENOENT', 'list'],
    ['ENOENT', 'open'],
    ['EACCES', 'open'],
  ] as const)('outlives a disk that answers %s to a %s, and says so once', async (code, operation) => {
    const stage = await Stage.make()
    const { journal } = await stage.lead('a')
    const following = stage.follow('s')
    for (const text of ['one', 'two', 'three']) await commit(journal, text)
    await poll(stage)
    expect(following.told.texts).toEqual(['one', 'two'])
    stage.disk.fail = (name, failing) => (name === 's' && failing === operation ? { code, after: false } : undefined)
    // So that it has something to open.
    for (let i = 0; i < 8; i++) await commit(journal, `${i}`.padEnd(250_000, '.'))
    for (let i = 0; i < 50; i++) {
      stage.clock.advance(1_000)
      await settle(30)
    }
    expect(following.follower.status).toMatchObject({ state: 'warming', batch: 0 })
    expect(following.logged.filter((line) => line.includes('begins anew'))).toHaveLength(1)
    // One visitor is dropped, however often it tries.
    expect(following.begun).toHaveLength(2)
    stage.disk.fail = () => undefined
    stage.clock.advance(5_000)
    await poll(stage, 6)
    expect(following.follower.status).toMatchObject({ state: 'warm', behindMs: 0, batch: journal.committed - 1 })
    expect(following.told.texts).toHaveLength(10)
    expect(following.logged.at(-1)).toBe('the journal can be followed again')
    expect(await following.follower.stop()).toMatchObject({ batch: journal.committed - 1 })
  })

  it('that is stopped while the directory is gone ends at once', async () => {
    const stage = await Stage.make()
    stage.disk.fail = (name) => (name === 's' ? { code: 'ENOENT', after: false } : undefined)
    const { follower } = stage.follow('s')
    await poll(stage)
    expect(await follower.stop()).toBeUndefined()
  })
})

describe('on a real disk', () => {
  const LEASE_MS = 400
  let root = ''
  let data = ''
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'bascule-faults-'))
    data = join(root, 'data')
    await prepareDirectory(realDisk, data)
  })
  afterEach(() => rm(root, { recursive: true, force: true }))

  const lead = async (name: string): Promise<Omit<Leading, 'name'>> => {
    const heard = new Heard()
    const replayed = new Replayed()
    const real = { directory: data, disk: realDisk, clock: realClock, random: realRandom, log: silent }
    const opened: { journal?: Journal } = {}
    const leadership: Leadership = await claim({
      ...real,
      node: name,
      address: '',
      force: true,
      pollMs: 10,
      leaseMs: LEASE_MS,
      onLost: (error) => opened.journal?.lose(error),
      signal: new AbortController().signal,
      onWaiting: () => undefined,
    })
    const settings = {
      segmentBytes: 1024 * 1024,
      bytesMax: 2 ** 40,
      reserveBytes: 0,
      cacheBytes: 1024 * 1024,
      lazyMs: 20,
      lazyBytes: 65_536,
      spareSegments: 0,
    }
    const journal = await openFileJournal({ ...real, leadership, settings, visitor: replayed, listener: heard })
    opened.journal = journal
    return { leadership, journal, heard, replayed }
  }

  const until = async (condition: () => boolean): Promise<void> => {
    while (!condition()) await new Promise<void>((resolve) => realClock.after(5, resolve))
  }

  it.each(['removed', 'renamed'])('a leader whose directory is %s leads no longer than until its next heartbeat', async (how) => {
    const { journal, heard, leadership } = await lead('a')
    await commit(journal, 'one')
    if (how === 'removed') await rm(data, { recursive: true })
    else await rename(data, `${data}-away`)
    const goneMs = realClock.monoMs()
    // Its descriptors go on working: without the claim being looked for this would go on for ever.
    while (heard.losses.length === 0) {
      put(journal, 'into files that nobody will read')
      await journal.drained().catch(() => undefined)
      await new Promise<void>((resolve) => realClock.after(2, resolve))
    }
    expect(realClock.monoMs() - goneMs).toBeLessThan(LEASE_MS)
    expect(leadership.look()).toBe(false)
    await journal.close()
    await leadership.release()
  })

  it('a follower whose directory is renamed away and back has everything again', async () => {
    const { journal, leadership } = await lead('a')
    const begun: Replayed[] = []
    const follower = followFileJournal({
      directory: data,
      disk: realDisk,
      clock: realClock,
      pollMs: 5,
      log: silent,
      begin: () => {
        begun.push(new Replayed())
        return begun[begun.length - 1]
      },
    })
    for (const text of ['one', 'two', 'three']) await commit(journal, text)
    await until(() => follower.status.batch >= journal.committed - 1)
    await journal.close()
    await leadership.release()
    await rename(data, `${data}-away`)
    await until(() => follower.status.state === 'warming')
    await rename(`${data}-away`, data)
    await until(() => follower.status.state === 'warm')
    expect(begun).toHaveLength(2)
    const from = await follower.stop()
    expect(from?.batch).toBeGreaterThanOrEqual(3)
    expect(begun[1].texts.slice(0, 2)).toEqual(['one', 'two'])
  })
})
