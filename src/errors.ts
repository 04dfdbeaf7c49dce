// The core's errors. The catalogue of codes with their meanings is `ErrorCode` in api.ts; docs/reference/errors.md lists them for users.
import type { BrokerError, ErrorCode } from './api.ts'

/** An error with a code of the catalogue and one sentence for whoever reads it. */
export class CodedError extends Error implements BrokerError {
  readonly code: ErrorCode

  constructor(code: ErrorCode, sentence: string) {
    super(sentence)
    this.name = 'BrokerError'
    this.code = code
  }
}
