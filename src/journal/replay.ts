// Replays without leading: up to a cut, for a worker thread beside the running broker that stores a snapshot of it, or a whole directory, for whoever
// wants to know what is in it. Reads the log, writes only `snapshots/`.
import type { Disk } from '../disk.ts'
import { highestEpoch } from '../failover/claim-file.ts'
import { recover } from './file/recover.ts'
import { readLog } from './file/read-log.ts'
import { snapshotFile, storeSnapshot } from './file/snapshot.ts'
import type { Cut, Visitor } from './journal.ts'

/** The newest usable snapshot, then the log up to the cut. Rejects with ENOENT when the broker freed what it was reading: take a new cut and try again. */
export async function replayCut(disk: Disk, cut: Cut, visitor: Visitor): Promise<void> {
  await readLog({ disk, directory: cut.directory, chain: cut.chain, last: undefined, batchMax: cut.batch, visitor, warn: () => undefined })
}

/** What a node that starts now would be told, but for its claim. It may run beside a broker. */
export async function readJournal(disk: Disk, directory: string, visitor: Visitor): Promise<void> {
  const { chain, lastBatch } = await recover(disk, directory, (await highestEpoch(disk, directory)) + 1)
  await readLog({ disk, directory, chain, last: undefined, batchMax: lastBatch, visitor, warn: () => undefined })
}

/** Rule 18: holds committed facts only (a cut is one), named by epoch and position. The newest snapshot once it is stored. */
export async function writeSnapshot(disk: Disk, cut: Cut, chunks: Iterable<Uint8Array>): Promise<void> {
  const last = cut.chain.at(-1)
  if (last === undefined) throw new Error('a cut without an epoch has nothing to make a snapshot of')
  await storeSnapshot(disk, cut.directory, snapshotFile(last.epoch, cut.batch, last.segment, last.end), chunks)
}
