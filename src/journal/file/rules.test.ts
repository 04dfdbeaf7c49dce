// One story for each rule of the failover protocol (1 to 16, 18), told on a simulated disk. What chance finds is in test/simulation.
import { describe, expect, it } from 'vitest'
import { DIRECTORY, Stage, settle } from '../../../test/simulation/stage.ts'
import { claimPath } from '../../failover/claim-file.ts'
import { put } from '../journal.contract.ts'
import type { Journal, Range } from '../journal.ts'
import { readEpochHeader } from './recover.ts'
import { replayCut, writeSnapshot } from '../replay.ts'
import { Replayed } from '../journal.contract.ts'

const commit = async (journal: Journal, text: string): Promise<Range> => {
  const at = put(journal, text)
  if (at === undefined) throw new Error('refused')
  await journal.drained()
  return at
}

const fetched = (journal: Journal, at: Range): Promise<string | undefined> =>
  new Promise((resolve) => {
    journal.fetch(at.segment, at.offset, at.length, (bytes) => resolve(bytes === undefined ? undefined : Buffer.from(bytes).toString()))
  })

const segment = (epoch: number, number: number): string =>
  `${DIRECTORY}/segments/seg-${String(epoch).padStart(10, '0')}-${String(number).padStart(10, '0')}`

describe('claim', () => {
  it('rule 1: makes the claim it builds on durable first, so that no gap opens below it', async () => {
    const stage = await Stage.make()
    const held = stage.hold('a', 'sync-directory', 'epochs', 2)
    void stage.claim('a')
    await held.reached
    stage.disk.kill('a')
    const b = await stage.claim('b')
    stage.disk.loseUnsynced()
    expect(b.epoch).toBe(2)
    expect(await stage.names('epochs')).toContain('0000000001')
  })

  it('rule 2: of two who are about to claim one number, one has it', async () => {
    const stage = await Stage.make()
    const [first, second] = [stage.hold('a', 'link', 'epochs'), stage.hold('b', 'link', 'epochs')]
    const waiting: number[] = []
    const a = stage.claim('a')
    const b = stage.claim('b', false, (holder) => waiting.push(holder.epoch))
    await first.reached
    await second.reached
    first.release()
    expect((await a).epoch).toBe(1)
    second.release()
    await settle()
    expect(waiting).toEqual([1])
    await (await a).release()
    stage.clock.advance(10)
    expect((await b).epoch).toBe(2)
  })

  it('rule 2: is locked from the moment it can be seen', async () => {
    const stage = await Stage.make()
    const held = stage.hold('a', 'sync-directory', 'epochs', 2)
    const a = stage.claim('a')
    await held.reached
    const waiting: number[] = []
    void stage.claim('b', false, (holder) => waiting.push(holder.epoch))
    await settle()
    expect(waiting).toEqual([1])
    held.release()
    expect((await a).epoch).toBe(1)
  })

  it('rule 2: is ours after an unclear error if the file is ours', async () => {
    const stage = await Stage.make()
    stage.disk.fail = (name, operation) => (name === 'a' && operation === 'link' ? { code: 'EIO', after: true } : undefined)
    expect((await stage.claim('a')).epoch).toBe(1)
    stage.disk.fail = (_name, operation) => (operation === 'link' ? { code: 'EIO', after: false } : undefined)
    await expect(stage.claim('b', true)).rejects.toThrow('EIO')
  })

  it('rule 2: is durable before anything is read', async () => {
    const stage = await Stage.make()
    await stage.claim('a')
    stage.killAndLose('a')
    expect(await stage.names('epochs')).toContain('0000000001')
  })

  it('rule 3: is never deleted or renamed, through takeovers, snapshots and a clean end', async () => {
    const stage = await Stage.make()
    for (let epoch = 1; epoch <= 4; epoch++) {
      const { journal, leadership } = await stage.lead(`n${epoch}`)
      await commit(journal, `fact ${epoch}`)
      await writeSnapshot(stage.as(`n${epoch}`), journal.cut(), [Buffer.from('s')])
      journal.snapshotTaken(journal.committed)
      await settle()
      if (epoch % 2 === 0) await journal.close()
      await leadership.release()
    }
    expect((await stage.names('epochs')).toSorted()).toEqual(['0000000001', '0000000002', '0000000003', '0000000004'])
    expect(stage.trace.filter((line) => /(unlink|rename) \/data\/epochs\/0/.test(line))).toEqual([])
  })

  it('rule 4: the fall of a deposed leader’s lock is not taken for the death of the one that leads', async () => {
    const stage = await Stage.make()
    const a = await stage.claim('a')
    await stage.claim('b', true)
    await a.release()
    const waiting: number[] = []
    const c = stage.claim('c', false, (holder) => waiting.push(holder.epoch))
    await settle()
    expect(waiting).toEqual([2])
    stage.disk.kill('b')
    stage.clock.advance(10)
    expect((await c).epoch).toBe(3)
  })
})

describe('read', () => {
  it('rule 5: an epoch whose header is half is void, and stays void though it be completed later', async () => {
    const stage = await Stage.make()
    await commit((await stage.lead('a')).journal, 'one')
    const half = stage.hold('b', 'sync', 'segments')
    const b = stage.lead('b').catch((error: unknown) => String(error))
    await half.reached
    // The head is there, the batch behind it not yet.
    const whole = Buffer.from(stage.disk.bytes(segment(2, 2)))
    stage.disk.bytes(segment(2, 2)).fill(0, 512)
    const c = await stage.lead('c')
    expect(c.replayed.texts).toEqual(['one'])
    half.release()
    expect(await b).toContain('higher epoch')
    await settle()
    await (await stage.as('late').open(segment(2, 2), 'create')).write([whole], 0)
    const seal = await readEpochHeader(
      stage.as('reader'),
      DIRECTORY,
      3,
      c.journal.segments.filter((one) => one.segment > 1).map((one) => one.segment),
    )
    expect(seal?.content.chain.map((one) => [one.epoch, one.segment])).toEqual([
      [1, 1],
      [2, 0],
    ])
    await commit(c.journal, 'three')
    const d = await stage.lead('d')
    expect(d.replayed.texts).toEqual(['one', 'three'])
    // The leader of 3 listed it as void; nothing of epoch 2 is in the chain.
    expect(d.journal.cut().chain.map((one) => one.epoch)).toEqual([1, 3, 4])
  })

  it('rule 5: what a deposed leader writes after the seal does not exist', async () => {
    const stage = await Stage.make()
    const a = await stage.lead('a')
    await commit(a.journal, 'one')
    const paused = stage.hold('a', 'write', 'segments')
    put(a.journal, 'late')
    a.journal.urge()
    await paused.reached
    const b = await stage.lead('b')
    paused.release()
    await settle()
    expect(a.heard.losses).toHaveLength(1)
    expect(b.replayed.texts).toEqual(['one'])
    await commit(b.journal, 'two')
    const c = await stage.lead('c')
    expect(c.replayed.texts).toEqual(['one', 'two'])
  })

  it('rules 6 and 10: nothing is told before the header is committed', async () => {
    const stage = await Stage.make()
    await commit((await stage.lead('a')).journal, 'one')
    const held = stage.hold('b', 'sync', 'segments')
    let opened = false
    const b = stage.lead('b').then((leading) => {
      opened = true
      return leading
    })
    await held.reached
    await settle()
    expect(opened).toBe(false)
    held.release()
    const { journal, heard } = await b
    expect(heard.committedBatches).toEqual([])
    expect(journal.gathering).toBe(journal.committed + 1)
  })
})

describe('seal', () => {
  it('rule 7: the last batch is read from its copy when the original vanishes', async () => {
    const stage = await Stage.make()
    const a = await stage.lead('a')
    await commit(a.journal, 'one')
    const unsynced = stage.hold('a', 'sync', 'segments')
    put(a.journal, 'written, not synced')
    a.journal.urge()
    await unsynced.reached
    const b = await stage.lead('b')
    expect(b.replayed.texts).toEqual(['one', 'written, not synced'])
    stage.killAndLose('a')
    expect(stage.disk.bytes(segment(1, 1)).includes('written, not synced')).toBe(false)
    const [, place] = b.replayed.facts
    expect(await fetched(b.journal, place)).toBe('written, not synced')
    const c = await stage.lead('c')
    expect(c.replayed.texts).toEqual(['one', 'written, not synced'])
    expect(await fetched(c.journal, c.replayed.facts[1])).toBe('written, not synced')
    // And the leader that did not hear of its commit was never told of it.
    expect(a.heard.committedBatches).toHaveLength(1)
  })

  it('rule 7: a header that copies a header carries its copied batch on', async () => {
    const stage = await Stage.make()
    const a = await stage.lead('a')
    const unsynced = stage.hold('a', 'sync', 'segments')
    put(a.journal, 'carried')
    a.journal.urge()
    await unsynced.reached
    const header = stage.hold('b', 'sync', 'segments')
    void stage.lead('b').catch(() => undefined)
    await header.reached
    const c = await stage.lead('c')
    expect(c.replayed.texts).toEqual(['carried'])
    stage.killAndLose('a')
    stage.killAndLose('b')
    const d = await stage.lead('d')
    expect(d.replayed.texts).toEqual(['carried'])
    expect(await fetched(d.journal, d.replayed.facts[0])).toBe('carried')
  })

  it('rule 7: the segment is made exclusively', async () => {
    const stage = await Stage.make()
    const leadership = await stage.claim('a')
    await stage.as('stranger').open(segment(1, 1), 'create')
    await expect(stage.open('a', leadership)).rejects.toThrow('EEXIST')
  })

  it('rule 8: the names of its segments are durable before anything in them is acknowledged', async () => {
    const stage = await Stage.make()
    const a = await stage.lead('a')
    for (let i = 0; i < 4; i++) put(a.journal, `${i}`.padEnd(250_000, '.'))
    const held = stage.hold('a', 'sync-directory', 'segments')
    for (let i = 4; i < 7; i++) put(a.journal, `${i}`.padEnd(250_000, '.'))
    const done = a.journal.drained()
    await held.reached
    await settle()
    const before = a.heard.committedBatches.length
    expect(before).toBeLessThan(a.journal.gathering - 2)
    held.release()
    await done
    stage.killAndLose('a')
    expect((await stage.lead('b')).replayed.facts).toHaveLength(7)
  })

  it('rule 9: a higher epoch that came while it sealed ends it', async () => {
    const stage = await Stage.make()
    const held = stage.hold('a', 'sync', 'segments')
    const a = stage.lead('a')
    await held.reached
    await stage.claim('b', true)
    held.release()
    await expect(a).rejects.toThrow('higher epoch')
  })
})

describe('commit', () => {
  it('rule 11: one batch is in flight; what comes meanwhile waits', async () => {
    const stage = await Stage.make()
    const { journal, heard } = await stage.lead('a')
    stage.trace.length = 0
    const held = stage.hold('a', 'sync', 'segments')
    put(journal, 'first')
    journal.urge()
    await held.reached
    put(journal, 'second')
    journal.urge()
    await settle()
    expect(stage.trace.filter((line) => line.includes('a write'))).toHaveLength(2)
    expect(heard.committedBatches).toEqual([])
    held.release()
    await journal.drained()
    expect(heard.committedBatches).toHaveLength(2)
  })

  it('rules 12 to 14: write, sync, look, tell, and only then the next write', async () => {
    const stage = await Stage.make()
    const { journal, heard, leadership } = await stage.lead('a')
    stage.trace.length = 0
    const order: string[] = []
    const look = leadership.look.bind(leadership)
    leadership.look = () => {
      order.push(`look after ${stage.trace.at(-1)?.split(' ')[1]}`)
      return look()
    }
    heard.onCommitted = (batch) => {
      order.push(`told ${batch - journal.gathering}, writes ${stage.trace.filter((line) => line.includes('a write')).length / 2}`)
    }
    put(journal, 'first')
    journal.urge()
    await settle(2)
    put(journal, 'second')
    await journal.drained()
    expect(order).toEqual(['look after sync', 'told -1, writes 1', 'look after sync', 'told -1, writes 2'])
  })

  it('rule 14: the claim hears of each commit, the header’s too, after the look and before anybody else', async () => {
    const stage = await Stage.make()
    const leadership = await stage.claim('a')
    const order: string[] = []
    const look = leadership.look.bind(leadership)
    leadership.look = () => {
      order.push('look')
      return look()
    }
    leadership.committed = (batch) => void order.push(`claim ${batch}`)
    const { journal, heard } = await stage.open('a', leadership)
    await settle()
    expect(order.slice(0, 2)).toEqual(['look', 'claim 1'])
    order.length = 0
    heard.onCommitted = (batch) => void order.push(`told ${batch}`)
    await commit(journal, 'one')
    expect(order).toEqual(['look', 'claim 2', 'told 2'])
  })

  it('rule 13: a leader that was paused in its sync acknowledges nothing after a claim', async () => {
    const stage = await Stage.make()
    const { journal, heard } = await stage.lead('a')
    const held = stage.hold('a', 'sync', 'segments', 1)
    put(journal, 'one')
    journal.urge()
    await held.reached
    await stage.claim('b', true)
    held.release()
    await settle()
    expect(heard.committedBatches).toEqual([])
    expect(heard.losses).toHaveLength(1)
    expect(put(journal, 'more')).toBeUndefined()
    await expect(journal.drained()).rejects.toThrow('stopped')
  })

  it('rule 13: a look that fails counts as yes', async () => {
    const stage = await Stage.make()
    const { journal, heard } = await stage.lead('a')
    stage.disk.fail = (_name, operation, path) => (operation === 'exists' && path.includes('epochs') ? { code: 'EIO', after: false } : undefined)
    put(journal, 'one')
    await expect(journal.drained()).rejects.toThrow('higher epoch')
    expect(heard.committedBatches).toEqual([])
    expect(heard.losses).toHaveLength(1)
  })

  it.each(['write', 'sync'] as const)('rule 15: a failed %s ends leadership, and nothing is tried again', async (operation) => {
    const stage = await Stage.make()
    const { journal, heard } = await stage.lead('a')
    stage.disk.fail = (_name, failing, path) => (failing === operation && path.includes('seg-') ? { code: 'EIO', after: false } : undefined)
    put(journal, 'one')
    await expect(journal.drained()).rejects.toThrow('EIO')
    expect(heard.losses).toHaveLength(1)
    stage.disk.fail = () => undefined
    stage.trace.length = 0
    put(journal, 'two')
    journal.urge()
    await settle()
    stage.clock.advance(100)
    await settle()
    expect(stage.trace).toEqual([])
    expect(heard.committedBatches).toEqual([])
  })
})

describe('step down', () => {
  it('rule 16: after a look that says yes nothing is written, deleted or renamed, not even at a clean end', async () => {
    const stage = await Stage.make()
    const { journal, heard } = await stage.lead('a')
    const places: Range[] = []
    for (let i = 0; i < 12; i++) places.push(await commit(journal, `${i}`.padEnd(250_000, '.')))
    await writeSnapshot(stage.as('a'), journal.cut(), [Buffer.from('s')])
    await stage.claim('b', true)
    stage.trace.length = 0
    journal.snapshotTaken(journal.committed)
    journal.free(journal.segments.filter((one) => one.sealed).map((one) => one.segment))
    journal.preserve(places.slice(0, 2), () => undefined)
    await settle()
    expect(heard.losses).toHaveLength(1)
    put(journal, 'more')
    journal.urge()
    await journal.close()
    await settle()
    expect(stage.trace.filter((line) => /^a (write|unlink|rename|truncate|link|open)/.test(line))).toEqual([])
  })

  it('rule 16: at a clean end too', async () => {
    const stage = await Stage.make()
    const { journal } = await stage.lead('a')
    await commit(journal, 'one')
    await stage.claim('b', true)
    stage.trace.length = 0
    await journal.close()
    expect(stage.trace.filter((line) => /^a (write|unlink|rename|truncate|link)/.test(line))).toEqual([])
  })
})

describe('space', () => {
  const fill = async (journal: Journal, from: number, to: number): Promise<void> => {
    for (let i = from; i < to; i++) await commit(journal, `${i};`.padEnd(250_000, '.'))
  }
  const ids = (replayed: Replayed): string[] => replayed.texts.map((text) => text.split(';')[0])
  const freeSealed = (journal: Journal): void =>
    journal.free(journal.segments.filter((one) => one.sealed && one.lastBatch <= journal.committed).map((one) => one.segment))

  it('rule 18: a snapshot is written under another name, synced, renamed, and its name synced', async () => {
    const stage = await Stage.make()
    const { journal } = await stage.lead('a')
    await commit(journal, 'one')
    stage.trace.length = 0
    await writeSnapshot(stage.as('a'), journal.cut(), [Buffer.from('s')])
    const order = stage.trace.map((line) => line.split(' ')[1]).filter((operation, i, all) => operation !== all[i - 1])
    expect(order).toEqual(['unlink', 'open', 'write', 'sync', 'rename', 'sync-directory'])
    stage.killAndLose('a')
    expect((await stage.lead('b')).replayed.snapshotText).toBe('s')
  })

  it('rule 18: a snapshot beyond the chain is not used, and says that the log has lost what was committed', async () => {
    const stage = await Stage.make()
    const { journal } = await stage.lead('a')
    await commit(journal, 'one')
    const cut = journal.cut()
    const chain = [{ epoch: 1, segment: 1, end: cut.chain[0].end + 512 }]
    await writeSnapshot(stage.as('a'), { ...cut, chain }, [Buffer.from('from nowhere')])
    await expect(stage.lead('b')).rejects.toThrow('the log that this snapshot of batch 2 belongs to is not there')
  })

  it('rule 18: the segment of the last committed batch stays while nothing behind it is committed', async () => {
    const stage = await Stage.make()
    const { journal } = await stage.lead('a')
    const held = stage.hold('a', 'sync-directory', 'segments')
    for (let i = 0; i < 16; i++) put(journal, `${i};`.padEnd(250_000, '.'))
    await held.reached
    held.release()
    const next = stage.hold('a', 'write', 'segments')
    await next.reached
    // Somewhere behind a roll: the newest segment is begun in memory only.
    await writeSnapshot(stage.as('a'), journal.cut(), [Buffer.from('s')])
    journal.snapshotTaken(journal.committed)
    const { segment: last } = journal.cut().chain[0]
    journal.free(journal.segments.map((one) => one.segment))
    await settle()
    expect(journal.segments.find((one) => one.segment === last)?.sealed).toBe(false)
    const { replayed } = await stage.lead('b')
    expect(replayed.snapshotText).toBe('s')
    expect(replayed.texts.length).toBeLessThan(5)
  })

  it('rule 18: a half snapshot is passed over while the log is there', async () => {
    const stage = await Stage.make()
    const { journal } = await stage.lead('a')
    await commit(journal, 'one')
    await writeSnapshot(stage.as('a'), journal.cut(), [Buffer.from('whole')])
    const [name] = await stage.names('snapshots')
    stage.disk.bytes(`${DIRECTORY}/snapshots/${name}`).fill(0, 20)
    stage.disk.settle()
    const { replayed } = await stage.lead('b')
    expect(replayed.snapshotText).toBeUndefined()
    expect(replayed.texts).toEqual(['one'])
  })

  it('rule 18: where the snapshot cannot be used nothing is deleted, and another is due', async () => {
    const stage = await Stage.make()
    const first = await stage.lead('a')
    await fill(first.journal, 0, 3)
    await first.leadership.release()
    const second = await stage.lead('b')
    await fill(second.journal, 3, 6)
    await writeSnapshot(stage.as('b'), second.journal.cut(), [Buffer.from('s')])
    second.journal.snapshotTaken(second.journal.committed)
    const freed = Buffer.from(stage.disk.bytes(segment(1, 1)))
    second.journal.free([1])
    await settle()
    expect(await stage.names('segments')).not.toContain('seg-0000000001-0000000001')
    await second.leadership.release()
    const third = await stage.lead('c')
    expect([third.replayed.snapshotText, third.journal.snapshotDue]).toEqual(['s', false])
    await third.leadership.release()
    // A power failure takes the deletion back, and the snapshot is damaged.
    const file = await stage.as('power').open(segment(1, 1), 'create')
    await file.write([freed], 0)
    await file.close()
    const [name] = await stage.names('snapshots')
    stage.disk.bytes(`${DIRECTORY}/snapshots/${name}`)[30] ^= 1
    for (const node of ['d', 'e']) {
      const { journal, leadership, replayed } = await stage.lead(node)
      await settle()
      expect([replayed.snapshotText, ids(replayed), journal.snapshotDue]).toEqual([undefined, ['0', '1', '2', '3', '4', '5'], true])
      await leadership.release()
    }
    const last = await stage.lead('f')
    await writeSnapshot(stage.as('f'), last.journal.cut(), [Buffer.from('new')])
    last.journal.snapshotTaken(last.journal.committed)
    await settle()
    expect([last.journal.snapshotDue, (await stage.names('snapshots')).includes(name)]).toEqual([false, false])
    await last.leadership.release()
    const healed = await stage.lead('g')
    await settle()
    expect([healed.replayed.snapshotText, healed.journal.snapshotDue]).toEqual(['new', false])
    expect(await stage.names('segments')).not.toContain('seg-0000000001-0000000001')
  })

  it.each([13, 14, 15, 18])('rule 18: what a recycled file held is never read as new (%i facts)', async (facts) => {
    const stage = await Stage.make()
    const { journal } = await stage.lead('a', { spareSegments: 2 })
    stage.clock.advance(1)
    for (let i = 0; i < 40; i++) {
      await settle(4)
      stage.clock.advance(5)
    }
    await fill(journal, 0, 12)
    await writeSnapshot(stage.as('a'), journal.cut(), [Buffer.from('s')])
    journal.snapshotTaken(journal.committed)
    freeSealed(journal)
    await settle()
    expect(stage.trace.some((line) => /rename .*spare/.test(line))).toBe(true)
    await fill(journal, 12, facts)
    stage.killAndLose('a')
    const { replayed } = await stage.lead('b')
    expect(replayed.snapshotText).toBe('s')
    expect(ids(replayed)).toEqual(Array.from({ length: facts - 12 }, (_, i) => String(12 + i)))
  })

  it('rule 18: a reader that finds files gone lists again', async () => {
    const stage = await Stage.make()
    const { journal } = await stage.lead('a')
    await fill(journal, 0, 14)
    const listed = stage.hold('reader', 'open', 'segments')
    const replayed = new Replayed()
    const cut = journal.cut()
    const read = replayCut(stage.as('reader'), cut, replayed)
    await listed.reached
    await writeSnapshot(stage.as('a'), cut, [Buffer.from('s')])
    journal.snapshotTaken(journal.committed)
    freeSealed(journal)
    await settle()
    listed.release()
    await read
    expect(replayed.snapshotText).toBe('s')
    expect(ids(replayed)).toEqual([])
  })

  it('a full disk refuses publishes, drains, and takes publishes again', async () => {
    const stage = await Stage.make()
    const { journal, heard } = await stage.lead('a', { spareSegments: 1, reserveBytes: 300_000 })
    const pass = async (): Promise<void> => {
      for (let i = 0; i < 12; i++) {
        await settle(6)
        stage.clock.advance(5)
      }
    }
    await pass()
    stage.disk.bytesMax = 0
    let admitted = 0
    for (; admitted < 30; admitted++) {
      if (put(journal, `${admitted}`.padEnd(100_000, '.')) === undefined) break
      await journal.drained()
      await pass()
    }
    expect(admitted).toBeGreaterThan(5)
    expect(admitted).toBeLessThan(30)
    await pass()
    expect(heard.fulls).toEqual([true])
    expect(put(journal, 'gone', 2, 'drain')).toBeDefined()
    await journal.drained()
    stage.disk.bytesMax = Number.POSITIVE_INFINITY
    stage.clock.advance(1_000)
    await pass()
    expect(heard.fulls).toEqual([true, false])
    await commit(journal, 'again')
    expect(heard.losses).toEqual([])
  })

  it('the claim of an epoch says who wrote its segments', async () => {
    const stage = await Stage.make()
    const { journal } = await stage.lead('node-7')
    await commit(journal, 'one')
    expect(stage.disk.bytes(segment(1, 1)).toString('latin1', 77, 83)).toBe('node-7')
    expect(stage.disk.bytes(claimPath(DIRECTORY, 1)).toString()).toContain('"node":"node-7"')
  })
})

describe('a takeover', () => {
  it('looks into earlier segments only after it leads, and frees none before', async () => {
    const stage = await Stage.make()
    const { journal } = await stage.lead('a')
    for (let i = 0; i < 12; i++) await commit(journal, `${i};`.padEnd(250_000, '.'))
    const surveyed = stage.hold('b', 'open', segment(1, 1), 3)
    const b = await stage.lead('b')
    const earlier = (): unknown[] => b.journal.segments.filter((one) => one.segment < 4).map(({ lastBatch, bytes }) => ({ lastBatch, bytes }))
    expect(earlier()).toContainEqual({ lastBatch: Number.MAX_SAFE_INTEGER, bytes: 0 })
    surveyed.release()
    await settle()
    const infos = b.journal.segments.filter((one) => one.segment < 4).toSorted((x, y) => x.segment - y.segment)
    expect(infos.map((one) => one.firstBatch)).toEqual([1, ...infos.slice(0, -1).map((one) => one.lastBatch + 1)])
    expect(infos.every((one) => one.bytes > 500_000)).toBe(true)
  })

  it('that reads little knows how much a cold one would read, for the next snapshot', async () => {
    const stage = await Stage.make()
    const { journal } = await stage.lead('a')
    const following = stage.follow('s')
    for (let i = 0; i < 4; i++) await commit(journal, `${i};`.padEnd(250_000, '.'))
    await writeSnapshot(stage.as('a'), journal.cut(), [Buffer.from('s')])
    journal.snapshotTaken(journal.committed)
    for (let i = 0; i < 8; i++) await commit(journal, `${i};`.padEnd(250_000, '.'))
    for (let i = 0; i < 8; i++) {
      await settle()
      stage.clock.advance(10)
    }
    const from = await following.follower.stop()
    expect(from?.batch).toBe(journal.committed - 1)
    const warm = await stage.lead('b', {}, { replayed: following.told, ...(from === undefined ? {} : { from }) })
    await settle()
    expect(warm.journal.sinceSnapshotBytes).toBeGreaterThan(8 * 250_000)
    expect(warm.journal.sinceSnapshotBytes).toBeLessThan(9 * 250_000)
  })

  it('leads although an earlier segment cannot be looked into, and keeps it', async () => {
    const stage = await Stage.make()
    const { journal } = await stage.lead('a')
    for (let i = 0; i < 12; i++) await commit(journal, `${i};`.padEnd(250_000, '.'))
    const leadership = await stage.claim('b', true)
    const b = await stage.open('b', leadership)
    stage.disk.fail = (name, operation) => (name === 'b' && operation === 'read' ? { code: 'EIO', after: false } : undefined)
    await settle()
    await commit(b.journal, 'leads')
    expect(b.heard.losses).toEqual([])
    expect(b.journal.segments.some((one) => one.lastBatch === Number.MAX_SAFE_INTEGER)).toBe(true)
  })
})

it('a close does not wait for ever for a disk that hangs', async () => {
  const stage = await Stage.make()
  const { journal } = await stage.lead('a')
  const hangs = stage.hold('a', 'sync', 'segments')
  put(journal, 'never written')
  journal.urge()
  await hangs.reached
  let closed = false
  const closing = journal.close().then(() => {
    closed = true
  })
  stage.clock.advance(4_999)
  await settle()
  expect(closed).toBe(false)
  stage.clock.advance(1)
  await closing
  expect(put(journal, 'more')).toBeUndefined()
  // What was on its way lands, and nobody minds.
  hangs.release()
  await settle()
  expect((await stage.lead('b')).replayed.texts).toEqual(['never written'])
})

it('a close does not wait for ever for a spare file that the disk does not take', async () => {
  const stage = await Stage.make()
  const hangs = stage.hold('a', 'sync', 'spare')
  const { journal } = await stage.lead('a', { spareSegments: 1 })
  await hangs.reached
  const closing = journal.close()
  await settle()
  stage.clock.advance(5_000)
  await closing
  expect(put(journal, 'more')).toBeUndefined()
  hangs.release()
})
