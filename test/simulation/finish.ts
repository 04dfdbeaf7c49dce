// The end of a simulated history: every fault stops, everybody is killed, what was not durable goes, and then one healthy node must lead with everything that was
// promised, and another must follow it to the same state.
import type { Delivery } from '../../src/api.ts'
import type { Core } from '../../src/core/core.ts'
import type { World } from './simulation.ts'
import { timesOf } from './history.ts'
import type { Place } from './sent.ts'
import { ClientSink, QUEUES, SELECTORS } from './simulated-connection.ts'
import type { SimulatedTerm } from './simulated-node.ts'

const STEPS_MAX = 20_000
/** Clocks are set, and differ: what has a time may be that late. */
const TIMES_MS = 60_000

export async function finish(world: World): Promise<void> {
  const { disk, nodes, random } = world
  world.calm()
  // In some worlds clients first close, and whoever leads must be able to give out all that is owed: nothing is stuck.
  const leads = world.options.plain === true || world.options.seed % 3 === 0 ? undefined : world.openTerms.find((term) => isHealthy(world, term))
  if (leads !== undefined) {
    for (const client of world.clients) client.end()
    await drain(world, leads, 'live')
    if (world.isOver) return
  }
  for (let i = 0; i < nodes.length; i++) world.kill(i)
  disk.decay(random.below(2) === 0)
  const leader = world.start(0, true)
  await until(world, () => leader.term !== undefined)
  const { term } = leader
  if (world.isOver) return
  if (term === undefined) return world.violate('can-lead', 'the last node, alone and unharmed, does not come to lead')
  await drain(world, term, 'last')
  if (world.isOver) return
  await follow(world, term)
}

const isHealthy = (world: World, term: SimulatedTerm): boolean =>
  term.isOpen && !term.process.dead && term.process.pausedUntilMs <= world.scheduler.nowMs && !world.deposed(term.epoch)

async function until(world: World, so: () => boolean): Promise<void> {
  const { scheduler } = world
  for (const last = scheduler.steps + STEPS_MAX; scheduler.steps < last && !so() && !world.isOver; ) if (!(await scheduler.step())) return
}

/** Everything that is on the queues is delivered, and held against what was promised. */
async function drain(world: World, term: SimulatedTerm, when: 'live' | 'last'): Promise<void> {
  const { core, process, epoch } = term
  const { history, scheduler, options } = world
  const found = new Map<string, string[]>(QUEUES.map((queue) => [queue, []]))
  const taken = new Map<string, number>()
  // In half of the worlds by consumers that together take everything, each a part of it.
  const selectors = options.plain === true || options.seed % 2 === 0 ? [undefined] : Object.values(SELECTORS)
  let lastMs = scheduler.nowMs
  scheduler.at(scheduler.nowMs, process, () => {
    const session = core.open(
      { principal: '', protocol: 'test', remote: '', clientId: '', clash: 'refuse', keepMs: 0, fresh: true, will: undefined },
      { done: () => undefined, admitted: () => undefined, refused: () => undefined, pressure: () => undefined, ended: () => undefined },
    )
    for (const queue of QUEUES) {
      const address = core.address('queue', [queue])
      session.declare(address, { durable: true, lifetime: 'permanent' })
      for (const selector of selectors) {
        const deliver = (delivery: Delivery): void => {
          lastMs = scheduler.nowMs
          const { ref } = delivery
          const number = `${ref.queue}:${ref.sequence}`
          const got = history.delivered(delivery.message.body, queue, number, epoch, when === 'live' && world.deposed(epoch), process.name)
          if (got === undefined) return
          found.get(queue)?.push(got.sent.times === 0 ? got.sent.id : `${got.sent.id} ${number}`)
          // The others of its group may be the other's.
          if (selector !== undefined && got.sent.group !== '') release(delivery.tag, got.place)
        }
        const consumer = session.consume([address], { settle: 'unsettled', exclusive: 'no', priority: 0, selector }, new ClientSink(deliver))
        const release = (tag: number, place: Place): void => {
          process.clock.turn(() => {
            consumer?.settle(tag, tag, { kind: 'accepted' }, false)
            place.settled = 'asked'
            taken.set(queue, (taken.get(queue) ?? 0) + 1)
          })
        }
        consumer?.grant(1_000_000, 1e12)
      }
    }
  })
  // What has a time of its own comes when it comes.
  const owed = (): boolean => core.administration.scheduled(0, 1).jobs > 0 || [...stillThere(core, found, taken).values()].some((count) => count > 0)
  await until(world, () => {
    const quietMs = scheduler.nowMs - lastMs
    return !term.isOpen || (quietMs > 200 && (quietMs > TIMES_MS || !owed()))
  })
  if (world.isOver || !term.isOpen || world.deposed(epoch)) return
  history.last(found, stillThere(core, found, taken), when === 'last')
  if (when === 'last' && !history.mayBeDamaged) timesOf(history)
}

/** How many messages lie on each queue and were not given out: in the end, those whose bytes are damaged. */
function stillThere(core: Core, found: ReadonlyMap<string, readonly string[]>, taken: ReadonlyMap<string, number>): ReadonlyMap<string, number> {
  const { queues } = core.administration.destinations('', 0, 1_000)
  return new Map(queues.map(({ name, messages }) => [name, messages + (taken.get(name) ?? 0) - (found.get(name)?.length ?? 0)]))
}

/** Another node becomes warm and has the same state at the same batch. */
async function follow(world: World, term: SimulatedTerm): Promise<void> {
  const { history, scheduler } = world
  const standby = world.start(1, false)
  let settled: Readonly<{ batch: number; digest: string }> | undefined
  scheduler.at(scheduler.nowMs, term.process, () => {
    void term.core.settledDigest().then((digest) => {
      settled = digest
    })
  })
  await until(world, () => settled !== undefined && standby.follower?.status.state === 'warm' && standby.follower.status.batch >= settled.batch)
  const status = standby.follower?.status
  if (world.isOver || settled === undefined) return
  // The damage that only a standby meets, whose leader came by another way: it says so, and where.
  if (history.mayBeDamaged && status?.state === 'warming' && [...world.flipped].some((file) => status.reason.includes(file))) {
    world.counts.found += 1
    return
  }
  if (status?.state !== 'warm' || status.batch < settled.batch)
    return world.violate(
      'a-standby-catches-up',
      `beside a leader at batch ${settled.batch} the standby is ${status?.state} at ${status?.batch}: ${status?.reason}`,
    )
  history.digest(settled.batch, settled.digest, term.process.name)
  const { batch, digest } = await standby.node.digest()
  history.digest(batch, digest, standby.options.process.name)
}
