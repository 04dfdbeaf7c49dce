// Sequences in the order in which they are given out: by priority, then rising. What a selector took, or what is yet to be judged.
// A hot room: 8 bytes an entry, in rings that grow and shrink; most sequences come at the end and go at the front, and one that comes
// back moves the shorter side. It knows nothing of entries: whether one is still there is asked when it is its turn.

const PRIORITIES = 10
const CAPACITY_MIN = 8

export class MatchList {
  /** By priority, made when first needed. */
  readonly #lanes: (Sequences | undefined)[] = []
  /** Bit n: there are some of priority n. */
  #filled = 0
  count = 0

  /** Once is enough: one that is there already is not added again. */
  add(priority: number, sequence: number): void {
    let lane = this.#lanes[priority]
    if (lane === undefined) {
      while (this.#lanes.length < PRIORITIES) this.#lanes.push(undefined)
      lane = new Sequences()
      this.#lanes[priority] = lane
    }
    if (!lane.add(sequence)) return
    this.#filled |= 1 << priority
    this.count++
  }

  /** Of the first; meaningless when there is none. */
  get priority(): number {
    return 31 - Math.clz32(this.#filled)
  }

  /** 0: there is none. */
  get first(): number {
    return this.#filled === 0 ? 0 : (this.#lanes[this.priority]?.first ?? 0)
  }

  dropFirst(): void {
    const { priority } = this
    const lane = this.#lanes[priority]
    if (lane === undefined) return
    lane.dropFirst()
    this.count--
    if (lane.count === 0) this.#filled &= ~(1 << priority)
  }

  /** Forgets what is not wanted any more. */
  keep(wanted: (sequence: number) => boolean): void {
    this.count = 0
    this.#filled = 0
    for (const [priority, lane] of this.#lanes.entries()) {
      if (lane === undefined) continue
      lane.keep(wanted)
      this.count += lane.count
      if (lane.count > 0) this.#filled |= 1 << priority
    }
  }
}

/** A ring of rising numbers. */
class Sequences {
  #ring = new Float64Array(CAPACITY_MIN)
  #from = 0
  count = 0

  get first(): number {
    return this.#ring[this.#from]
  }

  /** False: it is there already. */
  add(sequence: number): boolean {
    const { count } = this
    let at = count
    if (count > 0 && this.#at(count - 1) >= sequence) {
      at = this.#placeOf(sequence)
      if (this.#at(at) === sequence) return false
    }
    if (count === this.#ring.length) this.#resize(count * 2)
    const mask = this.#ring.length - 1
    if (at < count / 2) {
      this.#from = (this.#from - 1) & mask
      for (let i = 0; i < at; i++) this.#ring[(this.#from + i) & mask] = this.#ring[(this.#from + i + 1) & mask]
    } else for (let i = count; i > at; i--) this.#ring[(this.#from + i) & mask] = this.#ring[(this.#from + i - 1) & mask]
    this.#ring[(this.#from + at) & mask] = sequence
    this.count++
    return true
  }

  dropFirst(): void {
    this.#from = (this.#from + 1) & (this.#ring.length - 1)
    this.count--
    if (this.#ring.length > CAPACITY_MIN && this.count < this.#ring.length / 8) this.#resize(this.#ring.length / 4)
  }

  keep(wanted: (sequence: number) => boolean): void {
    const mask = this.#ring.length - 1
    let kept = 0
    for (let i = 0; i < this.count; i++) {
      const sequence = this.#at(i)
      if (wanted(sequence)) this.#ring[(this.#from + kept++) & mask] = sequence
    }
    this.count = kept
    let capacity = this.#ring.length
    while (capacity > CAPACITY_MIN && kept < capacity / 4) capacity /= 2
    if (capacity !== this.#ring.length) this.#resize(capacity)
  }

  #at(i: number): number {
    return this.#ring[(this.#from + i) & (this.#ring.length - 1)]
  }

  /** Where the first one that is not smaller stands. */
  #placeOf(sequence: number): number {
    let low = 0
    let high = this.count
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#at(middle) < sequence) low = middle + 1
      else high = middle
    }
    return low
  }

  #resize(capacity: number): void {
    const larger = new Float64Array(Math.max(CAPACITY_MIN, capacity))
    for (let i = 0; i < this.count; i++) larger[i] = this.#at(i)
    this.#ring = larger
    this.#from = 0
  }
}
