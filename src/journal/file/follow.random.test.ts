// Followers by chance: nodes that follow, take over from where they stopped, lead, and are killed at any step. Whatever a follower was told, at any instant,
// is a prefix of what the journal holds in the end: nothing has ever to be undone (rule 17). A failing seed is replayed with SEED=<n>.
import { describe, expect, it } from 'vitest'
import { SimulatedDisk } from '../../../test/simulation/simulated-disk.ts'
import type { Clock } from '../../api.ts'
import { codeOf } from '../../disk.ts'
import { type Leadership, claim } from '../../failover/claim.ts'
import { SeededRandom } from '../../random.ts'
import type { Follower, Journal, Position, Visitor } from '../journal.ts'
import { replayCut, writeSnapshot } from '../replay.ts'
import { prepareDirectory } from './directory.ts'
import { followFileJournal } from './follow.ts'
import { ReadAnew, openFileJournal } from './open.ts'

const DIRECTORY = '/data'
const STEPS = 1_500
const log = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined }
const settings = {
  segmentBytes: 1024 * 1024,
  bytesMax: 2 ** 40,
  reserveBytes: 0,
  cacheBytes: 1024 * 1024,
  lazyMs: 20,
  lazyBytes: 65_536,
  spareSegments: 0,
}

/** The facts that one visitor has, by name, with their places. */
class Told implements Visitor {
  facts: string[] = []
  places: string[] = []
  batchNow = 0
  snapshot(bytes: readonly Uint8Array[]): void {
    const saved = JSON.parse(Buffer.concat(bytes).toString()) as Readonly<{ facts: string[]; places: string[] }>
    this.facts = [...saved.facts]
    this.places = [...saved.places]
  }
  batch(batch: number): void {
    if (batch <= this.batchNow) throw new Error(`batch ${batch} was told after ${this.batchNow}`)
    this.batchNow = batch
  }
  fact(_type: number, buffer: Buffer, start: number, end: number, segment: number, offset: number): void {
    this.facts.push(buffer.toString('latin1', start, Math.min(end, start + 24)).split(';')[0])
    this.places.push(`${segment}:${offset}`)
  }
  moved(segment: number, offset: number, length: number, toSegment: number, toOffset: number): void {
    this.places = this.places.map((place) => {
      const [at, from] = place.split(':').map(Number)
      return at === segment && from >= offset && from < offset + length ? `${toSegment}:${from - offset + toOffset}` : place
    })
  }
}

class World {
  readonly random: SeededRandom
  readonly disk: SimulatedDisk
  readonly counts = { told: 0, warm: 0, cold: 0, anew: 0, freed: 0, acknowledged: 0 }
  nowMs = 1_000
  steps: { name: string; run: () => void }[] = []
  timers: { name: string; atMs: number; run: () => void }[] = []
  alive: (Node | undefined)[] = [undefined, undefined, undefined]
  failure: Error | undefined
  readonly acknowledged: string[] = []
  /** Whatever any visitor had, when it last had it for certain. */
  readonly seen: { by: string; facts: readonly string[] }[] = []
  #started = 0

  constructor(seed: number) {
    this.random = new SeededRandom(seed)
    this.disk = new SimulatedDisk(new SeededRandom(seed + 1))
  }

  chance(of1000: number): boolean {
    return this.random.below(1_000) < of1000
  }

  clockOf(name: string): Clock {
    return {
      wallMs: () => 1_700_000_000_000 + this.nowMs,
      monoMs: () => this.nowMs,
      after: (delayMs, run) => {
        const timer = { name, atMs: this.nowMs + delayMs, run }
        this.timers.push(timer)
        return () => {
          this.timers = this.timers.filter((one) => one !== timer)
        }
      },
      turn: (run) => void this.steps.push({ name, run }),
    }
  }

  async run(steps: number): Promise<readonly string[]> {
    await prepareDirectory(this.disk.as('set-up'), DIRECTORY, this.random)
    this.disk.settle()
    this.disk.gate = (name) => new Promise((resolve) => this.steps.push({ name, run: resolve }))
    for (let i = 0; i < steps && this.failure === undefined; i++) {
      this.#happen()
      await this.#step()
    }
    for (let at = 0; at < this.alive.length; at++) this.#kill(at)
    this.disk.decay()
    const last = this.failure === undefined ? await this.#last() : []
    if (this.failure !== undefined) throw this.failure
    return last
  }

  #happen(): void {
    const at = this.random.below(this.alive.length)
    const node = this.alive[at]
    if (node === undefined) {
      if (this.chance(60)) this.alive[at] = new Node(this, `n${++this.#started}`)
    } else if (node.ended || this.chance(4)) this.#kill(at)
    else if (!node.leading && this.chance(8)) node.takeOver()
    if (this.chance(10)) this.disk.decay()
  }

  #kill(at: number): void {
    const name = this.alive[at]?.name
    if (name === undefined) return
    this.disk.kill(name)
    this.alive[at] = undefined
    this.steps = this.steps.filter((one) => one.name !== name)
    this.timers = this.timers.filter((one) => one.name !== name)
  }

  async #step(): Promise<void> {
    if (this.steps.length > 0 && !this.chance(30)) this.steps.splice(this.random.below(this.steps.length), 1)[0].run()
    else {
      const due = this.timers.toSorted((a, b) => a.atMs - b.atMs)[0]
      if (due !== undefined) {
        this.timers = this.timers.filter((one) => one !== due)
        this.nowMs = Math.max(this.nowMs, due.atMs)
        due.run()
      }
    }
    // Lets every promise settle that the step settled.
    await new Promise((resolve) => setImmediate(resolve))
  }

  async #last(): Promise<readonly string[]> {
    const node = new Node(this, 'last')
    this.alive[0] = node
    node.takeOver()
    for (let i = 0; i < 10_000 && !node.active && !node.ended; i++) await this.#step()
    if (!node.active) this.failure ??= new Error('the last node could not lead')
    return node.told.facts
  }
}

class Node {
  leading = false
  active = false
  ended = false
  told = new Told()
  readonly name: string
  readonly #world: World
  readonly #clock: Clock
  readonly #follower: Follower
  #waiting: { batch: number; fact: string }[] = []
  #written = 0
  #committed = 0

  constructor(world: World, name: string) {
    this.#world = world
    this.name = name
    this.#clock = world.clockOf(name)
    this.#follower = followFileJournal({
      directory: DIRECTORY,
      disk: world.disk.as(name),
      clock: this.#clock,
      pollMs: 10,
      log,
      begin: () => {
        world.counts.anew += 1
        this.told = new Told()
        return this.#watch(this.told)
      },
    })
  }

  /** Takes down what a visitor has at the end of each batch. */
  #watch(told: Told): Visitor {
    const { seen, counts } = this.#world
    const note = (): void => {
      if (told.facts.length > 0) seen.push({ by: this.name, facts: [...told.facts] })
    }
    return {
      snapshot: (bytes) => told.snapshot(bytes),
      batch: (batch) => {
        note()
        counts.told += 1
        told.batch(batch)
      },
      fact: (...fact) => told.fact(...fact),
      moved: (...moved) => {
        note()
        told.moved(...moved)
      },
    }
  }

  takeOver(): void {
    this.leading = true
    this.#takeOver().catch((error: unknown) => {
      this.ended = true
      if (codeOf(error) !== 'not-leading') this.#world.failure ??= error instanceof Error ? error : new Error(String(error))
    })
  }

  async #takeOver(): Promise<void> {
    const world = this.#world
    const leadership = await claim({
      directory: DIRECTORY,
      node: this.name,
      address: '',
      disk: world.disk.as(this.name),
      clock: this.#clock,
      random: world.random,
      force: true,
      pollMs: 10,
      leaseMs: 200,
      signal: new AbortController().signal,
      onWaiting: () => undefined,
    })
    const from = await this.#follower.stop()
    if (from !== undefined) world.seen.push({ by: this.name, facts: [...this.told.facts] })
    let journal: Journal
    try {
      journal = await this.#open(leadership, from)
      world.counts[from === undefined ? 'cold' : 'warm'] += 1
    } catch (error) {
      if (!(error instanceof ReadAnew)) throw error
      journal = await this.#open(leadership, undefined)
    }
    this.active = true
    this.#committed = this.told.facts.length
    world.seen.push({ by: `${this.name} leading`, facts: [...this.told.facts] })
    await this.#compare(journal)
    this.#work(journal)
  }

  async #open(leadership: Leadership, from: Position | undefined): Promise<Journal> {
    const world = this.#world
    if (from === undefined) this.told = new Told()
    const journal: Journal = await openFileJournal({
      directory: DIRECTORY,
      disk: world.disk.as(this.name),
      clock: this.#clock,
      random: world.random,
      leadership,
      settings,
      visitor: this.told,
      ...(from === undefined ? {} : { from }),
      listener: {
        committed: (batch) => {
          for (; this.#waiting.length > 0 && this.#waiting[0].batch <= batch; this.#waiting.shift()) {
            world.acknowledged.push(this.#waiting[0].fact)
            world.counts.acknowledged += 1
            this.#committed += 1
          }
        },
        lost: () => {
          this.ended = true
        },
        pressure: () => undefined,
        full: () => undefined,
      },
      log,
    })
    return journal
  }

  /** Warm or cold, the new leader has what a cold reader has, at the same places. */
  async #compare(journal: Journal): Promise<void> {
    const { facts, places } = this.told
    const cold = new Told()
    try {
      await replayCut(this.#world.disk.as(this.name), journal.cut(), cold)
    } catch {
      // Beside a newer leader files may go while we read.
      return
    }
    if (cold.facts.join() !== facts.join())
      this.#world.failure ??= new Error(`${this.name} has ${facts.join()} where a cold reader has ${cold.facts.join()}`)
    if (cold.places.join() !== places.join())
      this.#world.failure ??= new Error(`${this.name} has places ${places.join()} where a cold reader has ${cold.places.join()}`)
  }

  #work(journal: Journal): void {
    if (this.ended) return
    const { random } = this.#world
    for (let i = random.below(3); i > 0; i--) {
      const fact = `${journal.epoch}/${++this.#written}`
      const size = random.below(5) === 0 ? 200_000 : 60
      const at = journal.admit(1, size, 'publish')
      if (at === -1) continue
      journal.buffer.write(`${fact};`.padEnd(60, '.'), at, 'latin1')
      this.told.facts.push(fact)
      this.told.places.push(`${journal.segment}:${journal.offset}`)
      this.#waiting.push({ batch: journal.gathering, fact })
    }
    if (random.below(4) > 0) journal.urge()
    if (random.below(25) === 0) void this.#snapshot(journal)
    this.#clock.after(random.below(30), () => this.#work(journal))
  }

  async #snapshot(journal: Journal): Promise<void> {
    const cut = journal.cut()
    const saved = { facts: this.told.facts.slice(0, this.#committed), places: this.told.places.slice(0, this.#committed) }
    try {
      await writeSnapshot(this.#world.disk.as(this.name), cut, [Buffer.from(JSON.stringify(saved))])
    } catch {
      return
    }
    if (this.ended) return
    journal.snapshotTaken(cut.batch)
    const dead = journal.segments.filter((one) => one.family === 'log' && one.sealed && one.lastBatch <= cut.batch)
    this.#world.counts.freed += dead.length
    journal.free(dead.map((one) => one.segment))
  }
}

const isPrefix = (facts: readonly string[], of: readonly string[]): boolean => facts.every((fact, i) => of[i] === fact)

async function play(seed: number): Promise<World> {
  const world = new World(seed)
  const last = await world.run(STEPS)
  for (const { by, facts } of world.seen)
    if (!isPrefix(facts, last))
      throw new Error(`${by} was told ${facts.slice(-5).join()}, the journal has ${last.slice(0, facts.length).slice(-5).join()}`)
  let at = 0
  for (const fact of last) if (fact === world.acknowledged[at]) at += 1
  if (at < world.acknowledged.length) throw new Error(`the acknowledged ${world.acknowledged[at]} is lost`)
  return world
}

const seeds = process.env.SEED === undefined ? Array.from({ length: Number(process.env.SEEDS ?? 60) }, (_, i) => i) : [Number(process.env.SEED)]

describe('followers by chance', () => {
  it('are told a prefix of what the journal holds in the end', { timeout: 600_000 }, async () => {
    const sums = { told: 0, warm: 0, cold: 0, anew: 0, freed: 0, acknowledged: 0 }
    for (const seed of seeds) {
      const { counts } = await play(seed).catch((error: unknown) => {
        throw new Error(`seed ${seed}: ${String(error)}`, { cause: error })
      })
      for (const name of Object.keys(sums) as (keyof typeof sums)[]) sums[name] += counts[name]
    }
    const missed = Object.entries(sums).filter(([, times]) => seeds.length > 1 && times <= seeds.length / 4)
    expect(missed, 'the schedules have too little in them').toEqual([])
    if (process.env.SEED !== undefined || process.env.SUMS !== undefined) process.stdout.write(`${JSON.stringify(sums)}\n`)
  })
})
