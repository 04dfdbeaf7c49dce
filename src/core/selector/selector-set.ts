// Many selectors, one message: which of them take it. Those that ask for an equality are found by a hash look-up over the values they
// ask for, one look-up a property; only the others are asked one by one. A hot room.
import { keyOf, type Scalar, type Selectable } from './evaluate.ts'
import type { Selector } from './selector.ts'

interface Member<T> {
  readonly selector: Selector
  readonly what: T
}

export class SelectorSet<T> {
  /** Asked about every message. */
  readonly #others: Member<T>[] = []
  /** By the property's name, then by its value. */
  readonly #equalities = new Map<string, Map<Scalar, Member<T>[]>>()
  size = 0

  add(selector: Selector, what: T): void {
    this.size++
    const member = { selector, what }
    const { equality } = selector
    if (equality === undefined) {
      this.#others.push(member)
      return
    }
    let values = this.#equalities.get(equality.name)
    if (values === undefined) {
      values = new Map()
      this.#equalities.set(equality.name, values)
    }
    for (const key of equality.keys) {
      const members = values.get(key)
      if (members === undefined) values.set(key, [member])
      else members.push(member)
    }
  }

  remove(selector: Selector, what: T): void {
    const { equality } = selector
    if (equality === undefined) {
      if (without(this.#others, what)) this.size--
      return
    }
    const values = this.#equalities.get(equality.name)
    if (values === undefined) return
    let found = false
    for (const key of equality.keys) {
      const members = values.get(key)
      if (members === undefined) continue
      found = without(members, what) || found
      if (members.length === 0) values.delete(key)
    }
    if (values.size === 0) this.#equalities.delete(equality.name)
    if (found) this.size--
  }

  /** Calls `taken` for each that takes the message. */
  match(message: Selectable, taken: (what: T) => void): void {
    for (const [name, values] of this.#equalities) {
      const value = message.get(name)
      if (value === undefined) continue
      const members = values.get(hashable(value))
      if (members === undefined) continue
      for (const { selector, what } of members) if (selector.equality?.alone === true || selector.takes(message)) taken(what)
    }
    for (const { selector, what } of this.#others) if (selector.takes(message)) taken(what)
  }
}

function without<T>(members: Member<T>[], what: T): boolean {
  const at = members.findIndex((member) => member.what === what)
  if (at < 0) return false
  // Their order says nothing.
  members[at] = members[members.length - 1]
  members.pop()
  return true
}

function hashable(value: NonNullable<Scalar>): Scalar {
  return typeof value === 'string' || typeof value === 'boolean' ? value : keyOf(value)
}
