// Who is given what: queues that may have something are looked at once a turn; each gives its ready entries, in order, to waiting pulls
// and to consumers with credit in turn. A hot room: no scan past entries that cannot go, and a bound on the work of one turn.
import type { Delivery } from '../api.ts'
import { FACT } from '../journal/facts.ts'
import type { Via } from './bindings.ts'
import type { CoreConsumer } from './consumer.ts'
import { ATTEMPTS, DEAD, ENTRY_FLAG, FLAGS, MARK, MESSAGE, OWNER, SEQUENCE, STATE, STATE_OF, TAG, VIA } from './entries.ts'
import { DEADLINE } from './deadlines.ts'
import { deliveryOf } from './delivery.ts'
import type { Live } from './live.ts'
import { EXPIRES, type Held, LENGTH, MESSAGE_FLAGS, MESSAGE_ROW_FLAG, REFERENCES, SEGMENT } from './messages.ts'
import type { WaitingPull } from './pull.ts'
import type { Queue } from './queue.ts'
import { enterBarred, leaveExclusive } from './exclusive.ts'
import { Line, Seat } from './seat.ts'
import { Selection } from './selection.ts'
import { EVENT, REASON } from './recorder.ts'

/** Deliveries of one turn, and queues looked at; the rest goes on in the next. */
const DELIVERIES_MAX = 4_096
const QUEUES_MAX = 8_192

export class Dispatch {
  readonly #live: Live
  /** Those whose turn is to come, from `#next` on: what one turn does not reach comes first in the next one. */
  #dirty: Queue[] = []
  #next = 0
  readonly #consumers = new Map<number, CoreConsumer>()
  #nextConsumer = 1
  #unflushed: CoreConsumer[] = []
  /** Those that want to be told when nothing can be handed to them. */
  readonly #awaitIdle = new Set<CoreConsumer>()
  /** Those with seats that rest although there is credit. */
  readonly #roused = new Set<CoreConsumer>()
  #budget = 0
  #nowMs = 0

  constructor(live: Live) {
    this.#live = live
  }

  /** Queues that wait for their turn. */
  get waiting(): number {
    return this.#dirty.length - this.#next
  }

  get consumers(): number {
    return this.#consumers.size
  }

  touch(queue: Queue): void {
    if (queue.scheduled || !queue.alive) return
    queue.scheduled = true
    this.#dirty.push(queue)
  }

  // ---- Consumers

  number(): number {
    return this.#nextConsumer++
  }

  add(consumer: CoreConsumer): void {
    this.#consumers.set(consumer.number, consumer)
  }

  remove(consumer: CoreConsumer): void {
    this.#consumers.delete(consumer.number)
    this.#awaitIdle.delete(consumer)
  }

  awaitIdle(consumer: CoreConsumer): void {
    this.#awaitIdle.add(consumer)
  }

  attach(consumer: CoreConsumer, queue: Queue): void {
    const seat = new Seat(consumer, queue, this.#lineFor(consumer, queue))
    // An array of one is made as such: pushing to an empty one takes room for many, and most queues have one consumer.
    if (queue.seats === undefined || queue.seats.length === 0) queue.seats = [seat]
    else seat.atQueue = queue.seats.push(seat) - 1
    if (consumer.seats.length === 0) consumer.seats = [seat]
    else seat.atConsumer = consumer.seats.push(seat) - 1
    if (queue.exclusive !== undefined || consumer.exclusive === 'wait') enterBarred(seat)
    else seat.stand()
    queue.groups?.share()
    if (queue.readyCount !== 0) this.#live.touch(queue)
  }

  /** Those with which the consumer takes turns: all that take everything, or all with the same selector. */
  #lineFor({ selector, priority }: CoreConsumer, queue: Queue): Line {
    if (selector === undefined) {
      queue.line ??= new Line(priority)
      return queue.line
    }
    queue.selection ??= new Selection(this.#live, queue)
    return queue.selection.join(selector, priority)
  }

  detach(seat: Seat): void {
    seat.over = true
    seat.leave()
    if (seat.consumer.pattern !== undefined) this.#live.wildcards.left()
    seat.queue.selection?.left(seat)
    const others = seat.queue.seats ?? []
    const last = others[others.length - 1]
    others[seat.atQueue] = last
    last.atQueue = seat.atQueue
    others.pop()
    const mine = seat.consumer.seats
    const end = mine[mine.length - 1]
    mine[seat.atConsumer] = end
    end.atConsumer = seat.atConsumer
    mine.pop()
    if (seat.queue.exclusive !== undefined) this.#leaveBarred(seat)
    if (seat.holding !== undefined) this.#vacate(seat)
  }

  /** What of message groups was its own is for others. */
  #vacate(seat: Seat): void {
    const { queue } = seat
    queue.groups?.vacate(seat)
    if (queue.alive && queue.readyCount !== 0) this.#live.touch(queue)
  }

  /** The next one takes over from an exclusive consumer, or all do. */
  #leaveBarred(seat: Seat): void {
    const { queue } = seat
    if (leaveExclusive(seat) && queue.alive && queue.readyCount !== 0) this.#live.touch(queue)
  }

  /** Its consumer has credit for more queues than it was given from at once. */
  rouseLater(consumer: CoreConsumer): void {
    this.#roused.add(consumer)
  }

  /** An entry that a consumer has is gone without its doing. */
  forget(row: number): void {
    const { entries } = this.#live.state
    const owner = entries.get(row, OWNER)
    if (owner !== 0) this.#consumers.get(owner)?.forget(row, entries.get(row, TAG))
  }

  /** A transaction gives back what it had of a consumer. False: that consumer is no more. */
  unclaim(row: number): boolean {
    const owner = this.#consumers.get(this.#live.state.entries.get(row, OWNER))
    owner?.unclaim()
    return owner !== undefined
  }

  queueGone(queue: Queue): void {
    for (const seat of [...(queue.seats ?? [])]) {
      this.detach(seat)
      if (seat.consumer.seats.length === 0 && seat.consumer.pattern === undefined) seat.consumer.session.queueGone(seat.consumer, queue)
    }
    for (const pull of [...(queue.pulls ?? [])]) pull.answer()
  }

  // ---- The turn

  /** Gives out what can be given. True: more is left for the next turn. */
  run(): boolean {
    if (this.waiting > 0) this.#run()
    if (this.#awaitIdle.size > 0) this.#tellIdle()
    return this.waiting > 0
  }

  #run(): void {
    this.#budget = DELIVERIES_MAX
    this.#nowMs = this.#live.clock.wallMs()
    const queues = this.#dirty
    // Those that are touched meanwhile join the end, and wait for the next turn.
    const end = Math.min(queues.length, this.#next + QUEUES_MAX)
    while (this.#next < end && this.#budget > 0) {
      const queue = queues[this.#next++]
      queue.scheduled = false
      if (queue.alive && !queue.loading) this.#queue(queue)
    }
    this.#cutReached()
    if (this.#roused.size > 0) this.#rouse()
    const consumers = this.#unflushed
    this.#unflushed = []
    for (const consumer of consumers) {
      consumer.unflushed = false
      if (consumer.over) continue
      try {
        consumer.sink.flush()
      } catch (error) {
        this.#live.faulty(consumer.session, error)
      }
    }
  }

  /** Only now and then if many are left: a fan-out to 100,000 queues takes 25 turns. */
  #cutReached(): void {
    if (this.#next * 2 < this.#dirty.length) return
    this.#dirty = this.#dirty.slice(this.#next)
    this.#next = 0
  }

  #rouse(): void {
    const consumers = [...this.#roused]
    this.#roused.clear()
    for (const consumer of consumers) if (!consumer.over) consumer.rouse(true)
  }

  /** A queue whose turn is to come, whose bodies are being read, or whose entries a stalled consumer may not have yet, is not the end. */
  #tellIdle(): void {
    for (const consumer of this.#awaitIdle) {
      if (this.#roused.has(consumer) || this.#live.wildcards.isLooking(consumer)) continue
      if (consumer.seats.some((seat) => this.#mayYetBeGiven(seat))) continue
      this.#awaitIdle.delete(consumer)
      const { idle } = consumer
      consumer.idle = undefined
      try {
        idle?.()
      } catch (error) {
        this.#live.faulty(consumer.session, error)
      }
    }
  }

  #mayYetBeGiven(seat: Seat): boolean {
    const { queue, consumer } = seat
    if (queue.scheduled || queue.loading || (queue.readyCount !== 0 && consumer.stalled)) return true
    return queue.selection !== undefined && consumer.hungry && queue.selection.isLooking(seat)
  }

  #queue(queue: Queue): void {
    const { selection } = queue
    // Those that choose are given first, unless others have a higher priority; these take what is left.
    if (selection !== undefined) {
      this.#budget -= selection.give(this.#budget, true)
      if (selection.outranked !== undefined) {
        this.#giveToAny(queue, selection.outranked)
        if (queue.selection === selection) this.#budget -= selection.give(this.#budget, false)
        if (queue.loading || !queue.alive) return
      }
    }
    this.#giveToAny(queue, undefined)
  }

  /** To whoever takes what there is, of those of a higher priority than `above`. */
  #giveToAny(queue: Queue, above: number | undefined): void {
    for (;;) {
      const pull = queue.pulls?.[0]
      let seat: Seat | undefined
      let row = queue.ready.head
      const { groups } = queue
      if (groups !== undefined) {
        seat = pull === undefined ? groups.next((general) => this.pick(queue.line, general)) : undefined
        row = pull === undefined ? (seat === undefined ? 0 : groups.row) : groups.general
      }
      if (row === 0 && this.#budget > 0) return
      if (this.#budget <= 0) {
        this.touch(queue)
        return
      }
      if (this.expire(queue, row)) {
        this.#budget--
        continue
      }
      if (pull === undefined) seat ??= this.pick(queue.line, row)
      if (pull === undefined && (seat === undefined || (above !== undefined && seat.consumer.priority <= above))) return
      const held = this.held(row)
      if (held === undefined) {
        this.#load(queue, row)
        return
      }
      this.#budget--
      if (pull !== undefined) this.#lease(pull, queue, row, held)
      else if (seat !== undefined) this.deliver(seat, row, held)
    }
  }

  /** Is its time over? Then it goes; nothing expires out of a dead-letter queue, nor what a client has half of (`Consumer.mark`). */
  expire(queue: Queue, row: number): boolean {
    const { entries, messages } = this.#live.state
    const expires = messages.double(entries.get(row, MESSAGE), EXPIRES)
    if (expires === 0 || expires > this.#nowMs || entries.get(row, DEAD) !== 0 || entries.get(row, MARK) !== 0) return false
    this.#live.deadLetters.expire(queue, row)
    return true
  }

  /** The entry's message; undefined: it has to be read from disk first. */
  held(row: number): Held | undefined {
    const live = this.#live
    const { entries, messages } = live.state
    const message = entries.get(row, MESSAGE)
    let held = messages.objects[message]
    if (held !== undefined) return held
    held = live.bodies.get(message)
    if (held !== undefined && messages.get(message, REFERENCES) > 1) {
      messages.objects[message] = held
      live.transient(message)
    }
    return held
  }

  /** Whose turn it is, of those who can take this entry. */
  pick(line: Line | undefined, row: number): Seat | undefined {
    if (line === undefined) return undefined
    return line.pick() ?? (line.hasModest && this.#settledByBinding(row) ? line.pickModest() : undefined)
  }

  /** The binding through which it came wants it settled when sent. */
  #settledByBinding(row: number): boolean {
    const { state } = this.#live
    const via: Via = state.vias.byNumber[state.entries.get(row, VIA)]
    if (via.settle !== 'if-durable') return via.settle === 'settled'
    return (state.messages.get(state.entries.get(row, MESSAGE), MESSAGE_FLAGS) & MESSAGE_ROW_FLAG.durable) === 0
  }

  /** Hands a ready entry to a consumer that can take it. */
  deliver(seat: Seat, row: number, held: Held): void {
    const live = this.#live
    const { consumer, queue } = seat
    const settled = consumer.settles === 'by-binding' ? this.#settledByBinding(row) : consumer.settles === 'settled'
    if (!settled || consumer.settles === 'settled') consumer.credit--
    const delivery = this.#delivery(queue, row, held, settled)
    this.#count(consumer, queue, delivery)
    if (queue.groups?.taken(row, seat, settled, held.message.group) === true) (delivery as { groupFirst: boolean }).groupFirst = true
    if (settled) {
      live.facts.gone(queue, row, REASON['settled-when-sent'], false)
      this.#hand(consumer, delivery)
      return
    }
    queue.unlinkReady(row)
    queue.held.push(row)
    live.state.entries.set(row, STATE, STATE_OF.locked)
    ;(delivery as { tag: number }).tag = consumer.lock(row)
    this.#hand(consumer, delivery)
  }

  /** An entry in no list that a consumer has already (`passing.ts`): as if it had been handed out here. */
  hold(queue: Queue, row: number): void {
    const { entries } = this.#live.state
    queue.groups?.taken(row, this.#consumers.get(entries.get(row, OWNER))?.seatAt(queue), false)
    queue.held.push(row)
    entries.set(row, STATE, STATE_OF.locked)
  }

  #hand(consumer: CoreConsumer, delivery: Delivery): void {
    try {
      consumer.sink.deliver(delivery)
    } catch (error) {
      this.#live.faulty(consumer.session, error)
    }
  }

  #count(consumer: CoreConsumer, queue: Queue, delivery: Delivery): void {
    const live = this.#live
    const bytes = delivery.message.head.length + delivery.message.body.length
    consumer.creditBytes -= bytes
    live.counters.messagesOut++
    live.counters.bytesOut += bytes
    live.recorder.note(EVENT.handed, queue.number, delivery.ref.sequence, REASON.none, delivery.attempts)
    if (!consumer.unflushed) {
      consumer.unflushed = true
      this.#unflushed.push(consumer)
    }
  }

  /** One more attempt. */
  #delivery(queue: Queue, row: number, held: Held, settled: boolean): Delivery {
    const { state } = this.#live
    const delivery = deliveryOf(state, queue, row, held, settled ? 'settled' : 'unsettled')
    state.entries.set(row, ATTEMPTS, delivery.attempts)
    return delivery
  }

  /** Gives the entry to a pull, locked until a time. */
  #lease(pull: WaitingPull, queue: Queue, row: number, held: Held): void {
    const live = this.#live
    const { entries, messages } = live.state
    const delivery = this.#delivery(queue, row, held, false)
    const until = live.clock.wallMs() + pull.options.lockMs
    queue.groups?.taken(row, undefined, false)
    queue.unlinkReady(row)
    queue.held.push(row)
    entries.set(row, STATE, STATE_OF.leased)
    live.deadlines.set(row, DEADLINE.wake, until)
    if ((entries.get(row, FLAGS) & ENTRY_FLAG.durable) !== 0) {
      const fact = live.facts.writer.reset().u32(queue.number).f64(delivery.ref.sequence).f64(until).u32(delivery.attempts)
      live.facts.admit(FACT.lease, fact, 'drain')
    }
    pull.given++
    pull.givenBytes += messages.get(entries.get(row, MESSAGE), LENGTH)
    live.counters.messagesOut++
    live.recorder.note(EVENT.handed, queue.number, delivery.ref.sequence, REASON.none, delivery.attempts)
    pull.sink.deliver(delivery)
    if (!pull.wantsMore || (queue.groups === undefined ? queue.ready.head : queue.groups.general) === 0) pull.answer()
  }

  #load(queue: Queue, row: number): void {
    const live = this.#live
    const message = live.state.entries.get(row, MESSAGE)
    const sequence = live.state.entries.double(row, SEQUENCE)
    if (live.state.messages.get(message, SEGMENT) === 0) throw new Error(`message ${message} is neither in memory nor in the journal`)
    queue.loading = true
    live.bodies.load(message, (read) => {
      if (live.lost !== undefined) return
      queue.loading = false
      if (!read) this.passOver(queue, sequence)
      live.touch(queue)
    })
  }

  /**
   * What cannot be read is neither delivered nor thrown away: it stays on its queue, those behind it go first, and it is tried again later. Its disk or its
   * share may come back; if the bytes are damaged, an operator decides (purge, or a copy of the file), and until then it expires like any other.
   */
  passOver(queue: Queue, sequence: number): void {
    const live = this.#live
    const { entries } = live.state
    const row = queue.alive ? entries.find(queue.slot, sequence) : 0
    // It is gone, or in somebody's hands.
    if (row === 0 || entries.get(row, STATE) !== STATE_OF.ready) return
    const { tries, retryAtMs } = live.bodies.unreadable(entries.get(row, MESSAGE))
    live.passedOver++
    live.recorder.note(EVENT['passed-over'], queue.number, entries.double(row, SEQUENCE), REASON.unreadable, tries)
    queue.unlinkReady(row)
    queue.held.push(row)
    live.places.putBack(queue, row, retryAtMs)
  }
}
