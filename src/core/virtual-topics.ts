// Virtual topics: a queue whose name says of which topic it is a subscription. `Consumer.billing.VirtualTopic.orders` is bound to the topic
// `VirtualTopic.orders` by being made; from then on it is a queue like any other, with as many consumers as somebody likes.
//
// `Consumer.billing.VirtualTopic.>` is a queue too, by that very name: that of a consumer of all those topics, bound to the pattern. A topic that has a
// queue of its own with the same application is left to that, from which such a consumer takes as well: one copy for each application, whoever takes it
// (virtual-patterns.ts).
import type { Pattern } from '../api.ts'
import type { DestinationSettings } from '../config/settings.ts'
import { FACT } from '../journal/facts.ts'
import { CoreAddress, patternKey } from './addresses.ts'
import { Binding } from './bindings.ts'
import { writeBinding } from './cold-facts.ts'
import type { Live } from './live.ts'
import { matchesName, rulesFor } from './policy.ts'
import type { Queue } from './queue.ts'

const ONE = { wild: 'one' } as const
const REST = { wild: 'rest' } as const

/** Which topics a queue of this name subscribes to. */
export function virtualTopicOf({ virtualTopics }: DestinationSettings, address: CoreAddress): Pattern | undefined {
  if (address.namespace !== '' || address.kind !== 'queue') return undefined
  for (const { queues, topics } of virtualTopics) {
    const prefix = queues.split('.').filter((segment) => segment !== '')
    const { path } = address
    if (path.length <= prefix.length || !prefix.every((segment, i) => !isWild(path[i]) && (segment === '*' || segment === path[i]))) continue
    const topic = path.slice(prefix.length)
    // All that follows is more than one name, which only a pattern that ends so has; and nothing comes after it.
    const rest = topic.indexOf('>')
    if (rest >= 0 && (rest < topic.length - 1 || !topics.endsWith('>'))) continue
    if (matchesName(`topic:${topics}`, new CoreAddress('topic', topic, ''))) return topic.map(toPattern)
  }
  return undefined
}

/** By what queue consumers of these queues get what is sent to virtual topics, if that is one of several topics. */
export function virtualQueueOf(settings: DestinationSettings, pattern: Pattern): CoreAddress | undefined {
  const path = pattern.map((segment) => (typeof segment === 'string' ? segment : segment.wild === 'one' ? '*' : '>'))
  const address = new CoreAddress('queue', path, '')
  if (!isOfSeveral(address) || virtualTopicOf(settings, address) === undefined || !rulesFor(settings, address).autoCreate) return undefined
  return address
}

/** A consumer of this pattern takes from the queue of this name: of what that is for, nothing is beyond the pattern. */
export function covers(pattern: Pattern, path: readonly string[]): boolean {
  for (const [i, segment] of pattern.entries()) {
    if (typeof segment !== 'string' && segment.wild === 'rest') return true
    if (i >= path.length || path[i] === '>' || (typeof segment === 'string' && segment !== path[i])) return false
  }
  return pattern.length === path.length
}

export function isOfSeveral({ namespace, path }: CoreAddress): boolean {
  return namespace === '' && path.some(isWild)
}

function isWild(segment: string): boolean {
  return segment === '*' || segment === '>'
}

export function toPattern(segment: string): Pattern[number] {
  return segment === '*' ? ONE : segment === '>' ? REST : segment
}

/** Binds the queue to its topic, if it is of one and not bound yet. False: the journal is full. */
export function bindVirtual(live: Live, queue: Queue): boolean {
  const pattern = queue.durable ? virtualTopicOf(live.settings.destinations, queue.address) : undefined
  if (pattern === undefined || queue.bindings?.has(patternKey(pattern)) === true) return true
  const binding = new Binding(
    { pattern, tag: 0, label: 0, settle: 'unsettled', absent: 'keep', selector: '', selectorConverts: false, exceptFrom: '' },
    queue,
  )
  return live.facts.admit(FACT.bind, writeBinding(live.facts.writer.reset(), binding), 'drain')
}
