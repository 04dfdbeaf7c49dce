// One value per exact path: the retained message of each topic. Found by a pattern, lazily: 100,000 matching topics are
// walked in slices over many turns while others set and delete. Not the bindings, which are found the other way round: pattern-tree.ts.
import type { Pattern } from '../api.ts'

/** `Value` is anything but undefined. */
export class TopicTree<Value extends NonNullable<unknown>> {
  readonly #root = new Node<Value>(undefined, '', 0)
  #size = 0
  #births = 0

  get size(): number {
    return this.#size
  }

  get(path: readonly string[]): Value | undefined {
    return this.#find(path)?.value
  }

  /** Answers what was there before. */
  set(path: readonly string[], value: Value): Value | undefined {
    let node = this.#root
    for (const segment of path) {
      node.children ??= new Map()
      let next = node.children.get(segment)
      if (next === undefined) {
        next = new Node(node, segment, ++this.#births)
        node.children.set(segment, next)
      }
      node = next
    }
    const before = node.value
    if (before === undefined) this.#size++
    node.value = value
    return before
  }

  /** Answers what was there. */
  delete(path: readonly string[]): Value | undefined {
    let node = this.#find(path)
    const before = node?.value
    if (node === undefined || before === undefined) return undefined
    node.value = undefined
    this.#size--
    while (node.parent !== undefined && node.value === undefined && node.children === undefined) {
      const parent: Node<Value> = node.parent
      parent.children?.delete(node.segment)
      if (parent.children?.size === 0) parent.children = undefined
      node = parent
    }
    return before
  }

  /**
   * Path and value of each topic that the pattern matches. May be left and taken up again whatever happened meanwhile: a topic that is
   * there all the time is told once, one that comes or goes meanwhile at most once, and the walk ends however many come.
   */
  *match(pattern: Pattern): Generator<readonly [path: readonly string[], value: Value], void, void> {
    for (const found of this.walk(pattern, Number.POSITIVE_INFINITY)) if (found !== undefined) yield found
  }

  /** As `match`, and yields undefined after each `breath` topics that it looked at in vain, so that a rare pattern among a million topics holds nobody up. */
  *walk(pattern: Pattern, breath: number): Generator<readonly [path: readonly string[], value: Value] | undefined, void, void> {
    // What was born after the walk began is left out: else a topic deleted and set again and again would be told without end.
    const newest = this.#births
    const way: Step<Value>[] = [step(this.#root, 0, pattern)]
    const path: string[] = []
    let vain = 0
    while (way.length > 0) {
      const at = way.at(-1)
      if (at === undefined) return
      if (!at.told) {
        at.told = true
        const value = at.node.value
        if (at.ends && value !== undefined) {
          vain = 0
          yield [path.slice(), value]
        } else if (++vain >= breath) {
          vain = 0
          yield undefined
        }
      }
      const next = below(at, pattern)
      if (next === undefined) {
        way.pop()
        path.pop()
      } else if (next.born <= newest && !(at.depth === 0 && at.wild && next.segment.charCodeAt(0) === DOLLAR)) {
        path.push(next.segment)
        way.push(step(next, at.rest ? at.depth : at.depth + 1, pattern, at.rest))
      }
    }
  }

  /** What a pattern of one `rest` leaves out: topics whose first segment begins with `$`. */
  *hidden(): Generator<readonly [path: readonly string[], value: Value], void, void> {
    for (const segment of this.#root.children?.keys() ?? []) if (segment.charCodeAt(0) === DOLLAR) yield* this.match([segment, { wild: 'rest' }])
  }

  #find(path: readonly string[]): Node<Value> | undefined {
    let node: Node<Value> | undefined = this.#root
    for (const segment of path) {
      node = node.children?.get(segment)
      if (node === undefined) return undefined
    }
    return node
  }
}

const DOLLAR = 0x24

class Node<Value> {
  readonly parent: Node<Value> | undefined
  readonly segment: string
  readonly born: number
  children: Map<string, Node<Value>> | undefined = undefined
  value: Value | undefined = undefined

  constructor(parent: Node<Value> | undefined, segment: string, born: number) {
    this.parent = parent
    this.segment = segment
    this.born = born
  }
}

/** Where a walk stands at one level. */
interface Step<Value> {
  readonly node: Node<Value>
  /** How much of the pattern the path to this node used. */
  readonly depth: number
  /** Everything below matches. */
  readonly rest: boolean
  /** The next segment is a wildcard. */
  readonly wild: boolean
  /** The pattern may end here. */
  readonly ends: boolean
  told: boolean
  /** Undefined until the walk goes below. A Map's iterator bears changes while it is suspended. */
  children: Iterator<Node<Value>> | undefined
}

function step<Value>(node: Node<Value>, depth: number, pattern: Pattern, inRest = false): Step<Value> {
  const part = inRest ? undefined : pattern[depth]
  const wild = inRest || (part !== undefined && typeof part !== 'string')
  const rest = inRest || (part !== undefined && typeof part !== 'string' && part.wild === 'rest')
  return { node, depth: inRest ? depth + 1 : depth, rest, wild, ends: rest || depth >= pattern.length, told: false, children: undefined }
}

function below<Value>(at: Step<Value>, pattern: Pattern): Node<Value> | undefined {
  if (at.children === undefined) {
    const part = at.rest ? undefined : pattern[at.depth]
    if (typeof part === 'string') {
      const child = at.node.children?.get(part)
      at.children = (child === undefined ? [] : [child]).values()
    } else if (at.wild && at.node.children !== undefined) {
      at.children = at.node.children.values()
    } else {
      return undefined
    }
  }
  const next = at.children.next()
  return next.done === true ? undefined : next.value
}
