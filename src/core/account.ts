// Bytes by owner: who holds how much of this process's memory. In columns, so that a hundred thousand queues cost little.
// It counts what it is told; it is not a limit and not a measurement.

export type OwnerKind = 'connection' | 'session' | 'queue' | 'cache' | 'journal' | 'retained' | 'parked' | 'index' | 'other'

/** A small number, given again after `forget`. */
export type Owner = number

export interface Held {
  readonly owner: Owner
  readonly kind: OwnerKind
  readonly name: string
  readonly bytes: number
}

export class Account {
  readonly #kinds: OwnerKind[] = []
  readonly #totals: number[] = []
  readonly #names: string[] = []
  #bytes = new Float64Array(64)
  /** Index of the kind, plus one; 0: nobody. */
  #kindOf = new Uint8Array(64)
  readonly #free: Owner[] = []
  #owners = 0
  #total = 0

  /** A new owner, who holds nothing yet. */
  register(kind: OwnerKind, name: string): Owner {
    const owner = this.#free.pop() ?? this.#owners++
    if (owner >= this.#bytes.length) this.#grow()
    this.#names[owner] = name
    this.#kindOf[owner] = this.#indexOf(kind) + 1
    this.#bytes[owner] = 0
    return owner
  }

  /** What the owner still held is taken out of the totals; its number may be given to another. */
  forget(owner: Owner): void {
    this.sub(owner, this.of(owner))
    this.#names[owner] = ''
    this.#kindOf[owner] = 0
    this.#free.push(owner)
  }

  add(owner: Owner, bytes: number): void {
    const kind = (this.#kindOf[owner] ?? 0) - 1
    if (kind < 0) throw new Error(`owner ${owner} is not registered`)
    this.#bytes[owner] = (this.#bytes[owner] ?? 0) + bytes
    this.#totals[kind] = (this.#totals[kind] ?? 0) + bytes
    this.#total += bytes
    // Giving back more than was taken is a mistake in the caller that would hide another's bytes.
    if ((this.#bytes[owner] ?? 0) < 0) throw new Error(`${this.#names[owner]} gives back ${-(this.#bytes[owner] ?? 0)} bytes more than it has`)
  }

  sub(owner: Owner, bytes: number): void {
    this.add(owner, -bytes)
  }

  of(owner: Owner): number {
    return this.#bytes[owner] ?? 0
  }

  get total(): number {
    return this.#total
  }

  totals(): Readonly<Partial<Record<OwnerKind, number>>> {
    const totals: Partial<Record<OwnerKind, number>> = {}
    for (const [index, kind] of this.#kinds.entries()) totals[kind] = this.#totals[index] ?? 0
    return totals
  }

  /** Those who hold most, the largest first. */
  top(count: number): Held[] {
    const best: Held[] = []
    for (let owner = 0; owner < this.#owners; owner++) {
      const kind = this.#kinds[(this.#kindOf[owner] ?? 0) - 1]
      const bytes = this.of(owner)
      if (kind === undefined || bytes === 0 || (best.length === count && bytes <= (best.at(-1)?.bytes ?? 0))) continue
      const place = best.findIndex((each) => each.bytes < bytes)
      best.splice(place === -1 ? best.length : place, 0, { owner, kind, name: this.#names[owner] ?? '', bytes })
      if (best.length > count) best.pop()
    }
    return best
  }

  #indexOf(kind: OwnerKind): number {
    const index = this.#kinds.indexOf(kind)
    if (index !== -1) return index
    this.#totals.push(0)
    return this.#kinds.push(kind) - 1
  }

  #grow(): void {
    const bytes = new Float64Array(this.#bytes.length * 2)
    bytes.set(this.#bytes)
    this.#bytes = bytes
    const kindOf = new Uint8Array(bytes.length)
    kindOf.set(this.#kindOf)
    this.#kindOf = kindOf
  }
}
