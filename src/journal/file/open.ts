// From a claim to a journal that leads: read what earlier epochs left (rules 5, 6), replay it, seal it with our header (rules 7 to 9), begin (rule 10).
// A failure before the header leaves the directory as it was, but for the claim.
import type { Clock, Log } from '../../api.ts'
import { CodedError } from '../../errors.ts'
import type { Disk, DiskFile } from '../../disk.ts'
import { readClaim } from '../../failover/claim-file.ts'
import type { Leadership } from '../../failover/claim.ts'
import type { Random } from '../../random.ts'
import type { Cut, Journal, JournalListener, Position, Visitor } from '../journal.ts'
import { BATCH_HEADER_BYTES, FLAG_EPOCH_HEADER, sealBatch } from './batch.ts'
import { JournalDamage } from './damage.ts'
import { readCluster } from './directory.ts'
import { type ChainEntry, copyOffset, encodeEpochHeader, headerContentBytes } from './epoch-header.ts'
import { FileJournal } from './file-journal.ts'
import { isWithin, readLog } from './read-log.ts'
import { type Recovered, recover, trimChain } from './recover.ts'
import { HEAD_BYTES, encodeHead, sectorAfter, segmentPath, segmentsIn } from './segment.ts'
import { type SnapshotName, listSnapshotFolder } from './snapshot.ts'
import { takeStock } from './stock.ts'

/** As in the configuration's section `journal`. `segmentBytes` at least 1 MiB. */
export type JournalSettings = Readonly<{
  segmentBytes: number
  bytesMax: number
  /** Only settlements, moves and compaction may use the last so many bytes. */
  reserveBytes: number
  cacheBytes: number
  lazyMs: number
  lazyBytes: number
  spareSegments: number
}>

export type OpenOptions = Readonly<{
  directory: string
  disk: Disk
  clock: Clock
  random: Random
  leadership: Leadership
  settings: JournalSettings
  visitor: Visitor
  /** The visitor was told everything up to here (a follower's answer to `stop`): only what comes after is read. Throws `ReadAnew` if that cannot be. */
  from?: Position
  /** The cluster whose journal this was when the process started: another's is refused. Without: whichever it is. */
  cluster?: string
  listener: JournalListener
  log: Log
}>

export { ReadAnew } from './read-log.ts'

const SEGMENT_BYTES_MIN = 1024 * 1024
/** The first segment of an epoch is small: a takeover must not wait for a large one to be filled (2 ms; 4 MiB take 5), and each start makes one. */
const FIRST_SEGMENT_BYTES = 2 * 1024 * 1024

export async function openFileJournal(options: OpenOptions): Promise<Journal> {
  try {
    return await openOrFail(options)
  } catch (error) {
    // A claimant that slept while a later one led, and freed what it covers, finds segments missing: that is no damage but the end of its term.
    if (error instanceof JournalDamage && !options.leadership.look())
      throw new CodedError('not-leading', `a higher epoch than ${options.leadership.epoch} was claimed before this node could begin`)
    throw error
  }
}

async function openOrFail(options: OpenOptions): Promise<Journal> {
  const { directory, disk, clock, leadership, settings, visitor, log, from } = options
  if (settings.segmentBytes < SEGMENT_BYTES_MIN)
    throw new RangeError(`journal.segmentBytes is ${settings.segmentBytes}; at least ${SEGMENT_BYTES_MIN}`)
  const [cluster, claim, snapshots] = await Promise.all([
    readCluster(disk, directory, options.cluster),
    readClaim(disk, directory, leadership.epoch),
    listSnapshotFolder(disk, directory),
  ])
  const node = claim?.node ?? ''
  const recovered = await recover(disk, directory, leadership.epoch, { cluster, ...(from === undefined ? {} : { from }) })
  if (recovered.lastWallMs > clock.wallMs() + 60_000)
    log.warn({ lastBatchMs: recovered.lastWallMs, nowMs: clock.wallMs() }, 'the clock of this machine is before the last batch of the journal')
  const chain = trimChain(recovered.chain, recovered.inventory)
  refuseOrphans(snapshots.names, leadership.epoch, recovered)
  const segment = recovered.numbersTo + 1
  const { last } = recovered
  let unusable = false
  // Without a batch to copy there never was one but headers, of which the last may yet vanish: nothing to read.
  const bytesRead =
    last === undefined
      ? 0
      : await readLog({
          disk,
          directory,
          chain: recovered.chain,
          last: { copy: last, segment, offset: HEAD_BYTES + BATCH_HEADER_BYTES + copyOffset(chain) },
          batchMax: recovered.lastBatch,
          visitor,
          cluster,
          ...(from === undefined ? {} : { from }),
          warn: (sentence) => {
            unusable = true
            log.warn({}, sentence)
          },
        })
  const batch = recovered.lastBatch + 1
  const { inventory } = recovered
  const { segments, garbage, survey } = takeStock({
    disk,
    directory,
    ourEpoch: leadership.epoch,
    inventory,
    snapshots,
    chain,
    ourFirstBatch: batch,
    log,
  })
  // Nothing is awaited between the look that ends this and the begin.
  const seal = await writeSeal({ ...options, cluster, node, chain, recovered, segment, batch })
  leadership.committed(batch)
  const own = segments.add({
    segment,
    family: 'log',
    epoch: leadership.epoch,
    bytes: seal.end,
    durableBytes: seal.end,
    fileBytes: seal.capacity,
    sealed: false,
    keeps: true,
    firstBatch: batch,
    lastBatch: batch,
  })
  return new FileJournal({
    ...options,
    cluster,
    node,
    file: seal.file,
    segment: own,
    capacity: seal.capacity,
    batch,
    segments,
    numbersTo: segment,
    chain: cutChain(chain),
    sinceSnapshotBytes: bytesRead,
    // Until there is another, all that lies here, be it not listed in our chain, may be what the next start needs.
    snapshotDue: unusable,
    garbage: unusable ? [] : garbage,
    survey,
  })
}

/** A snapshot holds committed facts only: one beyond the end of the chain says that committed batches are missing, and to go on would lose them. */
function refuseOrphans(snapshots: readonly SnapshotName[], ourEpoch: number, { chain, lastBatch }: Recovered): void {
  const orphan = snapshots.find((name) => name.epoch < ourEpoch && !isWithin(name, chain, lastBatch))
  if (orphan === undefined) return
  throw new JournalDamage(
    'snapshot',
    orphan.file,
    0,
    `the log that this snapshot of batch ${orphan.batch} belongs to is not there, it ends at batch ${lastBatch}: put the segments back, or start from a copy of the directory`,
  )
}

const cutChain = (chain: readonly ChainEntry[]): Cut['chain'] =>
  chain.filter((entry) => entry.segment !== 0).map(({ epoch, segment, end }) => ({ epoch, segment, end }))

type SealOptions = OpenOptions &
  Readonly<{ cluster: string; node: string; chain: readonly ChainEntry[]; recovered: Recovered; segment: number; batch: number }>

/** Rules 7 to 9: batch 1, the whole chain and the copy; exclusive, synced, its name synced, then the look. */
async function writeSeal(options: SealOptions): Promise<Readonly<{ file: DiskFile; end: number; capacity: number }>> {
  const { directory, disk, clock, leadership, settings, cluster, node, chain, recovered, segment, batch } = options
  const { epoch } = leadership
  const length = BATCH_HEADER_BYTES + headerContentBytes(chain, recovered.last)
  const end = HEAD_BYTES + sectorAfter(length)
  const capacity = end + Math.min(FIRST_SEGMENT_BYTES, settings.segmentBytes)
  const image = Buffer.alloc(capacity)
  encodeHead({ family: 'log', segment, epoch, firstBatch: batch, before: 0, madeMs: clock.wallMs(), cluster, node }, image)
  encodeEpochHeader(chain, recovered.last, image, HEAD_BYTES + BATCH_HEADER_BYTES)
  sealBatch(image, HEAD_BYTES, {
    batch,
    epoch,
    segment,
    offset: HEAD_BYTES,
    wallMs: clock.wallMs(),
    length,
    numbersTo: segment,
    previous: batch - 1,
    flags: FLAG_EPOCH_HEADER,
  })
  const file = await disk.open(segmentPath(directory, { family: 'log', epoch, segment }), 'create-synced')
  try {
    // With the zeros behind it, so that the commits to come do not change the file's size.
    await file.write([image], 0)
    await disk.syncDirectory(segmentsIn(directory))
    if (!leadership.look()) throw new CodedError('not-leading', `a higher epoch than ${epoch} was claimed before this node could begin`)
  } catch (error) {
    await file.close().catch(() => undefined)
    throw error
  }
  return { file, end, capacity }
}
