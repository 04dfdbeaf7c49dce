// A seeded simulation of two or three nodes on one directory: the real journal and claim code on a simulated disk and clocks. One seed is one history,
// the same for ever. Nodes are paused, killed and started at any step; claims are forced under healthy leaders; unsynced data of the dead is lost or torn;
// writes, syncs and looks fail.
//
// What must hold, checked as it runs:
// - what was acknowledged, every successor has read (protocol property a);
// - nobody acknowledges after a higher claim is visible, nor after a successor has read (b, c);
// - successive leaders read histories that extend each other (e, f);
// - the place that replay names is where the fact is read from.
import type { Clock } from '../../src/api.ts'
import { codeOf } from '../../src/disk.ts'
import { highestEpoch } from '../../src/failover/claim-file.ts'
import { type Leadership, claim } from '../../src/failover/claim.ts'
import { prepareDirectory } from '../../src/journal/file/directory.ts'
import { JournalDamage } from '../../src/journal/file/damage.ts'
import { openFileJournal } from '../../src/journal/file/open.ts'
import type { Journal, Range, Visitor } from '../../src/journal/journal.ts'
import { replayCut, writeSnapshot } from '../../src/journal/replay.ts'
import { SeededRandom } from '../../src/random.ts'
import { SimulatedDisk } from './simulated-disk.ts'

export type Rates = Readonly<{
  /** Of 10,000 steps each. */
  pause: number
  kill: number
  force: number
  decay: number
  power: number
  fail: number
}>

export type SimulationOptions = Readonly<{
  seed: number
  nodes: number
  steps: number
  rates?: Partial<Rates>
  /** Mutants: the same protocol with one rule broken. */
  leadership?: (real: Leadership) => Leadership
  lies?: Partial<SimulatedDisk['lies']>
}>

export type Outcome = Readonly<{
  claims: number
  opened: number
  acknowledged: number
  snapshots: number
  freed: number
  lost: number
  damaged: number
}>

export class Violation extends Error {}

/** Rejects with a `Violation`, or an error that production code should not have thrown. */
export async function simulate(options: SimulationOptions): Promise<Outcome> {
  const world = new World(options)
  await world.run()
  return world.outcome
}

const DIRECTORY = '/data'
const defaultRates: Rates = { pause: 120, kill: 40, force: 25, decay: 60, power: 3, fail: 10 }

type Step = Readonly<{ process: Process; run: () => void }>
type Timer = Readonly<{ process: Process; atMs: number; run: () => void }>

class World {
  readonly random: SeededRandom
  readonly disk: SimulatedDisk
  readonly options: SimulationOptions
  readonly rates: Rates
  readonly outcome = { claims: 0, opened: 0, acknowledged: 0, snapshots: 0, freed: 0, lost: 0, damaged: 0 }
  nowMs = 1_000
  steps: Step[] = []
  timers: Timer[] = []
  processes: (Process | undefined)[]
  failNext = ''
  failure: Error | undefined
  /** Facts acknowledged to clients, in order. */
  readonly acknowledged: string[] = []
  /** What the last node that became active had read, and its epoch. */
  history: readonly string[] = []
  historyEpoch = 0
  #started = 0

  constructor(options: SimulationOptions) {
    this.options = options
    this.random = new SeededRandom(options.seed)
    this.rates = { ...defaultRates, ...options.rates }
    this.disk = new SimulatedDisk(new SeededRandom(options.seed + 1))
    Object.assign(this.disk.lies, options.lies)
    this.processes = Array.from({ length: options.nodes }, () => undefined)
  }

  chance(of10000: number): boolean {
    return this.random.below(10_000) < of10000
  }

  violate(sentence: string): void {
    this.failure ??= new Violation(sentence)
  }

  async run(): Promise<void> {
    await prepareDirectory(this.disk.as('set-up'), DIRECTORY, this.random)
    this.disk.settle()
    this.disk.gate = (name) => {
      const process = this.processes.find((one) => one?.name === name)
      // Of a process that is gone: never goes on.
      if (process === undefined) return new Promise(() => undefined)
      return new Promise((resolve) => {
        this.steps.push({ process, run: resolve })
      })
    }
    this.disk.fail = (name, operation) => {
      if (name !== this.failNext || !['write', 'sync', 'sync-directory', 'exists'].includes(operation)) return undefined
      this.failNext = ''
      return { code: 'EIO', after: this.random.below(2) === 0 }
    }
    for (let i = 0; i < this.options.steps && this.failure === undefined; i++) {
      this.#happen()
      this.#advance()
      // Lets every promise settle that the step settled: nothing else in a simulation waits for the real loop.
      await new Promise((resolve) => setImmediate(resolve))
    }
    // Whatever state it ended in, a last node must be able to lead and have everything.
    if (this.failure === undefined) await this.#last()
    if (this.failure !== undefined) throw this.failure
  }

  #happen(): void {
    const { rates, random, processes } = this
    const at = random.below(processes.length)
    const process = processes[at]
    if (process === undefined) {
      if (this.chance(300)) this.#start(at, this.chance(2_000))
      return
    }
    if (process.ended) {
      this.disk.kill(process.name)
      processes[at] = undefined
      return
    }
    if (process.paused) {
      if (this.chance(200)) process.paused = false
    } else if (this.chance(rates.pause)) process.paused = true
    if (this.chance(rates.kill)) this.#kill(at)
    // A claim under a healthy leader: any idle place starts with force.
    if (this.chance(rates.force)) {
      const idle = processes.indexOf(undefined)
      if (idle !== -1) this.#start(idle, true)
    }
    if (this.chance(rates.fail)) this.failNext = process.name
    if (this.chance(rates.decay)) this.disk.decay()
    if (this.chance(rates.power)) {
      for (let i = 0; i < processes.length; i++) this.#kill(i)
      this.disk.decay(true)
    }
  }

  #start(at: number, force: boolean): void {
    const process = new Process(this, `p${++this.#started}`, force)
    this.processes[at] = process
    void process.run()
  }

  #kill(at: number): void {
    const process = this.processes[at]
    if (process === undefined) return
    this.disk.kill(process.name)
    this.processes[at] = undefined
    this.steps = this.steps.filter((one) => one.process !== process)
    this.timers = this.timers.filter((one) => one.process !== process)
  }

  /** One step of one process that is not paused; when nobody can move, time passes. */
  #advance(): void {
    const able = this.steps.filter((one) => !one.process.paused)
    if (able.length > 0 && !this.chance(300)) {
      const step = able[this.random.below(able.length)]
      this.steps.splice(this.steps.indexOf(step), 1)
      step.run()
      return
    }
    const due = this.timers.filter((one) => !one.process.paused).toSorted((a, b) => a.atMs - b.atMs)[0]
    if (due === undefined) return
    this.timers.splice(this.timers.indexOf(due), 1)
    this.nowMs = Math.max(this.nowMs, due.atMs)
    due.run()
  }

  async #last(): Promise<void> {
    for (let i = 0; i < this.processes.length; i++) this.#kill(i)
    this.disk.decay()
    this.failNext = ''
    this.#start(0, true)
    const process = this.processes[0]
    for (let i = 0; i < 20_000 && process?.active === false && !process.ended && this.failure === undefined; i++) {
      this.#advance()
      await new Promise((resolve) => setImmediate(resolve))
    }
    if (process?.active === false) this.violate(`the last node could not lead: ${process.why}`)
  }
}

class Process {
  paused = false
  ended = false
  active = false
  why = 'it did not get there'
  readonly name: string
  readonly #world: World
  readonly #force: boolean
  readonly #clock: Clock
  readonly #facts: string[] = []
  readonly #places = new Map<string, Range>()
  /** Admitted, by the batch they joined. */
  #waiting: { batch: number; fact: string }[] = []
  #committedFacts = 0
  #counter = 0
  #snapping = false

  constructor(world: World, name: string, force: boolean) {
    this.#world = world
    this.name = name
    this.#force = force
    this.#clock = {
      wallMs: () => 1_700_000_000_000 + world.nowMs,
      monoMs: () => world.nowMs,
      after: (delayMs, run) => {
        const timer = { process: this, atMs: world.nowMs + delayMs, run }
        world.timers.push(timer)
        return () => {
          const at = world.timers.indexOf(timer)
          if (at !== -1) world.timers.splice(at, 1)
        }
      },
      turn: (run) => {
        world.steps.push({ process: this, run })
      },
    }
  }

  async run(): Promise<void> {
    try {
      await this.#lead()
    } catch (error) {
      this.ended = true
      this.why = String(error)
      if (error instanceof JournalDamage) {
        // Loss of what was never promised is allowed; a refusal of what is there is not.
        this.#world.outcome.damaged += 1
        this.#world.violate(`${this.name} found damage where none was done: ${error.message}`)
      } else if (codeOf(error) === 'EEXIST') this.#world.violate(`two nodes hold one epoch: ${String(error)}`)
      else if (codeOf(error) !== 'EIO' && !String(error).includes('higher epoch') && codeOf(error) !== 'not-leading') {
        this.#world.failure ??= error instanceof Error ? error : new Error(String(error))
      }
    }
  }

  async #lead(): Promise<void> {
    const world = this.#world
    const disk = world.disk.as(this.name)
    const held = await claim({
      directory: DIRECTORY,
      node: this.name,
      address: '',
      disk,
      clock: this.#clock,
      random: world.random,
      force: this.#force,
      pollMs: 10,
      signal: new AbortController().signal,
      onWaiting: () => undefined,
    })
    world.outcome.claims += 1
    const leadership = world.options.leadership?.(held) ?? held
    const journal: Journal = await openFileJournal({
      directory: DIRECTORY,
      disk,
      clock: this.#clock,
      random: world.random,
      leadership,
      settings: {
        segmentBytes: 1024 * 1024,
        bytesMax: 2 ** 40,
        reserveBytes: 0,
        cacheBytes: 4 * 1024 * 1024,
        lazyMs: 20,
        lazyBytes: 64 * 1024,
        spareSegments: world.options.seed % 3 === 0 ? 1 : 0,
      },
      visitor: this.#visitor(),
      listener: {
        committed: (batch) => this.#committed(journal, held.epoch, batch),
        lost: () => {
          world.outcome.lost += 1
          this.ended = true
        },
        pressure: () => undefined,
        full: () => undefined,
      },
      log: { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined },
    })
    this.#becameActive(held.epoch)
    await this.#readBack(journal)
    this.#work(journal)
  }

  #visitor(): Visitor {
    return {
      snapshot: (bytes) => {
        this.#facts.push(...(JSON.parse(Buffer.concat(bytes).toString()) as string[]))
      },
      batch: () => undefined,
      fact: (_type, buffer, start, end, segment, offset) => {
        const fact = idOf(buffer, start, end)
        this.#facts.push(fact)
        this.#places.set(fact, { segment, offset, length: end - start })
      },
    }
  }

  #becameActive(epoch: number): void {
    const world = this.#world
    this.active = true
    world.outcome.opened += 1
    this.#committedFacts = this.#facts.length
    let at = 0
    for (const fact of this.#facts) if (fact === world.acknowledged[at]) at += 1
    if (at < world.acknowledged.length)
      world.violate(`epoch ${epoch} has not read the acknowledged ${world.acknowledged[at]}, number ${at} of ${world.acknowledged.length}`)
    if (new Set(this.#facts).size < this.#facts.length) world.violate(`epoch ${epoch} has read a fact twice`)
    if (epoch < world.historyEpoch) return
    const differs = world.history.findIndex((fact, i) => fact !== this.#facts[i])
    if (differs !== -1)
      world.violate(`epoch ${epoch} read ${this.#facts[differs]} where epoch ${world.historyEpoch} had read ${world.history[differs]}`)
    world.history = [...this.#facts]
    world.historyEpoch = epoch
  }

  async #readBack(journal: Journal): Promise<void> {
    for (const [fact, place] of [...this.#places].slice(-3)) {
      const bytes = await new Promise<Uint8Array | undefined>((resolve) => journal.fetch(place.segment, place.offset, place.length, resolve))
      // Undefined also when a read was made to fail; other bytes never.
      if (bytes !== undefined && idOf(Buffer.from(bytes), 0, bytes.length) !== fact)
        this.#world.violate(`${fact} is not where replay said: segment ${place.segment} at ${place.offset}`)
    }
  }

  /** A turn of clients: some facts, urged or not; now and then a snapshot, and what it covers is freed. */
  #work(journal: Journal): void {
    if (this.ended) return
    const { random } = this.#world
    for (let i = random.below(4); i > 0; i--) {
      const fact = `${journal.epoch}/${++this.#counter}`
      const size = random.below(12) === 0 ? 200_000 : fact.length + random.below(600)
      const at = journal.admit(1, size + 1, 'publish')
      if (at === -1) continue
      journal.buffer.write(`${fact};`.padEnd(Math.min(size + 1, 64), '.'), at, 'latin1')
      this.#waiting.push({ batch: journal.gathering, fact })
      this.#facts.push(fact)
    }
    if (random.below(4) > 0) journal.urge()
    if (!this.#snapping && random.below(25) === 0) {
      this.#snapping = true
      void this.#snapshot(journal).finally(() => {
        this.#snapping = false
      })
    }
    this.#clock.after(random.below(30), () => this.#work(journal))
  }

  #committed(journal: Journal, epoch: number, batch: number): void {
    const world = this.#world
    if (world.historyEpoch > epoch) world.violate(`epoch ${epoch} acknowledged after epoch ${world.historyEpoch} had read and begun`)
    while (this.#waiting.length > 0 && this.#waiting[0].batch <= batch) {
      const next = this.#waiting.shift()
      if (next === undefined) break
      world.acknowledged.push(next.fact)
      world.outcome.acknowledged += 1
      this.#committedFacts += 1
    }
    if (journal.committed !== batch) world.violate('committed() named another batch than the journal')
  }

  async #snapshot(journal: Journal): Promise<void> {
    const world = this.#world
    const disk = world.disk.as(this.name)
    const cut = journal.cut()
    const facts = this.#facts.slice(0, this.#committedFacts)
    const replayed: string[] = []
    try {
      await replayCut(disk, cut, {
        snapshot: (bytes) => void replayed.push(...(JSON.parse(Buffer.concat(bytes).toString()) as string[])),
        batch: () => undefined,
        fact: (_type, buffer, start, end) => replayed.push(idOf(buffer, start, end)),
      })
      if (replayed.join() !== facts.join())
        world.violate(`a replay up to batch ${cut.batch} of epoch ${journal.epoch} differs from the leader's state`)
      await writeSnapshot(disk, cut, [Buffer.from(JSON.stringify(replayed))])
    } catch (error) {
      // Beside a newer leader files may go while we read; this one is over at its next look.
      const newer = (await highestEpoch(world.disk.as(this.name), DIRECTORY)) > journal.epoch
      if (!newer && error instanceof JournalDamage) world.violate(`${this.name} found damage in its own epoch: ${error.message}`)
      else if (!newer && codeOf(error) !== 'EIO') world.failure ??= error instanceof Error ? error : new Error(String(error))
      return
    }
    if (this.ended) return
    world.outcome.snapshots += 1
    journal.snapshotTaken(cut.batch)
    const dead = journal.segments.filter((one) => one.family === 'log' && one.sealed && one.lastBatch <= cut.batch).map((one) => one.segment)
    world.outcome.freed += dead.length
    journal.free(dead)
  }
}

const idOf = (buffer: Buffer, start: number, end: number): string => buffer.toString('latin1', start, Math.min(end, start + 32)).split(';')[0]
