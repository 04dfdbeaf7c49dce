// Messages that their owner moves from queue to queue, and dead letters that go back to where they died: in slices, each message in one fact,
// so that a crash at any instant leaves it on exactly one of the two. What is in a consumer's hands or waits for its time stays.
import { CodedError } from '../errors.ts'
import { FACT } from '../journal/facts.ts'
import { CoreAddress, own } from './addresses.ts'
import type { Via } from './bindings.ts'
import { writeVia } from './cold-facts.ts'
import { DEAD, ENTRY_FLAG, FLAGS, MESSAGE, SEQUENCE } from './entries.ts'
import { LENGTH } from './messages.ts'
import type { Live } from './live.ts'
import type { Queue } from './queue.ts'
import { EVENT, REASON } from './recorder.ts'
import { noQueue } from './refusals.ts'
import { noTemporary } from './temporary.ts'
import { inOrder } from './walk.ts'

/** Entries looked at in one turn. */
const VISITS_MAX = 200
/** Moved before what was moved so far is waited for: the journal would take facts faster than a disk does. */
const UNCOMMITTED_MAX = 10_000
/** Targets of a redrive that are told apart in its answer. */
const TOLD_MAX = 1_000

export type Moved = Readonly<{
  moved: number
  /** By name of the queue they went to. */
  to: Readonly<Record<string, number>>
  /** Looked at and left: no dead letter, or its queue is gone. Only of a redrive. */
  left: number
}>

/** `to` undefined: each dead letter to the queue it came from. Ends when it is committed. */
export async function move(live: Live, from: Queue, to: CoreAddress | undefined, countMax: number): Promise<Moved> {
  if (to !== undefined && to.key === from.address.key) throw new CodedError('invalid', 'A queue cannot be moved to itself.')
  const moving = new Moving(live, from, to)
  const walk = inOrder(live.state.entries, from, false)
  const until = from.next
  let committed = 0
  try {
    while (walk.row !== 0 && moving.moved < countMax && from.alive) {
      if (live.lost !== undefined) throw live.lost
      for (let left = VISITS_MAX; left > 0 && walk.row !== 0 && moving.moved < countMax; left--) {
        const { row } = walk
        walk.advance()
        if (live.state.entries.double(row, SEQUENCE) < until) moving.take(row)
      }
      if (moving.moved - committed >= UNCOMMITTED_MAX) {
        live.journal.urge()
        await live.journal.drained()
        committed = moving.moved
      } else await new Promise<void>((resolve) => live.clock.turn(resolve))
    }
  } finally {
    walk.end()
    if (live.lost === undefined) {
      live.facts.flushGone()
      live.journal.urge()
    }
  }
  await live.journal.drained()
  return moving.answer
}

class Moving {
  moved = 0
  #left = 0
  readonly #live: Live
  readonly #from: Queue
  readonly #to: CoreAddress | undefined
  readonly #counts = new Map<string, number>()

  constructor(live: Live, from: Queue, to: CoreAddress | undefined) {
    this.#live = live
    this.#from = from
    this.#to = to
  }

  get answer(): Moved {
    return { moved: this.moved, to: Object.fromEntries(this.#counts), left: this.#left }
  }

  /** Moves one entry, or leaves it where it is. Throws `full` when there is no room. */
  take(row: number): void {
    const live = this.#live
    const { entries } = live.state
    const address = this.#to ?? live.state.dead[entries.get(row, DEAD)]?.origin
    const target = address === undefined ? undefined : this.#target(address)
    if (target === undefined || target === this.#from) {
      this.#left++
      return
    }
    const via = this.#via(target)
    if (!via.recorded && !live.facts.admit(FACT.via, writeVia(live.facts.writer.reset(), via), 'publish')) throw this.#full('The journal is full')
    const bytes = live.state.messages.get(entries.get(row, MESSAGE), LENGTH)
    if (target.isFull(bytes)) throw this.#full(`Queue ${target.address.path.join('.')} is full`)
    if ((entries.get(row, FLAGS) & ENTRY_FLAG.durable) === 0) this.#moveVolatile(row, target, via)
    else if (!this.#moveDurable(row, target, via)) throw this.#full('The journal is full')
    this.moved++
    const name = target.address.path.join('.')
    if (this.#counts.has(name) || this.#counts.size < TOLD_MAX) this.#counts.set(name, (this.#counts.get(name) ?? 0) + 1)
  }

  #full(what: string): CodedError {
    return new CodedError('full', `${what}: ${this.moved} messages were moved, the others stayed.`)
  }

  /** Made if it is not there, unless it is temporary or one of a front end's own: those only their sessions make. */
  #target(address: CoreAddress): Queue | undefined {
    const live = this.#live
    const known = live.findQueue(address)
    if (known !== undefined) return known.durable && address.kind === 'queue' ? known : this.#refuse('it is not durable')
    if (address.temporary && this.#to !== undefined) throw noTemporary(address)
    if (address.temporary || address.namespace !== '' || address.kind !== 'queue') return undefined
    if (live.state.queueByNumber.size >= live.settings.limits.queues) throw this.#full(`limits.queues (${live.settings.limits.queues}) queues exist`)
    const made = live.makeQueue(address, { durable: true, lifetime: 'permanent' }, 'publish')
    if (made === undefined) throw this.#full('The journal is full')
    return made
  }

  #refuse(why: string): undefined {
    if (this.#to !== undefined) throw new CodedError('invalid', `Nothing can be moved to queue ${this.#to.path.join('.')}: ${why}.`)
    return undefined
  }

  /** What goes back to a queue that topics reach is told by the names it was sent to, and as its subscription wants it; anything else was sent to the queue. */
  #via({ bindings }: Queue): Via {
    const { vias } = this.#live.state
    return this.#to !== undefined || bindings === undefined || bindings.size === 0 ? vias.byNumber[0] : vias.of([...bindings.values()])
  }

  #moveDurable(row: number, target: Queue, via: Via): boolean {
    const live = this.#live
    const from = this.#from
    const sequence = live.state.entries.double(row, SEQUENCE)
    if (!live.facts.writeSequence(target, 'publish')) return false
    // It is no dead letter there.
    const fact = live.facts.writer.reset().u32(from.number).f64(sequence).u32(target.number).u8(0).u32(via.number)
    if (!live.facts.admit(FACT.moved, fact, 'publish')) return false
    live.recorder.note(EVENT.moved, from.number, sequence, REASON.none, target.number)
    return true
  }

  #moveVolatile(row: number, target: Queue, via: Via): void {
    const { state, recorder } = this.#live
    const { entries } = state
    recorder.note(EVENT.moved, this.#from.number, entries.double(row, SEQUENCE), REASON.none, target.number)
    state.addEntry(target, entries.get(row, MESSAGE), via, 0)
    state.removeEntry(this.#from, row)
  }
}

/** The queue of this name; throws `not-found`. */
export function queueNamed(live: Live, path: readonly string[]): Queue {
  const queue = live.findQueue(own(new CoreAddress('queue', path, '')))
  if (queue === undefined) throw noQueue(path)
  return queue
}
