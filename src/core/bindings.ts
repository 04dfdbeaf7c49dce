// Bindings, and what is interned of them: the answer to "which tags, settled how" (a *via*) and to "which queues" (a *set*).
// A message on 100,000 queues names one set; an entry names one via.
import type { Binding as BindingSpec, Pattern } from '../api.ts'
import { type CoreAddress, patternKey } from './addresses.ts'
import type { Queue } from './queue.ts'

/** What a fact tells of a binding, but for its queue. */
export type BindingFields = Pick<BindingSpec, 'pattern' | 'tag' | 'settle' | 'absent'> &
  Readonly<{ label: number; selector: string; selectorConverts: boolean; exceptFrom: string }>

/** A pattern on topics bound to a queue. */
export class Binding {
  readonly key: string
  readonly pattern: Pattern
  readonly queue: Queue
  readonly tag: number
  readonly label: number
  readonly settle: BindingSpec['settle']
  readonly absent: BindingSpec['absent']
  /** '': none. */
  readonly selector: string
  readonly selectorConverts: boolean
  /** Whose messages it does not take (`originOf`); '': anybody's are taken. */
  readonly exceptFrom: string

  constructor(spec: BindingFields, queue: Queue) {
    this.key = patternKey(spec.pattern)
    this.pattern = spec.pattern
    this.queue = queue
    this.tag = spec.tag
    this.label = spec.label
    this.settle = spec.settle
    this.absent = spec.absent
    this.selector = spec.selector
    this.selectorConverts = spec.selectorConverts
    this.exceptFrom = spec.exceptFrom
  }

  /** It does not take every message of its topics. */
  get asks(): boolean {
    return this.selector !== '' || this.exceptFrom !== ''
  }
}

/** How a message came to a queue: the tags of the bindings that matched, and the strongest of what they ask for. */
export interface Via {
  readonly number: number
  readonly tags: readonly number[]
  readonly settle: BindingSpec['settle']
  readonly absent: BindingSpec['absent']
  /** The topic it came through, where that is not the one that the message names. */
  readonly to: CoreAddress | undefined
  /** A fact has told of it (number 0 needs none). */
  recorded: boolean
}

/** Sent to the queue itself. */
export const DIRECT: Via = { number: 0, tags: [], settle: 'unsettled', absent: 'keep', to: undefined, recorded: true }

export const SETTLE_ORDER: readonly BindingSpec['settle'][] = ['settled', 'if-durable', 'unsettled']

/** Vias by number and by content. */
export class Vias {
  readonly byNumber: Via[] = [DIRECT]
  readonly #byKey = new Map<string, Via>()
  /** Those with a topic of their own. */
  #named = 0

  /** The via of these bindings, all of one queue. */
  of(bindings: readonly Binding[]): Via {
    let settle = 0
    let keep = false
    const tags: number[] = []
    for (const binding of bindings) {
      settle = Math.max(settle, SETTLE_ORDER.indexOf(binding.settle))
      keep ||= binding.absent === 'keep'
      if (!tags.includes(binding.tag)) tags.push(binding.tag)
    }
    tags.sort((a, b) => a - b)
    return this.intern(SETTLE_ORDER[settle], keep ? 'keep' : 'drop', tags)
  }

  intern(settle: Via['settle'], absent: Via['absent'], tags: readonly number[], to?: CoreAddress): Via {
    return this.#byKey.get(keyOf(settle, absent, tags, to)) ?? this.restore(this.byNumber.length, settle, absent, tags, to)
  }

  /** This via, through this topic. Undefined: it is new, and there are `max` such already: they are kept for good. */
  named(via: Via, to: CoreAddress, max: number): Via | undefined {
    const known = this.#byKey.get(keyOf(via.settle, via.absent, via.tags, to))
    return known ?? (this.#named >= max ? undefined : this.intern(via.settle, via.absent, via.tags, to))
  }

  /** As a fact has told of it. */
  restore(number: number, settle: Via['settle'], absent: Via['absent'], tags: readonly number[], to?: CoreAddress): Via {
    const via: Via = { number, tags, settle, absent, to, recorded: false }
    if (to !== undefined) this.#named++
    this.#byKey.set(keyOf(settle, absent, tags, to), via)
    this.byNumber[number] = via
    return via
  }
}

function keyOf(settle: Via['settle'], absent: Via['absent'], tags: readonly number[], to: CoreAddress | undefined): string {
  const key = `${settle} ${absent} ${tags.join(',')}`
  return to === undefined ? key : `${key} ${to.key}`
}

/** Durable queues that one message goes to, each by its via. Told of by a fact when first used. */
export class RouteSet {
  readonly number: number
  readonly queues: Queue[]
  readonly vias: Via[]
  /** Messages that name it. */
  messages = 0

  constructor(number: number, queues: Queue[], vias: Via[]) {
    this.number = number
    this.queues = queues
    this.vias = vias
  }

  /** Without these queues, by number. */
  leaveOut(numbers: ReadonlySet<number>): void {
    if (numbers.size === 0) return
    let kept = 0
    for (let i = 0; i < this.queues.length; i++) {
      if (numbers.has(this.queues[i].number)) continue
      this.queues[kept] = this.queues[i]
      this.vias[kept++] = this.vias[i]
    }
    this.queues.length = kept
    this.vias.length = kept
  }
}

/** Sets by number, and by content while they are of use. */
export class RouteSets {
  readonly byNumber = new Map<number, RouteSet>()
  readonly #byHash = new Map<number, RouteSet[]>()
  next = 1
  /** Queues in all sets together. */
  members = 0

  /** The set with just this content, if there is one. */
  find(queues: readonly Queue[], vias: readonly Via[]): RouteSet | undefined {
    return this.#byHash.get(hashOf(queues, vias))?.find((set) => same(set, queues, vias))
  }

  add(set: RouteSet): void {
    this.byNumber.set(set.number, set)
    this.next = Math.max(this.next, set.number + 1)
  }

  /** To be called when its content is complete. */
  index(set: RouteSet): void {
    this.members += set.queues.length
    const hash = hashOf(set.queues, set.vias)
    const others = this.#byHash.get(hash)
    if (others === undefined) this.#byHash.set(hash, [set])
    else if (!others.includes(set)) others.push(set)
  }

  remove(set: RouteSet): void {
    if (!this.byNumber.delete(set.number)) return
    this.members -= set.queues.length
    const hash = hashOf(set.queues, set.vias)
    const others = this.#byHash.get(hash)?.filter((other) => other !== set)
    if (others === undefined || others.length === 0) this.#byHash.delete(hash)
    else this.#byHash.set(hash, others)
  }
}

function same(set: RouteSet, queues: readonly Queue[], vias: readonly Via[]): boolean {
  if (set.queues.length !== queues.length) return false
  for (let i = 0; i < queues.length; i++) if (set.queues[i] !== queues[i] || set.vias[i] !== vias[i]) return false
  return true
}

function hashOf(queues: readonly Queue[], vias: readonly Via[]): number {
  let hash = queues.length
  for (let i = 0; i < queues.length; i++) hash = Math.imul(hash ^ queues[i].number, 0x9e3779b1) + vias[i].number
  return hash | 0
}
