// SUBSCRIBE: each filter becomes a binding to the session's own queue, to its group's queue (`$share`), or a plain queue to consume (`queuePrefix`).
// SUBACK says of each what was granted; it waits until all of it is committed. Of filters that fail the others stand [MQTT-3.8.4-5].
import type { Address, Binding, Session } from '../../../src/api.ts'
import { type Filter, within } from '../address.ts'
import { checkAnswer, suback as subackFive } from '../answers-five.ts'
import { ProtocolError, suback } from '../codec.ts'
import type { MqttConnection } from '../connection.ts'
import { SUBSCRIPTION_REFUSED } from '../errors.ts'
import { AS_PUBLISHED, IDENTIFIER, NOT_OWN, QOS } from '../outgoing.ts'
import { decodeSubscribe, NO_LOCAL, RETAIN_AS_PUBLISHED } from '../packets.ts'
import { FILTER_INVALID, NOT_AUTHORIZED, PROTOCOL_ERROR, SUBACK_REASON } from '../reasons.ts'

/** One filter's wishes: options as in the packet, and the packet's subscription identifier (0: none). */
type Wish = Readonly<{ options: number; identifier: number }>

export function onSubscribe(connection: MqttConnection, session: Session, buffer: Buffer, start: number, end: number): void {
  const { own, front } = connection
  const five = own.five !== undefined
  const { packetId, filters, options, identifier } = decodeSubscribe(buffer, start, end, front.settings.filtersPerPacketMax, five)
  // [MQTT5-3.8.3-4] Before anything is done.
  if (filters.some((text, i) => (options[i] & NO_LOCAL) !== 0 && text.startsWith('$share/')))
    throw new ProtocolError('no local with a shared subscription [MQTT5-3.8.3-4]', PROTOCOL_ERROR)
  if (own.five !== undefined) checkAnswer(own.five, filters.length)
  const granted = filters.map((text, i) => {
    const filter = front.topics.filter(text)
    if (filter === undefined) return five ? FILTER_INVALID : SUBSCRIPTION_REFUSED
    if (front.settings.refuse.some((refused) => within(filter.text, refused))) return five ? NOT_AUTHORIZED : SUBSCRIPTION_REFUSED
    const answer = subscribe(connection, session, filter, { options: options[i], identifier })
    if (answer !== SUBSCRIPTION_REFUSED || !five || session.refusal === undefined) return answer
    return SUBACK_REASON[session.refusal.code]
  })
  connection.answers.pushPacket(connection.lastTicket, five ? subackFive(packetId, granted) : suback(packetId, granted))
  connection.answer()
}

function subscribe(connection: MqttConnection, session: Session, filter: Filter, wish: Wish): number {
  switch (filter.kind) {
    case 'own':
      return subscribeOwn(connection, session, filter, wish)
    case 'shared':
      return subscribeShared(connection, session, filter, wish)
    case 'queue':
      return subscribeQueue(connection, session, filter, wish)
  }
}

/** Answers the granted QoS or the failure code. */
function subscribeOwn(connection: MqttConnection, session: Session, filter: Filter & { kind: 'own' }, { options, identifier }: Wish): number {
  const { queue, five } = connection.own
  if (queue === undefined || !makeOwn(connection, session, queue)) return SUBSCRIPTION_REFUSED
  const qos = options & QOS
  const noLocal = (options & NO_LOCAL) !== 0
  const bound = session.bind({
    pattern: filter.pattern,
    queue,
    tag: qos | (noLocal ? NOT_OWN : 0) | (asPublished(options) ? AS_PUBLISHED : 0),
    label: identifier,
    // Copies of durable messages are acknowledged, if the subscription is for more than QoS 0; others are settled by sending them, or dropped when nobody takes them.
    settle: qos === 0 ? 'settled' : 'if-durable',
    absent: 'drop',
    retained: RETAIN_HANDLING[options >> 4],
    noLocal,
  })
  if (!asked(connection, bound)) return SUBSCRIPTION_REFUSED
  five?.identifiers.set(filter.pattern, identifier, noLocal)
  return qos
}

/** The session's own queue, when first needed; false: `session.refusal`. */
function makeOwn(connection: MqttConnection, session: Session, queue: Address): boolean {
  if (connection.own.queueMade) return true
  const { kept } = connection.own
  const { cleanSessionMessagesMax, keptSessionMessagesMax } = connection.front.settings
  const limitMessages = kept ? keptSessionMessagesMax : cleanSessionMessagesMax
  const limit = limitMessages === 0 ? {} : { limitMessages, whenFull: 'drop-newest' as const }
  const made =
    asked(connection, session.declare(queue, { durable: kept, lifetime: 'held', ...limit })) &&
    asked(connection, session.hold(queue, 0)) &&
    // Before any binding: retained messages of QoS 0 go only to who is there.
    connection.outgoingOf(session).take(queue, 0)
  connection.own.queueMade = made
  return made
}

/** MQTT 5's retain handling; the other versions have 0 [MQTT5-3.3.1-9 to -11]. */
const RETAIN_HANDLING: readonly Binding['retained'][] = ['always', 'if-new', 'never']

function asPublished(options: number): boolean {
  return (options & RETAIN_AS_PUBLISHED) !== 0
}

/** Of QoS 2 a kept session's own queue gets what is under way to its client (taking.ts). */
function readyToTake(connection: MqttConnection, session: Session, granted: number): boolean {
  const { kept, queue } = connection.own
  return granted < 2 || !kept || (queue !== undefined && makeOwn(connection, session, queue))
}

function subscribeShared(connection: MqttConnection, session: Session, filter: Filter & { kind: 'shared' }, wish: Wish): number {
  const { queue, pattern } = filter
  const granted = wish.options & QOS
  if (!readyToTake(connection, session, granted)) return SUBSCRIPTION_REFUSED
  const number = numberOf(granted, wish)
  const taken =
    asked(connection, session.declare(queue, { durable: connection.own.kept, lifetime: 'held' })) &&
    asked(connection, session.hold(queue, number)) &&
    connection.outgoingOf(session).take(queue, number)
  if (!taken) return SUBSCRIPTION_REFUSED
  // One binding for the group; what each member is granted is applied when it is sent to him. No retained messages: whose would they be? [MQTT5-4.8.2]
  const bound = session.bind({ pattern, queue, tag: 1, settle: 'if-durable', absent: 'drop', retained: 'never' })
  return asked(connection, bound) ? granted : SUBSCRIPTION_REFUSED
}

function subscribeQueue(connection: MqttConnection, session: Session, filter: Filter & { kind: 'queue' }, wish: Wish): number {
  const { queue } = filter
  const granted = wish.options & QOS
  if (!readyToTake(connection, session, granted)) return SUBSCRIPTION_REFUSED
  const number = numberOf(granted, wish)
  const taken =
    asked(connection, session.declare(queue, { durable: true, lifetime: 'permanent' })) &&
    asked(connection, session.hold(queue, number)) &&
    connection.outgoingOf(session).take(queue, number)
  return taken ? granted : SUBSCRIPTION_REFUSED
}

/** What is kept with the hold of a queue: see outgoing.ts. */
function numberOf(granted: number, { options, identifier }: Wish): number {
  return granted + (asPublished(options) ? AS_PUBLISHED : 0) + identifier * IDENTIFIER
}

/** Was it taken? Then SUBACK waits for it. */
function asked(connection: MqttConnection, ticket: number): boolean {
  if (ticket <= 0) return false
  connection.lastTicket = ticket
  return true
}
