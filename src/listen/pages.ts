// Pages in which output is gathered, used again once the operating system has what was in them. Memory that is allocated anew for each turn lies outside
// of the heap, and every 64 MiB of it make the collector begin a cycle of its own: 15 a second at the rates that are wanted here.
// Not here: who may use a page again when (`gathering-wire.ts`).

/** A page is as large as what is gathered already lets expect: a turn of one small packet takes little, and a busy one few pieces. */
const SIZES = [2 * 1024, 16 * 1024, 64 * 1024] as const
/** Free pages of each size that are kept: 5 MiB in all. Any more are left to the collector. */
const KEPT = [256, 64, 56] as const

export class Pages {
  readonly #free: Buffer[][] = SIZES.map(() => [])

  /** A page of at least so many bytes, at most the largest size; `gatheredBytes` are gathered already. What it holds is anything. */
  take(bytes: number, gatheredBytes: number): Buffer {
    let size = 0
    while (size < SIZES.length - 1 && (SIZES[size] < bytes || SIZES[size] <= gatheredBytes)) size++
    // Not from the pool that small buffers share: a page is handed to nobody else.
    return this.#free[size].pop() ?? Buffer.allocUnsafeSlow(SIZES[size])
  }

  /** Nobody reads it any more. */
  give(page: Buffer): void {
    const size = SIZES.findIndex((bytes) => bytes === page.length)
    if (this.#free[size].length < KEPT[size]) this.#free[size].push(page)
  }
}
