// Reads the fields of one performative or composite, one after the other, each with the type that the specification gives it.
// A field of another type, and a mandatory one that is missing, is a decode error: what follows could mean anything.
import { ConnectionFault, DecodeFault } from './errors.ts'
import type { TermReader } from './reader.ts'
import type { Term } from './term.ts'

export class Fields {
  readonly #reader: TermReader
  readonly #what: string
  readonly #end: number
  #left: number

  constructor(reader: TermReader, what: string) {
    const { count, end } = reader.openList()
    this.#reader = reader
    this.#what = what
    this.#left = count
    this.#end = end
  }

  /** After the last field that is read: what follows in the frame begins here. */
  close(): void {
    if (this.#reader.position > this.#end) throw this.#wrong('its length')
    this.#reader.position = this.#end
  }

  string(name: string): string | undefined {
    const code = this.#next()
    if (code === NONE) return undefined
    if (code !== 0xa1 && code !== 0xb1) throw this.#wrong(name)
    return this.#reader.utf8(this.#reader.length(code === 0xb1))
  }

  symbol(name: string): string | undefined {
    const code = this.#next()
    if (code === NONE) return undefined
    if (code !== 0xa3 && code !== 0xb3) throw this.#wrong(name)
    return this.#reader.ascii(this.#reader.length(code === 0xb3))
  }

  binary(name: string): Buffer | undefined {
    const code = this.#next()
    if (code === NONE) return undefined
    if (code !== 0xa0 && code !== 0xb0) throw this.#wrong(name)
    return this.#reader.bytes(this.#reader.length(code === 0xb0))
  }

  /** How long it is; it is passed. */
  binaryBytes(name: string): number | undefined {
    const code = this.#next()
    if (code === NONE) return undefined
    if (code !== 0xa0 && code !== 0xb0) throw this.#wrong(name)
    const bytes = this.#reader.length(code === 0xb0)
    this.#reader.take(bytes)
    return bytes
  }

  uint(name: string): number | undefined {
    const code = this.#next()
    const reader = this.#reader
    switch (code) {
      case NONE:
        return undefined
      case 0x43:
        return 0
      case 0x52:
        return reader.buffer[reader.take(1)]
      case 0x70:
        return reader.buffer.readUInt32BE(reader.take(4))
      default:
        throw this.#wrong(name)
    }
  }

  /** Beyond 2^53 it is as good as without end. */
  ulong(name: string): number | undefined {
    const code = this.#next()
    const reader = this.#reader
    switch (code) {
      case NONE:
        return undefined
      case 0x44:
        return 0
      case 0x53:
        return reader.buffer[reader.take(1)]
      case 0x80:
        return Number(reader.buffer.readBigUInt64BE(reader.take(8)))
      default:
        throw this.#wrong(name)
    }
  }

  timestamp(name: string): number | undefined {
    const code = this.#next()
    if (code === NONE) return undefined
    if (code !== 0x83) throw this.#wrong(name)
    return Number(this.#reader.buffer.readBigInt64BE(this.#reader.take(8)))
  }

  ushort(name: string): number | undefined {
    const code = this.#next()
    if (code === NONE) return undefined
    if (code !== 0x60) throw this.#wrong(name)
    return this.#reader.buffer.readUInt16BE(this.#reader.take(2))
  }

  ubyte(name: string): number | undefined {
    const code = this.#next()
    if (code === NONE) return undefined
    if (code !== 0x50) throw this.#wrong(name)
    return this.#reader.buffer[this.#reader.take(1)]
  }

  boolean(name: string): boolean | undefined {
    const code = this.#next()
    switch (code) {
      case NONE:
        return undefined
      case 0x41:
        return true
      case 0x42:
        return false
      case 0x56:
        return this.#reader.buffer[this.#reader.take(1)] !== 0
      default:
        throw this.#wrong(name)
    }
  }

  /** True: the next field is an accepted outcome as nearly everybody writes it, and is passed. Settling is as frequent as sending. */
  accepted(): boolean {
    const reader = this.#reader
    const at = reader.position
    if (this.#left === 0 || at + 4 > this.#end || reader.buffer.readUInt32BE(at) !== ACCEPTED_BYTES) return false
    reader.position = at + 4
    this.#left--
    return true
  }

  term(): Term | undefined {
    if (this.#next() === NONE) return undefined
    this.#reader.position--
    return this.#reader.term()
  }

  /** Strings are taken for symbols here: several clients write their capabilities so. */
  symbols(name: string): readonly string[] {
    const term = this.term()
    if (term === undefined) return []
    const items = term.type === 'array' || term.type === 'terms' ? term.value : [term]
    return items.map((item) => {
      if (item.type !== 'symbol' && item.type !== 'string') throw this.#wrong(name)
      return item.value
    })
  }

  map(name: string): readonly (readonly [Term, Term])[] | undefined {
    const term = this.term()
    if (term === undefined) return undefined
    if (term.type !== 'pairs') throw this.#wrong(name)
    return term.value
  }

  skip(fields = 1): void {
    for (; fields > 0 && this.#left > 0; fields--, this.#left--) this.#reader.skip()
  }

  /** The value, which the specification says must be there. */
  must<T>(value: T | undefined, name: string): T {
    if (value === undefined) throw new ConnectionFault('amqp:decode-error', `${this.#what} has no ${name}, which is mandatory.`)
    return value
  }

  #next(): number {
    if (this.#left === 0) return NONE
    this.#left--
    const code = this.#reader.code()
    return code === 0x40 ? NONE : code
  }

  #wrong(name: string): DecodeFault {
    return new DecodeFault(`The field ${name} of ${this.#what} is of another type.`)
  }
}

/** Described by 0x24, an empty list. */
const ACCEPTED_BYTES = 0x00_53_24_45
/** Not there, or null. No constructor has this number. */
const NONE = -1
