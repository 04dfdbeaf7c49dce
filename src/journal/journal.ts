// The journal as the core sees it: batches of facts made durable, in order. It knows no queue and no message.
// Engines: `file/` (segments in a directory both nodes reach), `memory` (tests). `journal.contract.ts` is what each must pass.
//
// A fact is admitted (its bytes are reserved in the gathering batch, or it is refused), written by its author into `buffer`
// at once, and committed with its batch: written, synced, and the epoch looked at (docs/failover/protocol.md, rules 11 to 15).
// One batch is in flight; the next gathers meanwhile. No promise and no object per fact.

/** `publish` may be refused when the disk is full; `drain` (settlements, moves, compaction) is admitted from a reserve that publishes cannot use. */
export type Claim = 'publish' | 'drain'

/** A byte range of the journal. Valid until the segment is freed. Segment numbers are never given twice in a directory's life, whatever their family. */
export type Range = Readonly<{ segment: number; offset: number; length: number }>

/** Largest fact that `admit` takes, in bytes. Larger bodies travel as pieces in successive batches. */
export const FACT_BYTES_MAX = 272 * 1024

export interface JournalListener {
  /** Every batch up to this number is durable and no higher epoch was seen. */
  committed(batch: number): void
  /** This node leads no more (higher epoch, failed write or sync): what is not committed now never will be by this node. Called once; nothing follows. */
  lost(error: Error): void
  /** Bytes waiting for the disk rose above the high mark, or fell below the low one. */
  pressure(high: boolean): void
  /** `publish` facts are refused (true) or taken again (false). */
  full(full: boolean): void
}

/** What replay calls, in order. */
export interface Visitor {
  /** The newest usable snapshot, once, first; not called when there is none. `bytes` are the chunks as they were given to `writeSnapshot`. Awaited: a large one may take its time in turns. */
  snapshot(bytes: readonly Uint8Array[]): void | Promise<void>
  /** Start of a batch. `wallMs` is its writer's wall clock. `epoch` rises at takeovers. */
  batch(batch: number, epoch: number, wallMs: number): void
  /** One fact of it: `buffer[start … end)` is its content, and `segment`/`offset` where the byte at `start` lies. The buffer is reused after the call. */
  fact(type: number, buffer: Buffer, start: number, end: number, segment: number, offset: number): void
  /**
   * What was told of the `length` bytes at this place is to be read elsewhere from now on, and places that facts name in that range mean the new ones: the
   * last batch of an epoch lies in the next epoch's header, and its first place may vanish or be freed. Between two batches.
   */
  moved?(segment: number, offset: number, length: number, toSegment: number, toOffset: number): void
}

export type SegmentInfo = Readonly<{
  segment: number
  family: 'log' | 'old'
  /** Bytes written. */
  bytes: number
  /** Nothing more is written to it. */
  sealed: boolean
  /** Its first batch's number (log only, else 0). A log segment is free to go when the snapshot covers its last batch and nothing live lies in it. */
  firstBatch: number
  lastBatch: number
}>

/** Where the log ends for one reader: enough to read exactly what was committed up to `batch`, from another thread. Structured-cloneable. */
export type Cut = Readonly<{
  directory: string
  batch: number
  chain: readonly Readonly<{ epoch: number; segment: number; end: number }>[]
}>

/** Up to where a visitor has been told the journal: the end of a batch. */
export type Position = Readonly<{ epoch: number; batch: number; segment: number; offset: number }>

export type FollowStatus = Readonly<{
  /**
   * `warming`: has not caught up yet. `warm`: has everything on disk but what is not decided yet (rule 17).
   * `cold`: met a fact or a format that this version does not know, and reads no further; a node in this state never claims.
   */
  state: 'warming' | 'warm' | 'cold'
  /** Why it is cold, or what keeps it from becoming warm; '' else. */
  reason: string
  /** Last batch that the visitor was told. */
  batch: number
  epoch: number
  /** Since when something decided lies on disk that the visitor was not told; 0: nothing does. */
  behindMs: number
}>

/** A standby's reader: tells a visitor the journal as it grows (rule 17). Reads only. */
export interface Follower {
  readonly status: FollowStatus
  /** Ends the following. The visitor was told everything up to this position, and nothing else; undefined: it is to be dropped, the journal read from its start. */
  stop(): Promise<Position | undefined>
}

export interface Journal {
  readonly epoch: number
  /** Number of the batch that the next admitted fact joins. */
  readonly gathering: number
  /** Number of the last committed batch. */
  readonly committed: number

  /**
   * Reserves `size` bytes for a fact of `type` (1 to 254) in the gathering batch. Answers where in `buffer` its author writes them, at once and
   * synchronously; -1: full, nothing happened. The fact is committed with batch `gathering` (read it after this call: a full batch is closed by it).
   */
  admit(type: number, size: number, claim: Claim): number
  /** Where `admit` reserved; read it anew after each `admit`. */
  readonly buffer: Buffer
  /** Segment and offset in it of the byte at the position that the last `admit` answered. */
  readonly segment: number
  readonly offset: number
  /** Commit what gathers at the end of this turn. Without it a batch waits for company: at most `lazyMs` (20 ms) or 64 KiB. */
  urge(): void
  /** Ends when everything admitted so far is committed. For shutdown and tests. */
  drained(): Promise<void>

  /** What memory holds: admitted, or lately read. Undefined: use `fetch`. The answer is a view that is never written to again. */
  read(segment: number, offset: number, length: number): Uint8Array | undefined
  /** Reads from disk, ahead by 256 KiB, into memory. Undefined: gone or unreadable. `done` is never called inside `fetch`. */
  fetch(segment: number, offset: number, length: number, done: (bytes: Uint8Array | undefined) => void): void
  /** Bytes held in memory by the two above. */
  readonly cachedBytes: number

  readonly segments: readonly SegmentInfo[]
  /** Bytes of directory that are in use, and the most that may be (`journal.bytesMax`). */
  readonly usedBytes: number
  readonly bytesMax: number
  /** Copies ranges into segments of family `old`, written and synced before `done` gives their new places, in the same order. */
  preserve(ranges: readonly Range[], done: (moved: readonly Range[] | undefined) => void): void
  /** Nothing that is committed refers to these segments any more, and a snapshot covers them: they are recycled or deleted. */
  free(segments: readonly number[]): void

  /** For a snapshot made elsewhere (a worker thread) by replaying up to the last committed batch. */
  cut(): Cut
  /** A snapshot of `batch` is on disk (written by `writeSnapshot`): older ones are removed. */
  snapshotTaken(batch: number): void
  /** Log bytes committed since the newest snapshot. */
  readonly sinceSnapshotBytes: number
  /** What was to be read at the start was damaged: one is to be made at once, however short the log. */
  readonly snapshotDue: boolean

  /** Rule 16: another leads. Nothing more is written; `listener.lost` is told, unless it was. */
  lose(error: Error): void
  /** Commits what was admitted and stops writing. The claim is released by its owner, not here. */
  close(): Promise<void>
}
