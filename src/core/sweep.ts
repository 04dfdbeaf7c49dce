// Judges what was ready before a selector came, and what became ready while its headers were on disk: in slices, so that nobody else waits,
// each entry once for all selectors that have not seen it. One sweep a queue at a time; selectors that come meanwhile share the next.
// It holds no message and no lock: it stands on an entry (`walk.ts`), and goes on from where the queue's changes have left it.
import type { Message } from '../api.ts'
import { MESSAGE, SEQUENCE } from './entries.ts'
import type { Live } from './live.ts'
import type { Group, Selection } from './selection.ts'
import { SelectorSet } from './selector/selector-set.ts'
import { Walk } from './walk.ts'

/** Entries judged in one turn, all sweeps together: some 0.4 ms. */
const SLICE_MAX = 128
/** Between slices while others are at work: their messages find the loop, and the processor, free. */
const PAUSE_MS = 1
/** Slices before the first pause: what is on most queues is judged at once. */
const FIRST = 4

export class Sweeps {
  readonly #live: Live
  #due: Sweep[] = []
  /** Messages in and out when last looked. */
  #seen = 0
  /** Those that wait for the disk included. */
  #begun = 0
  /** Since none was under way. */
  #slices = 0
  #pauses = false
  #paused = false

  constructor(live: Live) {
    this.#live = live
  }

  begun(): void {
    if (this.#begun++ === 0) this.#slices = 0
  }

  ended(): void {
    this.#begun--
  }

  /** It can go on. */
  add(sweep: Sweep): void {
    this.#due.push(sweep)
    this.#live.wake()
  }

  /** A slice of each. True: more is left for the next turn. */
  run(): boolean {
    if (this.#due.length === 0 || this.#pauses) return false
    const { messagesIn, messagesOut } = this.#live.counters
    const busy = messagesIn + messagesOut !== this.#seen
    this.#seen = messagesIn + messagesOut
    if (busy && !this.#paused && this.#slices >= FIRST) {
      this.#pause()
      return false
    }
    this.#paused = false
    this.#slices++
    const due = this.#due
    this.#due = []
    const share = Math.max(1, Math.floor(SLICE_MAX / due.length))
    for (const sweep of due) sweep.slice(share)
    return this.#due.length > 0
  }

  #pause(): void {
    this.#pauses = true
    this.#live.clock.after(PAUSE_MS, () => {
      this.#pauses = false
      this.#paused = true
      this.#live.wake()
    })
  }
}

export class Sweep {
  readonly groups: readonly Group[]
  readonly #live: Live
  readonly #selection: Selection
  readonly #fresh = new SelectorSet<Group>()
  readonly #all: SelectorSet<Group>
  readonly #walk: Walk
  /** Sequences from here on were judged when they became ready. */
  readonly #until: number
  over = false
  /** What was read from disk for the entry that is judged next. */
  #read: Readonly<{ sequence: number; message: Message }> | undefined

  /** `groups` have seen nothing yet; what is unjudged is for `all`. */
  constructor(live: Live, selection: Selection, groups: readonly Group[], all: SelectorSet<Group>) {
    this.#live = live
    this.#selection = selection
    this.groups = groups
    this.#all = all
    for (const group of groups) {
      group.sweep = this
      this.#fresh.add(group.selector, group)
    }
    this.#until = selection.queue.next
    this.#walk = new Walk(live.state.entries, selection.queue.readyLists())
    if (groups.length === 0) this.#walk.end()
    live.sweeps.begun()
  }

  end(): void {
    if (this.over) return
    this.over = true
    this.#live.sweeps.ended()
    this.#walk.end()
    for (const group of this.groups) {
      group.sweep = undefined
      group.unswept = false
    }
  }

  /** Is this place behind it? */
  isPast(priority: number, sequence: number): boolean {
    const { row } = this.#walk
    if (row === 0) return true
    const { queue } = this.#selection
    // Message groups are walked one after the other.
    if (queue.groups !== undefined) return false
    const at = queue.priorityOf(row)
    return priority > at || (priority === at && sequence < this.#live.state.entries.double(row, SEQUENCE))
  }

  slice(entriesMax: number): void {
    if (this.over || !this.#selection.queue.alive) {
      this.end()
      return
    }
    let left = entriesMax
    // What stands in everybody's way first.
    for (let row = this.#selection.firstUnjudged(); row !== 0 && left > 0; row = this.#selection.firstUnjudged()) {
      const message = this.#message(row)
      if (message === undefined) return
      this.#selection.judge(row, message, this.#all)
      this.#selection.unjudged.dropFirst()
      left--
    }
    let reading = false
    this.#walk.pass((row) => {
      if (left-- <= 0) return false
      if (this.#live.state.entries.double(row, SEQUENCE) >= this.#until) return true
      const message = this.#message(row)
      if (message === undefined) reading = true
      else this.#selection.judge(row, message, this.#fresh)
      return message !== undefined
    })
    if (reading) return
    if (this.#walk.row === 0 && this.#selection.firstUnjudged() === 0) this.end()
    else this.#live.sweeps.add(this)
    this.#selection.swept(this)
  }

  /** The entry's message without its body; undefined: it is being read, and the sweep goes on then. */
  #message(row: number): Message | undefined {
    const live = this.#live
    const { entries } = live.state
    const sequence = entries.double(row, SEQUENCE)
    const message = this.#read?.sequence === sequence ? this.#read.message : live.bodies.head(entries.get(row, MESSAGE))
    if (message !== undefined) return message
    const { queue } = this.#selection
    live.bodies.loadHead(entries.get(row, MESSAGE), (found, read) => {
      if (live.lost !== undefined || this.over) return
      if (found !== undefined) this.#read = { sequence, message: found }
      // What cannot be read waits, like any other, and is judged when it is ready again.
      if (!read) live.dispatch.passOver(queue, sequence)
      live.sweeps.add(this)
    })
    return undefined
  }
}
