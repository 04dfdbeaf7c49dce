// What goes wrong in a simulated world, and how often: each seed has its own choice of faults and rates, so that some worlds know only pauses and some know everything.
import { LEASE_MS, type SimulatedNode } from './simulated-node.ts'
import type { Process } from './scheduler.ts'
import type { Operation } from './simulated-disk.ts'
import type { World } from './simulation.ts'

export type FaultName =
  | 'sleep'
  | 'pause'
  | 'kill'
  | 'power'
  | 'decay'
  | 'fail'
  | 'force'
  | 'full'
  | 'flip'
  | 'jump'
  | 'handOver'
  | 'stop'
  | 'snapshot'

/** How often, against each other, when a world knows it. */
const weights: Readonly<Record<FaultName, number>> = {
  pause: 30,
  sleep: 3,
  kill: 16,
  power: 3,
  decay: 20,
  fail: 12,
  force: 8,
  full: 3,
  flip: 1,
  jump: 4,
  handOver: 8,
  stop: 4,
  snapshot: 14,
}

const FAILING: readonly Operation[] = ['write', 'sync', 'sync-directory', 'exists', 'read', 'list', 'open', 'link', 'stat', 'rename']

/** Of how many such steps one kills. */
const touchy: Readonly<Partial<Record<Operation, number>>> = { link: 20, 'sync-directory': 30, rename: 30, unlink: 60, sync: 500 }

export class Faults {
  readonly counts: Record<FaultName, number> = {
    pause: 0,
    sleep: 0,
    kill: 0,
    power: 0,
    decay: 0,
    fail: 0,
    force: 0,
    full: 0,
    flip: 0,
    jump: 0,
    handOver: 0,
    stop: 0,
    snapshot: 0,
  }
  readonly #world: World
  readonly #known: FaultName[] = []
  readonly #everyMs: number
  #failing: Readonly<{ process: string; operation: Operation }> | undefined

  constructor(world: World) {
    const { random } = world
    this.#world = world
    let name: FaultName
    // Crashes are in every world; flips in few, since they may end it.
    for (name in weights) {
      const of10 = name === 'kill' || name === 'decay' ? 10 : name === 'flip' ? 1 : 6
      if (random.below(10) < of10) for (let i = 0; i < weights[name]; i++) this.#known.push(name)
    }
    this.#everyMs = [15, 40, 120][random.below(3)]
  }

  start(): void {
    const { scheduler, random } = this.#world
    scheduler.at(scheduler.nowMs + 1 + random.below(2 * this.#everyMs), undefined, () => {
      if (this.#world.stopped) return
      this.#restart()
      this.#happen(this.#known[random.below(this.#known.length)])
      this.start()
    })
  }

  fail(process: string, operation: Operation, _path: string): Readonly<{ code: string; after: boolean }> | undefined {
    if (this.#failing?.process !== process || this.#failing.operation !== operation) return undefined
    this.#failing = undefined
    this.counts.fail += 1
    this.#world.history.trace(`${process} fails ${operation}`)
    if (operation === 'read' || operation === 'open') this.#world.history.mayPassOver = true
    return { code: 'EIO', after: this.#world.random.below(2) === 0 }
  }

  /** Nothing goes wrong any more. */
  end(): void {
    this.#failing = undefined
    this.#world.disk.bytesMax = Number.POSITIVE_INFINITY
  }

  /** Somebody starts what was killed. */
  #restart(): void {
    const { random, nodes } = this.#world
    for (let i = 0; i < nodes.length; i++) if (nodes[i] === undefined && random.below(4) === 0) this.#world.start(i, false)
  }

  #happen(name: FaultName): void {
    const world = this.#world
    const { random, scheduler, disk, nodes } = world
    // Whoever leads is where it hurts.
    const leads = nodes.findIndex((one) => one?.term?.isOpen === true)
    const at = leads !== -1 && random.below(3) === 0 ? leads : random.below(nodes.length)
    const node = nodes[at]
    const process = node?.options.process
    switch (name) {
      case 'pause':
        if (process === undefined) return
        this.#pause(process)
        break
      case 'sleep':
        // One machine, with all that runs on it.
        for (const one of nodes) if (one !== undefined) this.#pause(one.options.process)
        break
      case 'kill':
        // One that stands still is worth more when it wakes.
        if (process === undefined || (process.pausedUntilMs > scheduler.nowMs && random.below(5) > 0)) return
        world.kill(at)
        break
      case 'power':
        for (let i = 0; i < nodes.length; i++) world.kill(i)
        disk.decay(true)
        break
      case 'decay':
        disk.decay()
        break
      case 'fail':
        if (process !== undefined) this.#failing = { process: process.name, operation: FAILING[random.below(FAILING.length)] }
        // Counted when it fails.
        return
      case 'force':
        if (node !== undefined) return
        world.start(at, true)
        break
      case 'full':
        disk.bytesMax = disk.usedBytes + random.below(2_000_000)
        scheduler.at(scheduler.nowMs + random.below(200), undefined, () => {
          disk.bytesMax = Number.POSITIVE_INFINITY
        })
        break
      case 'flip':
        if (!this.#flip()) return
        break
      case 'jump':
        if (process === undefined) return
        process.wallOffsetMs += random.below(20_000) - 10_000
        process.jumped = true
        break
      case 'handOver':
        if (node?.term?.isOpen !== true) return
        scheduler.at(scheduler.nowMs, node.options.process, () => void node.node.handOver(true).catch(() => undefined))
        break
      case 'stop':
        if (node === undefined) return
        scheduler.at(scheduler.nowMs, node.options.process, () => void node.node.stop().catch(() => undefined))
        break
      case 'snapshot':
        if (node?.term?.isOpen !== true) return
        this.#snapshot(node)
        break
      default:
        name satisfies never
    }
    this.counts[name] += 1
  }

  #pause(process: Process): void {
    const { random, scheduler, history } = this.#world
    const ms = [2, 20, LEASE_MS / 3, LEASE_MS * 1.5, LEASE_MS * 4][random.below(5)] * (0.5 + random.below(100) / 100)
    // What waits for the end of an earlier pause waits on: nothing of a process overtakes its own.
    process.pausedUntilMs = Math.max(process.pausedUntilMs, scheduler.nowMs + ms)
    history.trace(`${process.name} is paused until ${process.pausedUntilMs}`)
  }

  /** A pause in the middle of a commit; a crash in that of a claim, a new segment or a snapshot, where names change and are not durable yet, and what it left goes soon. */
  passing(name: string, operation: Operation, path: string): void {
    const world = this.#world
    const { random, scheduler, disk, nodes } = world
    if ((operation === 'write' || operation === 'sync') && path.includes('/seg-') && this.#known.includes('pause') && random.below(250) === 0) {
      const process = nodes.find((node) => node?.options.process.name === name)?.options.process
      if (process !== undefined && !world.stopped) this.#pause(process)
    }
    const of = touchy[operation]
    if (world.stopped || of === undefined || !this.#known.includes('kill') || random.below(of) > 0) return
    const at = nodes.findIndex((node) => node?.options.process.name === name)
    if (at === -1) return
    this.counts.kill += 1
    scheduler.at(scheduler.nowMs, undefined, () => {
      if (nodes[at]?.options.process.name === name) world.kill(at)
      for (let i = 0; i < 3; i++) scheduler.at(scheduler.nowMs + random.below(400) / 10, undefined, () => disk.decay())
    })
  }

  #snapshot(node: SimulatedNode): void {
    const { scheduler, history } = this.#world
    scheduler.at(scheduler.nowMs, node.options.process, () => {
      const { term } = node
      if (term === undefined || !term.isOpen) return
      void term.core.snapshot()
      // Between two turns everything may be committed: then the leader's own state is compared, too.
      void term.core.settledDigest().then(
        ({ batch, digest }) => history.digest(batch, digest, node.options.process.name),
        () => undefined,
      )
    })
  }

  /** In what lies below the newest segment that nothing takes away: there damage cannot look like the torn end of a write. */
  #flip(): boolean {
    const { disk, random, flipped, history } = this.#world
    const folder = random.below(3) === 0 ? 'snapshots' : 'segments'
    const newest = Math.max(
      0,
      ...disk
        .durableNames('/data/segments')
        .filter((name) => name.startsWith('seg-'))
        .map(numberOf),
    )
    const may = (name: string): boolean => !name.startsWith('seg-') || numberOf(name) < newest
    const found = disk.flip(`/data/${folder}`, (name) => !name.startsWith('.') && !name.startsWith('spare') && may(name))
    if (found === undefined) return false
    history.trace(`a bit of ${found.file} flips at ${found.offset}`)
    flipped.add(found.file)
    history.mayBeDamaged = true
    return true
  }
}

const numberOf = (name: string): number => Number(name.split('-').at(-1))
