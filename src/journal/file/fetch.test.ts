// What is read back is what was written, or nothing: bits are flipped at every kind of place, in both families, on the simulated and the real disk.
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { DIRECTORY, type Leading, Stage } from '../../../test/simulation/stage.ts'
import { MovableClock } from '../../clock.ts'
import { type Disk, type DiskFile, realDisk } from '../../disk.ts'
import { SeededRandom } from '../../random.ts'
import { type ReplayedFact, put } from '../journal.contract.ts'
import type { Journal, Range } from '../journal.ts'
import { BATCH_BYTES_MAX, BATCH_HEADER_BYTES, peekBatch } from './batch.ts'
import { Cache } from './cache.ts'
import { Fetcher } from './fetch.ts'
import { OLD_HEADER_BYTES } from './old.ts'
import { HEAD_BYTES, parseSegmentFile, sectorAfter } from './segment.ts'
import { Segments } from './segments.ts'

type Record = Range & Readonly<{ text: string }>

/** Reads with a cache of its own, which remembers nothing of reads before it. */
class Reader {
  readonly logged: string[] = []
  readonly clock = new MovableClock()
  readonly cache: Cache
  readonly segments: Segments
  readonly fetcher: Fetcher
  readBytes = 0
  reads = 0

  constructor(disk: Disk, directory: string, names: readonly string[], cacheBytes = 1024 * 1024) {
    this.cache = new Cache(cacheBytes)
    this.segments = new Segments(directory)
    for (const file of names) {
      const name = parseSegmentFile(file)
      if (name === undefined) continue
      const sizes = { bytes: 0, durableBytes: Number.MAX_SAFE_INTEGER, fileBytes: 0 }
      this.segments.add({ ...name, ...sizes, sealed: true, keeps: false, firstBatch: 0, lastBatch: 0 })
    }
    const say = (_fields: object, sentence: string): void => void this.logged.push(sentence)
    const counting: Disk = { ...disk, open: async (path, mode) => this.#counting(await disk.open(path, mode)) }
    this.fetcher = new Fetcher(counting, this.clock, this.segments, this.cache, { debug: say, info: say, warn: say, error: say })
  }

  #counting(file: DiskFile): DiskFile {
    return {
      write: (buffers, position) => file.write(buffers, position),
      read: async (into, position) => {
        const count = await file.read(into, position)
        this.readBytes += count
        this.reads += 1
        return count
      },
      sync: () => file.sync(),
      truncate: (length) => file.truncate(length),
      stat: () => file.stat(),
      tryLock: (kind) => file.tryLock(kind),
      close: () => file.close(),
    }
  }

  fetch({ segment, offset, length }: Range): Promise<string | undefined> {
    return new Promise((resolve) =>
      this.fetcher.fetch(segment, offset, length, (bytes) => resolve(bytes === undefined ? undefined : Buffer.from(bytes).toString('latin1'))),
    )
  }
}

const stageReader = async (stage: Stage, cacheBytes?: number): Promise<Reader> =>
  new Reader(stage.as('reader'), DIRECTORY, await stage.names('segments'), cacheBytes)

const pathOf = async (stage: Stage, segment: number): Promise<string> =>
  `${DIRECTORY}/segments/${(await stage.names('segments')).find((file) => parseSegmentFile(file)?.segment === segment) ?? ''}`

const text = (random: SeededRandom, i: number, length: number): string =>
  `${i} ${'abcdefghij'.repeat(length / 10 + 1).slice(random.below(10))}`.slice(0, length)

/** Batches of one to many records, of a few bytes to more than a window. */
async function fill(journal: Journal, random: SeededRandom, batches: number): Promise<void> {
  let i = 0
  for (let batch = 0; batch < batches; batch++) {
    const count = [1, 2, 5, 40][random.below(4)]
    const length = [20, 600, 5_000, 190_000][random.below(4)]
    for (let of = 0; of < count && of * length < 800_000; of++) put(journal, text(random, i++, length + random.below(50)))
    await journal.drained()
  }
}

const recordsOf = (replayed: readonly ReplayedFact[]): Record[] =>
  replayed.map(({ segment, offset, length, text: of }) => ({ segment, offset, length, text: of }))

/** The extents of the batches of a segment, as they follow each other. */
function batchesOf(image: Buffer, file: string): { from: number; end: number }[] {
  const name = parseSegmentFile(file)
  const found: { from: number; end: number }[] = []
  for (let at = HEAD_BYTES; name !== undefined; ) {
    const header = peekBatch(image, at, name.epoch, name.segment, at)
    if (typeof header === 'string') break
    found.push({ from: at, end: at + header.length })
    at += sectorAfter(header.length)
  }
  return found
}

/** A first leader that wrote batches, and what the second one was told of them: the last batch lies in its header. */
async function written(seed: number, batches = 14): Promise<Readonly<{ stage: Stage; second: Leading; records: Record[] }>> {
  const stage = await Stage.make(seed)
  const { journal } = await stage.lead('a', { segmentBytes: 2 * 1024 * 1024 })
  await fill(journal, new SeededRandom(seed), batches)
  const second = await stage.lead('b', { cacheBytes: 1 })
  return { stage, second, records: recordsOf(second.replayed.facts) }
}

describe('what is read back', { timeout: 30_000 }, () => {
  it('is what was written, wherever it lies, in any order, by many at once', async () => {
    for (let seed = 1; seed <= 4; seed++) {
      const { stage, records } = await written(seed)
      const random = new SeededRandom(seed)
      const order = [...records, ...records].toSorted(() => random.below(3) - 1)
      for (const cacheBytes of [1, 16 * 1024 * 1024]) {
        const reader = await stageReader(stage, cacheBytes)
        const texts = await Promise.all(order.map((at) => reader.fetch(at)))
        expect(texts.every((got, i) => got === order[i].text)).toBe(true)
        for (const record of order.slice(0, 30)) expect(await reader.fetch(record)).toBe(record.text)
        expect(reader.logged).toEqual([])
      }
    }
  })

  it('is nothing where a bit flipped in its batch, and the truth everywhere else', async () => {
    let harmed = 0
    for (let seed = 1; seed <= 3; seed++) {
      const { stage, records } = await written(seed)
      const random = new SeededRandom(seed + 100)
      const segments = [...new Set(records.map((at) => at.segment))]
      for (const segment of segments) {
        const path = await pathOf(stage, segment)
        const image = stage.disk.bytes(path)
        const batches = batchesOf(image, basename(path))
        for (let round = 0; round < 10; round++) {
          const { from, end } = batches[random.below(batches.length)]
          // Its header, the head of its first fact, anywhere in it, its last byte.
          const at = [from + random.below(BATCH_HEADER_BYTES), from + BATCH_HEADER_BYTES, from + random.below(end - from), end - 1][round % 4]
          const bit = 1 << random.below(8)
          image[at] ^= bit
          const reader = await stageReader(stage, round % 2 === 0 ? 1 : 4 * 1024 * 1024)
          for (const record of records) {
            const inBatch = record.segment === segment && record.offset >= from && record.offset < end
            const where = `seed ${seed}, ${path} at ${at}, batch ${from} to ${end}, record at ${record.offset}`
            const got = await reader.fetch(record)
            expect(got === (inBatch ? undefined : record.text), where).toBe(true)
            harmed += inBatch ? 1 : 0
          }
          const inIt = records.some((one) => one.segment === segment && one.offset >= from && one.offset < end)
          expect(reader.logged).toEqual(inIt ? [`a batch is damaged: what it holds cannot be read (${basename(path)} at ${from})`] : [])
          image[at] ^= bit
        }
      }
    }
    expect(harmed).toBeGreaterThan(100)
  })

  it('is checked in the copy that the header of an epoch holds', async () => {
    const stage = await Stage.make()
    const { journal } = await stage.lead('a')
    for (let i = 0; i < 5; i++) put(journal, `${i}`.padEnd(190_000, 'c'))
    await journal.drained()
    const { replayed } = await stage.lead('b')
    const records = recordsOf(replayed.facts)
    expect(records).toHaveLength(5)
    const reader = await stageReader(stage)
    for (const record of records.toReversed()) expect((await reader.fetch(record)) === record.text).toBe(true)
    const path = await pathOf(stage, records[0].segment)
    expect(basename(path)).toContain('seg-0000000002')
    stage.disk.bytes(path)[records[3].offset + 7] ^= 4
    const after = await stageReader(stage)
    expect(await after.fetch(records[0])).toBeUndefined()
    expect(after.logged).toEqual([`a batch is damaged: what it holds cannot be read (${basename(path)} at ${HEAD_BYTES})`])
  })

  it('is found in a header that is larger than any other batch', async () => {
    const stage = await Stage.make()
    const settings = { segmentBytes: 8 * 1024 * 1024 }
    const { journal } = await stage.lead('a', settings)
    for (const length of [262_000, 262_000, 262_000, 262_000, 400]) put(journal, 'h'.repeat(length))
    await journal.drained()
    // Leaders that commit nothing: each header tells of one epoch more.
    let last = await stage.lead('b', settings)
    for (let i = 0; i < 60; i++) last = await stage.lead(`c${i}`, settings)
    const records = recordsOf(last.replayed.facts)
    expect(records.map((one) => one.length)).toEqual([262_000, 262_000, 262_000, 262_000, 400])
    expect(records[4].offset).toBeGreaterThan(HEAD_BYTES + BATCH_BYTES_MAX + 1_000)
    for (const record of records) expect((await (await stageReader(stage)).fetch(record)) === record.text).toBe(true)
    const path = await pathOf(stage, records[4].segment)
    stage.disk.bytes(path)[HEAD_BYTES + 900_000] ^= 1
    const reader = await stageReader(stage)
    expect(await reader.fetch(records[4])).toBeUndefined()
    expect(reader.logged).toEqual([expect.stringContaining(`a batch is damaged: what it holds cannot be read (${basename(path)}`)])
  })

  it('is there around a batch that seems to be shorter or longer, and that batch is named', async () => {
    const { stage, records } = await written(1)
    let [shorter, longer] = [0, 0]
    for (const segment of new Set(records.map((one) => one.segment))) {
      const path = await pathOf(stage, segment)
      const bytes = stage.disk.bytes(path)
      const within = records.filter((one) => one.segment === segment)
      for (const { from, end } of batchesOf(bytes, basename(path))) {
        for (const bit of [1, 4]) {
          if ((bytes[from + 42] & bit) === 0) longer += 1
          else shorter += 1
          bytes[from + 42] ^= bit
          // From behind, nothing is known of where batches begin.
          for (const order of [within, within.toReversed()]) {
            const reader = await stageReader(stage, 1)
            const wrong: number[] = []
            for (const one of order)
              if ((await reader.fetch(one)) !== (from < one.offset && one.offset < end ? undefined : one.text)) wrong.push(one.offset)
            expect(wrong).toEqual([])
            expect(reader.logged.filter((line) => !line.endsWith(` at ${from})`))).toEqual([])
          }
          bytes[from + 42] ^= bit
        }
      }
    }
    expect(shorter).toBeGreaterThan(0)
    expect(longer).toBeGreaterThan(0)
  })

  it('is checked among moved records, each by itself, and damage is not copied', async () => {
    const { stage, second, records } = await written(3)
    const chosen = records.filter((_, i) => i % 3 === 0)
    const moved = await new Promise<readonly Range[] | undefined>((resolve) => second.journal.preserve(chosen, resolve))
    if (moved === undefined) throw new Error('not moved')
    const path = await pathOf(stage, moved[0].segment)
    const image = stage.disk.bytes(path)
    for (const [i, at] of [0, 5, 8, OLD_HEADER_BYTES, OLD_HEADER_BYTES + 19].entries()) {
      const victim = moved[(i * 3) % moved.length]
      if (victim.segment !== moved[0].segment) continue
      image[victim.offset - OLD_HEADER_BYTES + at] ^= 16
      const reader = await stageReader(stage)
      for (const [k, one] of moved.entries()) expect((await reader.fetch(one)) === (one === victim ? undefined : chosen[k].text)).toBe(true)
      expect(reader.logged).toEqual([`a moved record is not whole: it cannot be read (${basename(path)} at ${victim.offset - OLD_HEADER_BYTES})`])
      image[victim.offset - OLD_HEADER_BYTES + at] ^= 16
    }
    // The other segment, damaged: nothing of it may get a fresh CRC.
    const [first] = records
    stage.disk.bytes(await pathOf(stage, first.segment))[first.offset + 3] ^= 1
    const bytes = Buffer.from(image)
    expect(await new Promise((resolve) => second.journal.preserve([first], resolve))).toBeUndefined()
    expect(stage.disk.bytes(path).equals(bytes)).toBe(true)
  })

  it('is nothing, and no damage, when the segment is freed meanwhile', async () => {
    const { stage, records } = await written(2)
    const reader = await stageReader(stage)
    const held = stage.hold('reader', 'read', 'seg-')
    const answer = reader.fetch(records[0])
    await held.reached
    reader.segments.delete(records[0].segment)
    stage.disk.bytes(await pathOf(stage, records[0].segment)).fill(7)
    held.release()
    expect(await answer).toBeUndefined()
    expect(reader.logged).toEqual([])
  })

  it('comes when the disk can be read again', async () => {
    const { stage, records } = await written(2)
    const reader = await stageReader(stage)
    stage.disk.fail = (name, operation) => (name === 'reader' && operation === 'read' ? { code: 'EIO', after: false } : undefined)
    expect(await reader.fetch(records[0])).toBeUndefined()
    expect(reader.logged.join()).toMatch(/^a stored record cannot be read: .*EIO/)
    stage.disk.fail = () => undefined
    expect((await reader.fetch(records[0])) === records[0].text).toBe(true)
  })

  it('is looked for once a second where it is damaged, and told once a minute', async () => {
    const { stage, records } = await written(2)
    const path = await pathOf(stage, records[0].segment)
    const damaged = records.filter((one) => one.segment === records[0].segment)
    const bytes = stage.disk.bytes(path)
    for (const { from } of batchesOf(bytes, basename(path))) bytes[from + BATCH_HEADER_BYTES] ^= 1
    const reader = await stageReader(stage)
    const all = async (): Promise<void> => {
      for (const record of damaged) expect(await reader.fetch(record)).toBeUndefined()
    }
    await all()
    const { reads } = reader
    expect(reader.logged.length).toBeLessThanOrEqual(10)
    expect(reads).toBeLessThan(damaged.length)
    await all()
    expect(reader.reads).toBe(reads)
    reader.clock.advance(1_000)
    const lines = reader.logged.length
    await all()
    expect(reader.reads).toBeGreaterThan(reads)
    expect(reader.logged).toHaveLength(lines)
    reader.clock.advance(60_000)
    await all()
    expect(reader.logged.length).toBeGreaterThan(lines)
  })

  it('costs the disk what the segment holds, when a backlog is drained', async () => {
    for (const [each, ofBatch] of [
      [1_000, 10],
      [1_000, 150],
      [1_000, 700],
      [40_000, 25],
    ]) {
      const stage = await Stage.make()
      const { journal } = await stage.lead('a', { segmentBytes: 64 * 1024 * 1024, cacheBytes: 1 })
      const records: Range[] = []
      for (let bytes = 0, i = 0; bytes < 4_000_000; bytes += each, i++) {
        const at = put(journal, 'd'.repeat(each))
        if (at !== undefined) records.push(at)
        if (i % ofBatch === ofBatch - 1) await journal.drained()
      }
      await journal.drained()
      const reader = await stageReader(stage, 4 * 1024 * 1024)
      let unread = 0
      for (const { segment, offset, length } of records)
        if (reader.cache.read(segment, offset, length) === undefined && (await reader.fetch({ segment, offset, length })) === undefined) unread += 1
      expect(unread).toBe(0)
      expect(reader.readBytes / 4_000_000).toBeLessThan(1.15)
      expect(reader.reads).toBeLessThan(60)
    }
  })
})

describe('on the real disk', { timeout: 30_000 }, () => {
  it('a flipped bit costs its batch and nothing else, in files cut short, too', async () => {
    const { stage, records } = await written(5)
    const directory = await mkdtemp(join(tmpdir(), 'bascule-fetch-'))
    try {
      await mkdir(join(directory, 'segments'))
      const names = await stage.names('segments')
      for (const file of names) await writeFile(join(directory, 'segments', file), stage.disk.bytes(`${DIRECTORY}/segments/${file}`))
      const reader = new Reader(realDisk, directory, names)
      for (const record of records) expect((await reader.fetch(record)) === record.text).toBe(true)
      await reader.fetcher.close()
      const victim = records[Math.floor(records.length / 2)]
      const path = await pathOf(stage, victim.segment)
      const bytes = Buffer.from(stage.disk.bytes(path))
      const batch = batchesOf(bytes, basename(path)).find(({ from, end }) => from <= victim.offset && victim.offset < end)
      bytes[victim.offset] ^= 32
      await writeFile(join(directory, 'segments', basename(path)), bytes)
      const after = new Reader(realDisk, directory, names)
      for (const record of records) {
        const inBatch = record.segment === victim.segment && batch !== undefined && record.offset > batch.from && record.offset < batch.end
        expect((await after.fetch(record)) === (inBatch ? undefined : record.text)).toBe(true)
      }
      await after.fetcher.close()
      await writeFile(join(directory, 'segments', basename(path)), bytes.subarray(0, victim.offset + 1))
      const short = new Reader(realDisk, directory, names)
      expect(await short.fetch(victim)).toBeUndefined()
      await short.fetcher.close()
    } finally {
      await rm(directory, { recursive: true, force: true })
    }
  })
})
