// Bindings by pattern: which values are stored under a pattern that matches a path. A hot room: `match` runs once per
// publish to a topic and allocates nothing. Not the retained messages, which are found the other way round: topic-tree.ts.
//
//   root ── children: literal segment → node      a path walks down; where a node has both the literal and `one`,
//        ── one:      the node below `one`        the second way waits on a stack.
//        ── rest:     values of `…/rest`          Walks are loops, because a path may have 65,535 segments.
import type { Pattern } from '../api.ts'

/** Values by pattern; a value is stored at most once under one pattern. `Value` is anything but null and undefined. */
export class PatternTree<Value extends NonNullable<unknown>> {
  readonly #root: Node<Value> = new Node<Value>()
  readonly #ways: Node<Value>[] = []
  readonly #depths: number[] = []
  #size = 0

  /** Pairs of pattern and value. */
  get size(): number {
    return this.#size
  }

  /** False: it was there already. */
  add(pattern: Pattern, value: Value): boolean {
    let node = this.#root
    let bag: Bag<Value> | undefined
    for (const segment of pattern) {
      if (bag !== undefined) throw new Error('`rest` is last in a pattern')
      if (typeof segment === 'string') {
        node.children ??= new Map()
        let next = node.children.get(segment)
        if (next === undefined) {
          next = new Node()
          node.children.set(segment, next)
        }
        node = next
      } else if (segment.wild === 'one') {
        node.one ??= new Node()
        node = node.one
      } else {
        node.rest ??= new Bag()
        bag = node.rest
      }
    }
    if (bag === undefined) {
      node.here ??= new Bag()
      bag = node.here
    }
    if (!bag.add(value)) return false
    this.#size++
    return true
  }

  /** False: it was not there. */
  remove(pattern: Pattern, value: Value): boolean {
    const way: Node<Value>[] = [this.#root]
    let node = this.#root
    let rest = false
    for (const segment of pattern) {
      if (rest) return false
      if (typeof segment !== 'string' && segment.wild === 'rest') {
        rest = true
        continue
      }
      const next = typeof segment === 'string' ? node.children?.get(segment) : node.one
      if (next === undefined) return false
      node = next
      way.push(next)
    }
    const bag = rest ? node.rest : node.here
    if (bag === undefined || !bag.remove(value)) return false
    this.#size--
    if (bag.empty) {
      if (rest) node.rest = undefined
      else node.here = undefined
      prune(pattern, way)
    }
    return true
  }

  /** Calls `each` once per value under each matching pattern, in no particular order. `each` may match again, and must not change the tree. */
  match(path: readonly string[], each: (value: Value) => void): void {
    const hidden = path.length > 0 && path[0]?.charCodeAt(0) === DOLLAR
    const base = this.#ways.length
    this.#ways.push(this.#root)
    this.#depths.push(0)
    try {
      while (this.#ways.length > base) {
        const node = this.#ways.pop()
        const depth = this.#depths.pop()
        if (node === undefined || depth === undefined) break
        this.#descend(node, depth, path, hidden, each)
      }
    } finally {
      // An `each` that threw leaves its ways behind.
      this.#ways.length = base
      this.#depths.length = base
    }
  }

  #descend(from: Node<Value>, fromDepth: number, path: readonly string[], hidden: boolean, each: (value: Value) => void): void {
    let node: Node<Value> | undefined = from
    for (let depth = fromDepth; node !== undefined; depth++) {
      const wild = depth > 0 || !hidden
      if (wild && node.rest !== undefined) node.rest.each(each)
      if (depth === path.length) {
        if (node.here !== undefined) node.here.each(each)
        return
      }
      const segment = path[depth]
      const next: Node<Value> | undefined = segment === undefined ? undefined : node.children?.get(segment)
      const one: Node<Value> | undefined = wild ? node.one : undefined
      if (next !== undefined && one !== undefined) {
        this.#ways.push(one)
        this.#depths.push(depth + 1)
      }
      node = next ?? one
    }
  }
}

const DOLLAR = 0x24

class Node<Value> {
  children: Map<string, Node<Value>> | undefined = undefined
  one: Node<Value> | undefined = undefined
  /** Values of the pattern that ends here. */
  here: Bag<Value> | undefined = undefined
  /** Values of the pattern that goes on with `rest`. */
  rest: Bag<Value> | undefined = undefined
}

/** Most patterns have one value: a set is made for the second. */
class Bag<Value> {
  #only: Value | undefined = undefined
  #many: Set<Value> | undefined = undefined

  get empty(): boolean {
    return this.#only === undefined && this.#many === undefined
  }

  add(value: Value): boolean {
    if (this.#many !== undefined) {
      if (this.#many.has(value)) return false
      this.#many.add(value)
      return true
    }
    if (this.#only === undefined) {
      this.#only = value
      return true
    }
    if (this.#only === value) return false
    this.#many = new Set([this.#only, value])
    this.#only = undefined
    return true
  }

  remove(value: Value): boolean {
    if (this.#many !== undefined) {
      if (!this.#many.delete(value)) return false
      if (this.#many.size === 0) this.#many = undefined
      return true
    }
    if (this.#only === undefined || this.#only !== value) return false
    this.#only = undefined
    return true
  }

  each(run: (value: Value) => void): void {
    if (this.#only !== undefined) run(this.#only)
    else if (this.#many !== undefined) for (const value of this.#many) run(value)
  }
}

/** Takes away nodes that hold nothing, from the end of the way upwards. */
function prune<Value>(pattern: Pattern, way: readonly Node<Value>[]): void {
  for (let i = way.length - 1; i > 0; i--) {
    const node = way[i]
    const parent = way[i - 1]
    if (node === undefined || parent === undefined) return
    if (node.here !== undefined || node.rest !== undefined || node.one !== undefined || node.children !== undefined) return
    const segment = pattern[i - 1]
    if (typeof segment === 'string') {
      parent.children?.delete(segment)
      if (parent.children?.size === 0) parent.children = undefined
    } else {
      parent.one = undefined
    }
  }
}
