// UNSUBSCRIBE: the bindings go, UNSUBACK comes when that is committed, also if there were none [MQTT-3.10.4-5].
// What is in the session's queue already may still be delivered [MQTT-3.10.4-3].
import type { Address, Session } from '../../../src/api.ts'
import { unsuback } from '../codec.ts'
import type { MqttConnection } from '../connection.ts'
import { decodeUnsubscribe } from '../packets.ts'

export function onUnsubscribe(connection: MqttConnection, session: Session, buffer: Buffer, start: number, end: number): void {
  const { packetId, filters } = decodeUnsubscribe(buffer, start, end, connection.front.settings.filtersPerPacketMax)
  for (const text of filters) {
    const filter = connection.front.topics.filter(text)
    if (filter === undefined) continue
    if (filter.kind !== 'own') leave(connection, session, filter.queue)
    else if (connection.own.queue !== undefined) note(connection, session.unbind(connection.own.queue, filter.pattern))
  }
  connection.answers.pushPacket(connection.lastTicket, unsuback(packetId))
  connection.answer()
}

/** Of the last member the group's queue goes, with its binding. */
function leave(connection: MqttConnection, session: Session, queue: Address): void {
  if (connection.outgoing === undefined || !connection.outgoing.takes(queue)) return
  connection.outgoing.leave(queue)
  note(connection, session.release(queue))
}

function note(connection: MqttConnection, ticket: number): void {
  if (ticket > 0) connection.lastTicket = ticket
}
