// The packets of MQTT 5 that are more than an identifier: CONNACK, SUBACK, UNSUBACK, DISCONNECT, and acknowledgements that say why. Reason strings are only
// written to who asked for them, and left out where they would make the packet too long for its client [MQTT5-3.1.2-29] [MQTT5-3.4.2-2 and others].
import { AUTH, CONNACK, DISCONNECT, lengthBytes, ProtocolError, SUBACK, UNSUBACK, writeLength } from './codec.ts'
import { FOR_EVER, type Five, secondsOf } from './five.ts'
import { PROPERTY, PropertyWriter } from './properties.ts'
import { PACKET_TOO_LARGE } from './reasons.ts'
import type { MqttSettings } from './settings.ts'

/** A sentence for people is no longer than this. */
const REASON_CHARACTERS_MAX = 1000

/** An accepted CONNECT [MQTT5-3.2]: what differs from what the client asked for or from what is assumed. Undefined: its client takes no packet that long. */
export function connackAccepted(
  five: Five,
  sessionPresent: boolean,
  session: Readonly<{ keepMs: number }>,
  settings: MqttSettings,
  clientId: string,
): Uint8Array | undefined {
  const needed = new PropertyWriter()
  const expiry = session.keepMs === Number.POSITIVE_INFINITY ? FOR_EVER : secondsOf(session.keepMs)
  // [MQTT5-4.12.0-5]
  if (five.method !== '') writeMethod(needed, five.method, five.proof)
  if (expiry !== five.sessionExpiryAsked) needed.u32(PROPERTY.sessionExpiry, expiry)
  if (settings.receiveMaximum < 65_535) needed.u16(PROPERTY.receiveMaximum, settings.receiveMaximum)
  if (five.assignedClientId !== '') needed.text(PROPERTY.assignedClientId, five.assignedClientId)
  const keepAlive = keepAliveOf(five.keepAliveAsked, settings.keepAliveMaxSeconds)
  if (keepAlive !== five.keepAliveAsked) needed.u16(PROPERTY.serverKeepAlive, keepAlive)
  // [MQTT5-3.1.2-24] What a client can do without is left out first.
  const useful = new PropertyWriter()
  useful.u32(PROPERTY.maximumPacketSize, 1 + lengthBytes(settings.packetBytesMax) + settings.packetBytesMax)
  if (settings.topicAliasesInMax > 0) useful.u16(PROPERTY.topicAliasMaximum, settings.topicAliasesInMax)
  if (five.wantsResponse && settings.responsePrefix !== '') useful.text(PROPERTY.responseInformation, `${settings.responsePrefix}/${clientId}`)
  const flags = Buffer.from([sessionPresent ? 1 : 0, 0])
  for (const properties of [new PropertyWriter(needed, useful), needed]) {
    const connack = packet(CONNACK << 4, flags, properties.encoded())
    if (connack.length <= five.packetBytesMax) return connack
  }
  return undefined
}

export function keepAliveOf(askedSeconds: number, maxSeconds: number): number {
  return maxSeconds > 0 && (askedSeconds === 0 || askedSeconds > maxSeconds) ? maxSeconds : askedSeconds
}

function writeMethod(properties: PropertyWriter, method: string, data: Uint8Array): void {
  properties.text(PROPERTY.authenticationMethod, method)
  if (data.length > 0) properties.binary(PROPERTY.authenticationData, data)
}

/** AUTH of one who named a method. Undefined: its client takes no packet that long. */
export function auth(five: Five, reason: number, data: Uint8Array): Uint8Array | undefined {
  const properties = new PropertyWriter()
  writeMethod(properties, five.method, data)
  const whole = packet(AUTH << 4, Buffer.from([reason]), properties.encoded())
  return whole.length <= five.packetBytesMax ? whole : undefined
}

/** What a client said of the packets that it takes. */
export type Wishes = Pick<Five, 'packetBytesMax' | 'wantsProblems'>

/** Of a client that could not say it. */
export const NO_WISHES: Wishes = { packetBytesMax: Number.POSITIVE_INFINITY, wantsProblems: false }

/** Undefined: its client takes no packet that long. */
export function connackRefused(wishes: Wishes, reason: number, says: string): Uint8Array | undefined {
  const connack = reasoned(wishes, CONNACK << 4, Buffer.from([0, reason]), says)
  return connack.length <= wishes.packetBytesMax ? connack : undefined
}

/** PUBACK, PUBREC, PUBREL, PUBCOMP; `first` is byte 1. */
export function acknowledgement(five: Five, first: number, packetId: number, reason: number, says: string): Uint8Array {
  return reasoned(five, first, Buffer.from([packetId >> 8, packetId & 255, reason]), says)
}

/** `server`: where to go on instead, or ''. */
export function disconnect(five: Five, reason: number, says: string, server: string): Uint8Array {
  if (server !== '') {
    const properties = new PropertyWriter()
    properties.text(PROPERTY.serverReference, server)
    const whole = packet(DISCONNECT << 4, Buffer.from([reason]), properties.encoded())
    if (whole.length <= five.packetBytesMax) return whole
  }
  // [MQTT5-3.1.2-29] CONNACK and DISCONNECT may say why even to who does not ask.
  return reasoned({ packetBytesMax: five.packetBytesMax, wantsProblems: true }, DISCONNECT << 4, Buffer.from([reason]), says)
}

export function suback(packetId: number, reasons: readonly number[]): Uint8Array {
  return packet(SUBACK << 4, Buffer.from([packetId >> 8, packetId & 255, 0]), Buffer.from(reasons))
}

export function unsuback(packetId: number, reasons: readonly number[]): Uint8Array {
  return packet(UNSUBACK << 4, Buffer.from([packetId >> 8, packetId & 255, 0]), Buffer.from(reasons))
}

/** [MQTT5-3.1.2-24] Looked at before anything is done: SUBACK and UNSUBACK have a reason for each filter, and no shorter form. */
export function checkAnswer(five: Five, filters: number): void {
  const remaining = 3 + filters
  if (1 + lengthBytes(remaining) + remaining > five.packetBytesMax)
    throw new ProtocolError('the answer for so many filters is longer than the client takes', PACKET_TOO_LARGE)
}

function reasoned(wishes: Wishes, first: number, fixed: Buffer, says: string): Uint8Array {
  if (says !== '' && wishes.wantsProblems) {
    const properties = new PropertyWriter()
    properties.text(PROPERTY.reasonString, says.replaceAll('\0', '').slice(0, REASON_CHARACTERS_MAX))
    const whole = packet(first, fixed, properties.encoded())
    if (whole.length <= wishes.packetBytesMax) return whole
  }
  // CONNACK always says how long its properties are; the others need not when there are none.
  return packet(first, fixed, first === CONNACK << 4 ? NO_PROPERTIES : NOTHING)
}

const NO_PROPERTIES = Buffer.of(0)
const NOTHING = Buffer.alloc(0)

function packet(first: number, fixed: Buffer, rest: Buffer): Uint8Array {
  const length = fixed.length + rest.length
  const header = Buffer.allocUnsafe(1 + lengthBytes(length))
  header[0] = first
  writeLength(header, 1, length)
  return Buffer.concat([header, fixed, rest])
}
