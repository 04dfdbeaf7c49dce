// What a publish reaches: the queues that get it, by which via each, and whether they have room. One is reused; it holds the current publish's.
// What they get and how it is recorded is `publish.ts`; which queues a topic has is `router.ts`. A hot room.
import type { Message } from '../api.ts'
import { CodedError } from '../errors.ts'
import { beyond, type CoreAddress } from './addresses.ts'
import { DIRECT, type RouteSet, type Via } from './bindings.ts'
import type { Live } from './live.ts'
import type { LiveTransaction } from './live-transaction.ts'
import type { Queue } from './queue.ts'
import { REASON } from './recorder.ts'
import { noQueue } from './refusals.ts'
import type { Reached } from './route-filter.ts'
import type { LiveSession } from './session.ts'
import { gather, type Spread, spreadOf } from './spread.ts'
import { noTemporary } from './temporary.ts'
import { dropOldest, endSlow, isFilledByTransactions } from './when-full.ts'

const NO_QUEUES: readonly Queue[] = []
const NO_VIAS: readonly Via[] = []

/** `dropped`: the queue's policy let it go, and counted it. `blocked`: by `blockedBy`, which is full. An error: why it is refused. */
export type Found = 'reached' | 'dropped' | 'blocked' | CodedError

export class Reach {
  readonly #live: Live
  /** Queues that a fact tells of, if the message is recorded. */
  durable: readonly Queue[] = NO_QUEUES
  durableVias: readonly Via[] = NO_VIAS
  volatile: readonly Queue[] = NO_QUEUES
  volatileVias: readonly Via[] = NO_VIAS
  /** After `blocked`: the full queue. */
  blockedBy: Queue | undefined
  /** Queues are reached by a set, not one by its name. */
  bySet = false
  /** That queue. */
  queue: Queue | undefined
  /** The durable ones, once it is known under which number. */
  set: RouteSet | undefined
  #transaction: LiveTransaction | undefined

  constructor(live: Live) {
    this.#live = live
  }

  get nobody(): boolean {
    return this.durable.length === 0 && this.volatile.length === 0
  }

  get places(): number {
    return this.durable.length + this.volatile.length
  }

  /** What a message of so many bytes reaches, sent to this address in this transaction, if any. */
  find(session: LiveSession, sentTo: CoreAddress, message: Message, bytes: number, transaction: LiveTransaction | undefined): Found {
    this.#transaction = transaction
    if (sentTo.spread === null) sentTo.spread = spreadOf(sentTo, this.#live.settings.destinations)
    const { spread } = sentTo
    if (spread !== undefined) return this.#toSeveral(session, sentTo, spread, message, bytes)
    return sentTo.kind === 'queue' ? this.#toQueue(sentTo, message, bytes) : this.#toTopic(session, sentTo, message, bytes)
  }

  #toQueue(to: CoreAddress, message: Message, bytes: number): Found {
    const live = this.#live
    const queue = live.findQueue(to)
    if (queue === undefined) return to.temporary ? noTemporary(to) : noQueue(to.path)
    this.queue = queue
    this.bySet = false
    this.set = undefined
    const own = queue.durable && message.durable
    this.durable = own ? [queue] : NO_QUEUES
    this.durableVias = own ? [DIRECT] : NO_VIAS
    this.volatile = own ? NO_QUEUES : [queue]
    this.volatileVias = own ? NO_VIAS : [DIRECT]
    if (!queue.isFull(bytes)) return this.#entriesFull(1)
    switch (queue.policy.whenFull) {
      case 'refuse':
        if (this.#transaction !== undefined && (this.#transaction.mustNotWait || isFilledByTransactions(queue, bytes)))
          return new CodedError('full', `queue ${to.path.join('.')} is full, and a transaction cannot wait for room that may come with its own end`)
        this.blockedBy = queue
        return 'blocked'
      case 'drop-newest':
        live.dropped(queue, REASON['full-newest'])
        return 'dropped'
      case 'drop-oldest':
        if (this.#transaction === undefined) dropOldest(live, queue, bytes)
        return this.#entriesFull(1)
      case 'end-consumers':
        endSlow(live, queue)
        return 'dropped'
      default:
        return queue.policy.whenFull satisfies never
    }
  }

  #toTopic(session: LiveSession, to: CoreAddress, message: Message, bytes: number): Found {
    const live = this.#live
    if (to.temporary && live.findQueue(to) === undefined) return noTemporary(to)
    const route = live.router.route(to)
    const reached = route.filter === undefined ? route : route.filter.reached(live.selecting.view(message), session.origin)
    const { durable, volatile } = reached
    this.#toSet(reached)
    if (route.limited && (durable.some((queue) => queue.isFull(bytes)) || volatile.some((queue) => queue.isFull(bytes)))) {
      this.#leaveOutFull(bytes)
    } else if (durable.length > 0 && durable === route.durable) this.set = route.set
    return this.#entriesFull(durable.length + volatile.length)
  }

  #toSet({ durable, durableVias, volatile, volatileVias }: Reached): void {
    this.queue = undefined
    this.bySet = true
    this.durable = durable
    this.durableVias = durableVias
    this.volatile = volatile
    this.volatileVias = volatileVias
    this.set = undefined
  }

  /** A composite address, or one that is forwarded. */
  #toSeveral(session: LiveSession, sentTo: CoreAddress, spread: Spread, message: Message, bytes: number): Found {
    const { limits } = this.#live.settings
    const { parts } = sentTo
    if (parts !== undefined && parts.length > limits.compositeParts) {
      return new CodedError('limit', `a list of ${parts.length} destinations exceeds limits.compositeParts (${limits.compositeParts})`)
    }
    for (const part of parts ?? []) {
      const tooLong = beyond(part, limits)
      if (tooLong !== undefined) return tooLong
    }
    const gathered = gather(this.#live, session, spread, message, bytes)
    if (gathered.kind === 'refused') return gathered.error
    if (gathered.kind === 'blocked') {
      if (this.#transaction !== undefined) return new CodedError('full', `queue ${gathered.by.address.path.join('.')} is full`)
      this.blockedBy = gathered.by
      return 'blocked'
    }
    this.#toSet(gathered.reached)
    if (gathered.limited) this.#leaveOutFull(bytes)
    return this.#entriesFull(gathered.reached.durable.length + gathered.reached.volatile.length)
  }

  /** Queues at their limit drop their oldest, or do not get this one. */
  #leaveOutFull(bytes: number): void {
    const live = this.#live
    const keep = (queue: Queue): boolean => {
      if (!queue.isFull(bytes)) return true
      if (queue.policy.whenFull === 'drop-oldest') {
        if (this.#transaction === undefined) dropOldest(live, queue, bytes)
        return true
      }
      if (queue.policy.whenFull === 'end-consumers') endSlow(live, queue)
      else live.dropped(queue, REASON['full-newest'])
      return false
    }
    const vias = this.durableVias
    const others = this.volatileVias
    const durable = this.durable.map(keep)
    const volatile = this.volatile.map(keep)
    this.durable = this.durable.filter((_, i) => durable[i])
    this.durableVias = vias.filter((_, i) => durable[i])
    this.volatile = this.volatile.filter((_, i) => volatile[i])
    this.volatileVias = others.filter((_, i) => volatile[i])
  }

  #entriesFull(more: number): Found {
    const { limits } = this.#live.settings
    if (this.#live.state.entries.count + this.#live.transactions.entries + more <= limits.entries) return 'reached'
    return new CodedError('full', `limits.entries (${limits.entries}) messages are queued`)
  }

  /** No fact tells of this message: each queue gets it as a volatile one does. */
  unrecorded(): void {
    if (this.durable.length === 0) return
    this.volatile = this.volatile.concat(this.durable)
    this.volatileVias = this.volatileVias.concat(this.durableVias)
    this.durable = NO_QUEUES
  }

  /** Queues that nobody takes from now do not get it then. */
  leaveOutAbsent(): void {
    const vias = this.volatileVias
    const keep = this.volatile.map((queue, i) => {
      const kept = vias[i].absent !== 'drop' || !this.nobodyTakes(queue)
      if (!kept) this.#live.dropped(queue, REASON.absent)
      return kept
    })
    this.volatile = this.volatile.filter((_, i) => keep[i])
    this.volatileVias = vias.filter((_, i) => keep[i])
  }

  /** The number under which a fact names the durable ones; false: the journal is full. */
  name(to: CoreAddress): boolean {
    if (this.bySet && this.durable.length > 0) this.set = this.#setFor(to)
    return !this.bySet || this.durable.length === 0 || this.set !== undefined
  }

  #setFor(to: CoreAddress): RouteSet | undefined {
    const { router } = this.#live
    if (to.kind === 'queue') return router.setOf(this.durable, this.durableVias, undefined)
    const route = router.route(to)
    if (this.durable === route.durable) return router.ensureSet(route)
    return router.setOf(this.durable, this.durableVias, route.set ?? route.like)
  }

  /** No consumer, all of them stalled, or far behind: what may be dropped is. */
  nobodyTakes(queue: Queue): boolean {
    const { seats } = queue
    if (seats === undefined || seats.length === 0) return true
    if (queue.bytes > this.#live.settings.limits.outputHighBytes * 4) return true
    for (const { consumer } of seats) if (!consumer.stalled) return false
    return true
  }
}
