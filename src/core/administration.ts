// What management asks of the core, and in what shape it is answered: numbers, names and pages, no sockets and no HTTP.
// Everything is bounded by its `limit`; what takes long goes in slices.
import type { Delivery, Dialect, Figures } from '../api.ts'
import { CodedError } from '../errors.ts'
import { beyond, CoreAddress, own } from './addresses.ts'
import { explain, type View } from './explain.ts'
import type { Live } from './live.ts'
import type { ScheduledFigures } from './jobs.ts'
import type { Loss, Losses } from './losses.ts'
import { findEntries, lastReady, lookAt, lookAtOne, type Looked, placeFrom, placeText, START } from './look.ts'
import { move, type Moved, queueNamed } from './move.ts'
import { anyQueueNamed, nameOf } from './named.ts'
import type { Queue } from './queue.ts'

export type DestinationFigures = Readonly<{
  namespace: string
  name: string
  durable: boolean
  messages: number
  ready: number
  bytes: number
  consumers: number
  bindings: number
  dropped: number
}>

export type ConnectionFigures = Readonly<{
  protocol: string
  remote: string
  user: string
  clientId: string
  consumers: number
  /** What its consumers may still be given. */
  credit: number
  /** Given and not yet settled. */
  unsettled: number
  /** Publishes that wait for room. */
  parked: number
}>

export type DestinationsPage = Readonly<{ queues: readonly DestinationFigures[]; next?: number; retained: number }>
/** One for each session: a client may have several over one connection. */
export type ConnectionsPage = Readonly<{ connections: readonly ConnectionFigures[]; next?: number }>

export type ScheduledPage = Readonly<{ jobs: number; bytes: number; scheduled: readonly ScheduledFigures[] }>

/** `arrived` and `left` count since this node leads: what left was taken, expired, dropped, moved or purged. */
export type MeasuredQueue = DestinationFigures & Readonly<{ arrived: number; left: number }>

export type Measures = Readonly<{
  figures: Figures
  journal: Readonly<{
    epoch: number
    committed: number
    usedBytes: number
    bytesMax: number
    cachedBytes: number
    sinceSnapshotBytes: number
    segments: number
  }>
  /** Memory by what it is for. */
  bytes: Readonly<Record<string, number>>
  losses: readonly Readonly<Loss>[]
  /** How often a message could not be read back from disk and those behind it went first. */
  passedOver: number
  queues: readonly MeasuredQueue[]
  queuesLeftOut: number
}>

/** `sequence`, else the last one, else the one at `index` of what is ready. */
export type Which = Readonly<{ sequence: number | undefined; last: boolean; index: number }>

export type Explained = Readonly<{ looked: Looked; views: readonly View[] }>

/** `next`: the `after` of the next page; undefined: there is none. */
export type EntriesPage = Readonly<{ entries: readonly Looked[]; next: string | undefined }>

/** How deep into a queue `index` may point. */
const INDEX_MAX = 1_000
/** Queues looked at for one page. */
const VISITS_MAX = 20_000

export class Administration {
  readonly #live: Live
  readonly #dialects: ReadonlyMap<string, Dialect>
  readonly #losses: Losses
  readonly #figures: () => Figures
  #looking: Promise<unknown> = Promise.resolve()

  constructor(live: Live, dialects: ReadonlyMap<string, Dialect>, losses: Losses, figures: () => Figures) {
    this.#live = live
    this.#dialects = dialects
    this.#losses = losses
    this.#figures = figures
  }

  /** What is measured all the time. Of single queues only those that the configuration says are to be measured (`destinations.metrics`). */
  measure(): Measures {
    const live = this.#live
    const { epoch, committed, usedBytes, bytesMax, cachedBytes, sinceSnapshotBytes, segments } = live.journal
    const { measuredQueues } = live.settings.limits
    const measured: MeasuredQueue[] = []
    for (const queue of live.state.measured) {
      if (measured.length === measuredQueues) break
      measured.push({ ...figuresOf(queue), arrived: queue.arrived, left: queue.left })
    }
    return {
      figures: this.#figures(),
      journal: { epoch, committed, usedBytes, bytesMax, cachedBytes, sinceSnapshotBytes, segments: segments.length },
      bytes: live.bytesByKind(),
      losses: this.#losses.all(),
      passedOver: live.passedOver,
      queues: measured,
      queuesLeftOut: live.state.measured.size - measured.length,
    }
  }

  /** Those behind `after`, at most `limit`; `next` is where the next page begins, also when this one is not full. In no order that means anything. */
  destinations(match: string, after: number, limit: number): DestinationsPage {
    const { queues: slots, retained } = this.#live.state
    const queues: DestinationFigures[] = []
    const end = Math.min(slots.length, after + 1 + VISITS_MAX)
    let slot = after + 1
    for (; slot < end && queues.length < limit; slot++) {
      const queue = slots[slot]
      if (queue !== undefined && isMatch(match, queue)) queues.push(figuresOf(queue))
    }
    return { queues, ...(slot < slots.length ? { next: slot - 1 } : {}), retained: retained.size }
  }

  /** Messages that are sent again and again: how many, and those with numbers above `after`, at most `limit`. */
  scheduled(after: number, limit: number): ScheduledPage {
    const { jobs } = this.#live
    return { jobs: 0, bytes: 0, ...jobs?.figures, scheduled: jobs?.list(after, limit) ?? [] }
  }

  /** Ends one of them. Ends when that is committed; false: there is none of this number. */
  async unschedule(number: number): Promise<boolean> {
    if (this.#live.jobs?.remove(number) !== true) return false
    await this.#live.journal.drained()
    return true
  }

  /** What is on a queue, without taking it. `after` and `next` are places as `look.ts` writes them. */
  async look(path: readonly string[], { after, limit, held }: Readonly<{ after: string; limit: number; held: boolean }>): Promise<EntriesPage> {
    return this.#oneByOne(async () => {
      const queue = anyQueueNamed(this.#live, path)
      const place = placeFrom(after, this.#live, queue)
      if (place === undefined) throw new CodedError('invalid', `${after} is no place on a queue: a sequence, or the \`next\` of a page.`)
      const { entries, next } = await lookAt(this.#live, queue, { after: place, limit, held })
      return { entries, next: next === undefined ? undefined : placeText(next) }
    })
  }

  /** The message's own protocol says what is in it. */
  describe(delivery: Delivery): View | undefined {
    const dialect = this.#dialects.get(delivery.message.dialect)
    return dialect === undefined ? undefined : explain([dialect], delivery)[0]
  }

  /** One message as every protocol would show it. */
  async explain(path: readonly string[], which: Which): Promise<Explained> {
    return this.#oneByOne(() => this.#explain(path, which))
  }

  async #explain(path: readonly string[], which: Which): Promise<Explained> {
    const live = this.#live
    const queue = anyQueueNamed(live, path)
    const sequence = which.sequence ?? (which.last ? lastReady(live, queue) : await this.#sequenceAt(queue, which.index))
    const looked = sequence === 0 ? undefined : await lookAtOne(live, queue, sequence)
    if (looked === undefined) throw new CodedError('not-found', `There is no such message on queue ${path.join('.')}.`)
    if (looked.delivery === undefined) throw new CodedError('timeout', 'Its bytes cannot be read from disk at the moment.')
    return { looked, views: explain(this.#dialects.values(), looked.delivery) }
  }

  /** Each look holds a page of messages in memory: however many ask at once, that is one page. */
  #oneByOne<T>(look: () => Promise<T>): Promise<T> {
    const mine = this.#looking.then(look)
    this.#looking = mine.catch(() => {})
    return mine
  }

  async #sequenceAt(queue: Queue, index: number): Promise<number> {
    if (index >= INDEX_MAX) throw new CodedError('invalid', `An index is less than ${INDEX_MAX}: further in, name a sequence.`)
    const { places } = await findEntries(this.#live, queue, { after: START, limit: index + 1, held: false })
    return places[index]?.sequence ?? 0
  }

  /** Sessions of connected clients, oldest connection first: those behind `after`. */
  connections(after: number, limit: number): ConnectionsPage {
    const connections: ConnectionFigures[] = []
    let last = after
    for (const session of this.#live.intake.sessions) {
      // Those without a remote side are the broker's own.
      if (session.order <= after || session.remote === '') continue
      if (connections.length === limit) return { connections, next: last }
      const { record, remote, principal } = session
      connections.push({ protocol: record.protocol, remote, user: principal, clientId: record.clientId, ...session.figures() })
      last = session.order
    }
    return { connections }
  }

  /** At most `count` messages to another queue, or dead letters to where they came from. Ends when that is committed. */
  async move(from: readonly string[], to: readonly string[], count: number): Promise<Moved> {
    const live = this.#live
    const address = own(new CoreAddress('queue', to, ''))
    const tooLong = beyond(address, live.settings.limits)
    if (tooLong !== undefined) throw tooLong
    return move(live, queueNamed(live, from), address, count)
  }

  /**
   * A queue goes, with what is on it; one that is not empty, or has consumers, only with `force`: they are told that it was removed.
   * Ends when that is committed; answers how many messages went with it.
   */
  async remove(path: readonly string[], force: boolean): Promise<number> {
    const live = this.#live
    const queue = anyQueueNamed(live, path)
    const { count, lifetime } = queue
    if (lifetime !== 'permanent') throw new CodedError('denied', `queue ${path.join('.')} goes with the session that has it`)
    const consumers = queue.seats?.length ?? 0
    if (!force && (count > 0 || consumers > 0))
      throw new CodedError('in-use', `queue ${path.join('.')} has ${count} messages and ${consumers} consumers: it is removed by force only`)
    live.dropQueue(queue)
    live.journal.urge()
    await live.journal.drained()
    return count
  }

  async redrive(from: readonly string[], count: number): Promise<Moved> {
    return move(this.#live, queueNamed(this.#live, from), undefined, count)
  }
}

/** `''`: the broker's own queues. Else by name in dots, where `*` is any part of it; with `*:` before it, those of front ends too. */
function isMatch(match: string, queue: Queue): boolean {
  if (queue.address.kind !== 'queue') return false
  if (match === '') return queue.address.namespace === ''
  const pieces = match.split('*')
  let rest = nameOf(queue)
  if (!rest.startsWith(pieces[0])) return false
  if (pieces.length === 1) return rest === match
  rest = rest.slice(pieces[0].length)
  const last = pieces[pieces.length - 1]
  for (const piece of pieces.slice(1, -1)) {
    const at = rest.indexOf(piece)
    if (at < 0) return false
    rest = rest.slice(at + piece.length)
  }
  return rest.length >= last.length && rest.endsWith(last)
}

function figuresOf(queue: Queue): DestinationFigures {
  return {
    namespace: queue.address.namespace,
    name: queue.address.path.join('.'),
    durable: queue.durable,
    messages: queue.count,
    ready: queue.readyCount,
    bytes: queue.bytes,
    consumers: queue.seats?.length ?? 0,
    bindings: queue.bindings?.size ?? 0,
    dropped: queue.dropped,
  }
}
