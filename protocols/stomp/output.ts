// What one connection writes, gathered: frames are written one behind the other into a slab that all connections of the front end share,
// and what is contiguous goes to the wire as one piece. Hot room. Not here: what a frame says (connection.ts, subscription.ts).
import type { Wire } from '../../src/api.ts'

/** Where the next frame of any connection is written. Bytes once written are never written again, so the wire may keep them. */
export class Slab {
  bytes = Buffer.allocUnsafeSlow(SLAB_BYTES)
  used = 0
}

/** `begin` with an upper bound, then `text`, `ascii`, `copy`, then `end`; `flush` when the turn's frames are written. */
export class Output {
  readonly #wire: Wire
  readonly #slab: Slab
  #bytes: Buffer = EMPTY
  // Written and not yet given to the wire.
  #from = 0
  #to = 0

  constructor(wire: Wire, slab: Slab) {
    this.#wire = wire
    this.#slab = slab
  }

  begin(bytesMax: number): void {
    const slab = this.#slab
    if (slab.used + bytesMax > slab.bytes.length) {
      slab.bytes = Buffer.allocUnsafeSlow(Math.max(SLAB_BYTES, bytesMax))
      slab.used = 0
    }
    if (this.#bytes !== slab.bytes || this.#to !== slab.used) {
      this.flush()
      this.#bytes = slab.bytes
      this.#from = slab.used
      this.#to = slab.used
    }
  }

  /** Three bytes a UTF-16 unit at most. */
  text(text: string): void {
    this.#to += this.#bytes.write(text, this.#to, 'utf8')
  }

  ascii(text: string): void {
    this.#to += this.#bytes.write(text, this.#to, 'latin1')
  }

  copy(bytes: Uint8Array): void {
    this.#bytes.set(bytes, this.#to)
    this.#to += bytes.length
  }

  byte(value: number): void {
    this.#bytes[this.#to++] = value
  }

  end(): void {
    this.#slab.used = this.#to
  }

  /** Bytes that are not copied, behind everything written so far. */
  reference(bytes: Uint8Array): void {
    this.end()
    this.flush()
    this.#wire.write(bytes)
  }

  /** Lets go of the slab as well: an idle connection keeps none. */
  flush(): void {
    const bytes = this.#bytes
    const from = this.#from
    const to = this.#to
    if (bytes === EMPTY) return
    this.#bytes = EMPTY
    this.#from = 0
    this.#to = 0
    if (to > from) this.#wire.write(bytes.subarray(from, to))
  }
}

const SLAB_BYTES = 32_768
const EMPTY = Buffer.alloc(0)
