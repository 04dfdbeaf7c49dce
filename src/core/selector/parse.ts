// The grammar: OR, AND, NOT, one comparison, sums, products, signs, in rising order of binding. What can never make sense (a sum as a
// condition, a string that is less than another) is refused here, with the place; what only a message can show is `evaluate.ts`.
import { CodedError } from '../../errors.ts'
import { dialectOf, isMarked } from './qualified.ts'
import type { Comparison, Expression, Literal } from './syntax.ts'
import { invalid, type Token, tokenize } from './tokens.ts'

/** What one selector may cost. `terms`: names and literals. `depth`: parentheses, NOT and signs within each other. */
export type SelectorBounds = Readonly<{ bytes: number; depth: number; terms: number }>

/** `dialects`: whose fields it names. */
export type Parsed = Readonly<{ condition: Expression; terms: number; dialects: ReadonlySet<string> }>

type Type = 'boolean' | 'number' | 'string' | 'any'

const COMPARISONS: ReadonlySet<string> = new Set(['=', '<>', '<', '<=', '>', '>='])
const LONG_MAX = 2n ** 63n

export function parseSelector(text: string, bounds: SelectorBounds, hyphenated: boolean): Parsed {
  const bytes = Buffer.byteLength(text)
  if (bytes > bounds.bytes) throw new CodedError('limit', `a selector of ${bytes} bytes exceeds limits.selectorBytes (${bounds.bytes})`)
  const parser = new Parser(tokenize(text, hyphenated), bounds)
  const condition = parser.whole()
  return { condition, terms: parser.terms, dialects: parser.dialects }
}

class Parser {
  readonly #tokens: readonly Token[]
  readonly #bounds: SelectorBounds
  #next = 0
  #depth = 0
  terms = 0
  readonly dialects = new Set<string>()

  constructor(tokens: readonly Token[], bounds: SelectorBounds) {
    this.#tokens = tokens
    this.#bounds = bounds
  }

  whole(): Expression {
    const { at } = this.#token
    const condition = wants('boolean', this.#or(), at)
    if (this.#token.kind !== 'end') throw this.#unexpected()
    return condition
  }

  get #token(): Token {
    return this.#tokens[this.#next]
  }

  #take(kind: 'keyword' | 'symbol', text: string): boolean {
    const token = this.#token
    if (token.kind !== kind || token.text !== text) return false
    this.#next++
    return true
  }

  #expect(kind: 'keyword' | 'symbol', text: string): void {
    if (!this.#take(kind, text)) throw invalid(`${text} is missing`, this.#token.at)
  }

  #unexpected(): CodedError {
    const token = this.#token
    if (token.kind === 'end') return invalid('it ends too early', token.at)
    const text = 'text' in token ? token.text : String(token.value)
    return invalid(`${JSON.stringify(text.slice(0, 40))} does not belong here`, token.at)
  }

  #deeper<T>(run: () => T): T {
    if (++this.#depth > this.#bounds.depth)
      throw new CodedError('limit', `the selector is nested deeper than limits.selectorDepth (${this.#bounds.depth})`)
    const result = run()
    this.#depth--
    return result
  }

  #term<T>(expression: T): T {
    if (++this.terms > this.#bounds.terms)
      throw new CodedError('limit', `the selector has more names and literals than limits.selectorTerms (${this.#bounds.terms})`)
    return expression
  }

  #or(): Expression {
    return this.#chain('or', 'OR', () => this.#and())
  }

  #and(): Expression {
    return this.#chain('and', 'AND', () => this.#not())
  }

  #chain(kind: 'and' | 'or', keyword: string, part: () => Expression): Expression {
    const { at } = this.#token
    const first = part()
    if (!this.#is('keyword', keyword)) return first
    const terms = [wants('boolean', first, at)]
    while (this.#take('keyword', keyword)) {
      const { at: where } = this.#token
      terms.push(wants('boolean', part(), where))
    }
    return { kind, terms }
  }

  #is(kind: 'keyword' | 'symbol', text: string): boolean {
    const token = this.#token
    return token.kind === kind && token.text === text
  }

  #not(): Expression {
    if (!this.#take('keyword', 'NOT')) return this.#condition()
    const { at } = this.#token
    return {
      kind: 'not',
      of: wants(
        'boolean',
        this.#deeper(() => this.#not()),
        at,
      ),
    }
  }

  #condition(): Expression {
    const { at } = this.#token
    const left = this.#sum()
    const token = this.#token
    if (token.kind === 'symbol' && isComparison(token.text)) {
      this.#next++
      return this.#comparison(token.text, left, at)
    }
    if (this.#take('keyword', 'IS')) {
      const not = this.#take('keyword', 'NOT')
      this.#expect('keyword', 'NULL')
      return negated(not, { kind: 'is-null', of: left })
    }
    const not = this.#take('keyword', 'NOT')
    if (this.#take('keyword', 'BETWEEN')) return negated(not, this.#between(left, at))
    if (this.#take('keyword', 'IN')) return negated(not, this.#in(left))
    if (this.#take('keyword', 'LIKE')) return negated(not, this.#like(wants('string', left, at)))
    if (not) throw this.#unexpected()
    return left
  }

  #comparison(operator: Comparison, left: Expression, at: number): Expression {
    const { at: right } = this.#token
    const other = this.#sum()
    if (operator !== '=' && operator !== '<>') {
      wants('number', left, at)
      wants('number', other, right)
    }
    return { kind: 'compare', operator, left, right: other }
  }

  #between(of: Expression, at: number): Expression {
    wants('number', of, at)
    const { at: lowAt } = this.#token
    const low = wants('number', this.#sum(), lowAt)
    this.#expect('keyword', 'AND')
    const { at: highAt } = this.#token
    return { kind: 'between', of, low, high: wants('number', this.#sum(), highAt) }
  }

  #in(of: Expression): Expression {
    this.#expect('symbol', '(')
    const list: Literal[] = []
    do {
      const { at } = this.#token
      const literal = this.#sum()
      if (literal.kind !== 'literal' || typeof literal.value === 'boolean') throw invalid('IN wants a list of literals', at)
      list.push(literal)
    } while (this.#take('symbol', ','))
    this.#expect('symbol', ')')
    return { kind: 'in', of, list }
  }

  #like(of: Expression): Expression {
    const { at: patternAt } = this.#token
    const pattern = this.#string('LIKE wants a pattern in quotes')
    if (!this.#take('keyword', 'ESCAPE')) return { kind: 'like', of, pattern, escape: '' }
    const { at } = this.#token
    const escape = this.#string('ESCAPE wants one character in quotes')
    if (escape.length !== 1) throw invalid('ESCAPE wants one character in quotes', at)
    if (endsEscaping(pattern, escape)) throw invalid('the pattern ends with its escape character', patternAt)
    return { kind: 'like', of, pattern, escape }
  }

  #string(otherwise: string): string {
    const token = this.#token
    if (token.kind !== 'string') throw invalid(otherwise, token.at)
    this.#next++
    return this.#term(token.text)
  }

  #sum(): Expression {
    return this.#arithmetic('+', '-', () => this.#product())
  }

  #product(): Expression {
    return this.#arithmetic('*', '/', () => this.#signed())
  }

  #arithmetic(one: '+' | '*', other: '-' | '/', part: () => Expression): Expression {
    const { at } = this.#token
    let left = part()
    for (;;) {
      const operator = this.#take('symbol', one) ? one : this.#take('symbol', other) ? other : undefined
      if (operator === undefined) return left
      wants('number', left, at)
      const { at: right } = this.#token
      left = { kind: 'arithmetic', operator, left, right: wants('number', part(), right) }
    }
  }

  #signed(): Expression {
    const { at } = this.#token
    if (this.#take('symbol', '+'))
      return wants(
        'number',
        this.#deeper(() => this.#signed()),
        at,
      )
    if (!this.#take('symbol', '-')) return this.#primary()
    const token = this.#token
    // The least long has no positive twin.
    if (token.kind === 'exact') {
      this.#next++
      return this.#term(exactLiteral(-token.value, token.unsigned, token.at))
    }
    const of = wants(
      'number',
      this.#deeper(() => this.#signed()),
      at,
    )
    return of.kind === 'literal' && typeof of.value === 'number' ? { ...of, value: -of.value } : { kind: 'minus', of }
  }

  #primary(): Expression {
    const token = this.#token
    switch (token.kind) {
      case 'name':
        this.#next++
        if (isMarked(token.text)) this.dialects.add(dialectOf(token.text))
        return this.#term({ kind: 'name', name: token.text })
      case 'string':
        this.#next++
        return this.#term({ kind: 'literal', value: token.text, exact: false })
      case 'approximate':
        this.#next++
        return this.#term({ kind: 'literal', value: token.value, exact: false })
      case 'exact':
        this.#next++
        return this.#term(exactLiteral(token.value, token.unsigned, token.at))
      case 'keyword':
        if (token.text !== 'TRUE' && token.text !== 'FALSE') throw this.#unexpected()
        this.#next++
        return this.#term({ kind: 'literal', value: token.text === 'TRUE', exact: false })
      case 'symbol': {
        if (!this.#take('symbol', '(')) throw this.#unexpected()
        const inner = this.#deeper(() => this.#or())
        this.#expect('symbol', ')')
        return inner
      }
      case 'end':
        throw this.#unexpected()
      default:
        return token satisfies never
    }
  }
}

function isComparison(text: string): text is Comparison {
  return COMPARISONS.has(text)
}

function negated(not: boolean, of: Expression): Expression {
  return not ? { kind: 'not', of } : of
}

function exactLiteral(value: bigint, unsigned: boolean, at: number): Literal {
  if (unsigned ? value < 0n : value >= LONG_MAX) throw invalid('this number does not fit in 64 bits', at)
  const asNumber = Number(value)
  return { kind: 'literal', value: Number.isSafeInteger(asNumber) ? asNumber : value, exact: true }
}

/** The expression, if it can be of this type. */
function wants(type: Type, expression: Expression, at: number): Expression {
  const is = typeOf(expression)
  if (is !== 'any' && is !== type) throw invalid(`a ${type} is wanted here, and this is a ${is}`, at)
  return expression
}

function typeOf(expression: Expression): Type {
  switch (expression.kind) {
    case 'name':
      return 'any'
    case 'literal':
      if (typeof expression.value === 'boolean') return 'boolean'
      return typeof expression.value === 'string' ? 'string' : 'number'
    case 'arithmetic':
    case 'minus':
      return 'number'
    default:
      return 'boolean'
  }
}

function endsEscaping(pattern: string, escape: string): boolean {
  let escaped = false
  for (const character of pattern) escaped = !escaped && character === escape
  return escaped
}
