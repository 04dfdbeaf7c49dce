// What a PUBLISH of MQTT 5 has that the others' have not: its topic may be an alias, there may be too many of them, and its payload may not be what it says.
import { isUtf8 } from 'node:buffer'
import type { Address, BrokerError } from '../../src/api.ts'
import { ProtocolError } from './codec.ts'
import type { Five } from './five.ts'
import type { Front } from './front.ts'
import { PROTOCOL_ERROR, RECEIVE_MAXIMUM_EXCEEDED, TOPIC_ALIAS_INVALID } from './reasons.ts'

export function addressFive(front: Front, five: Five, topic: Buffer, alias: number): Address {
  // [MQTT5-3.3.2-9]
  if (alias > front.settings.topicAliasesInMax)
    throw new ProtocolError(`topic alias ${alias} is beyond the most that are allowed`, TOPIC_ALIAS_INVALID)
  if (topic.length > 0) {
    const to = front.topics.address(topic, 0, topic.length)
    if (alias !== 0) five.aliasesIn[alias] = to
    return to
  }
  const known = five.aliasesIn[alias]
  if (known === undefined) throw new ProtocolError('neither a topic nor an alias that is known', PROTOCOL_ERROR)
  return known
}

/** One publish more whose answer is still to come. */
export function countIncoming(five: Five, max: number): void {
  // [MQTT5-3.3.4-9]
  if (five.incoming >= max) throw new ProtocolError(`more than ${max} publishes without an answer`, RECEIVE_MAXIMUM_EXCEEDED)
  five.incoming++
}

/** [MQTT5-3.3.2-4] Undefined: it is UTF-8, as it says. */
export function judgePayload(body: Buffer): BrokerError | undefined {
  return isUtf8(body) ? undefined : Object.assign(new Error('the payload says it is UTF-8, and is not'), { code: 'cannot-convert' as const })
}
