// Every entry of every queue, as rows of 64 bytes, and an index from (queue, sequence) to row that grows one bucket at a time.
// A hot room: fields are read with `get(row, FIELD)`. Lists through `next` and `prev` belong to the queue.
import { Slab } from './slab.ts'

/** Fields of an entry's row. The sequence is a double in 0 and 1. */
export const SEQUENCE = 0
export const MESSAGE = 2
export const QUEUE = 3
export const NEXT = 4
export const PREV = 5
/** The consumer that has it, when locked by one. */
export const OWNER = 6
export const TAG = 7
export const VIA = 8
export const STATE = 9
export const ATTEMPTS = 10
export const FAILURES = 11
export const MARK = 12
/** Bits of `ENTRY_FLAG`. */
export const FLAGS = 13
/** Index into the table of dead-letter reasons; 0: none. */
export const DEAD = 14
const CHAIN = 15

export const STATE_OF = {
  /** Applied, not yet committed: nobody is given it. */
  pending: 1,
  /** In the ready list. */
  ready: 2,
  /** Given to a consumer, unsettled. */
  locked: 3,
  /** Given by a pull until a time. */
  leased: 4,
  /** Waits for a time. */
  delayed: 5,
  /** Removed while pending; its row is freed with its batch. */
  removed: 6,
} as const

export const ENTRY_FLAG = {
  /** Survives a restart. */
  durable: 1,
  /** A copy of a retained message. */
  retained: 2,
  /** May have been handed out by an earlier leader. */
  maybeSeen: 4,
  /** Settled by a transaction that is still open. */
  claimed: 128,
} as const

const BUCKETS_FIRST = 1024

/** Stands on a row of a list (`walk.ts`). */
export interface Walker {
  /** The row leaves its list, in which `next` comes after it. */
  stepAside(next: number): void
}

export class Entries extends Slab {
  /** Linear hashing: `#level` buckets are the base, the first `#split` of them are already split in two. */
  #heads: Uint32Array[] = [new Uint32Array(BUCKETS_FIRST)]
  #level = BUCKETS_FIRST
  #split = 0
  /** Walks by the row they stand on: told when it leaves its list. Empty unless somebody browses. */
  readonly standing = new Map<number, Set<Walker>>()

  constructor() {
    super(16)
  }

  /** A new entry of the queue in `queueSlot`, known to the index. */
  add(queueSlot: number, sequence: number, message: number): number {
    const row = this.take()
    this.setDouble(row, SEQUENCE, sequence)
    this.set(row, MESSAGE, message)
    this.set(row, QUEUE, queueSlot)
    const bucket = this.#bucket(hash(queueSlot, sequence))
    this.set(row, CHAIN, this.#head(bucket))
    this.#setHead(bucket, row)
    if (this.count > this.#level + this.#split) this.#splitOne()
    return row
  }

  remove(row: number): void {
    const bucket = this.#bucket(hash(this.get(row, QUEUE), this.double(row, SEQUENCE)))
    let at = this.#head(bucket)
    if (at === row) this.#setHead(bucket, this.get(row, CHAIN))
    else {
      while (this.get(at, CHAIN) !== row) at = this.get(at, CHAIN)
      this.set(at, CHAIN, this.get(row, CHAIN))
    }
    this.give(row)
  }

  /** 0: there is none. */
  find(queueSlot: number, sequence: number): number {
    let row = this.#head(this.#bucket(hash(queueSlot, sequence)))
    while (row !== 0 && (this.double(row, SEQUENCE) !== sequence || this.get(row, QUEUE) !== queueSlot)) row = this.get(row, CHAIN)
    return row
  }

  #bucket(hashed: number): number {
    const bucket = hashed & (this.#level - 1)
    return bucket < this.#split ? hashed & (this.#level * 2 - 1) : bucket
  }

  // The first block holds the first 1,024 buckets, each later one as many as all before it: no array is ever copied.
  #head(bucket: number): number {
    const block = bucket < BUCKETS_FIRST ? 0 : 32 - Math.clz32(bucket >>> 10)
    return this.#heads[block][block === 0 ? bucket : bucket - (BUCKETS_FIRST << (block - 1))]
  }

  #setHead(bucket: number, row: number): void {
    const block = bucket < BUCKETS_FIRST ? 0 : 32 - Math.clz32(bucket >>> 10)
    this.#heads[block][block === 0 ? bucket : bucket - (BUCKETS_FIRST << (block - 1))] = row
  }

  #splitOne(): void {
    const from = this.#split
    if (from === 0) this.#heads.push(new Uint32Array(this.#level))
    let row = this.#head(from)
    this.#setHead(from, 0)
    this.#split++
    while (row !== 0) {
      const next = this.get(row, CHAIN)
      const bucket = hash(this.get(row, QUEUE), this.double(row, SEQUENCE)) & (this.#level * 2 - 1)
      this.set(row, CHAIN, this.#head(bucket))
      this.#setHead(bucket, row)
      row = next
    }
    if (this.#split === this.#level) {
      this.#level *= 2
      this.#split = 0
    }
  }
}

/**
 * Neighbouring queues get neighbouring buckets for equal sequences: a message to 100,000 subscriptions mostly finds them so, and walks along the index
 * instead of to a place of its own for each entry, which no cache holds.
 */
function hash(queueSlot: number, sequence: number): number {
  let mixed = Math.imul(sequence | 0, 0x9e3779b1) ^ Math.imul((sequence / 2 ** 32) | 0, 0x85ebca6b)
  mixed ^= mixed >>> 15
  return (Math.imul(mixed, 0x2c1b3c6d) + queueSlot) >>> 0
}
