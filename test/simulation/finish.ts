// The end of a simulated history: every fault stops, everybody is killed, what was not durable goes, and then one healthy node must lead with everything that was
// promised, and another must follow it to the same state.
import type { Delivery } from '../../src/api.ts'
import type { Core } from '../../src/core/core.ts'
import type { World } from './simulation.ts'
import { ClientSink, QUEUES } from './simulated-client.ts'
import type { SimulatedTerm } from './simulated-node.ts'

const STEPS_MAX = 20_000

export async function finish(world: World): Promise<void> {
  const { disk, nodes, random } = world
  world.calm()
  for (let i = 0; i < nodes.length; i++) world.kill(i)
  disk.decay(random.below(2) === 0)
  const leader = world.start(0, true)
  await until(world, () => leader.term !== undefined)
  const { term } = leader
  if (world.isOver) return
  if (term === undefined) return world.violate('can-lead', 'the last node, alone and unharmed, does not come to lead')
  await drain(world, term)
  if (world.isOver) return
  await follow(world, term)
}

async function until(world: World, so: () => boolean): Promise<void> {
  const { scheduler } = world
  for (const last = scheduler.steps + STEPS_MAX; scheduler.steps < last && !so() && !world.isOver; ) if (!(await scheduler.step())) return
}

/** Everything that is on the queues is delivered, and held against what was promised. */
async function drain(world: World, term: SimulatedTerm): Promise<void> {
  const { core, process, epoch } = term
  const { history, scheduler } = world
  const found = new Map<string, string[]>(QUEUES.map((queue) => [queue, []]))
  let lastMs = scheduler.nowMs
  scheduler.at(scheduler.nowMs, process, () => {
    const session = core.open(
      { principal: '', protocol: 'test', remote: '', clientId: '', clash: 'refuse', keepMs: 0, fresh: true, will: undefined },
      { done: () => undefined, admitted: () => undefined, refused: () => undefined, pressure: () => undefined, ended: () => undefined },
    )
    for (const queue of QUEUES) {
      const address = core.address('queue', [queue])
      session.declare(address, { durable: true, lifetime: 'permanent' })
      const deliver = (delivery: Delivery): void => {
        lastMs = scheduler.nowMs
        const { ref } = delivery
        const got = history.delivered(delivery.message.body, queue, `${ref.queue}:${ref.sequence}`, epoch, false, process.name)
        if (got !== undefined) found.get(queue)?.push(got.sent.id)
      }
      session.consume([address], { settle: 'unsettled', exclusive: 'no', priority: 0 }, new ClientSink(deliver))?.grant(1_000_000, 1e12)
    }
  })
  await until(world, () => scheduler.nowMs - lastMs > 200)
  if (!world.isOver) history.last(found, stillThere(core, found))
}

/** How many messages lie on each queue and were not given out: their bytes are damaged, and only they. */
function stillThere(core: Core, found: ReadonlyMap<string, readonly string[]>): ReadonlyMap<string, number> {
  const { queues } = core.administration.destinations('', 0, 1_000)
  return new Map(queues.map(({ name, messages }) => [name, messages - (found.get(name)?.length ?? 0)]))
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
  if (status?.state !== 'warm' || status.batch < settled.batch)
    return world.violate(
      'a-standby-catches-up',
      `beside a leader at batch ${settled.batch} the standby is ${status?.state} at ${status?.batch}: ${status?.reason}`,
    )
  history.digest(settled.batch, settled.digest, term.process.name)
  const { batch, digest } = await standby.node.digest()
  history.digest(batch, digest, standby.options.process.name)
}
