// Writes AMQP's type system (part 1.6). It writes what we made ourselves, so it checks nothing; numbers take their shortest form.
import type { Term } from './term.ts'

export class TermWriter {
  #buffer: Buffer
  #length = 0

  constructor(bytes = 256) {
    this.#buffer = Buffer.allocUnsafe(bytes)
  }

  get length(): number {
    return this.#length
  }

  /** What was written. Not to be written to any more. */
  bytes(): Buffer {
    return this.#buffer.subarray(0, this.#length)
  }

  u8(value: number): this {
    this.#room(1)
    this.#buffer[this.#length++] = value
    return this
  }

  u16(value: number): this {
    this.#room(2)
    this.#length = this.#buffer.writeUInt16BE(value, this.#length)
    return this
  }

  u32(value: number): this {
    this.#room(4)
    this.#length = this.#buffer.writeUInt32BE(value >>> 0, this.#length)
    return this
  }

  raw(bytes: Uint8Array): this {
    this.#room(bytes.length)
    this.#buffer.set(bytes, this.#length)
    this.#length += bytes.length
    return this
  }

  patch32(value: number, at: number): this {
    this.#buffer.writeUInt32BE(value, at)
    return this
  }

  term(term: Term): this {
    switch (term.type) {
      case 'null':
        return this.u8(0x40)
      case 'boolean':
        return this.u8(term.value ? 0x41 : 0x42)
      case 'uint8':
        return this.u8(0x50).u8(term.value)
      case 'int8':
        return this.u8(0x51).u8(term.value & 0xff)
      case 'uint16':
        return this.u8(0x60).u16(term.value)
      case 'int16':
        return this.u8(0x61).u16(term.value & 0xffff)
      case 'uint32':
        if (term.value === 0) return this.u8(0x43)
        return term.value < 256 ? this.u8(0x52).u8(term.value) : this.u8(0x70).u32(term.value)
      case 'int32':
        return term.value >= -128 && term.value < 128 ? this.u8(0x54).u8(term.value & 0xff) : this.u8(0x71).u32(term.value)
      case 'uint64':
        if (term.value === 0n) return this.u8(0x44)
        return term.value < 256n ? this.u8(0x53).u8(Number(term.value)) : this.u8(0x80).#u64(BigInt.asUintN(64, term.value))
      case 'int64':
        return term.value >= -128n && term.value < 128n
          ? this.u8(0x55).u8(Number(term.value) & 0xff)
          : this.u8(0x81).#u64(BigInt.asUintN(64, term.value))
      case 'timestamp':
        return this.u8(0x83).#u64(BigInt.asUintN(64, term.value))
      case 'float':
        this.u8(0x72).#room(4)
        this.#length = this.#buffer.writeFloatBE(term.value, this.#length)
        return this
      case 'double':
        this.u8(0x82).#room(8)
        this.#length = this.#buffer.writeDoubleBE(term.value, this.#length)
        return this
      case 'char':
        return this.u8(0x73).u32(term.value.codePointAt(0) ?? 0)
      case 'decimal':
        return this.u8(term.value.length === 4 ? 0x74 : term.value.length === 8 ? 0x84 : 0x94).raw(term.value)
      case 'uuid':
        return this.u8(0x98).raw(term.value)
      case 'binary':
        return this.#variable(0xa0, term.value)
      case 'string':
        return this.#variable(0xa1, Buffer.from(term.value, 'utf8'))
      case 'symbol':
        return this.#variable(0xa3, Buffer.from(term.value, 'latin1'))
      case 'list':
      case 'terms':
        return term.value.length === 0 ? this.u8(0x45) : this.#compound(0xd0, term.value, term.value.length)
      case 'map':
      case 'pairs':
        return this.#compound(0xd1, term.value.flat() as readonly Term[], term.value.length * 2)
      case 'array':
        return this.#array(term.value)
      case 'described':
        return this.u8(0x00).term(term.descriptor).term(term.value)
      default:
        return term satisfies never
    }
  }

  /** A described list; absent fields at its end are left out. */
  composite(code: number, fields: readonly (Term | undefined)[]): this {
    let count = fields.length
    while (count > 0 && fields[count - 1] === undefined) count--
    this.u8(0x00).u8(0x53).u8(code)
    if (count === 0) return this.u8(0x45)
    const at = this.u8(0xd0).#length
    this.u32(0).u32(count)
    for (let i = 0; i < count; i++) {
      const field = fields[i]
      if (field === undefined) this.u8(0x40)
      else this.term(field)
    }
    return this.patch32(this.#length - at - 4, at)
  }

  #compound(code: number, items: readonly Term[], count: number): this {
    const at = this.u8(code).#length
    this.u32(0).u32(count)
    for (const item of items) this.term(item)
    return this.patch32(this.#length - at - 4, at)
  }

  /** Of symbols, which is all that we have to say in arrays; anything else goes as a list. */
  #array(items: readonly Term[]): this {
    if (!items.every((item) => item.type === 'symbol')) return this.term({ type: 'terms', value: items })
    const at = this.u8(0xf0).#length
    this.u32(0).u32(items.length).u8(0xb3)
    for (const item of items) {
      const bytes = Buffer.from(item.type === 'symbol' ? item.value : '', 'latin1')
      this.u32(bytes.length).raw(bytes)
    }
    return this.patch32(this.#length - at - 4, at)
  }

  #variable(code: number, bytes: Uint8Array): this {
    return bytes.length < 256
      ? this.u8(code).u8(bytes.length).raw(bytes)
      : this.u8(code | 0x10)
          .u32(bytes.length)
          .raw(bytes)
  }

  #u64(value: bigint): this {
    this.#room(8)
    this.#length = this.#buffer.writeBigUInt64BE(value, this.#length)
    return this
  }

  #room(bytes: number): void {
    if (this.#length + bytes <= this.#buffer.length) return
    const larger = Buffer.allocUnsafe(Math.max(this.#buffer.length * 2, this.#length + bytes))
    this.#buffer.copy(larger, 0, 0, this.#length)
    this.#buffer = larger
  }
}
