// Messages as objects: what is at hand, what can be made from the journal's memory, and what has to be read from disk first.
import type { Message } from '../api.ts'
import { FactReader } from '../journal/facts.ts'
import type { Range } from '../journal/journal.ts'
import { type CoreAddress, readAddress } from './addresses.ts'
import type { Live } from './live.ts'
import { readHeld } from './message-fact.ts'
import { type Held, LENGTH, MESSAGE_FLAGS, MESSAGE_ROW_FLAG, OFFSET, SEGMENT } from './messages.ts'

const EMPTY = new Uint8Array(0)
/** Addresses read back lately, by their bytes: most messages of a backlog share few. */
const ADDRESSES_MAX = 1_024
/** When a message that could not be read is tried again: twice as late each time. A directory that comes back has lost nothing. */
const RETRY_MS = 1_000
const RETRY_MS_MAX = 300_000
/** Messages whose tries are counted: any beyond begin anew. */
const UNREADABLE_MAX = 10_000

type Unreadable = Readonly<{ segment: number; offset: number; tries: number; retryAtMs: number }>

export class Bodies {
  readonly #live: Live
  readonly #reader = new FactReader()
  readonly #addresses = new Map<string, CoreAddress>()
  /** By row; another message may have the row by now, so each names its place. */
  readonly #unreadable = new Map<number, Unreadable>()

  constructor(live: Live) {
    this.#live = live
  }

  /** The message of this row; undefined: its bytes are on disk only, call `load`. */
  get(row: number): Held | undefined {
    const { messages } = this.#live.state
    const known = messages.objects[row]
    if (known !== undefined) return known
    const bytes = this.#live.journal.read(messages.get(row, SEGMENT), messages.get(row, OFFSET), messages.get(row, LENGTH))
    if (bytes === undefined) return undefined
    if ((messages.get(row, MESSAGE_FLAGS) & MESSAGE_ROW_FLAG.large) === 0) return this.#held(bytes, undefined)
    const pieces = messages.pieces.get(row) ?? []
    const body = Buffer.allocUnsafe(pieces.reduce((sum, piece) => sum + piece.length, 0))
    let at = 0
    for (const piece of pieces) {
      const part = this.#live.journal.read(piece.segment, piece.offset, piece.length)
      if (part === undefined) return undefined
      body.set(part, at)
      at += part.length
    }
    return this.#held(bytes, body)
  }

  /** The message without what of its body lies elsewhere, to judge it by; undefined: its bytes are on disk only, call `loadHead`. */
  head(row: number): Message | undefined {
    const { messages } = this.#live.state
    const known = messages.objects[row]
    if (known !== undefined) return known.message
    const bytes = this.#live.journal.read(messages.get(row, SEGMENT), messages.get(row, OFFSET), messages.get(row, LENGTH))
    return bytes === undefined ? undefined : this.#headOf(row, bytes)
  }

  /**
   * Reads what `head` lacks; then `done(message, true)`, or `done(undefined, false)` if it cannot be read. Without a message it is to be looked for
   * again: it was moved meanwhile. `done` is not called inside.
   */
  loadHead(row: number, done: (message: Message | undefined, read: boolean) => void): void {
    const { messages } = this.#live.state
    const segment = messages.get(row, SEGMENT)
    const offset = messages.get(row, OFFSET)
    this.#live.journal.fetch(segment, offset, messages.get(row, LENGTH), (bytes) => {
      const same = messages.get(row, SEGMENT) === segment && messages.get(row, OFFSET) === offset
      if (!same) done(undefined, true)
      else if (bytes === undefined) done(undefined, false)
      else done(this.#headOf(row, bytes), true)
    })
  }

  #headOf(row: number, bytes: Uint8Array): Message {
    const large = (this.#live.state.messages.get(row, MESSAGE_FLAGS) & MESSAGE_ROW_FLAG.large) !== 0
    return this.#held(bytes, large ? EMPTY : undefined).message
  }

  /** Reads what `get` lacks; then `done(true)`, or `done(false)` if it cannot be read. `done` is not called inside. */
  load(row: number, done: (read: boolean) => void): void {
    const { messages } = this.#live.state
    const record = { segment: messages.get(row, SEGMENT), offset: messages.get(row, OFFSET), length: messages.get(row, LENGTH) }
    const pieces = messages.pieces.get(row)
    const ranges: Range[] = [record, ...(pieces ?? [])]
    const parts: Uint8Array[] = []
    const next = (): void => {
      const range = ranges[parts.length]
      if (range === undefined) {
        // The journal's memory may be too small to have kept it, or too many may be read at once: then the object is made from what was read.
        const same = messages.get(row, SEGMENT) === record.segment && messages.get(row, OFFSET) === record.offset
        if (same && messages.objects[row] === undefined && this.get(row) === undefined) {
          messages.objects[row] = this.#held(parts[0], pieces === undefined ? undefined : Buffer.concat(parts.slice(1)))
          this.#live.transient(row)
        }
        if (this.#unreadable.size > 0) this.#unreadable.delete(row)
        done(true)
        return
      }
      this.#live.journal.fetch(range.segment, range.offset, range.length, (bytes) => {
        if (bytes === undefined) {
          // Compaction may have moved it meanwhile, or its last taker settled it: then there is somewhere else to look, or nothing to do.
          const same = messages.get(row, SEGMENT) === record.segment && messages.get(row, OFFSET) === record.offset
          done(!same || messages.pieces.get(row) !== pieces)
          return
        }
        parts.push(bytes)
        next()
      })
    }
    next()
  }

  /** `load` could not read it: when is it to be tried again? Queues that share the message share the count. */
  unreadable(row: number): Readonly<{ tries: number; retryAtMs: number }> {
    const { messages } = this.#live.state
    const nowMs = this.#live.clock.wallMs()
    const place = { segment: messages.get(row, SEGMENT), offset: messages.get(row, OFFSET) }
    const known = this.#unreadable.get(row)
    const same = known !== undefined && known.segment === place.segment && known.offset === place.offset
    if (same && known.retryAtMs > nowMs) return known
    const tries = same ? known.tries + 1 : 1
    const found = { ...place, tries, retryAtMs: nowMs + Math.min(RETRY_MS_MAX, RETRY_MS * 2 ** Math.min(tries - 1, 20)) }
    this.#unreadable.delete(row)
    const [oldest] = this.#unreadable.keys()
    if (oldest !== undefined && this.#unreadable.size >= UNREADABLE_MAX) this.#unreadable.delete(oldest)
    this.#unreadable.set(row, found)
    return found
  }

  #held(bytes: Uint8Array, large: Uint8Array | undefined): Held {
    const record = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    return readHeld(record, this.#live.state.dialects, this.#addressAt, large)
  }

  readonly #addressAt = (record: Buffer, start: number, end: number): CoreAddress => {
    const key = record.toString('latin1', start, end)
    let address = this.#addresses.get(key)
    if (address === undefined) {
      address = readAddress(this.#reader.reset(record, start, end))
      if (this.#addresses.size >= ADDRESSES_MAX) this.#addresses.clear()
      this.#addresses.set(key, address)
    }
    return address
  }
}
