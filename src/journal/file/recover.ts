// Which bytes on disk are the journal (rule 5): the chain of epochs below ours, where it ends, and its last batch. Reads only.
//
//   epochs, highest first:   9 (ours)   8: half a header = void   7: whole header = speaks for all below   6, 5 …: as epoch 7's chain says
//
// The end of epoch 7 itself is its last whole batch. A bad batch with a whole later one of the same epoch behind it is damage: since one batch is in
// flight at a time, a crash cannot leave that.
import { basename } from 'node:path'
import { type Disk, type DiskFile, codeOf } from '../../disk.ts'
import type { Position } from '../journal.ts'
import { BATCH_BYTES_MAX, BATCH_HEADER_BYTES, type BatchHeader, FLAG_EPOCH_HEADER, HEADER_BATCH_BYTES_MAX, isWhole, peekBatch } from './batch.ts'
import { JournalDamage } from './damage.ts'
import { type ChainEntry, type CopiedBatch, type EpochHeader, decodeEpochHeader } from './epoch-header.ts'
import { type Inventory, takeInventory } from './inventory.ts'
import { findLaterBatch, readOwnHead, scanToEnd } from './scan.ts'
import { HEAD_BYTES, SECTOR_BYTES, type SegmentName, sectorAfter, segmentFile, segmentPath } from './segment.ts'

export type Recovered = Readonly<{
  inventory: Inventory
  /** Every epoch below ours that counts or is void, rising. */
  chain: readonly ChainEntry[]
  /** What our header copies: the last batch of the chain; if that is itself a header, the batch it copied. */
  last: CopiedBatch | undefined
  lastBatch: number
  lastWallMs: number
  numbersTo: number
}>

export type Known = Readonly<{
  /** Segments of another are refused. */
  cluster?: string
  /** Everything up to here was read, and is known to be within the chain: the search for the end begins here. */
  from?: Position
}>

/** Everything that epochs below `below` left. Throws `JournalDamage`. A file that vanishes while we read (an old leader frees what is dead): list again (rule 18). */
export async function recover(disk: Disk, directory: string, below: number, known: Known = {}): Promise<Recovered> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await recoverOnce(disk, directory, below, known)
    } catch (error) {
      if (codeOf(error) !== 'ENOENT' || attempt === 100) throw error
    }
  }
}

async function recoverOnce(disk: Disk, directory: string, below: number, known: Known): Promise<Recovered> {
  const inventory = await takeInventory(disk, directory)
  const voids: ChainEntry[] = []
  for (let epoch = below - 1; epoch > 0; epoch--) {
    const numbers = inventory.log.get(epoch)
    const header = numbers === undefined ? undefined : await readEpochHeader(disk, directory, epoch, numbers, known.cluster)
    if (header === undefined) {
      voids.push({ epoch, segment: 0, end: 0, numbersTo: 0 })
      continue
    }
    const end = await findEnd(disk, directory, epoch, numbers ?? [], known)
    const own: ChainEntry = { epoch, segment: end.segment, end: end.end, numbersTo: end.numbersTo }
    return {
      inventory,
      chain: [...header.content.chain, own, ...voids.reverse()],
      last: end.copy ?? header.content.copy,
      lastBatch: end.batch,
      lastWallMs: end.wallMs,
      numbersTo: end.numbersTo,
    }
  }
  return { inventory, chain: [], last: undefined, lastBatch: 0, lastWallMs: 0, numbersTo: 0 }
}

export type ReadHeader = Readonly<{ header: BatchHeader; content: EpochHeader; segment: number }>

/**
 * Batch 1 of an epoch; it lies in the epoch's lowest segment, which its own leader never frees. Undefined: no whole header, the epoch is void.
 * Throws when something whole lies behind a header that is not.
 */
export async function readEpochHeader(
  disk: Disk,
  directory: string,
  epoch: number,
  numbers: readonly number[],
  cluster?: string,
): Promise<ReadHeader | undefined> {
  const segment = numbers[0]
  const path = segmentPath(directory, { family: 'log', epoch, segment })
  const file = await disk.open(path, 'read')
  try {
    for (let attempt = 0; ; attempt++) {
      const found = await headerIn(file, path, { family: 'log', epoch, segment }, cluster)
      if (found !== undefined) return found
      const headThere = typeof (await readOwnHead(file, { family: 'log', epoch, segment }, cluster)) === 'object'
      let later = await laterBatch(disk, directory, epoch, numbers, HEAD_BYTES)
      if (later?.path === path && later.offset === HEAD_BYTES) {
        // Its writer, whom we deposed, completed it while we looked: then it counts, like any batch that is whole when it is read.
        if (headThere && attempt < 3) continue
        // The head and the header are one write: torn between the two, it is no header.
        if (!headThere) later = await laterBatch(disk, directory, epoch, numbers, HEAD_BYTES + SECTOR_BYTES)
      }
      if (later === undefined) return undefined
      throw new JournalDamage('header', basename(later.path), later.offset, `the header of epoch ${epoch} is destroyed, and batches of it lie behind`)
    }
  } finally {
    await file.close()
  }
}

async function headerIn(file: DiskFile, path: string, name: SegmentName, cluster: string | undefined): Promise<ReadHeader | undefined> {
  const { epoch, segment } = name
  const head = await readOwnHead(file, name, cluster)
  if (head === 'newer') throw newer(path)
  if (head === 'none') return undefined
  if (head.before !== 0) {
    const before = segmentFile({ family: 'log', epoch, segment: head.before })
    throw new JournalDamage(
      'missing',
      before,
      0,
      `the segment is missing, and ${basename(path)} goes on from it: put the file back, or start from a copy of the directory`,
    )
  }
  const start = Buffer.alloc(BATCH_HEADER_BYTES)
  if ((await file.read(start, HEAD_BYTES)) < BATCH_HEADER_BYTES) return undefined
  const header = peekBatch(start, 0, epoch, segment, HEAD_BYTES)
  if (header === 'newer') throw newer(path)
  if (header === 'none' || (header.flags & FLAG_EPOCH_HEADER) === 0 || header.length > HEADER_BATCH_BYTES_MAX) return undefined
  const image = Buffer.alloc(header.length)
  if ((await file.read(image, HEAD_BYTES)) < header.length || !isWhole(image, 0, header)) return undefined
  const content = decodeEpochHeader(image.subarray(BATCH_HEADER_BYTES))
  if (content === undefined) throw new JournalDamage('header', basename(path), HEAD_BYTES, `the header of epoch ${epoch} is whole and makes no sense`)
  return { header, content, segment }
}

const newer = (path: string): JournalDamage =>
  new JournalDamage('newer', basename(path), 0, 'this journal was written by a newer version of Bascule: start that version, or a later one')

/** The first whole batch of an epoch at or behind `from` of its lowest segment. */
async function laterBatch(
  disk: Disk,
  directory: string,
  epoch: number,
  numbers: readonly number[],
  from: number,
): Promise<Readonly<{ path: string; offset: number }> | undefined> {
  for (const segment of numbers) {
    const path = segmentPath(directory, { family: 'log', epoch, segment })
    const file = await disk.open(path, 'read')
    try {
      const offset = await findLaterBatch(file, epoch, segment, segment === numbers[0] ? from : HEAD_BYTES)
      if (offset !== undefined) return { path, offset }
    } finally {
      await file.close()
    }
  }
  return undefined
}

type End = Readonly<{ segment: number; end: number; batch: number; wallMs: number; numbersTo: number; copy: CopiedBatch | undefined }>

/** Where an epoch ends that no header speaks of yet: behind its last whole batch. */
async function findEnd(disk: Disk, directory: string, epoch: number, numbers: readonly number[], known: Known): Promise<End> {
  for (let i = numbers.length - 1; i >= 0; i--) {
    const segment = numbers[i]
    const path = segmentPath(directory, { family: 'log', epoch, segment })
    const file = await disk.open(path, 'read')
    try {
      const { size } = await file.stat()
      let last = known.from?.epoch === epoch && known.from.segment === segment ? await batchBefore(file, known.from) : undefined
      const from = last === undefined ? HEAD_BYTES : last.offset + sectorAfter(last.length)
      const visit = (header: BatchHeader): void => {
        last = header
      }
      const warm = last !== undefined || (known.from?.epoch === epoch && known.from.segment < segment)
      const range = { epoch, segment, from, to: Math.max(size, from) }
      const scanned = await scanToEnd(file, range, visit, warm ? WARM_SEARCH_BYTES : undefined)
      if (scanned.newer) throw newer(path)
      if (scanned.later !== undefined) throw damagedBefore(path, scanned.end, scanned.later)
      if (last === undefined) continue
      if ((await readOwnHead(file, { family: 'log', epoch, segment }, known.cluster)) === 'none') {
        // The head and the first batch are one write: torn between the two, neither counts.
        if (last.offset === HEAD_BYTES) continue
        throw new JournalDamage('head', basename(path), 0, `the head of segment ${segment} is destroyed, and whole batches lie behind it`)
      }
      return { segment, end: scanned.end, batch: last.batch, wallMs: last.wallMs, numbersTo: last.numbersTo, copy: await copyOf(file, last) }
    } finally {
      await file.close()
    }
  }
  throw vanished(epoch)
}

/**
 * How far a reader that followed the writer looks behind the end for later batches. What it has not read yet was written moments ago, one batch at a time: a
 * batch that is torn or damaged there ends within the largest batch, and the next would begin right behind. The zeros beyond, up to the end of a
 * pre-allocated file, are for the cold reader, who may find damage of any age.
 */
const WARM_SEARCH_BYTES = 2 * BATCH_BYTES_MAX

/** The batch that ends at a position, found backwards: only its end is known. Undefined: not there, the segment is to be read from its begin. */
async function batchBefore(file: DiskFile, { epoch, batch, segment, offset }: Position): Promise<BatchHeader | undefined> {
  for (const bytes of [64 * 1024, BATCH_BYTES_MAX + SECTOR_BYTES]) {
    const base = Math.max(HEAD_BYTES, offset - bytes)
    const image = Buffer.allocUnsafeSlow(Math.max(0, offset - base))
    if ((await file.read(image, base)) < image.length) return undefined
    for (let at = image.length - SECTOR_BYTES; at >= 0; at -= SECTOR_BYTES) {
      const header = peekBatch(image, at, epoch, segment, base + at)
      if (typeof header === 'string' || base + at + sectorAfter(header.length) !== offset) continue
      if (header.batch === batch && isWhole(image, at, header)) return header
    }
    if (base === HEAD_BYTES) return undefined
  }
  return undefined
}

export const damagedBefore = (path: string, at: number, later: number): JournalDamage =>
  new JournalDamage(
    'batch',
    basename(path),
    at,
    `the batch is damaged: a whole later one lies behind it at ${later}, so this is not the torn end of a write; restore the file, or run: bascule journal check`,
  )

const vanished = (epoch: number): Error => Object.assign(new Error(`the last batch of epoch ${epoch} went while it was read`), { code: 'ENOENT' })

async function copyOf(file: DiskFile, header: BatchHeader): Promise<CopiedBatch | undefined> {
  // A header is not copied as such: of its contents, its copied batch (rule 7).
  if ((header.flags & FLAG_EPOCH_HEADER) !== 0) return undefined
  const bytes = Buffer.alloc(header.length)
  // What was written and never synced may go while we look, its writer being dead: what is copied must be what was found whole.
  if ((await file.read(bytes, header.offset)) < header.length || !isWhole(bytes, 0, header)) throw vanished(header.epoch)
  return { epoch: header.epoch, batch: header.batch, wallMs: header.wallMs, segment: header.segment, offset: header.offset, bytes }
}

/** What our header lists: epochs that still have segments, and void ones above the lowest of those. */
export function trimChain(chain: readonly ChainEntry[], inventory: Inventory): readonly ChainEntry[] {
  const has = (epoch: number): boolean => inventory.log.has(epoch) || inventory.old.some((name) => name.epoch === epoch)
  const first = chain.findIndex((entry) => entry.segment !== 0 && has(entry.epoch))
  return first === -1 ? [] : chain.slice(first).filter((entry) => entry.segment === 0 || has(entry.epoch))
}
