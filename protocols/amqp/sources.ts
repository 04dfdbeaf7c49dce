// Where a receiving link takes from: a queue as it is, or the queue that is a subscription. What is refused is refused by its name.
//
//     queue://a            the queue a                                   made on first use; distribution-mode copy: only looked at
//     queue://a.*          every queue that matches, now or later         none is made
//     queue://a,topic://b  all of them with one credit; of topics as below, volatile
//     topic://a.*          a volatile queue of this link                 goes with it
//       durable            ['durable', container, link name]             one receiver at a time; goes when its link is closed
//       shared             ['shared', container or '', name before |]    several; durable, or volatile and gone with the last
//     dynamic              a temporary queue, or a temporary topic and a subscription to it
import type { Address, Binding, Pattern, QueueOptions, Session, Ticket } from '../../src/api.ts'
import { isTemporary } from '../shared/naming.ts'
import { renewSubscription } from '../shared/subscriptions.ts'
import { formatAddress, kindOf, NAMESPACE, parseNode, parseNodes } from './address.ts'
import type { AmqpConnection } from './connection.ts'
import { type AmqpError, errorOf, fault, quote } from './errors.ts'
import { type Filters, NO_FILTERS, readFilters } from './filters.ts'
import type { Attach } from './performatives.ts'
import { readOptions } from './options.ts'
import type { Source } from './source.ts'
import type { Terminus } from './terminus.ts'

/** Whose session takes: the link's own, or the connection's. */
type Taker = Readonly<{ connection: AmqpConnection; own: Session | undefined }>
type Wanted = Terminus & Readonly<{ filters: Filters }>

/** `patterns`: to be bound once the queue is consumed; `retroactive`: with what their topics retain. */
export type Prepared = Readonly<{ source: Source; patterns: readonly Pattern[]; ticket: Ticket; retroactive?: boolean }>

/** `own`: of a link that may outlive its connection, which then takes from it. */
export function prepareSource(connection: AmqpConnection, attach: Attach, own?: Session): Prepared | AmqpError {
  const { source } = attach
  if (source === undefined) return lookUp(connection, attach)
  const filters = readFilters(source, (text) => connection.shared.broker.selectorFault(text))
  if ('condition' in filters) return filters
  const asked = readOptions(attach, source.dynamic ? '' : (source.address ?? ''))
  if ('condition' in asked) return asked
  const prepared = namedSource({ connection, own }, attach, { ...source, filters }, asked.name)
  if ('condition' in prepared) return prepared
  // A durable subscription has one receiver at a time, whatever is asked.
  const exclusive = prepared.source.exclusive === 'no' ? asked.exclusive : prepared.source.exclusive
  return {
    ...prepared,
    retroactive: asked.retroactive,
    source: { ...prepared.source, address: source.dynamic ? prepared.source.address : (source.address ?? ''), exclusive, priority: asked.priority },
  }
}

function namedSource(taker: Taker, attach: Attach, source: Wanted, name: string): Prepared | AmqpError {
  const { connection } = taker
  if (!source.dynamic && name.includes(',')) return listSource(taker, source, name)
  if (source.dynamic) return dynamicSource(connection, kindOf(source.capabilities) ?? 'queue', source)
  const node = parseNode(connection.shared.broker, name, kindOf(source.capabilities))
  if ('condition' in node) return node
  if (node.kind === 'address' && node.address.kind === 'queue') return queueSource(taker, source, node.address, name)
  if (node.kind === 'pattern' && node.of === 'queue') return patternSource(connection, source, node.pattern, name)
  return topicSource(taker, attach, source, node.kind === 'pattern' ? node.pattern : node.address.path, name)
}

function queueSource({ connection, own }: Taker, source: Wanted, queue: Address, name: string): Prepared | AmqpError {
  const { selector, selectorFilter } = source.filters
  const taken = { ...plain(queue, name), copy: source.distribution === 'copy', selector, filter: selectorFilter }
  const ticket = isTemporary(queue) ? connection.nodes.takeTemporary(queue) : (own ?? connection.session).declare(queue, PERMANENT)
  return ticket === 0 ? errorOf((own ?? connection.session).refusal) : { source: taken, patterns: NONE, ticket }
}

/** Each part is spelled as it is alone; one without a scheme is of the kind of the one before it. */
function listSource(taker: Taker, source: Wanted, name: string): Prepared | AmqpError {
  const { connection } = taker
  const { broker } = connection.shared
  if (source.distribution === 'copy') return fault('unsupported', 'Only one queue can be browsed at a time.')
  if (isDurable(source) || source.capabilities.includes('shared'))
    return fault('unsupported', 'A subscription to a list of addresses can only be volatile.')
  const nodes = parseNodes(broker, name, kindOf(source.capabilities))
  if ('condition' in nodes) return nodes
  const queues: Address[] = []
  const patterns: Pattern[] = []
  let ticket: Ticket = 0
  for (const node of nodes) {
    if (node.kind === 'pattern' && node.of === 'queue') return fault('unsupported', 'A list of addresses holds no queues with wildcards.')
    if (node.kind === 'pattern' || node.address.kind !== 'queue') {
      patterns.push(node.kind === 'pattern' ? node.pattern : node.address.path)
      continue
    }
    if (isTemporary(node.address)) return fault('unsupported', 'A list of addresses to receive from holds no temporary queues.')
    const made = connection.session.declare(node.address, PERMANENT)
    if (made === 0) return errorOf(connection.session.refusal)
    ticket = Math.max(ticket, made)
    queues.push(node.address)
  }
  const { selector, selectorFilter } = source.filters
  const own = patterns[0] === undefined ? undefined : volatileSource(taker, patterns[0], name, source.filters)
  if (own !== undefined && 'condition' in own) return own
  const base = own?.source ?? { ...plain(broker.address('queue', []), name), selector, filter: selectorFilter }
  const several = own === undefined ? queues : [...queues, own.source.queue]
  return { source: { ...base, wildcard: true, several }, patterns, ticket: Math.max(ticket, own?.ticket ?? 0) }
}

function patternSource(connection: AmqpConnection, source: Wanted, pattern: Pattern, name: string): Prepared | AmqpError {
  if (source.distribution === 'copy') return fault('unsupported', 'Only one queue can be browsed at a time.')
  const { selector, selectorFilter } = source.filters
  const virtual = connection.shared.broker.virtualQueue(pattern)
  const ticket = virtual === undefined ? 0 : connection.session.declare(virtual, PERMANENT)
  if (virtual !== undefined && ticket === 0) return errorOf(connection.session.refusal)
  // No other queue has this name; it stands for those that match.
  const queue = connection.shared.broker.address('queue', [])
  return { source: { ...plain(queue, name), wildcard: true, several: { pattern }, selector, filter: selectorFilter }, patterns: NONE, ticket }
}

function topicSource(taker: Taker, attach: Attach, source: Wanted, pattern: Pattern, name: string): Prepared | AmqpError {
  const { connection } = taker
  const durable = isDurable(source)
  const shared = source.capabilities.includes('shared')
  if (!durable && !shared) return volatileSource(taker, pattern, name, source.filters)
  const queue = shared ? sharedQueue(connection, attach, durable) : durableQueue(connection, attach)
  const options = durable ? PERMANENT : backlog(connection)
  const session = taker.own ?? connection.session
  if (!renewSubscription(session, queue, source.filters)) return errorOf(session.refusal)
  const ticket = session.declare(queue, options)
  if (ticket === 0) return errorOf(session.refusal)
  if (!durable && !hold(taker, queue)) return errorOf(session.refusal)
  return {
    source: {
      queue,
      address: name,
      temporary: !durable,
      node: undefined,
      durable,
      exclusive: shared ? 'no' : 'refuse',
      priority: 0,
      lookup: false,
      wildcard: isWild(pattern),
      copy: false,
      ...inForce(source.filters),
    },
    patterns: [pattern],
    ticket,
  }
}

/** By what it is, may what the link has unsettled outlive it? A durable subscription lives by itself, and what belongs to a connection goes with that. */
export function mayOutlive(connection: AmqpConnection, attach: Attach): boolean {
  const { source } = attach
  if (source === undefined || source.dynamic || source.distribution === 'copy' || source.address?.includes(',') === true) return false
  const asked = readOptions(attach, source.address ?? '')
  if ('condition' in asked) return false
  const node = parseNode(connection.shared.broker, asked.name, kindOf(source.capabilities))
  if ('condition' in node) return false
  if (node.kind === 'address' && node.address.kind === 'queue') return !isTemporary(node.address)
  return (node.kind === 'pattern' && node.of === 'queue') || !isDurable(source)
}

export function isDurable({ durable, expiry }: Terminus): boolean {
  return durable > 0 || expiry === 'never'
}

/** A subscription's conditions are its binding's. */
function inForce({ selector, noLocal, selectorFilter, noLocalFilter }: Filters): Pick<Source, 'selector' | 'noLocal' | 'filter'> {
  return { selector, noLocal, filter: [...selectorFilter, ...noLocalFilter] }
}

function durableQueue(connection: AmqpConnection, attach: Attach): Address {
  return connection.shared.broker.address('queue', ['durable', connection.containerId, nameOf(attach)], NAMESPACE)
}

/** JMS clients number the links of one shared subscription behind a bar: `sub`, `sub|2`, `sub|global`. */
function sharedQueue(connection: AmqpConnection, attach: Attach, durable: boolean): Address {
  const scope = attach.source?.capabilities.includes('global') === true ? '' : connection.containerId
  return connection.shared.broker.address('queue', [durable ? 'shared' : 'shared-volatile', scope, subscriptionOf(attach)], NAMESPACE)
}

function hold({ connection, own }: Taker, queue: Address): boolean {
  return own === undefined ? connection.nodes.hold(queue) : own.hold(queue, 0) !== 0
}

function volatileSource(taker: Taker, pattern: Pattern, name: string, filters: Filters): Prepared | AmqpError {
  const { connection } = taker
  const session = taker.own ?? connection.session
  const queue = connection.shared.broker.address('queue', ['subscription', connection.id, String(connection.nodes.number())], NAMESPACE)
  const ticket = session.declare(queue, backlog(connection))
  if (ticket === 0 || !hold(taker, queue)) return errorOf(session.refusal)
  return {
    source: {
      queue,
      address: name,
      temporary: true,
      node: undefined,
      durable: false,
      exclusive: 'no',
      priority: 0,
      lookup: false,
      wildcard: isWild(pattern),
      copy: false,
      ...inForce(filters),
    },
    patterns: [pattern],
    ticket,
  }
}

/** A node of the client's own (part 3.5.3): the broker names it, and any protocol can send to it while the link is there. */
function dynamicSource(connection: AmqpConnection, kind: 'queue' | 'topic', { filters }: Wanted): Prepared | AmqpError {
  const node = connection.nodes.temporary(kind)
  const name = formatAddress(node) ?? ''
  const ticket = connection.nodes.makeTemporary(node)
  if (ticket === 0) return errorOf(connection.session.refusal)
  const { selector, selectorFilter } = filters
  if (kind === 'queue') return { source: { ...plain(node, name), node, selector, filter: selectorFilter }, patterns: NONE, ticket }
  const prepared = volatileSource({ connection, own: undefined }, node.path, name, filters)
  if ('source' in prepared) return { ...prepared, source: { ...prepared.source, node } }
  connection.session.release(node)
  return prepared
}

/** A receiver without a source asks for a durable subscription of its link's name: JMS clients do before they delete one. */
function lookUp(connection: AmqpConnection, attach: Attach): Prepared | AmqpError {
  const { broker } = connection.shared
  const name = subscriptionOf(attach)
  const global = nameOf(attach).includes('|global') || attach.desired.includes('global')
  const candidates = [
    durableQueue(connection, attach),
    broker.address('queue', ['shared', global ? '' : connection.containerId, name], NAMESPACE),
    broker.address('queue', ['shared', '', name], NAMESPACE),
  ]
  for (const queue of candidates) {
    const [bound] = connection.session.boundTo(queue)
    if (bound === undefined) continue
    const segments = bound.pattern.map((segment) => (typeof segment === 'string' ? segment : segment.wild === 'one' ? '*' : '>'))
    const address = `topic://${segments.join('.')}`
    return {
      source: {
        queue,
        address,
        temporary: false,
        node: undefined,
        durable: true,
        exclusive: 'no',
        priority: 0,
        lookup: true,
        wildcard: false,
        copy: false,
        ...inForce(NO_FILTERS),
      },
      patterns: NONE,
      ticket: 0,
    }
  }
  return fault('not-found', `There is no durable subscription ${quote(name)}.`)
}

/** After the queue is consumed: who is refused a subscription that is in use must not have changed it. Undefined: `session.refusal`. */
export function bindSource(session: Session, prepared: Prepared, settled: boolean): Ticket | undefined {
  const { patterns, source, ticket } = prepared
  if (patterns.length === 0) return ticket
  // A durable subscription that comes back with another topic is one of that topic alone; what it has not yet been given stays.
  const wanted = new Set(patterns.map((pattern) => JSON.stringify(pattern)))
  for (const { pattern: earlier } of session.boundTo(source.queue)) {
    if (!wanted.has(JSON.stringify(earlier))) session.unbind(source.queue, earlier)
  }
  const { queue, selector, noLocal } = source
  const settle = settled ? 'settled' : 'unsettled'
  let last: Ticket = ticket
  for (const pattern of patterns) {
    const binding: Binding = {
      pattern,
      queue,
      tag: 0,
      settle,
      absent: 'keep',
      retained: prepared.retroactive === true ? 'always' : 'never',
      selector,
      noLocal,
    }
    last = session.bind(binding)
    if (last === 0) return undefined
  }
  return last
}

function subscriptionOf(attach: Attach): string {
  const name = nameOf(attach)
  const bar = name.indexOf('|')
  return bar > 0 ? name.slice(0, bar) : name
}

/** A copy: a piece of a longer string would keep the whole frame. */
function nameOf(attach: Attach): string {
  return Buffer.from(attach.name).toString()
}

function plain(queue: Address, address: string): Source {
  return {
    queue,
    address,
    temporary: false,
    node: undefined,
    durable: false,
    exclusive: 'no',
    priority: 0,
    lookup: false,
    wildcard: false,
    copy: false,
    ...inForce(NO_FILTERS),
  }
}

function isWild(pattern: Pattern): boolean {
  return pattern.some((segment) => typeof segment !== 'string')
}

function backlog(connection: AmqpConnection): QueueOptions {
  const { topicBacklogMessages, topicBacklogBytes, topicBacklogWhenFull } = connection.shared.settings
  const limits = { limitMessages: topicBacklogMessages, limitBytes: topicBacklogBytes, whenFull: topicBacklogWhenFull }
  return { durable: false, lifetime: 'held', ...limits }
}

const NONE: readonly Pattern[] = []
export const PERMANENT: QueueOptions = { durable: true, lifetime: 'permanent' }
