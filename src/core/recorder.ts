// The flight recorder: the last 65,536 events in a ring of columns. Traces, drill verdicts and crash reports come from it.
// A hot room: `note` runs several times per message, and neither allocates nor asks the clock more than once a turn.
// Not a log (nothing is written) and not the metrics (nothing is summed).
import type { Clock } from '../api.ts'

/** What happened. A number is never given another meaning. */
export const EVENT = {
  /** A publish took its place in a batch. `extra`: bytes. */
  accepted: 1,
  /** A batch is durable. `sequence`: its number. `extra`: facts. */
  committed: 2,
  /** A copy took its place on a queue. */
  routed: 3,
  /** Given to a consumer. `extra`: attempts. */
  handed: 4,
  /** A consumer accepted it, durably or lazily. */
  settled: 5,
  /** Went back to its place. `extra`: failures. */
  released: 6,
  expired: 7,
  dropped: 8,
  'dead-lettered': 9,
  /** To another queue, by its owner. */
  moved: 10,
  /** `extra`: how many. */
  purged: 11,
  /** A publish waits for room. */
  parked: 12,
  /** A publish was refused. */
  refused: 13,
  /** A queue came to be. */
  declared: 14,
  /** A queue was removed. `extra`: messages on it. */
  removed: 15,
  /** A binding came to be. */
  bound: 16,
  unbound: 17,
  /** A session was connected. `queue` is 0; `extra`: its number. */
  opened: 18,
  /** A session lost its connection or ended. */
  closed: 19,
  /** A topic's retained message was set. */
  retained: 20,
  /** A topic's retained message was cleared or replaced. */
  forgotten: 21,
  /** This node began or ceased to lead. `extra`: epoch. */
  leading: 22,
  /** A body was read back from disk. `extra`: bytes. */
  fetched: 23,
  /** A body could not be carried into a consumer's dialect. */
  'not-converted': 24,
  /** Its body could not be read: those behind it go first, it is tried again later. `extra`: how often that happened. */
  'passed-over': 25,
  /** `sequence`: its number. `extra`: sends and settlements. */
  'transaction-committed': 26,
  'transaction-rolled-back': 27,
} as const

/** Why. A number is never given another meaning: facts in the journal carry it too. */
export const REASON = {
  none: 0,
  /** The consumer's own outcome. */
  accepted: 1,
  rejected: 2,
  released: 3,
  failed: 4,
  elsewhere: 5,
  /** Failed more often than the queue allows. */
  'failures-max': 6,
  expired: 7,
  purged: 8,
  'queue-removed': 9,
  'session-ended': 10,
  'consumer-closed': 11,
  'taken-over': 12,
  /** The queue's limit, by its policy. */
  'full-newest': 13,
  'full-oldest': 14,
  'full-refused': 15,
  'disk-full': 16,
  'too-large': 17,
  /** Nobody consumed the queue, and the copy was one to drop then. */
  absent: 18,
  /** No binding matched. */
  unrouted: 19,
  /** Another retained message took its place. */
  replaced: 20,
  'cannot-convert': 21,
  duplicate: 22,
  denied: 23,
  limit: 24,
  operator: 25,
  /** Settled when it was sent. */
  'settled-when-sent': 26,
  'not-leading': 27,
  'lock-expired': 28,
  /** Its stored body could not be read. */
  unreadable: 29,
  /** Its consumer was too slow, and was ended for it. */
  slow: 30,
} as const

export type Event = (typeof EVENT)[keyof typeof EVENT]
export type Reason = (typeof REASON)[keyof typeof REASON]

export interface Recorded {
  readonly atMs: number
  readonly event: keyof typeof EVENT | 'unknown'
  /** The queue's number; 0: none. */
  readonly queue: number
  readonly sequence: number
  readonly reason: keyof typeof REASON | 'unknown'
  readonly extra: number
}

export interface RecordedFilter {
  readonly queue?: number
  readonly sequence?: number
  readonly event?: Event
  readonly sinceMs?: number
  /** At most so many. */
  readonly limit?: number
}

export class Recorder {
  readonly #clock: Clock
  readonly #at = new Float64Array(SIZE)
  readonly #event = new Uint8Array(SIZE)
  readonly #queue = new Uint32Array(SIZE)
  readonly #sequence = new Float64Array(SIZE)
  readonly #reason = new Uint8Array(SIZE)
  readonly #extra = new Float64Array(SIZE)
  /** Events noted since the start; the next one's place is this modulo the size. */
  #count = 0
  #nowMs = 0
  #fresh = false

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Events noted since the start. */
  get count(): number {
    return this.#count
  }

  note(event: Event, queue: number, sequence: number, reason: Reason, extra: number): void {
    if (!this.#fresh) this.#refresh()
    const at = this.#count++ & MASK
    this.#at[at] = this.#nowMs
    this.#event[at] = event
    this.#queue[at] = queue
    this.#sequence[at] = sequence
    this.#reason[at] = reason
    this.#extra[at] = extra
  }

  /** The newest first. What is overwritten while the reader pauses is left out. */
  *recent(filter: RecordedFilter = {}): Generator<Recorded, void, void> {
    const { queue, sequence, event, sinceMs, limit = SIZE } = filter
    let told = 0
    for (let number = this.#count - 1; number >= 0 && number >= this.#count - SIZE && told < limit; number--) {
      const at = number & MASK
      if (sinceMs !== undefined && (this.#at[at] ?? 0) < sinceMs) return
      if (queue !== undefined && this.#queue[at] !== queue) continue
      if (sequence !== undefined && this.#sequence[at] !== sequence) continue
      if (event !== undefined && this.#event[at] !== event) continue
      told++
      yield this.#recorded(at)
    }
  }

  #recorded(at: number): Recorded {
    return {
      atMs: this.#at[at] ?? 0,
      event: EVENT_NAMES.get(this.#event[at] ?? 0) ?? 'unknown',
      queue: this.#queue[at] ?? 0,
      sequence: this.#sequence[at] ?? 0,
      reason: REASON_NAMES.get(this.#reason[at] ?? 0) ?? 'unknown',
      extra: this.#extra[at] ?? 0,
    }
  }

  /** The time is that of the turn's first event. */
  #refresh(): void {
    this.#nowMs = this.#clock.wallMs()
    this.#fresh = true
    this.#clock.turn(this.#stale)
  }

  readonly #stale = (): void => {
    this.#fresh = false
  }
}

const SIZE = 65_536
const MASK = SIZE - 1

const EVENT_NAMES = names(EVENT)
const REASON_NAMES = names(REASON)

function names<Name extends string>(codes: Readonly<Record<Name, number>>): ReadonlyMap<number, Name> {
  const found = new Map<number, Name>()
  let name: Name
  for (name in codes) found.set(codes[name], name)
  return found
}
