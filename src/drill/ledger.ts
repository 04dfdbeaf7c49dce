// Who was promised what, and whether it was kept: the judge of a round. It knows no protocol, process or clock.
// Its memory is that of one round: `endRound` forgets what is settled and keeps the numbers whose outcome nobody was told.
//
//   acknowledged                  ⇒ every recipient gets it, once at least        else lost
//   settlement answered           ⇒ not delivered again                           else redelivered
//   recipient of exactly once     ⇒ not delivered twice                           else repeated
//   first deliveries of a producer come in its order                              else reordered
//   nothing is delivered that was not sent                                        else invented

/** `duplicated` is what the protocols allow; the rest must be 0. */
export type Counts = {
  acknowledged: number
  delivered: number
  duplicated: number
  lost: number
  redelivered: number
  repeated: number
  reordered: number
  invented: number
}

export const FORBIDDEN = ['lost', 'redelivered', 'repeated', 'reordered', 'invented'] as const

export type RecipientOptions = Readonly<{ producers: readonly string[]; exactlyOnce?: boolean }>

/** Sentences kept of one round, and of them about one client; the counts go on. */
const SENTENCES_MAX = 60
const SENTENCES_OF_ONE_MAX = 6
/** Numbers of unknown outcome kept of one producer; the oldest are forgotten first. */
const UNDECIDED_MAX = 10_000

export class Ledger {
  readonly #producers = new Map<string, ProducerAccount>()
  readonly #recipients = new Map<string, Recipient>()
  #counts = noCounts()
  #sentences: string[] = []
  /** How many there are about each client. */
  readonly #sentencesOf = new Map<string, number>()

  producer(name: string): void {
    this.#producers.set(name, { floor: 0, next: 0, sent: new Map() })
  }

  recipient(name: string, { producers, exactlyOnce = false }: RecipientOptions): void {
    const accounts = new Map(producers.map((producer) => [producer, { entries: new Map(), highest: -1, undecided: new Set<number>() }]))
    this.#recipients.set(name, { exactlyOnce, accounts })
  }

  /** Numbers of one producer begin at 0 and rise by one. */
  sent(producer: string, number: number): void {
    const account = this.#account(producer)
    if (account.next !== number) throw new Error(`${producer} sends ${number} out of turn`)
    account.next++
    account.sent.set(number, { copies: 1, acknowledged: false })
  }

  /** The same message sent once more because nobody answered: a second delivery is no fault then. */
  sentAgain(producer: string, number: number): void {
    const sent = this.#account(producer).sent.get(number)
    if (sent !== undefined) sent.copies++
  }

  acknowledged(producer: string, number: number): void {
    const account = this.#account(producer)
    const sent = account.sent.get(number)
    if (sent === undefined) {
      if (number >= account.next) this.#wrong('invented', producer, `${producer} ${number} was acknowledged and never sent`)
      // Else of an earlier round that has been judged: no connection lasts so long.
      return
    }
    if (sent.acknowledged) return
    sent.acknowledged = true
    this.#counts.acknowledged++
  }

  delivered(recipient: string, producer: string, number: number): void {
    const account = this.#producers.get(producer)
    const of = this.#recipients.get(recipient)
    const box = of?.accounts.get(producer)
    const what = `${recipient} got ${producer} ${number}`
    if (account === undefined || of === undefined || box === undefined || number >= account.next) {
      this.#wrong('invented', recipient, `${what}, which was never sent to it`)
      return
    }
    this.#counts.delivered++
    const entry = box.entries.get(number)
    if (entry === undefined && (number >= account.floor || box.undecided.delete(number))) {
      if (number < box.highest) this.#wrong('reordered', recipient, `${what} for the first time after ${box.highest}`)
      box.highest = Math.max(box.highest, number)
      box.entries.set(number, { answered: 0 })
      return
    }
    this.#counts.duplicated++
    if (of.exactlyOnce) this.#wrong('repeated', recipient, `${what} more than once`)
    else if (entry !== undefined && entry.answered >= (account.sent.get(number)?.copies ?? 1))
      this.#wrong('redelivered', recipient, `${what} again after its settlement was answered`)
    else if (entry === undefined && box.answersAll === true)
      this.#wrong('redelivered', recipient, `${what} again, of an earlier round, in which its settlement was answered`)
  }

  /** The broker's answer to the settlement of one delivery came. */
  answered(recipient: string, producer: string, number: number): void {
    const box = this.#recipients.get(recipient)?.accounts.get(producer)
    const entry = box?.entries.get(number)
    if (box === undefined || entry === undefined) return
    entry.answered++
    box.answersAll ??= true
  }

  /** What went wrong beside the deliveries. */
  note(sentence: string): void {
    if (this.#sentences.length < SENTENCES_MAX) this.#sentences.push(sentence)
  }

  /** How many deliveries there were in this round: it rests when this does. */
  get deliveries(): number {
    return this.#counts.delivered
  }

  /** Whether everything that was acknowledged has come. */
  get settled(): boolean {
    for (const _ of this.#missing()) return false
    return true
  }

  /** Judges what is still missing as lost, answers the round's counts and sentences, and forgets the round. */
  endRound(): Readonly<{ counts: Readonly<Counts>; sentences: readonly string[] }> {
    for (const { name, sentence } of this.#missing()) this.#wrong('lost', name, sentence)
    const round = { counts: this.#counts, sentences: this.#sentences }
    this.#counts = noCounts()
    this.#sentences = []
    this.#sentencesOf.clear()
    for (const { accounts } of this.#recipients.values()) {
      for (const [producer, box] of accounts) {
        for (const number of this.#account(producer).sent.keys()) if (!box.entries.has(number)) box.undecided.add(number)
        for (const number of box.undecided) {
          if (box.undecided.size <= UNDECIDED_MAX) break
          box.undecided.delete(number)
        }
        box.entries.clear()
      }
    }
    for (const account of this.#producers.values()) {
      account.floor = account.next
      account.sent.clear()
    }
    return round
  }

  *#missing(): Generator<Readonly<{ name: string; sentence: string }>> {
    for (const [name, { accounts }] of this.#recipients) {
      for (const [producer, { entries }] of accounts) {
        for (const [number, { acknowledged }] of this.#account(producer).sent)
          if (acknowledged && !entries.has(number)) yield { name, sentence: `${name} never got ${producer} ${number}, which was acknowledged` }
      }
    }
  }

  #account(producer: string): ProducerAccount {
    const account = this.#producers.get(producer)
    if (account === undefined) throw new Error(`${producer} is not in the ledger`)
    return account
  }

  #wrong(kind: (typeof FORBIDDEN)[number], name: string, sentence: string): void {
    this.#counts[kind]++
    const before = this.#sentencesOf.get(name) ?? 0
    this.#sentencesOf.set(name, before + 1)
    if (before < SENTENCES_OF_ONE_MAX) this.note(sentence)
  }
}

interface ProducerAccount {
  /** Numbers below are of rounds that have ended. */
  floor: number
  next: number
  readonly sent: Map<number, { copies: number; acknowledged: boolean }>
}

interface Box {
  readonly entries: Map<number, { answered: number }>
  /** Highest number delivered. */
  highest: number
  /** Of earlier rounds: sent, never acknowledged, never delivered. */
  readonly undecided: Set<number>
  /** Its settlements are answered, and each round ends only when all are. */
  answersAll?: boolean
}

interface Recipient {
  readonly exactlyOnce: boolean
  readonly accounts: Map<string, Box>
}

export function noCounts(): Counts {
  return { acknowledged: 0, delivered: 0, duplicated: 0, lost: 0, redelivered: 0, repeated: 0, reordered: 0, invented: 0 }
}
