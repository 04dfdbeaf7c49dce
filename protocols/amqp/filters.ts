// Filters of a source (part 3.5.8) that are in force: the selector and no-local of the JMS mapping (apache.org), and expressions about properties
// (property-filters.ts). Any other is left out of the answer, which is how a receiver learns that it is not; so is no-local where there is no
// topic. A message passes that passes all of them.
import { type AmqpError, errorOf, fault } from './errors.ts'
import { codeOf } from './outcome.ts'
import { filterOf } from './property-filters.ts'
import { type Term, textOf } from './term.ts'
import type { Terminus } from './terminus.ts'

export type Filters = Readonly<{
  /** What the selector and the properties' filters say, as one. */
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
  const properties: Pair[] = []
  const conditions: string[] = []
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
    else {
      const said = filterOf(code, name)?.(value.value)
      if (said === undefined) continue
      if ('condition' in said) return said
      properties.push(pair)
      conditions.push(...said)
    }
  }
  if (properties.length === 0) return filters
  const { selector, selectorFilter } = filters
  const all = { ...filters, selector: joined(conditions, selector), selectorFilter: [...selectorFilter, ...properties] }
  // Each alone may be within what one selector may cost.
  const wrong = all.selector === undefined ? undefined : faultOf(all.selector)
  return wrong === undefined ? all : errorOf(wrong)
}

type Pair = readonly [Term, Term]

/** Conditions first, since most are equalities; the selector's prefixes stay in front of all. */
function joined(conditions: readonly string[], selector: string | undefined): string | undefined {
  if (conditions.length === 0) return selector
  // In one order, whatever order a client's map has: a durable subscription is known by it.
  const sorted = [...new Set(conditions)].sort()
  const prefixes = selector === undefined ? '' : (PREFIXES.exec(selector)?.[0] ?? '')
  const terms = selector === undefined ? sorted : [...sorted, `(${selector.slice(prefixes.length)})`]
  // A copy, as above.
  return Buffer.from(prefixes + terms.join(' AND ')).toString()
}

/** docs/how-to/selectors.md has what they mean. */
const PREFIXES = /^(?:(?:convert_string_expressions|hyphenated_props):\s*)*/

const SELECTOR = 0x0000_468c_0000_0004
const NO_LOCAL = 0x0000_468c_0000_0003
