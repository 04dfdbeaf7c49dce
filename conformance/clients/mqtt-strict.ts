// Holds a packet of a broker against the structure that MQTT gives it: what a lenient reader lets pass is told here. It says nothing of what a packet means.
import type { Level } from './mqtt-wire.ts'

type Kind = 'flag' | 'u16' | 'u32' | 'varint' | 'string' | 'binary' | 'pair'

/** Properties of MQTT 5 that a server may send: name, type, and whether 0 is no value of it. */
const PROPERTIES: Readonly<Record<number, readonly [name: string, kind: Kind, notZero?: true]>> = {
  0x01: ['Payload Format Indicator', 'flag'],
  0x02: ['Message Expiry Interval', 'u32'],
  0x03: ['Content Type', 'string'],
  0x08: ['Response Topic', 'string'],
  0x09: ['Correlation Data', 'binary'],
  0x0b: ['Subscription Identifier', 'varint', true],
  0x11: ['Session Expiry Interval', 'u32'],
  0x12: ['Assigned Client Identifier', 'string'],
  0x13: ['Server Keep Alive', 'u16'],
  0x15: ['Authentication Method', 'string'],
  0x16: ['Authentication Data', 'binary'],
  0x1a: ['Response Information', 'string'],
  0x1c: ['Server Reference', 'string'],
  0x1f: ['Reason String', 'string'],
  0x21: ['Receive Maximum', 'u16', true],
  0x22: ['Topic Alias Maximum', 'u16'],
  0x23: ['Topic Alias', 'u16', true],
  0x24: ['Maximum QoS', 'flag'],
  0x25: ['Retain Available', 'flag'],
  0x26: ['User Property', 'pair'],
  0x27: ['Maximum Packet Size', 'u32', true],
  0x28: ['Wildcard Subscription Available', 'flag'],
  0x29: ['Subscription Identifier Available', 'flag'],
  0x2a: ['Shared Subscription Available', 'flag'],
}

type Shape = Readonly<{
  name: string
  flags: number
  /** Reason codes of level 5, and return codes below it. */
  codes5?: readonly number[]
  codes?: readonly number[]
  properties?: readonly number[]
}>

const ABOUT = [0x1f, 0x26]
const FAILURES = [0x80, 0x83, 0x87]
const CONNACK_CODES = [0x81, 0x82, 0x84, 0x85, 0x86, 0x88, 0x89, 0x8a, 0x8c, 0x90, 0x95, 0x97, 0x99, 0x9a, 0x9b, 0x9c, 0x9d, 0x9f]
const CONNACK_PROPERTIES = [0x11, 0x12, 0x13, 0x15, 0x16, 0x1a, 0x1c, 0x21, 0x22, 0x24, 0x25, 0x27, 0x28, 0x29, 0x2a]
const DISCONNECT_CODES = [
  0x81, 0x82, 0x89, 0x8b, 0x8d, 0x8e, 0x8f, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a, 0x9b, 0x9c, 0x9d, 0x9e, 0x9f, 0xa0, 0xa1, 0xa2,
]
const PUBLISHED = [0, 0x10, ...FAILURES, 0x90, 0x91, 0x97, 0x99]

/** What a server may send, by the type of the first byte. */
const SHAPES: Readonly<Record<number, Shape>> = {
  2: {
    name: 'CONNACK',
    flags: 0,
    codes5: [0, ...FAILURES, ...CONNACK_CODES],
    codes: [0, 1, 2, 3, 4, 5],
    properties: [...CONNACK_PROPERTIES, ...ABOUT],
  },
  3: { name: 'PUBLISH', flags: 0, properties: [0x01, 0x02, 0x03, 0x08, 0x09, 0x0b, 0x23, 0x26] },
  4: { name: 'PUBACK', flags: 0, codes5: PUBLISHED, properties: ABOUT },
  5: { name: 'PUBREC', flags: 0, codes5: PUBLISHED, properties: ABOUT },
  6: { name: 'PUBREL', flags: 2, codes5: [0, 0x92], properties: ABOUT },
  7: { name: 'PUBCOMP', flags: 0, codes5: [0, 0x92], properties: ABOUT },
  9: { name: 'SUBACK', flags: 0, codes5: [0, 1, 2, ...FAILURES, 0x8f, 0x91, 0x97, 0x9e, 0xa1, 0xa2], codes: [0, 1, 2, 0x80], properties: ABOUT },
  11: { name: 'UNSUBACK', flags: 0, codes5: [0, 0x11, ...FAILURES, 0x8f, 0x91], properties: ABOUT },
  13: { name: 'PINGRESP', flags: 0 },
  14: { name: 'DISCONNECT', flags: 0, codes5: [0, ...FAILURES, ...DISCONNECT_CODES], properties: [0x1c, ...ABOUT] },
  15: { name: 'AUTH', flags: 0, codes5: [0, 0x18], properties: [0x15, 0x16, ...ABOUT] },
}

class Malformed extends Error {}

/** Why this is no packet that a server may send; undefined if it is one. */
export function whyMalformed(raw: Buffer, level: Level): string | undefined {
  try {
    read(raw, level)
  } catch (error) {
    if (error instanceof Malformed) return error.message
    throw error
  }
  return undefined
}

function read(raw: Buffer, level: Level): void {
  const first = raw[0] ?? 0
  const shape = SHAPES[first >> 4]
  if (shape === undefined || (level < 5 && first >> 4 > 13)) throw new Malformed(`a server sends no packet of type ${first >> 4}`)
  if (first >> 4 !== 3 && (first & 15) !== shape.flags) throw new Malformed(`the flags of ${shape.name} are ${first & 15}, not ${shape.flags}`)
  const bytes = new Bytes(raw.subarray(1), shape.name, level)
  if (bytes.varint('Remaining Length') !== bytes.left) throw new Malformed(`the Remaining Length of ${shape.name} is not that of its parts`)
  switch (shape.name) {
    case 'CONNACK': {
      const flags = bytes.byte('flags')
      if (flags > 1) throw new Malformed(`the flags of CONNACK are ${flags}: only the first bit has a meaning`)
      bytes.code(shape)
      bytes.properties(shape)
      break
    }
    case 'PUBLISH':
      publish(bytes, first, shape, level)
      return
    case 'SUBACK':
    case 'UNSUBACK':
      bytes.identifier()
      bytes.properties(shape)
      if (shape.name === 'UNSUBACK' && level < 5) break
      do bytes.code(shape)
      while (bytes.left > 0)
      break
    case 'PINGRESP':
      break
    case 'DISCONNECT':
    case 'AUTH':
      if (bytes.left > 0) bytes.code(shape)
      if (bytes.left > 0) bytes.properties(shape)
      break
    default:
      bytes.identifier()
      if (level === 5 && bytes.left > 0) bytes.code(shape)
      if (level === 5 && bytes.left > 0) bytes.properties(shape)
  }
  if (bytes.left > 0) throw new Malformed(`${shape.name} has ${bytes.left} bytes too many`)
}

function publish(bytes: Bytes, first: number, shape: Shape, level: Level): void {
  const qos = (first >> 1) & 3
  if (qos === 3) throw new Malformed('PUBLISH has both bits of QoS set')
  const topic = bytes.string('Topic Name')
  if (/[+#]/.test(topic)) throw new Malformed('the Topic Name has a wildcard')
  if (qos > 0) bytes.identifier()
  const present = bytes.properties(shape)
  if (topic === '' && (level < 5 || !present.has(0x23))) throw new Malformed('the Topic Name is empty')
}

class Bytes {
  readonly #bytes: Buffer
  readonly #packet: string
  readonly #level: Level
  #at = 0

  constructor(bytes: Buffer, packet: string, level: Level) {
    this.#bytes = bytes
    this.#packet = packet
    this.#level = level
  }

  get left(): number {
    return this.#bytes.length - this.#at
  }

  byte(what: string): number {
    return this.#take(1, what)[0] ?? 0
  }

  identifier(): void {
    if (this.#take(2, 'Packet Identifier').readUInt16BE() === 0) throw new Malformed(`the Packet Identifier of ${this.#packet} is 0`)
  }

  /** Of level 5 in as few bytes as it takes [MQTT-1.5.5-1]. */
  varint(what: string): number {
    let value = 0
    for (let index = 0; index < 4; index++) {
      const byte = this.byte(what)
      value += (byte & 127) * 128 ** index
      if (byte >= 128) continue
      if (this.#level === 5 && byte === 0 && index > 0) throw new Malformed(`the ${what} of ${this.#packet} takes more bytes than it needs`)
      return value
    }
    throw new Malformed(`the ${what} of ${this.#packet} does not end in four bytes`)
  }

  string(what: string): string {
    const bytes = this.#take(this.#take(2, what).readUInt16BE(), what)
    let text: string
    try {
      text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
    } catch {
      throw new Malformed(`the ${what} of ${this.#packet} is no UTF-8`)
    }
    if (text.includes('\0')) throw new Malformed(`the ${what} of ${this.#packet} has U+0000`)
    return text
  }

  code(shape: Shape): void {
    const code = this.byte('code')
    const known = this.#level === 5 ? shape.codes5 : shape.codes
    if (known?.includes(code) !== true) throw new Malformed(`0x${code.toString(16).padStart(2, '0')} is no code of ${shape.name}`)
  }

  /** The identifiers of those that are there. */
  properties(shape: Shape): ReadonlySet<number> {
    const present = new Set<number>()
    if (this.#level < 5) return present
    const length = this.varint('Property Length')
    const end = this.#at + length
    while (this.#at < end) {
      const id = this.varint('Property Identifier')
      const [name, kind, notZero] = PROPERTIES[id] ?? []
      if (name === undefined || kind === undefined || shape.properties?.includes(id) !== true)
        throw new Malformed(`${name ?? `property ${id}`} is none of ${shape.name}'s`)
      if (present.has(id) && id !== 0x26 && !(id === 0x0b && shape.name === 'PUBLISH'))
        throw new Malformed(`${shape.name} has ${name} more than once`)
      present.add(id)
      const value = this.#value(kind, name)
      if (kind === 'flag' && value > 1) throw new Malformed(`${name} of ${shape.name} is ${value}: it is 0 or 1`)
      if (notZero === true && value === 0) throw new Malformed(`${name} of ${shape.name} is 0, which it may not be`)
    }
    if (this.#at !== end) throw new Malformed(`the properties of ${shape.name} are not as long as it says`)
    return present
  }

  #value(kind: Kind, name: string): number {
    switch (kind) {
      case 'flag':
        return this.byte(name)
      case 'u16':
        return this.#take(2, name).readUInt16BE()
      case 'u32':
        return this.#take(4, name).readUInt32BE()
      case 'varint':
        return this.varint(name)
      case 'binary':
        return this.#take(this.#take(2, name).readUInt16BE(), name).length
      case 'string':
        return this.string(name).length
      case 'pair':
        return this.string(name).length + this.string(name).length
    }
  }

  #take(size: number, what: string): Buffer {
    if (size > this.left) throw new Malformed(`${this.#packet} ends before its ${what} does`)
    this.#at += size
    return this.#bytes.subarray(this.#at - size, this.#at)
  }
}
