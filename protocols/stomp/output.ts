// What one connection writes, frame by frame, where it leaves from: in the wire's own room. Hot room.
// Not here: what a frame says (connection.ts, subscription.ts).
import type { Wire } from '../../src/api.ts'

/** `begin` with an upper bound, then `text`, `ascii`, `number`, `copy`, then `end`. */
export class Output {
  readonly #wire: Wire
  #bytes: Buffer = EMPTY
  #to = 0
  #end = 0

  constructor(wire: Wire) {
    this.#wire = wire
  }

  begin(bytesMax: number): void {
    if (bytesMax <= ROOM_BYTES_MAX) {
      this.#to = this.#wire.reserve(bytesMax)
      this.#bytes = this.#wire.room
      this.#end = this.#to + bytesMax
    } else {
      this.#to = 0
      this.#bytes = Buffer.allocUnsafeSlow(bytesMax)
      this.#end = WIRE_KNOWS_NOTHING
    }
  }

  /** Three bytes a UTF-16 unit at most. */
  text(text: string): void {
    this.#to += this.#bytes.write(text, this.#to, 'utf8')
  }

  ascii(text: string): void {
    this.#to += this.#bytes.write(text, this.#to, 'latin1')
  }

  /** A whole number, in digits. Without a string: making one and writing it costs more than the rest of a small frame. */
  number(value: number): void {
    if (value > 0x7f_ff_ff_ff) {
      this.ascii(String(value))
      return
    }
    let at = this.#to + 1
    for (let rest = value; rest >= 10; rest = (rest / 10) | 0) at++
    this.#to = at
    let rest = value
    do {
      const tens = (rest / 10) | 0
      this.#bytes[--at] = DIGIT + rest - tens * 10
      rest = tens
    } while (rest > 0)
  }

  copy(bytes: Uint8Array): void {
    this.#bytes.set(bytes, this.#to)
    this.#to += bytes.length
  }

  byte(value: number): void {
    this.#bytes[this.#to++] = value
  }

  end(): void {
    if (this.#end === WIRE_KNOWS_NOTHING) this.#wire.write(this.#bytes.subarray(0, this.#to))
    else this.#wire.trim(this.#end - this.#to)
    this.#bytes = EMPTY
  }

  /** Bytes that are not copied, behind everything written so far. */
  reference(bytes: Uint8Array): void {
    this.end()
    this.#wire.write(bytes)
  }
}

/** As much as a wire gives at once. */
const ROOM_BYTES_MAX = 4096
const WIRE_KNOWS_NOTHING = -1
const DIGIT = 0x30
const EMPTY = Buffer.alloc(0)
