// SUBSCRIBE and UNSUBSCRIBE of one client: bindings to the queue of its session, as with our own engine. aedes is told of one subscription only, to
// everything: it would send a message of QoS 2 with QoS 0 if its own table said so of that very topic, whatever else it is subscribed by.
// Shared subscriptions and plain queues are refused: what is of QoS 2 there becomes a client’s own before it is sent (../taking.ts), which is not written for this engine.
import type { Subscription } from 'aedes'
import type { Session } from '../../../src/api.ts'
import { within } from '../address.ts'
import type { Front } from '../front.ts'
import type { SessionState } from '../session-state.ts'
import type { Deliveries } from './deliveries.ts'
import { PRESENT } from './stores.ts'

/** What they need of their connection. */
export interface Subscriber {
  readonly front: Front
  readonly session: Session | undefined
  readonly own: SessionState
  readonly deliveries: Deliveries
  readonly isCongested: boolean
  lastTicket: number
  after(ticket: number, go: () => void): void
}

type Answer = (error: Error | null, granted?: Subscription | null) => void

const EVERYTHING = '#'

export function subscribe(subscriber: Subscriber, wish: Subscription, answer: Answer): void {
  // What aedes was shown of an earlier session.
  if (wish === PRESENT) return answer(null, null)
  const taken = bind(subscriber, wish)
  // SUBACK waits until all of it is committed.
  subscriber.after(subscriber.lastTicket, () => answer(null, taken ? { ...wish, topic: EVERYTHING } : null))
}

export function unsubscribe(subscriber: Subscriber, filters: readonly string[]): void {
  const { session, front, own } = subscriber
  if (session === undefined || own.queue === undefined) return
  for (const text of filters) {
    const filter = front.topics.filter(text)
    if (filter?.kind === 'own') asked(subscriber, session.unbind(own.queue, filter.pattern))
  }
}

function bind(subscriber: Subscriber, { topic, qos }: Subscription): boolean {
  const { session, front, own } = subscriber
  const filter = front.topics.filter(topic)
  if (session === undefined || own.queue === undefined || filter?.kind !== 'own') return false
  if (front.settings.refuse.some((refused) => within(filter.text, refused))) return false
  if (!own.queueMade && !makeQueue(subscriber, session, own)) return false
  own.queueMade = true
  const settle = qos === 0 ? 'settled' : 'if-durable'
  return asked(subscriber, session.bind({ pattern: filter.pattern, queue: own.queue, tag: qos, settle, absent: 'drop', retained: 'always' }))
}

function makeQueue(subscriber: Subscriber, session: Session, { queue, kept }: SessionState): boolean {
  if (queue === undefined) return false
  const { cleanSessionMessagesMax, keptSessionMessagesMax } = subscriber.front.settings
  const limitMessages = kept ? keptSessionMessagesMax : cleanSessionMessagesMax
  const limit = limitMessages === 0 ? {} : { limitMessages, whenFull: 'drop-newest' as const }
  return (
    asked(subscriber, session.declare(queue, { durable: kept, lifetime: 'held', ...limit })) &&
    asked(subscriber, session.hold(queue, 0)) &&
    // Before the binding: retained messages of QoS 0 go only to who is there.
    subscriber.deliveries.take(session, queue, subscriber.isCongested)
  )
}

/** Was it taken? Then the answer waits for it. */
function asked(subscriber: Subscriber, ticket: number): boolean {
  if (ticket <= 0) return false
  subscriber.lastTicket = ticket
  return true
}
