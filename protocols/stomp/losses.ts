// Why something of a message does not come to STOMP, by the field that `Lost` names. docs/reference/losses.md is made of it.
import type { Loss } from '../../src/api.ts'
import { UNNAMEABLE_REPLY } from '../shared/losses.ts'

const JSON_TYPES: Loss = {
  rule: 'json-types',
  says: 'A map is sent as JSON, which has strings, numbers, booleans, null, arrays and objects: other types keep their values only.',
}

export const losses: Readonly<Record<string, Loss>> = {
  properties: {
    rule: 'stomp-own-headers',
    says: 'A property whose name is a header with a meaning of its own would be taken for that header, and is left out.',
  },
  propertyTypes: { rule: 'stomp-text-headers', says: 'A header is text: numbers in decimal, bytes in hexadecimal, null as nothing.' },
  bodyKind: {
    rule: 'stomp-bodies',
    says: 'STOMP has text, bytes and (by transformation) maps: a list is sent as a JSON array, an object as its bytes, null and none as an empty text.',
  },
  deliverAt: { rule: 'stomp-delays', says: 'STOMP says a delay, not a time: one that was waited for is not told.' },
  bodyTypes: JSON_TYPES,
  bodyEntries: { rule: 'first-of-equal', says: 'An object of JSON has each name once: the first of equal ones is taken.' },
  replyTo: UNNAMEABLE_REPLY,
}
