// The contents of the rare packets: CONNECT, SUBSCRIBE, UNSUBSCRIBE. Strict, because what is wrong here must be told at once: lengths, flags,
// UTF-8, and nothing left over. PUBLISH and the acknowledgements are read where they are handled (`on/`), in place.
import { isUtf8 } from 'node:buffer'
import { ProtocolError } from './codec.ts'
import { ALLOWED, PROPERTY, type Properties, readProperties } from './properties.ts'
import { type PublishProperties, readPublishProperties } from './publish-properties.ts'
import { OF_AUTH, PROTOCOL_ERROR, QUOTA_EXCEEDED } from './reasons.ts'

/** Of MQTT 5, and where they lie. */
export type WillProperties = Readonly<{ found: PublishProperties; packet: Buffer }>

export type Connect = Readonly<{
  /** 3: MQTT 3.1; 4: MQTT 3.1.1; 5: MQTT 5. */
  version: 3 | 4 | 5
  clean: boolean
  keepAliveSeconds: number
  clientId: string
  /** `properties`: of MQTT 5. */
  will: Readonly<{ topic: Buffer; payload: Buffer; qos: number; retain: boolean; properties: WillProperties | undefined }> | undefined
  user: string | undefined
  password: Buffer | undefined
  /** Of MQTT 5. */
  properties: Properties | undefined
}>

/** The protocol level that this broker does not speak. */
export type UnknownLevel = Readonly<{ version: 0; level: number }>

/** `propertyBytesMax`: of the will's properties. */
export function decodeConnect(buffer: Buffer, start: number, end: number, propertyBytesMax = Number.POSITIVE_INFINITY): Connect | UnknownLevel {
  const fields = new Fields(buffer, start, end)
  const name = fields.text('protocol name')
  const level = fields.u8()
  if (name !== 'MQTT' && name !== 'MQIsdp') throw new ProtocolError('the protocol name is not MQTT [MQTT-3.1.2-1]')
  // [MQTT-3.1.2-2] Answered with a code, so it is no error here. What follows is of a form not known.
  if (!(name === 'MQTT' ? level === 4 || level === 5 : level === 3)) return { version: 0, level }
  const flags = fields.u8()
  if ((flags & 1) !== 0) throw new ProtocolError('the reserved connect flag is set [MQTT-3.1.2-3]')
  const hasWill = (flags & 4) !== 0
  const willQos = (flags >> 3) & 3
  const willRetain = (flags & 32) !== 0
  if (!hasWill && (willQos !== 0 || willRetain)) throw new ProtocolError('will QoS or will retain without a will [MQTT-3.1.2-11, -13, -15]')
  if (willQos === 3) throw new ProtocolError('the will QoS is 3 [MQTT-3.1.2-14]')
  const hasUser = (flags & 128) !== 0
  const hasPassword = (flags & 64) !== 0
  if (hasPassword && !hasUser && level !== 5) throw new ProtocolError('a password without a user name [MQTT-3.1.2-22]')
  const keepAliveSeconds = fields.u16()
  const properties = level === 5 ? fields.properties(ALLOWED.connect) : undefined
  // [MQTT-3.1.3-1] In this order.
  const clientId = fields.text('client identifier')
  const willProperties = hasWill && level === 5 ? fields.willProperties(propertyBytesMax) : undefined
  const will = hasWill ? { topic: fields.bytes(), payload: fields.bytes(), qos: willQos, retain: willRetain, properties: willProperties } : undefined
  const user = hasUser ? fields.text('user name') : undefined
  const password = hasPassword ? fields.bytes() : undefined
  fields.end()
  return { version: level === 3 ? 3 : level === 4 ? 4 : 5, clean: (flags & 2) !== 0, keepAliveSeconds, clientId, will, user, password, properties }
}

/** MQTT 5's subscription options, beside the QoS in bits 0 and 1 [MQTT5-3.8.3.1]. */
export const NO_LOCAL = 4
export const RETAIN_AS_PUBLISHED = 8

export type Subscribe = Readonly<{
  packetId: number
  filters: readonly string[]
  /** Of each filter: the QoS asked for, and with MQTT 5 the other options above it. */
  options: readonly number[]
  /** MQTT 5's subscription identifier; 0: none. */
  identifier: number
}>

export function decodeSubscribe(buffer: Buffer, start: number, end: number, filtersMax: number, five = false): Subscribe {
  const fields = new Fields(buffer, start, end)
  const packetId = fields.packetId()
  const identifier = five ? (fields.properties(ALLOWED.subscribe).numbers.get(PROPERTY.subscriptionIdentifier) ?? 0) : 0
  const filters: string[] = []
  const options: number[] = []
  while (fields.left > 0) {
    if (filters.length === filtersMax) throw new ProtocolError(`more than ${filtersMax} filters in one packet`, QUOTA_EXCEEDED)
    filters.push(fields.filter())
    const asked = fields.u8()
    // [MQTT5-3.8.3-5] Reserved bits.
    if (asked > (five ? 0x3f : 2)) throw new ProtocolError('the requested QoS is not 0, 1 or 2 [MQTT-3-8.3-4]')
    if ((asked & 3) === 3 || asked >> 4 === 3) throw new ProtocolError('the requested QoS or retain handling is 3', PROTOCOL_ERROR)
    options.push(asked)
  }
  if (filters.length === 0) throw new ProtocolError('SUBSCRIBE without a filter [MQTT-3.8.3-3]', PROTOCOL_ERROR)
  return { packetId, filters, options, identifier }
}

export type Unsubscribe = Readonly<{ packetId: number; filters: readonly string[] }>

export function decodeUnsubscribe(buffer: Buffer, start: number, end: number, filtersMax: number, five = false): Unsubscribe {
  const fields = new Fields(buffer, start, end)
  const packetId = fields.packetId()
  if (five) fields.properties(ALLOWED.unsubscribe)
  const filters: string[] = []
  while (fields.left > 0) {
    if (filters.length === filtersMax) throw new ProtocolError(`more than ${filtersMax} filters in one packet`, QUOTA_EXCEEDED)
    filters.push(fields.filter())
  }
  if (filters.length === 0) throw new ProtocolError('UNSUBSCRIBE without a filter [MQTT-3.10.3-2]', PROTOCOL_ERROR)
  return { packetId, filters }
}

/** The packet identifier of PUBACK, PUBREC, PUBREL and PUBCOMP. */
export function packetIdOf(buffer: Buffer, start: number): number {
  const packetId = (buffer[start] << 8) | buffer[start + 1]
  if (packetId === 0) throw new ProtocolError('the packet identifier is 0 [MQTT-2.3.1-1]')
  return packetId
}

/** The reason in an acknowledgement of MQTT 5, which may be left out when all is well [MQTT5-3.4.2.1]. */
export function reasonOf(buffer: Buffer, start: number, end: number, known: ReadonlySet<number>): number {
  if (end === start + 2) return 0
  if (end > start + 3 && readProperties(buffer, start + 3, end, ALLOWED.acknowledgement).end !== end) throw new ProtocolError('bytes are left over')
  return checkedReason(buffer[start + 2], known)
}

export type Disconnect = Readonly<{ reason: number; sessionExpirySeconds: number | undefined }>

export function decodeDisconnect(buffer: Buffer, start: number, end: number, known: ReadonlySet<number>): Disconnect {
  const reason = end === start ? 0 : checkedReason(buffer[start], known)
  if (end <= start + 1) return { reason, sessionExpirySeconds: undefined }
  const properties = readProperties(buffer, start + 1, end, ALLOWED.disconnect)
  if (properties.end !== end) throw new ProtocolError('bytes are left over')
  return { reason, sessionExpirySeconds: properties.numbers.get(PROPERTY.sessionExpiry) }
}

export type Auth = Readonly<{ reason: number; method: string | undefined; data: Buffer | undefined }>

export function decodeAuth(buffer: Buffer, start: number, end: number): Auth {
  // [MQTT5-3.15.2.1] Nothing stands for success without properties.
  if (end === start) return { reason: 0, method: undefined, data: undefined }
  const reason = checkedReason(buffer[start], OF_AUTH)
  const properties = readProperties(buffer, start + 1, end, ALLOWED.auth)
  if (properties.end !== end) throw new ProtocolError('bytes are left over')
  const data = properties.binaries.get(PROPERTY.authenticationData)
  return { reason, method: properties.texts.get(PROPERTY.authenticationMethod), data: data === undefined ? undefined : Buffer.from(data) }
}

function checkedReason(reason: number, known: ReadonlySet<number>): number {
  if (!known.has(reason)) throw new ProtocolError(`reason ${reason} does not belong into this packet`)
  return reason
}

class Fields {
  readonly #buffer: Buffer
  #at: number
  readonly #end: number

  constructor(buffer: Buffer, start: number, end: number) {
    this.#buffer = buffer
    this.#at = start
    this.#end = end
  }

  get left(): number {
    return this.#end - this.#at
  }

  u8(): number {
    const at = this.#take(1)
    return this.#buffer[at]
  }

  u16(): number {
    const at = this.#take(2)
    return (this.#buffer[at] << 8) | this.#buffer[at + 1]
  }

  packetId(): number {
    const packetId = this.u16()
    if (packetId === 0) throw new ProtocolError('the packet identifier is 0 [MQTT-2.3.1-1]')
    return packetId
  }

  bytes(): Buffer {
    const length = this.u16()
    const at = this.#take(length)
    return this.#buffer.subarray(at, at + length)
  }

  text(what: string): string {
    const bytes = this.bytes()
    // [MQTT-1.5.3-1] [MQTT-1.5.3-2]
    if (!isUtf8(bytes)) throw new ProtocolError(`the ${what} is not UTF-8 [MQTT-1.5.3-1]`)
    if (bytes.includes(0)) throw new ProtocolError(`the ${what} holds U+0000 [MQTT-1.5.3-2]`)
    return bytes.toString('utf8')
  }

  filter(): string {
    const filter = this.text('topic filter')
    if (filter === '') throw new ProtocolError('a topic filter is empty [MQTT-4.7.3-1]')
    return filter
  }

  properties(allowed: ReadonlySet<number>): Properties {
    const properties = readProperties(this.#buffer, this.#at, this.#end, allowed)
    this.#at = properties.end
    return properties
  }

  willProperties(bytesMax: number): WillProperties {
    const found = readPublishProperties(this.#buffer, this.#at, this.#end, bytesMax, true)
    this.#at = found.end
    return { found, packet: this.#buffer }
  }

  end(): void {
    if (this.left > 0) throw new ProtocolError('bytes are left over at the end of the packet')
  }

  #take(count: number): number {
    const at = this.#at
    if (count > this.#end - at) throw new ProtocolError('the packet ends before its fields do')
    this.#at = at + count
    return at
  }
}
