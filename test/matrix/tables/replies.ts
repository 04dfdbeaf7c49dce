// Tables 3.2 (temporary) and 3.3 (replyTo, correlationId): where an answer can be asked for, and by whom. What cannot be said or seen of it is a rule.
import type { FrontEnd } from '../notation.ts'
import type { RuleId } from './rules.ts'

export type ReplyRow = Readonly<{ name: string; kind: 'queue' | 'topic'; temporary: boolean }>

export const replyRows: readonly ReplyRow[] = [
  { name: 'a temporary queue', kind: 'queue', temporary: true },
  { name: 'a temporary topic', kind: 'topic', temporary: true },
  { name: 'a named queue', kind: 'queue', temporary: false },
  { name: 'a named topic', kind: 'topic', temporary: false },
]

/** Undefined: the replier sees in its own words where to answer, and the answer carries the correlation id with its type. */
export function replyRule({ temporary }: ReplyRow, requester: FrontEnd, replier: FrontEnd): Readonly<{ rule: RuleId; agreed: boolean }> | undefined {
  if (requester === 'mqtt5' && temporary) return { rule: 'mqtt5-says', agreed: false }
  // Of a name that both know beforehand nothing needs saying.
  if (requester === 'mqtt') return { rule: 'mqtt-says-payloads', agreed: !temporary }
  if (replier === 'mqtt') return { rule: 'mqtt-payload-only', agreed: !temporary }
  return undefined
}
