// The segments of a directory as its leader knows them, and the bytes they take.
import type { SegmentInfo } from '../journal.ts'
import { type Family, segmentPath } from './segment.ts'

export type Segment = {
  readonly segment: number
  readonly family: Family
  readonly epoch: number
  readonly path: string
  /** Written, or about to be: what is admitted counts. */
  bytes: number
  /** On disk for certain: reads go no further. */
  durableBytes: number
  /** What the file takes on disk. */
  fileBytes: number
  sealed: boolean
  /** It holds the header of the running epoch: never freed by this leader, or nobody could tell what its epoch was. */
  readonly keeps: boolean
  firstBatch: number
  lastBatch: number
}

export class Segments {
  readonly #directory: string
  readonly #byNumber = new Map<number, Segment>()

  constructor(directory: string) {
    this.#directory = directory
  }

  get(segment: number): Segment | undefined {
    return this.#byNumber.get(segment)
  }

  add(one: Omit<Segment, 'path'>): Segment {
    const { family, epoch, segment } = one
    const made = { ...one, path: segmentPath(this.#directory, { family, epoch, segment }) }
    this.#byNumber.set(one.segment, made)
    return made
  }

  delete(segment: number): void {
    this.#byNumber.delete(segment)
  }

  /**
   * `last` holds the last committed batch and counts as open, however full: until a batch behind it is committed, nothing else on disk says where the
   * journal ends, and a successor would take an earlier segment's end for it.
   */
  infos(last: number): SegmentInfo[] {
    const infos: SegmentInfo[] = []
    for (const { segment, family, bytes, sealed, keeps, firstBatch, lastBatch } of this.#byNumber.values()) {
      infos.push({ segment, family, bytes, sealed: sealed && !keeps && segment !== last, firstBatch, lastBatch })
    }
    return infos
  }

  /** A sealed segment counts with its whole file, one that is written with what is written. */
  get usedBytes(): number {
    let sum = 0
    for (const one of this.#byNumber.values()) sum += one.sealed ? Math.max(one.fileBytes, one.bytes) : one.bytes
    return sum
  }
}
