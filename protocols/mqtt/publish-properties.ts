// The properties of a PUBLISH of MQTT 5, read in place: what belongs to this one packet (alias, expiry) is taken out, the rest stays as it came and becomes the
// head of the message (format-five.ts). A will's are read here too. A warm room: nothing is made where there are no properties.
import { isUtf8 } from 'node:buffer'
import { lengthBytes, ProtocolError } from './codec.ts'
import { checkedText, checkPair, PROPERTY, readVarint, skipString } from './properties.ts'
import { PACKET_TOO_LARGE, PROTOCOL_ERROR, TOPIC_ALIAS_INVALID, TOPIC_INVALID } from './reasons.ts'

export interface PublishProperties {
  /** 0: none. */
  alias: number
  /** Seconds; -1: never. */
  expirySeconds: number
  willDelaySeconds: number
  saysText: boolean
  /** What stays with the message, in pieces of the packet: [from, until, from, until …]. */
  readonly kept: number[]
  keptBytes: number
  // What user properties say of the message (users-and-features.md 3.3).
  priority: number
  group: string
  groupEnds: boolean
  delayMs: number
  /** Bits of those that were said: of doubles the first counts. */
  fields: number
  /** Where the properties end. */
  end: number
}

/** Reads the properties whose length stands at `at`. */
export function readPublishProperties(buffer: Buffer, at: number, end: number, bytesMax: number, will: boolean): PublishProperties {
  const length = readVarint(buffer, at, end)
  let place = at + lengthBytes(length)
  const until = place + length
  if (until > end) throw new ProtocolError('the properties end beyond the packet')
  if (length > bytesMax) throw new ProtocolError(`properties of more than ${bytesMax} bytes`, PACKET_TOO_LARGE)
  const found: PublishProperties = {
    alias: 0,
    expirySeconds: -1,
    willDelaySeconds: 0,
    saysText: false,
    kept: [],
    keptBytes: 0,
    priority: 4,
    group: '',
    groupEnds: false,
    delayMs: 0,
    fields: 0,
    end: until,
  }
  let seen = 0
  while (place < until) {
    const id = buffer[place]
    if (id !== PROPERTY.userProperty && id < 31) {
      if ((seen & (1 << id)) !== 0) throw new ProtocolError(`property ${id} comes twice`, PROTOCOL_ERROR)
      seen |= 1 << id
    }
    const next = readOne(buffer, id, place + 1, until, found, will)
    if (id !== PROPERTY.topicAlias && id !== PROPERTY.messageExpiry && id !== PROPERTY.willDelay) keep(found, place, next)
    place = next
  }
  return found
}

/** Answers where the property ends. */
function readOne(buffer: Buffer, id: number, at: number, end: number, found: PublishProperties, will: boolean): number {
  switch (id) {
    case PROPERTY.payloadFormat: {
      const next = within(at + 1, end)
      if (buffer[at] > 1) throw new ProtocolError('the payload format is neither 0 nor 1', PROTOCOL_ERROR)
      found.saysText = buffer[at] === 1
      return next
    }
    case PROPERTY.messageExpiry: {
      const next = within(at + 4, end)
      found.expirySeconds = buffer.readUInt32BE(at)
      return next
    }
    case PROPERTY.topicAlias: {
      const next = within(at + 2, end)
      if (will) break
      if (found.alias !== 0) throw new ProtocolError('two topic aliases', PROTOCOL_ERROR)
      found.alias = buffer.readUInt16BE(at)
      // [MQTT5-3.3.2-8]
      if (found.alias === 0) throw new ProtocolError('the topic alias is 0 [MQTT5-3.3.2-8]', TOPIC_ALIAS_INVALID)
      return next
    }
    case PROPERTY.willDelay: {
      const next = within(at + 4, end)
      if (!will) break
      found.willDelaySeconds = buffer.readUInt32BE(at)
      return next
    }
    case PROPERTY.contentType: {
      const next = skipString(buffer, at, end)
      checkUtf8(buffer, at + 2, next)
      return next
    }
    case PROPERTY.responseTopic: {
      const next = skipString(buffer, at, end)
      const topic = checkedText(buffer, at + 2, next)
      // [MQTT5-3.3.2-14]
      if (topic === '' || /[+#]/.test(topic))
        throw new ProtocolError('the response topic is empty or holds a wildcard [MQTT5-3.3.2-14]', TOPIC_INVALID)
      return next
    }
    case PROPERTY.correlationData:
      return skipString(buffer, at, end)
    case PROPERTY.userProperty: {
      const next = skipString(buffer, skipString(buffer, at, end), end)
      readUserProperty(checkPair(buffer, at, next), found)
      return next
    }
    case PROPERTY.subscriptionIdentifier:
      // [MQTT5-3.3.4-6] Only the broker says it.
      throw new ProtocolError('a client does not say subscription identifiers [MQTT5-3.3.4-6]', PROTOCOL_ERROR)
    default:
  }
  throw new ProtocolError(`property ${id} does not belong into this packet`)
}

function within(next: number, end: number): number {
  if (next > end) throw new ProtocolError('a property ends beyond the properties')
  return next
}

function checkUtf8(buffer: Buffer, start: number, end: number): void {
  const bytes = buffer.subarray(start, end)
  if (!isUtf8(bytes) || bytes.includes(0)) throw new ProtocolError('a property is not UTF-8 [MQTT5-1.5.4-1]')
}

/** Of equal names the first counts that can be read, as for the other fields (`headOf` in format-five.ts). */
function readUserProperty([name, value]: readonly [string, string], found: PublishProperties): void {
  const bit = FIELD_BITS.get(name)
  if (bit === undefined || (found.fields & bit) !== 0 || !isReadable(name, value)) return
  found.fields |= bit
  switch (name) {
    case 'priority':
      found.priority = Number(value)
      return
    case 'JMSXGroupID':
      found.group = value
      return
    case 'JMSXGroupSeq':
      found.groupEnds = Number(value) === -1
      return
    case 'AMQ_SCHEDULED_DELAY':
      found.delayMs = Number(value)
      return
    default:
  }
}

const FIELD_BITS: ReadonlyMap<string, number> = new Map([
  ['priority', 1],
  ['JMSXGroupID', 2],
  ['JMSXGroupSeq', 4],
  ['AMQ_SCHEDULED_DELAY', 8],
])

/** Whether a user property can be the field of its name. */
export function isReadable(name: string, value: string): boolean {
  switch (name) {
    case 'timestamp':
      return /^-?\d{1,15}$/.test(value)
    case 'JMSXGroupSeq':
      return /^-?\d{1,9}$/.test(value)
    case 'priority':
      return /^\d$/.test(value)
    case 'AMQ_SCHEDULED_DELAY':
      return /^\d{1,12}$/.test(value)
    case 'JMSXGroupID':
      return value.length <= GROUP_CHARACTERS_MAX
    default:
      return true
  }
}

/** The core keeps names of 65,535 bytes. */
const GROUP_CHARACTERS_MAX = 16_384

function keep(found: PublishProperties, from: number, until: number): void {
  const { kept } = found
  found.keptBytes += until - from
  if (kept.length > 0 && kept[kept.length - 1] === from) kept[kept.length - 1] = until
  else kept.push(from, until)
}
