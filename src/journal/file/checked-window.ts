// What is read back from a segment: windows that begin and end on units which carry a CRC (batches in `log`, records in `old`), with nothing in them that was
// not checked. Bits flip on disks, and what a consumer is given must be what a producer sent. It knows no cache and no other request: that is `fetch.ts`.
import type { DiskFile } from '../../disk.ts'
import { FACT_BYTES_MAX } from '../journal.ts'
import { BATCH_BYTES_MAX, BATCH_HEADER_BYTES, FLAG_EPOCH_HEADER, HEADER_BATCH_BYTES_MAX, isWhole, peekBatch } from './batch.ts'
import { OLD_HEADER_BYTES, OLD_MAGIC, oldCrc } from './old.ts'
import { HEAD_BYTES, SECTOR_BYTES, sectorAfter } from './segment.ts'
import type { Segment } from './segments.ts'

export const READ_AHEAD_BYTES = 256 * 1024
/** How far before a record the batch that holds it is looked for, in steps: many batches are small, none but an epoch's header is larger than the last. */
const SEARCH_BYTES = [64 * 1024, 256 * 1024, BATCH_BYTES_MAX]
/** Bytes that may be checked in vain in one search: bodies may be made to look like the headers of batches. */
const SUSPECT_BYTES_MAX = 32 * BATCH_BYTES_MAX
/** A unit that the window cuts off is left to the next one if no more than this of it was read; else the rest of it is read, too. */
const LEFT_BYTES_MAX = 16 * 1024

/** `bytes[0]` lies at `base`. `unitBytes`: what the last unit in it takes. */
export type Checked = Readonly<{ base: number; bytes: Buffer; unitBytes: number }>
/** A place where a batch is known to begin, and what the one before takes: the next ones are often as large. */
export type Boundary = Readonly<{ at: number; unitBytes: number }>
/** `from`: where the damaged unit begins, as far as that can be told; what is asked for in [from, end) is not worth reading again soon. */
export type Damaged = Readonly<{ from: number; end: number; sentence: string }>
export type Wanted = Readonly<{ offset: number; length: number }>

/** `near`: at or before the record, if one is known. */
export async function readChecked(file: DiskFile, known: Segment, wanted: Wanted, near: Boundary | undefined): Promise<Checked | Damaged> {
  return known.family === 'log' ? readLog(file, known, wanted, near) : readOld(file, known, wanted)
}

async function readLog(file: DiskFile, known: Segment, wanted: Wanted, near: Boundary | undefined): Promise<Checked | Damaged> {
  if (near === undefined) return searchLog(file, known, wanted, undefined)
  const loaded = new Loaded(file, near.at, known.durableBytes)
  // A guess at where a batch ends saves the second read for the rest of one that is cut off.
  const unitBytes = Math.max(SECTOR_BYTES, Math.min(near.unitBytes, BATCH_BYTES_MAX))
  const ahead = Math.ceil(READ_AHEAD_BYTES / unitBytes) * unitBytes
  await loaded.upTo(Math.max(near.at + ahead, sectorAfter(wanted.offset + wanted.length)))
  const walked = await walk(loaded, near.at, batchAt(known), wanted)
  return walked.checked ?? searchLog(file, known, wanted, walked.end)
}

/** Backwards from the record, sector by sector, for the header of the batch around it. */
async function searchLog(file: DiskFile, known: Segment, wanted: Wanted, suspect: number | undefined): Promise<Checked | Damaged> {
  const { offset, length } = wanted
  const unitAt = batchAt(known)
  const top = Math.floor((offset - BATCH_HEADER_BYTES) / SECTOR_BYTES) * SECTOR_BYTES
  const loaded = new Loaded(file, Math.max(HEAD_BYTES, top - SEARCH_BYTES[0]), known.durableBytes)
  await loaded.upTo(Math.max(top + READ_AHEAD_BYTES, sectorAfter(offset + length)))
  let damaged: Damaged | undefined
  /** Where a batch before the record ends: the one around it, if its header is lost, begins there. */
  let before = suspect
  let spent = 0
  let at = top
  for (const step of SEARCH_BYTES) {
    const low = Math.max(HEAD_BYTES, top - step)
    await loaded.downTo(low)
    for (; at >= low && spent < SUSPECT_BYTES_MAX; at -= SECTOR_BYTES) {
      const unit = unitAt(loaded.bytes, at - loaded.base, at)
      if (unit === undefined) continue
      if (at + unit.length < offset + length) {
        before ??= unit.isWhole(loaded.bytes, at - loaded.base) ? unit.next : at
        continue
      }
      spent += unit.length
      const { checked } = await walk(loaded, at, unitAt, wanted)
      if (checked !== undefined) return checked
      damaged ??= { from: at, end: await endOf(loaded, at, unit, unitAt, wanted), sentence: BATCH_SENTENCE }
    }
  }
  return (await readHeader(file, known, wanted)) ?? damaged ?? { from: before ?? offset, end: offset + length, sentence: BATCH_SENTENCE }
}

/** Where a damaged batch ends: its length is believed if another batch begins behind it. */
async function endOf(loaded: Loaded, at: number, unit: Unit, unitAt: UnitAt, wanted: Wanted): Promise<number> {
  await loaded.upTo(unit.next + SECTOR_BYTES)
  return unitAt(loaded.bytes, unit.next - loaded.base, unit.next) === undefined ? wanted.offset + wanted.length : at + unit.length
}

const BATCH_SENTENCE = 'a batch is damaged: what it holds cannot be read'

/** The header of an epoch, which holds a copy of a batch, may be larger than any other. It lies at the start of its segment. */
async function readHeader(file: DiskFile, known: Segment, wanted: Wanted): Promise<Checked | undefined> {
  if (wanted.offset - HEAD_BYTES < BATCH_BYTES_MAX || wanted.offset - HEAD_BYTES > HEADER_BATCH_BYTES_MAX) return undefined
  const loaded = new Loaded(file, HEAD_BYTES, known.durableBytes)
  await loaded.upTo(HEAD_BYTES + BATCH_HEADER_BYTES)
  const header = peekBatch(loaded.bytes, 0, known.epoch, known.segment, HEAD_BYTES)
  if (typeof header === 'string' || (header.flags & FLAG_EPOCH_HEADER) === 0 || HEAD_BYTES + header.length < wanted.offset + wanted.length)
    return undefined
  await loaded.upTo(HEAD_BYTES + sectorAfter(header.length))
  return (await walk(loaded, HEAD_BYTES, batchAt(known), wanted)).checked
}

async function readOld(file: DiskFile, known: Segment, wanted: Wanted): Promise<Checked | Damaged> {
  const { offset, length } = wanted
  const from = offset - OLD_HEADER_BYTES
  const loaded = new Loaded(file, from, known.durableBytes)
  await loaded.upTo(Math.max(offset + length, from + READ_AHEAD_BYTES))
  const { checked } = await walk(loaded, from, recordAt(known), wanted)
  return checked ?? { from, end: offset + length, sentence: 'a moved record is not whole: it cannot be read' }
}

/** A stretch of bytes with a CRC. `length`: from its start to the end of what the CRC covers; `next`: where the next one would begin. */
type Unit = Readonly<{ length: number; next: number; isWhole: (image: Buffer, start: number) => boolean }>
/** The unit that says it lies at `place`, which is `image[start …]`; its content is not looked at. */
type UnitAt = (image: Buffer, start: number, place: number) => Unit | undefined

const batchAt =
  ({ epoch, segment }: Segment): UnitAt =>
  (image, start, place) => {
    const header = peekBatch(image, start, epoch, segment, place)
    if (typeof header === 'string') return undefined
    return { length: header.length, next: place + sectorAfter(header.length), isWhole: (whole, at) => isWhole(whole, at, header) }
  }

const recordAt =
  ({ epoch, segment }: Segment): UnitAt =>
  (image, start, place) => {
    if (start + OLD_HEADER_BYTES > image.length || image.readUInt32LE(start) !== OLD_MAGIC) return undefined
    const bytes = image.readUInt32LE(start + 4)
    const length = OLD_HEADER_BYTES + bytes
    // A length that was damaged must not have gigabytes read.
    if (bytes > FACT_BYTES_MAX) return undefined
    return {
      length,
      next: place + length,
      isWhole: (whole, at) =>
        at + length <= whole.length &&
        whole.readUInt32LE(at + 8) === oldCrc(epoch, segment, place, whole.subarray(at + OLD_HEADER_BYTES, at + length)),
    }
  }

/** Checks unit after unit from `start` on. `end`: where it stopped; `checked`: all up to there, if the record lies within one of them. */
async function walk(loaded: Loaded, start: number, unitAt: UnitAt, wanted: Wanted): Promise<Readonly<{ end: number; checked: Checked | undefined }>> {
  const wantedEnd = wanted.offset + wanted.length
  let found = false
  let at = start
  let unitBytes = 0
  for (let cut = false; !cut; ) {
    const unit = unitAt(loaded.bytes, at - loaded.base, at)
    if (unit === undefined) break
    const end = at + unit.length
    if (end > loaded.end) {
      if (end > loaded.limit || (found && loaded.end - at <= LEFT_BYTES_MAX)) break
      await loaded.upTo(unit.next)
      cut = true
    }
    if (!unit.isWhole(loaded.bytes, at - loaded.base)) break
    found ||= at < wanted.offset && wantedEnd <= end
    unitBytes = unit.next - at
    at = unit.next
  }
  if (!found) return { end: at, checked: undefined }
  return { end: at, checked: { base: start, bytes: loaded.between(start, Math.min(at, loaded.end)), unitBytes } }
}

/** A stretch of a file in memory, which grows in both directions. */
class Loaded {
  readonly limit: number
  readonly #file: DiskFile
  base: number
  bytes: Buffer = Buffer.alloc(0)

  constructor(file: DiskFile, base: number, limit: number) {
    this.#file = file
    this.base = base
    this.limit = limit
  }

  get end(): number {
    return this.base + this.bytes.length
  }

  /** As far as the file goes; never into what is still being written. */
  async upTo(end: number): Promise<void> {
    const have = this.bytes.length
    const wanted = Math.min(end, this.limit) - this.base
    if (wanted <= have) return
    const buffer = Buffer.allocUnsafeSlow(wanted)
    this.bytes.copy(buffer)
    const count = await this.#file.read(buffer.subarray(have), this.base + have)
    this.bytes = buffer.subarray(0, have + count)
  }

  async downTo(base: number): Promise<void> {
    if (base >= this.base) return
    const before = this.base - base
    const buffer = Buffer.allocUnsafeSlow(before + this.bytes.length)
    this.bytes.copy(buffer, before)
    const count = await this.#file.read(buffer.subarray(0, before), base)
    // Shorter than it was a moment ago: there is nothing behind it any more, either.
    this.bytes = count < before ? buffer.subarray(0, count) : buffer
    this.base = base
  }

  /** The view is kept for long: it must not keep much more memory alive than it shows. */
  between(from: number, end: number): Buffer {
    const view = this.bytes.subarray(from - this.base, end - this.base)
    return view.length * 4 < this.bytes.length * 3 ? Buffer.from(view) : view
  }
}
