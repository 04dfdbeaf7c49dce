// One row of the matrix: a thing to be said, how each front end says it, and what a consumer of another front end sees of it. A consumer of the
// sender's own front end sees what was sent, unchanged: that needs no writing down.
import type { AmqpMessage, FrontEnd, Said, Seen, Section, Typed } from '../notation.ts'
import type { RuleId } from './rules.ts'

export type Cell = Readonly<{
  /** Beside the plain message. */
  seen?: Seen
  /** None: exact. */
  rules?: readonly RuleId[]
  /** The fields that are counted as lost, each as often as it is. */
  lost?: readonly string[]
}>

export type Row = Readonly<{
  name: string
  /** Of the mapping tables. */
  table: string
  said: Said
  /** Why a front end that is not in `said` is not there. MQTT needs no saying: `mqtt-says-payloads`. */
  unsaid?: Partial<Readonly<Record<FrontEnd, RuleId>>>
  /** It cannot be sent: the answer holds this. */
  refused?: Readonly<{ rule: RuleId; answer: string }>
  to: Partial<Readonly<Record<FrontEnd, Cell>>>
  /** Where it matters who sent it. */
  between?: Partial<Readonly<Record<`${FrontEnd} → ${FrontEnd}`, Cell>>>
}>

/** The body of every message whose row says nothing of it. */
export const PLAIN = '0x010203'

/** x-opt-jms-msg-type */
export const jms = (kind: number): Readonly<Record<string, Typed>> => ({ 'x-opt-jms-msg-type': ['byte', kind] })
export const string = (value: string): Typed => ['string', value]
export const value = (typed: Typed): readonly Section[] => [{ value: typed }]
export const properties = (fields: Readonly<Record<string, Typed>>): AmqpMessage => ({ properties: fields })
export const header = (...pairs: string[]): Readonly<{ headers: readonly (readonly [string, string])[] }> => {
  const headers: [string, string][] = []
  for (let i = 0; i < pairs.length; i += 2) headers.push([pairs[i], pairs[i + 1]])
  return { headers }
}
/** What MQTT leaves behind. */
export const unsayable = (...lost: string[]): Cell => ({ rules: ['mqtt-payload-only'], lost })
