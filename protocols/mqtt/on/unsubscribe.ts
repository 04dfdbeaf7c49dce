// UNSUBSCRIBE: the bindings go, UNSUBACK comes when that is committed, also if there were none [MQTT-3.10.4-5].
// What is in the session's queue already may still be delivered [MQTT-3.10.4-3].
import type { Address, Session } from '../../../src/api.ts'
import { checkAnswer, unsuback as unsubackFive } from '../answers-five.ts'
import { unsuback } from '../codec.ts'
import type { MqttConnection } from '../connection.ts'
import { decodeUnsubscribe } from '../packets.ts'
import { FILTER_INVALID, NO_SUBSCRIPTION_EXISTED, SUCCESS, unsubackReason } from '../reasons.ts'

export function onUnsubscribe(connection: MqttConnection, session: Session, buffer: Buffer, start: number, end: number): void {
  const { five } = connection.own
  const { packetId, filters } = decodeUnsubscribe(buffer, start, end, connection.front.settings.filtersPerPacketMax, five !== undefined)
  if (five !== undefined) checkAnswer(five, filters.length)
  const reasons = filters.map((text) => unsubscribe(connection, session, text))
  connection.answers.pushPacket(connection.lastTicket, five === undefined ? unsuback(packetId) : unsubackFive(packetId, reasons))
  connection.answer()
}

/** Answers MQTT 5's reason code. */
function unsubscribe(connection: MqttConnection, session: Session, text: string): number {
  const filter = connection.front.topics.filter(text)
  if (filter === undefined) return FILTER_INVALID
  if (filter.kind !== 'own') return leave(connection, session, filter.queue)
  const { queue, five } = connection.own
  if (queue === undefined) return NO_SUBSCRIPTION_EXISTED
  five?.identifiers.set(filter.pattern, 0, false)
  return note(connection, session, session.unbind(queue, filter.pattern))
}

/** Of the last member the group's queue goes, with its binding. */
function leave(connection: MqttConnection, session: Session, queue: Address): number {
  if (connection.outgoing === undefined || !connection.outgoing.takes(queue)) return NO_SUBSCRIPTION_EXISTED
  connection.outgoing.leave(queue)
  return note(connection, session, session.release(queue))
}

function note(connection: MqttConnection, session: Session, ticket: number): number {
  if (ticket > 0) {
    connection.lastTicket = ticket
    return SUCCESS
  }
  const code = session.refusal?.code ?? 'not-found'
  return code === 'not-found' ? NO_SUBSCRIPTION_EXISTED : unsubackReason(code)
}
