// What a selector says, as a tree.

/** A literal. Exact numbers that a double holds exactly are numbers, larger ones bigints; `exact` tells them from approximate ones. */
export type Literal = Readonly<{ kind: 'literal'; value: string | number | bigint | boolean; exact: boolean }>

export type Comparison = '=' | '<>' | '<' | '<=' | '>' | '>='

export type Expression =
  | Literal
  | Readonly<{ kind: 'name'; name: string }>
  | Readonly<{ kind: 'and' | 'or'; terms: readonly Expression[] }>
  | Readonly<{ kind: 'not'; of: Expression }>
  | Readonly<{ kind: 'compare'; operator: Comparison; left: Expression; right: Expression }>
  | Readonly<{ kind: 'between'; of: Expression; low: Expression; high: Expression }>
  | Readonly<{ kind: 'in'; of: Expression; list: readonly Literal[] }>
  /** `escape` '': none. */
  | Readonly<{ kind: 'like'; of: Expression; pattern: string; escape: string }>
  | Readonly<{ kind: 'is-null'; of: Expression }>
  | Readonly<{ kind: 'arithmetic'; operator: '+' | '-' | '*' | '/'; left: Expression; right: Expression }>
  | Readonly<{ kind: 'minus'; of: Expression }>
