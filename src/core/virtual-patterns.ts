// The queues of several topics (virtual-topics.ts), found by what their names match: which of them leave a topic to a queue beside them, and how many
// an application may have. Costs nothing while there are none.
//
// Of an application's queues whose wildcards stand in the same places (`a.*.>` and `b.*.>`) one topic reaches one, so that the number of such
// arrangements bounds what each queue on a topic's route is compared with, whatever names clients use.
import type { Pattern } from '../api.ts'
import type { DestinationSettings, Limits } from '../config/settings.ts'
import { CodedError } from '../errors.ts'
import type { CoreAddress } from './addresses.ts'
import { PatternTree } from './pattern-tree.ts'
import type { Queue } from './queue.ts'
import { isOfSeveral, toPattern, virtualTopicOf } from './virtual-topics.ts'

export class VirtualPatterns {
  readonly #destinations: DestinationSettings
  readonly #limits: Limits
  readonly #queues = new PatternTree<Queue>()
  /** Queues by arrangement, by application. */
  readonly #applications = new Map<string, Map<string, number>>()

  constructor({ destinations, limits }: Readonly<{ destinations: DestinationSettings; limits: Limits }>) {
    this.#destinations = destinations
    this.#limits = limits
  }

  /** A queue is there, whatever it is of. */
  add(queue: Queue): void {
    if (!isOfSeveral(queue.address) || !this.#queues.add(nameAsPattern(queue), queue)) return
    const place = this.#placeOf(queue.address)
    if (place === undefined) return
    let arrangements = this.#applications.get(place.application)
    if (arrangements === undefined) {
      arrangements = new Map()
      this.#applications.set(place.application, arrangements)
    }
    arrangements.set(place.arrangement, (arrangements.get(place.arrangement) ?? 0) + 1)
  }

  remove(queue: Queue): void {
    if (!isOfSeveral(queue.address) || !this.#queues.remove(nameAsPattern(queue), queue)) return
    const place = this.#placeOf(queue.address)
    const arrangements = place === undefined ? undefined : this.#applications.get(place.application)
    if (place === undefined || arrangements === undefined) return
    const left = (arrangements.get(place.arrangement) ?? 0) - 1
    if (left > 0) arrangements.set(place.arrangement, left)
    else arrangements.delete(place.arrangement)
    if (arrangements.size === 0) this.#applications.delete(place.application)
  }

  /** Why there may be no queue of this name, if it is for that. */
  beyond(address: CoreAddress): CodedError | undefined {
    const place = isOfSeveral(address) ? this.#placeOf(address) : undefined
    const arrangements = place === undefined ? undefined : this.#applications.get(place.application)
    const { virtualTopicPatterns } = this.#limits
    if (place === undefined || arrangements === undefined || arrangements.size < virtualTopicPatterns) return undefined
    if (arrangements.has(place.arrangement)) return undefined
    return new CodedError(
      'limit',
      `${place.application} has queues for virtual topics with wildcards in limits.virtualTopicPatterns (${virtualTopicPatterns}) different places`,
    )
  }

  /** Leaves out, of the queues that a topic reaches, those of several topics beside one that their consumers take from too. */
  leaveToOwn(reached: Map<Queue, unknown>): void {
    if (this.#queues.size === 0) return
    let own: Queue | undefined
    let rest = -1
    const leave = (several: Queue): void => {
      // A name that ends in `>` is of more than the one segment for which `*` stands.
      if (several !== own && (rest < 0 || several.address.path[rest] !== '*')) reached.delete(several)
    }
    // What is left out here need not be looked at: those that leave a topic to it leave the topic also to what it was left to.
    for (const queue of reached.keys()) {
      if (queue.address.namespace !== '') continue
      own = queue
      rest = queue.address.path.indexOf('>')
      this.#queues.match(queue.address.path, leave)
    }
  }

  #placeOf(address: CoreAddress): Readonly<{ application: string; arrangement: string }> | undefined {
    const pattern = virtualTopicOf(this.#destinations, address)
    if (pattern === undefined) return undefined
    const application = address.path.slice(0, address.path.length - pattern.length).join('.')
    return { application, arrangement: pattern.map((segment) => (typeof segment === 'string' ? '' : segment.wild)).join('.') }
  }
}

/** Nothing follows `rest` in a pattern; in a name it may. */
function nameAsPattern({ address: { path } }: Queue): Pattern {
  const rest = path.indexOf('>')
  return (rest < 0 ? path : path.slice(0, rest + 1)).map(toPattern)
}
