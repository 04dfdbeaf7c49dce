// What holds for a queue: what it was declared with, else the configuration's policies, the last one that matches deciding each field.
import type { QueueOptions } from '../api.ts'
import type { DestinationRules, DestinationSettings } from '../config/settings.ts'
import { CoreAddress } from './addresses.ts'
import type { QueuePolicy } from './queue.ts'

export function policyFrom(settings: DestinationSettings, address: CoreAddress, declared: QueueOptions): QueuePolicy {
  const rules = rulesFor(settings, address)
  const named =
    rules.deadLetter === '' ? undefined : new CoreAddress('queue', rules.deadLetter.replaceAll('{name}', address.path.join('.')).split('.'), '')
  const deadLetter = 'deadLetter' in declared ? declared.deadLetter : named
  const isDeadLetter = named?.key === address.key
  return {
    limitMessages: declared.limitMessages ?? rules.limitMessages,
    limitBytes: declared.limitBytes ?? rules.limitBytes,
    whenFull: declared.whenFull ?? rules.whenFull,
    // A dead letter stays where it is: nothing dies of dying.
    failuresMax: isDeadLetter ? 0 : (declared.failuresMax ?? rules.failuresMax),
    deadLetter: isDeadLetter || deadLetter === undefined ? undefined : new CoreAddress('queue', deadLetter.path, deadLetter.namespace),
    redeliveryDelayMs: declared.redeliveryDelayMs ?? rules.redeliveryDelayMs,
    redeliveryBackoff: declared.redeliveryBackoff ?? rules.redeliveryBackoff,
    redeliveryDelayMaxMs: declared.redeliveryDelayMaxMs ?? rules.redeliveryDelayMaxMs,
    expiredToDeadLetter: rules.expiredToDeadLetter && !isDeadLetter,
    prioritized: rules.prioritized,
    lastValueKey: address.kind === 'queue' ? rules.lastValueKey : '',
    groupFirst: rules.groupFirst,
    metrics: rules.metrics,
  }
}

/** One object for all queues of which the same holds: who sends to 100,000 of them looks at it for each. */
export class SharedPolicies {
  #known = new Map<string, QueuePolicy>()

  /** The one that equals this. */
  share(policy: QueuePolicy): QueuePolicy {
    const key = JSON.stringify({ ...policy, deadLetter: policy.deadLetter?.key })
    const known = this.#known.get(key)
    if (known !== undefined) return known
    // Each queue may have a dead-letter queue of its own: what nobody shares must not gather here.
    if (this.#known.size >= SHARED_MAX) this.#known = new Map()
    this.#known.set(key, policy)
    return policy
  }
}

const SHARED_MAX = 256

/** The configuration's rules for a destination. Policies are for the broker's own namespace. */
export function rulesFor(settings: DestinationSettings, address: CoreAddress): DestinationRules {
  if (settings.policies.length === 0 || address.namespace !== '') return settings
  let rules: DestinationRules = settings
  for (const policy of settings.policies) if (matchesName(policy.match, address)) rules = { ...rules, ...policy }
  return rules
}

/** `queue:orders.>`: kind (or none, for any) and pattern in dots. */
export function matchesName(match: string, address: CoreAddress): boolean {
  const colon = match.indexOf(':')
  const kind = colon < 0 ? '' : match.slice(0, colon)
  if (kind !== '' && kind !== address.kind) return false
  const pattern = match.slice(colon + 1).split('.')
  for (const [i, segment] of pattern.entries()) {
    if (segment === '>') return true
    if (i >= address.path.length || (segment !== '*' && segment !== address.path[i])) return false
  }
  return pattern.length === address.path.length
}
