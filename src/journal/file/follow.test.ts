// A follower against a live writer, race by race (rule 17). What chance finds is in `follow.random.test.ts`.
import { describe, expect, it } from 'vitest'
import { DIRECTORY, type Following, type Leading, Stage, settle } from '../../../test/simulation/stage.ts'
import { UnknownFact } from '../facts.ts'
import { Replayed, put } from '../journal.contract.ts'
import type { Journal, Visitor } from '../journal.ts'
import { replayCut, writeSnapshot } from '../replay.ts'

const commit = async (journal: Journal, ...texts: string[]): Promise<void> => {
  for (const text of texts) {
    put(journal, text)
    await journal.drained()
  }
}

const LARGE = 250_000
const large = (name: string): string => `${name};`.padEnd(LARGE, '.')
const names = (replayed: Replayed): string[] => replayed.texts.map((text) => text.split(';')[0])

/** Lets the follower poll some times. */
const poll = async (stage: Stage, times = 3): Promise<void> => {
  for (let i = 0; i < times; i++) {
    await settle(30)
    stage.clock.advance(10)
  }
  await settle(30)
}

/** The header is decided by the batch behind it, and so on: what the last commit decides is everything before it. */
const followed = async (stage: Stage, following: Following): Promise<string[]> => {
  await poll(stage)
  return names(following.told)
}

const places = (replayed: Replayed): unknown[] => replayed.facts.map(({ segment, offset }) => ({ segment, offset }))

/** Whoever followed takes over, and has exactly what a cold replay of the same journal is told, places included. */
const expectEqualTakeover = async (stage: Stage, following: Following): Promise<Leading> => {
  const from = await following.follower.stop()
  const leadership = await stage.claim('warm', true)
  const warm = await stage.open('warm', leadership, {}, from === undefined ? {} : { replayed: following.told, from })
  const told = { texts: [...warm.replayed.texts], places: places(warm.replayed) }
  // Decides nothing, but keeps the header from being the last batch, which a cold reader would be told of by its own.
  await commit(warm.journal, 'after')
  const cold = new Replayed()
  await replayCut(stage.as('cold'), warm.journal.cut(), cold)
  expect(warm.replayed.snapshotText).toBe(cold.snapshotText)
  expect([...told.texts, 'after']).toEqual(cold.texts)
  expect(told.places).toEqual(places(cold).slice(0, -1))
  return warm
}

describe('a follower', () => {
  it('of an empty directory is warm and has nothing', async () => {
    const stage = await Stage.make()
    const { follower, told } = stage.follow('s')
    await poll(stage)
    expect(follower.status).toMatchObject({ state: 'warm', batch: 0, behindMs: 0 })
    expect(await follower.stop()).toBeUndefined()
    expect(told.batches).toEqual([])
  })

  it('tells a batch when the next is there, and not before', async () => {
    const stage = await Stage.make()
    const following = stage.follow('s')
    const { journal } = await stage.lead('a')
    expect(await followed(stage, following)).toEqual([])
    await commit(journal, 'one')
    expect(await followed(stage, following)).toEqual([])
    await commit(journal, 'two')
    expect(await followed(stage, following)).toEqual(['one'])
    await commit(journal, 'three', 'four')
    expect(await followed(stage, following)).toEqual(['one', 'two', 'three'])
    expect(following.follower.status).toMatchObject({ state: 'warm', batch: journal.committed - 1, epoch: 1, behindMs: 0 })
    expect(following.begun).toHaveLength(1)
  })

  it('tells a batch when the heartbeat of its epoch names it', async () => {
    const stage = await Stage.make()
    const following = stage.follow('s')
    const { journal } = await stage.lead('a')
    await commit(journal, 'one', 'two')
    await stage.heartbeat('a', 1, journal.committed - 1)
    expect(await followed(stage, following)).toEqual(['one'])
    await stage.heartbeat('a', 2, journal.committed)
    expect(await followed(stage, following)).toEqual(['one'])
    await stage.heartbeat('a', 1, journal.committed)
    expect(await followed(stage, following)).toEqual(['one', 'two'])
    await commit(journal, 'three', 'four')
    expect(await followed(stage, following)).toEqual(['one', 'two', 'three'])
  })

  it('reads a heartbeat only while something is undecided and nothing new came', async () => {
    const stage = await Stage.make()
    const { follower } = stage.follow('s')
    const { journal } = await stage.lead('a')
    await commit(journal, 'one')
    await stage.heartbeat('a', 1, journal.committed)
    await poll(stage)
    stage.trace.length = 0
    await poll(stage, 10)
    expect(stage.trace.filter((line) => line.includes('heartbeat'))).toEqual([])
    expect(follower.status.batch).toBe(journal.committed)
  })

  it('that starts late has everything that is decided', async () => {
    const stage = await Stage.make()
    const { journal } = await stage.lead('a')
    for (let i = 0; i < 14; i++) await commit(journal, large(`${i}`))
    const following = stage.follow('s')
    await poll(stage, 6)
    expect(names(following.told)).toEqual(Array.from({ length: 13 }, (_, i) => `${i}`))
    expect(following.follower.status).toMatchObject({ state: 'warm', behindMs: 0 })
  })

  it('goes on through the segments of an epoch', async () => {
    const stage = await Stage.make()
    const following = stage.follow('s')
    const { journal } = await stage.lead('a')
    for (let i = 0; i < 14; i++) {
      await commit(journal, large(`${i}`))
      expect(await followed(stage, following)).toEqual(Array.from({ length: i }, (_, n) => `${n}`))
    }
    expect(journal.segments.length).toBeGreaterThan(3)
    expect(following.begun).toHaveLength(1)
    await expectEqualTakeover(stage, following)
  })

  it('begins with the newest snapshot, also of an epoch that goes on', async () => {
    const stage = await Stage.make()
    const { journal } = await stage.lead('a')
    for (let i = 0; i < 12; i++) await commit(journal, large(`${i}`))
    await writeSnapshot(stage.as('a'), journal.cut(), [Buffer.from('0 to 11')])
    journal.snapshotTaken(journal.committed)
    journal.free(journal.segments.filter((one) => one.sealed && one.lastBatch <= journal.committed).map((one) => one.segment))
    await settle()
    const following = stage.follow('s')
    await commit(journal, 'twelve', 'thirteen')
    expect(await followed(stage, following)).toEqual(['twelve'])
    expect(following.told.snapshotText).toBe('0 to 11')
  })

  it('is told of the leader’s last batch by the next epoch’s header, once that is decided', async () => {
    const stage = await Stage.make()
    const following = stage.follow('s')
    const a = await stage.lead('a')
    await commit(a.journal, 'one', 'two')
    expect(await followed(stage, following)).toEqual(['one'])
    stage.killAndLose('a')
    const b = await stage.lead('b')
    expect(await followed(stage, following)).toEqual(['one'])
    await commit(b.journal, 'three')
    expect(await followed(stage, following)).toEqual(['one', 'two'])
    await commit(b.journal, 'four')
    expect(await followed(stage, following)).toEqual(['one', 'two', 'three'])
    expect(following.begun).toHaveLength(1)
    await expectEqualTakeover(stage, following)
  })

  it('is told of it by the header once the heartbeat names the header', async () => {
    const stage = await Stage.make()
    const following = stage.follow('s')
    const a = await stage.lead('a')
    await commit(a.journal, 'one', 'two')
    await poll(stage)
    stage.killAndLose('a')
    const b = await stage.lead('b')
    await stage.heartbeat('b', 2, b.journal.committed)
    expect(await followed(stage, following)).toEqual(['one', 'two'])
    expect(following.follower.status).toMatchObject({ epoch: 2, batch: b.journal.committed })
    await expectEqualTakeover(stage, following)
  })

  it('forgets a pending batch that vanished and that the seal left out', async () => {
    const stage = await Stage.make()
    const following = stage.follow('s')
    const a = await stage.lead('a')
    await commit(a.journal, 'one', 'two')
    const unsynced = stage.hold('a', 'sync', 'segments')
    put(a.journal, 'never committed')
    a.journal.urge()
    await unsynced.reached
    expect(await followed(stage, following)).toEqual(['one', 'two'])
    stage.killAndLose('a')
    const b = await stage.lead('b')
    await commit(b.journal, 'three', 'four')
    expect(await followed(stage, following)).toEqual(['one', 'two', 'three'])
    expect(following.begun).toHaveLength(1)
    await expectEqualTakeover(stage, following)
  })

  it('waits at a torn batch, and is told of it when it is whole', async () => {
    const stage = await Stage.make()
    const following = stage.follow('s')
    const { journal } = await stage.lead('a')
    await commit(journal, 'one', 'two')
    const half = stage.hold('a', 'write', 'segments', 1)
    put(journal, 'torn'.padEnd(5_000, '.'))
    journal.urge()
    await half.reached
    expect(await followed(stage, following)).toEqual(['one'])
    half.release()
    await journal.drained()
    await commit(journal, 'next')
    expect((await followed(stage, following)).map((text) => text.slice(0, 4))).toEqual(['one', 'two', 'torn'])
  })

  it('passes over a void epoch', async () => {
    const stage = await Stage.make()
    const following = stage.follow('s')
    const a = await stage.lead('a')
    await commit(a.journal, 'one', 'two')
    await poll(stage)
    const half = stage.hold('b', 'sync', 'segments')
    void stage.lead('b').catch(() => undefined)
    await half.reached
    stage.disk.bytes(`${DIRECTORY}/segments/seg-0000000002-0000000002`).fill(0, 600)
    await poll(stage)
    const c = await stage.lead('c')
    await commit(c.journal, 'three', 'four')
    expect(await followed(stage, following)).toEqual(['one', 'two', 'three'])
    await expectEqualTakeover(stage, following)
  })

  it('does not take a later epoch’s snapshot for the decision of a void epoch that became whole late', async () => {
    const stage = await Stage.make()
    const a = await stage.lead('a')
    await commit(a.journal, 'one', 'two')
    const half = stage.hold('b', 'sync', 'segments')
    void stage.lead('b').catch(() => undefined)
    await half.reached
    const file = stage.disk.bytes(`${DIRECTORY}/segments/seg-0000000002-0000000002`)
    const whole = Buffer.from(file)
    file.fill(0, 512)
    // The follower has listed the directory when the third epoch begins, and sleeps until it has stored a snapshot.
    const listed = stage.hold('s', 'list', 'snapshots')
    const following = stage.follow('s')
    await listed.reached
    const kept = stage.hold('c', 'unlink', 'seg-0000000002')
    const c = await stage.lead('c')
    await commit(c.journal, 'three')
    await kept.reached
    await writeSnapshot(stage.as('c'), c.journal.cut(), [Buffer.from('s')])
    whole.copy(file)
    listed.release()
    await settle(300)
    expect(following.follower.status.epoch).toBe(1)
    await commit(c.journal, 'four')
    await poll(stage, 6)
    expect(following.follower.status.epoch).toBe(3)
    expect(names(following.told)).toEqual(['one', 'two', 'three'])
  })

  it('is told nothing by a header that is not decided and then vanishes', async () => {
    const stage = await Stage.make()
    const following = stage.follow('s')
    const a = await stage.lead('a')
    await commit(a.journal, 'one', 'two')
    const unsynced = stage.hold('b', 'sync', 'segments')
    void stage.lead('b').catch(() => undefined)
    await unsynced.reached
    expect(await followed(stage, following)).toEqual(['one'])
    stage.killAndLose('b')
    expect(await followed(stage, following)).toEqual(['one'])
    const c = await stage.lead('c')
    await commit(c.journal, 'three', 'four')
    expect(await followed(stage, following)).toEqual(['one', 'two', 'three'])
    expect(following.begun).toHaveLength(1)
    await expectEqualTakeover(stage, following)
  })

  it('passes two takeovers between two polls', async () => {
    const stage = await Stage.make()
    const following = stage.follow('s')
    const a = await stage.lead('a')
    await commit(a.journal, 'one', 'two')
    await poll(stage)
    const b = await stage.lead('b')
    await commit(b.journal, 'three')
    const c = await stage.lead('c')
    await commit(c.journal, 'four', 'five')
    expect(await followed(stage, following)).toEqual(['one', 'two', 'three', 'four'])
    expect(following.begun).toHaveLength(1)
    await expectEqualTakeover(stage, following)
  })

  it('begins anew when the leader freed what it had not read', async () => {
    const stage = await Stage.make()
    const following = stage.follow('s')
    const { journal } = await stage.lead('a')
    await commit(journal, 'one', 'two')
    await poll(stage)
    for (let i = 0; i < 14; i++) await commit(journal, large(`${i}`))
    await writeSnapshot(stage.as('a'), journal.cut(), [Buffer.from('all before')])
    journal.snapshotTaken(journal.committed)
    journal.free(journal.segments.filter((one) => one.sealed && one.lastBatch <= journal.committed).map((one) => one.segment))
    await settle()
    await commit(journal, 'next', 'last')
    await poll(stage, 6)
    expect(following.begun).toHaveLength(2)
    expect(following.told.snapshotText).toBe('all before')
    expect(names(following.told)).toEqual(['next'])
    // It is everyday: nothing is said.
    expect(following.logged).toEqual([])
    await expectEqualTakeover(stage, following)
  })

  it('begins anew when the header where it was told of the last batch is gone', async () => {
    const stage = await Stage.make()
    const following = stage.follow('s')
    await commit((await stage.lead('a')).journal, 'one', 'two')
    await poll(stage)
    stage.killAndLose('a')
    const b = await stage.lead('b')
    await stage.heartbeat('b', 2, b.journal.committed)
    expect(await followed(stage, following)).toEqual(['one', 'two'])
    const c = await stage.lead('c')
    await settle()
    await writeSnapshot(stage.as('c'), c.journal.cut(), [Buffer.from('one and two')])
    c.journal.snapshotTaken(c.journal.committed)
    c.journal.free([1, 2])
    await settle()
    await commit(c.journal, 'three', 'four')
    expect(await followed(stage, following)).toEqual(['three'])
    expect(following.told.snapshotText).toBe('one and two')
    expect(following.begun).toHaveLength(2)
    await expectEqualTakeover(stage, following)
  })

  it('is not told of what a deposed leader writes late', async () => {
    const stage = await Stage.make()
    const following = stage.follow('s')
    const a = await stage.lead('a')
    await commit(a.journal, 'one', 'two')
    await poll(stage)
    const paused = stage.hold('a', 'write', 'segments')
    put(a.journal, 'late')
    a.journal.urge()
    await paused.reached
    const b = await stage.lead('b')
    paused.release()
    await poll(stage)
    expect(a.heard.losses).toHaveLength(1)
    expect(names(following.told)).toEqual(['one', 'two'])
    await commit(b.journal, 'three', 'four')
    expect(await followed(stage, following)).toEqual(['one', 'two', 'three'])
    await expectEqualTakeover(stage, following)
  })

  it('that is stopped in the middle of a reading says how far it came', async () => {
    const came = new Set<number>()
    for (let skip = 0; skip < 24; skip++) {
      const stage = await Stage.make()
      const { journal } = await stage.lead('a')
      for (let i = 0; i < 7; i++) await commit(journal, large(`${i}`))
      const b = await stage.lead('b')
      await commit(b.journal, 'b')
      const held = stage.hold('s', 'read', 'segments', skip)
      const following = stage.follow('s')
      await settle()
      const stopped = following.follower.stop()
      held.release()
      await stopped
      came.add(names(following.told).length)
      await expectEqualTakeover(stage, following)
    }
    expect([...came].toSorted((x, y) => x - y)[0]).toBe(0)
    expect(came.size).toBeGreaterThan(2)
  })

  it('that is stopped before it was told anything says so', async () => {
    const stage = await Stage.make()
    const { journal } = await stage.lead('a')
    await commit(journal, 'one', 'two')
    const held = stage.hold('s', 'list', 'segments')
    const following = stage.follow('s')
    await held.reached
    const stopped = following.follower.stop()
    held.release()
    expect(await stopped).toBeUndefined()
    expect(following.told.batches).toEqual([])
  })

  it('that meets a fact it does not know is cold for good', async () => {
    const stage = await Stage.make()
    const following = stage.follow('s', {
      begin: (): Visitor => ({
        snapshot: () => undefined,
        batch: () => undefined,
        fact: (type) => {
          if (type === 99) throw new UnknownFact(type)
        },
      }),
    })
    const { journal } = await stage.lead('a')
    await commit(journal, 'one', 'two')
    await poll(stage)
    expect(following.follower.status.state).toBe('warm')
    put(journal, 'from the future', 99)
    await journal.drained()
    await commit(journal, 'three')
    await poll(stage)
    expect(following.follower.status).toMatchObject({
      state: 'cold',
      reason: 'the journal has a fact of number 99, which this version does not know',
    })
    stage.trace.length = 0
    await poll(stage, 10)
    expect(stage.trace.filter((line) => line.startsWith('s '))).toEqual([])
    expect(following.logged).toHaveLength(1)
    expect(await following.follower.stop()).toBeUndefined()
  })

  it('of a newer format is cold for good', async () => {
    const stage = await Stage.make()
    const { journal } = await stage.lead('a')
    await commit(journal, 'one')
    stage.disk.bytes(`${DIRECTORY}/segments/seg-0000000001-0000000001`)[512 + 7] = 2
    const following = stage.follow('s')
    await poll(stage)
    expect(following.follower.status.state).toBe('cold')
    expect(following.follower.status.reason).toContain('newer version')
  })
})
