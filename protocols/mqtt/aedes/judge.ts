// Judges packets before aedes sees them: sizes, flags and text that its parser lets pass, by the readers of our own engine. It changes nothing.
import * as codec from '../codec.ts'
import { ProtocolError } from '../codec.ts'
import { expectFour } from '../expect-four.ts'
import type { Front } from '../front.ts'
import { decodeSubscribe, decodeUnsubscribe, packetIdOf } from '../packets.ts'

/** Fixed fields and five strings of 65,535 bytes. */
export const CONNECT_BYTES_MAX = 10 + 5 * 65_537

/** By the fixed header: before a byte of it is kept. */
export function expect(first: number, remaining: number, version: number, packetBytesMax: number): void {
  const type = first >> 4
  if (type === codec.PUBLISH) {
    if (remaining > packetBytesMax) throw new ProtocolError(`a packet of more than ${packetBytesMax} bytes`)
    return
  }
  // MQTT 3.1 sets DUP on PUBREL, SUBSCRIBE and UNSUBSCRIBE that it sends again.
  expectFour(type, first & (version === 3 ? 0x07 : 0x0f), remaining, packetBytesMax)
}

export function judge(front: Front, first: number, buffer: Buffer, start: number, end: number): void {
  switch (first >> 4) {
    case codec.CONNECT:
      throw new ProtocolError('a second CONNECT [MQTT-3.1.0-2]')
    case codec.PUBLISH:
      return judgePublish(front, first, buffer, start, end)
    case codec.SUBSCRIBE:
      decodeSubscribe(buffer, start, end, front.settings.filtersPerPacketMax)
      return
    case codec.UNSUBSCRIBE:
      decodeUnsubscribe(buffer, start, end, front.settings.filtersPerPacketMax)
      return
    case codec.PUBACK:
    case codec.PUBREC:
    case codec.PUBREL:
    case codec.PUBCOMP:
      packetIdOf(buffer, start)
      return
    default:
  }
}

function judgePublish(front: Front, first: number, buffer: Buffer, start: number, end: number): void {
  const qos = (first >> 1) & 3
  if (qos === 3) throw new ProtocolError('PUBLISH with QoS 3 [MQTT-3.3.1-4]')
  if (qos === 0 && (first & 8) !== 0) throw new ProtocolError('PUBLISH with DUP and QoS 0 [MQTT-3.3.1-2]')
  const topicStart = start + 2
  if (topicStart > end) throw new ProtocolError('PUBLISH ends before its topic')
  const topicEnd = topicStart + ((buffer[start] << 8) | buffer[start + 1])
  if ((qos === 0 ? topicEnd : topicEnd + 2) > end) throw new ProtocolError('PUBLISH ends before its payload')
  front.topics.address(buffer, topicStart, topicEnd)
  if (qos > 0) packetIdOf(buffer, topicEnd)
}
