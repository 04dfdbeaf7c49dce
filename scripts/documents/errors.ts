// The error catalogue for users. A code that is missing here does not compile.
import type { ErrorCode } from '../../src/api.ts'

/** What it means; what to do about it. */
export const errorMeanings: Readonly<Record<ErrorCode, readonly [string, string]>> = {
  'not-found': ['There is no such queue, subscription or delivery.', 'Check the name; a delivery may have been settled or given to another since.'],
  exists: ['It is there already, with other options.', 'Use it as it is, or remove it first.'],
  'in-use': ['Another has it exclusively, or a client of this id is connected.', 'Choose another client id, or end the other one.'],
  denied: ['This client may not do that, or the configuration refuses it.', 'Ask whoever configures the broker.'],
  unauthenticated: ['User or password is wrong or missing.', 'Check them.'],
  invalid: ['The request makes no sense as it was sent.', 'The sentence says what is wrong; it is a mistake of the client.'],
  unsupported: ['Not there, or not yet.', 'See the list of what is not there yet in the README.'],
  'too-large': ['A message, header or name exceeds a limit.', 'Send less, or raise the limit that the sentence names.'],
  full: ['The destination or the disk is full.', 'Consume; then send again. See `destinations.limitMessages`, `journal.bytesMax`.'],
  limit: ['A configured limit is reached; the sentence names it.', 'Use less, or raise it.'],
  throttled: ['Too many at once.', 'Try again later.'],
  timeout: ['It took too long.', 'Try again.'],
  'cannot-convert': ['The message cannot be said in this protocol.', 'Consume it with the protocol in which it was sent.'],
  'taken-over': ['Another connection continues this session.', 'Give each client an id of its own.'],
  removed: ['The queue or session was removed.', 'Declare or subscribe again.'],
  'shutting-down': ['The node stops.', 'Connect again; another node may lead.'],
  'not-leading': [
    'This node stopped leading: what was in flight may or may not have happened.',
    'Connect to the other node, send again what was not acknowledged.',
  ],
  internal: ['A mistake of the broker.', 'Its log has the details; please report it.'],
}
