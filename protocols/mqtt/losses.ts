// Why something of a message does not come to MQTT 3.1.1, by the field that `Lost` names. Rules: docs/how-to/explain.md.
import type { Loss } from '../../src/api.ts'

const BYTES: Loss = {
  rule: 'mqtt-bytes',
  says: 'A payload is bytes: text is sent as UTF-8, maps and lists as JSON, null and none as nothing, and no word says which it was.',
}
const PAYLOAD_ONLY: Loss = {
  rule: 'mqtt-payload-only',
  says: 'A PUBLISH of MQTT 3.1.1 has a topic, a payload, QoS and RETAIN. Other fields and all properties stay behind; expiry, priority and delay are obeyed.',
}

export function ruleOf(field: string): Loss {
  return field.startsWith('body') ? BYTES : PAYLOAD_ONLY
}
