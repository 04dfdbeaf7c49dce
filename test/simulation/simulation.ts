// A seeded simulation of two or three whole nodes on one directory: the real `Node` with claim, follower, journal and core, without sockets, on a simulated disk and
// clocks, and clients that publish and consume, in transactions, at times, in groups and by selectors. One seed is one history, the same for ever. What must hold is `history.ts`; what goes wrong on purpose is `faults.ts`.
import process from 'node:process'
import { codeOf } from '../../src/disk.ts'
import { claimPath } from '../../src/failover/claim-file.ts'
import { heartbeatPath } from '../../src/failover/heartbeat.ts'
import { JournalDamage } from '../../src/journal/file/damage.ts'
import { prepareDirectory } from '../../src/journal/file/directory.ts'
import { SeededRandom } from '../../src/random.ts'
import { Faults } from './faults.ts'
import { History, type Invariant, type Violation } from './history.ts'
import { Process, Scheduler } from './scheduler.ts'
import { SimulatedClient } from './simulated-client.ts'
import { type Operation, SimulatedDisk } from './simulated-disk.ts'
import { DIRECTORY, LEASE_MS, SimulatedNode, type SimulatedTerm } from './simulated-node.ts'
import { finish } from './finish.ts'

export type SimulationOptions = Readonly<{
  seed: number
  steps: number
  /** `cached`: names are seen late, and claimants wait (rule 19). By seed when not given. */
  lookup?: 'exact' | 'cached'
  /** Clients only publish, consume and settle, each message by itself: for seeds that found something before they did more. */
  plain?: boolean
  /** How many times the age of old answers they wait; less than 2 is a mistake. */
  settle?: number
  /** Each line of the trace. */
  onTrace?: (line: string) => void
}>

export type Outcome = Readonly<{
  steps: number
  ms: number
  hash: number
  counts: Readonly<Record<string, number>>
  violation: Violation | undefined
}>

/** How old a cached name may be. */
const STALE_MS = 150
/** As in main.ts: first the others' looks may be old, then our own listing of what they wrote until they knew; and clocks differ. */
const OLD_ANSWERS = 2
const RATE_MARGIN = 1.1

export async function simulate(options: SimulationOptions): Promise<Outcome> {
  const world = new World(options)
  const crashed = (error: unknown): void => world.violate('no-crash', wholeOf(error))
  world.scheduler.thrown = crashed
  process.on('unhandledRejection', crashed)
  try {
    await world.run()
  } finally {
    process.off('unhandledRejection', crashed)
  }
  const { counts, violation, hash } = world.history
  return {
    steps: world.scheduler.steps,
    ms: world.scheduler.nowMs,
    hash,
    counts: { ...counts, ...world.counts, ...world.faults.counts },
    violation,
  }
}

const wholeOf = (error: unknown): string => (error instanceof Error ? (error.stack ?? error.message) : String(error))

export class World {
  readonly options: SimulationOptions
  readonly random: SeededRandom
  readonly scheduler = new Scheduler()
  readonly disk: SimulatedDisk
  readonly history = new History()
  readonly faults: Faults
  readonly lookup: 'exact' | 'cached'
  readonly counts = { started: 0, claims: 0, terms: 0, found: 0, foundElsewhere: 0, failed: 0 }
  readonly clients: SimulatedClient[] = []
  /** By place: two or three nodes. */
  readonly nodes: (SimulatedNode | undefined)[]
  /** Bits were flipped in these files. */
  readonly flipped = new Set<string>()
  stopped = false
  cluster = ''
  /** An operation takes about so long, and sometimes much longer. */
  readonly #slow: number
  #tail: number
  readonly #spareSegments: number
  readonly #links = new Map<number, number>()
  readonly #needless = new Map<number, string>()
  readonly #beats = new Map<string, { lastMs: number; gapMs: number }>()

  constructor(options: SimulationOptions) {
    const { seed } = options
    this.options = options
    this.random = new SeededRandom(seed)
    const { random } = this
    this.disk = new SimulatedDisk(new SeededRandom(seed + 0x5eed))
    this.nodes = Array.from({ length: 2 + random.below(2) }, () => undefined)
    this.#slow = [0.05, 0.2, 1, 3][random.below(4)]
    this.#tail = [0, 20, 100][random.below(3)]
    this.#spareSegments = random.below(2)
    this.lookup = options.lookup ?? (random.below(4) === 0 ? 'cached' : 'exact')
    this.faults = new Faults(this)
    this.history.onTrace = options.onTrace
  }

  async run(): Promise<void> {
    const { scheduler, options } = this
    await this.#prepare()
    for (let i = 0; i < this.nodes.length; i++) this.start(i, false)
    this.faults.start()
    this.clients.push(...Array.from({ length: 2 + this.random.below(3) }, (_, i) => this.#client(`c${i}`, i)))
    for (const client of this.clients) client.start()
    while (scheduler.steps < options.steps && !this.isOver) await scheduler.step()
    if (!this.isOver) await finish(this)
  }

  async #prepare(): Promise<void> {
    const { disk, random, scheduler } = this
    this.cluster = (await prepareDirectory(disk.as('set-up'), DIRECTORY, random)).cluster
    disk.settle()
    if (this.lookup !== 'exact') disk.staleness = { maxMs: STALE_MS, nowMs: () => scheduler.nowMs, asks: () => random.below(8) === 0 }
    disk.gate = (name, operation, path) => this.#gate(name, operation, path)
    disk.fail = (name, operation, path) => this.faults.fail(name, operation, path)
    disk.linked = (name, path) => this.#linked(name, path)
    disk.written = (_name, path) => this.#wrote(path)
  }

  #client(name: string, place: number): SimulatedClient {
    const { scheduler, history, random, options } = this
    return new SimulatedClient({
      name,
      scheduler,
      history,
      random: new SeededRandom(random.below(2 ** 31)),
      thinkMs: 4 + random.below(12),
      large: [0, 2, 10][random.below(3)],
      depth: options.plain === true ? undefined : new SeededRandom(options.seed * 8 + place + 0xdee9),
      terms: () => this.openTerms,
      deposed: (epoch) => this.deposed(epoch),
      stopped: () => this.stopped,
    })
  }

  /** Something was violated, or damage that was done was found. */
  get isOver(): boolean {
    return this.history.violation !== undefined || this.history.ended
  }

  get openTerms(): SimulatedTerm[] {
    const terms: SimulatedTerm[] = []
    for (const node of this.nodes) if (node?.term?.isOpen === true && !node.options.process.dead) terms.push(node.term)
    return terms
  }

  chance(of10000: number): boolean {
    return this.random.below(10_000) < of10000
  }

  violate(invariant: Invariant, sentence: string): void {
    this.history.violate(invariant, sentence)
  }

  // ---- Nodes

  start(place: number, force: boolean): SimulatedNode {
    const { random, scheduler, history } = this
    const process = new Process({
      name: `p${++this.counts.started}`,
      scheduler,
      // Two machines' clocks differ by at most a twentieth.
      rate: 1 + (random.below(41) - 20) / 1_000,
      wallOffsetMs: random.below(2_000) - 1_000,
      stallMs: LEASE_MS / 4,
    })
    history.trace(`${process.name} starts${force ? ' by force' : ''} as ${'abc'[place]}`)
    const node: SimulatedNode = new SimulatedNode({
      process,
      id: 'abc'[place],
      cluster: this.cluster,
      disk: this.disk.as(process.name),
      random: new SeededRandom(random.below(2 ** 31)),
      history,
      force,
      settleMs: this.lookup === 'cached' ? STALE_MS * (this.options.settle ?? OLD_ANSWERS) * RATE_MARGIN : 0,
      exact: this.lookup === 'exact',
      journal: { spareSegments: this.#spareSegments },
      deposed: (epoch) => this.deposed(epoch),
      // Where names are seen late, a claim is none until it must have been seen.
      deposedSince: (epoch) =>
        this.deposed(epoch) ? (this.#links.get(epoch + 1) ?? 0) + (this.lookup === 'exact' ? 0 : STALE_MS) : Number.POSITIVE_INFINITY,
      claimed: (epoch, forced) => this.#claimed(epoch, forced),
      opened: () => {
        this.counts.terms += 1
      },
      ended: (error) => this.#ended(place, node, error),
    })
    this.nodes[place] = node
    node.start()
    return node
  }

  kill(place: number): void {
    const node = this.nodes[place]
    if (node === undefined) return
    const { process } = node.options
    this.history.trace(`${process.name} is killed`)
    process.dead = true
    this.disk.kill(process.name)
    this.nodes[place] = undefined
  }

  #ended(place: number, node: SimulatedNode, error: unknown): void {
    if (this.nodes[place] !== node) return
    this.history.trace(`${node.options.process.name} ends: ${String(error)}`)
    this.kill(place)
    if (error === undefined) return
    this.counts.failed += 1
    if (error instanceof JournalDamage) {
      if (this.flipped.size > 0) {
        this.history.ended = true
        this.counts[this.flipped.has(error.file) ? 'found' : 'foundElsewhere'] += 1
      } else this.violate('no-false-damage', `${node.options.process.name}: ${error.message}`)
    } else if (codeOf(error) === 'EEXIST') this.violate('one-leader-an-epoch', wholeOf(error))
    else if (!['EIO', 'ENOSPC', 'not-leading'].includes(codeOf(error))) this.violate('no-crash', wholeOf(error))
  }

  deposed(epoch: number): boolean {
    return this.disk.has(claimPath(DIRECTORY, epoch + 1))
  }

  /** From now on the disk does what it is told, at once. */
  calm(): void {
    this.stopped = true
    this.#tail = 0
    this.faults.end()
  }

  // ---- What the disk does

  #gate(name: string, operation: Operation, path: string): Promise<void> {
    const { scheduler, random } = this
    const process = this.nodes.find((one) => one?.options.process.name === name)?.options.process
    // Of a process that is gone: never goes on.
    if (process === undefined) return new Promise(() => undefined)
    this.history.trace(`${scheduler.nowMs.toFixed(3)} ${name} ${operation} ${path}`)
    this.faults.passing(name, operation, path)
    let ms = ((1 + random.below(1_000)) / 1_000) * this.#slow
    if (random.below(10_000) < this.#tail) ms += [5, 30, LEASE_MS / 2, 2 * LEASE_MS][random.below(4)]
    return new Promise((resolve) => scheduler.at(scheduler.nowMs + ms, process, resolve))
  }

  #linked(name: string, path: string): void {
    const epoch = Number(path.slice(path.lastIndexOf('/') + 1))
    this.#links.set(epoch, this.scheduler.nowMs)
    // An earlier claim of this number may have vanished with its claimant.
    this.#needless.delete(epoch)
    // A leader that has led in health until now, and was heard: only force may claim over it.
    for (const term of this.openTerms) {
      if (term.epoch !== epoch - 1) continue
      const beat = this.#beats.get(heartbeatPath(DIRECTORY, term.epoch))
      const silentMs = Math.max(beat?.gapMs ?? 0, this.scheduler.nowMs - (beat?.lastMs ?? 0))
      if (silentMs < LEASE_MS * 0.7 && term.process.pausedUntilMs < this.scheduler.nowMs)
        this.#needless.set(
          epoch,
          `${name} claimed ${epoch} although ${term.process.name} led ${term.epoch} and was never silent for longer than ${Math.round(silentMs)} ms`,
        )
    }
  }

  #claimed(epoch: number, forced: boolean): void {
    this.counts.claims += 1
    const needless = this.#needless.get(epoch)
    if (needless !== undefined && !forced) this.violate('no-needless-claim', needless)
  }

  #wrote(path: string): void {
    if (!path.includes('/heartbeat-')) return
    const { nowMs } = this.scheduler
    const beat = this.#beats.get(path)
    if (beat === undefined) {
      const claimedMs = this.#links.get(Number(path.slice(path.lastIndexOf('-') + 1))) ?? nowMs
      this.#beats.set(path, { lastMs: nowMs, gapMs: nowMs - claimedMs })
    } else {
      beat.gapMs = Math.max(beat.gapMs, nowMs - beat.lastMs)
      beat.lastMs = nowMs
    }
  }
}
