// The bytes of a batch: 64 bytes of header, then facts, then zeros up to a sector. Pure: no file, no clock.
//
//   0 magic 'BSB1' │ 4 format u8 │ 5 encoding u8 (0: plain) │ 6 flags u8 (1: header of its epoch) │ 7 lowest reader format u8
//   8 batch f64 │ 16 epoch f64 │ 24 segment u32 │ 28 offset u32 │ 32 writer's wall ms f64 │ 40 length u32, header included, padding not
//   44 highest segment number given so far u32 │ 48 previous batch's number, as far as this writer knows, f64 │ 56 zeros │ 60 CRC u32 of all but itself
//
// A fact is `type | size << 8` (u32) and its bytes. Everything is little-endian. Where a batch lies is part of what the CRC covers, so that
// a batch of a file's earlier life, or one that landed elsewhere, is never taken for one.
import { crc32 } from '../crc.ts'
import { FORMAT } from './segment.ts'

export const BATCH_HEADER_BYTES = 64
export const BATCH_BYTES_MAX = 1024 * 1024
export const FACT_HEADER_BYTES = 4
/** Bound on the header of an epoch: the chain and a copy of one batch. */
export const HEADER_BATCH_BYTES_MAX = 8 * 1024 * 1024

const MAGIC = 0x31425342
const CRC_AT = 60
export const FLAG_EPOCH_HEADER = 1

export type BatchHeader = Readonly<{
  batch: number
  epoch: number
  segment: number
  offset: number
  wallMs: number
  /** Header and content, without padding. */
  length: number
  /** The highest segment number given so far, in any family. */
  numbersTo: number
  previous: number
  flags: number
}>

/** Writes the header of the batch whose content already lies behind it: `image[start + 64 … start + length)`. */
export function sealBatch(image: Buffer, start: number, header: BatchHeader): void {
  image.writeUInt32LE(MAGIC, start)
  image[start + 4] = FORMAT
  image[start + 5] = 0
  image[start + 6] = header.flags
  image[start + 7] = FORMAT
  image.writeDoubleLE(header.batch, start + 8)
  image.writeDoubleLE(header.epoch, start + 16)
  image.writeUInt32LE(header.segment, start + 24)
  image.writeUInt32LE(header.offset, start + 28)
  image.writeDoubleLE(header.wallMs, start + 32)
  image.writeUInt32LE(header.length, start + 40)
  image.writeUInt32LE(header.numbersTo, start + 44)
  image.writeDoubleLE(header.previous, start + 48)
  image.writeUInt32LE(0, start + 56)
  image.writeUInt32LE(crcOf(image, start, header.length), start + CRC_AT)
}

function crcOf(image: Buffer, start: number, length: number): number {
  const before = crc32(image.subarray(start, start + CRC_AT))
  return crc32(image.subarray(start + BATCH_HEADER_BYTES, start + length), before)
}

export type Unreadable = 'none' | 'newer'

/** The header at `start`, if it is one that says it lies there, and the length it names is possible; its content is not looked at. */
export function peekBatch(image: Buffer, start: number, epoch: number, segment: number, offset: number): BatchHeader | Unreadable {
  if (start + BATCH_HEADER_BYTES > image.length || image.readUInt32LE(start) !== MAGIC) return 'none'
  const flags = image[start + 6]
  const length = image.readUInt32LE(start + 40)
  const header: BatchHeader = {
    batch: image.readDoubleLE(start + 8),
    epoch: image.readDoubleLE(start + 16),
    segment: image.readUInt32LE(start + 24),
    offset: image.readUInt32LE(start + 28),
    wallMs: image.readDoubleLE(start + 32),
    length,
    numbersTo: image.readUInt32LE(start + 44),
    previous: image.readDoubleLE(start + 48),
    flags,
  }
  if (header.epoch !== epoch || header.segment !== segment || header.offset !== offset) return 'none'
  if (length < BATCH_HEADER_BYTES || length > ((flags & FLAG_EPOCH_HEADER) === 0 ? BATCH_BYTES_MAX : HEADER_BATCH_BYTES_MAX)) return 'none'
  if (image[start + 7] > FORMAT) return 'newer'
  if (image[start + 5] !== 0) return 'newer'
  return header
}

/** Is all of it here and unharmed? */
export function isWhole(image: Buffer, start: number, header: BatchHeader): boolean {
  return start + header.length <= image.length && image.readUInt32LE(start + CRC_AT) === crcOf(image, start, header.length)
}

/** Calls `fact` for each fact in `image[from … to)`; false: the lengths do not add up. */
export function eachFact(image: Buffer, from: number, to: number, fact: (type: number, start: number, end: number) => void): boolean {
  let at = from
  while (at < to) {
    if (at + FACT_HEADER_BYTES > to) return false
    const header = image.readUInt32LE(at)
    const start = at + FACT_HEADER_BYTES
    at = start + (header >>> 8)
    if (at > to) return false
    fact(header & 0xff, start, at)
  }
  return true
}
