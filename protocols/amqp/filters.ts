// Filters of a source (part 3.5.8) that are in force: the selector and no-local of the JMS mapping (apache.org). Any other is left out of
// the answer, which is how a receiver learns that it is not; so is no-local where there is no topic.
import { type AmqpError, errorOf, fault } from './errors.ts'
import { codeOf } from './outcome.ts'
import { type Term, textOf } from './term.ts'
import type { Terminus } from './terminus.ts'

export type Filters = Readonly<{
  selector: string | undefined
  noLocal: boolean
  /** As they came, of those that are in force. */
  selectorFilter: readonly (readonly [Term, Term])[]
  noLocalFilter: readonly (readonly [Term, Term])[]
}>

export const NO_FILTERS: Filters = { selector: undefined, noLocal: false, selectorFilter: [], noLocalFilter: [] }

/** `faultOf`: why a text is no selector. */
export function readFilters(source: Terminus, faultOf: (text: string) => unknown): Filters | AmqpError {
  let filters = NO_FILTERS
  for (const pair of source.filter) {
    const [key, value] = pair
    if (value.type !== 'described') {
      // Nobody must believe that it is in force.
      if (textOf(key) === 'jms-selector' || textOf(key) === 'no-local')
        return fault('invalid', 'A filter of a source has no descriptor (part 3.5.8).')
      continue
    }
    const code = codeOf(value.descriptor)
    const name = textOf(value.descriptor)
    if (code === SELECTOR || name === 'apache.org:selector-filter:string') {
      if (value.value.type !== 'string') return fault('invalid', 'A selector is a string.')
      // A copy: a piece of a longer string would keep the whole frame.
      const text = Buffer.from(value.value.value).toString()
      const wrong = faultOf(text)
      if (wrong !== undefined) return errorOf(wrong)
      filters = { ...filters, selector: text.trim() === '' ? undefined : text, selectorFilter: [pair] }
    } else if (code === NO_LOCAL || name === 'apache.org:no-local-filter:list') filters = { ...filters, noLocal: true, noLocalFilter: [pair] }
  }
  return filters
}

const SELECTOR = 0x0000_468c_0000_0004
const NO_LOCAL = 0x0000_468c_0000_0003
