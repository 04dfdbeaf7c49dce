// A durable subscription that comes back with other conditions is another one of the same name (JMS 2.0, 8.3.3): what the earlier one
// has not been given is not for it. Nobody may be receiving from it; who is, is told of by the refusal.
import type { Address, Session, Sink } from '../../src/api.ts'

export type Conditions = Readonly<{ selector: string | undefined; noLocal: boolean; selectorConverts?: boolean }>

/** Says nothing more where selectors convert anyway; earlier versions stored it there. */
const CONVERTS = /^convert_string_expressions:\s*/

/** To be called before the queue is declared. False: `session.refusal`. */
export function renewSubscription(session: Session, queue: Address, { selector, noLocal, selectorConverts = false }: Conditions): boolean {
  const words = (text: string | undefined): string | undefined => (selectorConverts ? text?.replace(CONVERTS, '') : text)
  const bound = session.boundTo(queue)
  if (bound.every((earlier) => words(earlier.selector) === words(selector) && earlier.noLocal === noLocal)) return true
  const alone = session.consume([queue], { settle: 'unsettled', exclusive: 'refuse', priority: 0 }, NOBODY)
  if (alone === undefined) return false
  alone.close()
  return session.remove(queue) !== 0
}

const NOBODY: Sink = { deliver() {}, flush() {}, ended() {} }
