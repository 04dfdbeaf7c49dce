// Virtual topics: a queue whose name says of which topic it is a subscription. `Consumer.billing.VirtualTopic.orders` is bound to the topic
// `VirtualTopic.orders` by being made; from then on it is a queue like any other, with as many consumers as somebody likes.
import type { Pattern } from '../api.ts'
import type { DestinationSettings } from '../config/settings.ts'
import { FACT } from '../journal/facts.ts'
import { CoreAddress, patternKey } from './addresses.ts'
import { Binding } from './bindings.ts'
import { writeBinding } from './cold-facts.ts'
import type { Live } from './live.ts'
import { matchesName } from './policy.ts'
import type { Queue } from './queue.ts'

/** Which topic a queue of this name subscribes to. */
export function virtualTopicOf({ virtualTopics }: DestinationSettings, address: CoreAddress): Pattern | undefined {
  if (address.namespace !== '' || address.kind !== 'queue') return undefined
  for (const { queues, topics } of virtualTopics) {
    const prefix = queues.split('.').filter((segment) => segment !== '')
    const { path } = address
    if (path.length <= prefix.length || !prefix.every((segment, i) => segment === '*' || segment === path[i])) continue
    const topic = path.slice(prefix.length)
    if (matchesName(`topic:${topics}`, new CoreAddress('topic', topic, ''))) return topic
  }
  return undefined
}

/** Binds the queue to its topic, if it is of one and not bound yet. False: the journal is full. */
export function bindVirtual(live: Live, queue: Queue): boolean {
  const pattern = queue.durable ? virtualTopicOf(live.settings.destinations, queue.address) : undefined
  if (pattern === undefined || queue.bindings?.has(patternKey(pattern)) === true) return true
  const binding = new Binding({ pattern, tag: 0, label: 0, settle: 'unsettled', absent: 'keep', selector: '', exceptFrom: '' }, queue)
  return live.facts.admit(FACT.bind, writeBinding(live.facts.writer.reset(), binding), 'drain')
}
