// Reads one log segment from disk in big blocks and hands over its whole batches, one after the other. It judges nothing: where the batches stop
// is torn tail or damage depending on what the caller knows of the end.
import type { DiskFile } from '../../disk.ts'
import { BATCH_HEADER_BYTES, type BatchHeader, isWhole, peekBatch } from './batch.ts'
import { JournalDamage } from './damage.ts'
import { HEAD_BYTES, SECTOR_BYTES, type SegmentHead, type SegmentName, decodeHead, sectorAfter, segmentFile } from './segment.ts'

const BLOCK_BYTES = 4 * 1024 * 1024

export type ScanRange = Readonly<{ epoch: number; segment: number; from: number; to: number }>

/** `image[start …]` is the batch; good only during the call. False ends the scan behind this batch. */
export type BatchVisit = (header: BatchHeader, image: Buffer, start: number) => void

export type Scanned = Readonly<{ end: number; newer: boolean }>

/** Answers the offset where the next batch would begin: the first that is not whole, or `to`. */
export async function scanSegment(file: DiskFile, range: ScanRange, visit: BatchVisit, blockBytes = BLOCK_BYTES): Promise<Scanned> {
  const { epoch, segment, to } = range
  let block = Buffer.allocUnsafeSlow(Math.min(BLOCK_BYTES, blockBytes, Math.max(SECTOR_BYTES, to - range.from)))
  let base = range.from
  let image = block.subarray(0, await file.read(block, base))
  let at = 0
  while (base + at < to) {
    const header = peekBatch(image, at, epoch, segment, base + at)
    if (header === 'newer') return { end: base + at, newer: true }
    const needed = header === 'none' ? BATCH_HEADER_BYTES : header.length
    if (at + needed > image.length && image.length === block.length && at + needed + base <= to) {
      // The rest of it lies beyond the block: begin the block here, in one that can hold it.
      base += at
      at = 0
      if (needed > block.length) block = Buffer.allocUnsafeSlow(sectorAfter(needed))
      image = block.subarray(0, await file.read(block, base))
      if (image.length < needed) return { end: base, newer: false }
      continue
    }
    if (header === 'none' || !isWhole(image, at, header)) break
    visit(header, image, at)
    at += sectorAfter(header.length)
  }
  return { end: base + at, newer: false }
}

export type ScannedToEnd = Scanned & Readonly<{ later: number | undefined }>

/**
 * As `scanSegment`, and where a whole batch lies behind the end (`findLaterBatch`), if one does. A leader that was deposed, or runs beside us, may complete
 * the batch at the end while we look: that is no damage, the scan goes on with it.
 */
export async function scanToEnd(file: DiskFile, range: ScanRange, visit: BatchVisit, searchBytes = Number.POSITIVE_INFINITY): Promise<ScannedToEnd> {
  for (let { from, to } = range; ; ) {
    const scanned = await scanSegment(file, { ...range, from, to }, visit, searchBytes)
    const later = scanned.newer ? undefined : await findLaterBatch(file, range.epoch, range.segment, scanned.end, searchBytes)
    if (later !== scanned.end) return { ...scanned, later }
    from = scanned.end
    // A file that grows as it is written.
    to = Math.max(to, (await file.stat()).size)
  }
}

/** The offset of a whole batch of this segment at or behind `from`, on any sector: proof that what lies before it is damaged and not torn. */
export async function findLaterBatch(
  file: DiskFile,
  epoch: number,
  segment: number,
  from: number,
  searchBytes = Number.POSITIVE_INFINITY,
): Promise<number | undefined> {
  const block = Buffer.allocUnsafeSlow(Math.min(BLOCK_BYTES, searchBytes))
  for (let base = from; base < from + searchBytes; ) {
    const image = block.subarray(0, await file.read(block, base))
    for (let at = 0; at + BATCH_HEADER_BYTES <= image.length; at += SECTOR_BYTES) {
      const header = peekBatch(image, at, epoch, segment, base + at)
      if (typeof header === 'string') continue
      if (at + header.length <= image.length ? isWhole(image, at, header) : await isWholeAt(file, header)) return base + at
    }
    if (image.length < block.length) return undefined
    base += block.length
  }
  return undefined
}

async function isWholeAt(file: DiskFile, header: BatchHeader): Promise<boolean> {
  const image = Buffer.allocUnsafeSlow(header.length)
  return (await file.read(image, header.offset)) === header.length && isWhole(image, 0, header)
}

export async function readHead(file: DiskFile): Promise<SegmentHead | 'none' | 'newer'> {
  const image = Buffer.alloc(HEAD_BYTES)
  return decodeHead(image.subarray(0, await file.read(image, 0)))
}

/** A head of another segment is what a recycled file held before: none of this one's. Throws when it is of another cluster than the one expected. */
export async function readOwnHead(file: DiskFile, name: SegmentName, cluster: string | undefined): Promise<SegmentHead | 'none' | 'newer'> {
  const head = await readHead(file)
  if (typeof head === 'string') return head
  if (head.epoch !== name.epoch || head.segment !== name.segment) return 'none'
  if (cluster !== undefined && head.cluster !== cluster) throw foreignSegment(segmentFile(name), head, cluster)
  return head
}

const foreignSegment = (file: string, head: SegmentHead, cluster: string): JournalDamage =>
  new JournalDamage(
    'foreign',
    file,
    0,
    `the segment is of another cluster (${head.cluster}, written by node ${head.node === '' ? 'unknown' : head.node}), this directory is of ${cluster}: take the file away, or start from a copy of the directory`,
  )
