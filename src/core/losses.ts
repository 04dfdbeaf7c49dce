// What conversions between protocols could not carry: counted by from, to and field.

/** Field names may come from clients: as many are told apart as anybody would read. */
const TOLD_MAX = 1_000

export type Loss = { readonly from: string; readonly to: string; readonly field: string; count: number }

export class Losses {
  readonly #byKey = new Map<string, Loss>()

  count(from: string, to: string, field: string): void {
    const key = `${from} to ${to}: ${field}`
    const known = this.#byKey.get(key)
    if (known !== undefined) known.count++
    else if (this.#byKey.size < TOLD_MAX) this.#byKey.set(key, { from, to, field, count: 1 })
  }

  all(): readonly Readonly<Loss>[] {
    return [...this.#byKey.values()]
  }

  /** By `from to to: field`. */
  totals(): Readonly<Record<string, number>> {
    return Object.fromEntries([...this.#byKey].map(([key, { count }]) => [key, count]))
  }
}
