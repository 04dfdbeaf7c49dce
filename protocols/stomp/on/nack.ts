// NACK (STOMP 1.1, 1.2): by the setting `nack` a failure that is tried again, and after too many goes to the dead-letter queue, or that at once.
// Never the end of the message, as in Artemis (users-and-features.md, finding 9).
import type { Outcome } from '../../../src/api.ts'
import { type Frame, header } from '../codec.ts'
import type { StompConnection } from '../connection.ts'
import { settle } from './ack.ts'

export function onNack(connection: StompConnection, frame: Frame): void {
  if (connection.version === '1.0') {
    connection.fail({ code: 'unsupported', sentence: 'STOMP 1.0 has no command NACK.' }, header(frame, 'receipt'))
    return
  }
  settle(connection, frame, connection.shared.settings.nack === 'redeliver' ? FAILED : REFUSED)
}

const FAILED: Outcome = { kind: 'modified', failed: true, elsewhere: false, afterMs: 0 }
const REFUSED: Outcome = { kind: 'rejected', reason: 'NACK by its consumer' }
