// SUBSCRIBE: each filter becomes a binding to the session's own queue, to its group's queue (`$share`), or a plain queue to consume (`queuePrefix`).
// SUBACK says of each what was granted; it waits until all of it is committed. Of filters that fail the others stand [MQTT-3.8.4-5].
import type { Session } from '../../../src/api.ts'
import { type Filter, within } from '../address.ts'
import { suback } from '../codec.ts'
import type { MqttConnection } from '../connection.ts'
import { SUBSCRIPTION_REFUSED } from '../errors.ts'
import { decodeSubscribe } from '../packets.ts'

export function onSubscribe(connection: MqttConnection, session: Session, buffer: Buffer, start: number, end: number): void {
  const { packetId, filters, qos } = decodeSubscribe(buffer, start, end, connection.front.settings.filtersPerPacketMax)
  const granted = filters.map((text, i) => {
    const filter = connection.front.topics.filter(text)
    if (filter === undefined || connection.front.settings.refuse.some((refused) => within(filter.text, refused))) return SUBSCRIPTION_REFUSED
    return subscribe(connection, session, filter, qos[i])
  })
  connection.answers.pushPacket(connection.lastTicket, suback(packetId, granted))
  connection.answer()
}

function subscribe(connection: MqttConnection, session: Session, filter: Filter, qos: number): number {
  switch (filter.kind) {
    case 'own':
      return subscribeOwn(connection, session, filter, qos)
    case 'shared':
      return subscribeShared(connection, session, filter, qos)
    case 'queue':
      return subscribeQueue(connection, session, filter, qos)
  }
}

/** Answers the granted QoS or the failure code. */
function subscribeOwn(connection: MqttConnection, session: Session, filter: Filter & { kind: 'own' }, qos: number): number {
  const { queue, kept } = connection.own
  if (queue === undefined) return SUBSCRIPTION_REFUSED
  if (!connection.own.queueMade) {
    const { cleanSessionMessagesMax, keptSessionMessagesMax } = connection.front.settings
    const limitMessages = kept ? keptSessionMessagesMax : cleanSessionMessagesMax
    const limit = limitMessages === 0 ? {} : { limitMessages, whenFull: 'drop-newest' as const }
    const made =
      asked(connection, session.declare(queue, { durable: kept, lifetime: 'held', ...limit })) &&
      asked(connection, session.hold(queue, 0)) &&
      // Before the binding: retained messages of QoS 0 go only to who is there.
      connection.outgoingOf(session).take(queue, 0)
    if (!made) return SUBSCRIPTION_REFUSED
    connection.own.queueMade = true
  }
  // Copies of durable messages are acknowledged, if the subscription is for more than QoS 0; others are settled by sending them, or dropped when nobody takes them.
  const settle = qos === 0 ? 'settled' : 'if-durable'
  const bound = session.bind({ pattern: filter.pattern, queue, tag: qos, settle, absent: 'drop', retained: 'always' })
  return asked(connection, bound) ? qos : SUBSCRIPTION_REFUSED
}

/** QoS 2 is granted as 1: the packet identifier of a shared message cannot be kept with it over a reconnect (README). */
function subscribeShared(connection: MqttConnection, session: Session, filter: Filter & { kind: 'shared' }, qos: number): number {
  const { queue, pattern } = filter
  const granted = Math.min(qos, 1)
  const taken =
    asked(connection, session.declare(queue, { durable: connection.own.kept, lifetime: 'held' })) &&
    asked(connection, session.hold(queue, granted)) &&
    connection.outgoingOf(session).take(queue, granted)
  if (!taken) return SUBSCRIPTION_REFUSED
  // One binding for the group; what each member is granted is applied when it is sent to him. No retained messages: whose would they be? [MQTT5-4.8.2]
  const bound = session.bind({ pattern, queue, tag: 1, settle: 'if-durable', absent: 'drop', retained: 'never' })
  return asked(connection, bound) ? granted : SUBSCRIPTION_REFUSED
}

function subscribeQueue(connection: MqttConnection, session: Session, filter: Filter & { kind: 'queue' }, qos: number): number {
  const { queue } = filter
  const granted = Math.min(qos, 1)
  const taken =
    asked(connection, session.declare(queue, { durable: true, lifetime: 'permanent' })) &&
    asked(connection, session.hold(queue, granted)) &&
    connection.outgoingOf(session).take(queue, granted)
  return taken ? granted : SUBSCRIPTION_REFUSED
}

/** Was it taken? Then SUBACK waits for it. */
function asked(connection: MqttConnection, ticket: number): boolean {
  if (ticket <= 0) return false
  connection.lastTicket = ticket
  return true
}
