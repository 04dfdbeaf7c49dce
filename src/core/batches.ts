// What the commit of a batch sets free: entries to make ready, tickets to answer, objects that need not be kept any longer.
import type { Held } from './messages.ts'
import type { Live } from './live.ts'
import { mark } from '../loop-gap.ts'
import { EVENT, REASON } from './recorder.ts'
import type { LiveSession } from './session.ts'

/** What waits for one batch of the journal. */
interface Batch {
  readonly number: number
  /** Entries to make ready. */
  readonly rows: number[]
  /** Messages whose objects are kept until they have been dispatched once. */
  readonly messages: number[]
  readonly held: Held[]
  /** Sessions with tickets in it, each with its last one. */
  readonly sessions: LiveSession[]
  readonly tickets: number[]
  /** Sessions with a piece of a large body in it. */
  readonly uploads: LiveSession[]
}

export class Batches {
  readonly #live: Live
  /** Oldest first; the last one may still gather. */
  readonly #batches: Batch[] = []
  /** Sessions whose last ticket waits for nothing. */
  #idle: LiveSession[] = []

  constructor(live: Live) {
    this.#live = live
  }

  /** Something waits for a commit. */
  get waiting(): boolean {
    return this.#batches.length > 0
  }

  /** The entry is made ready with the batch of its fact; one without a fact (behind one that has) with the youngest there is. */
  await(row: number, durable: boolean): void {
    const batch = durable ? this.#batch() : this.#batches[this.#batches.length - 1]
    batch.rows.push(row)
  }

  /** The batch of the last fact. */
  #batch(): Batch {
    const number = this.#live.facts.batch
    const last = this.#batches[this.#batches.length - 1]
    if (last !== undefined && last.number >= number) return last
    const batch: Batch = { number, rows: [], messages: [], held: [], sessions: [], tickets: [], uploads: [] }
    this.#batches.push(batch)
    return batch
  }

  /** The session's next ticket; `waits`: for the commit of what was just admitted. */
  ticket(session: LiveSession, waits: boolean): number {
    const ticket = ++session.lastTicket
    if (waits) {
      const batch = this.#batch()
      if (session.waitsFor === batch.number) batch.tickets[session.waitsAt] = ticket
      else {
        session.waitsFor = batch.number
        session.waitsAt = batch.sessions.push(session) - 1
        batch.tickets.push(ticket)
      }
      this.#live.journal.urge()
    } else if (session.waitsFor === 0) {
      if (!session.idle) {
        session.idle = true
        this.#idle.push(session)
      }
      this.#live.wake()
    }
    return ticket
  }

  /** The session's `uploadCommitted` is called after the commit of what was just admitted. Answers that batch. */
  notify(session: LiveSession): number {
    const batch = this.#batch()
    batch.uploads.push(session)
    this.#live.journal.urge()
    return batch.number
  }

  /** The message's object is kept until its batch is committed and dispatched. */
  keep(message: number, held: Held): void {
    const batch = this.#batch()
    this.#live.state.messages.objects[message] = held
    batch.messages.push(message)
    batch.held.push(held)
  }

  committed(number: number): void {
    const done: Batch[] = []
    mark('commit', number)
    while (this.#batches.length > 0 && this.#batches[0].number <= number) {
      const batch = this.#batches.shift()
      if (batch === undefined) break
      done.push(batch)
      this.#live.recorder.note(EVENT.committed, 0, batch.number, REASON.none, batch.rows.length)
      for (const row of batch.rows) this.#live.places.commitEntry(row)
    }
    for (const batch of done) this.#answer(batch)
    this.#live.run()
    const { objects } = this.#live.state.messages
    for (const batch of done) {
      const { messages, held } = batch
      for (let i = 0; i < messages.length; i++) if (objects[messages[i]] === held[i]) objects[messages[i]] = undefined
    }
  }

  #answer(batch: Batch): void {
    const { sessions, tickets } = batch
    for (let i = 0; i < sessions.length; i++) {
      const session = sessions[i]
      if (session.over) continue
      let upTo = tickets[i]
      if (session.waitsFor === batch.number) {
        // Nothing later waits: what came after needs no commit.
        session.waitsFor = 0
        upTo = session.lastTicket
      }
      this.#tellDone(session, upTo)
    }
    for (const session of batch.uploads) session.uploadCommitted(batch.number)
  }

  #tellDone(session: LiveSession, upTo: number): void {
    try {
      session.replies.done(upTo)
    } catch (error) {
      this.#live.faulty(session, error)
    }
  }

  /** Tickets that wait for no commit are answered at the end of the turn. */
  answerIdle(): void {
    const idle = this.#idle
    if (idle.length === 0) return
    this.#idle = []
    for (const session of idle) {
      session.idle = false
      if (!session.over && session.waitsFor === 0) this.#tellDone(session, session.lastTicket)
    }
  }
}
