// One publish to several destinations: a composite address, or one that the configuration forwards (mirrored queues, queues fed by a topic).
// All or none: the message is stored once, and one fact puts it on every queue that it reaches, so a crash cannot come between.
//
// Each copy says where it was sent: one on a queue of the list says that queue, one that came through a topic that topic. The message itself
// names the first topic; what came through a further one carries that in its via.
import type { Message } from '../api.ts'
import type { DestinationSettings } from '../config/settings.ts'
import { CodedError } from '../errors.ts'
import { CoreAddress } from './addresses.ts'
import { DIRECT, type Via } from './bindings.ts'
import type { Live } from './live.ts'
import { matchesName } from './policy.ts'
import type { Queue } from './queue.ts'
import { noQueue } from './refusals.ts'
import type { Reached } from './route-filter.ts'
import type { LiveSession } from './session.ts'
import { noTemporary } from './temporary.ts'

/** What an address stands for, if for more than itself. */
export interface Spread {
  /** What the message names. */
  readonly name: CoreAddress
  readonly queues: readonly CoreAddress[]
  readonly topics: readonly CoreAddress[]
  /** Queues that the configuration names: made when they are needed. */
  readonly ours: ReadonlySet<CoreAddress>
}

export type Gathered = Readonly<
  | { kind: 'reached'; reached: Reached; direct: readonly Queue[]; limited: boolean }
  | { kind: 'refused'; error: CodedError }
  | { kind: 'blocked'; by: Queue }
>

/** Undefined: it stands for itself. Worked out once for each address: the configuration does not change. */
export function spreadOf(to: CoreAddress, settings: DestinationSettings): Spread | undefined {
  if (to.parts === undefined && (settings.forward.length === 0 || to.temporary || to.namespace !== '')) return undefined
  const all = new Map<string, CoreAddress>()
  const ours = new Set<CoreAddress>()
  for (const part of to.parts ?? [to]) {
    const forwards = part.temporary || part.namespace !== '' ? [] : settings.forward.filter(({ from }) => matchesName(from, part))
    if (forwards.every(({ keep }) => keep !== false) && !all.has(part.key)) all.set(part.key, part)
    for (const name of forwards.flatMap((forward) => forward.to)) {
      const target = addressOf(name, part)
      if (all.has(target.key)) continue
      all.set(target.key, target)
      ours.add(target)
    }
  }
  const addresses = [...all.values()]
  if (to.parts === undefined && addresses.length === 1 && addresses[0] === to) return undefined
  const queues = addresses.filter(({ kind }) => kind === 'queue')
  const topics = addresses.filter(({ kind }) => kind === 'topic')
  return { name: topics[0] ?? queues[0], queues, topics, ours }
}

/** What this message reaches through all of them, and whether it may. Nothing has changed yet when it may not. */
export function gather(live: Live, session: LiveSession, spread: Spread, message: Message, bytes: number): Gathered {
  const direct: Queue[] = []
  for (const address of spread.queues) {
    let queue = live.findQueue(address)
    if (queue === undefined && spread.ours.has(address)) queue = live.makeQueue(address, { durable: true, lifetime: 'permanent' }, 'publish')
    if (queue === undefined) {
      return refused(address.temporary ? noTemporary(address) : noQueue(address.path))
    }
    if (queue.isFull(bytes) && queue.policy.whenFull === 'refuse') return { kind: 'blocked', by: queue }
    direct.push(queue)
  }
  const durable: Queue[] = []
  const durableVias: Via[] = []
  const volatile: Queue[] = []
  const volatileVias: Via[] = []
  const seen = new Set<Queue>()
  const add = (queue: Queue, via: Via): void => {
    if (seen.has(queue)) return
    seen.add(queue)
    const list = queue.durable ? durable : volatile
    list.push(queue)
    ;(queue.durable ? durableVias : volatileVias).push(via)
  }
  for (const queue of direct) add(queue, DIRECT)
  let limited = direct.some((queue) => queue.policy.limitMessages !== 0 || queue.policy.limitBytes !== 0)
  for (const topic of spread.topics) {
    if (topic.temporary && live.findQueue(topic) === undefined) return refused(noTemporary(topic))
    const route = live.router.route(topic)
    const reached = route.filter === undefined ? route : route.filter.reached(live.selecting.view(message), session.origin)
    limited ||= route.limited
    const named = (via: Via): Via | undefined => (topic === spread.name ? via : live.state.vias.named(via, topic, live.settings.limits.viaNames))
    for (const [queues, vias] of [
      [reached.durable, reached.durableVias],
      [reached.volatile, reached.volatileVias],
    ] as const) {
      for (let i = 0; i < queues.length; i++) {
        const via = named(vias[i])
        if (via === undefined)
          return refused(new CodedError('limit', `limits.viaNames (${live.settings.limits.viaNames}) topics were named in lists already`))
        add(queues[i], via)
      }
    }
  }
  return { kind: 'reached', reached: { durable, durableVias, volatile, volatileVias }, direct, limited }
}

function refused(error: CodedError): Gathered {
  return { kind: 'refused', error }
}

/** `topic:audit.{name}`, as the configuration writes it. */
function addressOf(name: string, from: CoreAddress): CoreAddress {
  const colon = name.indexOf(':')
  const path = name.slice(colon + 1).replaceAll('{name}', from.path.join('.'))
  return new CoreAddress(name.startsWith('topic:') ? 'topic' : 'queue', path.split('.'), '')
}
