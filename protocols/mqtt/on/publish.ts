// PUBLISH from a client. The hottest handler: it reads in place, makes the message and nothing else.
import type { Address, BrokerError, PublishOptions, Session } from '../../../src/api.ts'
import { isTemporary } from '../../shared/naming.ts'
import { NOTHING, SEND_PUBACK, SEND_PUBREC, withReason } from '../answers.ts'
import { ProtocolError } from '../codec.ts'
import type { MqttConnection } from '../connection.ts'
import { newMessage } from '../format.ts'
import { newMessageFive } from '../format-five.ts'
import { packetIdOf } from '../packets.ts'
import { type PublishProperties, readPublishProperties } from '../publish-properties.ts'
import { addressFive, countIncoming, judgePayload } from '../publish-five.ts'
import { NO_MATCHING_SUBSCRIBERS } from '../reasons.ts'

const PLAIN: PublishOptions = { retain: 'no', note: 0, transaction: undefined }
const SET: PublishOptions = { retain: 'set', note: 0, transaction: undefined }
const CLEAR: PublishOptions = { retain: 'clear', note: 0, transaction: undefined }

/** Nobody's permission changes it, so MQTT 5 is told, and 3.1.1 has no word for it [MQTT-3.3.5-2]. */
const RESERVED: BrokerError = Object.assign(new Error('the topic belongs to the broker'), { code: 'denied' as const })

/** Plain queues remembered as made, per connection. */
const DECLARED_MAX = 1000

export function onPublish(connection: MqttConnection, session: Session, first: number, buffer: Buffer, start: number, end: number): void {
  const qos = (first >> 1) & 3
  if (qos === 3) throw new ProtocolError('PUBLISH with QoS 3 [MQTT-3.3.1-4]')
  if (qos === 0 && (first & 8) !== 0) throw new ProtocolError('PUBLISH with DUP and QoS 0 [MQTT-3.3.1-2]')
  const topicStart = start + 2
  if (topicStart > end) throw new ProtocolError('PUBLISH ends before its topic')
  const topicEnd = topicStart + ((buffer[start] << 8) | buffer[start + 1])
  let bodyStart = qos === 0 ? topicEnd : topicEnd + 2
  if (bodyStart > end) throw new ProtocolError('PUBLISH ends before its payload')
  const { five } = connection.own
  let properties: PublishProperties | undefined
  if (five !== undefined) {
    properties = readPublishProperties(buffer, bodyStart, end, connection.front.settings.propertyBytesMax, false)
    bodyStart = properties.end
  }
  const to =
    five === undefined || properties === undefined
      ? connection.front.topics.address(buffer, topicStart, topicEnd)
      : addressFive(connection.front, five, buffer.subarray(topicStart, topicEnd), properties.alias)
  const packetId = qos === 0 ? 0 : packetIdOf(buffer, topicEnd)
  const answer = qos === 0 ? NOTHING : qos === 1 ? SEND_PUBACK : SEND_PUBREC

  if (qos === 2) {
    // [MQTT-4.3.3-2] Until its PUBREL the identifier stands for one message, however often it comes. While that one waits for room, its answer is still to come.
    if (connection.own.parkedNotes.has(packetId)) return
    if (session.notes.has(packetId)) return connection.turns.acknowledge(answer, packetId)
  }
  if (five !== undefined && qos > 0) countIncoming(five, connection.front.settings.receiveMaximum)
  if (isReserved(to)) {
    connection.front.reservedDropped++
    return connection.turns.refuse(RESERVED, answer, packetId)
  }

  const retain = (first & 1) !== 0
  const body = buffer.subarray(bodyStart, end)
  if (properties?.saysText === true && connection.front.settings.checkPayloadFormat) {
    const fault = judgePayload(body)
    if (fault !== undefined) return connection.turns.refuse(fault, answer, packetId)
  }
  const plain = !retain || to.kind === 'queue' ? PLAIN : body.length === 0 ? CLEAR : SET
  if (to.kind === 'queue') makeSure(connection, session, to)
  const ticket = session.publish(
    to,
    properties === undefined
      ? newMessage(qos, retain, body)
      : newMessageFive(qos, retain, body, buffer, properties, connection.front.broker.clock.wallMs()),
    qos === 2 ? { retain: plain.retain, note: packetId, transaction: undefined } : plain,
  )
  if (ticket > 0) {
    if (qos > 0) connection.owe(ticket, five !== undefined && session.unheard ? withReason(answer, NO_MATCHING_SUBSCRIBERS) : answer, packetId)
  } else if (ticket < 0) connection.turns.park(answer, packetId)
  else if (isTemporary(to) && session.refusal?.code === 'not-found' && (five === undefined || qos === 0)) {
    // It is gone and never comes back: a client whose connection ended would send it again for ever. MQTT 5 has a word for it.
    connection.front.reservedDropped++
    if (qos > 0) connection.turns.acknowledge(answer, packetId)
  } else if (session.refusal !== undefined) connection.turns.refuse(session.refusal, answer, packetId)
  else throw new Error('a publish was refused and nothing says why')
}

/** The broker's own topics, and the names of shared subscriptions, which are no topics. */
export function isReserved(to: Address): boolean {
  const level = to.path[0]
  return level.charCodeAt(0) === 36 && to.kind === 'topic' && (level === '$SYS' || level === '$share')
}

/** A queue is made when it is first sent to. */
function makeSure(connection: MqttConnection, session: Session, queue: Address): void {
  const { declared } = connection.own
  if (declared.has(queue)) return
  if (declared.size >= DECLARED_MAX) declared.clear()
  declared.add(queue)
  const ticket = session.declare(queue, { durable: true, lifetime: 'permanent' })
  if (ticket > 0) connection.lastTicket = ticket
}
