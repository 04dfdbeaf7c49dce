// One selector, compiled: does it take this message, and by which equality may it be found without asking it.
import { compile, type Evaluate, keyOf, keysOfText, namesField, type Scalar, type Selectable } from './evaluate.ts'
import { parseSelector, type SelectorBounds } from './parse.ts'
import type { Expression } from './syntax.ts'

/** A selector takes only messages in which `name` has one of these values; with `alone` it takes all of those. */
export type Equality = Readonly<{ name: string; keys: readonly NonNullable<Scalar>[]; alone: boolean }>

/** Prefixes that ActiveMQ and Artemis know, for messages whose properties are headers of text: see docs/how-to/selectors.md. */
const CONVERT = 'convert_string_expressions:'
const HYPHENATED = 'hyphenated_props:'

export class Selector {
  readonly text: string
  /** Equal for selectors that take the same by the same words. */
  readonly key: string
  readonly equality: Equality | undefined
  /** Names and literals that a message may cost it; 0: it is found by a look-up. */
  readonly terms: number
  /** Whose fields it names by their own names. */
  readonly dialects: ReadonlySet<string>
  readonly #evaluate: Evaluate

  /** `converts`: as if the text began with the prefix for it. Throws `CodedError` `invalid` (with the place) or `limit`. */
  constructor(text: string, bounds: SelectorBounds, converts = false) {
    let rest = text
    let convert = converts
    let hyphenated = false
    for (;;) {
      if (rest.startsWith(CONVERT)) {
        convert = true
        rest = blanked(rest, CONVERT)
      } else if (rest.startsWith(HYPHENATED)) {
        hyphenated = true
        rest = blanked(rest, HYPHENATED)
      } else break
    }
    const { condition, terms, dialects } = parseSelector(rest.padStart(text.length), bounds, hyphenated)
    this.text = text
    this.key = selectorKey(text, converts)
    this.dialects = dialects
    this.equality = equalityOf(condition, convert)
    this.terms = this.equality?.alone === true ? 0 : terms
    this.#evaluate = compile(condition, convert)
  }

  takes(message: Selectable): boolean {
    return this.#evaluate(message) === true
  }
}

export function selectorKey(text: string, converts: boolean): string {
  return converts ? CONVERT + text : text
}

function blanked(text: string, prefix: string): string {
  return text.slice(prefix.length).trimStart()
}

/** An empty text stands for no selector at all (JMS 2.0, 8.6). */
export function given(text: string | undefined): string | undefined {
  return text === undefined || text.trim() === '' ? undefined : text
}

function equalityOf(expression: Expression, convert: boolean, alone = true): Equality | undefined {
  if (expression.kind !== 'and') return equalityIn(expression, alone, convert && !namesField(expression))
  for (const term of expression.terms) {
    const found = equalityOf(term, convert, false)
    if (found !== undefined) return found
  }
  return undefined
}

/** With `convert` a number is equal to many texts (7, 7.0, 7e0), which no look-up finds; a text is equal to few others. */
function equalityIn(expression: Expression, alone: boolean, convert: boolean): Equality | undefined {
  if (expression.kind === 'in' && expression.of.kind === 'name') {
    if (convert && expression.list.some(({ value }) => typeof value !== 'string')) return undefined
    return { name: expression.of.name, keys: [...new Set(expression.list.map(({ value }) => keyOf(value)))], alone }
  }
  if (expression.kind !== 'compare' || expression.operator !== '=') return undefined
  const { left, right } = expression
  const [name, literal] = left.kind === 'name' ? [left, right] : [right, left]
  if (name.kind !== 'name' || literal.kind !== 'literal') return undefined
  if (!convert) return { name: name.name, keys: [keyOf(literal.value)], alone }
  return typeof literal.value === 'string' ? { name: name.name, keys: keysOfText(literal.value), alone } : undefined
}
