// Chance as the rest of the broker sees it: the machine's, or a seeded one that repeats.
import { randomBytes, randomInt } from 'node:crypto'

export interface Random {
  /** A whole number from 0 up to, not including, `below` (at most 2^47). */
  below(below: number): number
  bytes(count: number): Uint8Array
}

export const realRandom: Random = {
  below: (below) => randomInt(below),
  bytes: (count) => randomBytes(count),
}

/** xorshift128: the same seed gives the same numbers for ever. Not for secrets. */
export class SeededRandom implements Random {
  #a: number
  #b = 0x9e3779b9
  #c = 0x243f6a88
  #d = 0xb7e15162

  constructor(seed: number) {
    this.#a = seed | 0 || 1
    for (let i = 0; i < 16; i++) this.next()
  }

  /** 32 bits. */
  next(): number {
    let t = this.#a ^ (this.#a << 11)
    t ^= t >>> 8
    this.#a = this.#b
    this.#b = this.#c
    this.#c = this.#d
    this.#d = (this.#d ^ (this.#d >>> 19) ^ t) | 0
    return this.#d >>> 0
  }

  below(below: number): number {
    return Math.floor(((this.next() * 2 ** 21 + (this.next() >>> 11)) / 2 ** 53) * below)
  }

  bytes(count: number): Uint8Array {
    const bytes = new Uint8Array(count)
    for (let i = 0; i < count; i++) bytes[i] = this.next()
    return bytes
  }
}
