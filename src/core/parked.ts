// Publishes of one session that wait: for room on a full queue, or for a large body's pieces to be on disk. They keep their order;
// the session's other calls pass them, so that a client can settle what makes the room. Bounded by count and bytes.
import type { Message, PublishOptions, Ticket } from '../api.ts'
import { CodedError } from '../errors.ts'
import { FACT } from '../journal/facts.ts'
import type { Range } from '../journal/journal.ts'
import type { CoreAddress } from './addresses.ts'
import type { Live } from './live.ts'
import { joined, LiveTransaction } from './live-transaction.ts'
import type { Membership } from './membership.ts'
import { PIECE_BYTES } from './publish.ts'
import { journalFull } from './refusals.ts'
import type { Queue } from './queue.ts'
import { EVENT, REASON } from './recorder.ts'
import type { LiveSession } from './session.ts'

interface Parked {
  readonly to: CoreAddress
  readonly message: Message
  readonly options: PublishOptions
  readonly bytes: number
}

/** The large body at the head, on its way to disk one piece a commit, so that nobody waits behind it. */
interface Upload {
  readonly pieces: Range[]
  sent: number
  /** The batch that the last piece is in; 0: none is under way. */
  batch: number
}

export class ParkedPublishes {
  readonly #live: Live
  readonly #session: LiveSession
  readonly #membership: Membership
  #list: (Parked | LiveTransaction)[] = []
  #bytes = 0
  /** Who these bytes belong to in the account; 0 bytes, no owner. */
  #owner: number | undefined
  #upload: Upload | undefined

  constructor(live: Live, session: LiveSession, membership: Membership) {
    this.#live = live
    this.#session = session
    this.#membership = membership
  }

  get count(): number {
    return this.#list.length
  }

  /** Joins the end. Answers why not, if the limit is reached. */
  add(to: CoreAddress, message: Message, options: PublishOptions, blockedBy: Queue | undefined): CodedError | undefined {
    const live = this.#live
    const { limits } = live.settings
    const bytes = message.head.length + message.body.length
    if (this.#list.length >= limits.parkedMessages) {
      return new CodedError(
        'full',
        `the destination is full and limits.parkedMessages (${limits.parkedMessages}) messages of this connection wait already`,
      )
    }
    // One message may always wait, however large.
    if (this.#list.length > 0 && (this.#bytes + bytes > limits.parkedBytes || this.#membership.parkedBytes + bytes > limits.parkedTotalBytes)) {
      return new CodedError('full', `the destination is full and limits.parkedBytes (${limits.parkedBytes}) of this connection wait already`)
    }
    this.#list.push({ to, message, options, bytes })
    if (options.transaction !== undefined) joined(options.transaction).parked(this.#session)
    this.#count(bytes)
    live.recorder.note(EVENT.parked, blockedBy?.number ?? 0, 0, REASON['full-refused'], bytes)
    if (blockedBy !== undefined) this.#waitFor(blockedBy)
    else if (this.#list.length === 1) live.retry(this.#session)
    return undefined
  }

  /** The commit waits until everything that the transaction sent has an outcome, and takes its turn here. */
  addCommit(transaction: LiveTransaction): void {
    this.#list.push(transaction)
    this.#live.retry(this.#session)
  }

  /** Whatever has room now takes its place, oldest first. */
  retry(): void {
    const { publisher } = this.#membership
    while (this.#list.length > 0 && !this.#session.over) {
      const [first] = this.#list
      if (first instanceof LiveTransaction) {
        if (first.waitsForParked) return
        this.#list.shift()
        this.#count(0)
        this.#answer(first.commit())
        continue
      }
      const { to, message, options } = first
      if (options.transaction !== undefined && joined(options.transaction).rolledBack) {
        // Its client wanted nothing of it to happen, and nothing does.
        this.#shift()
        this.#session.admitted(this.#live.batches.ticket(this.#session, false))
        continue
      }
      const upload = this.#upload
      if (upload !== undefined && (upload.batch !== 0 || upload.sent < message.body.length)) {
        if (upload.batch === 0) this.#sendPiece(upload, message)
        return
      }
      const placed = publisher.place(this.#session, to, message, options, upload?.pieces)
      if (placed === 'blocked' && publisher.blockedBy !== undefined) {
        this.#waitFor(publisher.blockedBy)
        return
      }
      if (placed === 'upload') {
        this.#upload = { pieces: [], sent: 0, batch: 0 }
        this.#session.pressure(true)
        continue
      }
      this.#shift()
      if (placed === 'refused') this.#session.refused(this.#session.refusalOf(options, publisher.refusal))
      else this.#session.admitted(this.#live.batches.ticket(this.#session, placed === 'committed-with-batch'))
    }
  }

  #answer(ticket: Ticket): void {
    if (ticket === 0) this.#session.refused(this.#session.refusal ?? new CodedError('internal', 'refused without a reason'))
    else this.#session.admitted(ticket)
  }

  /** The batch with a piece is durable: the next one may go. */
  pieceCommitted(batch: number): void {
    const upload = this.#upload
    if (upload === undefined || upload.batch === 0 || upload.batch > batch) return
    upload.batch = 0
    this.#live.retry(this.#session)
  }

  /** The session is over: what waited is forgotten, unanswered. */
  clear(): void {
    const waiting = this.#list
    this.#list = []
    for (const parked of waiting) {
      if (parked instanceof LiveTransaction || parked.options.transaction === undefined) continue
      parked.options.transaction.doom(new CodedError('removed', 'a send of the transaction was given up with its session'))
      joined(parked.options.transaction).unparked()
    }
    this.#count(-this.#bytes)
    this.#endUpload()
  }

  #count(bytes: number): void {
    const { account } = this.#live
    this.#bytes += bytes
    this.#membership.parkedBytes += bytes
    this.#owner ??= account.register('parked', this.#session.record.clientId)
    account.add(this.#owner, bytes)
    if (this.#list.length > 0) return
    account.forget(this.#owner)
    this.#owner = undefined
  }

  #waitFor(queue: Queue): void {
    queue.waiters ??= new Set()
    queue.waiters.add(this.#session)
  }

  #shift(): void {
    const first = this.#list.shift()
    if (first !== undefined && !(first instanceof LiveTransaction)) {
      this.#count(-first.bytes)
      if (first.options.transaction !== undefined) joined(first.options.transaction).unparked()
    }
    if (this.#upload === undefined) return
    this.#endUpload()
    this.#session.pressure(false)
  }

  #endUpload(): void {
    for (const { segment, length } of this.#upload?.pieces ?? []) this.#live.state.messages.alive(segment, -length)
    this.#upload = undefined
  }

  #sendPiece(upload: Upload, message: Message): void {
    const live = this.#live
    const { journal } = live
    const length = Math.min(PIECE_BYTES, message.body.length - upload.sent)
    const at = journal.admit(FACT.piece, length, 'publish')
    if (at < 0) {
      this.#shift()
      this.#session.refused(journalFull())
      live.retry(this.#session)
      return
    }
    live.facts.admitted()
    journal.buffer.set(message.body.subarray(upload.sent, upload.sent + length), at)
    upload.pieces.push({ segment: journal.segment, offset: journal.offset, length })
    // Until the message's fact counts them, nobody else does: compaction must not take them for dead.
    live.state.messages.alive(journal.segment, length)
    upload.sent += length
    upload.batch = live.batches.notify(this.#session)
  }
}
