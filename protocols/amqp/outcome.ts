// Delivery states (part 3.4) ↔ what the core does with a delivery (users-and-features.md 3.5).
import type { Outcome as CoreOutcome } from '../../src/api.ts'
import type { AmqpError } from './errors.ts'
import { DIALECT } from './incoming-message.ts'
import { boolean, described, list, symbol, type Term, text, textOf } from './term.ts'
import { TermWriter } from './writer.ts'

/** `received`: how far the receiver got, which settles nothing. `transactional`: when the transaction of this id (as latin1) is discharged. */
export type Outcome = CoreOutcome | Readonly<{ kind: 'received' | 'unknown' }> | Transactional
export type Transactional = Readonly<{ kind: 'transactional'; id: string; outcome: CoreOutcome | undefined }>

export const ACCEPTED: CoreOutcome = { kind: 'accepted' }
export const RELEASED: CoreOutcome = { kind: 'released', afterMs: 0 }

/** Does it settle, once said? */
export function isTerminal(outcome: Outcome): outcome is CoreOutcome {
  return outcome.kind !== 'received' && outcome.kind !== 'transactional' && outcome.kind !== 'unknown'
}

export function readOutcome(state: Term): Outcome {
  if (state.type !== 'described') return { kind: 'unknown' }
  const fields = state.value.type === 'terms' ? state.value.value : []
  switch (codeOf(state.descriptor)) {
    case 0x24:
      return ACCEPTED
    case 0x25:
      return { kind: 'rejected', reason: reasonOf(fields[0]) }
    case 0x26:
      return RELEASED
    case 0x27:
      return modified(isTrue(fields[0]), isTrue(fields[1]), fields[2])
    case 0x23:
      return { kind: 'received' }
    case 0x34:
      return transactional(fields[0], fields[1])
    default:
      return { kind: 'unknown' }
  }
}

/** Part 3.4.5. Annotations are for whoever is given the message next. */
function modified(failed: boolean, elsewhere: boolean, annotations: Term | undefined): CoreOutcome {
  if (annotations?.type !== 'pairs' || annotations.value.length === 0) return { kind: 'modified', failed, elsewhere, afterMs: 0 }
  // A copy of its own: the frame that it came in is not to be kept.
  const bytes = Buffer.from(new TermWriter().term(annotations).bytes())
  return { kind: 'modified', failed, elsewhere, afterMs: 0, added: { dialect: DIALECT, bytes } }
}

/** Part 4.5.8. Inside it stands an outcome, or none. */
function transactional(id: Term | undefined, state: Term | undefined): Transactional {
  const outcome = state === undefined || state.type === 'null' ? undefined : readOutcome(state)
  return {
    kind: 'transactional',
    id: id?.type === 'binary' ? Buffer.from(id.value).toString('latin1') : '',
    outcome: outcome !== undefined && isTerminal(outcome) ? outcome : undefined,
  }
}

export function outcomeTerm(outcome: CoreOutcome, error?: AmqpError): Term {
  switch (outcome.kind) {
    case 'accepted':
      return described(0x24, list([]))
    case 'rejected':
      return described(0x25, list(error === undefined ? [] : [errorTerm(error)]))
    case 'released':
      return described(0x26, list([]))
    case 'modified':
      return described(0x27, list([boolean(outcome.failed), boolean(outcome.elsewhere)]))
    default:
      return outcome satisfies never
  }
}

/** The same as it is written. */
export function outcomeBytes(outcome: CoreOutcome, error?: AmqpError): Buffer {
  if (outcome.kind === 'accepted') return ACCEPTED_BYTES
  return new TermWriter(64).term(outcomeTerm(outcome, error)).bytes()
}

export function errorTerm(error: AmqpError): Term {
  const info = Object.entries(error.info ?? {}).map(([key, value]) => [symbol(key), symbol(value)] as const)
  // A name of the client's own may be in it, and its frames may be small.
  const fields = [symbol(error.condition), text(error.description.slice(0, DESCRIPTION_CHARACTERS))]
  return described(0x1d, list(info.length === 0 ? fields : [...fields, { type: 'pairs', value: info }]))
}

/** The number of a descriptor, written as a number or as a symbol. -1: none of ours. */
export function codeOf(descriptor: Term): number {
  if (descriptor.type === 'uint64') return Number(descriptor.value)
  return descriptor.type === 'symbol' ? (SYMBOLIC[descriptor.value] ?? -1) : -1
}

const SYMBOLIC: Readonly<Record<string, number>> = {
  __proto__: null as never,
  'amqp:received:list': 0x23,
  'amqp:accepted:list': 0x24,
  'amqp:rejected:list': 0x25,
  'amqp:released:list': 0x26,
  'amqp:modified:list': 0x27,
  'amqp:source:list': 0x28,
  'amqp:target:list': 0x29,
  'amqp:coordinator:list': 0x30,
  'amqp:declare:list': 0x31,
  'amqp:discharge:list': 0x32,
  'amqp:transactional-state:list': 0x34,
}

export const ACCEPTED_BYTES = new TermWriter(8).term(outcomeTerm(ACCEPTED)).bytes()

const DESCRIPTION_CHARACTERS = 300

/** What the dead-letter queue says about it; a client may write a book here. */
const REASON_CHARACTERS = 1000

function reasonOf(error: Term | undefined): string {
  if (error?.type !== 'described' || error.value.type !== 'terms') return 'rejected by the receiver'
  const [condition, description] = error.value.value
  const reason = [textOf(condition), textOf(description)].filter((part) => part !== undefined && part !== '').join(': ')
  // A copy: a slice of a string keeps all of it, and this may be kept until a transaction ends.
  return reason.length <= REASON_CHARACTERS ? reason : Buffer.from(reason.slice(0, REASON_CHARACTERS)).toString()
}

function isTrue(term: Term | undefined): boolean {
  return term?.type === 'boolean' && term.value
}
