// One story for each part of rules 4, 13, 16 and 19 of the failover protocol that claims, heartbeats and leases keep. Each node has a clock of its own: one
// that is not moved is a node that was stopped. The other rules are in journal/file/rules.test.ts; real processes in claim.test.ts.
import { describe, expect, it } from 'vitest'
import { DIRECTORY, Stage, settle } from '../../test/simulation/stage.ts'
import { MovableClock } from '../clock.ts'
import type { Disk } from '../disk.ts'
import { claimPath } from './claim-file.ts'
import { type ClaimOptions, type Leadership, claim } from './claim.ts'
import { type Heartbeat, heartbeatPath, readHeartbeat } from './heartbeat.ts'

const LEASE_MS = 1_000

type Claimant = {
  readonly clock: MovableClock
  /** Time that passed while no timer of the node ran. */
  sleptMs: number
  leadership: Leadership | undefined
  error: unknown
  readonly waited: number[]
  readonly lost: string[]
}

class Story {
  readonly stage: Stage
  readonly nodes: Claimant[] = []
  readonly log: string[] = []

  static async make(): Promise<Story> {
    return new Story(await Stage.make())
  }

  private constructor(stage: Stage) {
    this.stage = stage
  }

  /** Begins to claim; what becomes of it is in the answer. */
  claim(name: string, more: Partial<ClaimOptions> = {}): Claimant {
    const clock = new MovableClock()
    const claimant: Claimant = { clock, sleptMs: 0, leadership: undefined, error: undefined, waited: [], lost: [] }
    this.nodes.push(claimant)
    const say = (level: string) => (_: unknown, message: string) => this.log.push(`${name} ${level} ${message}`)
    claim({
      directory: DIRECTORY,
      node: name,
      address: '',
      disk: this.stage.as(name),
      clock: {
        wallMs: () => clock.wallMs(),
        monoMs: () => clock.monoMs() + claimant.sleptMs,
        after: (delayMs, run) => clock.after(delayMs, run),
        turn: (run) => clock.turn(run),
      },
      random: this.stage.random,
      force: false,
      pollMs: 10,
      leaseMs: LEASE_MS,
      signal: new AbortController().signal,
      onWaiting: ({ epoch }) => claimant.waited.push(epoch),
      onLost: (error) => claimant.lost.push(error.message),
      log: { debug: say('debug'), info: say('info'), warn: say('warn'), error: say('error') },
      ...more,
    }).then(
      (leadership) => {
        claimant.leadership = leadership
      },
      (error: unknown) => {
        claimant.error = error
      },
    )
    return claimant
  }

  /** A node that leads. */
  async leads(name: string, more: Partial<ClaimOptions> = {}): Promise<Claimant> {
    const claimant = this.claim(name, more)
    await settle()
    expect(claimant.leadership).toBeDefined()
    return claimant
  }

  /** Time passes for these nodes, or for all. */
  async pass(ms: number, nodes: readonly Claimant[] = this.nodes): Promise<void> {
    for (let past = 0; past < ms; past += 10) {
      for (const { clock } of nodes) clock.advance(10)
      await settle(8)
    }
  }

  heartbeat(epoch: number): Promise<Heartbeat | undefined> {
    return readHeartbeat(this.stage.as('observer'), DIRECTORY, epoch)
  }

  /** Steps of the trace that say this. */
  steps(pattern: RegExp): number {
    return this.stage.trace.filter((step) => pattern.test(step)).length
  }
}

const epochOf = ({ leadership }: Claimant): number | undefined => leadership?.epoch

describe('rule 4: the lease', () => {
  it('is not run out under a leader that lives, however long it lasts', async () => {
    const story = await Story.make()
    await story.leads('a')
    const b = story.claim('b')
    await story.pass(5 * LEASE_MS)
    expect([epochOf(b), b.waited]).toEqual([undefined, [1]])
    expect((await story.heartbeat(1))?.count).toBeGreaterThan(15)
  })

  it('runs out when the leader hangs, after a whole lease and not before; the leader is told, and writes nothing more', async () => {
    const story = await Story.make()
    const a = await story.leads('a')
    const b = story.claim('b')
    await story.pass(500)
    const others = story.nodes.filter((one) => one !== a)
    await story.pass(LEASE_MS - 10, others)
    expect(epochOf(b)).toBeUndefined()
    await story.pass(LEASE_MS / 8 + 20, others)
    expect(epochOf(b)).toBe(2)
    // It wakes.
    story.stage.trace.length = 0
    await story.pass(2 * LEASE_MS)
    expect(a.lost).toEqual([expect.stringContaining('higher epoch than 1')])
    expect(a.leadership?.look()).toBe(false)
    expect(story.steps(/^a write/)).toBe(0)
    expect((await story.heartbeat(2))?.count).toBeGreaterThan(4)
  })

  it('runs out while a heartbeat is being written, on a disk that hangs; what is written late revives nobody', async () => {
    const story = await Story.make()
    const a = await story.leads('a')
    const b = story.claim('b')
    await story.pass(200)
    const held = story.stage.hold('a', 'write', 'heartbeat')
    await story.pass(LEASE_MS * 1.5)
    expect(epochOf(b)).toBe(2)
    held.release()
    await story.pass(LEASE_MS)
    expect(a.lost).toHaveLength(1)
    expect(b.leadership?.look()).toBe(true)
    expect(b.lost).toEqual([])
  })

  it('counts no pause of our own as the silence of the other: a machine that slept has both stopped', async () => {
    const story = await Story.make()
    const a = await story.leads('a')
    const b = story.claim('b')
    await story.pass(300)
    // The next poll sees a clock that is an hour ahead, while the leader has not run either.
    b.sleptMs = 3_600_000
    await settle()
    await story.pass(LEASE_MS - 100, [b])
    expect(epochOf(b)).toBeUndefined()
    a.sleptMs = 3_600_000
    // Its timers are long due.
    a.clock.advance(LEASE_MS / 4)
    await story.pass(3 * LEASE_MS)
    expect(epochOf(b)).toBeUndefined()
  })

  it('begins anew with each higher claim, and that one is watched', async () => {
    const story = await Story.make()
    const a = await story.leads('a')
    const c = story.claim('c')
    await story.pass(100)
    // Nearly run out for the first, when another claims.
    await story.pass(LEASE_MS - 100, [c])
    const b = await story.leads('b', { force: true })
    await story.pass(LEASE_MS - 100, [b, c])
    expect([epochOf(c), c.waited]).toEqual([undefined, [1, 2]])
    await story.pass(LEASE_MS, [b, c, a])
    expect(epochOf(c)).toBeUndefined()
    await story.pass(LEASE_MS * 1.2, [a, c])
    expect(epochOf(c)).toBe(3)
  })

  it('is decided anew when what follows the decision took long', async () => {
    const story = await Story.make()
    const a = await story.leads('a')
    const b = story.claim('b')
    await story.pass(100)
    const held = story.stage.hold('b', 'sync-directory', 'epochs')
    await story.pass(LEASE_MS * 1.3, [b])
    await held.reached
    // Both were held up; the leader is well again.
    await story.pass(LEASE_MS * 2)
    held.release()
    await story.pass(LEASE_MS * 2)
    expect(epochOf(b)).toBeUndefined()
    expect(a.leadership?.look()).toBe(true)
  })

  it('gives one of two that wait the claim; the other watches that one', async () => {
    const story = await Story.make()
    const a = await story.leads('a')
    const [b, c] = [story.claim('b'), story.claim('c')]
    await story.pass(100)
    const rest = story.nodes.filter((one) => one !== a)
    await story.pass(LEASE_MS * 4, rest)
    const [winner, other] = epochOf(b) === 2 ? [b, c] : [c, b]
    expect([epochOf(winner), epochOf(other), other.waited]).toEqual([2, undefined, [1, 2]])
  })

  it('does not matter where the lock tells: a claimant that dies before its header is followed at once', async () => {
    const story = await Story.make()
    const a = await story.leads('a')
    const b = story.claim('b')
    const c = story.claim('c', { mayClaim: (highest) => highest !== 1 })
    await story.pass(100)
    await story.pass(LEASE_MS * 1.3, [b, c])
    expect([epochOf(b), epochOf(c)]).toEqual([2, undefined])
    story.stage.disk.kill('b')
    await story.pass(20, [a, c])
    expect(epochOf(c)).toBe(3)
  })

  it('asks whether this node may claim, each time, with the highest epoch, on both ways', async () => {
    const story = await Story.make()
    const a = await story.leads('a')
    const asked: number[] = []
    let may = false
    const mayClaim = (highest: number): boolean => (asked.push(highest), may)
    const b = story.claim('b', { mayClaim })
    await story.pass(LEASE_MS / 2)
    expect(asked).toEqual([])
    await story.pass(LEASE_MS * 1.5, [b])
    expect([epochOf(b), new Set(asked)]).toEqual([undefined, new Set([1])])
    // The leader is heard again: nothing is asked any more.
    await story.pass(LEASE_MS)
    asked.length = 0
    await story.pass(LEASE_MS)
    expect(asked).toEqual([])
    await a.leadership?.release()
    await story.pass(30)
    expect([epochOf(b), asked.length]).toEqual([undefined, 3])
    may = true
    await story.pass(20)
    expect(epochOf(b)).toBe(2)
  })

  it('asks also before the first claim of a directory, and a forced one', async () => {
    for (const force of [false, true]) {
      const story = await Story.make()
      let may = false
      const a = story.claim('a', { force, mayClaim: () => may })
      await story.pass(100)
      expect([epochOf(a), a.waited]).toEqual([undefined, [0]])
      may = true
      await story.pass(20)
      expect(epochOf(a)).toBe(1)
    }
  })
})

describe('rule 4: heartbeats', () => {
  it('are written from the claim on, while the journal is still to be read', async () => {
    const story = await Story.make()
    const a = await story.leads('a')
    expect(await story.heartbeat(1)).toEqual({ count: 1, batch: 0 })
    await story.pass(LEASE_MS)
    expect((await story.heartbeat(1))?.count).toBe(5)
    a.leadership?.committed(42)
    await story.pass(LEASE_MS / 4)
    expect(await story.heartbeat(1)).toEqual({ count: 6, batch: 42 })
  })

  it('are one in flight at most, whatever the disk does', async () => {
    const story = await Story.make()
    await story.leads('a')
    const held = story.stage.hold('a', 'write', 'heartbeat')
    await story.pass(LEASE_MS)
    story.stage.trace.length = 0
    await story.pass(3 * LEASE_MS)
    expect(story.steps(/^a (write|open|stat)/)).toBe(0)
    held.release()
    await story.pass(LEASE_MS)
    expect((await story.heartbeat(1))?.count).toBeGreaterThan(4)
  })

  it('that fail are told once, do not end leadership, and go on when the disk does', async () => {
    const story = await Story.make()
    const a = await story.leads('a')
    story.stage.disk.fail = (name, operation, path) =>
      name === 'a' && operation === 'sync' && path.includes('heartbeat') ? { code: 'EIO', after: false } : undefined
    await story.pass(3 * LEASE_MS)
    expect(story.log).toEqual([expect.stringContaining('a warn a heartbeat could not be written')])
    expect(a.leadership?.look()).toBe(true)
    story.stage.disk.fail = () => undefined
    const before = (await story.heartbeat(1))?.count ?? 0
    await story.pass(LEASE_MS)
    expect((await story.heartbeat(1))?.count).toBeGreaterThan(before)
    expect(story.log.at(-1)).toContain('written again')
  })

  it('of lower epochs are removed by the one that leads; the last one stays after a release', async () => {
    const story = await Story.make()
    const a = await story.leads('a')
    await a.leadership?.release()
    expect(await story.stage.names('nodes')).toEqual(['heartbeat-0000000001'])
    const b = await story.leads('b')
    await story.pass(LEASE_MS)
    expect(await story.stage.names('nodes')).toEqual(['heartbeat-0000000002'])
    await b.leadership?.release()
    story.stage.trace.length = 0
    await story.pass(LEASE_MS)
    expect(await story.stage.names('nodes')).toEqual(['heartbeat-0000000002'])
    expect(story.steps(/write|unlink/)).toBe(0)
  })

  it('are written by nobody whose look has said no, though the higher claim were gone again (rule 16)', async () => {
    const story = await Story.make()
    const a = await story.leads('a')
    await story.leads('b', { force: true })
    expect(a.leadership?.look()).toBe(false)
    await story.stage.as('vandal').unlink(claimPath(DIRECTORY, 2))
    expect(a.leadership?.look()).toBe(false)
    story.stage.trace.length = 0
    await story.pass(LEASE_MS)
    expect(story.steps(/^a write/)).toBe(0)
    expect(a.lost).toHaveLength(1)
  })

  it('find out that the claim itself is gone: the directory was removed, and descriptors go on working', async () => {
    for (const replaced of [false, true]) {
      const story = await Story.make()
      const a = await story.leads('a')
      const vandal = story.stage.as('vandal')
      await vandal.unlink(claimPath(DIRECTORY, 1))
      // A copy of the directory in its place has another file of this name.
      if (replaced) await vandal.open(claimPath(DIRECTORY, 1), 'create')
      expect(a.leadership?.look()).toBe(true)
      await story.pass(LEASE_MS / 4)
      expect(a.leadership?.look()).toBe(false)
      expect(a.lost).toEqual([expect.stringContaining('is gone')])
    }
  })
})

describe('rule 19: where looks may be old', () => {
  it('a claimant waits after its claim, on the way of the lock and of the lease, and is heard meanwhile', async () => {
    for (const way of ['lock', 'lease']) {
      const story = await Story.make()
      const a = await story.leads('a')
      const b = story.claim('b', { settleMs: 5_000 })
      await story.pass(100)
      if (way === 'lock') await a.leadership?.release()
      const rest = way === 'lock' ? story.nodes : [b]
      await story.pass(way === 'lock' ? 20 : LEASE_MS * 1.2, rest)
      expect(await story.stage.names('epochs')).toContain('0000000002')
      const before = (await story.heartbeat(2))?.count ?? 0
      await story.pass(4_600, rest)
      expect(epochOf(b)).toBeUndefined()
      expect((await story.heartbeat(2))?.count).toBeGreaterThan(before + 15)
      await story.pass(600, rest)
      expect(epochOf(b)).toBe(2)
    }
  })

  it('a forced claim waits too; the first of a directory has nobody to wait for', async () => {
    const story = await Story.make()
    const a = await story.leads('a', { settleMs: 5_000 })
    const b = story.claim('b', { settleMs: 5_000, force: true })
    await story.pass(4_900)
    expect([epochOf(a), epochOf(b)]).toEqual([1, undefined])
    await story.pass(200)
    expect(epochOf(b)).toBe(2)
  })

  it('gives the claim away when it is stopped while it waits', async () => {
    const story = await Story.make()
    await story.leads('a')
    const abort = new AbortController()
    const b = story.claim('b', { settleMs: 5_000, force: true, signal: abort.signal })
    const c = story.claim('c')
    await story.pass(100)
    abort.abort(new Error('stopped'))
    await story.pass(30)
    expect([String(b.error), epochOf(c)]).toEqual(['Error: stopped', 3])
  })
})

describe('waiting', () => {
  it('costs two calls a poll: the claim is opened once, heartbeats and listings come at their own slow pace', async () => {
    const story = await Story.make()
    await story.leads('a')
    story.stage.trace.length = 0
    story.claim('b')
    await story.pass(10 * LEASE_MS)
    expect(story.steps(/^b open .*epochs/)).toBe(2)
    expect(story.steps(/^b open .*heartbeat/)).toBeLessThanOrEqual(10 * 20 + 1)
    expect(story.steps(/^b list/)).toBeLessThanOrEqual(11)
    expect(story.steps(/^b (sync|write|link|unlink|mkdir|truncate)/)).toBe(0)
  })

  it('piles nothing up when the disk hangs, and still sees the lock fall', async () => {
    const story = await Story.make()
    const a = await story.leads('a')
    const b = story.claim('b')
    await story.pass(100)
    const [reading, listing] = [story.stage.hold('b', 'read', 'heartbeat'), story.stage.hold('b', 'list', 'epochs')]
    await story.pass(2 * LEASE_MS)
    story.stage.trace.length = 0
    await story.pass(5 * LEASE_MS)
    expect(story.stage.trace.filter((step) => step.startsWith('b '))).toEqual([])
    expect(epochOf(b)).toBeUndefined()
    await a.leadership?.release()
    await story.pass(20)
    expect(epochOf(b)).toBe(2)
    reading.release()
    listing.release()
    await settle()
  })

  it('ends within two polls of a release', async () => {
    const story = await Story.make()
    const a = await story.leads('a')
    const b = story.claim('b')
    await story.pass(100)
    await a.leadership?.release()
    await story.pass(20)
    expect(epochOf(b)).toBe(2)
  })

  it('survives a disk that cannot be read, tells it once, and takes over when it can', async () => {
    const story = await Story.make()
    const a = await story.leads('a')
    const b = story.claim('b')
    await story.pass(100)
    story.stage.disk.fail = (name) => (name === 'b' ? { code: 'EIO', after: false } : undefined)
    await story.pass(10 * LEASE_MS)
    expect([b.error, epochOf(b)]).toEqual([undefined, undefined])
    expect(story.log).toEqual([expect.stringContaining('b error the claims cannot be read')])
    story.stage.disk.fail = () => undefined
    await a.leadership?.release()
    await story.pass(1_100)
    expect(epochOf(b)).toBe(2)
  })

  it('takes no error of its own reads for the silence of the leader', async () => {
    const story = await Story.make()
    await story.leads('a')
    const b = story.claim('b')
    await story.pass(100)
    story.stage.disk.fail = (name, _, path) => (name === 'b' && path.includes('heartbeat') ? { code: 'EIO', after: false } : undefined)
    await story.pass(5 * LEASE_MS)
    expect(epochOf(b)).toBeUndefined()
  })

  it('goes on when its claim cannot be written, and leaves nothing of its tries', async () => {
    const story = await Story.make()
    const a = await story.leads('a')
    const b = story.claim('b')
    await story.pass(100)
    story.stage.disk.fail = (name, operation, path) =>
      name === 'b' && operation === 'write' && path.includes('.claim') ? { code: 'ENOSPC', after: false } : undefined
    await a.leadership?.release()
    await story.pass(5_000)
    expect([epochOf(b), await story.stage.names('epochs')]).toEqual([undefined, ['0000000001']])
    story.stage.disk.fail = () => undefined
    await story.pass(1_100)
    expect(epochOf(b)).toBe(2)
  })

  it('rejects a start on a disk that cannot be used', async () => {
    const story = await Story.make()
    story.stage.disk.fail = (_, operation) => (operation === 'write' ? { code: 'ENOSPC', after: false } : undefined)
    const a = story.claim('a')
    await settle()
    expect(String(a.error)).toContain('ENOSPC')
  })

  it('begins anew when another directory comes in the place of its own', async () => {
    const story = await Story.make()
    const a = await story.leads('a')
    await a.leadership?.release()
    await story.leads('a2')
    const b = story.claim('b', { leaseMs: 60_000 })
    await story.pass(100)
    await story.stage.as('vandal').unlink(claimPath(DIRECTORY, 2))
    await story.pass(1_100)
    expect([epochOf(b), b.waited]).toEqual([2, [2]])
  })

  it('leaves no descriptor open over 1,000 epochs', async () => {
    const story = await Story.make()
    let open = 0
    const counted = (name: string): Disk => {
      const disk = story.stage.as(name)
      return {
        ...disk,
        open: async (path, mode) => {
          const file = await disk.open(path, mode)
          open += 1
          return { ...file, close: () => ((open -= 1), file.close()) }
        },
      }
    }
    const abort = new AbortController()
    const b = story.claim('b', { disk: counted('b'), mayClaim: () => false, signal: abort.signal })
    let before: Claimant | undefined
    for (let epoch = 1; epoch <= 1_000; epoch++) {
      const a = story.claim('a', { disk: counted('a'), force: true })
      await settle(25)
      expect(epochOf(a)).toBe(epoch)
      // The watcher comes to it, the one before it finds that it is deposed at its next heartbeat.
      for (const { clock } of before === undefined ? [b] : [b, before]) clock.advance(LEASE_MS / 4)
      await settle(8)
      await before?.leadership?.release()
      before = a
    }
    expect(b.waited.length).toBeGreaterThan(900)
    // The lock of the last falls: its watcher needs the claim no more, though it may not claim.
    await before?.leadership?.release()
    await story.pass(20, [b])
    expect(open).toBe(0)
    const a = story.claim('a', { disk: counted('a'), force: true })
    await settle(25)
    await story.pass(20, [b])
    expect([epochOf(a), b.waited.at(-1), open]).toEqual([1_001, 1_001, 3])
    abort.abort()
    await settle()
    // The claim and its heartbeat.
    expect(open).toBe(2)
    await a.leadership?.release()
    expect(open).toBe(0)
  })

  it('begins anew when the claim it saw vanishes: it was not durable, and went with the one that made it', async () => {
    const story = await Story.make()
    const linked = story.stage.hold('a', 'sync-directory', 'epochs', 2)
    story.claim('a')
    await linked.reached
    const opening = story.stage.hold('b', 'open', 'epochs/0000000001')
    const b = story.claim('b')
    await opening.reached
    story.stage.killAndLose('a')
    opening.release()
    await story.pass(20, [b])
    expect([b.error, epochOf(b)]).toEqual([undefined, 1])
  })

  it('does not take the free lock of a claim that vanished for that of its number, which another made since', async () => {
    const story = await Story.make()
    const linked = story.stage.hold('a', 'sync-directory', 'epochs', 2)
    story.claim('a')
    await linked.reached
    let may = false
    const b = story.claim('b', { mayClaim: () => may })
    await story.pass(100, [b])
    expect(b.waited).toEqual([1])
    story.stage.killAndLose('a')
    await story.leads('c')
    await story.pass(100, [b])
    may = true
    await story.pass(100, [b])
    expect([b.error, epochOf(b), b.waited]).toEqual([undefined, undefined, [1]])
    expect(await story.stage.names('epochs')).toEqual(['0000000001'])
  })

  it('finds a higher claim by listing where looks are answered from a cache', async () => {
    const story = await Story.make()
    await story.leads('a')
    const disk = story.stage.as('b')
    const b = story.claim('b', { disk: { ...disk, exists: () => false } })
    await story.pass(100)
    await story.leads('a2', { force: true })
    await story.pass(800)
    expect(b.waited).toEqual([1])
    await story.pass(400)
    expect(b.waited).toEqual([1, 2])
  })

  it('takes an old listing for nothing, and does not turn in circles over it', async () => {
    const story = await Story.make()
    const first = await story.leads('a')
    await first.leadership?.release()
    await story.leads('a2')
    const disk = story.stage.as('b')
    const old = async (path: string): Promise<string[]> => (await disk.list(path)).filter((name) => name !== '0000000002')
    const b = story.claim('b', { disk: { ...disk, list: old } })
    await story.pass(3 * LEASE_MS)
    expect([b.waited, epochOf(b)]).toEqual([[2], undefined])
    // Nor does it keep the lease from running out.
    const d = story.claim('d', {
      disk: { ...story.stage.as('d'), list: async (path) => (await story.stage.as('d').list(path)).filter((name) => name !== '0000000002') },
    })
    await story.pass(100)
    await story.pass(LEASE_MS * 1.3, [d])
    expect(epochOf(d)).toBe(3)
    // Both old: the link is what tells, and that is asked of the server.
    story.stage.trace.length = 0
    const c = story.claim('c', { disk: { ...story.stage.as('c'), list: async () => ['0000000001'], exists: () => false } })
    await settle(500)
    expect([epochOf(c), story.steps(/^c link/)]).toEqual([undefined, 2])
  })
})

describe('a heartbeat that was torn', () => {
  it('is overwritten by the next', async () => {
    const story = await Story.make()
    await story.leads('a')
    story.stage.disk.bytes(heartbeatPath(DIRECTORY, 1)).fill(0xff, 10, 30)
    expect(await story.heartbeat(1)).toBeUndefined()
    await story.pass(LEASE_MS / 4)
    expect((await story.heartbeat(1))?.count).toBe(2)
  })
})
