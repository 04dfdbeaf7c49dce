// Refusals that several parts of the core have in common, said once. Those of temporary destinations are in `temporary.ts`.
import { CodedError } from '../errors.ts'

export function noQueue(path: readonly string[]): CodedError {
  return new CodedError('not-found', `there is no queue ${path.join('.')}`)
}

export function journalFull(): CodedError {
  return new CodedError('full', 'the journal is full: consumers must drain it, or journal.bytesMax be raised')
}
