// A selector's tree as closures. Three-valued: `undefined` is unknown, and a message is selected only by true. Values of unlike types are
// not equal, not unequal, not less (JMS 2.0, 3.8.1.3); null makes whatever it touches unknown. A hot room: no objects per evaluation.
import { compileLike } from './like.ts'
import { areUnlike, isMarked } from './qualified.ts'
import type { Comparison, Expression } from './syntax.ts'

/** What a name stands for. Exact numbers that a double cannot hold are bigints; `undefined`: null, or of a type that selectors do not know. */
export type Scalar = string | number | bigint | boolean | undefined

/** What selectors see of a message. */
export interface Selectable {
  get(name: string): Scalar
  /** Is this number exact (an integer type)? Asked for divisions only. */
  exact(name: string): boolean
}

export type Evaluate = (of: Selectable) => Scalar
type Exact = (of: Selectable) => boolean

/** `convert`: a string beside a number or boolean is read as one, for senders whose protocol has text only. */
export function compile(expression: Expression, convert: boolean): Evaluate {
  const inner = (one: Expression): Evaluate => compile(one, convert)
  switch (expression.kind) {
    case 'literal': {
      const { value } = expression
      return () => value
    }
    case 'name': {
      const { name } = expression
      return (of) => of.get(name)
    }
    case 'and':
      return all(expression.terms.map(inner), false)
    case 'or':
      return all(expression.terms.map(inner), true)
    case 'not': {
      const of = inner(expression.of)
      return (message) => {
        const value = of(message)
        return typeof value === 'boolean' ? !value : undefined
      }
    }
    case 'compare':
      return comparison(expression.operator, inner(expression.left), inner(expression.right), convert && !namesField(expression))
    case 'between': {
      const of = inner(expression.of)
      const converts = convert && !namesField(expression)
      return all([comparison('>=', of, inner(expression.low), converts), comparison('<=', of, inner(expression.high), converts)], false)
    }
    case 'in':
      return oneOf(
        inner(expression.of),
        expression.list.map(({ value }) => value),
        convert && !namesField(expression),
      )
    case 'like': {
      const of = inner(expression.of)
      const like = compileLike(expression.pattern, expression.escape)
      return (message) => {
        const value = of(message)
        if (value === undefined) return undefined
        return typeof value === 'string' && !isMarked(value) && like(value)
      }
    }
    case 'is-null': {
      const of = inner(expression.of)
      return (message) => of(message) === undefined
    }
    case 'arithmetic':
      return arithmetic(expression, inner(expression.left), inner(expression.right), convert)
    case 'minus': {
      const of = inner(expression.of)
      return (message) => {
        const value = numberOf(of(message), convert)
        if (value === undefined) return undefined
        return typeof value === 'bigint' ? exactOf(-value) : -value
      }
    }
    default:
      return expression satisfies never
  }
}

/** Is it about a field of a dialect? Those have the types of that dialect, and no text among them is read as anything else. */
export function namesField(expression: Expression): boolean {
  if (expression.kind === 'compare') return isField(expression.left) || isField(expression.right)
  return (expression.kind === 'in' || expression.kind === 'between') && isField(expression.of)
}

function isField(expression: Expression): boolean {
  return expression.kind === 'name' && isMarked(expression.name)
}

/** AND ends at the first false (`decides` false), OR at the first true; else one unknown makes all of it unknown. */
function all(terms: readonly Evaluate[], decides: boolean): Evaluate {
  return (of) => {
    let result: Scalar = !decides
    for (const term of terms) {
      const value = term(of)
      if (value === decides) return decides
      if (value !== !decides) result = undefined
    }
    return result
  }
}

function comparison(operator: Comparison, left: Evaluate, right: Evaluate, convert: boolean): Evaluate {
  const holds = HOLDS[operator]
  const ordered = operator !== '=' && operator !== '<>'
  return (of) => {
    let a = left(of)
    let b = right(of)
    if (a === undefined || b === undefined) return undefined
    if (convert && typeof a !== typeof b) {
      a = converted(a, b)
      b = converted(b, a)
    }
    if (isNumber(a) ? !isNumber(b) : typeof a !== typeof b || ordered) return false
    if (typeof a === 'string' && typeof b === 'string' && areUnlike(a, b)) return false
    return holds(a, b)
  }
}

// Strings and booleans reach `=` and `<>` only; doubles and bigints compare by value.
const HOLDS: Readonly<Record<Comparison, (a: NonNullable<Scalar>, b: NonNullable<Scalar>) => boolean>> = {
  '=': (a, b) => same(a, b),
  '<>': (a, b) => !same(a, b),
  '<': (a, b) => a < b,
  '<=': (a, b) => a <= b,
  '>': (a, b) => a > b,
  '>=': (a, b) => a >= b,
}

function same(a: NonNullable<Scalar>, b: NonNullable<Scalar>): boolean {
  if (typeof a === typeof b) return a === b
  return a <= b && a >= b
}

function oneOf(of: Evaluate, list: readonly NonNullable<Scalar>[], convert: boolean): Evaluate {
  const keys = new Set(list.map(keyOf))
  return (message) => {
    const value = of(message)
    if (value === undefined) return undefined
    if (keys.has(keyOf(value))) return true
    return convert && typeof value === 'string' && list.some((one) => isNumber(one) && converted(value, one) === one)
  }
}

/** Equal for equal values and for no others, so that a hash finds them: exact or approximate makes no difference. */
export function keyOf(value: NonNullable<Scalar>): NonNullable<Scalar> {
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : value
  if (typeof value === 'number' && Number.isInteger(value) && !Number.isSafeInteger(value)) return BigInt(value)
  return value
}

/** Of all values that a text is equal to where texts beside numbers and booleans are read as those. */
export function keysOfText(text: string): readonly NonNullable<Scalar>[] {
  return [text, ...[converted(text, 0), converted(text, true)].filter((value) => value !== text).map(keyOf)]
}

function isNumber(value: Scalar): value is number | bigint {
  return typeof value === 'number' || typeof value === 'bigint'
}

const NUMBER = /^\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?\s*$/

function converted(value: NonNullable<Scalar>, like: NonNullable<Scalar>): NonNullable<Scalar> {
  if (typeof value !== 'string') return value
  if (typeof like === 'boolean') return /^true$/i.test(value) ? true : /^false$/i.test(value) ? false : value
  return isNumber(like) && NUMBER.test(value) ? Number(value) : value
}

function numberOf(value: Scalar, convert: boolean): number | bigint | undefined {
  if (isNumber(value)) return value
  return convert && typeof value === 'string' && NUMBER.test(value) ? Number(value) : undefined
}

// ---- Arithmetic, with Java's promotion: exact by exact stays exact, in 64 bits; a division of those forgets its rest.

function arithmetic(expression: Expression & { kind: 'arithmetic' }, left: Evaluate, right: Evaluate, convert: boolean): Evaluate {
  const { operator } = expression
  const leftExact = exactness(expression.left)
  const rightExact = exactness(expression.right)
  return (of) => {
    const a = numberOf(left(of), convert)
    const b = numberOf(right(of), convert)
    if (a === undefined || b === undefined) return undefined
    const exact = (): boolean => leftExact(of) && rightExact(of)
    if (operator === '/') return quotient(a, b, exact())
    if (typeof a === 'number' && typeof b === 'number') {
      const result = operator === '+' ? a + b : operator === '-' ? a - b : a * b
      if (Number.isSafeInteger(result) || !Number.isInteger(a) || !Number.isInteger(b) || !exact()) return result
    } else if (!exact()) return approximate(operator, Number(a), Number(b))
    const one = BigInt(a)
    const other = BigInt(b)
    return exactOf(operator === '+' ? one + other : operator === '-' ? one - other : one * other)
  }
}

function approximate(operator: '+' | '-' | '*', a: number, b: number): number {
  return operator === '+' ? a + b : operator === '-' ? a - b : a * b
}

function quotient(a: number | bigint, b: number | bigint, exact: boolean): Scalar {
  if (!exact || !Number.isInteger(Number(a)) || !Number.isInteger(Number(b))) return Number(a) / Number(b)
  if (Number(b) === 0) return undefined
  return exactOf(BigInt(a) / BigInt(b))
}

/** As a long wraps around. */
function exactOf(value: bigint): number | bigint {
  const wrapped = BigInt.asIntN(64, value)
  const asNumber = Number(wrapped)
  return Number.isSafeInteger(asNumber) ? asNumber : wrapped
}

function exactness(expression: Expression): Exact {
  switch (expression.kind) {
    case 'literal': {
      const { exact } = expression
      return () => exact
    }
    case 'name': {
      const { name } = expression
      return (of) => of.exact(name)
    }
    case 'minus':
      return exactness(expression.of)
    case 'arithmetic': {
      const left = exactness(expression.left)
      const right = exactness(expression.right)
      return (of) => left(of) && right(of)
    }
    default:
      return () => false
  }
}
