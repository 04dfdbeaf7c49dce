// Rows of numbers instead of objects: a slab grows by blocks of 4,096 rows and never moves one, so that ten million rows cost the collector nothing.
// A hot room: `get` and `set` are inlined by the engine, and rows are reused through a free list in their first field.

const SHIFT = 12
const ROWS = 1 << SHIFT
const MASK = ROWS - 1

/** Row 0 is never given out: 0 means "none" wherever a row number is kept. */
export class Slab {
  /** log2 of the u32 fields in a row. */
  readonly #wide: number
  readonly #words: Uint32Array[] = []
  readonly #doubles: Float64Array[] = []
  #free = 0
  #used = 1
  #count = 0

  /** `fields`: u32 fields a row, a power of two. */
  constructor(fields: number) {
    this.#wide = Math.log2(fields)
  }

  /** Rows in use. */
  get count(): number {
    return this.#count
  }

  /** Rows ever used: every row number in use is below. */
  get end(): number {
    return this.#used
  }

  get bytes(): number {
    return this.#words.length * ROWS * 4 * (1 << this.#wide)
  }

  /** A row, all zero. */
  take(): number {
    this.#count++
    const reused = this.#free
    if (reused !== 0) {
      this.#free = this.get(reused, 0)
      this.set(reused, 0, 0)
      return reused
    }
    const row = this.#used++
    if (row >>> SHIFT === this.#words.length) this.#grow()
    return row
  }

  give(row: number): void {
    const from = (row & MASK) << this.#wide
    this.#words[row >>> SHIFT].fill(0, from, from + (1 << this.#wide))
    this.set(row, 0, this.#free)
    this.#free = row
    this.#count--
  }

  get(row: number, field: number): number {
    return this.#words[row >>> SHIFT][((row & MASK) << this.#wide) | field]
  }

  set(row: number, field: number, value: number): void {
    this.#words[row >>> SHIFT][((row & MASK) << this.#wide) | field] = value
  }

  /** A double in the fields `field` and `field + 1`; `field` is even. */
  double(row: number, field: number): number {
    return this.#doubles[row >>> SHIFT][(((row & MASK) << this.#wide) | field) >>> 1]
  }

  setDouble(row: number, field: number, value: number): void {
    this.#doubles[row >>> SHIFT][(((row & MASK) << this.#wide) | field) >>> 1] = value
  }

  #grow(): void {
    const buffer = new ArrayBuffer((ROWS << this.#wide) * 4)
    this.#words.push(new Uint32Array(buffer))
    this.#doubles.push(new Float64Array(buffer))
  }
}
