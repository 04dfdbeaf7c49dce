import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MovableClock } from '../../clock.ts'
import { realDisk } from '../../disk.ts'
import { type Leadership, claim } from '../../failover/claim.ts'
import { SeededRandom } from '../../random.ts'
import { Heard, Replayed, journalContract } from '../journal.contract.ts'
import type { Journal } from '../journal.ts'
import { replayCut, writeSnapshot } from '../replay.ts'
import { prepareDirectory } from './directory.ts'
import { openFileJournal } from './open.ts'

const quiet = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined }

journalContract('file', async () => {
  const clock = new MovableClock()
  const random = new SeededRandom(1)
  const directory = await mkdtemp(join(tmpdir(), 'bascule-journal-'))
  await prepareDirectory(realDisk, directory, random)
  let leadership: Leadership | undefined
  let last: Journal | undefined
  return {
    clock,
    async open(settings = {}) {
      leadership = await claim({
        directory,
        node: 'a',
        address: '',
        disk: realDisk,
        clock,
        random,
        force: true,
        pollMs: 10,
        signal: new AbortController().signal,
        onWaiting: () => undefined,
      })
      const heard = new Heard()
      const replayed = new Replayed()
      last = await openFileJournal({
        directory,
        disk: realDisk,
        clock,
        random,
        leadership,
        settings: {
          segmentBytes: 4 * 1024 * 1024,
          bytesMax: 2 ** 40,
          reserveBytes: 0,
          cacheBytes: 64 * 1024 * 1024,
          lazyMs: 20,
          lazyBytes: 64 * 1024,
          spareSegments: 0,
          ...settings,
        },
        visitor: replayed,
        listener: heard,
        log: quiet,
      })
      return { journal: last, heard, replayed }
    },
    async crash() {
      // The old object goes on living, as a paused process would: its next look tells it.
      await leadership?.release()
    },
    async snapshot(journal, chunks) {
      const cut = journal.cut()
      await replayCut(realDisk, cut, new Replayed())
      await writeSnapshot(realDisk, cut, chunks)
      journal.snapshotTaken(cut.batch)
    },
    async forget() {},
    async dispose() {
      await leadership?.release()
      await last?.close()
      await rm(directory, { recursive: true, force: true })
    },
  }
})
