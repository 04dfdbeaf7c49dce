// What memory holds of the segments: images of file ranges, written by the journal or read from disk. Oldest out first, within a budget.
// An image is never written to again where it has been. One of which a view was given out is never reused: who holds it keeps it alive. One that was
// only written, as where consumers keep up, is handed back when it is dropped, so that a fast journal needs no fresh memory, which costs a fault for
// each page and drives the collector.
// Hot room: `read` runs per delivery.

/** `buffer[0]` lies at `base` of the segment; good up to `end`. */
export type Image = {
  readonly segment: number
  readonly base: number
  end: number
  readonly buffer: Buffer
  pinned: boolean
  /** Somebody may have a view of it. */
  lent: boolean
}

/** Buffers that wait to be used again. */
const SPARE_MAX = 2

export class Cache {
  bytes = 0
  #pinnedBytes = 0
  readonly #bytesMax: number
  /** By segment, bases rising. */
  readonly #images = new Map<number, Image[]>()
  /** Oldest first. */
  readonly #order = new Set<Image>()
  #spare: Buffer[] = []

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  add(image: Image): void {
    const list = this.#images.get(image.segment)
    if (list === undefined) this.#images.set(image.segment, [image])
    else {
      let at = list.length
      while (at > 0 && list[at - 1].base > image.base) at--
      list.splice(at, 0, image)
    }
    this.#order.add(image)
    this.bytes += image.buffer.length
    if (image.pinned) this.#pinnedBytes += image.buffer.length
    this.#trim()
  }

  read(segment: number, offset: number, length: number): Buffer | undefined {
    const list = this.#images.get(segment)
    if (list === undefined) return undefined
    let low = 0
    let high = list.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (list[middle].base <= offset) low = middle + 1
      else high = middle
    }
    // Images read from disk may overlap: the one before may reach further.
    for (let at = low - 1; at >= 0 && at >= low - 3; at--) {
      const image = list[at]
      if (offset + length > image.end) continue
      image.lent = true
      return image.buffer.subarray(offset - image.base, offset - image.base + length)
    }
    return undefined
  }

  /** A buffer of just so many zeros, which nobody else has. */
  zeros(bytes: number): Buffer {
    const at = this.#spare.findIndex((buffer) => buffer.length === bytes)
    return at < 0 ? Buffer.alloc(bytes) : this.#spare.splice(at, 1)[0].fill(0)
  }

  /** Out of the cache, and no longer on its way to the disk. */
  #dropped(image: Image): void {
    if (!image.lent && this.#spare.length < SPARE_MAX) this.#spare.push(image.buffer)
  }

  /** Its bytes are on disk now: it may be dropped. */
  unpin(image: Image): void {
    if (!image.pinned) return
    image.pinned = false
    this.#pinnedBytes -= image.buffer.length
    // As old as its last byte, not its first.
    if (this.#order.delete(image)) this.#order.add(image)
    this.#trim()
  }

  dropSegment(segment: number): void {
    for (const image of this.#images.get(segment) ?? []) {
      this.#order.delete(image)
      this.bytes -= image.buffer.length
      if (image.pinned) this.#pinnedBytes -= image.buffer.length
      else this.#dropped(image)
      image.pinned = false
    }
    this.#images.delete(segment)
  }

  clear(): void {
    this.#images.clear()
    this.#order.clear()
    this.#spare = []
    this.bytes = this.#pinnedBytes = 0
  }

  /** The newest stays whatever the budget: whoever had it read would otherwise ask for it for ever. What waits for the disk cannot go and does not count. */
  #trim(): void {
    if (this.bytes - this.#pinnedBytes <= this.#bytesMax) return
    let newest: Image | undefined
    for (const image of this.#order) newest = image.pinned ? newest : image
    for (const image of this.#order) {
      if (this.bytes - this.#pinnedBytes <= this.#bytesMax) return
      if (image.pinned || image === newest) continue
      this.#order.delete(image)
      this.bytes -= image.buffer.length
      const list = this.#images.get(image.segment)
      if (list === undefined) continue
      if (list.length === 1) this.#images.delete(image.segment)
      else list.splice(list.indexOf(image), 1)
      this.#dropped(image)
    }
  }
}
