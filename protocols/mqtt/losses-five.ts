// Why something of a message does not come to MQTT 5, by the field that `Lost` names. docs/reference/losses.md is made of it.
import type { Loss } from '../../src/api.ts'
import { UNNAMEABLE_REPLY } from '../shared/losses.ts'

const STRINGS: Loss = { rule: 'mqtt5-strings', says: 'A string of MQTT 5 has at most 65,535 bytes and no U+0000: what has is left out.' }

export const lossesFive: Readonly<Record<string, Loss>> = {
  bodyKind: {
    rule: 'mqtt5-bodies',
    says: 'MQTT 5 has text and bytes: maps and lists are sent as JSON with that content type, objects as their bytes, null and none as nothing.',
  },
  bodyEntries: { rule: 'first-of-equal', says: 'An object of JSON has each name once: the first of equal ones is taken.' },
  properties: {
    rule: 'mqtt5-own-properties',
    says: 'A property whose name is a field with a place of its own (message-id, type, priority …), or that is no string of MQTT 5, is left out.',
  },
  propertyTypes: { rule: 'mqtt5-text-properties', says: 'A user property is text: numbers in decimal, bytes in hexadecimal, null as nothing.' },
  replyTo: UNNAMEABLE_REPLY,
  deliverAt: { rule: 'mqtt5-delays', says: 'MQTT 5 says a delay, not a time: one that was waited for is not told.' },
  userId: { rule: 'mqtt5-no-user', says: 'MQTT 5 has no word for who sent a message.' },
  contentType: STRINGS,
  correlationId: STRINGS,
  messageId: STRINGS,
  type: STRINGS,
  contentEncoding: STRINGS,
  timestamp: STRINGS,
  priority: STRINGS,
  groupId: STRINGS,
  groupSequence: STRINGS,
}
