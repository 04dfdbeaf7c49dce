// The properties of a packet of MQTT 5 as they lie on the wire, in their order: what mqtt-packet's object of them cannot say. Not a check of their values.
import { packet, properties, varint } from '../mqtt/bytes.ts'

export const ID = {
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
  wildcardAvailable: 0x28,
  subscriptionIdentifiersAvailable: 0x29,
  sharedAvailable: 0x2a,
} as const

/** `value` as it is encoded, lengths included. */
export type Property = Readonly<{ id: number; value: Buffer }>

const BYTE = [0x01, 0x17, 0x19, 0x24, 0x25, 0x28, 0x29, 0x2a]
const TWO = [0x13, 0x21, 0x22, 0x23]
const FOUR = [0x02, 0x11, 0x18, 0x27]

/** A packet without its fixed header: what is before the properties, they, and what is behind them. */
type Parts = Readonly<{ head: Buffer; properties: readonly Property[]; rest: Buffer }>

export function propertiesOf(raw: Buffer): readonly Property[] {
  return cut(raw).properties
}

/** What is behind the properties: the payload. */
export function payloadOf(raw: Buffer): Buffer {
  return cut(raw).rest
}

/** The same packet with other properties. */
export function withProperties(raw: Buffer, change: (before: readonly Property[]) => readonly Property[]): Buffer {
  const { head, properties: before, rest } = cut(raw)
  const parts = change(before).flatMap(({ id, value }) => [id, value])
  return packet(raw[0] ?? 0, head, properties(...parts), rest)
}

function cut(raw: Buffer): Parts {
  const [, headerBytes] = readVarint(raw, 1)
  const body = raw.subarray(1 + headerBytes)
  const end = headBytes(raw[0] ?? 0, body)
  // An acknowledgement may leave out its reason code and the length of its properties.
  if (body.length <= end) return { head: Buffer.concat([body, Buffer.alloc(end - body.length)]), properties: [], rest: Buffer.alloc(0) }
  const [length, lengthBytes] = readVarint(body, end)
  const from = end + lengthBytes
  return { head: body.subarray(0, end), properties: split(body.subarray(from, from + length)), rest: body.subarray(from + length) }
}

function headBytes(first: number, body: Buffer): number {
  switch (first >> 4) {
    case 1:
      return 2 + body.readUInt16BE() + 4
    case 3:
      return 2 + body.readUInt16BE() + ((first & 6) === 0 ? 0 : 2)
    case 4:
    case 5:
    case 6:
    case 7:
      return 3
    case 14:
    case 15:
      return 1
    default:
      return 2
  }
}

function split(bytes: Buffer): readonly Property[] {
  const found: Property[] = []
  for (let at = 0; at < bytes.length; ) {
    const id = bytes[at] ?? 0
    const size = valueBytes(id, bytes, at + 1)
    found.push({ id, value: bytes.subarray(at + 1, at + 1 + size) })
    at += 1 + size
  }
  return found
}

function valueBytes(id: number, bytes: Buffer, at: number): number {
  if (BYTE.includes(id)) return 1
  if (TWO.includes(id)) return 2
  if (FOUR.includes(id)) return 4
  if (id === ID.subscriptionIdentifier) return readVarint(bytes, at)[1]
  const one = 2 + bytes.readUInt16BE(at)
  return id === ID.userProperty ? one + 2 + bytes.readUInt16BE(at + one) : one
}

/** Value and number of bytes. */
export function readVarint(bytes: Buffer, at: number): readonly [value: number, size: number] {
  let value = 0
  for (let index = 0; index < 4; index++) {
    const byte = bytes[at + index] ?? 0
    value += (byte & 127) * 128 ** index
    if (byte < 128) return [value, index + 1]
  }
  return [value, 4]
}

/** A varint that takes a byte more than it needs. */
export function longVarint(value: number): Buffer {
  const short = varint(value)
  short[short.length - 1] = (short[short.length - 1] ?? 0) | 128
  return Buffer.concat([short, Buffer.of(0)])
}
