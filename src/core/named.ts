// Queues by the names that management gives and shows: the broker's own in dots, those that front ends keep for subscriptions behind the
// name of their namespace (`namespace:durable.app.orders`). Not how protocols find their queues: they have addresses.
import { CodedError } from '../errors.ts'
import { CoreAddress, own } from './addresses.ts'
import type { Live } from './live.ts'
import type { Queue } from './queue.ts'
import { noQueue } from './refusals.ts'

/** A front end's own queues come behind its name. */
export function nameOf({ address }: Queue): string {
  return address.namespace === '' ? address.path.join('.') : `${address.namespace}:${address.path.join('.')}`
}

/** The queue of that name, a subscription's too; throws `not-found`. */
export function anyQueueNamed(live: Live, path: readonly string[]): Queue {
  const found = live.findQueue(own(new CoreAddress('queue', path, ''))) ?? subscriptionNamed(live, path.join('.'))
  if (found === undefined) throw noQueue(path)
  return found
}

/** Parts of such a name may hold dots themselves (a client id), so it is sought, not taken apart. */
function subscriptionNamed(live: Live, name: string): Queue | undefined {
  if (!name.includes(':')) return undefined
  const found = live.state.queues.filter((queue) => queue !== undefined && queue.address.namespace !== '' && nameOf(queue) === name)
  if (found.length > 1) throw new CodedError('invalid', `${found.length} queues are called ${name}`)
  return found[0]
}
