// What the core's errors and our own are called in AMQP (part 2.8.15 and after). A new code of the core does not compile until it is mapped here.
import type { BrokerError, ErrorCode } from '../../src/api.ts'

/** An error as Close, End, Detach and Rejected carry it. */
export type AmqpError = Readonly<{ condition: string; description: string; info?: Readonly<Record<string, string>> }>

/** Bytes of a client that break the specification, or a limit: the connection ends with this. Never thrown for anything of our own. */
export class ConnectionFault extends Error {
  readonly condition: string

  constructor(condition: string, sentence: string) {
    super(sentence)
    this.condition = condition
  }
}

/** A value that cannot be read. In a performative it ends the connection, in a message only that message is refused. */
export class DecodeFault extends ConnectionFault {
  constructor(sentence: string) {
    super('amqp:decode-error', sentence)
  }
}

const conditions: Readonly<Record<ErrorCode, string>> = {
  'not-found': 'amqp:not-found',
  exists: 'amqp:precondition-failed',
  'in-use': 'amqp:resource-locked',
  denied: 'amqp:unauthorized-access',
  unauthenticated: 'amqp:unauthorized-access',
  invalid: 'amqp:invalid-field',
  unsupported: 'amqp:not-implemented',
  'too-large': 'amqp:link:message-size-exceeded',
  full: 'amqp:resource-limit-exceeded',
  limit: 'amqp:resource-limit-exceeded',
  throttled: 'amqp:resource-limit-exceeded',
  timeout: 'amqp:resource-limit-exceeded',
  'cannot-convert': 'amqp:decode-error',
  'taken-over': 'amqp:link:stolen',
  removed: 'amqp:resource-deleted',
  'shutting-down': 'amqp:connection:forced',
  'not-leading': 'amqp:connection:forced',
  internal: 'amqp:internal-error',
}

export function fault(code: ErrorCode, description: string): AmqpError {
  return { condition: conditions[code], description }
}

/** The core's errors carry a code; anything else that was thrown is a fault of ours. */
export function errorOf(error: unknown): AmqpError {
  return isBrokerError(error) ? fault(error.code, error.message) : fault('internal', 'Something went wrong inside the broker.')
}

export function isBrokerError(error: unknown): error is BrokerError {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' && Object.hasOwn(conditions, error.code)
}

/** The same as an error of the core's kind. */
export function brokerError(code: ErrorCode, sentence: string): BrokerError {
  return Object.assign(new Error(sentence), { code })
}

/** What a client wrote, short enough for a sentence. */
export function quote(text: string): string {
  return JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}…` : text)
}
