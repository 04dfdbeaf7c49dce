// Messages of AMQP ↔ the matrix's notation, by rhea's encoder and decoder: neither is the broker's. Types stay what they are on the wire,
// which rhea's own messages do not show.
import rhea from 'rhea'
import type { AmqpMessage, Section, Typed, TypedMap } from '../notation.ts'

type RheaTyped = Readonly<{ type: Readonly<{ name: string }>; value: unknown; descriptor?: RheaTyped }>
type Types = Readonly<Record<string, (...values: unknown[]) => RheaTyped>> & {
  readonly Reader: new (bytes: Buffer) => { read(): RheaTyped; remaining(): number; readonly position: number }
  readonly Writer: new () => { write(value: RheaTyped): void; toBuffer(): Buffer }
}
const types = rhea.types as unknown as Types

const HEADER = 0x70
const PROPERTIES = ['message-id', 'user-id', 'to', 'subject', 'reply-to', 'correlation-id', 'content-type', 'content-encoding'].concat([
  'absolute-expiry-time',
  'creation-time',
  'group-id',
  'group-sequence',
  'reply-to-group-id',
])

export function encode(message: AmqpMessage): Buffer {
  const writer = new types.Writer()
  const section = (code: number, value: RheaTyped): void => writer.write(types['described_nc'](types['wrap_ulong'](code), value))
  const map = (code: number, entries: TypedMap | undefined, key: 'wrap_symbol' | 'wrap_string'): void => {
    if (entries === undefined) return
    section(code, types['Map32'](Object.entries(entries).flatMap(([name, value]) => [types[key](name), wrap(value)])))
  }
  const { durable, priority, ttl } = message
  if (durable !== undefined || priority !== undefined || ttl !== undefined) {
    const fields = [
      durable === undefined ? none() : types['wrap_boolean'](durable),
      priority === undefined ? none() : types['wrap_ubyte'](priority),
      ttl === undefined ? none() : types['wrap_uint'](ttl),
    ]
    section(HEADER, types['List8'](fields))
  }
  map(0x71, message.deliveryAnnotations, 'wrap_symbol')
  map(0x72, message.messageAnnotations, 'wrap_symbol')
  const { properties } = message
  if (properties !== undefined) {
    section(0x73, types['List32'](PROPERTIES.map((name) => (properties[name] === undefined ? none() : wrap(properties[name])))))
  }
  map(0x74, message.applicationProperties, 'wrap_string')
  for (const body of message.body ?? []) {
    if ('data' in body) section(0x75, types['Vbin32'](Buffer.from(body.data, 'hex')))
    else if ('sequence' in body) section(0x76, wrap(['list', body.sequence]))
    else section(0x77, wrap(body.value))
  }
  map(0x78, message.footer, 'wrap_symbol')
  return writer.toBuffer()
}

/** Always a new one: rhea writes descriptors into values. */
const none = (): RheaTyped => types['Null']()

function wrap(typed: Typed): RheaTyped {
  switch (typed[0]) {
    case 'null':
      return none()
    case 'boolean':
      return types['wrap_boolean'](typed[1])
    case 'ulong':
    case 'long': {
      const bytes = Buffer.alloc(8)
      bytes.writeBigUInt64BE(BigInt.asUintN(64, typed[1]))
      return types[typed[0] === 'ulong' ? 'Ulong' : 'Long'](bytes)
    }
    case 'binary':
      return types['wrap_binary'](Buffer.from(typed[1], 'hex'))
    case 'uuid':
      return types['Uuid'](Buffer.from(typed[1], 'hex'))
    case 'char':
      return types['CharUTF32'](typed[1])
    case 'list':
      return types['List32'](typed[1].map(wrap))
    case 'map':
      return types['Map32'](typed[1].flatMap((pair) => pair.map(wrap)))
    default:
      return types[`wrap_${typed[0]}`](typed[1])
  }
}

/** `firstAcquirer`, `deliveryCount`: what the broker says of this delivery. `bare`: everything behind the header, as it came. */
export type Decoded = AmqpMessage & Readonly<{ firstAcquirer?: boolean; deliveryCount?: number; bare: string }>

export function decode(bytes: Buffer): Decoded {
  const reader = new types.Reader(bytes)
  const found: { -readonly [K in keyof Decoded]: Decoded[K] } = { bare: '' }
  const body: Section[] = []
  let bareAt = 0
  while (reader.remaining() > 0) {
    const section = reader.read()
    const descriptor = section.descriptor?.value
    const code = typeof descriptor === 'string' ? (BY_NAME[descriptor] ?? 0) : Number(descriptor)
    const value = unwrap(section)
    switch (code) {
      case HEADER: {
        const fields = value[0] === 'list' ? value[1] : []
        found.durable = fields[0]?.[1] === true
        found.priority = Number(fields[1]?.[1] ?? 4)
        if (fields[2] !== undefined && fields[2][0] !== 'null') found.ttl = Number(fields[2][1])
        found.firstAcquirer = fields[3]?.[1] === true
        found.deliveryCount = Number(fields[4]?.[1] ?? 0)
        bareAt = reader.position
        break
      }
      case 0x71:
        found.deliveryAnnotations = mapOf(value)
        break
      case 0x72:
        found.messageAnnotations = mapOf(value)
        break
      case 0x73:
        found.properties = Object.fromEntries(
          (value[0] === 'list' ? value[1] : []).flatMap((field, i) => (field[0] === 'null' ? [] : [[PROPERTIES[i], field]])),
        )
        break
      case 0x74:
        found.applicationProperties = mapOf(value)
        break
      case 0x75:
        body.push({ data: value[0] === 'binary' ? value[1] : '' })
        break
      case 0x76:
        body.push({ sequence: value[0] === 'list' ? value[1] : [] })
        break
      case 0x77:
        body.push({ value })
        break
      case 0x78:
        found.footer = mapOf(value)
        break
      default:
        throw new Error(`a section ${code}`)
    }
  }
  return { ...found, body, bare: bytes.toString('hex', bareAt) }
}

const BY_NAME: Readonly<Record<string, number>> = { 'amqp:delivery-annotations:map': 0x71, 'amqp:application-properties:map': 0x74 }

function mapOf(typed: Typed): TypedMap {
  return Object.fromEntries(typed[0] === 'map' ? typed[1].map(([key, value]) => [String(key[1]), value]) : [])
}

const NAMES: Readonly<Record<string, Typed[0]>> = {
  Null: 'null',
  Boolean: 'boolean',
  True: 'boolean',
  False: 'boolean',
  Ubyte: 'ubyte',
  Ushort: 'ushort',
  Uint: 'uint',
  SmallUint: 'uint',
  Uint0: 'uint',
  Ulong: 'ulong',
  SmallUlong: 'ulong',
  Ulong0: 'ulong',
  Byte: 'byte',
  Short: 'short',
  Int: 'int',
  SmallInt: 'int',
  Long: 'long',
  SmallLong: 'long',
  Float: 'float',
  Double: 'double',
  CharUTF32: 'char',
  Timestamp: 'timestamp',
  Uuid: 'uuid',
  Vbin8: 'binary',
  Vbin32: 'binary',
  Str8: 'string',
  Str32: 'string',
  Sym8: 'symbol',
  Sym32: 'symbol',
  List0: 'list',
  List8: 'list',
  List32: 'list',
  Map8: 'map',
  Map32: 'map',
}

function unwrap({ type, value }: RheaTyped): Typed {
  const name = NAMES[type.name]
  switch (name) {
    case undefined:
      // Arrays and decimals, which no row of the tables has.
      return ['symbol', type.name]
    case 'boolean':
      return [name, value === true || value === 1]
    case 'ulong':
      return [name, Buffer.isBuffer(value) ? value.readBigUInt64BE() : BigInt(value as number)]
    case 'long':
      return [name, Buffer.isBuffer(value) ? value.readBigInt64BE() : BigInt(value as number)]
    case 'binary':
    case 'uuid':
      return [name, (value as Buffer).toString('hex')]
    case 'timestamp':
      return [name, (value as Date).getTime()]
    case 'list':
      return [name, (value as readonly RheaTyped[]).map(unwrap)]
    case 'map': {
      const items = (value as readonly RheaTyped[]).map(unwrap)
      const pairs: [Typed, Typed][] = []
      for (let i = 0; i + 1 < items.length; i += 2) pairs.push([items[i], items[i + 1]])
      return [name, pairs]
    }
    default:
      return [name, value] as Typed
  }
}
