// Consumers of every queue whose name matches a pattern: those that exist, and those made later. Each pair of such a consumer and a queue is a
// seat like any other; a name that matches costs what a seat costs, so their number has a limit. Not the patterns of topics, which are bindings.
import type { Pattern } from '../api.ts'
import { CodedError } from '../errors.ts'
import type { CoreConsumer } from './consumer.ts'
import type { Live } from './live.ts'
import { PatternTree } from './pattern-tree.ts'
import type { Queue } from './queue.ts'
import { selectorBeyond } from './selecting.ts'
import { covers, isOfSeveral } from './virtual-topics.ts'

/** Queues looked at in one turn when a consumer comes. */
const LOOK_MAX = 1_000

export class Wildcards {
  readonly #live: Live
  readonly #patterns = new PatternTree<CoreConsumer>()
  readonly #looking = new Set<CoreConsumer>()
  #seats = 0

  constructor(live: Live) {
    this.#live = live
  }

  add(consumer: CoreConsumer, pattern: Pattern): void {
    consumer.pattern = pattern
    this.#patterns.add(pattern, consumer)
    const matcher = new PatternTree<CoreConsumer>()
    matcher.add(pattern, consumer)
    this.#look(consumer, matcher, 0)
  }

  remove(consumer: CoreConsumer): void {
    if (consumer.pattern !== undefined) this.#patterns.remove(consumer.pattern, consumer)
  }

  /** The consumer has not seen all queues yet. */
  isLooking(consumer: CoreConsumer): boolean {
    return this.#looking.has(consumer)
  }

  /** A consumer of a pattern has left a queue. */
  left(): void {
    this.#seats--
  }

  /** A queue was made. */
  queueMade(queue: Queue): void {
    if (this.#patterns.size === 0 || !isNamed(queue)) return
    const consumers: CoreConsumer[] = []
    this.#patterns.match(queue.address.path, (consumer) => void consumers.push(consumer))
    for (const consumer of consumers) this.#join(consumer, queue)
  }

  /** What exists, in slices: names may be many. Queues made meanwhile come by `queueMade`. */
  #look(consumer: CoreConsumer, matcher: PatternTree<CoreConsumer>, from: number): void {
    const { queues } = this.#live.state
    const to = Math.min(queues.length, from + LOOK_MAX)
    for (let slot = from; slot < to && !consumer.over; slot++) {
      const queue = queues[slot]
      if (queue !== undefined && isNamed(queue)) matcher.match(queue.address.path, () => this.#join(consumer, queue))
    }
    if (to === queues.length || consumer.over) {
      this.#looking.delete(consumer)
      this.#live.wake()
      return
    }
    this.#looking.add(consumer)
    this.#live.clock.turn(() => {
      if (this.#live.lost === undefined) this.#look(consumer, matcher, to)
    })
  }

  #join(consumer: CoreConsumer, queue: Queue): void {
    if (consumer.over || consumer.seatAt(queue) !== undefined || isAlone(queue)) return
    // The name of a queue of several topics is matched as the pattern that it is, and not as words.
    if (consumer.pattern !== undefined && isOfSeveral(queue.address) && !covers(consumer.pattern, queue.address.path)) return
    const { wildcardQueues } = this.#live.settings.limits
    if (this.#seats >= wildcardQueues) {
      // Told, not left out: a consumer that silently lacks a queue would be worse.
      consumer.session.endConsumer(
        consumer,
        new CodedError('limit', `limits.wildcardQueues (${wildcardQueues}) is reached: its pattern matches too many queues`),
      )
      return
    }
    const tooMuch = selectorBeyond(consumer, queue, this.#live.settings.limits)
    if (tooMuch !== undefined) {
      consumer.session.endConsumer(consumer, tooMuch)
      return
    }
    this.#seats++
    this.#live.dispatch.attach(consumer, queue)
  }
}

/** One that clients name: not a front end's own, and not a temporary one, which is its owner's. */
function isNamed({ address, lifetime }: Queue): boolean {
  return address.namespace === '' && address.kind === 'queue' && lifetime === 'permanent'
}

/** Its consumer refuses others. */
function isAlone(queue: Queue): boolean {
  return queue.seats !== undefined && queue.seats.length > 0 && queue.seats[0].consumer.exclusive === 'refuse'
}
