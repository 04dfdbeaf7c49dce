// The packets of MQTT 5 that are more than an identifier: CONNACK, SUBACK, UNSUBACK, DISCONNECT, and acknowledgements that say why. Reason strings are only
// written to who asked for them, and left out where they would make the packet too long for its client [MQTT5-3.1.2-29] [MQTT5-3.4.2-2 and others].
import { CONNACK, DISCONNECT, lengthBytes, SUBACK, UNSUBACK, writeLength } from './codec.ts'
import { FOR_EVER, type Five, secondsOf } from './five.ts'
import { PROPERTY, PropertyWriter } from './properties.ts'
import type { MqttSettings } from './settings.ts'

/** A sentence for people is no longer than this. */
const REASON_CHARACTERS_MAX = 1000

/** An accepted CONNECT [MQTT5-3.2]: what differs from what the client asked for or from what is assumed. */
export function connackAccepted(
  five: Five,
  sessionPresent: boolean,
  session: Readonly<{ keepMs: number }>,
  settings: MqttSettings,
  clientId: string,
): Uint8Array {
  const properties = new PropertyWriter()
  const expiry = session.keepMs === Number.POSITIVE_INFINITY ? FOR_EVER : secondsOf(session.keepMs)
  if (expiry !== five.sessionExpiryAsked) properties.u32(PROPERTY.sessionExpiry, expiry)
  if (settings.receiveMaximum < 65_535) properties.u16(PROPERTY.receiveMaximum, settings.receiveMaximum)
  properties.u32(PROPERTY.maximumPacketSize, 1 + lengthBytes(settings.packetBytesMax) + settings.packetBytesMax)
  if (settings.topicAliasesInMax > 0) properties.u16(PROPERTY.topicAliasMaximum, settings.topicAliasesInMax)
  if (five.assignedClientId !== '') properties.text(PROPERTY.assignedClientId, five.assignedClientId)
  const keepAlive = keepAliveOf(five.keepAliveAsked, settings.keepAliveMaxSeconds)
  if (keepAlive !== five.keepAliveAsked) properties.u16(PROPERTY.serverKeepAlive, keepAlive)
  if (five.wantsResponse && settings.responsePrefix !== '') properties.text(PROPERTY.responseInformation, `${settings.responsePrefix}/${clientId}`)
  return packet(CONNACK << 4, Buffer.from([sessionPresent ? 1 : 0, 0]), properties.encoded())
}

export function keepAliveOf(askedSeconds: number, maxSeconds: number): number {
  return maxSeconds > 0 && (askedSeconds === 0 || askedSeconds > maxSeconds) ? maxSeconds : askedSeconds
}

/** `five` undefined: the CONNECT could not be read to its end. */
export function connackRefused(five: Five | undefined, reason: number, says: string): Uint8Array {
  return reasoned(five, CONNACK << 4, Buffer.from([0, reason]), says, false)
}

/** PUBACK, PUBREC, PUBREL, PUBCOMP; `first` is byte 1. */
export function acknowledgement(five: Five, first: number, packetId: number, reason: number, says: string): Uint8Array {
  return reasoned(five, first, Buffer.from([packetId >> 8, packetId & 255, reason]), says, false)
}

/** `server`: where to go on instead, or ''. */
export function disconnect(five: Five, reason: number, says: string, server: string): Uint8Array {
  if (server === '') return reasoned(five, DISCONNECT << 4, Buffer.from([reason]), says, true)
  const properties = new PropertyWriter()
  properties.text(PROPERTY.serverReference, server)
  const whole = packet(DISCONNECT << 4, Buffer.from([reason]), properties.encoded())
  return whole.length <= five.packetBytesMax ? whole : reasoned(five, DISCONNECT << 4, Buffer.from([reason]), says, true)
}

export function suback(packetId: number, reasons: readonly number[]): Uint8Array {
  return packet(SUBACK << 4, Buffer.from([packetId >> 8, packetId & 255, 0]), Buffer.from(reasons))
}

export function unsuback(packetId: number, reasons: readonly number[]): Uint8Array {
  return packet(UNSUBACK << 4, Buffer.from([packetId >> 8, packetId & 255, 0]), Buffer.from(reasons))
}

/** [MQTT5-3.1.2-29] `always`: CONNACK and DISCONNECT may say why even to who does not ask. */
function reasoned(five: Five | undefined, first: number, fixed: Buffer, says: string, always: boolean): Uint8Array {
  const properties = new PropertyWriter()
  if (says !== '' && (always || five === undefined || five.wantsProblems)) {
    properties.text(PROPERTY.reasonString, says.replaceAll('\0', '').slice(0, REASON_CHARACTERS_MAX))
  }
  const whole = packet(first, fixed, properties.encoded())
  return whole.length <= (five?.packetBytesMax ?? CONNACK_BYTES_MAX) ? whole : packet(first, fixed, Buffer.of(0))
}

/** To a client that has not said what it takes. */
const CONNACK_BYTES_MAX = 4096

function packet(first: number, fixed: Buffer, rest: Buffer): Uint8Array {
  const length = fixed.length + rest.length
  const header = Buffer.allocUnsafe(1 + lengthBytes(length))
  header[0] = first
  writeLength(header, 1, length)
  return Buffer.concat([header, fixed, rest])
}
