// Who waits to be given something. A seat is one consumer at one queue; a line is the seats that may be given the same entries. Those that can
// take one stand in a ring, so that whose turn it is costs the same however many have no credit. A hot room.
//
//   hungry ring ── turn comes, and the consumer has no credit ──▶ resting ── credit, `stall(false)` ──▶ hungry ring (at the back)
//                                                                    │
//   modest ring ◀── takes only what is settled when sent ────────────┘  (a consumer that settles by binding, out of message credit)
import type { CoreConsumer } from './consumer.ts'
import type { Holding } from './group-buckets.ts'
import type { Queue } from './queue.ts'

/** Stands in one ring at a time, between its neighbours. */
export interface RingMember<Member extends RingMember<Member>> {
  ring: Ring<Member> | undefined
  next: Member
  prev: Member
}

export class Seat implements RingMember<Seat> {
  readonly consumer: CoreConsumer
  readonly queue: Queue
  /** Those with which it takes turns. */
  readonly line: Line
  /** Its places in the lists of all seats. */
  atQueue = 0
  atConsumer = 0
  /** An exclusive consumer takes while this one waits. */
  barred = false
  over = false
  /** In its consumer's list of those to look at again when there is credit, and the next one there. */
  resting = false
  behind: Seat | undefined = undefined
  /** Of message groups, those that are its own. */
  holding: Holding | undefined = undefined
  ring: Ring<Seat> | undefined = undefined
  next: Seat = this
  prev: Seat = this

  constructor(consumer: CoreConsumer, queue: Queue, line: Line) {
    this.consumer = consumer
    this.queue = queue
    this.line = line
  }

  /** Takes its stand by what its consumer can take now. */
  stand(): void {
    this.leave()
    if (this.over || this.barred) return
    const { consumer } = this
    if (consumer.hungry && !consumer.stalled) {
      this.line.level(consumer.priority).hungry.add(this)
      this.line.woken?.()
      if (this.holding !== undefined) this.queue.groups?.wakes(this.holding)
      return
    }
    consumer.rest(this)
    if (!consumer.modest) return
    this.line.level(consumer.priority).modest.add(this)
    this.line.woken?.()
  }

  leave(): void {
    this.ring?.remove(this)
  }
}

/** Those that take turns. */
export class Ring<Member extends RingMember<Member>> {
  front: Member | undefined = undefined

  /** At the back. */
  add(member: Member): void {
    member.ring = this
    const { front } = this
    if (front === undefined) {
      member.next = member
      member.prev = member
      this.front = member
      return
    }
    member.prev = front.prev
    member.next = front
    front.prev.next = member
    front.prev = member
  }

  remove(member: Member): void {
    member.ring = undefined
    if (member.next === member) this.front = undefined
    else {
      member.prev.next = member.next
      member.next.prev = member.prev
      if (this.front === member) this.front = member.next
    }
    member.next = member
    member.prev = member
  }

  /** The one at the front goes to the back. */
  turn(): void {
    if (this.front !== undefined) this.front = this.front.next
  }
}

/** Of one consumer priority. */
interface Level {
  readonly priority: number
  readonly hungry: Ring<Seat>
  /** Those that can take nothing but what is settled when sent. */
  readonly modest: Ring<Seat>
}

/** Mostly there is one priority: that level is the line itself, so that a fan-out has no more objects to go through than it must. */
export class Line implements Level {
  readonly priority: number
  readonly hungry = new Ring<Seat>()
  readonly modest = new Ring<Seat>()
  /** Once there are others: all, highest first. */
  #levels: readonly Level[] | undefined = undefined
  /** Told when somebody in it can take something; for lines that are not looked at otherwise. */
  woken: (() => void) | undefined = undefined

  /** `priority`: the first consumer's. */
  constructor(priority: number) {
    this.priority = priority
  }

  level(priority: number): Level {
    if (priority === this.priority) return this
    const levels = this.#levels ?? [this]
    let at = 0
    while (at < levels.length && levels[at].priority > priority) at++
    if (levels[at]?.priority === priority) return levels[at]
    const level = { priority, hungry: new Ring<Seat>(), modest: new Ring<Seat>() }
    this.#levels = [...levels.slice(0, at), level, ...levels.slice(at)]
    return level
  }

  /** Somebody of a higher priority than this could take. */
  outranks(priority: number): boolean {
    for (const { priority: own, hungry } of this.#levels ?? [this]) {
      if (own <= priority) return false
      if (hungry.front?.consumer.hungry === true) return true
    }
    return false
  }

  /** Whose turn it is. */
  pick(): Seat | undefined {
    if (this.#levels === undefined) return pickHungry(this)
    for (const level of this.#levels) {
      const seat = pickHungry(level)
      if (seat !== undefined) return seat
    }
    return undefined
  }

  /** Somebody would take what is settled when sent, perhaps. */
  get hasModest(): boolean {
    if (this.#levels === undefined) return this.modest.front !== undefined
    for (const { modest } of this.#levels) if (modest.front !== undefined) return true
    return false
  }

  /** Whose turn it is of those, when nobody is hungry. */
  pickModest(): Seat | undefined {
    for (const { modest } of this.#levels ?? [this]) {
      for (let seat = modest.front; seat !== undefined; seat = modest.front) {
        if (seat.consumer.modest) {
          modest.turn()
          return seat
        }
        seat.leave()
      }
    }
    return undefined
  }
}

function pickHungry({ hungry }: Level): Seat | undefined {
  for (let seat = hungry.front; seat !== undefined; seat = hungry.front) {
    const { consumer } = seat
    if (consumer.hungry && !consumer.stalled) {
      hungry.turn()
      return seat
    }
    seat.stand()
  }
  return undefined
}
