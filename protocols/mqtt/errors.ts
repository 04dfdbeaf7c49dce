// What each of the core's errors is in MQTT 3.1 and 3.1.1, which can say hardly anything: CONNACK has five refusals, SUBACK one, PUBLISH none.
import type { BrokerError, ErrorCode } from '../../src/api.ts'

/** CONNACK return codes [MQTT-3.2.2-6]. */
export const ACCEPTED = 0
export const UNACCEPTABLE_VERSION = 1
export const IDENTIFIER_REJECTED = 2
export const SERVER_UNAVAILABLE = 3
export const BAD_USER_OR_PASSWORD = 4
export const NOT_AUTHORIZED = 5

/** SUBACK's failure [MQTT-3.9.3-2]. */
export const SUBSCRIPTION_REFUSED = 0x80

/** A refused CONNECT. */
export const CONNACK_CODE: Readonly<Record<ErrorCode, number>> = {
  'not-found': SERVER_UNAVAILABLE,
  exists: SERVER_UNAVAILABLE,
  'in-use': IDENTIFIER_REJECTED,
  denied: NOT_AUTHORIZED,
  unauthenticated: BAD_USER_OR_PASSWORD,
  invalid: IDENTIFIER_REJECTED,
  unsupported: SERVER_UNAVAILABLE,
  'too-large': SERVER_UNAVAILABLE,
  full: SERVER_UNAVAILABLE,
  limit: SERVER_UNAVAILABLE,
  throttled: SERVER_UNAVAILABLE,
  timeout: SERVER_UNAVAILABLE,
  'cannot-convert': SERVER_UNAVAILABLE,
  'taken-over': SERVER_UNAVAILABLE,
  removed: SERVER_UNAVAILABLE,
  'shutting-down': SERVER_UNAVAILABLE,
  'not-leading': SERVER_UNAVAILABLE,
  internal: SERVER_UNAVAILABLE,
}

/**
 * A refused PUBLISH. [MQTT-3.3.5-2] leaves two ways: acknowledge what is not allowed, or end the connection. What the client
 * may never send is acknowledged and dropped; what it may send again, or must notice, ends the connection, unacknowledged.
 */
export const REFUSED_PUBLISH: Readonly<Record<ErrorCode, 'acknowledge' | 'close'>> = {
  'not-found': 'close',
  exists: 'close',
  'in-use': 'close',
  denied: 'acknowledge',
  unauthenticated: 'close',
  invalid: 'close',
  unsupported: 'close',
  'too-large': 'close',
  full: 'close',
  limit: 'close',
  throttled: 'close',
  timeout: 'close',
  'cannot-convert': 'close',
  'taken-over': 'close',
  removed: 'close',
  'shutting-down': 'close',
  'not-leading': 'close',
  internal: 'close',
}

/** Anything that was thrown, as one of the core's codes. */
export function codeOf(error: unknown): ErrorCode {
  return isBrokerError(error) ? error.code : 'internal'
}

function isBrokerError(error: unknown): error is BrokerError {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' && Object.hasOwn(CONNACK_CODE, error.code)
}
