// Addresses: the core's own class behind `Address`, with what the core remembers on one (its queue, its route) and its bytes in the journal.
import type { Address, Kind, Pattern } from '../api.ts'
import { CodedError } from '../errors.ts'
import type { FactReader, FactWriter } from '../journal/facts.ts'
import type { Queue } from './queue.ts'
import type { Route } from './router.ts'
import type { Spread } from './spread.ts'

const ADDRESS_BYTES_MAX = 65_000
const KINDS: readonly Kind[] = ['queue', 'topic', 'stream']
/** First segment of the names of temporary destinations (namespace ''). */
export const TEMPORARY = '$temp'

export class CoreAddress implements Address {
  readonly namespace: string
  readonly kind: Kind
  readonly path: readonly string[]
  /** Equal for equal addresses, different for different ones. */
  readonly key: string
  /** Of a temporary destination: it is there only if its owner made it. */
  readonly temporary: boolean
  /** Of an address that stands for several: those. */
  readonly parts: readonly CoreAddress[] | undefined
  /** What it stands for, if for more than itself (undefined: it does not; null: nobody has looked). */
  spread: Spread | undefined | null = null
  /** Good while `queue.alive`. */
  queue: Queue | undefined = undefined
  /** Good while `route.version` is the router's. */
  route: Route | undefined = undefined
  #encoded: Buffer | undefined = undefined
  #bytes = 0

  constructor(kind: Kind, path: readonly string[], namespace: string, parts?: readonly CoreAddress[]) {
    this.kind = kind
    this.path = path
    this.namespace = namespace
    this.temporary = path[0] === TEMPORARY && namespace === ''
    this.key = parts === undefined ? keyOf(kind, path, namespace) : parts.map(({ key }) => key).join('\u0001')
    this.parts = parts
  }

  /** Bytes of its name; what limits.addressBytes bounds. */
  get bytes(): number {
    if (this.#bytes === 0) {
      this.#bytes = 1 + Buffer.byteLength(this.namespace)
      for (const segment of this.path) this.#bytes += 2 + Buffer.byteLength(segment)
    }
    return this.#bytes
  }

  /** As it stands in facts: kind u8, namespace, count u16, segments. Made once. */
  get encoded(): Buffer {
    this.#encoded ??= encode(this)
    return this.#encoded
  }
}

/** One address that stands for several, to publish to; its name is the first one's. */
export function composite(parts: readonly CoreAddress[]): CoreAddress {
  return new CoreAddress(parts[0].kind, parts[0].path, parts[0].namespace, parts)
}

/** The core's own view of an address that came through the interface. All are made by `Broker.address`. */
export function own(address: Address): CoreAddress {
  return address instanceof CoreAddress ? address : new CoreAddress(address.kind, address.path, address.namespace)
}

/** Why a name is beyond the limits, if it is. The journal's own bound is 65,535 bytes with a few of its own. */
export function beyond(address: CoreAddress, limits: Readonly<{ addressSegments: number; addressBytes: number }>): CodedError | undefined {
  if (address.path.length > limits.addressSegments) {
    return new CodedError('too-large', `a name of ${address.path.length} segments exceeds limits.addressSegments (${limits.addressSegments})`)
  }
  if (address.bytes > Math.min(limits.addressBytes, ADDRESS_BYTES_MAX)) {
    return new CodedError('too-large', `a name of ${address.bytes} bytes exceeds limits.addressBytes (${limits.addressBytes})`)
  }
  return undefined
}

export function readAddress(from: FactReader): CoreAddress {
  const kind = KINDS[from.u8()]
  const namespace = from.text()
  const path: string[] = []
  for (let left = from.u16(); left > 0; left--) path.push(from.text())
  return new CoreAddress(kind, path, namespace)
}

/** count u16, then for each segment 0 and its name, 1 (one) or 2 (rest). */
export function writePattern(to: FactWriter, pattern: Pattern): void {
  to.u16(pattern.length)
  for (const segment of pattern) {
    if (typeof segment === 'string') to.u8(0).text(segment)
    else to.u8(segment.wild === 'one' ? 1 : 2)
  }
}

export function readPattern(from: FactReader): Pattern {
  const pattern: Pattern[number][] = []
  for (let left = from.u16(); left > 0; left--) {
    const what = from.u8()
    pattern.push(what === 0 ? from.text() : { wild: what === 1 ? 'one' : 'rest' })
  }
  return pattern
}

/** Equal for equal patterns. */
export function patternKey(pattern: Pattern): string {
  return JSON.stringify(pattern)
}

function keyOf(kind: Kind, path: readonly string[], namespace: string): string {
  const joined = path.join('\u0000')
  // A NUL inside a segment would make two paths look the same; JSON tells them apart.
  const unambiguous = joined.split('\u0000').length === Math.max(1, path.length) ? joined : JSON.stringify(path)
  return `${kind}\u0000${namespace}\u0000${path.length}\u0000${unambiguous}`
}

function encode(address: CoreAddress): Buffer {
  const namespace = Buffer.from(address.namespace)
  const segments = address.path.map((segment) => Buffer.from(segment))
  const size = 1 + 2 + namespace.length + 2 + segments.reduce((sum, segment) => sum + 2 + segment.length, 0)
  if (size > 0xffff) throw new RangeError(`an address of ${size} bytes is too long (65,535)`)
  const bytes = Buffer.allocUnsafe(size)
  let at = bytes.writeUInt8(KINDS.indexOf(address.kind), 0)
  at = bytes.writeUInt16LE(namespace.length, at)
  at += namespace.copy(bytes, at)
  at = bytes.writeUInt16LE(segments.length, at)
  for (const segment of segments) {
    at = bytes.writeUInt16LE(segment.length, at)
    at += segment.copy(bytes, at)
  }
  return bytes
}

/** The same of a pattern. */
export function patternBeyond(pattern: Pattern, limits: Parameters<typeof beyond>[1]): CodedError | undefined {
  const names = pattern.map((segment) => (typeof segment === 'string' ? segment : '*'))
  return beyond(new CoreAddress('topic', names, ''), limits)
}
