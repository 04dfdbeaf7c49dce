// What a new leader finds in `segments/`: by name at once, what lies inside later. Opening a thousand segments takes 0.2 s, and nobody needs more than their
// names to lead. Until a segment is surveyed it counts as empty, and as one that may not go.
import { join } from 'node:path'
import type { Log } from '../../api.ts'
import { type Disk, codeOf } from '../../disk.ts'
import type { ChainEntry } from './epoch-header.ts'
import type { Inventory } from './inventory.ts'
import { readHead } from './scan.ts'
import { segmentFile, segmentPath } from './segment.ts'
import { type Segment, Segments } from './segments.ts'
import { type SnapshotFolder, snapshotsIn } from './snapshot.ts'

export type StockOptions = Readonly<{
  disk: Disk
  directory: string
  ourEpoch: number
  inventory: Inventory
  snapshots: SnapshotFolder
  /** As our header lists it. */
  chain: readonly ChainEntry[]
  ourFirstBatch: number
  log: Log
}>

export type Stock = Readonly<{
  /** Those that count. */
  segments: Segments
  /** Files that mean nothing: of void epochs, behind a seal, temporary, or another's spares. */
  garbage: readonly string[]
  /** Fills in sizes and batches. Never rejects: what cannot be read stays as it is, to the next start. */
  survey: () => Promise<Surveyed>
}>

export type Surveyed = Readonly<{
  snapshotBytes: number
  /** Of the log that the newest snapshot does not cover: what a start without a warm state would read. */
  sinceSnapshotBytes: number
}>

export function takeStock(options: StockOptions): Stock {
  const { directory, ourEpoch, inventory, snapshots, chain } = options
  const segments = new Segments(directory)
  const entries = new Map(chain.map((entry) => [entry.epoch, entry]))
  const garbage: string[] = inventory.spares.map((file) => `segments/${file}`)
  const unknown = { bytes: 0, fileBytes: 0, sealed: true, keeps: false, firstBatch: 0 }
  /** From the newest to the oldest. */
  const logs: Segment[] = []
  for (const epoch of [...inventory.log.keys()].sort((a, b) => b - a)) {
    const entry = entries.get(epoch)
    if (epoch >= ourEpoch) continue
    for (const segment of [...(inventory.log.get(epoch) ?? [])].reverse()) {
      const name = { family: 'log', epoch, segment } as const
      if (entry === undefined || segment > entry.segment) garbage.push(`segments/${segmentFile(name)}`)
      else {
        const durableBytes = segment === entry.segment ? entry.end : Number.MAX_SAFE_INTEGER
        logs.push(segments.add({ ...name, ...unknown, durableBytes, lastBatch: Number.MAX_SAFE_INTEGER }))
      }
    }
  }
  const olds: Segment[] = []
  for (const name of inventory.old) {
    if (name.epoch >= ourEpoch) continue
    const entry = entries.get(name.epoch)
    if (entry === undefined || entry.segment === 0 || name.segment > entry.numbersTo) garbage.push(`segments/${segmentFile(name)}`)
    else olds.push(segments.add({ ...name, ...unknown, durableBytes: Number.MAX_SAFE_INTEGER, lastBatch: 0 }))
  }
  for (const file of snapshots.temporary) garbage.push(`snapshots/${file}`)
  return { segments, garbage, survey: () => survey(options, logs, olds) }
}

async function survey(options: StockOptions, logs: readonly Segment[], olds: readonly Segment[]): Promise<Surveyed> {
  const { disk, directory, snapshots, ourFirstBatch, log } = options
  let nextFirst = ourFirstBatch
  let snapshotBytes = 0
  try {
    for (const segment of logs) nextFirst = await surveyLog(disk, directory, segment, nextFirst)
    for (const segment of olds) {
      const stat = await ifThere(disk.stat(segment.path))
      if (stat !== undefined) segment.bytes = segment.durableBytes = segment.fileBytes = stat.size
    }
    for (const { file } of snapshots.names) snapshotBytes += (await ifThere(disk.stat(join(snapshotsIn(directory), file))))?.size ?? 0
  } catch (error) {
    log.warn({ error: String(error) }, 'an earlier segment could not be looked into: its space is not freed before the next start')
  }
  const [newest] = snapshots.names
  let sinceSnapshotBytes = 0
  for (const { segment, bytes, lastBatch } of logs)
    if (newest === undefined || lastBatch > newest.batch) sinceSnapshotBytes += segment === newest?.segment ? bytes - newest.offset : bytes
  return { snapshotBytes, sinceSnapshotBytes }
}

/** Walking downwards: the batches of a segment end where those of the next begin. Answers its first batch. */
async function surveyLog(disk: Disk, directory: string, segment: Segment, nextFirst: number): Promise<number> {
  const file = await ifThere(disk.open(segmentPath(directory, segment), 'read'))
  // Freed meanwhile by the leader before us, which has not looked yet: it was dead already.
  if (file === undefined) {
    segment.lastBatch = nextFirst - 1
    return nextFirst
  }
  try {
    const { size } = await file.stat()
    const head = await readHead(file)
    // A head that cannot be read here lies before the snapshot, or the replay would have refused: only bodies are read from it.
    const firstBatch = typeof head === 'string' || head.segment !== segment.segment ? 0 : head.firstBatch
    segment.bytes = segment.durableBytes = Math.min(segment.durableBytes, size)
    segment.fileBytes = size
    segment.firstBatch = firstBatch
    segment.lastBatch = nextFirst - 1
    return firstBatch === 0 ? nextFirst : firstBatch
  } finally {
    await file.close()
  }
}

export async function ifThere<T>(found: Promise<T>): Promise<T | undefined> {
  try {
    return await found
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  }
}
