// From a publish to entries: what it reaches and whether there is room (`reach.ts`), its fact (`message-fact.ts`), its place on every queue. One function
// decides; a hot room.
// Nothing is promised here: the ticket is answered when the fact's batch is committed.
import type { Message, PublishOptions } from '../api.ts'
import { CodedError } from '../errors.ts'
import { FACT, MESSAGE_FLAG } from '../journal/facts.ts'
import type { Range } from '../journal/journal.ts'
import { beyond, type CoreAddress } from './addresses.ts'
import type { Via } from './bindings.ts'
import { groupBucket } from './group-buckets.ts'
import type { Job } from './job.ts'
import { MessageFactWriter } from './message-fact.ts'
import { type Held, MESSAGE_ROW_FLAG, rankOf, REFERENCES } from './messages.ts'
import type { Live } from './live.ts'
import { joined, type LiveTransaction } from './live-transaction.ts'
import { rulesFor } from './policy.ts'
import type { Queue } from './queue.ts'
import { type Found, Reach } from './reach.ts'
import { EVENT, REASON } from './recorder.ts'
import { journalFull } from './refusals.ts'
import type { LiveSession } from './session.ts'

/** Bodies beyond this travel in pieces of this size. */
export const PIECE_BYTES = 256 * 1024

/** What became of a publish. `waits`: for the commit of its fact. */
export type Placed = 'committed-with-batch' | 'done' | 'refused' | 'blocked' | 'upload'

export class Publisher {
  readonly #live: Live
  readonly #reach: Reach
  /** After `refused`. */
  refusal: CodedError | undefined
  /** What is published is this job's, for one time more. */
  firing: Job | undefined
  /** A fact tells of what was placed last. */
  recorded = false
  readonly #writer = new MessageFactWriter()
  #tooLarge: CodedError | undefined
  #transaction: LiveTransaction | undefined

  constructor(live: Live) {
    this.#live = live
    this.#reach = new Reach(live)
  }

  /** What was placed last reached no queue. */
  get unheard(): boolean {
    return this.#reach.nobody
  }

  /** After `blocked`: the full queue. */
  get blockedBy(): Queue | undefined {
    return this.#reach.blockedBy
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
    this.#transaction = options.transaction === undefined ? undefined : joined(options.transaction)
    const cannotJoin = this.#transaction?.refusal(bytes)
    if (cannotJoin !== undefined) return this.#refuse(cannotJoin)
    if (sentTo.parts !== undefined && options.retain !== 'no')
      return this.#refuse(new CodedError('unsupported', 'a list of destinations retains nothing'))
    const reach = this.#reach
    const found = reach.find(session, sentTo, message, bytes, this.#transaction)
    if (found !== 'reached') return this.#unplaced(found)
    const to = sentTo.spread?.name ?? sentTo
    const keeps = options.retain === 'set' && to.kind === 'topic' && sentTo.kind === 'topic'
    if (
      keeps &&
      live.state.retained.get(to.path) === undefined &&
      live.state.retained.size + live.transactions.retaining >= live.settings.limits.retained
    ) {
      return this.#refuse(new CodedError('limit', `limits.retained (${live.settings.limits.retained}) topics have a retained message already`))
    }
    const record = message.durable && (reach.durable.length > 0 || keeps)
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
      if (row < 0) return this.#refuse(journalFull())
    } else if (options.note !== 0) session.record.notes.add(options.note)
    const written =
      record || (this.#transaction === undefined ? this.#forgetRetained(to, options, keeps) : this.#forgetLater(this.#transaction, to, options))
    live.counters.messagesIn++
    live.counters.bytesIn += bytes
    live.recorder.note(EVENT.accepted, reach.queue?.number ?? 0, 0, REASON.none, bytes)
    const { messages } = live.state
    if (this.#transaction !== undefined) this.#join(this.#transaction, row, { message, to, acceptedAtMs: nowMs }, keeps, expiresAtMs)
    else if (reach.volatile.length > 0 || (!record && (reach.durable.length > 0 || keeps))) {
      const fresh = row === 0
      if (fresh) {
        row = messages.add(0, 0, bytes, rowFlags(message), expiresAtMs)
        if (message.deliverAtMs !== 0) messages.deliverAt.set(row, message.deliverAtMs)
      }
      // Held while it is handed round.
      messages.set(row, REFERENCES, messages.get(row, REFERENCES) + 1)
      if (fresh) messages.objects[row] = { message, to, acceptedAtMs: nowMs }
      if (!record) {
        this.#spread(reach.durable, reach.durableVias, row, message)
        if (keeps) live.state.retain(to, row, false, session.origin)
      }
      this.#spread(reach.volatile, reach.volatileVias, row, message)
      live.state.release(row)
    }
    return written ? 'committed-with-batch' : 'done'
  }

  #unplaced(found: Exclude<Found, 'reached'>): Placed {
    if (found === 'dropped') return 'done'
    return found === 'blocked' ? 'blocked' : this.#refuse(found)
  }

  #refuse(error: CodedError): Placed {
    this.refusal = error
    this.#live.recorder.note(EVENT.refused, 0, 0, error.code === 'full' ? REASON['disk-full'] : REASON.limit, 0)
    return 'refused'
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
    const reach = this.#reach
    if (!reach.name(to)) return -1
    for (const queue of reach.durable) if (queue.next !== queue.replayNext && !live.facts.writeSequence(queue, 'publish')) return -1
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
    fact.flags = (reach.bySet ? MESSAGE_FLAG.toSet : 0) | (keeps ? MESSAGE_FLAG.retain : 0) | (pieces === undefined ? 0 : MESSAGE_FLAG.large)
    if (transaction !== undefined) fact.flags |= MESSAGE_FLAG.transaction
    if (message.groupEnds) fact.flags |= MESSAGE_FLAG.groupEnds
    if (firing !== undefined) fact.flags |= MESSAGE_FLAG.job
    fact.acceptedAtMs = nowMs
    fact.expiresAtMs = expiresAtMs
    fact.deliverAtMs = message.deliverAtMs
    fact.set = reach.set
    fact.queue = reach.queue
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
    const reach = this.#reach
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
      reach.unrecorded()
    }
    if (!message.durable && reach.volatileVias.some(({ absent }) => absent === 'drop')) reach.leaveOutAbsent()
    if (reach.volatile.length > 0) record.alsoTo(reach.volatile, reach.volatileVias)
    for (const queue of reach.durable) transactions.expect(queue, row, 1)
    for (const queue of reach.volatile) transactions.expect(queue, row, 1)
    record.places += reach.places
    transactions.entries += reach.places
    if (keeps) transaction.retains()
    transaction.sent(bytes)
  }

  /** The topic forgets what it retains when the transaction is committed (a message that is not recorded then takes the place). True: the journal was told. */
  #forgetLater({ record }: LiveTransaction, to: CoreAddress, options: PublishOptions): boolean {
    if (options.retain === 'no' || to.kind !== 'topic') return false
    return this.#live.facts.defer(record.number, FACT.retainClear, this.#live.facts.writer.reset().raw(to.encoded))
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
      if (!message.durable && vias[i].absent === 'drop' && this.#reach.nobodyTakes(queue)) live.dropped(queue, REASON.absent)
      else live.state.addEntry(queue, row, vias[i], 0)
    }
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
