// The content of a simulated file. Zeros at its end are not kept: segments are filled with them, and copying those is what a simulation would spend its time on.

const ZEROS = Buffer.alloc(64 * 1024)
const GRAIN_BYTES = 512

export class Bytes {
  /** Of the file, zeros included. */
  size = 0
  #buffer = Buffer.alloc(0)
  /** Everything from here on is zero. */
  #used = 0

  /** `length` bytes from `position` on become `bytes`, and zeros behind those. */
  write(position: number, bytes: Buffer, length: number): void {
    const end = position + bytes.length
    if (bytes.length > 0) {
      this.#reserve(end)
      bytes.copy(this.#buffer, position)
      this.#used = Math.max(this.#used, end)
    }
    if (position + length > end && end < this.#used) this.#buffer.fill(0, end, Math.min(position + length, this.#used))
    this.size = Math.max(this.size, position + length)
  }

  read(into: Uint8Array, position: number): number {
    const count = Math.max(0, Math.min(into.length, this.size - position))
    const there = Math.max(0, Math.min(count, this.#used - position))
    if (there > 0) this.#buffer.copy(into, 0, position, position + there)
    if (count > there) into.fill(0, there, count)
    return count
  }

  truncate(length: number): void {
    if (length < this.#used) {
      this.#buffer.fill(0, length, this.#used)
      this.#used = length
    }
    this.size = length
  }

  copy(): Bytes {
    const copy = new Bytes()
    copy.#buffer = Buffer.from(this.#buffer.subarray(0, this.#used))
    copy.#used = this.#used
    copy.size = this.size
    return copy
  }

  /** All of it, to look at or to damage in place. */
  whole(): Buffer {
    this.#reserve(this.size)
    this.#used = this.size
    return this.#buffer.subarray(0, this.size)
  }

  /** How much of it is more than zeros. */
  get usedBytes(): number {
    return this.#used
  }

  flip(at: number, bit: number): void {
    this.#buffer[at] ^= 1 << bit
  }

  #reserve(length: number): void {
    if (length <= this.#buffer.length) return
    const grown = Buffer.alloc(Math.max(length, Math.min(this.#buffer.length * 2, 1 << 20)))
    this.#buffer.copy(grown, 0, 0, this.#used)
    this.#buffer = grown
  }
}

/** One copy of several buffers, without the zeros at the end. */
export function withoutZeros(buffers: readonly Uint8Array[]): Readonly<{ bytes: Buffer; length: number }> {
  let length = 0
  for (const buffer of buffers) length += buffer.length
  let used = length
  for (let i = buffers.length - 1; i >= 0; i--) {
    const before = used - buffers[i].length
    used = before + usedOf(buffers[i])
    if (used > before) break
  }
  const bytes = Buffer.allocUnsafe(used)
  let at = 0
  for (const buffer of buffers) {
    if (at >= used) break
    bytes.set(at + buffer.length > used ? buffer.subarray(0, used - at) : buffer, at)
    at += buffer.length
  }
  return { bytes, length }
}

function usedOf(buffer: Uint8Array): number {
  let used = buffer.length
  for (const step of [ZEROS.length, GRAIN_BYTES]) {
    while (used >= step && ZEROS.compare(buffer, used - step, used, 0, step) === 0) used -= step
  }
  while (used > 0 && used < GRAIN_BYTES && buffer[used - 1] === 0) used -= 1
  return used
}
