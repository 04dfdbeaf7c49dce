// Deadlines of numbered things, in typed-array columns: no object and no timer per deadline. A hot room.
// Not the timers of front ends, which have a callback each: schedule.ts.
//
// A hierarchical timing wheel over ticks of 10 ms. A tick is 40 bits, five bytes; level l has 256 slots, one per value of byte l.
// A deadline lies at the level of the highest byte in which its tick differs from the wheel's: when the wheel reaches a slot of
// a higher level it spreads it over the lower ones, a limited number of deadlines a call.
//
//   tick     [ b4 | b3 | b2 | b1 | b0 ]     level 0: 10 ms a slot   1: 2.56 s   2: 11 min   3: 47 h   4: 497 days
//   columns  low, high (tick) · key (id and kind) · next, previous (ring of the slot) · chain (hash of key, or free list)
//
// The first 1,280 rows are the heads of the slots' rings, so that leaving a ring needs no case of its own.
// About 24 bytes a deadline, hash included.

/** An id has at most one deadline of each kind. Ids are below 2^30, kinds 0 to 3. Times are wall times in ms. */
export class Wheel {
  /** Tick up to which everything was due. */
  #now: number
  #size = 0
  #rows = 0
  #freeRow = 0
  #low = new Uint32Array(0)
  #high = new Uint8Array(0)
  #key = new Uint32Array(0)
  #next = new Uint32Array(0)
  #previous = new Uint32Array(0)
  #chain = new Uint32Array(0)
  #heads = new Uint32Array(0)
  #shift = 0
  /** One bit a slot: its ring is not empty. */
  readonly #occupied = new Uint32Array(HEADS / 32)

  /** `nowMs` spares the first deadlines a way through the levels. */
  constructor(nowMs = 0) {
    this.#now = tickAt(nowMs)
    this.#clearAll()
  }

  get size(): number {
    return this.#size
  }

  /** Bytes of the columns. */
  get bytes(): number {
    return this.#rows * ROW_BYTES + this.#heads.byteLength
  }

  /** Replaces the deadline of this id and kind. What lies in the past is due at once; `Infinity` is none. */
  set(id: number, kind: number, atMs: number): void {
    const key = keyOf(id, kind)
    if (atMs === Number.POSITIVE_INFINITY) {
      this.clear(id, kind)
      return
    }
    let row = this.#find(key)
    if (row === 0) row = this.#take(key)
    else this.#unlink(row)
    // Rounded up: never early.
    const tick = Math.min(Math.max(Math.ceil(atMs / TICK_MS), 0), TICK_MAX)
    this.#low[row] = tick % 2 ** 32
    this.#high[row] = tick / 2 ** 32
    this.#place(row)
  }

  /** False: there was none. */
  clear(id: number, kind: number): boolean {
    const row = this.#find(keyOf(id, kind))
    if (row === 0) return false
    this.#unlink(row)
    this.#give(row)
    return true
  }

  /** Nothing is due before this; `Infinity`: there is nothing. Not after the wheel's own time: something may be due at once. */
  nextMs(): number {
    if (this.#size === 0) return Number.POSITIVE_INFINITY
    for (let level = 1; level < LEVELS; level++) {
      if (this.#isOccupied(level, byteOf(this.#now, level))) return this.#now * TICK_MS
    }
    for (let level = 0; level < LEVELS; level++) {
      const slot = this.#nextSlot(level, byteOf(this.#now, level))
      if (slot !== -1) return startOf(this.#now, level, slot) * TICK_MS
    }
    return Number.POSITIVE_INFINITY
  }

  /**
   * Calls `each` for what is due, in order of time to within 10 ms, at most `limit` times; the answer is how often. Looks at no more than
   * a few times `limit` deadlines: go on while `nextMs()` is not after `nowMs`. `each` may set and clear anything.
   */
  due(nowMs: number, limit: number, each: (id: number, kind: number) => void): number {
    const until = tickAt(nowMs)
    // A wall clock that was set back must not hold up what is set from now on.
    if (until < this.#now - BACK_TICKS) this.#turnBack(until)
    let budget = limit * SPREAD
    let count = 0
    while (until >= this.#now) {
      budget = this.#spread(budget)
      if (budget <= 0) break
      const head = this.#now & 255
      let row = this.#next[head] ?? head
      while (row !== head) {
        if (count === limit) return count
        const key = this.#key[row] ?? 0
        this.#unlink(row)
        this.#give(row)
        count++
        each(key >>> 2, key & 3)
        row = this.#next[head] ?? head
      }
      if (this.#now === until) break
      this.#now = this.#after(until)
    }
    return count
  }

  /** The next tick at which there is something to do, at most `until`. */
  #after(until: number): number {
    if (this.#size === 0) return until
    for (let level = 0; level < LEVELS; level++) {
      const slot = this.#nextSlot(level, byteOf(this.#now, level) + 1)
      if (slot !== -1) return Math.min(until, startOf(this.#now, level, slot))
    }
    return until
  }

  /** Takes what lies in the wheel's own slots of higher levels down; answers what is left of the budget. */
  #spread(budget: number): number {
    let left = budget
    for (let level = LEVELS - 1; level > 0; level--) {
      const head = level * 256 + byteOf(this.#now, level)
      for (let row = this.#next[head] ?? head; row !== head && left > 0; row = this.#next[head] ?? head) {
        this.#unlink(row)
        this.#place(row)
        left--
      }
      if (left <= 0) break
    }
    return left
  }

  #turnBack(until: number): void {
    this.#now = until
    const rows: number[] = []
    for (let head = 0; head < HEADS; head++) {
      for (let row = this.#next[head] ?? head; row !== head; row = this.#next[row] ?? head) rows.push(row)
    }
    for (const row of rows) {
      this.#unlink(row)
      this.#place(row)
    }
  }

  /** Puts a row at the end of the ring where its tick belongs. */
  #place(row: number): void {
    const low = this.#low[row] ?? 0
    const high = this.#high[row] ?? 0
    const nowHigh = Math.floor(this.#now / 2 ** 32)
    const nowLow = this.#now % 2 ** 32
    let head: number
    if (high > nowHigh) {
      head = 4 * 256 + high
    } else if (high < nowHigh || low <= nowLow) {
      head = nowLow & 255
    } else {
      const level = (31 - Math.clz32(low ^ nowLow)) >> 3
      head = level * 256 + ((low >>> (8 * level)) & 255)
    }
    const last = this.#previous[head] ?? head
    this.#next[last] = row
    this.#previous[row] = last
    this.#next[row] = head
    this.#previous[head] = row
    this.#occupied[head >>> 5] = (this.#occupied[head >>> 5] ?? 0) | (1 << (head & 31))
  }

  #unlink(row: number): void {
    const next = this.#next[row] ?? 0
    const previous = this.#previous[row] ?? 0
    this.#next[previous] = next
    this.#previous[next] = previous
    // Only a head is its own neighbour.
    if (next === previous && next < HEADS) this.#occupied[next >>> 5] = (this.#occupied[next >>> 5] ?? 0) & ~(1 << (next & 31))
  }

  #isOccupied(level: number, slot: number): boolean {
    const head = level * 256 + slot
    return ((this.#occupied[head >>> 5] ?? 0) & (1 << (head & 31))) !== 0
  }

  /** The first occupied slot from this one on, or -1. */
  #nextSlot(level: number, from: number): number {
    if (from > 255) return -1
    let word = from >>> 5
    let bits = (this.#occupied[level * 8 + word] ?? 0) & (-1 << (from & 31))
    while (bits === 0) {
      if (++word === 8) return -1
      bits = this.#occupied[level * 8 + word] ?? 0
    }
    return word * 32 + (31 - Math.clz32(bits & -bits))
  }

  /** The row of a key, or 0: row 0 is a head. */
  #find(key: number): number {
    let row = this.#heads[this.#hash(key)] ?? 0
    while (row !== 0 && this.#key[row] !== key) row = this.#chain[row] ?? 0
    return row
  }

  #hash(key: number): number {
    return Math.imul(key, 0x9e3779b1) >>> this.#shift
  }

  #take(key: number): number {
    if (this.#freeRow === 0) this.#grow(this.#rows * 2)
    const row = this.#freeRow
    this.#freeRow = this.#chain[row] ?? 0
    this.#key[row] = key
    const hash = this.#hash(key)
    this.#chain[row] = this.#heads[hash] ?? 0
    this.#heads[hash] = row
    this.#size++
    return row
  }

  #give(row: number): void {
    const hash = this.#hash(this.#key[row] ?? 0)
    const after = this.#chain[row] ?? 0
    let at = this.#heads[hash] ?? 0
    if (at === row) {
      this.#heads[hash] = after
    } else {
      while (this.#chain[at] !== row) at = this.#chain[at] ?? 0
      this.#chain[at] = after
    }
    this.#chain[row] = this.#freeRow
    this.#freeRow = row
    // The memory of a great wave goes when the wave has gone.
    if (--this.#size === 0 && this.#rows > ROWS_KEPT) this.#clearAll()
  }

  #clearAll(): void {
    this.#rows = 0
    this.#freeRow = 0
    this.#occupied.fill(0)
    this.#low = new Uint32Array(0)
    this.#high = new Uint8Array(0)
    this.#key = new Uint32Array(0)
    this.#next = new Uint32Array(0)
    this.#previous = new Uint32Array(0)
    this.#chain = new Uint32Array(0)
    this.#grow(ROWS_MIN)
    for (let head = 0; head < HEADS; head++) {
      this.#next[head] = head
      this.#previous[head] = head
    }
  }

  #grow(rows: number): void {
    const from = Math.max(this.#rows, HEADS)
    this.#low = wider(this.#low, new Uint32Array(rows))
    this.#high = wider(this.#high, new Uint8Array(rows))
    this.#key = wider(this.#key, new Uint32Array(rows))
    this.#next = wider(this.#next, new Uint32Array(rows))
    this.#previous = wider(this.#previous, new Uint32Array(rows))
    this.#chain = wider(this.#chain, new Uint32Array(rows))
    this.#rows = rows
    // Two rows a chain on average.
    this.#heads = new Uint32Array(rows / 2)
    this.#shift = 32 - Math.log2(rows / 2)
    for (let row = HEADS; row < from; row++) {
      const hash = this.#hash(this.#key[row] ?? 0)
      this.#chain[row] = this.#heads[hash] ?? 0
      this.#heads[hash] = row
    }
    for (let row = from; row < rows; row++) this.#chain[row] = row + 1 < rows ? row + 1 : 0
    this.#freeRow = from
  }
}

const TICK_MS = 10
const TICK_MAX = 2 ** 40 - 1
const LEVELS = 5
const HEADS = LEVELS * 256
const ROWS_MIN = 2 ** 12
const ROWS_KEPT = 2 ** 17
const ROW_BYTES = 4 * 5 + 1
/** Deadlines moved down a level cost less than those told. */
const SPREAD = 4
const BACK_TICKS = 100

function tickAt(ms: number): number {
  return Math.min(Math.max(Math.floor(ms / TICK_MS), 0), TICK_MAX)
}

function keyOf(id: number, kind: number): number {
  if (!(id >= 0 && id < 2 ** 30 && kind >= 0 && kind < 4)) throw new RangeError(`no deadline for id ${id}, kind ${kind}`)
  return ((id << 2) | kind) >>> 0
}

function byteOf(tick: number, level: number): number {
  return level === 4 ? Math.floor(tick / 2 ** 32) : (tick >>> (8 * level)) & 255
}

/** First tick of a slot at or after the wheel's own. */
function startOf(now: number, level: number, slot: number): number {
  const width = 2 ** (8 * level)
  return Math.max(now, now - (now % (width * 256)) + slot * width)
}

function wider<Column extends Uint32Array<ArrayBuffer> | Uint8Array<ArrayBuffer>>(column: Column, into: Column): Column {
  into.set(column)
  return into
}
