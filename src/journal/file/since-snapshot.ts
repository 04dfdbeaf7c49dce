// How much a start would have to read beyond the last snapshot: bytes of the log since the batch that it names.

/** Cuts whose snapshots may still come. */
const CUTS_MAX = 8

export class SinceSnapshot {
  #committedBytes = 0
  /** Where the last snapshot is; not positive: before this term. */
  #takenAt: number
  #cuts: Readonly<{ batch: number; at: number }>[] = []

  constructor(beforeBytes: number) {
    this.#takenAt = -beforeBytes
  }

  get bytes(): number {
    return this.#committedBytes - this.#takenAt
  }

  committed(bytes: number): void {
    this.#committedBytes += bytes
  }

  /** A warm takeover reads little of what a cold one would: the next snapshot is due by the latter. */
  surveyed(beforeBytes: number): void {
    if (this.#takenAt <= 0) this.#takenAt = Math.min(this.#takenAt, -beforeBytes)
  }

  /** A snapshot of this batch was begun. */
  cut(batch: number): void {
    this.#cuts.push({ batch, at: this.#committedBytes })
    if (this.#cuts.length > CUTS_MAX) this.#cuts.shift()
  }

  taken(batch: number): void {
    const cut = this.#cuts.find((one) => one.batch === batch)
    if (cut !== undefined) this.#takenAt = cut.at
    this.#cuts = this.#cuts.filter((one) => one.batch > batch)
  }
}
