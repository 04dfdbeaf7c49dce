// What the core's errors and our own are called in an ERROR frame. A new code of the core does not compile until it is mapped here.
import type { BrokerError, ErrorCode } from '../../src/api.ts'

/** Something that ends a connection: a code of the core's catalogue and one sentence that says what was wrong. */
export type Fault = Readonly<{ code: ErrorCode; sentence: string }>

/** What the body of the ERROR frame adds to the sentence: what the client's owner can do about it. */
export const advice: Readonly<Record<ErrorCode, string>> = {
  'not-found': 'Nothing of that name is there (any more).',
  exists: 'It exists already, with other options.',
  'in-use': 'Somebody else uses it exclusively: end that connection or subscription first, or use another name.',
  denied: 'This user or this configuration does not allow it.',
  unauthenticated: 'Check the headers login and passcode.',
  invalid: 'The frame breaks the STOMP specification or makes no sense here.',
  unsupported: 'This broker does not offer it (yet).',
  'too-large': 'Send less at once, or raise the limit in the section stomp of the configuration.',
  full: 'The destination or the disk is full: consume, or raise its limit.',
  limit: 'A configured limit was reached: it is named above.',
  throttled: 'Too much at once: try again later.',
  timeout: 'The other side was silent, or something stayed open, for longer than a configured limit.',
  'cannot-convert': 'The message cannot be written in the form that was asked for.',
  'taken-over': 'Another connection with the same client-id goes on with this session.',
  removed: 'It was removed while it was in use.',
  'shutting-down': 'The broker stops. Reconnect, to its successor if there is one; what had no receipt yet may or may not have happened.',
  'not-leading': 'This node no longer leads. Reconnect to its successor; what had no receipt yet may or may not have happened.',
  internal: 'This is a fault of the broker: please report it with its log.',
}

/** The core's errors carry a code; anything else that was thrown is a fault of ours. */
export function faultOf(error: unknown): Fault {
  return isBrokerError(error)
    ? { code: error.code, sentence: error.message }
    : { code: 'internal', sentence: 'Something went wrong inside the broker.' }
}

function isBrokerError(error: unknown): error is BrokerError {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' && Object.hasOwn(advice, error.code)
}

/** What a client wrote, short enough for a sentence. */
export function quote(text: string): string {
  return JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}…` : text)
}
