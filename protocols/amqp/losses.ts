// Why something of a message does not come to AMQP, by the field that `Lost` names. docs/reference/losses.md is made of it.
import type { Loss } from '../../src/api.ts'
import { UNNAMEABLE_REPLY } from '../shared/losses.ts'

export const losses: Readonly<Record<string, Loss>> = {
  properties: { rule: 'first-of-equal', says: 'A map of AMQP has each name once: the first of equal ones is taken.' },
  bodyEntries: { rule: 'first-of-equal', says: 'A map of AMQP has each name once: the first of equal ones is taken.' },
  annotations: {
    rule: 'amqp-own-annotations',
    says: 'An annotation that says how the message is to be read, or whose name is not ASCII, is left out.',
  },
  propertyTypes: { rule: 'amqp-simple-properties', says: 'Application properties are simple values: lists and maps become JSON.' },
  idTypes: { rule: 'amqp-ids', says: 'An identifier is a ulong, a uuid, binary or a string: another type becomes a string.' },
  contentType: { rule: 'amqp-ascii', says: 'Symbols of AMQP are ASCII: a content type that is not is left out.' },
  contentEncoding: { rule: 'amqp-ascii', says: 'Symbols of AMQP are ASCII: a content encoding that is not is left out.' },
  replyTo: UNNAMEABLE_REPLY,
}
