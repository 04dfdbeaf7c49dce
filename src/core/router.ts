// From a topic to queues. A route is worked out once for each address and kept on it until a binding or queue changes.
import { FACT } from '../journal/facts.ts'
import type { CoreAddress } from './addresses.ts'
import type { Binding, RouteSet, Via } from './bindings.ts'
import { writeVia } from './cold-facts.ts'
import type { Live } from './live.ts'
import type { Queue } from './queue.ts'
import { RouteFilter } from './route-filter.ts'

/** Queues that a topic's messages go to now. */
export interface Route {
  readonly version: number
  readonly durable: readonly Queue[]
  readonly durableVias: readonly Via[]
  readonly volatile: readonly Queue[]
  readonly volatileVias: readonly Via[]
  /** Some queue has a limit. */
  readonly limited: boolean
  /** Names `durable` in facts; made when first needed. */
  set: RouteSet | undefined
  /** Named the durable queues of an earlier version: the next set is told by what changed. It is not this route's. */
  readonly like: RouteSet | undefined
  /** Some bindings have conditions: what is above is reached by every message, and this says what else by one. */
  readonly filter: RouteFilter | undefined
}

/** Pairs of queue and via in one set fact: what fits well below the largest fact. */
const PAIRS_MAX = 20_000
/** Sets that no message names are forgotten when so many more exist than after the last sweep, or so many more members of sets. */
const IDLE_SETS_MAX = 4_096
const IDLE_MEMBERS_MAX = 1_000_000

const SINGLE: Binding[] = []

export class Router {
  readonly #live: Live
  #setsAtSweep = 0
  #membersAtSweep = 0

  constructor(live: Live) {
    this.#live = live
  }

  route(address: CoreAddress): Route {
    const known = address.route
    if (known !== undefined && known.version === this.#live.state.version) return known
    const route = this.#work(address, known)
    address.route = route
    return route
  }

  /** The set that names these durable queues, told of by facts if it is new. Undefined: the journal is full. */
  setOf(queues: readonly Queue[], vias: readonly Via[], like: RouteSet | undefined): RouteSet | undefined {
    const { sets } = this.#live.state
    return sets.find(queues, vias) ?? this.#define(queues, vias, like)
  }

  /** The set of a route, or undefined when the journal is full. */
  ensureSet(route: Route): RouteSet | undefined {
    const { set } = route
    if (set !== undefined && this.#live.state.sets.byNumber.get(set.number) === set) return set
    route.set = this.setOf(route.durable, route.durableVias, route.like)
    return route.set
  }

  #work(address: CoreAddress, earlier: Route | undefined): Route {
    const { patterns, vias, version } = this.#live.state
    const byQueue = new Map<Queue, Binding | Binding[]>()
    patterns.match(address.path, (binding) => {
      const known = byQueue.get(binding.queue)
      if (known === undefined) byQueue.set(binding.queue, binding)
      else if (Array.isArray(known)) known.push(binding)
      else byQueue.set(binding.queue, [known, binding])
    })
    this.#live.virtualPatterns.leaveToOwn(byQueue)
    const durable: Queue[] = []
    const durableVias: Via[] = []
    const volatile: Queue[] = []
    const volatileVias: Via[] = []
    let limited = false
    let asking: Map<Queue, readonly Binding[]> | undefined
    for (const [queue, bindings] of byQueue) {
      limited ||= queue.policy.limitMessages !== 0 || queue.policy.limitBytes !== 0
      if (Array.isArray(bindings) ? bindings.some(({ asks }) => asks) : bindings.asks) {
        asking ??= new Map()
        asking.set(queue, Array.isArray(bindings) ? bindings : [bindings])
        continue
      }
      SINGLE[0] = Array.isArray(bindings) ? bindings[0] : bindings
      const via = vias.of(Array.isArray(bindings) ? bindings : SINGLE)
      if (queue.durable) {
        durable.push(queue)
        durableVias.push(via)
      } else {
        volatile.push(queue)
        volatileVias.push(via)
      }
    }
    const base = { durable, durableVias, volatile, volatileVias }
    const filter = asking === undefined ? undefined : new RouteFilter(base, asking, vias, this.#live.selecting)
    return { version, ...base, limited, set: undefined, like: earlier?.set ?? earlier?.like, filter }
  }

  #define(queues: readonly Queue[], vias: readonly Via[], like: RouteSet | undefined): RouteSet | undefined {
    const live = this.#live
    const { sets } = live.state
    this.#sweep(like)
    for (const via of vias) if (!via.recorded && !live.facts.admit(FACT.via, writeVia(live.facts.writer.reset(), via), 'publish')) return undefined
    const number = sets.next
    const base = like !== undefined && sets.byNumber.get(like.number) === like ? like : undefined
    const { added, removed } = difference(base, queues, vias)
    const useBase = base !== undefined && added.length + removed.length < queues.length / 2 && removed.length <= PAIRS_MAX
    const pairs = useBase ? added : queues.map((_, i) => i)
    const gone = useBase ? removed : []
    let at = 0
    do {
      const part = pairs.slice(at, at + PAIRS_MAX)
      const writer = live.facts.writer
        .reset()
        .u32(number)
        .u32(at === 0 && useBase && base !== undefined ? base.number : 0)
        .u32(part.length)
      for (const i of part) writer.u32(queues[i].number).u32(vias[i].number)
      const removing = at === 0 ? gone : []
      writer.u32(removing.length)
      for (const queue of removing) writer.u32(queue.number)
      if (!live.facts.admit(FACT.set, writer, 'publish')) return undefined
      at += PAIRS_MAX
    } while (at < pairs.length)
    const set = sets.byNumber.get(number)
    if (set !== undefined) sets.index(set)
    return set
  }

  /** Forgets sets that nothing names, once there are many. */
  #sweep(wanted: RouteSet | undefined): void {
    const live = this.#live
    const { sets } = live.state
    if (sets.byNumber.size < this.#setsAtSweep + IDLE_SETS_MAX && sets.members < this.#membersAtSweep + IDLE_MEMBERS_MAX) return
    for (const set of [...sets.byNumber.values()])
      if (set.messages === 0 && set !== wanted) live.facts.admit(FACT.setGone, live.facts.writer.reset().u32(set.number), 'drain')
    this.#setsAtSweep = sets.byNumber.size
    this.#membersAtSweep = sets.members
  }
}

/** Indices of what `queues` has and the base has not, and the base's queues that must go. */
function difference(base: RouteSet | undefined, queues: readonly Queue[], vias: readonly Via[]): { added: number[]; removed: Queue[] } {
  if (base === undefined) return { added: [], removed: [] }
  const before = new Map<Queue, Via>()
  for (let i = 0; i < base.queues.length; i++) before.set(base.queues[i], base.vias[i])
  const added: number[] = []
  const removed: Queue[] = []
  for (let i = 0; i < queues.length; i++) {
    const via = before.get(queues[i])
    if (via !== vias[i]) {
      added.push(i)
      // A changed via is the queue taken out and put in again; apply takes out last, so a base with a changed via is not used.
      if (via !== undefined) return { added: queues.map((_, index) => index), removed: base.queues }
    }
    before.delete(queues[i])
  }
  for (const queue of before.keys()) removed.push(queue)
  return { added, removed }
}
