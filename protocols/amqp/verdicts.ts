// What becomes of the messages that a client sends on one link, and how it is told: when they are committed, refused, or asked for again. Hot room.
//
// A link whose target outlives it remembers by tag what became of them (remembered.ts); the link of the same name that comes after it inherits that.
// Not here: dispositions on the wire (answers.ts), what is asked of the core (incoming-link.ts).
import type { Ticket } from '../../src/api.ts'
import { Owed } from '../shared/owed.ts'
import type { Channel } from './channel.ts'
import { type AmqpError, brokerError } from './errors.ts'
import type { IncomingLink } from './incoming-link.ts'
import { ACCEPTED, ACCEPTED_BYTES, outcomeTerm } from './outcome.ts'
import type { Partial } from './partial.ts'
import type { Attach } from './performatives.ts'
import { type Fate, NOBODY, type Remembered, tagsOf } from './remembered.ts'
import type { Term } from './term.ts'
import type { OpenTransaction } from './transactions.ts'
import { TermWriter } from './writer.ts'

/** Whom to answer, once it is done: a delivery, as accepted; one that belongs to a transaction (or ends it), in a state that says more; or one that is remembered. */
export type Due = number | Stated | Fate
/** `settled`: by us, whatever the link has. `channel`: in which it has its id. */
export type Stated = Readonly<{ id: number; state: Buffer; open: OpenTransaction | undefined; settled: boolean; channel: Channel }>

export class Verdicts {
  /** Messages whose fate is open, the one that is coming in included. */
  undecided = 0
  readonly #link: IncomingLink
  readonly #channel: Channel
  /** The client settles after us. */
  readonly #second: boolean
  /** The link cannot be told that a message is rejected, but by its end. */
  readonly #byEnd: boolean
  /** What became of what came, where that outlives the link. */
  #remembered: Remembered | undefined
  /** Remembered ones that their client has yet to settle, by id. */
  readonly #half = new Map<number, Fate>()
  #owed = new Owed<Due>()
  #parked = new Owed<Due>()
  #upTo: Ticket = 0

  constructor(link: IncomingLink, channel: Channel, { byEnd, remembered }: Readonly<{ byEnd: boolean; remembered: Remembered | undefined }>) {
    this.#link = link
    this.#channel = channel
    this.#second = link.attach.receiverSettles === 1
    this.#byEnd = byEnd
    this.#remembered = remembered
  }

  /** Goes on where those of the last link of this name were left. Answers what is said of the deliveries that its client names. */
  inherit(last: Verdicts, { unsettled, incomplete }: Attach): readonly (readonly [Term, Term])[] {
    this.#owed = last.#owed
    this.#parked = last.#parked
    this.#upTo = last.#upTo
    this.#remembered = last.#remembered
    this.undecided = this.#owed.count + this.#parked.count
    return this.#remembered?.compare(tagsOf(unsettled), incomplete) ?? []
  }

  get remembers(): boolean {
    return this.#remembered !== undefined
  }

  /** Some wait for room. */
  get waits(): boolean {
    return this.#parked.count > 0
  }

  /** What a new message is owed. */
  dueOf(id: number, { tag, second }: Partial): Due {
    if (id === NOBODY) return id
    if (this.#remembered !== undefined) return this.#remembered.begin(id, tag, ACCEPTED_BYTES)
    return second === this.#second ? id : { id, state: ACCEPTED_BYTES, open: undefined, settled: true, channel: this.#channel }
  }

  /**
   * What came on an earlier link of this name is not published again: it is answered, if it is remembered, and else not heard (part 2.7.5, resume).
   * So is what its client said it has unsettled, was told of, and sends again without saying so. False: it is a new one, though its tag may be an old one's.
   */
  resumed(id: number, { tag, resume, second }: Partial): boolean {
    const fate = this.#remembered?.get(tag)
    if (!resume && (fate === undefined || fate.id !== NOBODY || !fate.named)) return false
    if (fate === undefined || id === NOBODY) {
      this.#remembered?.forget(tag)
      this.decided()
    } else if (fate.decided === undefined) {
      // It is counted already.
      this.undecided--
      fate.id = id
    } else {
      fate.id = id
      this.#tellFate(fate, fate.decided, second)
    }
    return true
  }

  /** Its client gave it up before it was whole. */
  aborted({ tag, resume }: Partial): void {
    if (resume) this.#remembered?.forget(tag)
    this.decided()
  }

  // ---- What the core answers

  /** Committed with this ticket. */
  owe(ticket: Ticket, due: Due): void {
    if (ticket <= this.#upTo) this.#accept(due)
    else this.#owed.push(ticket, due)
  }

  /** It waits for room. */
  park(due: Due): void {
    this.#parked.push(0, due)
  }

  /** The one that has waited longest, for room that is there or will not come. */
  unpark(): Due | undefined {
    return this.#parked.take(0)
  }

  done(upTo: Ticket): void {
    this.#upTo = upTo
    for (let due = this.#owed.take(upTo); due !== undefined; due = this.#owed.take(upTo)) this.#accept(due)
  }

  #accept(due: Due): void {
    if (typeof due !== 'number' && 'tag' in due) {
      this.#decideFate(due, outcomeTerm(ACCEPTED))
      return
    }
    if (this.#link.over) return
    const { answers } = this.#channel
    const second = this.#second && !(typeof due !== 'number' && due.settled)
    const id = this.#idOf(due)
    if (id === NOBODY) this.decided()
    else if (typeof due !== 'number') {
      answers.tell(id, due.state, !second, this.#link)
      if (!second) this.decided()
    } else if (second) answers.acceptFirst(id, this.#link)
    else {
      answers.accept(id)
      this.decided()
    }
  }

  /** Under which its client knows it here. What came in another session has its id there: here that is another delivery, or none. */
  #idOf(due: number | Stated): number {
    if (typeof due === 'number') return due
    return due.channel === this.#channel ? due.id : NOBODY
  }

  #decideFate(fate: Fate, state: Term): void {
    this.#remembered?.decide(fate, state)
    if (this.#link.over) return
    if (fate.id === NOBODY) this.decided()
    else this.#tellFate(fate, state, this.#second)
  }

  #tellFate(fate: Fate, state: Term, second: boolean): void {
    this.#channel.answers.tell(fate.id, new TermWriter(64).term(state).bytes(), !second, this.#link)
    if (second) this.#half.set(fate.id, fate)
    else this.decided()
  }

  /**
   * Only a link that nobody hears can refuse what is settled: it says so by its end (part 2.6.12). In a transaction it says so by the answer to the
   * discharge, since nothing of it can happen any more.
   */
  refuse(due: Due, error: AmqpError): void {
    if (typeof due !== 'number' && 'tag' in due) {
      this.#decideFate(due, outcomeTerm({ kind: 'rejected', reason: '' }, error))
      return
    }
    const open = typeof due === 'number' ? undefined : due.open
    open?.transaction.doom(brokerError('invalid', error.description))
    if (this.#link.over) return
    const id = this.#idOf(due)
    if (open === undefined && (id === NOBODY || this.#byEnd)) {
      this.#link.fail(error)
      return
    }
    const { answers } = this.#channel
    if (open === undefined) answers.reject(id, error)
    else if (id !== NOBODY) answers.tell(id, open.state({ kind: 'rejected', reason: '' }, error), true, this.#link)
    this.decided()
  }

  /** The client has settled too (rcv-settle-mode second). */
  settledByBoth(id: number): void {
    const fate = this.#half.get(id)
    if (fate !== undefined) {
      this.#half.delete(id)
      this.#remembered?.forget(fate.tag)
    }
    this.decided()
  }

  /** One more has its fate. */
  decided(): void {
    this.undecided--
    this.#link.topUp()
  }

  /** Their client is away, and may come back. */
  suspend(): void {
    this.#half.clear()
  }

  /** It did not come back. */
  forget(): void {
    this.#remembered = undefined
  }
}
