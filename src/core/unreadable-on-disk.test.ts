// A core over a journal in real files, one bit of which flips while nobody looks: consumers get what was sent, or nothing.
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { Client, PERMANENT, textOf } from '../../test/support/core.ts'
import type { Log } from '../api.ts'
import { realClock } from '../clock.ts'
import { defaults } from '../config/defaults.ts'
import { realDisk } from '../disk.ts'
import { claim } from '../failover/claim.ts'
import { prepareDirectory } from '../journal/file/directory.ts'
import { openFileJournal } from '../journal/file/open.ts'
import { realRandom } from '../random.ts'
import { Core } from './core.ts'

/** One leader; `end` is its end, in order. */
async function lead(directory: string, logged: string[]) {
  const say = (_fields: object, sentence: string): void => void logged.push(sentence)
  const log: Log = { debug: () => undefined, info: () => undefined, warn: say, error: say }
  const common = { disk: realDisk, clock: realClock, random: realRandom, directory }
  const settings = { ...defaults, journal: { ...defaults.journal, cacheBytes: 1024 * 1024, segmentBytes: 2 * 1024 * 1024, spareSegments: 0 } }
  const core = new Core({ ...common, node: 'a', version: '0', settings, log, makeSnapshot: () => Promise.resolve() })
  const { signal } = new AbortController()
  const leadership = await claim({ ...common, node: 'a', address: '', force: true, pollMs: 10, signal, onWaiting: () => undefined })
  const journal = await openFileJournal({ ...common, leadership, settings: settings.journal, visitor: core.visitor, listener: core.listener, log })
  let lost: Error | undefined
  core.onLost = (error) => {
    lost = error
  }
  core.lead(journal)
  const end = async (): Promise<void> => {
    await journal.close()
    await core.stop()
    await leadership.release()
  }
  return { core, journal, end, lost: () => lost }
}

const until = async (so: () => boolean): Promise<void> => {
  while (!so()) await new Promise((resolve) => setImmediate(resolve))
}

it('a flipped bit costs the messages of its batch a delivery, for now, and nothing else anything', { timeout: 30_000 }, async () => {
  const directory = await mkdtemp(join(tmpdir(), 'bascule-unreadable-'))
  try {
    await prepareDirectory(realDisk, directory, realRandom)
    const first = await lead(directory, [])
    const queue = first.core.address('queue', ['q'])
    const producer = new Client(first.core, {})
    producer.session.declare(queue, PERMANENT)
    const sent: string[] = []
    for (let i = 0; i < 300; i++) {
      // Every fiftieth travels in pieces.
      const text = `${i} `.padEnd(i % 50 === 25 ? 700_000 : 8_000, String.fromCharCode(97 + (i % 26)))
      sent.push(text)
      const { length } = producer.admissions
      if (producer.send(queue, text) === -1) await until(() => producer.admissions.length > length)
      if (i % 5 === 4) await first.journal.drained()
    }
    await first.end()
    const logged: string[] = []
    const second = await lead(directory, logged)
    const segments = join(directory, 'segments')
    const [, third] = (await readdir(segments)).toSorted()
    const bytes = await readFile(join(segments, third))
    bytes[Math.floor(bytes.length / 2)] ^= 8
    await writeFile(join(segments, third), bytes)
    const taker = new Client(second.core, {}).consume(second.core.address('queue', ['q']))
    const passed = (): number => second.core.recent(10_000).filter((one) => one.event === 'passed-over' && one.extra === 1).length
    await until(() => taker.deliveries.length + passed() === sent.length)
    const got = taker.deliveries.map(textOf)
    expect(got.every((text) => sent[Number.parseInt(text, 10)] === text)).toBe(true)
    expect(passed()).toBeGreaterThan(0)
    expect(passed()).toBeLessThan(100)
    expect(new Set(got).size).toBe(got.length)
    expect(logged).toEqual([expect.stringContaining(`a batch is damaged: what it holds cannot be read (${third} at `)])
    expect(second.lost()).toBeUndefined()
    expect(second.core.figures().entries).toBe(sent.length)
    // Somebody puts the right file back.
    bytes[Math.floor(bytes.length / 2)] ^= 8
    await writeFile(join(segments, third), bytes)
    await until(() => taker.deliveries.length === sent.length)
    expect(taker.deliveries.every((one) => sent[Number.parseInt(textOf(one), 10)] === textOf(one))).toBe(true)
    await second.end()
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
})
