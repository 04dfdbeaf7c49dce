// Reads AMQP's type system (part 1.6) from bytes that nobody vouches for. Hot room. It knows neither performatives nor sections.
//
// Every read is inside the frame or section it is given, and what a few bytes can ask for is bounded: nesting by `depthMax`, items by
// `termsMax` and, where they have no bytes of their own, by `EMPTIES_MAX` (ten bytes may claim an array of four thousand million such values).
import { isUtf8 } from 'node:buffer'
import { DecodeFault } from './errors.ts'
import type { Term } from './term.ts'

export type ReaderLimits = Readonly<{ depthMax: number; termsMax: number }>

export class TermReader {
  buffer: Buffer = EMPTY
  position = 0
  end = 0
  readonly #limits: ReaderLimits
  #terms = 0

  constructor(limits: ReaderLimits) {
    this.#limits = limits
  }

  over(buffer: Buffer, position = 0, end: number = buffer.length): this {
    this.buffer = buffer
    this.position = position
    this.end = end
    this.#terms = 0
    return this
  }

  /** The constructor of the next value, which is passed. */
  code(): number {
    if (this.position >= this.end) throw new DecodeFault('a value is missing')
    return this.buffer[this.position++]
  }

  peek(): number {
    return this.position < this.end ? this.buffer[this.position] : -1
  }

  /** Passes this many bytes and answers where they began. */
  take(bytes: number): number {
    const at = this.position
    if (bytes > this.end - at) throw new DecodeFault('a value is longer than what holds it')
    this.position = at + bytes
    return at
  }

  length(wide: boolean): number {
    return wide ? this.buffer.readUInt32BE(this.take(4)) : this.buffer[this.take(1)]
  }

  /** Passes the next value without looking into it. */
  skip(depth = 0): void {
    const code = this.code()
    if (code === DESCRIBED) {
      if (depth >= this.#limits.depthMax) throw tooDeep(this.#limits.depthMax)
      this.skip(depth + 1)
      this.skip(depth + 1)
      return
    }
    this.take(this.#width(code))
  }

  #width(code: number): number {
    switch (code >> 4) {
      case 0x4:
        return 0
      case 0x5:
        return 1
      case 0x6:
        return 2
      case 0x7:
        return 4
      case 0x8:
        return 8
      case 0x9:
        return 16
      case 0xa:
      case 0xc:
      case 0xe:
        return this.length(false)
      case 0xb:
      case 0xd:
      case 0xf:
        return this.length(true)
      default:
        throw new DecodeFault(`there is no type 0x${code.toString(16)}`)
    }
  }

  /** A descriptor that is a number, after 0x00 was passed; -1 for any other. */
  descriptor(): number {
    const code = this.code()
    if (code === 0x53) return this.buffer[this.take(1)]
    if (code === 0x80) {
      const at = this.take(8)
      return this.buffer.readUInt32BE(at) === 0 ? this.buffer.readUInt32BE(at + 4) : -1
    }
    if (code === 0x44) return 0
    if (code === 0xa3 || code === 0xb3) {
      const bytes = this.length(code === 0xb3)
      const at = this.take(bytes)
      return DESCRIPTORS[this.buffer.toString('latin1', at, at + bytes)] ?? -1
    }
    this.position--
    this.skip(1)
    return -1
  }

  /** Opens a list: answers how many items it has; they end at `end`, which the caller keeps. */
  openList(): Readonly<{ count: number; end: number }> {
    const code = this.code()
    if (code === 0x45) return { count: 0, end: this.position }
    if (code !== 0xc0 && code !== 0xd0) throw new DecodeFault('a list was expected')
    return this.#open(code === 0xd0)
  }

  openMap(): Readonly<{ count: number; end: number }> {
    const code = this.code()
    if (code !== 0xc1 && code !== 0xd1) throw new DecodeFault('a map was expected')
    const opened = this.#open(code === 0xd1)
    if (opened.count % 2 !== 0) throw new DecodeFault('a map has a key without a value')
    return opened
  }

  #open(wide: boolean): Readonly<{ count: number; end: number }> {
    const size = this.length(wide)
    const start = this.position
    const end = this.take(size) + size
    this.position = start
    if (size < (wide ? 4 : 1)) throw new DecodeFault('a list, map or array has no room for its count')
    const count = this.length(wide)
    // Every item of a list or map has at least its constructor.
    if (count > end - this.position) throw new DecodeFault('a list or map claims more items than it has bytes')
    return { count, end }
  }

  term(depth = 0): Term {
    const code = this.code()
    if (code !== DESCRIBED) return this.#term(code, depth)
    if (depth >= this.#limits.depthMax) throw tooDeep(this.#limits.depthMax)
    return { type: 'described', descriptor: this.term(depth + 1), value: this.term(depth + 1) }
  }

  #term(code: number, depth: number): Term {
    if (++this.#terms > this.#limits.termsMax) throw new DecodeFault(`more than ${this.#limits.termsMax} values (termsMax)`)
    const { buffer } = this
    switch (code) {
      case 0x40:
        return { type: 'null' }
      case 0x41:
        return { type: 'boolean', value: true }
      case 0x42:
        return { type: 'boolean', value: false }
      case 0x56:
        return { type: 'boolean', value: buffer[this.take(1)] !== 0 }
      case 0x50:
        return { type: 'uint8', value: buffer[this.take(1)] }
      case 0x51:
        return { type: 'int8', value: buffer.readInt8(this.take(1)) }
      case 0x60:
        return { type: 'uint16', value: buffer.readUInt16BE(this.take(2)) }
      case 0x61:
        return { type: 'int16', value: buffer.readInt16BE(this.take(2)) }
      case 0x43:
        return { type: 'uint32', value: 0 }
      case 0x52:
        return { type: 'uint32', value: buffer[this.take(1)] }
      case 0x70:
        return { type: 'uint32', value: buffer.readUInt32BE(this.take(4)) }
      case 0x54:
        return { type: 'int32', value: buffer.readInt8(this.take(1)) }
      case 0x71:
        return { type: 'int32', value: buffer.readInt32BE(this.take(4)) }
      case 0x44:
        return { type: 'uint64', value: 0n }
      case 0x53:
        return { type: 'uint64', value: BigInt(buffer[this.take(1)]) }
      case 0x80:
        return { type: 'uint64', value: buffer.readBigUInt64BE(this.take(8)) }
      case 0x55:
        return { type: 'int64', value: BigInt(buffer.readInt8(this.take(1))) }
      case 0x81:
        return { type: 'int64', value: buffer.readBigInt64BE(this.take(8)) }
      case 0x83:
        return { type: 'timestamp', value: buffer.readBigInt64BE(this.take(8)) }
      case 0x72:
        return { type: 'float', value: buffer.readFloatBE(this.take(4)) }
      case 0x82:
        return { type: 'double', value: buffer.readDoubleBE(this.take(8)) }
      case 0x73:
        return { type: 'char', value: charOf(buffer.readUInt32BE(this.take(4))) }
      case 0x74:
        return { type: 'decimal', value: this.bytes(4) }
      case 0x84:
        return { type: 'decimal', value: this.bytes(8) }
      case 0x94:
        return { type: 'decimal', value: this.bytes(16) }
      case 0x98:
        return { type: 'uuid', value: this.bytes(16) }
      case 0xa0:
      case 0xb0:
        return { type: 'binary', value: this.bytes(this.length(code === 0xb0)) }
      case 0xa1:
      case 0xb1:
        return { type: 'string', value: this.utf8(this.length(code === 0xb1)) }
      case 0xa3:
      case 0xb3:
        return { type: 'symbol', value: this.ascii(this.length(code === 0xb3)) }
      case 0x45:
        return { type: 'terms', value: [] }
      case 0xc0:
      case 0xd0:
        return { type: 'terms', value: this.#items(this.#open(code === 0xd0), depth) }
      case 0xc1:
      case 0xd1: {
        this.position--
        const opened = this.openMap()
        const items = this.#items(opened, depth)
        const found: (readonly [Term, Term])[] = []
        for (let i = 0; i < items.length; i += 2) found.push([items[i], items[i + 1]])
        return { type: 'pairs', value: found }
      }
      case 0xe0:
      case 0xf0:
        return { type: 'array', value: this.#array(code === 0xf0, depth) }
      default:
        throw new DecodeFault(`there is no type 0x${code.toString(16)}`)
    }
  }

  #items({ count, end }: Readonly<{ count: number; end: number }>, depth: number): Term[] {
    if (depth >= this.#limits.depthMax) throw tooDeep(this.#limits.depthMax)
    const outer = this.end
    this.end = end
    const items: Term[] = []
    for (let i = 0; i < count; i++) items.push(this.term(depth + 1))
    if (this.position !== end) throw new DecodeFault('a list or map is longer than its items')
    this.end = outer
    return items
  }

  #array(wide: boolean, depth: number): Term[] {
    if (depth >= this.#limits.depthMax) throw tooDeep(this.#limits.depthMax)
    const size = this.length(wide)
    const end = this.position + size
    if (end > this.end || size < (wide ? 5 : 2)) throw new DecodeFault('an array is longer than what holds it, or too short')
    const outer = this.end
    this.end = end
    const count = this.length(wide)
    if (count > this.#limits.termsMax - this.#terms) throw new DecodeFault(`more than ${this.#limits.termsMax} values (termsMax)`)
    let code = this.code()
    let descriptor: Term | undefined
    if (code === DESCRIBED) {
      descriptor = this.term(depth + 1)
      code = this.code()
    }
    if (code >> 4 === NO_WIDTH && count > EMPTIES_MAX) throw new DecodeFault(`an array of more than ${EMPTIES_MAX} values without bytes of their own`)
    const items: Term[] = []
    for (let i = 0; i < count; i++) {
      const value = this.#term(code, depth + 1)
      items.push(descriptor === undefined ? value : { type: 'described', descriptor, value })
    }
    if (this.position !== end) throw new DecodeFault('an array is longer than its items')
    this.end = outer
    return items
  }

  bytes(length: number): Buffer {
    const at = this.take(length)
    return this.buffer.subarray(at, at + length)
  }

  utf8(length: number): string {
    const at = this.take(length)
    const bytes = this.buffer.subarray(at, at + length)
    if (!isUtf8(bytes)) throw new DecodeFault('a string is not UTF-8')
    return bytes.toString('utf8')
  }

  ascii(length: number): string {
    const at = this.take(length)
    return this.buffer.toString('latin1', at, at + length)
  }
}

function charOf(point: number): string {
  if (point > 0x10_ff_ff || (point >= 0xd8_00 && point <= 0xdf_ff)) throw new DecodeFault('a char is no Unicode character')
  return String.fromCodePoint(point)
}

function tooDeep(depthMax: number): DecodeFault {
  return new DecodeFault(`values are nested deeper than ${depthMax} (depthMax)`)
}

const DESCRIBED = 0x00
/** First half of the constructors whose values have no bytes: null, true, 0, an empty list. */
const NO_WIDTH = 0x4
/** Nobody needs such an array; ten bytes could ask for `termsMax` objects by one. */
const EMPTIES_MAX = 256
const EMPTY = Buffer.alloc(0)

/** Descriptors may be written as symbols, too. */
const DESCRIPTORS: Readonly<Record<string, number>> = {
  __proto__: null as never,
  'amqp:open:list': 0x10,
  'amqp:begin:list': 0x11,
  'amqp:attach:list': 0x12,
  'amqp:flow:list': 0x13,
  'amqp:transfer:list': 0x14,
  'amqp:disposition:list': 0x15,
  'amqp:detach:list': 0x16,
  'amqp:end:list': 0x17,
  'amqp:close:list': 0x18,
  'amqp:error:list': 0x1d,
  'amqp:received:list': 0x23,
  'amqp:accepted:list': 0x24,
  'amqp:rejected:list': 0x25,
  'amqp:released:list': 0x26,
  'amqp:modified:list': 0x27,
  'amqp:source:list': 0x28,
  'amqp:target:list': 0x29,
  'amqp:coordinator:list': 0x30,
  'amqp:declared:list': 0x33,
  'amqp:transactional-state:list': 0x34,
  'amqp:sasl-mechanisms:list': 0x40,
  'amqp:sasl-init:list': 0x41,
  'amqp:sasl-challenge:list': 0x42,
  'amqp:sasl-response:list': 0x43,
  'amqp:sasl-outcome:list': 0x44,
  'amqp:header:list': 0x70,
  'amqp:delivery-annotations:map': 0x71,
  'amqp:message-annotations:map': 0x72,
  'amqp:properties:list': 0x73,
  'amqp:application-properties:map': 0x74,
  'amqp:data:binary': 0x75,
  'amqp:amqp-sequence:list': 0x76,
  'amqp:amqp-value:*': 0x77,
  'amqp:footer:map': 0x78,
}
