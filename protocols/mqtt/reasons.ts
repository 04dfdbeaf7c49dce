// MQTT 5's reason codes [MQTT5-2.4], and what each of the core's errors is among them. MQTT 3.1.1's few words are in errors.ts.
import type { ErrorCode } from '../../src/api.ts'

export const SUCCESS = 0x00
export const DISCONNECT_WITH_WILL = 0x04
export const NO_MATCHING_SUBSCRIBERS = 0x10
export const NO_SUBSCRIPTION_EXISTED = 0x11
export const CONTINUE_AUTHENTICATION = 0x18
export const REAUTHENTICATE = 0x19
export const UNSPECIFIED = 0x80
export const MALFORMED = 0x81
export const PROTOCOL_ERROR = 0x82
export const IMPLEMENTATION_SPECIFIC = 0x83
export const IDENTIFIER_NOT_VALID = 0x85
export const BAD_USER_OR_PASSWORD = 0x86
export const NOT_AUTHORIZED = 0x87
export const SERVER_UNAVAILABLE = 0x88
export const SERVER_BUSY = 0x89
export const SHUTTING_DOWN = 0x8b
export const BAD_AUTHENTICATION_METHOD = 0x8c
export const KEEP_ALIVE_TIMEOUT = 0x8d
export const TAKEN_OVER = 0x8e
export const FILTER_INVALID = 0x8f
export const TOPIC_INVALID = 0x90
export const PACKET_ID_NOT_FOUND = 0x92
export const RECEIVE_MAXIMUM_EXCEEDED = 0x93
export const TOPIC_ALIAS_INVALID = 0x94
export const PACKET_TOO_LARGE = 0x95
export const QUOTA_EXCEEDED = 0x97
export const ADMINISTRATIVE = 0x98
export const PAYLOAD_FORMAT_INVALID = 0x99
export const USE_ANOTHER_SERVER = 0x9c

/** A refused CONNECT. */
export const CONNACK_REASON: Readonly<Record<ErrorCode, number>> = {
  'not-found': SERVER_UNAVAILABLE,
  exists: SERVER_UNAVAILABLE,
  'in-use': IDENTIFIER_NOT_VALID,
  denied: NOT_AUTHORIZED,
  unauthenticated: BAD_USER_OR_PASSWORD,
  invalid: IDENTIFIER_NOT_VALID,
  unsupported: IMPLEMENTATION_SPECIFIC,
  'too-large': PACKET_TOO_LARGE,
  full: QUOTA_EXCEEDED,
  limit: QUOTA_EXCEEDED,
  throttled: SERVER_BUSY,
  timeout: SERVER_UNAVAILABLE,
  'cannot-convert': IMPLEMENTATION_SPECIFIC,
  'taken-over': SERVER_UNAVAILABLE,
  removed: SERVER_UNAVAILABLE,
  'shutting-down': SERVER_UNAVAILABLE,
  'not-leading': SERVER_UNAVAILABLE,
  internal: UNSPECIFIED,
}

/** A refused PUBLISH, told by PUBACK or PUBREC. `undefined`: its outcome is not known, or no word of theirs fits; the connection ends. */
export const PUBLISH_REASON: Readonly<Record<ErrorCode, number | undefined>> = {
  'not-found': TOPIC_INVALID,
  exists: IMPLEMENTATION_SPECIFIC,
  'in-use': IMPLEMENTATION_SPECIFIC,
  denied: NOT_AUTHORIZED,
  unauthenticated: NOT_AUTHORIZED,
  invalid: TOPIC_INVALID,
  unsupported: IMPLEMENTATION_SPECIFIC,
  'too-large': QUOTA_EXCEEDED,
  full: QUOTA_EXCEEDED,
  limit: QUOTA_EXCEEDED,
  throttled: QUOTA_EXCEEDED,
  timeout: UNSPECIFIED,
  'cannot-convert': PAYLOAD_FORMAT_INVALID,
  'taken-over': undefined,
  removed: undefined,
  'shutting-down': undefined,
  'not-leading': undefined,
  internal: undefined,
}

/** A refused filter. */
export const SUBACK_REASON: Readonly<Record<ErrorCode, number>> = {
  'not-found': UNSPECIFIED,
  exists: UNSPECIFIED,
  'in-use': UNSPECIFIED,
  denied: NOT_AUTHORIZED,
  unauthenticated: NOT_AUTHORIZED,
  invalid: FILTER_INVALID,
  unsupported: IMPLEMENTATION_SPECIFIC,
  'too-large': FILTER_INVALID,
  full: QUOTA_EXCEEDED,
  limit: QUOTA_EXCEEDED,
  throttled: QUOTA_EXCEEDED,
  timeout: UNSPECIFIED,
  'cannot-convert': IMPLEMENTATION_SPECIFIC,
  'taken-over': UNSPECIFIED,
  removed: UNSPECIFIED,
  'shutting-down': UNSPECIFIED,
  'not-leading': UNSPECIFIED,
  internal: UNSPECIFIED,
}

/** A filter that could not be unsubscribed: UNSUBACK has fewer words than SUBACK [MQTT5-3.11.3-2]. */
export function unsubackReason(code: ErrorCode): number {
  return OF_UNSUBACK.has(SUBACK_REASON[code]) ? SUBACK_REASON[code] : UNSPECIFIED
}
const OF_UNSUBACK: ReadonlySet<number> = new Set([UNSPECIFIED, IMPLEMENTATION_SPECIFIC, NOT_AUTHORIZED, FILTER_INVALID])

/** The broker ends the connection. */
export const DISCONNECT_REASON: Readonly<Record<ErrorCode, number>> = {
  'not-found': ADMINISTRATIVE,
  exists: UNSPECIFIED,
  'in-use': UNSPECIFIED,
  denied: NOT_AUTHORIZED,
  unauthenticated: NOT_AUTHORIZED,
  invalid: UNSPECIFIED,
  unsupported: IMPLEMENTATION_SPECIFIC,
  'too-large': PACKET_TOO_LARGE,
  full: QUOTA_EXCEEDED,
  limit: QUOTA_EXCEEDED,
  throttled: SERVER_BUSY,
  timeout: UNSPECIFIED,
  'cannot-convert': IMPLEMENTATION_SPECIFIC,
  'taken-over': TAKEN_OVER,
  removed: ADMINISTRATIVE,
  'shutting-down': SHUTTING_DOWN,
  'not-leading': SHUTTING_DOWN,
  internal: UNSPECIFIED,
}

/** What a client may say in PUBACK and PUBREC, in PUBREL and PUBCOMP, in AUTH, in DISCONNECT [MQTT5-3.4.2.1, 3.6.2.1, 3.15.2.1, 3.14.2.1]. */
export const OF_PUBACK: ReadonlySet<number> = new Set([SUCCESS, NO_MATCHING_SUBSCRIBERS, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99])
export const OF_PUBREL: ReadonlySet<number> = new Set([SUCCESS, PACKET_ID_NOT_FOUND])
export const OF_AUTH: ReadonlySet<number> = new Set([SUCCESS, CONTINUE_AUTHENTICATION, REAUTHENTICATE])
export const OF_DISCONNECT: ReadonlySet<number> = new Set([0, 4, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99])
