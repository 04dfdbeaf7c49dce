// Batches that are closed and wait for the one in flight, first in, first out, and the pressure when they are many: intake stops until half is written.
import type { Clock } from '../../api.ts'
import type { Batch } from './batch-writer.ts'

export class Backlog {
  readonly #batches: Batch[] = []
  readonly #clock: Clock
  /** Pressure begins here. */
  readonly #highBytes: number
  readonly #pressure: (high: boolean) => void
  #bytes = 0
  #pressed = false
  #told = false
  #over = false

  constructor(clock: Clock, highBytes: number, pressure: (high: boolean) => void) {
    this.#clock = clock
    this.#highBytes = highBytes
    this.#pressure = pressure
  }

  get first(): Batch | undefined {
    return this.#batches[0]
  }

  get empty(): boolean {
    return this.#batches.length === 0
  }

  add(batch: Batch): void {
    this.#batches.push(batch)
    this.#bytes += batch.length
  }

  take(): Batch | undefined {
    const batch = this.#batches.shift()
    if (batch !== undefined) this.#bytes -= batch.length
    return batch
  }

  /** Told in the next turn, never inside a call of the core. */
  press(): void {
    if (this.#pressed || this.#bytes < this.#highBytes) return
    this.#pressed = true
    this.#clock.turn(() => this.#tell())
  }

  relieve(): void {
    if (!this.#pressed || this.#bytes > this.#highBytes / 2) return
    this.#pressed = false
    this.#tell()
  }

  /** Nobody is told anything any more. */
  end(): void {
    this.#over = true
  }

  #tell(): void {
    if (this.#over || this.#told === this.#pressed) return
    this.#told = this.#pressed
    this.#pressure(this.#pressed)
  }
}
