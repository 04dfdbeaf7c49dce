// AMQP 1.0, part 1: values and their bytes, both ways. Every value says of which type it is, and can say by which constructor it is written; any other bytes are `raw`.

type Of<T extends string, V> = Readonly<{ type: T; value: V /** The constructor; without it the shortest. */; code?: number }>

export type Value =
  | Of<'null', null>
  | Of<'boolean', boolean>
  | Of<'ubyte' | 'ushort' | 'uint' | 'byte' | 'short' | 'int' | 'float' | 'double' | 'char', number>
  | Of<'ulong' | 'long' | 'timestamp', bigint>
  | Of<'decimal32' | 'decimal64' | 'decimal128' | 'uuid' | 'binary', Buffer>
  | Of<'string' | 'symbol', string>
  | Of<'list' | 'array', readonly Value[]>
  | Of<'map', readonly Entry[]>
  | Described
  | Readonly<{ type: 'raw'; value: Buffer }>

export type Entry = readonly [Value, Value]
export type Described = Readonly<{ type: 'described'; descriptor: Value; value: Value }>
export type TypeName = Value['type']

export const nothing: Value = { type: 'null', value: null }
export const boolean = (value: boolean, code?: number): Value => ({ type: 'boolean', value, ...by(code) })
export const ubyte = (value: number): Value => ({ type: 'ubyte', value })
export const ushort = (value: number): Value => ({ type: 'ushort', value })
export const uint = (value: number, code?: number): Value => ({ type: 'uint', value, ...by(code) })
export const ulong = (value: number | bigint, code?: number): Value => ({ type: 'ulong', value: BigInt(value), ...by(code) })
export const int = (value: number, code?: number): Value => ({ type: 'int', value, ...by(code) })
export const long = (value: number | bigint, code?: number): Value => ({ type: 'long', value: BigInt(value), ...by(code) })
export const timestamp = (value: number | bigint): Value => ({ type: 'timestamp', value: BigInt(value) })
export const binary = (value: Buffer | string, code?: number): Value => ({ type: 'binary', value: Buffer.from(value), ...by(code) })
export const string = (value: string, code?: number): Value => ({ type: 'string', value, ...by(code) })
export const symbol = (value: string, code?: number): Value => ({ type: 'symbol', value, ...by(code) })
export const list = (value: readonly Value[], code?: number): Value => ({ type: 'list', value, ...by(code) })
export const array = (value: readonly Value[], code?: number): Value => ({ type: 'array', value, ...by(code) })
export const map = (value: readonly Entry[], code?: number): Value => ({ type: 'map', value, ...by(code) })
export const described = (descriptor: Value, value: Value): Described => ({ type: 'described', descriptor, value })
export const raw = (hexadecimal: string): Value => ({ type: 'raw', value: Buffer.from(hexadecimal.replaceAll(' ', ''), 'hex') })

const by = (code: number | undefined): { code?: number } => (code === undefined ? {} : { code })

/** Type of each constructor. */
const TYPES: Readonly<Record<number, Exclude<TypeName, 'described' | 'raw'>>> = {
  0x40: 'null',
  0x41: 'boolean',
  0x42: 'boolean',
  0x43: 'uint',
  0x44: 'ulong',
  0x45: 'list',
  0x50: 'ubyte',
  0x51: 'byte',
  0x52: 'uint',
  0x53: 'ulong',
  0x54: 'int',
  0x55: 'long',
  0x56: 'boolean',
  0x60: 'ushort',
  0x61: 'short',
  0x70: 'uint',
  0x71: 'int',
  0x72: 'float',
  0x73: 'char',
  0x74: 'decimal32',
  0x80: 'ulong',
  0x81: 'long',
  0x82: 'double',
  0x83: 'timestamp',
  0x84: 'decimal64',
  0x94: 'decimal128',
  0x98: 'uuid',
  0xa0: 'binary',
  0xa1: 'string',
  0xa3: 'symbol',
  0xb0: 'binary',
  0xb1: 'string',
  0xb3: 'symbol',
  0xc0: 'list',
  0xc1: 'map',
  0xd0: 'list',
  0xd1: 'map',
  0xe0: 'array',
  0xf0: 'array',
}

const FIXED = {
  null: 0x40,
  ubyte: 0x50,
  byte: 0x51,
  ushort: 0x60,
  short: 0x61,
  float: 0x72,
  char: 0x73,
  decimal32: 0x74,
  double: 0x82,
  timestamp: 0x83,
  decimal64: 0x84,
  decimal128: 0x94,
  uuid: 0x98,
} as const

export function encode(value: Value): Buffer {
  if (value.type === 'raw') return value.value
  if (value.type === 'described') return Buffer.concat([Buffer.of(0), encode(value.descriptor), encode(value.value)])
  const code = value.code ?? shortest(value)
  return Buffer.concat([Buffer.of(code), body(value, code)])
}

/** The constructor with the fewest bytes that can hold it. */
function shortest(value: Exclude<Value, Described | Readonly<{ type: 'raw' }>>): number {
  switch (value.type) {
    case 'boolean':
      return value.value ? 0x41 : 0x42
    case 'uint':
      return value.value === 0 ? 0x43 : value.value < 256 ? 0x52 : 0x70
    case 'ulong':
      return value.value === 0n ? 0x44 : value.value < 256n ? 0x53 : 0x80
    case 'int':
      return value.value >= -128 && value.value < 128 ? 0x54 : 0x71
    case 'long':
      return value.value >= -128n && value.value < 128n ? 0x55 : 0x81
    case 'binary':
      return value.value.length < 256 ? 0xa0 : 0xb0
    case 'string':
      return Buffer.byteLength(value.value) < 256 ? 0xa1 : 0xb1
    case 'symbol':
      return Buffer.byteLength(value.value) < 256 ? 0xa3 : 0xb3
    case 'list':
      return value.value.length === 0 ? 0x45 : compound(value.value, 0xc0)
    case 'map':
      return compound(value.value.flat(), 0xc1)
    case 'array':
      return value.value.length < 256 && elements(value.value).length < 254 ? 0xe0 : 0xf0
    default:
      return FIXED[value.type]
  }
}

const compound = (values: readonly Value[], narrow: number): number =>
  values.length < 256 && Buffer.concat(values.map(encode)).length < 255 ? narrow : narrow + 0x10

function body(value: Value, code: number): Buffer {
  const fixed = Buffer.alloc(code >= 0x50 && code < 0xa0 ? 1 << ((code >> 4) - 5) : 0)
  switch (value.type) {
    case 'null':
      return fixed
    case 'boolean':
      if (fixed.length > 0) fixed[0] = value.value ? 1 : 0
      return fixed
    case 'ubyte':
    case 'ushort':
    case 'uint':
    case 'char':
      if (fixed.length > 0) fixed.writeUIntBE(value.value, 0, fixed.length)
      return fixed
    case 'byte':
    case 'short':
    case 'int':
      fixed.writeIntBE(value.value, 0, fixed.length)
      return fixed
    case 'float':
      fixed.writeFloatBE(value.value)
      return fixed
    case 'double':
      fixed.writeDoubleBE(value.value)
      return fixed
    case 'ulong':
      if (fixed.length === 8) fixed.writeBigUInt64BE(value.value)
      else if (fixed.length === 1) fixed[0] = Number(value.value)
      return fixed
    case 'long':
    case 'timestamp':
      if (fixed.length === 8) fixed.writeBigInt64BE(value.value)
      else fixed.writeInt8(Number(value.value))
      return fixed
    case 'decimal32':
    case 'decimal64':
    case 'decimal128':
    case 'uuid':
    case 'raw':
      return value.value
    case 'binary':
      return sized(value.value, code)
    case 'string':
    case 'symbol':
      return sized(Buffer.from(value.value), code)
    case 'list':
      return code === 0x45 ? fixed : counted(value.value.length, Buffer.concat(value.value.map(encode)), code)
    case 'map':
      return counted(value.value.length * 2, Buffer.concat(value.value.flat().map(encode)), code)
    case 'array':
      return counted(value.value.length, elements(value.value), code)
    case 'described':
      return encode(value)
  }
}

/** Constructor, then the elements without theirs. All by the constructor of the first, or by one of four bytes if one of them is long. */
function elements(values: readonly Value[]): Buffer {
  const [first] = values
  if (first === undefined) return Buffer.of(0x40)
  const bare = values.map((value) => (value.type === 'described' ? value.value : value))
  const codes = bare.map((value) => (value.type === 'raw' || value.type === 'described' ? 0 : (value.code ?? wide(value))))
  const code = codes.reduce((one, other) => Math.max(one, other))
  const descriptor = first.type === 'described' ? Buffer.concat([Buffer.of(0), encode(first.descriptor)]) : Buffer.alloc(0)
  return Buffer.concat([descriptor, Buffer.of(code), ...bare.map((value) => body(value, code))])
}

function wide(value: Exclude<Value, Described | Readonly<{ type: 'raw' }>>): number {
  const all: Partial<Record<TypeName, number>> = { boolean: 0x56, uint: 0x70, ulong: 0x80, int: 0x71, long: 0x81, list: 0xd0, map: 0xd1, array: 0xf0 }
  return all[value.type] ?? shortest(value)
}

function sized(bytes: Buffer, code: number): Buffer {
  const size = code >= 0xb0 ? Buffer.alloc(4) : Buffer.alloc(1)
  size.writeUIntBE(bytes.length, 0, size.length)
  return Buffer.concat([size, bytes])
}

function counted(count: number, bytes: Buffer, code: number): Buffer {
  const width = (code & 0x10) === 0 ? 1 : 4
  const head = Buffer.alloc(2 * width)
  head.writeUIntBE(bytes.length + width, 0, width)
  head.writeUIntBE(count, width, width)
  return Buffer.concat([head, bytes])
}

/** The value at the beginning of `bytes`, and how many of them it takes. Throws with a sentence. */
export function decode(bytes: Buffer, from = 0): Readonly<{ value: Value; end: number }> {
  const code = byteAt(bytes, from)
  if (code !== 0) return decodeBody(bytes, from + 1, code)
  const descriptor = decode(bytes, from + 1)
  const { value, end } = decode(bytes, descriptor.end)
  return { value: described(descriptor.value, value), end }
}

/** Values that follow each other until the bytes end. */
export function decodeAll(bytes: Buffer): readonly Value[] {
  const values: Value[] = []
  for (let at = 0; at < bytes.length; ) {
    const { value, end } = decode(bytes, at)
    values.push(value)
    at = end
  }
  return values
}

function byteAt(bytes: Buffer, at: number): number {
  const byte = bytes[at]
  if (byte === undefined) throw new Error('a value ends before its last byte')
  return byte
}

function decodeBody(bytes: Buffer, from: number, code: number): Readonly<{ value: Value; end: number }> {
  const type = TYPES[code]
  if (type === undefined) throw new Error(`0x${code.toString(16)} is no constructor`)
  if (code < 0xa0) {
    const width = code < 0x50 ? 0 : 1 << ((code >> 4) - 5)
    if (from + width > bytes.length) throw new Error(`a ${type} ends before its last byte`)
    return { value: { ...fixedOf(type, code, bytes.subarray(from, from + width)), code } as Value, end: from + width }
  }
  const width = (code & 0x10) === 0 ? 1 : 4
  if (from + width > bytes.length) throw new Error(`a ${type} ends inside of its size`)
  const begin = from + width
  const end = begin + bytes.readUIntBE(from, width)
  if (end > bytes.length) throw new Error(`a ${type} is longer than what holds it`)
  const content = bytes.subarray(begin, end)
  if (type === 'binary') return { value: { type, value: content, code }, end }
  if (type === 'string' || type === 'symbol') return { value: { type, value: content.toString('utf8'), code }, end }
  if (content.length < width) throw new Error(`a ${type} has no count`)
  const count = content.readUIntBE(0, width)
  const inner = content.subarray(width)
  if (type === 'array') return { value: { type, value: arrayOf(inner, count), code }, end }
  const values = decodeAll(inner)
  if (values.length !== count) throw new Error(`a ${type} says that it has ${count} values and has ${values.length}`)
  if (type === 'list') return { value: { type, value: values, code }, end }
  if (count % 2 === 1) throw new Error('a map has a key without a value')
  const entries: Entry[] = []
  for (let at = 0; at < count; at += 2) entries.push([values[at] ?? nothing, values[at + 1] ?? nothing])
  return { value: { type: 'map', value: entries, code }, end }
}

function fixedOf(type: TypeName, code: number, bytes: Buffer): Readonly<{ type: TypeName; value: unknown }> {
  switch (type) {
    case 'boolean':
      return { type, value: code === 0x41 || (code === 0x56 && bytes[0] === 1) }
    case 'ubyte':
    case 'ushort':
    case 'uint':
    case 'char':
      return { type, value: bytes.length === 0 ? 0 : bytes.readUIntBE(0, bytes.length) }
    case 'byte':
    case 'short':
    case 'int':
      return { type, value: bytes.readIntBE(0, bytes.length) }
    case 'float':
      return { type, value: bytes.readFloatBE() }
    case 'double':
      return { type, value: bytes.readDoubleBE() }
    case 'ulong':
      return { type, value: bytes.length === 8 ? bytes.readBigUInt64BE() : BigInt(bytes[0] ?? 0) }
    case 'long':
    case 'timestamp':
      return { type, value: bytes.length === 8 ? bytes.readBigInt64BE() : BigInt(bytes.readInt8()) }
    case 'list':
      return { type, value: [] }
    case 'null':
      return { type, value: null }
    default:
      return { type, value: bytes }
  }
}

function arrayOf(bytes: Buffer, count: number): readonly Value[] {
  let at = 0
  let descriptor: Value | undefined
  if (bytes[0] === 0) ({ value: descriptor, end: at } = decode(bytes, 1))
  const code = byteAt(bytes, at++)
  const values: Value[] = []
  for (let each = 0; each < count; each++) {
    const { value, end } = decodeBody(bytes, at, code)
    values.push(descriptor === undefined ? value : described(descriptor, value))
    at = end
  }
  if (at !== bytes.length) throw new Error('an array is longer than its elements')
  return values
}

/** For people. */
export function textOf(value: Value): string {
  switch (value.type) {
    case 'described':
      return `@${textOf(value.descriptor)} ${textOf(value.value)}`
    case 'list':
    case 'array':
      return `[${value.value.map(textOf).join(', ')}]`
    case 'map':
      return `{${value.value.map(([key, each]) => `${textOf(key)}: ${textOf(each)}`).join(', ')}}`
    case 'string':
      return JSON.stringify(value.value)
    default:
      return Buffer.isBuffer(value.value) ? `x${value.value.toString('hex')}` : String(value.value)
  }
}
