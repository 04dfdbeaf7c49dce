// MQTT's topics and filters ↔ the core's addresses and patterns, and the names of the queues that MQTT keeps for itself (namespace `mqtt`):
//
//     a/b                      topic ['a', 'b']                     (segments swapped as protocols/shared/naming.ts says)
//     $queue/a/b               queue ['a', 'b']                     only with the setting `queuePrefix`
//     $share/group/filter      queue ['share', group, filter]       in namespace mqtt: one for all members of the group
//     a session                queue ['session', client id]         in namespace mqtt: everything that its filters match
//
// Which topics may be published to and which subscriptions are granted is decided in `on/`.
import { isUtf8 } from 'node:buffer'
import type { Address, Broker, Delivery, Pattern } from '../../src/api.ts'
import { fromSlashed, patternFromSlashed, toSlashed } from '../shared/naming.ts'
import { ProtocolError } from './codec.ts'
import { PROTOCOL_ERROR, TOPIC_INVALID } from './reasons.ts'
import type { MqttSettings } from './settings.ts'

export const NAMESPACE = 'mqtt'

/**
 * What a delivery's topic is made of: where it was sent, and of a plain queue (`$queue/…`) the queue itself, whatever brought it there (a dead letter,
 * a topic that is bound to it): a topic that does not match its filter finds no reader in many clients [MQTT-3.3.2-3]. Also when the session has it since.
 */
export function sentTo({ queue, to, dead }: Pick<Delivery, 'queue' | 'to' | 'dead'>): Address {
  if (queue.namespace === '') return queue
  return dead !== undefined && dead.origin.namespace === '' ? dead.origin : to
}

/** A session's own queue, whoever's it is. */
export function isSessionQueue(queue: Address): boolean {
  return queue.namespace === NAMESPACE && queue.path[0] === 'session'
}

/** Longer names are not remembered, so that what is remembered stays small. */
const CACHED_BYTES_MAX = 256

/** Remembers what topic names mean: bounded, in two generations, keyed by the bytes as they came. */
export class Topics {
  readonly #broker: Broker
  readonly #settings: MqttSettings
  readonly #queuePrefix: string
  #young = new Map<string, Address>()
  #old = new Map<string, Address>()
  readonly #names = new WeakMap<Address, Uint8Array>()

  constructor(broker: Broker, settings: MqttSettings) {
    this.#broker = broker
    this.#settings = settings
    this.#queuePrefix = settings.queuePrefix === '' ? '' : `${settings.queuePrefix}/`
  }

  /** Where a PUBLISH to this name goes. */
  address(buffer: Buffer, start: number, end: number): Address {
    // Latin-1 shows bytes as they are: equal keys are equal names, and nothing is decoded for a name that is known.
    const key = buffer.toString('latin1', start, end)
    const known = this.#young.get(key)
    if (known !== undefined) return known
    const older = this.#old.get(key)
    if (older !== undefined) {
      this.#remember(key, older)
      return older
    }
    const address = this.#parse(buffer, start, end)
    if (end - start <= CACHED_BYTES_MAX) this.#remember(key, address)
    return address
  }

  /** The name of an address in MQTT, as bytes; undefined: it has none. Kept while the address is. */
  name(address: Address): Uint8Array | undefined {
    const known = this.#names.get(address)
    if (known !== undefined) return known
    if (address.namespace !== '' || address.kind === 'stream') return undefined
    const slashed = toSlashed(address.path)
    const text = address.kind === 'topic' ? slashed : `${this.#settings.queuePrefix === '' ? '$queue' : this.#settings.queuePrefix}/${slashed}`
    // [MQTT-3.3.2-2] [MQTT-4.7.3-1] [MQTT-4.7.3-2]; a name of another protocol may be anything.
    if (text === '' || WILDCARD.test(text) || text.includes('\0')) return undefined
    const bytes = Buffer.from(text, 'utf8')
    if (bytes.length > 65_535) return undefined
    this.#names.set(address, bytes)
    return bytes
  }

  /** Would a publish to its name come there? */
  reaches(address: Address): boolean {
    return address.kind === 'topic' || this.#queuePrefix !== ''
  }

  /** Undefined: the filter has no valid form. */
  filter(text: string): Filter | undefined {
    if (Buffer.byteLength(text) > this.#settings.topicBytesMax || levels(text) > this.#settings.topicLevelsMax) return undefined
    if (text === '$share' || text.startsWith('$share/')) return this.#shared(text)
    if (!wellFormed(text)) return undefined
    if (this.#queuePrefix !== '' && text.startsWith(this.#queuePrefix)) {
      const name = text.slice(this.#queuePrefix.length)
      if (name === '' || WILDCARD.test(name)) return undefined
      return { kind: 'queue', text, queue: this.#broker.address('queue', fromSlashed(name)) }
    }
    return { kind: 'own', text, pattern: patternFromSlashed(text) }
  }

  /** [MQTT5-4.8.2-1] [MQTT5-4.8.2-2], which 3.1.1 clients are given as well. */
  #shared(text: string): Filter | undefined {
    const slash = text.indexOf('/', 7)
    if (slash < 0) return undefined
    const group = text.slice(7, slash)
    const filter = text.slice(slash + 1)
    if (group === '' || WILDCARD.test(group) || filter === '' || !wellFormed(filter)) return undefined
    const queue = this.#broker.address('queue', ['share', group, filter], NAMESPACE)
    return { kind: 'shared', text: filter, queue, pattern: patternFromSlashed(filter) }
  }

  #parse(buffer: Buffer, start: number, end: number): Address {
    if (start === end) throw new ProtocolError('the topic is empty [MQTT-4.7.3-1]', PROTOCOL_ERROR)
    if (end - start > this.#settings.topicBytesMax)
      throw new ProtocolError(`the topic is longer than ${this.#settings.topicBytesMax} bytes`, TOPIC_INVALID)
    const bytes = buffer.subarray(start, end)
    if (!isUtf8(bytes)) throw new ProtocolError('the topic is not UTF-8 [MQTT-1.5.3-1]')
    if (bytes.includes(0)) throw new ProtocolError('the topic holds U+0000 [MQTT-4.7.3-2]')
    // U+FEFF is a character like any other [MQTT-1.5.3-3]: Buffer keeps it.
    const text = bytes.toString('utf8')
    if (WILDCARD.test(text)) throw new ProtocolError('the topic holds a wildcard [MQTT-3.3.2-2]', TOPIC_INVALID)
    if (levels(text) > this.#settings.topicLevelsMax)
      throw new ProtocolError(`the topic has more than ${this.#settings.topicLevelsMax} levels`, TOPIC_INVALID)
    if (this.#queuePrefix !== '' && text.startsWith(this.#queuePrefix)) {
      if (text.length === this.#queuePrefix.length) throw new ProtocolError('the topic names no queue', TOPIC_INVALID)
      return this.#broker.address('queue', fromSlashed(text.slice(this.#queuePrefix.length)))
    }
    return this.#broker.address('topic', fromSlashed(text))
  }

  #remember(key: string, address: Address): void {
    if (this.#young.size >= this.#settings.topicCacheMax) {
      this.#old = this.#young
      this.#young = new Map()
    }
    this.#young.set(key, address)
  }
}

export type Filter =
  /** Bound to the session's own queue. */
  | Readonly<{ kind: 'own'; text: string; pattern: Pattern }>
  /** Bound once to the group's queue, which the members consume. */
  | Readonly<{ kind: 'shared'; text: string; queue: Address; pattern: Pattern }>
  /** A queue itself. */
  | Readonly<{ kind: 'queue'; text: string; queue: Address }>

/** Is `filter` the same as `refused`, or a part of it? */
export function within(filter: string, refused: string): boolean {
  const asked = filter.split('/')
  const levelsRefused = refused.split('/')
  for (let i = 0; i < levelsRefused.length; i++) {
    if (levelsRefused[i] === '#') return true
    if (i >= asked.length) return false
    if (levelsRefused[i] === '+' ? asked[i] === '#' : levelsRefused[i] !== asked[i]) return false
  }
  return asked.length === levelsRefused.length
}

const WILDCARD = /[+#]/

/** [MQTT-4.7.1-2] [MQTT-4.7.1-3] A wildcard fills its level, and `#` is the last. */
function wellFormed(filter: string): boolean {
  if (!WILDCARD.test(filter)) return true
  const parts = filter.split('/')
  return parts.every((part, i) => part === '+' || (part === '#' ? i === parts.length - 1 : !WILDCARD.test(part)))
}

function levels(text: string): number {
  let count = 1
  for (let at = text.indexOf('/'); at >= 0; at = text.indexOf('/', at + 1)) count++
  return count
}
