// What is kept of a session while its client is away: its name, its will, its notes and the queues it holds. The connected part is `session.ts`.
import type { Will } from '../api.ts'
import type { CoreAddress } from './addresses.ts'
import type { Queue } from './queue.ts'
import type { LiveSession } from './session.ts'

export interface CoreWill extends Will {
  readonly to: CoreAddress
}

export class SessionRecord {
  /** Its name in facts; never given twice. */
  readonly number: number
  readonly protocol: string
  readonly clientId: string
  readonly key: string
  keepMs: number
  will: CoreWill | undefined
  /** Told of by a fact. */
  recorded = false
  /** Wall ms since when no client is connected; 0: one is. */
  awaySinceMs = 0
  readonly notes = new Set<number>()
  /** Oldest first. */
  readonly holds = new Map<Queue, number>()
  live: LiveSession | undefined = undefined
  /** Ends the wait for will or expiry. */
  cancelWill: (() => void) | undefined = undefined
  cancelExpiry: (() => void) | undefined = undefined

  constructor(number: number, protocol: string, clientId: string, keepMs: number, will: CoreWill | undefined) {
    this.number = number
    this.protocol = protocol
    this.clientId = clientId
    this.key = sessionKey(protocol, clientId)
    this.keepMs = keepMs
    this.will = will
  }
}

export function sessionKey(protocol: string, clientId: string): string {
  return `${protocol}\u0000${clientId}`
}
