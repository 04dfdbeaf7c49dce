// A standby's reader of the file journal: tells a visitor what is decided, as the leader writes it (rule 17). It reads only, and judges nothing for ever:
// what is not whole yet may become so, and what is damaged is for the takeover's strict reading to refuse.
//
//   begin ─▶ newest epoch whose header is decided: snapshot, chain, copy (`readLog`) ─▶ its tail, batch by batch ◀─┐
//     ▲                                                                                  │                        │
//     └── gone, damaged, unreadable: after a pause ──────────────────────────────────────┴── a higher one: jump ──┘
//
// A header is a batch like any other. Once it is decided its chain and its copy are final: everything below it may be told, and nothing else ever counts.
import type { Clock, Log } from '../../api.ts'
import type { Disk } from '../../disk.ts'
import { readHeartbeat } from '../../failover/heartbeat.ts'
import { UnknownFact } from '../facts.ts'
import type { Follower, FollowStatus, Position, Visitor } from '../journal.ts'
import { BATCH_HEADER_BYTES, type BatchHeader, eachFact } from './batch.ts'
import { JournalDamage } from './damage.ts'
import { readCluster } from './directory.ts'
import { type Inventory, takeInventory } from './inventory.ts'
import { ReadAnew, readLog } from './read-log.ts'
import { type ReadHeader, readEpochHeader } from './recover.ts'
import { HEAD_BYTES, sectorAfter } from './segment.ts'
import { type SnapshotName, listSnapshots } from './snapshot.ts'
import { ifThere } from './stock.ts'
import { Tail, Vanished } from './tail.ts'

/** After growth it looks again so soon: often enough for the lag, seldom enough for many batches a read. */
const SOON_MS = 5
/** The pauses after failures grow from `pollMs` up to this. */
const PAUSE_MS_MAX = 5_000
/** A directory of many files takes long to list: the time that took is spent again so often before the next. */
const LIST_SHARE = 100

export type FollowOptions = Readonly<{
  directory: string
  disk: Disk
  clock: Clock
  /** How long it rests when nothing new is there. */
  pollMs: number
  log: Log
  /** The cluster whose journal this was when the process started: another's is not followed. Without: whichever it is. */
  cluster?: string
  /** A fresh visitor over an empty state: called at the start, and again whenever the following has to begin anew. */
  begin: () => Visitor
}>

export function followFileJournal(options: FollowOptions): Follower {
  return new FileFollower(options)
}

/** An epoch above the one that is followed, whose header is whole and may yet vanish. */
type Candidate = Readonly<{ header: ReadHeader; tail: Tail }>

/** The end was asked for between two batches. */
class Stopped extends Error {}

class FileFollower implements Follower {
  readonly #options: FollowOptions
  #visitor: Visitor
  #state: FollowStatus['state'] = 'warming'
  #reason = ''
  /** Behind what the visitor was told last; undefined: nothing, or it is to be dropped. */
  #told: Position | undefined
  /** Something was told, be it in part. */
  #touched = false
  #cluster: string | undefined
  #tail: Tail | undefined
  #candidates = new Map<number, Candidate>()
  #nextListMs = 0
  /** When everything that was decided had last been told. */
  #caughtUpMs: number
  #behind = true
  #failures = 0
  #stopping = false
  #wake: () => void = () => undefined
  readonly #running: Promise<void>

  constructor(options: FollowOptions) {
    this.#options = options
    this.#visitor = options.begin()
    this.#caughtUpMs = options.clock.monoMs()
    this.#running = this.#run()
  }

  get status(): FollowStatus {
    return {
      state: this.#state,
      reason: this.#reason,
      batch: this.#told?.batch ?? 0,
      epoch: this.#told?.epoch ?? 0,
      behindMs: this.#behind ? Math.max(1, this.#options.clock.monoMs() - this.#caughtUpMs) : 0,
    }
  }

  async stop(): Promise<Position | undefined> {
    this.#stopping = true
    this.#wake()
    await this.#running
    return this.#told
  }

  async #run(): Promise<void> {
    while (!this.#stopping && this.#state !== 'cold') {
      let pauseMs = this.#options.pollMs
      try {
        if (await this.#follow()) pauseMs = Math.min(pauseMs, SOON_MS)
      } catch (error) {
        if (error instanceof Stopped) break
        pauseMs = await this.#failed(error)
      }
      await this.#rest(pauseMs)
    }
    await this.#closeAll()
  }

  /** Reads until nothing decided is left. True: there was something. */
  async #follow(): Promise<boolean> {
    const { clock, log } = this.#options
    if (this.#tail === undefined) await this.#expectCluster()
    let grew = false
    for (;;) {
      const beganMs = clock.monoMs()
      const step = await this.#advance()
      this.#goOn()
      grew ||= step !== 'nothing'
      if (step !== 'more') {
        this.#caughtUpMs = beganMs
        break
      }
      // It shares the process with health checks.
      await new Promise<void>((resolve) => clock.turn(resolve))
    }
    this.#behind = false
    this.#state = 'warm'
    this.#failures = 0
    if (this.#reason !== '') log.info({ batch: this.#told?.batch ?? 0 }, 'the journal can be followed again')
    this.#reason = ''
    return grew
  }

  #goOn(): void {
    if (this.#stopping) throw new Stopped()
  }

  /** `end`: something was told, and what comes next is not whole yet. A leader that writes on would keep us here for ever: what else there is can wait. */
  async #advance(): Promise<'more' | 'end' | 'nothing'> {
    const before = this.#told?.batch ?? 0
    if (this.#tail !== undefined) {
      if ((await this.#tail.read(this.#tell)) === 'more' || (await this.#tail.rollToNext())) return 'more'
      if ((this.#told?.batch ?? 0) !== before) return 'end'
    }
    return (await this.#lookAround()) || (await this.#askHeartbeat()) ? 'more' : 'nothing'
  }

  async #expectCluster(): Promise<void> {
    this.#cluster = await readCluster(this.#options.disk, this.#options.directory, this.#options.cluster)
  }

  // ---- Other segments, other epochs ---------------------------------------------------------------------------------

  async #lookAround(): Promise<boolean> {
    const { disk, directory, clock } = this.#options
    const nowMs = clock.monoMs()
    if (this.#tail !== undefined && nowMs < this.#nextListMs)
      return this.#decideCandidates(
        [...this.#candidates.keys()].sort((a, b) => b - a),
        undefined,
      )
    const inventory = await takeInventory(disk, directory)
    this.#nextListMs = clock.monoMs() + (clock.monoMs() - nowMs) * LIST_SHARE
    const followed = this.#tail?.epoch ?? 0
    const higher = [...inventory.log.keys()].filter((epoch) => epoch > followed).sort((a, b) => b - a)
    if (await this.#decideCandidates(higher, inventory)) return true
    return (await this.#tail?.roll(inventory.log.get(followed) ?? [])) ?? false
  }

  /** Looks at epochs from the highest downwards, and jumps to the first whose header is decided. */
  async #decideCandidates(epochs: readonly number[], inventory: Inventory | undefined): Promise<boolean> {
    if (epochs.length === 0) return false
    // Before anything was told, a snapshot may be all that is left of what lies behind a header.
    const snapshots = this.#told === undefined && inventory !== undefined ? await listSnapshots(this.#options.disk, this.#options.directory) : []
    for (const epoch of epochs) {
      const candidate = this.#candidates.get(epoch) ?? (await this.#candidate(epoch, inventory))
      if (candidate === undefined || !(await this.#isDecided(candidate, snapshots))) continue
      await this.#jump(candidate, snapshots)
      return true
    }
    return false
  }

  /** Undefined: no whole header yet, perhaps never. */
  async #candidate(epoch: number, inventory: Inventory | undefined): Promise<Candidate | undefined> {
    const { disk, directory } = this.#options
    const numbers = inventory?.log.get(epoch)
    // What was listed may be gone by now: a void epoch's, deleted by the leader after it.
    const header = numbers === undefined ? undefined : await ifThere(readEpochHeader(disk, directory, epoch, numbers, this.#cluster))
    if (header === undefined) return undefined
    const candidate = { header, tail: new Tail({ disk, directory, cluster: this.#cluster, at: behind(header) }) }
    this.#candidates.set(epoch, candidate)
    return candidate
  }

  /**
   * Rule 17: by the batch behind it, by the heartbeat, or by a snapshot of its epoch, which holds committed facts only. One of a later epoch says nothing:
   * a header that became whole late may be void in that epoch's chain.
   */
  async #isDecided({ header, tail }: Candidate, snapshots: readonly SnapshotName[]): Promise<boolean> {
    if (snapshots.some((name) => name.epoch === tail.epoch)) return true
    if (tail.pending === undefined) await tail.read(() => undefined)
    return tail.pending !== undefined || (await this.#isCommitted(tail.epoch, header.header.batch))
  }

  async #jump(candidate: Candidate, snapshots: readonly SnapshotName[]): Promise<void> {
    const { disk, directory, log } = this.#options
    const { header } = candidate
    const { epoch } = candidate.tail
    this.#goOn()
    const snapshot = snapshots.find((name) => name.epoch === epoch)
    const end = snapshot ?? behind(header)
    this.#behind = true
    await readLog({
      disk,
      directory,
      chain: [...header.content.chain, { epoch, segment: end.segment, end: end.offset }],
      last: undefined,
      batchMax: end.batch,
      visitor: this.#touching(),
      ...(this.#told === undefined ? {} : { from: this.#told }),
      ...(this.#cluster === undefined ? {} : { cluster: this.#cluster }),
      told: (position) => {
        this.#told = position
        this.#goOn()
      },
      warn: (sentence) => log.warn({}, sentence),
    })
    await this.#tail?.close()
    // Not the candidate's, which has read on without telling.
    this.#tail = new Tail({ disk, directory, cluster: this.#cluster, at: end })
    for (const [other, { tail }] of this.#candidates) {
      if (other > epoch) continue
      this.#candidates.delete(other)
      await tail.close()
    }
  }

  // ---- Deciding and telling -----------------------------------------------------------------------------------------

  async #askHeartbeat(): Promise<boolean> {
    const tail = this.#tail
    const pending = tail?.pending
    if (tail === undefined || pending === undefined || !(await this.#isCommitted(tail.epoch, pending))) return false
    tail.decide(this.#tell)
    return true
  }

  async #isCommitted(epoch: number, batch: number): Promise<boolean> {
    // A heartbeat that cannot be read decides nothing; the next batch will.
    const heartbeat = await readHeartbeat(this.#options.disk, this.#options.directory, epoch).catch(() => undefined)
    return heartbeat !== undefined && heartbeat.batch >= batch
  }

  readonly #tell = (header: BatchHeader, image: Buffer, start: number): void => {
    const { batch, epoch, segment, offset, length, wallMs } = header
    const visitor = this.#visitor
    const shift = offset - start
    if (!this.#behind) this.#behind = true
    this.#touched = true
    // Told in part is told wrongly, until it is told whole.
    this.#told = undefined
    visitor.batch(batch, epoch, wallMs)
    const whole = eachFact(image, start + BATCH_HEADER_BYTES, start + length, (type, from, to) => {
      visitor.fact(type, image, from, to, segment, from + shift)
    })
    if (!whole) throw new JournalDamage('batch', String(segment), offset, `batch ${batch} is whole, but its facts do not add up`)
    this.#told = { epoch, batch, segment, offset: offset + sectorAfter(length) }
  }

  #touching(): Visitor {
    this.#touched = true
    return this.#visitor
  }

  // ---- Failing, resting ---------------------------------------------------------------------------------------------

  /** Answers how long to pause. */
  async #failed(error: unknown): Promise<number> {
    const { log, begin, pollMs } = this.#options
    const newer = error instanceof UnknownFact || (error instanceof JournalDamage && error.kind === 'newer')
    this.#told = undefined
    this.#behind = true
    await this.#closeAll()
    if (newer) {
      this.#state = 'cold'
      this.#reason = error.message
      log.error({ reason: error.message }, 'the journal cannot be followed by this version: this node will not take over')
      return 0
    }
    this.#state = 'warming'
    if (this.#touched) this.#visitor = begin()
    this.#touched = false
    // What the leader freed before it was read is everyday; the second time in a row is not.
    const complaint = error instanceof Error ? error.message : String(error)
    const everyday = (error instanceof Vanished || error instanceof ReadAnew) && this.#failures === 0
    if (!everyday && this.#reason === '') {
      this.#reason = complaint
      log.warn({ error: complaint }, 'the journal cannot be followed: this node begins anew as soon as it can')
    }
    return Math.min(PAUSE_MS_MAX, pollMs * 2 ** Math.min(this.#failures++, 16))
  }

  async #closeAll(): Promise<void> {
    const tails = [...this.#candidates.values()].map(({ tail }) => tail)
    if (this.#tail !== undefined) tails.push(this.#tail)
    this.#candidates.clear()
    this.#tail = undefined
    for (const tail of tails) await tail.close().catch(() => undefined)
  }

  #rest(ms: number): Promise<void> {
    if (this.#stopping || this.#state === 'cold') return Promise.resolve()
    return new Promise((resolve) => {
      const cancel = this.#options.clock.after(ms, resolve)
      this.#wake = () => {
        cancel()
        resolve()
      }
    })
  }
}

const behind = ({ header, segment }: ReadHeader): Position => ({
  epoch: header.epoch,
  batch: header.batch,
  segment,
  offset: HEAD_BYTES + sectorAfter(header.length),
})
