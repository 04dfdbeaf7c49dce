// Segments of family `old`: what survived one pass. Records only, no commits: a `log` batch speaks of them, and they are on disk before it is written.
//
//   segment head (512) ║ 'OLD1' u32 │ length u32 │ CRC u32 of (epoch, segment, offset, bytes) │ 0 u32 │ bytes ║ …
import { type Disk, type DiskFile, codeOf } from '../../disk.ts'
import { crc32 } from '../crc.ts'
import type { Range } from '../journal.ts'
import { HEAD_BYTES, encodeHead, segmentsIn } from './segment.ts'
import type { Segment, Segments } from './segments.ts'

export const OLD_MAGIC = 0x31444c4f
export const OLD_HEADER_BYTES = 16
const WRITE_BYTES = 1024 * 1024

export type OldOptions = Readonly<{
  disk: Disk
  directory: string
  epoch: number
  cluster: string
  node: string
  segmentBytes: number
  segments: Segments
  wallMs: () => number
  nextNumber: () => number
}>

export function oldCrc(epoch: number, segment: number, offset: number, bytes: Uint8Array): number {
  const place = Buffer.alloc(16)
  place.writeDoubleLE(epoch, 0)
  place.writeUInt32LE(segment, 8)
  place.writeUInt32LE(offset, 12)
  return crc32(bytes, crc32(place))
}

/** One call at a time. A thrown error is a failed write or sync (rule 15), but for a full disk: that file is given up and `undefined` answered. */
export class OldWriter {
  readonly #options: OldOptions
  #file: DiskFile | undefined
  #segment: Segment | undefined

  constructor(options: OldOptions) {
    this.#options = options
  }

  get current(): number {
    return this.#segment?.segment ?? 0
  }

  async append(pieces: readonly Uint8Array[]): Promise<readonly Range[] | undefined> {
    const moved: Range[] = []
    const touched = new Set<DiskFile>()
    let fresh = false
    let waiting: Uint8Array[] = []
    let waitingBytes = 0
    let at = this.#segment?.bytes ?? 0
    const flush = async (): Promise<void> => {
      if (this.#file === undefined || this.#segment === undefined || waitingBytes === 0) return
      await this.#file.write(waiting, at - waitingBytes)
      touched.add(this.#file)
      this.#segment.bytes = this.#segment.fileBytes = at
      waiting = []
      waitingBytes = 0
    }
    try {
      for (const bytes of pieces) {
        const length = OLD_HEADER_BYTES + bytes.byteLength
        if (this.#segment === undefined || at + length > Math.max(this.#options.segmentBytes, HEAD_BYTES + length)) {
          await flush()
          for (const file of touched) await file.sync()
          touched.clear()
          await this.#roll()
          fresh = true
          at = HEAD_BYTES
        }
        const segment = this.#segment
        if (segment === undefined) throw new Error('no old segment after a roll')
        const header = Buffer.alloc(OLD_HEADER_BYTES)
        header.writeUInt32LE(OLD_MAGIC, 0)
        header.writeUInt32LE(bytes.byteLength, 4)
        header.writeUInt32LE(oldCrc(segment.epoch, segment.segment, at, bytes), 8)
        moved.push({ segment: segment.segment, offset: at + OLD_HEADER_BYTES, length: bytes.byteLength })
        waiting.push(header, bytes)
        waitingBytes += length
        at += length
        if (waitingBytes >= WRITE_BYTES) await flush()
      }
      await flush()
    } catch (error) {
      if (codeOf(error) !== 'ENOSPC' && codeOf(error) !== 'EDQUOT') throw error
      await this.close()
      return undefined
    }
    for (const file of touched) await file.sync()
    // Rule 8: the name too, before anything speaks of it.
    if (fresh) await this.#options.disk.syncDirectory(segmentsIn(this.#options.directory))
    for (const { segment } of moved) {
      const known = this.#options.segments.get(segment)
      if (known !== undefined) known.durableBytes = known.bytes
    }
    return moved
  }

  async #roll(): Promise<void> {
    const { disk, epoch, cluster, node, segments } = this.#options
    const before = this.current
    await this.close()
    const segment = this.#options.nextNumber()
    const made = segments.add({
      segment,
      family: 'old',
      epoch,
      bytes: 0,
      durableBytes: 0,
      fileBytes: 0,
      sealed: false,
      keeps: false,
      firstBatch: 0,
      lastBatch: 0,
    })
    this.#segment = made
    this.#file = await disk.open(made.path, 'create')
    const head = Buffer.alloc(HEAD_BYTES)
    encodeHead({ family: 'old', segment, epoch, firstBatch: 0, before, madeMs: this.#options.wallMs(), cluster, node }, head)
    await this.#file.write([head], 0)
    made.bytes = made.fileBytes = HEAD_BYTES
  }

  /** The current segment gets nothing more. */
  async close(): Promise<void> {
    if (this.#segment !== undefined) this.#segment.sealed = true
    const file = this.#file
    this.#file = undefined
    this.#segment = undefined
    await file?.close()
  }
}
