// A simulated disk with nodes that a test leads by hand: hold one at a step, kill it, let another claim. For tests that tell one story; chance is in `simulation.ts`.
import { MovableClock } from '../../src/clock.ts'
import type { Disk } from '../../src/disk.ts'
import { type Leadership, claim } from '../../src/failover/claim.ts'
import { encodeHeartbeat, heartbeatPath, nodesIn } from '../../src/failover/heartbeat.ts'
import { prepareDirectory } from '../../src/journal/file/directory.ts'
import { type FollowOptions, followFileJournal } from '../../src/journal/file/follow.ts'
import { type JournalSettings, openFileJournal } from '../../src/journal/file/open.ts'
import { Heard, Replayed } from '../../src/journal/journal.contract.ts'
import type { Follower, Journal, Position } from '../../src/journal/journal.ts'
import { SeededRandom } from '../../src/random.ts'
import { type Operation, SimulatedDisk } from './simulated-disk.ts'

export const DIRECTORY = '/data'

export type Leading = Readonly<{ name: string; leadership: Leadership; journal: Journal; heard: Heard; replayed: Replayed }>

/** What a standby brings along. */
export type Known = Readonly<{ replayed?: Replayed; from?: Position; cluster?: string }>

export type Following = Readonly<{ follower: Follower; begun: Replayed[]; logged: string[]; told: Replayed }>

/** A step at which a node waits. */
export interface Held {
  readonly reached: Promise<void>
  release(): void
}

type Hold = { readonly process: string; readonly operation: Operation; readonly part: string; skip: number; arrive: () => void; gate: Promise<void> }

export class Stage {
  readonly clock = new MovableClock()
  readonly disk: SimulatedDisk
  readonly random: SeededRandom
  /** `name operation path` of every step, in order. */
  readonly trace: string[] = []
  /** What leaders said as errors. */
  readonly errors: string[] = []
  #holds: Hold[] = []
  #heartbeats = 0

  static async make(seed = 1): Promise<Stage> {
    const stage = new Stage(seed)
    await prepareDirectory(stage.as('set-up'), DIRECTORY, stage.random)
    stage.disk.settle()
    stage.trace.length = 0
    return stage
  }

  private constructor(seed: number) {
    this.random = new SeededRandom(seed)
    this.disk = new SimulatedDisk(new SeededRandom(seed + 1))
    this.disk.gate = (process, operation, path) => {
      this.trace.push(`${process} ${operation} ${path}`)
      const hold = this.#holds.find((one) => one.process === process && one.operation === operation && path.includes(one.part))
      if (hold === undefined || hold.skip-- > 0) return undefined
      this.#holds = this.#holds.filter((one) => one !== hold)
      hold.arrive()
      return hold.gate
    }
  }

  as(name: string): Disk {
    return this.disk.as(name)
  }

  /** The next such step waits; `skip` lets that many pass before. A write has two steps (half of it is there at the second), then its sync has two (durable at the second). */
  hold(process: string, operation: Operation, part: string, skip = 0): Held {
    let release = (): void => undefined
    let arrive = (): void => undefined
    const gate = new Promise<void>((resolve) => {
      release = resolve
    })
    const reached = new Promise<void>((resolve) => {
      arrive = resolve
    })
    this.#holds.push({ process, operation, part, skip, arrive, gate })
    return { reached, release }
  }

  claim(name: string, force = false, onWaiting: (holder: { node: string; epoch: number }) => void = () => undefined): Promise<Leadership> {
    const { clock, random } = this
    return claim({
      directory: DIRECTORY,
      node: name,
      address: '',
      disk: this.as(name),
      clock,
      random,
      force,
      pollMs: 10,
      signal: new AbortController().signal,
      onWaiting,
    })
  }

  async lead(name: string, settings: Partial<JournalSettings> = {}, known: Known = {}): Promise<Leading> {
    return this.open(name, await this.claim(name, true), settings, known)
  }

  async open(name: string, leadership: Leadership, settings: Partial<JournalSettings> = {}, known: Known = {}): Promise<Leading> {
    const heard = new Heard()
    const replayed = known.replayed ?? new Replayed()
    const { clock, random } = this
    const journal = await openFileJournal({
      directory: DIRECTORY,
      disk: this.as(name),
      clock,
      random,
      leadership,
      settings: {
        segmentBytes: 1024 * 1024,
        bytesMax: 2 ** 40,
        reserveBytes: 0,
        cacheBytes: 1024 * 1024,
        lazyMs: 20,
        lazyBytes: 65_536,
        spareSegments: 0,
        ...settings,
      },
      visitor: replayed,
      ...(known.from === undefined ? {} : { from: known.from }),
      ...(known.cluster === undefined ? {} : { cluster: known.cluster }),
      listener: heard,
      log: {
        debug: () => undefined,
        info: () => undefined,
        warn: () => undefined,
        error: (details, sentence) => void this.errors.push(`${sentence}: ${'error' in details ? String(details.error) : ''}`),
      },
    })
    return { name, leadership, journal, heard, replayed }
  }

  /** A standby's follower, polling every 10 ms, and what its visitors were told: the last one first begun anew. */
  follow(name: string, options: Partial<FollowOptions> = {}): Following {
    const begun: Replayed[] = []
    const logged: string[] = []
    const say = (_details: object, sentence: string): void => void logged.push(sentence)
    const follower = followFileJournal({
      directory: DIRECTORY,
      disk: this.as(name),
      clock: this.clock,
      pollMs: 10,
      log: { debug: say, info: say, warn: say, error: say },
      begin: () => {
        begun.push(new Replayed())
        return begun[begun.length - 1]
      },
      ...options,
    })
    return {
      follower,
      begun,
      logged,
      get told() {
        return begun[begun.length - 1]
      },
    }
  }

  /** What the leader's next heartbeat would say. */
  async heartbeat(name: string, epoch: number, batch: number): Promise<void> {
    const disk = this.as(name)
    const path = heartbeatPath(DIRECTORY, epoch)
    await disk.mkdir(nodesIn(DIRECTORY))
    const file = await disk.open(path, disk.exists(path) ? 'write' : 'create')
    await file.write([encodeHeartbeat(epoch, { count: ++this.#heartbeats, batch })], 0)
    await file.close()
  }

  /** The process is gone, and what it left unsynced with it. */
  killAndLose(name: string): void {
    this.disk.kill(name)
    this.disk.loseUnsynced()
  }

  names(folder: string): Promise<string[]> {
    return this.as('observer').list(`${DIRECTORY}/${folder}`)
  }
}

/** Lets everything happen that can. */
export async function settle(turns = 60): Promise<void> {
  for (let i = 0; i < turns; i++) await new Promise((resolve) => setImmediate(resolve))
}
