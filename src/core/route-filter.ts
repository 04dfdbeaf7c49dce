// Bindings that ask something of a message: a selector, or that it is not the subscriber's own (no-local). For one route: the queues that
// any message reaches are known, those with conditions are looked at once a message, each distinct selector once (`SelectorSet`).
// A queue gets its copy by the bindings whose conditions hold. A hot room where conditions are; elsewhere it is never entered.
import type { Binding, Via, Vias } from './bindings.ts'
import type { Queue } from './queue.ts'
import type { Selecting } from './selecting.ts'
import type { Selectable } from './selector/evaluate.ts'
import { selectorKey } from './selector/selector.ts'
import { SelectorSet } from './selector/selector-set.ts'

/** What one message reaches. */
export interface Reached {
  readonly durable: readonly Queue[]
  readonly durableVias: readonly Via[]
  readonly volatile: readonly Queue[]
  readonly volatileVias: readonly Via[]
}

/** A queue with conditions among its bindings, and those of them that hold for the message at hand. */
interface Asking {
  readonly queue: Queue
  readonly bindings: readonly Binding[]
  readonly holds: Binding[]
  /** Vias by which of up to 30 bindings hold, a bit each. */
  readonly vias: Map<number, Via>
}

const REMEMBERED_MAX = 1_024

export class RouteFilter {
  readonly #base: Reached
  readonly #vias: Vias
  /** Of equal ones one is asked. */
  readonly #selectors = new SelectorSet<(readonly [Asking, Binding])[]>()
  /** Of bindings without a selector: they hold unless the message is the subscriber's own. */
  readonly #open: (readonly [Asking, Binding])[] = []
  #touched: Asking[] = []

  /** `base`: what is reached without conditions. */
  constructor(base: Reached, asking: ReadonlyMap<Queue, readonly Binding[]>, vias: Vias, selecting: Selecting) {
    this.#base = base
    this.#vias = vias
    const byKey = new Map<string, (readonly [Asking, Binding])[]>()
    for (const [queue, bindings] of asking) {
      const one: Asking = { queue, bindings, holds: [], vias: new Map() }
      for (const binding of bindings) {
        if (binding.selector === '') {
          this.#open.push([one, binding])
          continue
        }
        const key = selectorKey(binding.selector, binding.selectorConverts)
        const same = byKey.get(key)
        const selector = same === undefined ? selecting.selectorOf(binding) : undefined
        if (same !== undefined) same.push([one, binding])
        else if (selector !== undefined) {
          const pairs = [[one, binding] as const]
          byKey.set(key, pairs)
          this.#selectors.add(selector, pairs)
        }
      }
    }
  }

  /** `origin`: who sent it. The base itself if no condition holds. */
  reached(message: Selectable, origin: string): Reached {
    const hold = ([one, binding]: readonly [Asking, Binding]): void => {
      if (binding.exceptFrom !== '' && binding.exceptFrom === origin) return
      if (one.holds.length === 0) this.#touched.push(one)
      one.holds.push(binding)
    }
    for (const pair of this.#open) hold(pair)
    this.#selectors.match(message, (pairs) => {
      for (const pair of pairs) hold(pair)
    })
    const touched = this.#touched
    if (touched.length === 0) return this.#base
    this.#touched = []
    const durable = [...this.#base.durable]
    const durableVias = [...this.#base.durableVias]
    const volatile = [...this.#base.volatile]
    const volatileVias = [...this.#base.volatileVias]
    for (const one of touched) {
      const via = this.#via(one)
      one.holds.length = 0
      if (one.queue.durable) {
        durable.push(one.queue)
        durableVias.push(via)
      } else {
        volatile.push(one.queue)
        volatileVias.push(via)
      }
    }
    return { durable, durableVias, volatile, volatileVias }
  }

  #via({ bindings, holds, vias }: Asking): Via {
    if (bindings.length > 30) return this.#vias.of(holds)
    let bits = 0
    for (const binding of holds) bits |= 1 << bindings.indexOf(binding)
    let via = vias.get(bits)
    if (via === undefined) {
      via = this.#vias.of(holds)
      if (vias.size >= REMEMBERED_MAX) vias.clear()
      vias.set(bits, via)
    }
    return via
  }
}
