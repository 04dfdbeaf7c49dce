// Segment files: their names, and the 512 bytes at their head. What lies behind the head is `batch.ts` (family log) or `old.ts` (family old).
//
//   0 magic 'BSCLSEG1' │ 8 format u8 │ 9 family u8 │ 10 key id u16 (0: plain) │ 12 segment u32 │ 16 epoch f64 │ 24 first batch f64
//   32 segment before of the same family and epoch u32 (0: none) │ 36 made, wall ms f64 │ 44 cluster 16 bytes │ 60 nonce space, 16 bytes of 0
//   76 node id: length u8 and UTF-8 (at most 63 bytes) │ … 0 … │ 508 CRC of all before
//
// Key id and nonce space are for encryption at rest, not yet used. A head is written with the first batch, so a recycled or
// pre-allocated file becomes a segment in one write; until then it is none.
import { join } from 'node:path'
import { crc32 } from '../crc.ts'

export type Family = 'log' | 'old'

export type SegmentHead = Readonly<{
  family: Family
  segment: number
  epoch: number
  firstBatch: number
  before: number
  madeMs: number
  cluster: string
  node: string
}>

export const FORMAT = 1
export const HEAD_BYTES = 512
/** A sector: batches begin and end on one, so that a committed sector is never written again. */
export const SECTOR_BYTES = 512
export const SEGMENT_MAX = 2 ** 32 - 1

export const sectorAfter = (offset: number): number => Math.ceil(offset / SECTOR_BYTES) * SECTOR_BYTES

const MAGIC = Buffer.from('BSCLSEG1')
const NODE_BYTES_MAX = 63

export function encodeHead(head: SegmentHead, into: Buffer): void {
  into.fill(0, 0, HEAD_BYTES)
  MAGIC.copy(into, 0)
  into.writeUInt8(FORMAT, 8)
  into.writeUInt8(head.family === 'log' ? 1 : 2, 9)
  into.writeUInt32LE(head.segment, 12)
  into.writeDoubleLE(head.epoch, 16)
  into.writeDoubleLE(head.firstBatch, 24)
  into.writeUInt32LE(head.before, 32)
  into.writeDoubleLE(head.madeMs, 36)
  Buffer.from(head.cluster, 'hex').copy(into, 44, 0, 16)
  const node = Buffer.from(head.node)
  const length = Math.min(node.length, NODE_BYTES_MAX)
  into.writeUInt8(length, 76)
  node.copy(into, 77, 0, length)
  into.writeUInt32LE(crc32(into.subarray(0, HEAD_BYTES - 4)), HEAD_BYTES - 4)
}

/** `none`: not a head of ours, or cut short. `newer`: whole, of a format that this version does not know. */
export function decodeHead(from: Buffer): SegmentHead | 'none' | 'newer' {
  if (from.length < HEAD_BYTES || !from.subarray(0, 8).equals(MAGIC)) return 'none'
  if (from.readUInt32LE(HEAD_BYTES - 4) !== crc32(from.subarray(0, HEAD_BYTES - 4))) return 'none'
  if (from.readUInt8(8) > FORMAT) return 'newer'
  return {
    family: from.readUInt8(9) === 1 ? 'log' : 'old',
    segment: from.readUInt32LE(12),
    epoch: from.readDoubleLE(16),
    firstBatch: from.readDoubleLE(24),
    before: from.readUInt32LE(32),
    madeMs: from.readDoubleLE(36),
    cluster: from.subarray(44, 60).toString('hex'),
    node: from.subarray(77, 77 + from.readUInt8(76)).toString(),
  }
}

export type SegmentName = Readonly<{ family: Family; epoch: number; segment: number }>

const padded = (n: number): string => String(n).padStart(10, '0')

export const segmentsIn = (directory: string): string => join(directory, 'segments')

export const segmentFile = ({ family, epoch, segment }: SegmentName): string =>
  `${family === 'log' ? 'seg' : 'old'}-${padded(epoch)}-${padded(segment)}`

export const segmentPath = (directory: string, name: SegmentName): string => join(segmentsIn(directory), segmentFile(name))

export function parseSegmentFile(file: string): SegmentName | undefined {
  const match = /^(seg|old)-([0-9]{10,15})-([0-9]{10})$/.exec(file)
  if (match === null) return undefined
  return { family: match[1] === 'seg' ? 'log' : 'old', epoch: Number(match[2]), segment: Number(match[3]) }
}

/** A pre-allocated or recycled file waiting to become a segment. Named by its maker's epoch: nobody else ever uses it. */
export const spareFile = (epoch: number, number: number): string => `spare-${padded(epoch)}-${padded(number)}`

export const isSpareFile = (file: string): boolean => /^spare-[0-9]{10,15}-[0-9]{10}$/.test(file)
