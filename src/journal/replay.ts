// Replays up to a cut, and stores the snapshot made of it: for a worker thread beside the running broker. Reads the log, writes only `snapshots/`.
import type { Disk } from '../disk.ts'
import { readLog } from './file/read-log.ts'
import { snapshotFile, storeSnapshot } from './file/snapshot.ts'
import type { Cut, Visitor } from './journal.ts'

/** The newest usable snapshot, then the log up to the cut. Rejects with ENOENT when the broker freed what it was reading: take a new cut and try again. */
export async function replayCut(disk: Disk, cut: Cut, visitor: Visitor): Promise<void> {
  await readLog({ disk, directory: cut.directory, chain: cut.chain, last: undefined, batchMax: cut.batch, visitor, warn: () => undefined })
}

/** Rule 18: holds committed facts only (a cut is one), named by epoch and position. The newest snapshot once it is stored. */
export async function writeSnapshot(disk: Disk, cut: Cut, chunks: Iterable<Uint8Array>): Promise<void> {
  const last = cut.chain.at(-1)
  if (last === undefined) throw new Error('a cut without an epoch has nothing to make a snapshot of')
  await storeSnapshot(disk, cut.directory, snapshotFile(last.epoch, cut.batch, last.segment, last.end), chunks)
}
