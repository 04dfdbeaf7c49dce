// Puts batches on disk: rules 11 and 12, one at a time, into the own epoch's segments and nowhere else. It judges no failure: who calls it does (rule 15).
import type { Clock } from '../../api.ts'
import type { Disk, DiskFile } from '../../disk.ts'
import { sealBatch } from './batch.ts'
import type { Image } from './cache.ts'
import { sectorAfter, segmentsIn } from './segment.ts'
import type { Segment } from './segments.ts'

export type Batch = Readonly<{
  batch: number
  /** Its bytes are `image.buffer[start … start + length)`. */
  image: Image
  start: number
  length: number
  segment: Segment
  numbersTo: number
  /** It is the first of its segment, whose head lies before it in the image. */
  opens: boolean
}>

export type BatchWriterOptions = Readonly<{
  disk: Disk
  directory: string
  clock: Clock
  epoch: number
  /** The segment of the epoch's header, open. */
  file: DiskFile
  /** The path of a file that is ready to become a segment, if there is one. */
  takeSpare: () => string | undefined
}>

export class BatchWriter {
  readonly #options: BatchWriterOptions
  #file: DiskFile | undefined

  constructor(options: BatchWriterOptions) {
    this.#options = options
    this.#file = options.file
  }

  /** Durable when it ends, the name of a new segment too. */
  write(batch: Batch): Promise<void> {
    const { image, start, length, segment } = batch
    const offset = image.base + start
    sealBatch(image.buffer, start, {
      batch: batch.batch,
      epoch: this.#options.epoch,
      segment: segment.segment,
      offset,
      wallMs: this.#options.clock.wallMs(),
      length,
      numbersTo: batch.numbersTo,
      previous: batch.batch - 1,
      flags: 0,
    })
    if (batch.opens) return this.#writeFirst(batch)
    if (this.#file === undefined) return Promise.reject(new Error('no segment is open'))
    return this.#file.write([image.buffer.subarray(start, sectorAfter(start + length))], offset)
  }

  async #writeFirst({ image, start, length, segment }: Batch): Promise<void> {
    const { disk, directory } = this.#options
    await this.close()
    const spare = this.#options.takeSpare()
    if (spare === undefined) this.#file = await disk.open(segment.path, 'create-synced')
    else {
      await disk.rename(spare, segment.path)
      this.#file = await disk.open(segment.path, 'write-synced')
    }
    // The head lies before the batch in the same image: both in one write.
    await this.#file.write([image.buffer.subarray(0, sectorAfter(start + length))], 0)
    await disk.syncDirectory(segmentsIn(directory))
  }

  /** At a clean end: the zeros behind the last batch are not worth keeping. */
  async truncate(end: number): Promise<void> {
    await this.#file?.truncate(end).catch(() => undefined)
  }

  /** Never under a write: its descriptor's number might be another file's by then. */
  async close(): Promise<void> {
    const file = this.#file
    this.#file = undefined
    await file?.close()
  }
}
