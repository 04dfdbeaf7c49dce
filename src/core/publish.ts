// From a publish to entries: what it reaches, whether there is room, its fact, its place on every queue. One function decides; a hot room.
// Nothing is promised here: the ticket is answered when the fact's batch is committed.
import type { Message, PublishOptions } from '../api.ts'
import { CodedError } from '../errors.ts'
import { FACT, MESSAGE_FLAG } from '../journal/facts.ts'
import type { Range } from '../journal/journal.ts'
import { beyond, type CoreAddress } from './addresses.ts'
import { DIRECT, type RouteSet, type Via } from './bindings.ts'
import { NEXT, STATE, STATE_OF } from './entries.ts'
import { groupBucket } from './group-buckets.ts'
import type { Job } from './job.ts'
import { MessageFactWriter } from './message-fact.ts'
import { type Held, MESSAGE_ROW_FLAG, rankOf, REFERENCES } from './messages.ts'
import type { Live } from './live.ts'
import { joined, type LiveTransaction } from './live-transaction.ts'
import { rulesFor } from './policy.ts'
import type { Queue } from './queue.ts'
import { EVENT, REASON } from './recorder.ts'
import { gather, type Spread, spreadOf } from './spread.ts'
import { noTemporary } from './temporary.ts'
import type { LiveSession } from './session.ts'

/** Bodies beyond this travel in pieces of this size. */
export const PIECE_BYTES = 256 * 1024

/** What became of a publish. `waits`: for the commit of its fact. */
export type Placed = 'committed-with-batch' | 'done' | 'refused' | 'blocked' | 'upload'

const NONE: readonly Queue[] = []
const NO_VIAS: readonly Via[] = []

export class Publisher {
  readonly #live: Live
  /** After `refused`. */
  refusal: CodedError | undefined
  /** After `blocked`: the full queue. */
  blockedBy: Queue | undefined
  /** What is published is this job's, for one time more. */
  firing: Job | undefined
  /** A fact tells of what was placed last. */
  recorded = false
  readonly #writer = new MessageFactWriter()
  #tooLarge: CodedError | undefined
  // What the current publish reaches.
  #durable: readonly Queue[] = NONE
  #durableVias: readonly Via[] = NO_VIAS
  #volatile: readonly Queue[] = NONE
  #volatileVias: readonly Via[] = NO_VIAS
  #set: RouteSet | undefined
  /** Queues are reached by a set, not one by its name. */
  #bySet = false
  #queue: Queue | undefined
  #transaction: LiveTransaction | undefined

  constructor(live: Live) {
    this.#live = live
  }

  /** What was placed last reached no queue. */
  get unheard(): boolean {
    return this.#durable.length === 0 && this.#volatile.length === 0
  }

  /** `pieces`: where the body lies already, committed. */
  place(session: LiveSession, sentTo: CoreAddress, message: Message, options: PublishOptions, pieces: readonly Range[] | undefined): Placed {
    const live = this.#live
    this.recorded = false
    const bytes = message.head.length + message.body.length
    if (bytes > live.settings.limits.messageBytes) {
      return this.#refuse(
        new CodedError('too-large', `a message of ${bytes} bytes exceeds limits.messageBytes (${live.settings.limits.messageBytes})`),
      )
    }
    const tooLong = beyond(sentTo, live.settings.limits)
    if (tooLong !== undefined) return this.#refuse(tooLong)
    if (sentTo.spread === null) sentTo.spread = spreadOf(sentTo, live.settings.destinations)
    const { spread } = sentTo
    const to = spread?.name ?? sentTo
    this.#transaction = options.transaction === undefined ? undefined : joined(options.transaction)
    const cannotJoin = this.#transaction?.refusal(bytes)
    if (cannotJoin !== undefined) return this.#refuse(cannotJoin)
    const found =
      spread !== undefined
        ? this.#toSeveral(session, sentTo, spread, message, options, bytes)
        : to.kind === 'queue'
          ? this.#toQueue(to, message, bytes)
          : this.#toTopic(session, to, message, bytes)
    if (found !== undefined) return found
    const keeps = options.retain === 'set' && to.kind === 'topic' && sentTo.kind === 'topic'
    if (
      keeps &&
      live.state.retained.get(to.path) === undefined &&
      live.state.retained.size + live.transactions.retaining >= live.settings.limits.retained
    ) {
      return this.#refuse(new CodedError('limit', `limits.retained (${live.settings.limits.retained}) topics have a retained message already`))
    }
    const record = message.durable && (this.#durable.length > 0 || keeps)
    if (record && pieces === undefined && message.body.length > PIECE_BYTES) return 'upload'
    const nowMs = live.clock.wallMs()
    const expiresAtMs = this.#expiry(sentTo, message.expiresAtMs, nowMs)
    let row = 0
    if (record) {
      this.recorded = true
      row = this.#record(session, to, message, options, pieces, keeps, nowMs, expiresAtMs)
      if (row < 0 && this.#tooLarge !== undefined) {
        const error = this.#tooLarge
        this.#tooLarge = undefined
        return this.#refuse(error)
      }
      if (row < 0) return this.#refuse(new CodedError('full', 'the journal is full: consumers must drain it, or journal.bytesMax be raised'))
    } else if (options.note !== 0) session.record.notes.add(options.note)
    const written =
      record || (this.#transaction === undefined ? this.#forgetRetained(to, options, keeps) : this.#forgetLater(this.#transaction, to, options))
    live.counters.messagesIn++
    live.counters.bytesIn += bytes
    live.recorder.note(EVENT.accepted, this.#queue?.number ?? 0, 0, REASON.none, bytes)
    const { messages } = live.state
    if (this.#transaction !== undefined) this.#join(this.#transaction, row, { message, to, acceptedAtMs: nowMs }, keeps, expiresAtMs)
    else if (this.#volatile.length > 0 || (!record && (this.#durable.length > 0 || keeps))) {
      const fresh = row === 0
      if (fresh) {
        row = messages.add(0, 0, bytes, rowFlags(message), expiresAtMs)
        if (message.deliverAtMs !== 0) messages.deliverAt.set(row, message.deliverAtMs)
      }
      // Held while it is handed round.
      messages.set(row, REFERENCES, messages.get(row, REFERENCES) + 1)
      if (fresh) messages.objects[row] = { message, to, acceptedAtMs: nowMs }
      if (!record) {
        this.#spread(this.#durable, this.#durableVias, row, message)
        if (keeps) live.state.retain(to, row, false, session.origin)
      }
      this.#spread(this.#volatile, this.#volatileVias, row, message)
      live.state.release(row)
    }
    return written ? 'committed-with-batch' : 'done'
  }

  #refuse(error: CodedError): Placed {
    this.refusal = error
    this.#live.recorder.note(EVENT.refused, 0, 0, error.code === 'full' ? REASON['disk-full'] : REASON.limit, 0)
    return 'refused'
  }

  #toQueue(to: CoreAddress, message: Message, bytes: number): Placed | undefined {
    const live = this.#live
    const queue = live.findQueue(to)
    if (queue === undefined)
      return this.#refuse(to.temporary ? noTemporary(to) : new CodedError('not-found', `there is no queue ${to.path.join('.')}`))
    this.#queue = queue
    this.#bySet = false
    this.#set = undefined
    const own = queue.durable && message.durable
    this.#durable = own ? [queue] : NONE
    this.#durableVias = own ? [DIRECT] : NO_VIAS
    this.#volatile = own ? NONE : [queue]
    this.#volatileVias = own ? NO_VIAS : [DIRECT]
    if (!queue.isFull(bytes)) return this.#entriesFull(1)
    switch (queue.policy.whenFull) {
      case 'refuse':
        if (this.#transaction !== undefined && (this.#transaction.mustNotWait || isFilledByTransactions(queue, bytes)))
          return this.#refuse(
            new CodedError('full', `queue ${to.path.join('.')} is full, and a transaction cannot wait for room that may come with its own end`),
          )
        this.blockedBy = queue
        return 'blocked'
      case 'drop-newest':
        live.dropped(queue, REASON['full-newest'])
        return 'done'
      case 'drop-oldest':
        if (this.#transaction === undefined) dropOldest(live, queue, bytes)
        return this.#entriesFull(1)
      case 'end-consumers':
        endSlow(live, queue)
        return 'done'
      default:
        return queue.policy.whenFull satisfies never
    }
  }

  #toTopic(session: LiveSession, to: CoreAddress, message: Message, bytes: number): Placed | undefined {
    const live = this.#live
    if (to.temporary && live.findQueue(to) === undefined) return this.#refuse(noTemporary(to))
    const route = live.router.route(to)
    const { durable, durableVias, volatile, volatileVias } =
      route.filter === undefined ? route : route.filter.reached(live.selecting.view(message), session.origin)
    this.#queue = undefined
    this.#bySet = true
    this.#durable = durable
    this.#durableVias = durableVias
    this.#volatile = volatile
    this.#volatileVias = volatileVias
    this.#set = undefined
    if (route.limited && (durable.some((queue) => queue.isFull(bytes)) || volatile.some((queue) => queue.isFull(bytes)))) {
      this.#leaveOutFull(bytes)
    } else if (durable.length > 0 && durable === route.durable) this.#set = route.set
    return this.#entriesFull(durable.length + volatile.length)
  }

  /** A composite address, or one that is forwarded. */
  #toSeveral(
    session: LiveSession,
    sentTo: CoreAddress,
    spread: Spread,
    message: Message,
    options: PublishOptions,
    bytes: number,
  ): Placed | undefined {
    const { limits } = this.#live.settings
    const { parts } = sentTo
    if (parts !== undefined && parts.length > limits.compositeParts) {
      return this.#refuse(new CodedError('limit', `a list of ${parts.length} destinations exceeds limits.compositeParts (${limits.compositeParts})`))
    }
    if (parts !== undefined && options.retain !== 'no') return this.#refuse(new CodedError('unsupported', 'a list of destinations retains nothing'))
    for (const part of parts ?? []) {
      const tooLong = beyond(part, limits)
      if (tooLong !== undefined) return this.#refuse(tooLong)
    }
    const gathered = gather(this.#live, session, spread, message, bytes)
    if (gathered.kind === 'refused') return this.#refuse(gathered.error)
    if (gathered.kind === 'blocked') {
      if (this.#transaction !== undefined) return this.#refuse(new CodedError('full', `queue ${gathered.by.address.path.join('.')} is full`))
      this.blockedBy = gathered.by
      return 'blocked'
    }
    const { durable, durableVias, volatile, volatileVias } = gathered.reached
    this.#queue = undefined
    this.#bySet = true
    this.#durable = durable
    this.#durableVias = durableVias
    this.#volatile = volatile
    this.#volatileVias = volatileVias
    this.#set = undefined
    if (gathered.limited) this.#leaveOutFull(bytes)
    return this.#entriesFull(durable.length + volatile.length)
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
    const vias = this.#durableVias
    const others = this.#volatileVias
    const durable = this.#durable.map(keep)
    const volatile = this.#volatile.map(keep)
    this.#durable = this.#durable.filter((_, i) => durable[i])
    this.#durableVias = vias.filter((_, i) => durable[i])
    this.#volatile = this.#volatile.filter((_, i) => volatile[i])
    this.#volatileVias = others.filter((_, i) => volatile[i])
  }

  #entriesFull(more: number): Placed | undefined {
    const { limits } = this.#live.settings
    if (this.#live.state.entries.count + this.#live.transactions.entries + more <= limits.entries) return undefined
    return this.#refuse(new CodedError('full', `limits.entries (${limits.entries}) messages are queued`))
  }

  /** As its sender wants it, within what the configuration says. */
  #expiry(to: CoreAddress, wantedMs: number, nowMs: number): number {
    const { destinations } = this.#live.settings
    if (destinations.policies.length === 0 && destinations.messageTtlMs === 0 && destinations.messageTtlMaxMs === 0) return wantedMs
    const { messageTtlMs, messageTtlMaxMs } = rulesFor(destinations, to)
    const expiresAtMs = wantedMs !== 0 || messageTtlMs === 0 ? wantedMs : nowMs + messageTtlMs
    if (messageTtlMaxMs === 0) return expiresAtMs
    return expiresAtMs === 0 ? nowMs + messageTtlMaxMs : Math.min(expiresAtMs, nowMs + messageTtlMaxMs)
  }

  /** Writes the message fact and applies it. Answers its row; -1: full. */
  #record(
    session: LiveSession,
    to: CoreAddress,
    message: Message,
    options: PublishOptions,
    pieces: readonly Range[] | undefined,
    keeps: boolean,
    nowMs: number,
    expiresAtMs: number,
  ): number {
    const live = this.#live
    const dialect = this.#dialect(message.dialect)
    if (dialect < 0) return -1
    if (this.#bySet && this.#durable.length > 0) {
      this.#set = this.#setFor(to)
      if (this.#set === undefined) return -1
    }
    for (const queue of this.#durable) if (queue.next !== queue.replayNext && !live.facts.writeSequence(queue, 'publish')) return -1
    const transaction = this.#transaction
    const writer = this.#writer
    const size = writer.measure(message, to, pieces, transaction !== undefined)
    if (size < 0) {
      this.#tooLarge = new CodedError('too-large', `headers of ${message.head.length} bytes are too long`)
      return -1
    }
    const { journal } = live
    const at = journal.admit(FACT.message, size, 'publish')
    if (at < 0) return -1
    live.facts.admitted()
    const { firing } = this
    const { fact } = writer
    fact.flags = (this.#bySet ? MESSAGE_FLAG.toSet : 0) | (keeps ? MESSAGE_FLAG.retain : 0) | (pieces === undefined ? 0 : MESSAGE_FLAG.large)
    if (transaction !== undefined) fact.flags |= MESSAGE_FLAG.transaction
    if (message.groupEnds) fact.flags |= MESSAGE_FLAG.groupEnds
    if (firing !== undefined) fact.flags |= MESSAGE_FLAG.job
    fact.acceptedAtMs = nowMs
    fact.expiresAtMs = expiresAtMs
    fact.deliverAtMs = message.deliverAtMs
    fact.set = this.#set
    fact.queue = this.#queue
    fact.session = firing?.number ?? session.record.number
    fact.origin = session.origin
    fact.note = firing === undefined ? options.note : firing.fired + 1
    fact.transaction = transaction?.record.number ?? 0
    fact.ordinal = transaction?.record.count ?? 0
    fact.segment = journal.segment
    fact.offset = journal.offset
    fact.length = size
    writer.dialect = dialect
    writer.session = firing !== undefined || session.record.recorded ? fact.session : 0
    writer.write(journal.buffer, at, message)
    const row = live.apply.message(fact)
    if (row > 0) live.batches.keep(row, { message, to, acceptedAtMs: nowMs })
    return row
  }

  /** The message, whose fact is written if it has one (`row`), waits for the commit with what it will reach then. */
  #join(transaction: LiveTransaction, recorded: number, held: Held, keeps: boolean, expiresAtMs: number): void {
    const { state, transactions } = this.#live
    const { messages } = state
    const { message } = held
    const bytes = message.head.length + message.body.length
    const { record } = transaction
    let row = recorded
    if (row === 0) {
      row = messages.add(0, 0, bytes, rowFlags(message), expiresAtMs)
      messages.set(row, REFERENCES, 1)
      if (message.deliverAtMs !== 0) messages.deliverAt.set(row, message.deliverAtMs)
      messages.objects[row] = held
      record.add(row, record.count, undefined)
      if (keeps) record.retain(row, held.to)
      if (this.#durable.length > 0) {
        this.#volatile = this.#volatile.concat(this.#durable)
        this.#volatileVias = this.#volatileVias.concat(this.#durableVias)
        this.#durable = NONE
      }
    }
    if (!message.durable && this.#volatileVias.some(({ absent }) => absent === 'drop')) this.#leaveOutAbsent()
    if (this.#volatile.length > 0) record.alsoTo(this.#volatile, this.#volatileVias)
    for (const queue of this.#durable) transactions.expect(queue, row, 1)
    for (const queue of this.#volatile) transactions.expect(queue, row, 1)
    record.places += this.#durable.length + this.#volatile.length
    transactions.entries += this.#durable.length + this.#volatile.length
    if (keeps) transaction.retains()
    transaction.sent(bytes)
  }

  /** Queues that nobody takes from now do not get it then. */
  #leaveOutAbsent(): void {
    const vias = this.#volatileVias
    const keep = this.#volatile.map((queue, i) => {
      const kept = vias[i].absent !== 'drop' || !this.#nobodyTakes(queue)
      if (!kept) this.#live.dropped(queue, REASON.absent)
      return kept
    })
    this.#volatile = this.#volatile.filter((_, i) => keep[i])
    this.#volatileVias = vias.filter((_, i) => keep[i])
  }

  /** The topic forgets what it retains when the transaction is committed (a message that is not recorded then takes the place). True: the journal was told. */
  #forgetLater({ record }: LiveTransaction, to: CoreAddress, options: PublishOptions): boolean {
    if (options.retain === 'no' || to.kind !== 'topic') return false
    return this.#live.facts.defer(record.number, FACT.retainClear, this.#live.facts.writer.reset().raw(to.encoded))
  }

  #setFor(to: CoreAddress): RouteSet | undefined {
    const { router } = this.#live
    if (to.kind === 'queue') return router.setOf(this.#durable, this.#durableVias, undefined)
    const route = router.route(to)
    if (this.#durable === route.durable) return router.ensureSet(route)
    return router.setOf(this.#durable, this.#durableVias, route.set ?? route.like)
  }

  /** A retained message that is not recorded (or the wish to clear) takes away the one that is. True: the journal was told. */
  #forgetRetained(to: CoreAddress, options: PublishOptions, keeps: boolean): boolean {
    if (options.retain === 'no' || to.kind !== 'topic') return false
    const earlier = this.#live.state.retained.get(to.path)
    if (earlier === undefined || (keeps && !earlier.durable)) return false
    return this.#live.forgetRetained(earlier)
  }

  /** Entries that no fact tells of. */
  #spread(queues: readonly Queue[], vias: readonly Via[], row: number, message: Message): void {
    const live = this.#live
    for (let i = 0; i < queues.length; i++) {
      const queue = queues[i]
      if (!message.durable && vias[i].absent === 'drop' && this.#nobodyTakes(queue)) live.dropped(queue, REASON.absent)
      else live.state.addEntry(queue, row, vias[i], 0)
    }
  }

  /** No consumer, all of them stalled, or far behind: what may be dropped is. */
  #nobodyTakes(queue: Queue): boolean {
    const { seats } = queue
    if (seats === undefined || seats.length === 0) return true
    if (queue.bytes > this.#live.settings.limits.outputHighBytes * 4) return true
    for (const { consumer } of seats) if (!consumer.stalled) return false
    return true
  }

  /** The number of this dialect in facts; told of when new. -1: full. */
  #dialect(name: string): number {
    const live = this.#live
    const known = live.state.dialectNumber(name)
    if (known > 0) return known
    const number = live.state.dialects.length
    return live.facts.admit(FACT.dialect, live.facts.writer.reset().u16(number).text(name), 'publish') ? number : -1
  }
}

function rowFlags(message: Message): number {
  const bucket = message.group === '' ? 0 : groupBucket(Buffer.from(message.group))
  const flags = (message.durable ? MESSAGE_ROW_FLAG.durable : 0) | (message.groupEnds ? MESSAGE_ROW_FLAG.groupEnds : 0)
  return flags | rankOf(message.priority, bucket)
}

/** Makes room by what waits longest and is in nobody's hands. */
function dropOldest(live: Live, queue: Queue, bytes: number): void {
  while (queue.isFull(bytes)) {
    const row = queue.oldestReady() || oldestPending(live, queue)
    if (row === 0) return
    live.dropped(queue, REASON['full-oldest'])
    live.facts.gone(queue, row, REASON['full-oldest'], false)
  }
}

/** Its limit is used up by what open transactions have sent. */
function isFilledByTransactions({ gate, policy }: Queue, bytes: number): boolean {
  if (gate === undefined || gate.unseen === 0) return false
  const { limitMessages, limitBytes } = policy
  return (limitMessages !== 0 && gate.unseen >= limitMessages) || (limitBytes !== 0 && gate.unseenBytes + bytes > limitBytes)
}

/** Who lets too much wait is ended, and told so; the copy is not for it any more. */
function endSlow(live: Live, queue: Queue): void {
  live.dropped(queue, REASON.slow)
  const error = new CodedError('limit', `a slow consumer: ${queue.count} messages wait for it, and more are not kept`)
  for (const { consumer } of [...(queue.seats ?? [])]) consumer.session.endConsumer(consumer, error)
}

function oldestPending(live: Live, queue: Queue): number {
  const { entries } = live.state
  let row = queue.pending > 0 ? queue.held.head : 0
  while (row !== 0 && entries.get(row, STATE) !== STATE_OF.pending) row = entries.get(row, NEXT)
  return row
}
