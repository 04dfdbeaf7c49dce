// Who was promised what, and whether it was kept: the judge of the crash test. It knows no protocol and no process; times are
// milliseconds of one clock. What it found wrong are sentences in `violations`.
//
// The promises (design.md, section 9):
//   1  acknowledged, or seen by anybody, so committed ⇒ delivered to every recipient, at least once
//   2  settlement answered ⇒ never delivered again
//   3  settlement not answered ⇒ delivered again only if it was sent in the last moments before a crash, and none after it on its connection was answered
//   4  first deliveries of one producer come in its order; within one connection all of them do
//   5  exactly-once recipients see a message once
//   6  nothing is delivered that was not sent
//   7  nothing comes before its time
//   8  what is sent again and again comes as often as it should, each time as a message of its own
import type { Judge } from './actor.ts'

export interface LedgerOptions {
  /** How long before a crash an unanswered settlement may be lost, beside what its way to the broker and a commit took then: that is measured by what publishes took. */
  readonly lazyMs: number
}

export interface RecipientOptions {
  /** Producers whose messages this recipient is owed. */
  readonly producers: readonly string[]
  readonly exactlyOnce?: boolean
  /** Each message has its own time: they come in no order. */
  readonly unordered?: boolean
  /** How many copies of each message it is owed; they are told apart by what their deliveries say. */
  readonly copies?: number
}

/** Of the settlements of a recipient that are never answered so many are kept. */
const UNANSWERED_MAX = 4_096
/** Publishes answered so long before a crash, or not at all, say how late the broker was. */
const RECENT_MS = 1_000
/** Clocks of two processes are read to a millisecond. */
const EARLY_MS = 3

export class Ledger implements Judge {
  readonly violations: string[] = []
  /** Of unanswered settlements that were lost: how long before the crash they were sent, the longest. */
  lostSettlementMs = 0
  /** How many of those. */
  lostSettlements = 0
  deliveries = 0
  redeliveries = 0
  readonly #options: LedgerOptions
  readonly #sent = new Map<string, Sent[]>()
  readonly #recipients = new Map<string, Recipient>()
  readonly #crashes: Readonly<{ atMs: number; lateMs: number }>[] = []
  /** The longest time beyond `lateMs` by which one was lost. */
  lostBeyondMs = 0

  constructor(options: LedgerOptions) {
    this.#options = options
  }

  producer(name: string): void {
    this.#sent.set(name, [])
  }

  recipient(name: string, { producers, exactlyOnce = false, unordered = false, copies = 1 }: RecipientOptions): void {
    this.#recipients.set(name, {
      exactlyOnce,
      unordered,
      copies,
      unanswered: [],
      accounts: new Map(producers.map((producer) => [producer, { entries: [], first: -1, last: -1, connection: -1, next: 0 }])),
    })
  }

  /** Numbers of one producer begin at 0 and rise by one. */
  sent(producer: string, number: number, atMs: number): void {
    const all = this.#sent.get(producer)
    if (all === undefined || all.length !== number) throw new Error(`${producer} sends ${number} out of turn`)
    all.push({ acknowledged: false, seen: false, notBeforeMs: 0, sentAtMs: atMs, acknowledgedAtMs: Number.NaN })
  }

  notBefore(producer: string, number: number, atMs: number): void {
    const message = this.#sent.get(producer)?.[number]
    if (message !== undefined) message.notBeforeMs = atMs
  }

  acknowledged(producer: string, number: number, atMs: number): void {
    const message = this.#sent.get(producer)?.[number]
    if (message === undefined) {
      this.violations.push(`${producer} ${number} was acknowledged and never sent`)
      return
    }
    message.acknowledged = true
    message.acknowledgedAtMs = atMs
  }

  get acknowledgedCount(): number {
    let count = 0
    for (const all of this.#sent.values()) for (const each of all) if (each.acknowledged) count++
    return count
  }

  /** `connection` is another number after each reconnect; `copy` tells a copy of a message from the others. */
  delivered(recipient: string, connection: number, producer: string, number: number, atMs: number, copy = ''): void {
    const message = this.#sent.get(producer)?.[number]
    const of = this.#recipients.get(recipient)
    const account = of?.accounts.get(producer)
    if (message === undefined || of === undefined || account === undefined) {
      this.violations.push(`${recipient} got ${producer} ${number}, which was never sent to it`)
      return
    }
    message.seen = true
    this.deliveries++
    const what = `${recipient} got ${producer} ${number}`
    const earlyMs = message.notBeforeMs - atMs
    if (earlyMs > EARLY_MS) this.violations.push(`${what} ${ms(earlyMs)} before its time`)
    if (account.connection !== connection) {
      account.connection = connection
      account.last = -1
    }
    if (number <= account.last && !of.unordered) this.violations.push(`${what} after ${account.last} on one connection`)
    account.last = number
    const copies = (account.entries[number] ??= new Map())
    const entry = copies.get(copy)
    if (entry === undefined) {
      if (number < account.first && !of.unordered) this.violations.push(`${what} for the first time after ${account.first}`)
      account.first = number
      copies.set(copy, { settledAtMs: Number.NaN, answered: false, count: 1 })
      if (copies.size > of.copies) this.violations.push(`${what} as ${copies.size} messages, and it is owed ${of.copies}`)
      return
    }
    this.redeliveries++
    entry.count++
    if (of.exactlyOnce) this.violations.push(`${what} ${entry.count} times`)
    if (entry.answered) this.violations.push(`${what} again, ${ms(atMs - entry.settledAtMs)} after a settlement that was answered`)
    else if (!Number.isNaN(entry.settledAtMs)) this.#lost(what, entry.settledAtMs)
    entry.settledAtMs = Number.NaN
  }

  /** The recipient's settlement leaves. */
  settling(recipient: string, producer: string, number: number, atMs: number, copy = ''): void {
    const of = this.#recipients.get(recipient)
    const account = of?.accounts.get(producer)
    const entry = account?.entries[number]?.get(copy)
    if (of === undefined || account === undefined || entry === undefined)
      throw new Error(`${recipient} settles ${producer} ${number}, which it never got`)
    entry.settledAtMs = atMs
    const { unanswered } = of
    if (unanswered.length === UNANSWERED_MAX) unanswered.splice(0, UNANSWERED_MAX / 2)
    unanswered.push({ entry, connection: account.connection })
  }

  /** The broker's answer to it came. Those before it on the same connection are durable too: a batch holds what was settled before it was closed. */
  answered(recipient: string, producer: string, number: number, copy = ''): void {
    const of = this.#recipients.get(recipient)
    const account = of?.accounts.get(producer)
    const entry = account?.entries[number]?.get(copy)
    if (of === undefined || account === undefined || entry === undefined) return
    entry.answered = true
    const at = of.unanswered.findLastIndex((each) => each.entry === entry)
    for (const each of of.unanswered.splice(0, at + 1)) if (each.connection === account.connection) each.entry.answered = true
  }

  crashed(atMs: number): void {
    this.#crashes.push({ atMs, lateMs: this.#lateMs(atMs) })
  }

  /** How long publishes took shortly before: of those that had no answer, until now. */
  #lateMs(crashMs: number): number {
    const sinceMs = this.#crashes.at(-1)?.atMs ?? 0
    let lateMs = 0
    for (const all of this.#sent.values()) {
      for (let i = all.length - 1; i >= 0 && all[i].sentAtMs >= sinceMs; i--) {
        const { sentAtMs, acknowledged, acknowledgedAtMs } = all[i]
        const endMs = acknowledged ? acknowledgedAtMs : crashMs
        if (endMs > crashMs - RECENT_MS) lateMs = Math.max(lateMs, endMs - sentAtMs)
      }
    }
    return lateMs
  }

  /** What is owed and did not come, at most `limit` of it. */
  missing(limit = 20): string[] {
    const found: string[] = []
    for (const [name, recipient] of this.#recipients) {
      for (const [producer, account] of recipient.accounts) {
        const all = this.#sent.get(producer) ?? []
        // What came does not go away: begin where everything before is settled.
        let whole = true
        for (let number = account.next; number < all.length && found.length < limit; number++) {
          const message = all[number]
          const copies = account.entries[number]?.size ?? 0
          const came = copies >= recipient.copies
          if (message !== undefined && (message.acknowledged || message.seen) && !came) {
            const why = message.acknowledged ? 'acknowledged' : 'seen by another, so committed'
            found.push(
              `${name} never got ${producer} ${number} (${why})${copies === 0 ? '' : `, ${recipient.copies - copies} of its ${recipient.copies} copies`}`,
            )
          }
          whole &&= came
          if (whole) account.next = number
        }
      }
    }
    return found
  }

  #lost(what: string, settledAtMs: number): void {
    const crash = this.#crashes.find(({ atMs }) => atMs >= settledAtMs)
    if (crash === undefined) {
      this.violations.push(`${what} again after it was settled, without a crash`)
      return
    }
    const before = crash.atMs - settledAtMs
    this.lostSettlements++
    this.lostSettlementMs = Math.max(this.lostSettlementMs, before)
    this.lostBeyondMs = Math.max(this.lostBeyondMs, before - crash.lateMs)
    if (before > this.#options.lazyMs + crash.lateMs) {
      const late = `publishes took ${ms(crash.lateMs)} then`
      this.violations.push(`${what} again although it was settled ${ms(before)} before the crash, and ${late}`)
    }
  }
}

interface Sent {
  acknowledged: boolean
  /** Somebody got it, so it was committed. */
  seen: boolean
  notBeforeMs: number
  sentAtMs: number
  acknowledgedAtMs: number
}

interface Entry {
  /** NaN: not settled since it was last delivered. */
  settledAtMs: number
  answered: boolean
  count: number
}

interface PairAccount {
  /** By number, then by copy. */
  readonly entries: (Map<string, Entry> | undefined)[]
  /** Highest number delivered. */
  first: number
  /** Last number delivered on this connection. */
  last: number
  connection: number
  /** Everything before came. */
  next: number
}

interface Recipient {
  readonly exactlyOnce: boolean
  readonly unordered: boolean
  readonly copies: number
  /** Settlements without an answer, in the order in which they left. */
  readonly unanswered: Readonly<{ entry: Entry; connection: number }>[]
  readonly accounts: Map<string, PairAccount>
}

function ms(value: number): string {
  return `${value.toFixed(1)} ms`
}
