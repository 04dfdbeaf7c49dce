// BEGIN, COMMIT, ABORT: refused, so that nobody takes for atomic what is not.
import { type Frame, header } from '../codec.ts'
import type { StompConnection } from '../connection.ts'
import type { Fault } from '../errors.ts'

export const NO_TRANSACTIONS: Fault = {
  code: 'unsupported',
  sentence: 'Transactions are not offered yet: BEGIN, COMMIT, ABORT and the header transaction are refused.',
}

export function onTransaction(connection: StompConnection, frame: Frame): void {
  connection.fail(NO_TRANSACTIONS, header(frame, 'receipt'))
}
