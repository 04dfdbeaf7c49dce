// What everybody was told, and whether it fits together: the invariants of design.md 9 as checks. It knows no disk and no schedule; whoever sees something says it here,
// and the first thing that does not fit is kept.
import { crc32 } from '../../src/journal/crc.ts'
import { bodyOf, Place, type Sent, type ToSend } from './sent.ts'
import { Work } from './work.ts'

/** The properties that a violation can be of, with what each promises. */
export const INVARIANTS = {
  'acknowledged-is-kept': 'invariant 1: what was acknowledged or delivered is delivered, settled, or still there',
  'successor-has-all': 'invariant 2: what was acknowledged, every successor has',
  'no-late-commit': 'invariant 2: nothing is acknowledged by a commit whose look came after a higher claim, or after a successor began to read',
  'settled-stays-settled': 'invariant 3: what was settled and answered, or settled in a committed batch, is not delivered again',
  'all-or-none': 'invariant 4: a publish to several queues reaches all its durable ones or none; a transaction is seen whole or not at all',
  'in-order': 'invariant 5: per queue and producer, order is kept',
  'as-often-as-planned': 'a message that is sent again and again is sent as often as its plan says, each time as one entry',
  'not-early': 'nobody is given a message before its time',
  'as-selected': 'a consumer with a selector is given what that takes, and nothing else',
  'one-consumer-a-group': 'the messages of a group that are in hands are in those of one consumer',
  'same-state': 'invariant 9: equal digests at equal batches',
  'one-history': 'a batch that anybody was told stays what it was: nothing that a reader applied is ever undone',
  'one-number-once': 'queue and sequence name one message for life',
  'refused-has-no-effect': 'a refused message is never delivered',
  'true-bytes': 'a body comes back as it was sent',
  'look-after-stall': 'a leader that stood still delivers nothing before it has looked',
  'one-leader-an-epoch': 'two nodes never hold one epoch',
  'no-needless-claim': 'a standby claims only when the leader is dead, has released, or was silent for a lease',
  'no-false-damage': 'damage is found only where it was done',
  'can-lead': 'whatever happened, a healthy node can lead in the end',
  'a-standby-catches-up': 'a healthy standby becomes warm beside a healthy leader',
  'no-crash': 'nothing throws that should not',
} as const

export type Invariant = keyof typeof INVARIANTS

export class Violation extends Error {
  readonly invariant: Invariant

  constructor(invariant: Invariant, sentence: string) {
    super(`${invariant}: ${sentence}`)
    this.name = 'Violation'
    this.invariant = invariant
  }
}

export class History {
  violation: Violation | undefined
  /** Bits were flipped: what is read may be damaged, and a node may refuse to read it. Then the history ends. */
  mayBeDamaged = false
  ended = false
  /** A read failed: what cannot be read stays on its queue, and those behind it go first. */
  mayPassOver = false
  readonly sent = new Map<string, Sent>()
  readonly works: Work[] = []
  readonly counts = {
    acknowledged: 0,
    delivered: 0,
    answered: 0,
    refused: 0,
    batches: 0,
    digests: 0,
    servedDamaged: 0,
    committed: 0,
    undone: 0,
    repeated: 0,
    delayed: 0,
    selected: 0,
    grouped: 0,
  }
  /** The newest epoch whose leader has read and begun, and the newest whose claimant may read. */
  activeEpoch = 0
  readingEpoch = 0
  /** Changes with everything that happens: equal for equal histories. */
  hash = 0
  onTrace: ((line: string) => void) | undefined
  readonly #contents = new Map<number, Readonly<{ epoch: number; crc: number; by: string }>>()
  readonly #committed = new Map<number, number>()
  /** The last committed batch of each epoch. */
  readonly #lastOf = new Map<number, number>()
  #lastCommitted = 0
  readonly #digests = new Map<number, Readonly<{ digest: string; by: string }>>()
  readonly #numbers = new Map<string, string>()
  /** By queue, producer and stream, the newest that was given out. */
  readonly #newest = new Map<string, Sent>()
  #order = 0

  violate(invariant: Invariant, sentence: string): void {
    if (this.violation !== undefined) return
    this.trace(`violation ${invariant}: ${sentence}`)
    this.violation = new Violation(invariant, sentence)
  }

  trace(line: string): void {
    this.hash = crc32(Buffer.from(line), this.hash)
    this.onTrace?.(line)
  }

  // ---- Batches

  /** The leader of `epoch` is about to tell its clients. */
  committed(epoch: number, batch: number, by: string): void {
    this.counts.batches += 1
    this.trace(`${by} committed ${batch} of ${epoch}`)
    if (this.readingEpoch > epoch)
      this.violate(
        'no-late-commit',
        `${by} committed batch ${batch} of epoch ${epoch} after the claimant of epoch ${this.readingEpoch} had begun to read`,
      )
    const earlier = this.#committed.get(batch)
    if (earlier !== undefined) this.violate('one-history', `batch ${batch} was committed in epoch ${earlier} and again in ${epoch}`)
    this.#committed.set(batch, epoch)
    this.#lastCommitted = Math.max(this.#lastCommitted, batch)
    this.#lastOf.set(epoch, batch)
  }

  /** A reader was told this batch, whose facts have this sum. */
  told(batch: number, epoch: number, crc: number, by: string): void {
    const leader = this.#committed.get(batch)
    if (leader !== undefined && leader !== epoch)
      this.violate('successor-has-all', `${by} was told batch ${batch} of epoch ${epoch}; epoch ${leader} had committed another of that number`)
    const known = this.#contents.get(batch)
    if (known === undefined) this.#contents.set(batch, { epoch, crc, by })
    else if (known.epoch !== epoch || known.crc !== crc)
      this.violate('one-history', `batch ${batch} was told to ${known.by} as of epoch ${known.epoch}, and to ${by} as another of epoch ${epoch}`)
  }

  /** A reader goes from one batch to a later one. */
  passed(from: number, to: number, by: string): void {
    for (let batch = from + 1; batch < to; batch++) {
      const epoch = this.#committed.get(batch)
      if (epoch !== undefined)
        this.violate('successor-has-all', `${by} was told batch ${to} after ${from}: ${batch}, committed in epoch ${epoch}, is left out`)
    }
  }

  /** The claimant of `epoch` may read from now on. */
  reads(epoch: number): void {
    this.readingEpoch = Math.max(this.readingEpoch, epoch)
  }

  /** A node has read everything up to `batch` and leads `epoch`. */
  leads(epoch: number, batch: number, by: string): void {
    this.trace(`${by} leads ${epoch} behind ${batch}`)
    this.activeEpoch = Math.max(this.activeEpoch, epoch)
    for (let lost = batch + 1; lost <= this.#lastCommitted; lost++) {
      const committedIn = this.#committed.get(lost)
      if (committedIn !== undefined && committedIn < epoch) {
        this.violate('successor-has-all', `${by} leads epoch ${epoch} with what ends at batch ${batch}; epoch ${committedIn} had committed ${lost}`)
        return
      }
    }
  }

  digest(batch: number, digest: string, by: string): void {
    this.counts.digests += 1
    const known = this.#digests.get(batch)
    if (known === undefined) this.#digests.set(batch, { digest, by })
    else if (known.digest !== digest) this.violate('same-state', `at batch ${batch} ${by} has another state than ${known.by}`)
  }

  hasDigest(batch: number): boolean {
    return this.#digests.has(batch)
  }

  // ---- Messages

  send(to: ToSend): Sent {
    const { client, number, sizeBytes, durable, queues, priority = 4, group = '', colour = '', deliverAtMs = 0, times = 0 } = to
    const id = `${client}-${number}`
    const places = new Map(queues.map((queue) => [queue, new Place()]))
    const stream = deliverAtMs > 0 || times > 0 ? undefined : `${priority} ${group} ${colour}`
    const order = ++this.#order
    const rest = { priority, group, colour, deliverAtMs, times, work: undefined }
    const sent: Sent = { id, client, number, body: bodyOf(id, sizeBytes), durable, told: 'unknown', places, order, stream, ...rest }
    this.sent.set(id, sent)
    return sent
  }

  // ---- Transactions

  begin(name: string, epoch: number): Work {
    const work = new Work(name, epoch)
    this.works.push(work)
    return work
  }

  /** Its messages take their places now, if it is committed. */
  commits(work: Work): void {
    this.trace(`${work.name} is to be committed`)
    work.fate = 'asked'
    for (const sent of work.sends) sent.order = ++this.#order
  }

  committedWork(work: Work): void {
    this.counts.committed += 1
    this.trace(`${work.name} is committed`)
    work.commit()
  }

  undone(work: Work): void {
    this.counts.undone += 1
    this.trace(`${work.name} is undone`)
    work.undo()
    for (const sent of work.sends)
      for (const [queue, place] of sent.places)
        if (place.delivered) this.violate('all-or-none', `${sent.id} of ${work.name}, which is undone, had been delivered from ${queue}`)
  }

  acknowledged(sent: Sent): void {
    this.counts.acknowledged += 1
    this.trace(`acknowledged ${sent.id}`)
    sent.told = 'acknowledged'
  }

  refused(sent: Sent): void {
    this.counts.refused += 1
    sent.told = 'refused'
    for (const [queue, place] of sent.places)
      if (place.delivered) this.violate('refused-has-no-effect', `${sent.id} was refused after it had been delivered from ${queue}`)
  }

  answered(place: Place): void {
    this.counts.answered += 1
    place.settled = 'answered'
  }

  /** `deposed`: a higher claim is there, which the leader that delivers has not seen yet: what its successor did, it cannot know. */
  delivered(
    body: Uint8Array,
    queue: string,
    number: string,
    epoch: number,
    deposed: boolean,
    by: string,
  ): Readonly<{ sent: Sent; place: Place }> | undefined {
    this.counts.delivered += 1
    const begin = Buffer.from(body.subarray(0, 24)).toString('latin1')
    const id = begin.slice(0, Math.max(0, begin.indexOf(';')))
    this.trace(`${by} delivers ${id} from ${queue}`)
    const sent = this.sent.get(id)
    const place = this.#placeOf(sent, queue, number)
    if (sent === undefined || place === undefined || sent.body.compare(body) !== 0) {
      if (this.mayBeDamaged && sent !== undefined && sent.body.length === body.length) {
        this.ended = true
        this.counts.servedDamaged += 1
        return undefined
      }
      this.violate('true-bytes', `${by} delivered from ${queue} what nobody sent there: ${body.length} bytes that begin with "${begin}"`)
      return undefined
    }
    if (sent.told === 'refused') this.violate('refused-has-no-effect', `${id} was refused, and ${by} delivers it`)
    const named = this.#numbers.get(number)
    if (named === undefined) this.#numbers.set(number, id)
    else if (named !== id) this.violate('one-number-once', `${number} of ${queue} was ${named} and is ${id}`)
    if (!deposed && place.settled === 'answered')
      this.violate('settled-stays-settled', `${id} was settled, answered, and ${by} delivers it again from ${queue} in epoch ${epoch}`)
    else if (!deposed && place.settled === 'asked' && (place.epoch === epoch || place.batch <= (this.#lastOf.get(place.epoch) ?? 0)))
      this.violate(
        'settled-stays-settled',
        `${id} was settled by batch ${place.batch} of epoch ${place.epoch}, and ${by} delivers it again from ${queue} in epoch ${epoch}`,
      )
    const { work } = sent
    if (work?.fate === 'open') this.violate('all-or-none', `${id} of ${work.name}, which is open, is delivered by ${by}`)
    if (place.settled === 'claimed') this.#cameBack(id, place, epoch, deposed, by)
    if (!deposed && !place.delivered) this.#inOrder(sent, queue, by)
    place.delivered = true
    return { sent, place }
  }

  #placeOf(sent: Sent | undefined, queue: string, number: string): Place | undefined {
    const place = sent?.places.get(queue)
    if (sent === undefined || place === undefined || sent.times === 0) return place
    let copy = place.copies.get(number)
    if (copy === undefined) {
      this.counts.repeated += 1
      place.copies.set(number, (copy = new Place()))
      if (place.copies.size > sent.times)
        this.violate('as-often-as-planned', `${sent.id} is on ${queue} for the ${place.copies.size}th time, and is to be sent ${sent.times} times`)
    }
    return copy
  }

  /** A transaction has settled it. */
  #cameBack(id: string, place: Place, epoch: number, deposed: boolean, by: string): void {
    const { work } = place
    if (work === undefined || epoch < work.epoch) return
    const decided = work.fate === 'committed' || (work.fate === 'asked' && work.batch <= (this.#lastOf.get(work.epoch) ?? 0))
    if (epoch === work.epoch || (decided && !deposed)) {
      this.violate('settled-stays-settled', `${id} was settled by ${work.name} (${work.fate}), and ${by} delivers it again in epoch ${epoch}`)
      return
    }
    work.back.add(place)
    place.work = undefined
    place.settled = 'no'
  }

  /** What is given out for the first time keeps its producer's order, whoever gets it; what comes again comes when it comes. */
  #inOrder(sent: Sent, queue: string, by: string): void {
    if (sent.stream === undefined) return
    const key = `${queue} ${sent.client} ${sent.stream}`
    const newest = this.#newest.get(key)
    if (newest !== undefined && sent.order < newest.order && !this.mayPassOver)
      this.violate('in-order', `${by} delivers ${sent.id} from ${queue} for the first time after ${newest.id} of its producer`)
    if (newest === undefined || sent.order > newest.order) this.#newest.set(key, sent)
  }

  /** Everything that is on the queues in the end, in the order in which it comes. `fresh`: of a leader that never passed anything over. */
  last(queues: ReadonlyMap<string, readonly string[]>, unread: ReadonlyMap<string, number>, fresh: boolean): void {
    for (const [queue, ids] of queues) {
      // Where bits were flipped, so many are on the queue and cannot be read.
      let damaged = this.mayBeDamaged ? (unread.get(queue) ?? 0) : 0
      const there = new Set(ids)
      if (there.size < ids.length) this.violate('one-history', `${queue} holds a message twice`)
      const newest = new Map<string, Sent>()
      for (const id of ids) {
        const sent = this.sent.get(id)
        if (sent?.stream === undefined) continue
        const key = `${sent.client} ${sent.stream}`
        const before = newest.get(key)
        if (before !== undefined && sent.order < before.order && (fresh || !this.mayPassOver))
          this.violate('in-order', `${queue} gives ${id} after ${before.id} of its producer`)
        newest.set(key, sent)
      }
      for (const sent of this.sent.values()) {
        const place = sent.places.get(queue)
        if (place === undefined || !sent.durable || there.has(sent.id) || place.settled !== 'no' || sent.times > 0) continue
        if ((sent.told === 'acknowledged' || place.delivered) && damaged-- > 0) continue
        if (sent.told === 'acknowledged')
          this.violate('acknowledged-is-kept', `${sent.id} was acknowledged, nobody settled it, and it is not on ${queue}`)
        else if (place.delivered)
          this.violate('acknowledged-is-kept', `${sent.id} was delivered from ${queue}, nobody settled it, and it is not there`)
      }
    }
    if (this.mayBeDamaged) return
    const isThere = (sent: Sent, queue: string): boolean =>
      sent.places.get(queue)?.delivered === true || queues.get(queue)?.includes(sent.id) === true
    for (const work of this.works) {
      const halves = work.halves(isThere)
      if (halves !== undefined) this.violate('all-or-none', halves)
    }
    for (const sent of this.sent.values()) {
      if (sent.places.size < 2 || !sent.durable || sent.times > 0) continue
      const reached = [...sent.places.keys()].map((queue) => isThere(sent, queue))
      if (reached.includes(true) && reached.includes(false))
        this.violate('all-or-none', `${sent.id} reached ${reached.filter(Boolean).length} of ${reached.length} queues`)
    }
  }
}

/** Whether what is sent again and again came as often as it should. Once nobody is to send it any more. */
export function timesOf(history: History): void {
  for (const sent of history.sent.values()) {
    if (sent.times === 0) continue
    for (const [queue, { copies }] of sent.places) {
      if (copies.size === sent.times || (copies.size === 0 && sent.told !== 'acknowledged')) continue
      history.violate(
        'as-often-as-planned',
        `${sent.id} (${sent.told}) came to ${queue} ${copies.size} times, and was to be sent ${sent.times} times`,
      )
    }
  }
}
