// Retained messages for a new subscription: walked lazily and put on its queue in slices, as the queue drains, so that a subscription
// that matches 100,000 topics costs neither a long turn nor the memory of 100,000 entries.
import { FACT } from '../journal/facts.ts'
import type { Binding, Via } from './bindings.ts'
import { writeVia } from './cold-facts.ts'
import { ENTRY_FLAG } from './entries.ts'
import type { Live } from './live.ts'
import { EXPIRES } from './messages.ts'
import type { Queue } from './queue.ts'
import type { Selector } from './selector/selector.ts'
import type { Retained } from './state.ts'

/** Topics looked at in one turn, and entries that may wait on the queue before the walk goes on. */
const WALK_MAX = 1_000
const WAITING_MAX = 256

interface Replay {
  readonly queue: Queue
  readonly via: Via
  readonly walk: Iterator<readonly [readonly string[], Retained] | undefined>
  /** Retained messages set after the subscription came as publishes. */
  readonly before: number
  readonly selector: Selector | undefined
  /** Whose it does not want; '': anybody's. */
  readonly exceptFrom: string
  /** The next one, whose bytes are being read for the selector. */
  loading: Retained | undefined
}

export class RetainedReplays {
  readonly #live: Live
  #replays: Replay[] = []

  constructor(live: Live) {
    this.#live = live
  }

  start(binding: Binding): void {
    const { state } = this.#live
    if (state.retained.size === 0) return
    const via = state.vias.of([binding])
    const walk = state.retained.walk(binding.pattern, WALK_MAX)
    const selector = binding.selector === '' ? undefined : this.#live.selecting.selectorOf(binding)
    const replay: Replay = {
      queue: binding.queue,
      via,
      walk,
      before: state.retainedOrder,
      selector,
      exceptFrom: binding.exceptFrom,
      loading: undefined,
    }
    // The first slice goes with the binding's own commit.
    if (this.#step(replay)) this.#replays.push(replay)
  }

  /** Some walk could go on now. */
  get hungry(): boolean {
    return this.#replays.some(({ queue, loading }) => loading === undefined && queue.readyCount + queue.pending < WAITING_MAX / 2)
  }

  run(): void {
    if (this.#replays.length === 0) return
    const before = this.#replays
    this.#replays = []
    for (const replay of before) if (this.#step(replay)) this.#replays.push(replay)
  }

  /** True: there is more. */
  #step(replay: Replay): boolean {
    const live = this.#live
    const { queue, via } = replay
    if (!queue.alive) return false
    if (replay.loading !== undefined) return true
    const nowMs = live.clock.wallMs()
    while (queue.readyCount + queue.pending < WAITING_MAX) {
      const next = replay.walk.next()
      if (next.done === true) return false
      if (next.value === undefined) {
        // The walk takes a breath: go on in the next turn.
        live.wake()
        return true
      }
      const retained = next.value[1]
      if (retained.order > replay.before || (replay.exceptFrom !== '' && retained.from === replay.exceptFrom)) continue
      if (replay.selector !== undefined && !this.#takes(replay, replay.selector, retained)) {
        if (replay.loading !== undefined) return true
        continue
      }
      const expires = live.state.messages.double(retained.message, EXPIRES)
      if (expires !== 0 && expires <= nowMs) {
        live.forgetRetained(retained)
        continue
      }
      if (!this.#give(queue, via, retained)) return false
    }
    return true
  }

  /** False with `loading`: its bytes are on their way, and then it is looked at again. One that cannot be read is passed over. */
  #takes(replay: Replay, selector: Selector, retained: Retained): boolean {
    const live = this.#live
    const held = live.bodies.get(retained.message)
    if (held !== undefined) return selector.takes(live.selecting.view(held.message))
    replay.loading = retained
    live.bodies.load(retained.message, (read) => {
      if (live.lost !== undefined) return
      replay.loading = undefined
      // Replaced or forgotten meanwhile: the row may be another message's.
      const same = live.state.retained.get(retained.address.path) === retained
      if (read && same && replay.queue.alive && this.#takes(replay, selector, retained)) this.#give(replay.queue, replay.via, retained)
      live.wake()
    })
    return false
  }

  #give(queue: Queue, via: Via, retained: Retained): boolean {
    const live = this.#live
    if (!queue.durable || !retained.durable) {
      live.state.addEntry(queue, retained.message, via, ENTRY_FLAG.retained)
      return true
    }
    if (!via.recorded && !live.facts.admit(FACT.via, writeVia(live.facts.writer.reset(), via), 'publish')) return false
    if (!live.facts.writeSequence(queue, 'publish')) return false
    return live.facts.admit(FACT.retainedCopy, live.facts.writer.reset().u32(queue.number).u32(via.number).raw(retained.address.encoded), 'publish')
  }
}
