// SUBSCRIBE: a queue itself; a topic by a queue of the subscription's own, which goes with it; a durable subscription by a queue that stays,
// named by the client-id of CONNECT and the name of the subscription.
import type { Address, ConsumerOptions, Pattern, QueuePattern, Ticket } from '../../../src/api.ts'
import { isTemporary } from '../../shared/naming.ts'
import { renewSubscription } from '../../shared/subscriptions.ts'
import { parseTarget, type Target } from '../address.ts'
import { type Frame, header } from '../codec.ts'
import type { StompConnection } from '../connection.ts'
import { type Fault, faultOf, quote } from '../errors.ts'
import { isTrue } from '../head.ts'
import { type AckMode, Subscription } from '../subscription.ts'
import { claimTemporary } from '../temporary.ts'
import { TRANSFORMATION, type Transform } from '../transformation.ts'

export function onSubscribe(connection: StompConnection, frame: Frame): void {
  const receipt = header(frame, 'receipt')
  const request = readRequest(connection, frame)
  if ('code' in request) {
    connection.fail(request, receipt)
    return
  }
  const number = ++connection.subscriptionsMade
  const source = prepareQueue(connection, request, number)
  if (source === undefined) {
    connection.refuse(receipt)
    return
  }
  const { settings } = connection.shared
  const subscription = new Subscription(connection, {
    id: request.id,
    key: request.key,
    number,
    mode: request.mode,
    queue: source.queue,
    temporary: source.temporary,
    several: source.pattern !== undefined || source.queues !== undefined,
    messages: request.prefetch,
    // The windows of many subscriptions share one socket.
    bytes: Math.min(settings.prefetchBytes, Math.max(65_536, Math.floor((settings.prefetchBytes * 8) / (connection.subscriptions.size + 1)))),
    transform: request.transform,
  })
  if (request.browser) {
    const browse = connection.session.browse(source.queue, { held: false, selector: request.selector, selectorConverts: CONVERTS }, subscription)
    if (browse === undefined) {
      connection.refuse(receipt)
      return
    }
    connection.subscribe(subscription)
    subscription.look(browse)
    connection.answer(receipt, source.ticket)
    return
  }
  const { exclusive, priority } = request
  // A subscription to a topic takes everything from its own queue: its binding chooses.
  const selector = isQueue(request.target) || request.target.kind === 'list' ? request.selector : undefined
  const settle = request.mode === 'auto' ? 'settled' : 'unsettled'
  const options = { settle, exclusive, priority, selector, selectorConverts: CONVERTS } as const
  const consumer = connection.session.consume(source.pattern ?? source.queues ?? [source.queue], options, subscription)
  if (consumer === undefined) {
    connection.refuse(receipt)
    return
  }
  // The binding after the consumer: who is refused a durable subscription that is in use must not have changed it.
  let { ticket } = source
  for (const pattern of patternsOf(request.target)) {
    ticket = bind(connection, request, pattern, source.queue)
    if (ticket > 0) continue
    connection.refuse(receipt)
    return
  }
  connection.subscribe(subscription)
  subscription.start(consumer)
  if (ticket === 0) connection.answerNow(receipt)
  else connection.answer(receipt, ticket)
}

/** The name of a durable subscription, by ActiveMQ Classic's and Artemis's headers. */
export function durableName(frame: Frame): string | undefined {
  return header(frame, 'durable-subscription-name') ?? header(frame, 'durable-subscriber-name') ?? header(frame, 'activemq.subscriptionName')
}

export function durableQueue(connection: StompConnection, name: string): Address {
  return connection.broker.address('queue', ['durable', connection.clientId, Buffer.from(name).toString()], 'stomp')
}

/** How a subscription is found again: by id, or in STOMP 1.0 without one by its destination. */
export function subscriptionKey(id: string | undefined, destination: string | undefined): string {
  return id === undefined ? `destination ${destination ?? ''}` : `id ${id}`
}

type Request = Readonly<{
  id: string
  key: string
  target: Target
  mode: AckMode
  prefetch: number
  /** Messages that may wait for it beyond those, if it is of a topic and not durable. */
  pending: number | undefined
  durable: string | undefined
  retroactive: boolean
  exclusive: ConsumerOptions['exclusive']
  priority: number
  browser: boolean
  selector: string | undefined
  noLocal: boolean
  transform: Transform | undefined
}>

function readRequest(connection: StompConnection, frame: Frame): Request | Fault {
  const { settings } = connection.shared
  const destination = header(frame, 'destination')
  const id = header(frame, 'id')
  if (destination === undefined) return invalid('SUBSCRIBE needs the header destination.')
  if (id === undefined && connection.version !== '1.0') return invalid('SUBSCRIBE needs the header id.')
  const key = subscriptionKey(id, destination)
  if (connection.subscriptions.has(key)) return invalid(`There is a subscription ${quote(id ?? destination)} on this connection already.`)
  if (connection.subscriptions.size >= settings.subscriptionsMax) {
    return { code: 'limit', sentence: `A connection may have at most ${settings.subscriptionsMax} subscriptions (subscriptionsMax).` }
  }
  const mode = header(frame, 'ack') ?? 'auto'
  if (mode !== 'auto' && mode !== 'client' && mode !== 'client-individual') return invalid(`There is no ack mode ${quote(mode)}.`)
  // A copy: a piece of a longer string would keep the whole read.
  const selector = Buffer.from(header(frame, 'selector') ?? '').toString()
  const wrong = connection.broker.selectorFault(selector)
  if (wrong !== undefined) return faultOf(wrong)
  const noLocal = isTrue(header(frame, 'activemq.noLocal') ?? header(frame, 'no-local') ?? '')
  // RabbitMQ's name for it says 0 for any number; who writes something else there means no number of ours.
  const wanted = header(frame, 'activemq.prefetchSize') ?? positive(header(frame, 'prefetch-count'))
  if (wanted !== undefined && !/^0*[1-9]\d{0,9}$/.test(wanted)) return invalid('The header activemq.prefetchSize is not a number of at least 1.')
  const priority = header(frame, 'activemq.priority') ?? '0'
  if (!/^-?\d{1,3}$/.test(priority) || Number(priority) < -128 || Number(priority) > 127)
    return invalid('The header activemq.priority is not a number from -128 to 127.')
  const transformation = header(frame, TRANSFORMATION)
  const transform = transformation === undefined ? undefined : connection.shared.transformations.named(transformation)
  if (transformation !== undefined && transform === undefined)
    return { code: 'unsupported', sentence: `There is no transformation ${quote(transformation)}.` }
  const target = parseTarget(connection.broker, destination, connection.temporaryOwner)
  if ('code' in target) return target
  if (target.kind === 'list') {
    if (durableName(frame) !== undefined) return invalid('A durable subscription is of one destination.')
    if (target.targets.some((each) => each.kind === 'pattern' && each.of === 'queue'))
      return invalid('A list of destinations has no wildcards for queues.')
  }
  const browser = isTrue(header(frame, 'browser') ?? '')
  if (browser && (target.kind !== 'address' || !isQueue(target))) return invalid('Only a queue can be browsed, and one at a time.')
  if (noLocal && isQueue(target)) return { code: 'unsupported', sentence: 'Only a topic can leave out messages of the own client (noLocal).' }
  // A queue keeps its messages anyway: there the name means nothing.
  const durable = isQueue(target) ? undefined : durableName(frame)
  if (durable !== undefined && connection.clientId === '') return invalid('A durable subscription needs the header client-id in CONNECT.')
  if (durable === '') return invalid('The name of a durable subscription is empty.')
  return {
    id: id ?? '',
    key,
    target,
    // What is only looked at is nobody's to settle.
    mode: browser ? 'auto' : mode,
    prefetch: wanted === undefined ? Math.min(settings.prefetch, settings.prefetchMax) : Math.min(Number(wanted), settings.prefetchMax),
    pending: Number(positive(header(frame, 'activemq.maximumPendingMessageLimit')) ?? 0) || undefined,
    durable,
    retroactive: isTrue(header(frame, 'activemq.retroactive') ?? ''),
    // One consumer at a time is what makes a durable subscription one.
    exclusive: durable !== undefined ? 'refuse' : isTrue(header(frame, 'activemq.exclusive') ?? '') ? 'wait' : 'no',
    priority: Number(priority),
    browser,
    selector: selector.trim() === '' ? undefined : selector,
    noLocal,
    transform,
  }
}

/** `ticket` 0: nothing had to be done. */
type Source = Readonly<{ queue: Address; temporary: boolean; ticket: Ticket; pattern?: QueuePattern; queues?: readonly Address[] }>

/** The queue to take from. Undefined: `session.refusal` says why not. */
function prepareQueue(connection: StompConnection, request: Request, number: number): Source | undefined {
  const { session } = connection
  const { target } = request
  if (target.kind === 'pattern' && target.of === 'queue') {
    const virtual = connection.broker.virtualQueue(target.pattern)
    const ticket = virtual === undefined ? 0 : session.declare(virtual, PERMANENT)
    if (virtual !== undefined && ticket === 0) return undefined
    // No other queue has this name; it stands for those that match.
    return { queue: connection.broker.address('queue', []), temporary: false, ticket, pattern: { pattern: target.pattern } }
  }
  if (target.kind === 'list') return prepareList(connection, request, target.targets, number)
  if (target.kind === 'address' && target.address.kind === 'queue') {
    const ticket = isTemporary(target.address) ? claimTemporary(connection, target.address) : session.declare(target.address, PERMANENT)
    return ticket === 0 ? undefined : { queue: target.address, temporary: false, ticket }
  }
  if (target.kind === 'address' && isTemporary(target.address) && claimTemporary(connection, target.address) === 0) return undefined
  if (request.durable !== undefined) {
    const queue = durableQueue(connection, request.durable)
    if (!renewSubscription(session, queue, { ...request, selectorConverts: CONVERTS })) return undefined
    const ticket = session.declare(queue, PERMANENT)
    return ticket === 0 ? undefined : { queue, temporary: false, ticket }
  }
  return ownQueue(connection, request, number)
}

/** A queue that goes with the subscription. */
function ownQueue(connection: StompConnection, { prefetch, pending }: Request, number: number): Source | undefined {
  const { session } = connection
  const { settings } = connection.shared
  const queue = connection.broker.address('queue', [connection.sessionId, String(number)], 'stomp')
  // Waiting is for ActiveMQ what is not yet sent; a queue counts what is under way too.
  const limitMessages = pending === undefined ? settings.topicBacklogMessages : Math.min(settings.topicBacklogMessages, prefetch + pending)
  const backlog = { limitMessages, limitBytes: settings.topicBacklogBytes, whenFull: settings.topicBacklogWhenFull }
  if (session.declare(queue, { durable: false, lifetime: 'held', ...backlog }) === 0) return undefined
  const ticket = session.hold(queue, 0)
  return ticket === 0 ? undefined : { queue, temporary: true, ticket }
}

/** Its queues, and one of its own for all its topics. */
function prepareList(connection: StompConnection, request: Request, targets: readonly Target[], number: number): Source | undefined {
  const queues: Address[] = []
  let last: Source | undefined
  for (const target of targets) {
    if (target.kind !== 'address' || target.address.kind !== 'queue') continue
    last = prepareQueue(connection, { ...request, target }, number)
    if (last === undefined) return undefined
    queues.push(last.queue)
  }
  for (const target of targets) {
    if (target.kind === 'address' && target.address.kind === 'topic' && isTemporary(target.address)) {
      if (claimTemporary(connection, target.address) === 0) return undefined
    }
  }
  if (targets.every((target) => patternsOf(target).length === 0)) return last === undefined ? undefined : { ...last, queues }
  const own = ownQueue(connection, request, number)
  return own === undefined ? undefined : { ...own, queues: [...queues, own.queue] }
}

function bind(connection: StompConnection, request: Request, pattern: Pattern, queue: Address): Ticket {
  const { session } = connection
  // A durable subscription that comes back with another topic is one of that topic alone; what it has not yet been given stays.
  const wanted = JSON.stringify(pattern)
  if (request.durable !== undefined) {
    for (const { pattern: earlier } of session.boundTo(queue)) if (JSON.stringify(earlier) !== wanted) session.unbind(queue, earlier)
  }
  return connection.session.bind({
    pattern,
    queue,
    tag: 0,
    settle: request.mode === 'auto' ? 'settled' : 'unsettled',
    absent: 'keep',
    retained: request.retroactive ? 'always' : 'never',
    selector: request.selector,
    selectorConverts: CONVERTS,
    noLocal: request.noLocal,
  })
}

/** Which topics; none for a queue. */
function patternsOf(target: Target): readonly Pattern[] {
  if (target.kind === 'list') return target.targets.flatMap(patternsOf)
  if (target.kind === 'pattern') return target.of === 'topic' ? [target.pattern] : []
  return target.address.kind === 'queue' ? [] : [target.address.path]
}

function isQueue(target: Target): boolean {
  return patternsOf(target).length === 0
}

/** The header, if it is a number of at least 1. */
function positive(text: string | undefined): string | undefined {
  return text !== undefined && /^0*[1-9]\d{0,9}$/.test(text) ? text : undefined
}

function invalid(sentence: string): Fault {
  return { code: 'invalid', sentence }
}

/** All headers are text: beside a number they are read as one, as ActiveMQ does for STOMP. */
const CONVERTS = true
const PERMANENT = { durable: true, lifetime: 'permanent' } as const
