// What the journal adds to the disk, in one run: `node --import tsx bench/journal.ts [--seconds 3] [--dir PATH]`.
//
// - window 1: one 1 KiB fact, committed, then the next; beside bare synced 4 KiB writes to a pre-allocated file, the two interleaved.
// - 256 in a batch: 1 KiB facts, as many batches as the disk takes.
// - admit alone, in ns, with nothing waiting for the disk.
import fs from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { realClock } from '../src/clock.ts'
import { realDisk } from '../src/disk.ts'
import { type Leadership, claim } from '../src/failover/claim.ts'
import { prepareDirectory } from '../src/journal/file/directory.ts'
import { openFileJournal } from '../src/journal/file/open.ts'
import type { Journal } from '../src/journal/journal.ts'
import { realRandom } from '../src/random.ts'

const { values } = parseArgs({ options: { seconds: { type: 'string', default: '3' }, dir: { type: 'string', default: tmpdir() } } })
const seconds = Number(values.seconds)
const directory = await mkdtemp(join(values.dir, 'bascule-bench-'))
const MiB = 1024 * 1024
const body = Buffer.alloc(1024, 0x61)

type Opened = { journal: Journal; leadership: Leadership; facts: number; ms: number; onCommitted: () => void }

async function open(): Promise<Opened> {
  const opened: Pick<Opened, 'facts' | 'onCommitted'> = { facts: 0, onCommitted: () => undefined }
  const leadership = await claim({
    directory: join(directory, 'data'),
    node: 'bench',
    address: '',
    disk: realDisk,
    clock: realClock,
    random: realRandom,
    force: false,
    pollMs: 10,
    signal: new AbortController().signal,
    onWaiting: () => undefined,
  })
  const before = performance.now()
  const journal = await openFileJournal({
    directory: join(directory, 'data'),
    disk: realDisk,
    clock: realClock,
    random: realRandom,
    leadership,
    settings: {
      segmentBytes: 64 * MiB,
      bytesMax: 64 * 1024 * MiB,
      reserveBytes: 128 * MiB,
      cacheBytes: 64 * MiB,
      lazyMs: 20,
      lazyBytes: 65_536,
      spareSegments: 1,
    },
    visitor: {
      snapshot: () => undefined,
      batch: () => undefined,
      fact: () => {
        opened.facts += 1
      },
    },
    listener: {
      committed: () => opened.onCommitted(),
      lost: (error) => {
        throw error
      },
      pressure: () => undefined,
      full: () => undefined,
    },
    log: { debug: () => undefined, info: () => undefined, warn: console.warn, error: console.error },
  })
  return Object.assign(opened, { journal, leadership, ms: performance.now() - before })
}

function put(journal: Journal): void {
  const at = journal.admit(14, body.length, 'publish')
  if (at === -1) throw new Error('the journal is full: give a directory with more room')
  body.copy(journal.buffer, at)
}

/** One fact in flight. */
function windowOne(opened: Opened, ms: number): Promise<number> {
  return new Promise((resolve) => {
    const end = performance.now() + ms
    let commits = 0
    opened.onCommitted = () => {
      commits += 1
      if (performance.now() < end) {
        put(opened.journal)
        opened.journal.urge()
      } else resolve((commits * 1000) / ms)
    }
    put(opened.journal)
    opened.journal.urge()
  })
}

function bareWrites(fd: number, ms: number): Promise<number> {
  const block = Buffer.alloc(4096, 1)
  return new Promise((resolve, reject) => {
    const end = performance.now() + ms
    let writes = 0
    const next = (error: Error | null): void => {
      if (error !== null) return reject(error)
      writes += 1
      if (performance.now() >= end) return resolve((writes * 1000) / ms)
      fs.writev(fd, [block], (writes * 4096) % (32 * MiB), next)
    }
    fs.writev(fd, [block], 0, next)
  })
}

/** 256 facts for every batch, the next gathered while one is written. */
function batches(opened: Opened, ms: number): Promise<number> {
  return new Promise((resolve) => {
    const end = performance.now() + ms
    let facts = 0
    const gather = (): void => {
      for (let i = 0; i < 256; i++) put(opened.journal)
      opened.journal.urge()
    }
    opened.onCommitted = () => {
      facts += 256
      if (performance.now() < end) gather()
      else resolve((facts * 1000) / ms)
    }
    gather()
  })
}

function admitNs(journal: Journal): number {
  let best = Number.POSITIVE_INFINITY
  for (let round = 0; round < 20; round++) {
    const before = performance.now()
    for (let i = 0; i < 10_000; i++) journal.admit(14, 32, 'publish')
    best = Math.min(best, ((performance.now() - before) * 1e6) / 10_000)
  }
  return best
}

try {
  await prepareDirectory(realDisk, join(directory, 'data'))
  const first = await open()
  const bare = fs.openSync(join(directory, 'bare'), fs.constants.O_RDWR | fs.constants.O_CREAT | fs.constants.O_DSYNC, 0o600)
  for (let at = 0; at < 32 * MiB; at += MiB) fs.writeSync(bare, Buffer.alloc(MiB), 0, MiB, at)
  const rounds = Math.max(2, Math.round(seconds))
  const commits: number[] = []
  const writes: number[] = []
  await windowOne(first, 300)
  for (let i = 0; i < rounds; i++) {
    writes.push(await bareWrites(bare, 500))
    commits.push(await windowOne(first, 500))
  }
  const median = (list: number[]): number => list.toSorted((a, b) => a - b)[list.length >> 1]
  console.log(
    `window 1: ${median(commits).toFixed(0)} commits/s, bare synced 4 KiB writes ${median(writes).toFixed(0)}/s, ratio ${(median(commits) / median(writes)).toFixed(2)}`,
  )
  const rate = await batches(first, seconds * 1000)
  console.log(`256 in a batch: ${rate.toFixed(0)} facts/s of 1 KiB`)
  console.log(`admit: ${admitNs(first.journal).toFixed(0)} ns`)
  await first.journal.drained()
  while (first.journal.usedBytes < 1024 * MiB) {
    for (let i = 0; i < 1000; i++) put(first.journal)
    await first.journal.drained()
  }
  const bytes = first.journal.usedBytes
  await first.journal.close()
  await first.leadership.release()
  fs.closeSync(bare)
  const second = await open()
  console.log(`start with ${(bytes / MiB).toFixed(0)} MiB of log: ${second.facts} facts in ${second.ms.toFixed(0)} ms`)
  await second.journal.close()
  await second.leadership.release()
} finally {
  await rm(directory, { recursive: true, force: true })
}
