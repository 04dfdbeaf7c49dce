// MQTT 5's properties: identifiers, types, where each may stand, and the bytes of those that the broker writes. In place for PUBLISH (publish-properties.ts);
// here for all other packets. It knows no session and no broker.
//
//     property length, varint   then   identifier, 1 byte   value, by type   …
import { isUtf8 } from 'node:buffer'
import { lengthBytes, ProtocolError, writeLength } from './codec.ts'
import { PROTOCOL_ERROR } from './reasons.ts'

export const PROPERTY = {
  payloadFormat: 0x01,
  messageExpiry: 0x02,
  contentType: 0x03,
  responseTopic: 0x08,
  correlationData: 0x09,
  subscriptionIdentifier: 0x0b,
  sessionExpiry: 0x11,
  assignedClientId: 0x12,
  serverKeepAlive: 0x13,
  authenticationMethod: 0x15,
  authenticationData: 0x16,
  requestProblem: 0x17,
  willDelay: 0x18,
  requestResponse: 0x19,
  responseInformation: 0x1a,
  serverReference: 0x1c,
  reasonString: 0x1f,
  receiveMaximum: 0x21,
  topicAliasMaximum: 0x22,
  topicAlias: 0x23,
  maximumQos: 0x24,
  retainAvailable: 0x25,
  userProperty: 0x26,
  maximumPacketSize: 0x27,
} as const

type Type = 'byte' | 'u16' | 'u32' | 'varint' | 'text' | 'binary' | 'pair'

/** Those that a client may send, but for PUBLISH and wills [MQTT5-2.2.2.2]. */
const TYPES: ReadonlyMap<number, Type> = new Map<number, Type>([
  [PROPERTY.subscriptionIdentifier, 'varint'],
  [PROPERTY.sessionExpiry, 'u32'],
  [PROPERTY.authenticationMethod, 'text'],
  [PROPERTY.authenticationData, 'binary'],
  [PROPERTY.requestProblem, 'byte'],
  [PROPERTY.requestResponse, 'byte'],
  [PROPERTY.reasonString, 'text'],
  [PROPERTY.receiveMaximum, 'u16'],
  [PROPERTY.topicAliasMaximum, 'u16'],
  [PROPERTY.userProperty, 'pair'],
  [PROPERTY.maximumPacketSize, 'u32'],
])

const CONNECT: readonly number[] = [
  PROPERTY.sessionExpiry,
  PROPERTY.receiveMaximum,
  PROPERTY.maximumPacketSize,
  PROPERTY.topicAliasMaximum,
  PROPERTY.requestResponse,
  PROPERTY.requestProblem,
  PROPERTY.userProperty,
  PROPERTY.authenticationMethod,
  PROPERTY.authenticationData,
]

/** Where they stand. */
export const ALLOWED = {
  connect: new Set(CONNECT),
  acknowledgement: new Set<number>([PROPERTY.reasonString, PROPERTY.userProperty]),
  subscribe: new Set<number>([PROPERTY.subscriptionIdentifier, PROPERTY.userProperty]),
  unsubscribe: new Set<number>([PROPERTY.userProperty]),
  auth: new Set<number>([PROPERTY.authenticationMethod, PROPERTY.authenticationData, PROPERTY.reasonString, PROPERTY.userProperty]),
  disconnect: new Set<number>([PROPERTY.sessionExpiry, PROPERTY.reasonString, PROPERTY.userProperty]),
} as const

/** What a packet's properties say. `bytes`: where they lie, without their length. */
export interface Properties {
  readonly numbers: ReadonlyMap<number, number>
  readonly texts: ReadonlyMap<number, string>
  readonly binaries: ReadonlyMap<number, Buffer>
  readonly start: number
  readonly end: number
}

const NO_NUMBERS = new Map<number, number>()
const NO_TEXTS = new Map<number, string>()
const NO_BINARIES = new Map<number, Buffer>()

/** Reads the properties whose length stands at `at`. */
export function readProperties(buffer: Buffer, at: number, end: number, allowed: ReadonlySet<number>): Properties {
  const length = readVarint(buffer, at, end)
  const start = at + lengthBytes(length)
  const until = start + length
  if (until > end) throw new ProtocolError('the properties end beyond the packet')
  if (length === 0) return { numbers: NO_NUMBERS, texts: NO_TEXTS, binaries: NO_BINARIES, start, end: until }
  const numbers = new Map<number, number>()
  const texts = new Map<number, string>()
  const binaries = new Map<number, Buffer>()
  for (let place = start; place < until; ) {
    const id = buffer[place]
    const type = TYPES.get(id)
    // [MQTT5-2.2.2.2] An identifier that is not of this packet is malformed, as is one that nobody knows.
    if (type === undefined || !allowed.has(id)) throw new ProtocolError(`property ${id} does not belong into this packet`)
    // [MQTT5-3.1.2.11 and others] Twice is a protocol error, but for user properties.
    if (id !== PROPERTY.userProperty && (numbers.has(id) || texts.has(id) || binaries.has(id)))
      throw new ProtocolError(`property ${id} comes twice`, PROTOCOL_ERROR)
    const next = skipProperty(buffer, place, until, type)
    const value = place + 1
    if (type === 'text') texts.set(id, checkedText(buffer, value + 2, next))
    else if (type === 'binary') binaries.set(id, buffer.subarray(value + 2, next))
    else if (type === 'pair') checkPair(buffer, value, next)
    else numbers.set(id, numberAt(buffer, value, until, type))
    place = next
  }
  checkNumbers(numbers)
  return { numbers, texts, binaries, start, end: until }
}

/** Values that are protocol errors wherever they stand. */
function checkNumbers(numbers: ReadonlyMap<number, number>): void {
  for (const id of [PROPERTY.requestProblem, PROPERTY.requestResponse])
    if ((numbers.get(id) ?? 0) > 1) throw new ProtocolError(`property ${id} is neither 0 nor 1`, PROTOCOL_ERROR)
  for (const id of [PROPERTY.receiveMaximum, PROPERTY.maximumPacketSize, PROPERTY.subscriptionIdentifier])
    if (numbers.get(id) === 0) throw new ProtocolError(`property ${id} is 0`, PROTOCOL_ERROR)
}

/** Answers where the property at `at` ends. */
function skipProperty(buffer: Buffer, at: number, end: number, type: Type): number {
  let next = at + 1
  switch (type) {
    case 'byte':
      next += 1
      break
    case 'u16':
      next += 2
      break
    case 'u32':
      next += 4
      break
    case 'varint':
      next += lengthBytes(readVarint(buffer, next, end))
      break
    case 'text':
    case 'binary':
      next = skipString(buffer, next, end)
      break
    case 'pair':
      next = skipString(buffer, skipString(buffer, next, end), end)
  }
  if (next > end) throw new ProtocolError('a property ends beyond the properties')
  return next
}

export function skipString(buffer: Buffer, at: number, end: number): number {
  if (at + 2 > end) throw new ProtocolError('a property ends beyond the properties')
  const next = at + 2 + ((buffer[at] << 8) | buffer[at + 1])
  if (next > end) throw new ProtocolError('a property ends beyond the properties')
  return next
}

function numberAt(buffer: Buffer, at: number, end: number, type: Type): number {
  if (type === 'byte') return buffer[at]
  if (type === 'u16') return buffer.readUInt16BE(at)
  return type === 'u32' ? buffer.readUInt32BE(at) : readVarint(buffer, at, end)
}

/** [MQTT5-1.5.5-1] In as few bytes as it can be. */
export function readVarint(buffer: Buffer, at: number, end: number): number {
  let value = 0
  let shift = 1
  for (let place = at; place < end && place < at + 4; place++) {
    const byte = buffer[place]
    value += (byte & 127) * shift
    if (byte < 128) {
      if (byte === 0 && place > at) throw new ProtocolError('a variable byte integer is longer than it needs to be [MQTT5-1.5.5-1]')
      return value
    }
    shift *= 128
  }
  throw new ProtocolError('a variable byte integer is cut off or too long')
}

/** [MQTT5-1.5.4-1] [MQTT5-1.5.4-2] */
export function checkedText(buffer: Buffer, start: number, end: number): string {
  const bytes = buffer.subarray(start, end)
  if (!isUtf8(bytes)) throw new ProtocolError('a property is not UTF-8 [MQTT5-1.5.4-1]')
  if (bytes.includes(0)) throw new ProtocolError('a property holds U+0000 [MQTT5-1.5.4-2]')
  return bytes.toString('utf8')
}

export function checkPair(buffer: Buffer, at: number, end: number): readonly [string, string] {
  const middle = skipString(buffer, at, end)
  return [checkedText(buffer, at + 2, middle), checkedText(buffer, middle + 2, end)]
}

/** Gathers properties that are to be written. */
export class PropertyWriter {
  readonly #parts: Buffer[] = []
  bytes = 0

  /** It begins with those of `others`. */
  constructor(...others: readonly PropertyWriter[]) {
    for (const other of others) for (const part of other.#parts) this.#add(part)
  }

  byte(id: number, value: number): void {
    this.#add(Buffer.from([id, value]))
  }

  u16(id: number, value: number): void {
    this.#add(Buffer.from([id, value >> 8, value & 255]))
  }

  u32(id: number, value: number): void {
    const part = Buffer.allocUnsafe(5)
    part[0] = id
    part.writeUInt32BE(value, 1)
    this.#add(part)
  }

  /** What is longer than a string can be is left out. */
  text(id: number, value: string): boolean {
    return this.#strings(id, [Buffer.from(value, 'utf8')])
  }

  binary(id: number, value: Uint8Array): boolean {
    return this.#strings(id, [value])
  }

  pair(name: string, value: string): boolean {
    return this.#strings(PROPERTY.userProperty, [Buffer.from(name, 'utf8'), Buffer.from(value, 'utf8')])
  }

  /** Without their length. */
  take(): Buffer {
    return Buffer.concat(this.#parts)
  }

  /** With it. */
  encoded(): Buffer {
    const length = Buffer.allocUnsafe(lengthBytes(this.bytes))
    writeLength(length, 0, this.bytes)
    return Buffer.concat([length, ...this.#parts])
  }

  #strings(id: number, values: readonly Uint8Array[]): boolean {
    if (values.some(({ length }) => length > 65_535)) return false
    const part = Buffer.allocUnsafe(values.reduce((sum, { length }) => sum + 2 + length, 1))
    part[0] = id
    let at = 1
    for (const value of values) {
      at = part.writeUInt16BE(value.length, at)
      part.set(value, at)
      at += value.length
    }
    this.#add(part)
    return true
  }

  #add(part: Buffer): void {
    this.#parts.push(part)
    this.bytes += part.length
  }
}
