// What one CONNECT made of a connection: which version is spoken and what the session knows of itself.
import type { Address } from '../../src/api.ts'
import type { Five } from './five.ts'

export interface SessionState {
  /** 3: MQTT 3.1; 4: MQTT 3.1.1; 5: MQTT 5; 0: not known yet. */
  version: 0 | 3 | 4 | 5
  /** What MQTT 5 has beside; undefined with the others. */
  five: Five | undefined
  clientId: string
  /** Outlives the connection. */
  kept: boolean
  /** The session's own queue, whether it was made yet or not. */
  queue: Address | undefined
  queueMade: boolean
  /** Packet identifiers of QoS 2 publishes that wait for room: not noted yet, and not to be taken twice. */
  readonly parkedNotes: Set<number>
  /** Plain queues that this connection has made sure of. */
  readonly declared: Set<Address>
}

export function newSessionState(): SessionState {
  return { version: 0, five: undefined, clientId: '', kept: false, queue: undefined, queueMade: false, parkedNotes: NO_NOTES, declared: NO_QUEUES }
}

/** Before CONNECT nothing is put into them. */
const NO_NOTES = new Set<number>()
const NO_QUEUES = new Set<Address>()
