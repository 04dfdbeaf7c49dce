// Why something of a message does not come to MQTT 3.1.1, by the field that `Lost` names. docs/reference/losses.md is made of it.
import type { Loss } from '../../src/api.ts'

const BYTES: Loss = {
  rule: 'mqtt-bytes',
  says: 'A payload is bytes: text is sent as UTF-8, maps and lists as JSON, null and none as nothing, and no word says which it was.',
}
const PAYLOAD_ONLY: Loss = {
  rule: 'mqtt-payload-only',
  says: 'A PUBLISH of MQTT 3.1.1 has a topic, a payload, QoS and RETAIN. Other fields and all properties stay behind; expiry, priority and delay are obeyed.',
}

export const losses: Readonly<Record<string, Loss>> = {
  bodyKind: BYTES,
  bodyEntries: { rule: 'first-of-equal', says: 'An object of JSON has each name once: the first of equal ones is taken.' },
  messageId: PAYLOAD_ONLY,
  correlationId: PAYLOAD_ONLY,
  replyTo: PAYLOAD_ONLY,
  type: PAYLOAD_ONLY,
  contentType: PAYLOAD_ONLY,
  contentEncoding: PAYLOAD_ONLY,
  timestamp: PAYLOAD_ONLY,
  expiration: PAYLOAD_ONLY,
  priority: PAYLOAD_ONLY,
  groupId: PAYLOAD_ONLY,
  groupSequence: PAYLOAD_ONLY,
  deliverAt: PAYLOAD_ONLY,
  userId: PAYLOAD_ONLY,
  properties: PAYLOAD_ONLY,
}
