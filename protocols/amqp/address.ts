// AMQP's addresses ↔ the core's: `queue://orders.eu`, `topic://orders.*`, or a bare name whose kind a capability of the terminus, an annotation
// of the message or, failing both, ActiveMQ's habit (queue) decides. How segments are written: protocols/shared/naming.ts.
//
//     temporary nodes      queue or topic ['$temp', id, number]        nameable by every protocol, so that it can be replied to
//     queues of our own    namespace amqp: ['subscription', id, number], ['durable', container, name], ['shared', scope, name]
import type { Address, Broker, Pattern } from '../../src/api.ts'
import { fromDotted, isTemporary, patternFromDotted, toDotted } from '../shared/naming.ts'
import { type AmqpError, fault, quote } from './errors.ts'

export const NAMESPACE = 'amqp'

export type Kind = 'queue' | 'topic'
/** `pattern`: with wildcards. */
export type Node = Readonly<{ kind: 'address'; address: Address } | { kind: 'pattern'; of: Kind; pattern: Pattern }>

/** `hint`: of a bare name; else it is a queue. */
export function parseNode(broker: Broker, name: string, hint: Kind | undefined): Node | AmqpError {
  const match = SCHEME.exec(name)
  const bare = match === null ? name : name.slice(match[0].length)
  const kind: Kind = match === null ? (hint ?? 'queue') : match[0].endsWith('queue://') ? 'queue' : 'topic'
  if (bare === '') return fault('invalid', 'An address has no name.')
  if (bare.includes(',')) return fault('unsupported', 'A list of addresses (with commas) is no address.')
  if (bare.includes('\0')) return fault('invalid', 'An address holds a NUL.')
  if (bare.includes('://')) return fault('invalid', `The address ${quote(name)} has a scheme that is not known: there are queue:// and topic://.`)
  if (bare.includes('::')) return fault('unsupported', 'Addresses of a queue within an address (with ::) are not offered.')
  if (OPTIONS.test(bare)) return fault('unsupported', 'Options in an address (after a question mark) are not offered.')
  // A copy: a piece of a longer string would keep the whole frame.
  const path = fromDotted(Buffer.from(bare).toString())
  if (!path.some((segment) => segment === '*' || segment === '>')) return { kind: 'address', address: broker.address(kind, path) }
  const rest = path.indexOf('>')
  if (rest >= 0 && rest < path.length - 1) return fault('invalid', 'The wildcard > may only be the last part of an address.')
  return { kind: 'pattern', of: kind, pattern: patternFromDotted(bare) }
}

/** Where a message goes. */
export function parseAddress(broker: Broker, name: string, hint: Kind | undefined): Address | AmqpError {
  const node = parseNode(broker, name, hint)
  if ('condition' in node) return node
  return node.kind === 'address' ? node.address : NOT_TO_WILDCARDS
}

/** The same, or several: `queue://a,topic://b`; a part without a scheme is of the kind of the one before it. */
export function parseTarget(broker: Broker, name: string, hint: Kind | undefined): Address | AmqpError {
  if (!name.includes(',')) return parseAddress(broker, name, hint)
  const nodes = parseNodes(broker, name, hint)
  if ('condition' in nodes) return nodes
  const parts: Address[] = []
  for (const node of nodes) {
    if (node.kind !== 'address') return NOT_TO_WILDCARDS
    parts.push(node.address)
  }
  return broker.composite(parts)
}

/** A list with commas; a part without a scheme is of the kind of the one before it. */
export function parseNodes(broker: Broker, name: string, hint: Kind | undefined): readonly Node[] | AmqpError {
  const names = name.split(',')
  if (names.length > broker.compositeMax)
    return fault('limit', `A list of ${names.length} addresses exceeds limits.compositeParts (${broker.compositeMax}).`)
  const nodes: Node[] = []
  let kind = hint
  for (const part of names) {
    const node = parseNode(broker, part.trim(), kind)
    if ('condition' in node) return node
    if (node.kind === 'pattern') kind = node.of
    else kind = node.address.kind === 'topic' ? 'topic' : 'queue'
    nodes.push(node)
  }
  return nodes
}

/** Undefined for addresses that AMQP has no name for: private ones and streams. */
export function formatAddress(address: Address): string | undefined {
  if (address.namespace !== '' || address.kind === 'stream') return undefined
  return `${address.kind}://${toDotted(address.path)}`
}

/** Of a terminus's capabilities. */
export function kindOf(capabilities: readonly string[]): Kind | undefined {
  if (capabilities.includes('queue') || capabilities.includes('temporary-queue')) return 'queue'
  return capabilities.includes('topic') || capabilities.includes('temporary-topic') ? 'topic' : undefined
}

/** The annotations x-opt-jms-dest and x-opt-jms-reply-to: 0 queue, 1 topic, 2 temporary queue, 3 temporary topic. */
export function kindOfAnnotation(value: number | undefined): Kind | undefined {
  return value === undefined ? undefined : value % 2 === 0 ? 'queue' : 'topic'
}

/** What kindOfAnnotation reads. */
export function annotationOf(address: Address): number {
  return (address.kind === 'queue' ? 0 : 1) + (isTemporary(address) ? 2 : 0)
}

const NOT_TO_WILDCARDS = fault('invalid', 'A message cannot be sent to an address with wildcards.')
const SCHEME = /^(?:temp-)?(?:queue|topic):\/\//
const OPTIONS = /\?[\w.-]+=/
