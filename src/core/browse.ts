// Looking at a queue without taking from it: everything that was ready when the look began, in order, as credit allows, a slice a turn.
// What is taken or expires meanwhile is not seen, and what comes later is not waited for. No entry is locked, counted or written about.
import type { Browse, BrowseOptions, BrowseSink } from '../api.ts'
import { CodedError } from '../errors.ts'
import { deliveryOf } from './delivery.ts'
import { DEAD, MESSAGE, SEQUENCE, STATE, STATE_OF } from './entries.ts'
import type { Live } from './live.ts'
import { EXPIRES, type Held } from './messages.ts'
import type { Queue } from './queue.ts'
import type { Selector } from './selector/selector.ts'
import type { LiveSession } from './session.ts'
import { inOrder, type Steps } from './walk.ts'

/** Entries looked at in one turn, all browsers together. */
const VISITS_MAX = 1_000

export class Browsing {
  readonly #live: Live
  readonly #browses = new Set<CoreBrowse>()
  /** Those that may have something to do. */
  #due: CoreBrowse[] = []

  constructor(live: Live) {
    this.#live = live
  }

  get count(): number {
    return this.#browses.size
  }

  add(browse: CoreBrowse): void {
    this.#browses.add(browse)
    this.touch(browse)
  }

  remove(browse: CoreBrowse): void {
    this.#browses.delete(browse)
  }

  touch(browse: CoreBrowse): void {
    if (browse.scheduled || browse.over) return
    browse.scheduled = true
    this.#due.push(browse)
    this.#live.wake()
  }

  queueGone(queue: Queue): void {
    for (const browse of this.#browses) if (browse.queue === queue) this.touch(browse)
  }

  /** A slice of each that is due. True: more is left for the next turn. */
  run(): boolean {
    if (this.#due.length === 0) return false
    const due = this.#due
    this.#due = []
    const visits = Math.max(1, Math.floor(VISITS_MAX / due.length))
    for (const browse of due) {
      browse.scheduled = false
      try {
        browse.slice(visits)
      } catch (error) {
        this.#live.faulty(browse.session, error)
      }
    }
    return this.#due.length > 0
  }
}

type Looking = Readonly<{ held: BrowseOptions['held']; selector: Selector | undefined }>

export class CoreBrowse implements Browse {
  readonly session: LiveSession
  readonly queue: Queue
  readonly #live: Live
  readonly #sink: BrowseSink
  readonly #walk: Steps
  readonly #selector: Selector | undefined
  /** Sequences from here on came after the look began. */
  readonly #until: number
  #credit = 0
  #creditBytes = 0
  #stalled = false
  #loading = false
  #drained = false
  #idle: (() => void) | undefined
  scheduled = false
  over = false

  constructor(live: Live, session: LiveSession, queue: Queue, { held, selector }: Looking, sink: BrowseSink) {
    this.#live = live
    this.session = session
    this.queue = queue
    this.#sink = sink
    this.#until = queue.next
    this.#walk = inOrder(live.state.entries, queue, held)
    this.#selector = selector
  }

  grant(messages: number, bytes: number): void {
    const { limits } = this.#live.settings
    this.#credit = Math.min(this.#credit + messages, limits.creditMessages)
    this.#creditBytes = Math.min(this.#creditBytes + bytes, limits.creditBytes)
    this.#live.browsing.touch(this)
  }

  stall(stalled: boolean): void {
    this.#stalled = stalled
    if (!stalled) this.#live.browsing.touch(this)
  }

  whenIdle(run: () => void): void {
    if (this.over) return
    this.#idle = run
    this.#live.browsing.touch(this)
  }

  close(): void {
    if (this.over) return
    this.over = true
    this.#idle = undefined
    this.#walk.end()
    this.#live.browsing.remove(this)
    this.session.browseClosed(this)
  }

  slice(visits: number): void {
    if (this.over || this.#loading) return
    if (!this.queue.alive) {
      this.close()
      this.#sink.ended(new CodedError('removed', `queue ${this.queue.address.path.join('.')} was removed`))
      return
    }
    let given = 0
    for (let left = visits; left > 0 && this.#walk.row !== 0 && this.#hungry && !this.#loading; left--) {
      const { row } = this.#walk
      if (!isSeen(this.#live, row, this.#until)) {
        this.#walk.advance()
        continue
      }
      const held = heldOf(this.#live, row, (read) => this.#loaded(row, read))
      if (held === undefined) {
        this.#loading = true
        break
      }
      this.#walk.advance()
      if (this.#selector !== undefined && !this.#selector.takes(this.#live.selecting.view(held.message))) continue
      this.#give(row, held)
      if (this.over) return
      given++
    }
    if (given > 0) this.#sink.flush()
    if (!this.over) this.#afterSlice()
  }

  get #hungry(): boolean {
    return this.#credit > 0 && this.#creditBytes > 0 && !this.#stalled
  }

  #give(row: number, held: Held): void {
    this.#credit--
    this.#creditBytes -= held.message.head.length + held.message.body.length
    this.#sink.deliver(deliveryOf(this.#live.state, this.queue, row, held, 'settled'))
  }

  /** `row` is stood on no more if it left its list meanwhile. One that cannot be read is passed over. */
  #loaded(row: number, read: boolean): void {
    this.#loading = false
    if (!read && !this.over && this.#walk.row === row) this.#walk.advance()
    this.#live.browsing.touch(this)
  }

  #afterSlice(): void {
    if (this.#loading) return
    if (this.#walk.row === 0 && !this.#drained) {
      this.#drained = true
      this.#sink.drained()
    } else if (this.#walk.row !== 0 && this.#hungry) {
      this.#live.browsing.touch(this)
      return
    }
    // Stalled with credit left and something to give: not the end of it.
    if (this.over || (this.#stalled && this.#walk.row !== 0 && this.#credit > 0)) return
    const idle = this.#idle
    this.#idle = undefined
    idle?.()
  }
}

/** Is it committed, was it there before `until`, and is it still worth looking at? */
export function isSeen(live: Live, row: number, until: number): boolean {
  const { entries, messages } = live.state
  const state = entries.get(row, STATE)
  if (state === STATE_OF.pending || state === STATE_OF.removed || entries.double(row, SEQUENCE) >= until) return false
  const expires = messages.double(entries.get(row, MESSAGE), EXPIRES)
  return expires === 0 || expires > live.clock.wallMs() || entries.get(row, DEAD) !== 0
}

/** The entry's message; undefined: it is being read, and `loaded` is called when it has been. */
export function heldOf(live: Live, row: number, loaded: (read: boolean) => void): Held | undefined {
  const message = live.state.entries.get(row, MESSAGE)
  const held = live.bodies.get(message)
  if (held === undefined) {
    live.bodies.load(message, (read) => {
      if (live.lost === undefined) loaded(read)
    })
  }
  return held
}
