// Snapshots of the state, made beside the running broker: a thread replays what is committed and writes the result. The leader's loop
// does not stop for it, and each snapshot proves again that the same facts give the same state.
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import type { Settings } from './config/settings.ts'
import { Replica } from './core/replica.ts'
import { encodeState } from './core/snapshot.ts'
import { type Disk, realDisk } from './disk.ts'
import type { Cut } from './journal/journal.ts'
import { replayCut, writeSnapshot } from './journal/replay.ts'

type Work = Readonly<{ bascule: 'snapshot'; cut: Cut; destinations: Settings['destinations'] }>

/** In this thread: for tests and simulated disks. */
export async function makeSnapshot(disk: Disk, destinations: Settings['destinations'], cut: Cut): Promise<void> {
  const replica = new Replica(destinations)
  await replayCut(disk, cut, replica)
  await writeSnapshot(disk, cut, encodeState(replica.state))
}

/** In a thread of its own. Source files need a loader that a thread does not have: there it runs in this thread. */
export function makeSnapshotInThread(destinations: Settings['destinations'], cut: Cut): Promise<void> {
  if (import.meta.url.endsWith('.ts')) return makeSnapshot(realDisk, destinations, cut)
  const work: Work = { bascule: 'snapshot', cut, destinations }
  return new Promise((resolve, reject) => {
    // Its state is rows outside the heap: a small young generation keeps what it leaves to the collector small.
    const worker = new Worker(new URL(import.meta.url), { workerData: work, resourceLimits: { maxYoungGenerationSizeMb: 8 } })
    worker.once('error', reject)
    worker.once('message', (message: unknown) => (message === 'done' ? resolve() : reject(new Error(String(message)))))
    worker.once('exit', (code) => reject(new Error(`the snapshot thread ended with ${code}`)))
    worker.unref()
  })
}

function isWork(data: unknown): data is Work {
  return typeof data === 'object' && data !== null && 'bascule' in data && data.bascule === 'snapshot'
}

if (!isMainThread && isWork(workerData)) {
  const { cut, destinations } = workerData
  makeSnapshot(realDisk, destinations, cut).then(
    () => parentPort?.postMessage('done'),
    (error: unknown) => parentPort?.postMessage(error instanceof Error ? (error.stack ?? error.message) : String(error)),
  )
}
