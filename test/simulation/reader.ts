// Listens in on what a replica is told, as a standby's and as a claimant's: what it was told goes into the history, and its digest from time to time.
import type { Replica } from '../../src/core/replica.ts'
import type { Visitor } from '../../src/journal/journal.ts'
import { crc32 } from '../../src/journal/crc.ts'
import type { History } from './history.ts'

export class Reader implements Visitor {
  readonly name: string
  /** The last batch that it was told; undefined before the first. */
  last: number | undefined
  /** What a snapshot covers is judged by its digest. */
  hasSnapshot = false
  readonly #replica: Replica
  readonly #history: History
  #epoch = 0
  #crc = 0
  #facts = 0
  #ended = true

  constructor(name: string, replica: Replica, history: History) {
    this.name = name
    this.#replica = replica
    this.#history = history
  }

  snapshot(bytes: readonly Uint8Array[]): void | Promise<void> {
    this.hasSnapshot = true
    this.#history.trace(`${this.name} is told a snapshot`)
    return this.#replica.snapshot(bytes)
  }

  batch(batch: number, epoch: number, wallMs: number): void {
    this.end()
    if (this.last !== undefined) this.#history.passed(this.last, batch, this.name)
    else if (!this.hasSnapshot) this.#history.passed(0, batch, this.name)
    this.last = batch
    this.#ended = false
    this.#epoch = epoch
    this.#replica.batch(batch, epoch, wallMs)
  }

  fact(type: number, buffer: Buffer, start: number, end: number, segment: number, offset: number): void {
    this.#facts += 1
    this.#crc = crc32(buffer.subarray(start, end), (this.#crc + type) >>> 0)
    this.#replica.fact(type, buffer, start, end, segment, offset)
  }

  moved(segment: number, offset: number, length: number, toSegment: number, toOffset: number): void {
    const replica: Visitor = this.#replica
    replica.moved?.(segment, offset, length, toSegment, toOffset)
  }

  readonly digest = (): string => this.#replica.digest().digest

  /** The batch it was being told is complete. */
  end(): void {
    const { last } = this
    if (last === undefined || this.#ended) return
    this.#ended = true
    const facts = this.#facts
    this.#history.told(last, this.#epoch, this.#crc, this.name)
    this.#crc = 0
    this.#facts = 0
    if (facts > 0 && (last % 8 === 0 || this.#history.hasDigest(last))) this.#history.digest(last, this.digest(), this.name)
  }
}
