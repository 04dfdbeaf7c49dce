// A queue's selectors as an index: each distinct selector is a group with the list of what it took, in order, and the line of its consumers.
// An entry is judged when it becomes ready, by all selectors at once; what was ready before a selector came is judged in one sweep, in slices
// (`sweep.ts`). Consumers with a selector are given from their group's list, those without take from the queue as ever.
//
//     becomes ready ──▶ headers at hand? ── yes ──▶ judged ──▶ in the lists of those that take it
//                                        └─ no ───▶ unjudged, read from disk by the sweep ──▶ judged
//     leaves        ──▶ nothing: a list's first entry is looked up when it is its turn, and passed by if it is not ready
//
// Order: a group is given nothing that comes behind what it has not judged. A hot room: no objects per entry.
import { MESSAGE, SEQUENCE, STATE, STATE_OF } from './entries.ts'
import type { Live } from './live.ts'
import { MatchList } from './match-list.ts'
import type { Held } from './messages.ts'
import type { Queue } from './queue.ts'
import { Line, type Seat } from './seat.ts'
import type { Selector } from './selector/selector.ts'
import { SelectorSet } from './selector/selector-set.ts'
import { Sweep } from './sweep.ts'

/** Deliveries to one group before the next one's turn. */
const TURN_MAX = 64
/** Matches passed by in one turn because their message group belongs to another consumer or has a message out. */
const ASIDE_MAX = 64
/** A list is cleaned when it has so many more than twice what is ready. */
const SLACK = 256

/** One distinct selector of a queue. */
export class Group {
  readonly selector: Selector
  readonly line: Line
  readonly matches = new MatchList()
  /** Matches of message groups whose turn it was not when last looked at. */
  readonly aside = new MatchList()
  seats = 0
  /** What is ready is not judged yet, or not wholly: `sweep`, when it is under way. */
  unswept = true
  sweep: Sweep | undefined = undefined

  constructor(selector: Selector, priority: number) {
    this.selector = selector
    this.line = new Line(priority)
  }
}

export class Selection {
  /** Became ready while its headers were on disk. */
  readonly unjudged = new MatchList()
  readonly queue: Queue
  readonly #live: Live
  readonly #groups = new Map<string, Group>()
  /** Of all groups. */
  #terms = 0
  readonly #selectors = new SelectorSet<Group>()
  /** Those that may have something for somebody. */
  readonly #due = new Set<Group>()
  /** Those that no sweep has begun to look for. */
  readonly #fresh = new Set<Group>()
  #sweep: Sweep | undefined
  #anyAside = false
  /** Consumers without a selector, whose priority is looked at. */
  #rival: Line | undefined
  /** Highest priority of those that were passed by because one of those has a higher one. */
  outranked: number | undefined = undefined
  /** A matched message is being read. */
  #loading = false

  constructor(live: Live, queue: Queue) {
    this.#live = live
    this.queue = queue
  }

  /** Entries in the lists of all selectors, those included that were taken by others since. */
  get matched(): number {
    let matched = 0
    for (const { matches } of this.#groups.values()) matched += matches.count
    return matched
  }

  /** Would a message then cost more than this to judge? */
  wouldExceed(selector: Selector, termsMax: number): boolean {
    return !this.#groups.has(selector.key) && this.#terms + selector.terms > termsMax
  }

  /** Where consumers with this selector wait. */
  join(selector: Selector, priority: number): Line {
    let group = this.#groups.get(selector.key)
    if (group === undefined) {
      group = new Group(selector, priority)
      this.#groups.set(selector.key, group)
      this.#selectors.add(selector, group)
      this.#fresh.add(group)
      this.#terms += selector.terms
      const joined = group
      group.line.woken = () => {
        if (joined.matches.count > 0) this.#due.add(joined)
      }
      this.#look()
    }
    group.seats++
    return group.line
  }

  /** A seat is gone; with the last of a selector its list is too, and with the last selector the index. */
  left(seat: Seat): void {
    const group = this.#groupOf(seat)
    if (group === undefined || --group.seats > 0) return
    this.#groups.delete(group.selector.key)
    this.#selectors.remove(group.selector, group)
    this.#due.delete(group)
    this.#fresh.delete(group)
    this.#terms -= group.selector.terms
    if (this.#groups.size > 0) return
    this.end()
    this.queue.selection = undefined
  }

  /** The queue goes, or the last selector does. */
  end(): void {
    this.#sweep?.end()
    this.#sweep = undefined
  }

  /** An entry is ready. */
  arrived(row: number): void {
    const { entries } = this.#live.state
    const message = this.#live.bodies.head(entries.get(row, MESSAGE))
    if (message !== undefined) {
      this.judge(row, message, this.#selectors)
      return
    }
    this.unjudged.add(this.queue.priorityOf(row), entries.double(row, SEQUENCE))
    this.#look()
  }

  /** Puts an entry into the lists of those that take it. */
  judge(row: number, message: Held['message'], selectors: SelectorSet<Group>): void {
    const sequence = this.#live.state.entries.double(row, SEQUENCE)
    const priority = this.queue.priorityOf(row)
    selectors.match(this.#live.selecting.view(message), (group) => {
      if (group.seats === 0) return
      group.matches.add(priority, sequence)
      if (group.matches.count > 2 * this.queue.readyCount + SLACK) group.matches.keep((one) => this.#ready(one) !== 0)
      this.#due.add(group)
    })
  }

  /** Everything that became ready while on disk, and everything that new selectors have not seen, is judged. */
  #look(): void {
    if (this.#sweep !== undefined) return
    if (this.#fresh.size === 0 && this.unjudged.count === 0) return
    const fresh = [...this.#fresh]
    this.#fresh.clear()
    if (this.queue.readyCount === 0) {
      for (const group of fresh) group.unswept = false
      this.unjudged.keep(() => false)
      return
    }
    this.#sweep = new Sweep(this.#live, this, fresh, this.#selectors)
    this.#live.sweeps.add(this.#sweep)
  }

  /** A sweep has come some way, or to its end: more may be given. */
  swept(sweep: Sweep): void {
    for (const group of sweep.groups) if (group.matches.count > 0) this.#due.add(group)
    if (sweep.over) {
      this.#allDue()
      if (this.#sweep === sweep) this.#sweep = undefined
      this.#look()
    }
    if (this.#due.size > 0) this.#live.touch(this.queue)
  }

  /** The seat's group has not seen all that is ready. */
  isLooking(seat: Seat): boolean {
    const group = this.#groupOf(seat)
    return group !== undefined && (group.unswept || this.#loading || this.unjudged.count > 0)
  }

  /**
   * Gives what was taken to those that have credit, at most `budget`, and nothing while others of a higher priority could take it, if those are to be
   * heeded. Answers how much of the budget was used.
   */
  give(budget: number, heedRank: boolean): number {
    this.#rival = heedRank ? this.queue.line : undefined
    if (this.outranked !== undefined) this.#allDue()
    this.outranked = undefined
    if (this.#anyAside) this.#bringBack()
    if (this.#due.size === 0 || this.#loading) return 0
    let left = budget
    while (this.#due.size > 0 && left > 0) {
      for (const group of [...this.#due]) {
        const share = Math.min(TURN_MAX, left)
        const used = this.#giveTo(group, share)
        left -= used
        if (this.#loading || this.queue.selection !== this) return budget - left
        // Nobody in its line can take more, or there is no more.
        if (used < share) this.#due.delete(group)
        if (left === 0) break
      }
    }
    return budget - left
  }

  #giveTo(group: Group, budget: number): number {
    const live = this.#live
    const { dispatch } = live
    for (let used = 0; used < budget; used++) {
      const row = this.#next(group)
      if (row === 0) return used
      if (dispatch.expire(this.queue, row)) continue
      const turn = dispatch.pick(group.line, row)
      if (turn === undefined) return used
      if (this.#rival?.outranks(turn.consumer.priority) === true) {
        this.outranked = Math.max(turn.consumer.priority, this.outranked ?? turn.consumer.priority)
        return used
      }
      const seat = this.queue.groups === undefined ? turn : this.queue.groups.chooser(turn, row)
      if (seat === undefined) {
        if (!this.#setAside(group)) return used
        continue
      }
      const held = dispatch.held(row)
      if (held === undefined) {
        this.#load(row)
        return used
      }
      group.matches.dropFirst()
      dispatch.deliver(seat, row, held)
      if (this.queue.selection !== this) return used
    }
    return budget
  }

  /** The first match is of a message group whose turn it is not: the next one may go. False: enough were looked at. */
  #setAside({ matches, aside }: Group): boolean {
    if (aside.count >= ASIDE_MAX) return false
    this.#anyAside = true
    aside.add(matches.priority, matches.first)
    matches.dropFirst()
    return true
  }

  /** What was set aside is looked at again, in its place. */
  #bringBack(): void {
    this.#anyAside = false
    for (const group of this.#groups.values()) {
      if (group.aside.count === 0) continue
      for (let first = group.aside.first; first !== 0; first = group.aside.first) {
        group.matches.add(group.aside.priority, first)
        group.aside.dropFirst()
      }
      this.#due.add(group)
    }
  }

  /** The entry that is the group's next; 0: there is none, or it must wait for what is not judged. */
  #next({ matches, sweep, unswept }: Group): number {
    for (let sequence = matches.first; sequence !== 0; sequence = matches.first) {
      const row = this.#ready(sequence)
      if (row !== 0) {
        const { priority } = matches
        if (unswept && (sweep === undefined || !sweep.isPast(priority, sequence))) return 0
        const { unjudged } = this
        const waits = unjudged.count > 0 && (unjudged.priority > priority || (unjudged.priority === priority && unjudged.first < sequence))
        return waits ? 0 : row
      }
      matches.dropFirst()
    }
    return 0
  }

  /** The entry of this sequence, if it may be given out; 0: it may not, or is gone. */
  #ready(sequence: number): number {
    const { entries } = this.#live.state
    const row = entries.find(this.queue.slot, sequence)
    return row !== 0 && entries.get(row, STATE) === STATE_OF.ready ? row : 0
  }

  /** The first of those not judged that is still ready, as a row; 0: there is none. */
  firstUnjudged(): number {
    const { unjudged } = this
    for (let sequence = unjudged.first; sequence !== 0; sequence = unjudged.first) {
      const row = this.#ready(sequence)
      if (row !== 0) return row
      unjudged.dropFirst()
    }
    return 0
  }

  #load(row: number): void {
    const live = this.#live
    const { queue } = this
    const sequence = live.state.entries.double(row, SEQUENCE)
    this.#loading = true
    live.bodies.load(live.state.entries.get(row, MESSAGE), (read) => {
      if (live.lost !== undefined) return
      this.#loading = false
      if (queue.selection !== this || !queue.alive) return
      if (!read) live.dispatch.passOver(queue, sequence)
      this.#allDue()
      live.touch(queue)
    })
  }

  #allDue(): void {
    for (const group of this.#groups.values()) if (group.matches.count > 0) this.#due.add(group)
  }

  #groupOf({ consumer }: Seat): Group | undefined {
    return consumer.selector === undefined ? undefined : this.#groups.get(consumer.selector.key)
  }
}
