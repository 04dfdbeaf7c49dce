// The wire as the stream that aedes reads and writes. It stops the wire while aedes does not read, and holds back aedes while the socket is full.
import { Duplex } from 'node:stream'
import type { Wire } from '../../../src/api.ts'

/** Read and not yet taken by aedes. */
const UNREAD_BYTES_MAX = 65_536
/** Written in one turn before aedes is made to wait: it waits for `drain` after each packet then. */
const UNWRITTEN_BYTES_MAX = 1_048_576

export class WireStream extends Duplex {
  readonly #wire: Wire
  readonly #left: () => void
  #paused = false
  #congested = false
  #gone = false
  #written: (() => void) | undefined = undefined

  /** `left`: aedes is done with it. */
  constructor(wire: Wire, left: () => void) {
    super({ readableHighWaterMark: UNREAD_BYTES_MAX, writableHighWaterMark: UNWRITTEN_BYTES_MAX })
    this.#wire = wire
    this.#left = left
  }

  /** One packet, whole: `content` is what follows its fixed header. */
  packet(header: Buffer, content: Buffer): void {
    if (this.destroyed || this.readableEnded) return
    const room = this.push(content.length === 0 ? header : Buffer.concat([header, content]))
    if (room || this.#paused || this.#gone) return
    this.#paused = true
    this.#wire.pause()
  }

  congested(high: boolean): void {
    this.#congested = high
    if (!high) this.#goOn()
  }

  /** The wire is gone. What came is still read; what is written goes nowhere. */
  gone(): void {
    this.#gone = true
    this.#goOn()
    this.push(null)
  }

  override _read(): void {
    if (!this.#paused) return
    this.#paused = false
    if (!this.#gone) this.#wire.resume()
  }

  override _write(bytes: Buffer, _encoding: BufferEncoding, written: () => void): void {
    if (!this.#gone) this.#wire.write(bytes)
    if (this.#congested && !this.#gone) this.#written = written
    else written()
  }

  override _writev(chunks: { chunk: Buffer }[], written: () => void): void {
    this._write(chunks.length === 1 ? chunks[0].chunk : Buffer.concat(chunks.map(({ chunk }) => chunk)), 'binary', written)
  }

  override _destroy(_error: Error | null, done: () => void): void {
    this.#goOn()
    this.#left()
    done()
  }

  #goOn(): void {
    const written = this.#written
    this.#written = undefined
    written?.()
  }
}
