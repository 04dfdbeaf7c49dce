// What a session does with queues as such: makes and removes them, holds them and lets go. Each answers whether the journal was told, or why not.
// How messages come to a queue is `bind.ts` and `publish.ts`, who takes them from it `taking.ts`.
import type { Address, QueueOptions } from '../api.ts'
import { CodedError } from '../errors.ts'
import { FACT } from '../journal/facts.ts'
import { beyond, own } from './addresses.ts'
import type { Live } from './live.ts'
import type { Membership } from './membership.ts'
import { rulesFor } from './policy.ts'
import { EVENT, REASON } from './recorder.ts'
import { journalFull, noQueue } from './refusals.ts'
import type { SessionRecord } from './sessions.ts'
import { noTemporary, takeTemporary, temporariesOf } from './temporary.ts'

export function declare(live: Live, record: SessionRecord, address: Address, options: QueueOptions): boolean | CodedError {
  const to = own(address)
  const known = live.findQueue(to)
  const denied = known === undefined || options.lifetime !== 'temporary' ? undefined : takeTemporary(live, record, known, options.owner)
  if (denied !== undefined) return denied
  // It may be there and not yet committed.
  if (known !== undefined) return live.facts.uncommitted
  if (to.temporary !== (options.lifetime === 'temporary')) return noTemporary(to)
  if (to.namespace === '' && !to.temporary && !rulesFor(live.settings.destinations, to).autoCreate) {
    return new CodedError('denied', `there is no queue ${to.path.join('.')}, and destinations.autoCreate makes none`)
  }
  const tooMuch = beyond(to, live.settings.limits) ?? live.virtualPatterns.beyond(to)
  if (tooMuch !== undefined) return tooMuch
  const { queues } = live.settings.limits
  if (live.state.queueByNumber.size >= queues) return new CodedError('limit', `limits.queues (${queues}) queues exist`)
  const { temporariesPerSession } = live.settings.limits
  if (to.temporary && temporariesOf(record) >= temporariesPerSession) {
    return new CodedError('limit', `limits.temporariesPerSession (${temporariesPerSession}) temporary destinations exist`)
  }
  const queue = live.makeQueue(to, options, 'publish')
  if (queue === undefined) return journalFull()
  if (to.temporary) live.state.hold(record, queue, 0)
  live.recorder.note(EVENT.declared, queue.number, 0, REASON.none, 0)
  return queue.recorded
}

export function remove(live: Live, address: Address): boolean | CodedError {
  const queue = live.findQueue(own(address))
  if (queue === undefined) return noQueue(address.path)
  return live.dropQueue(queue)
}

export function hold(live: Live, record: SessionRecord, address: Address, tag: number, owner?: string): boolean | CodedError {
  const queue = live.findQueue(own(address))
  if (queue === undefined) return noQueue(address.path)
  const denied = queue.lifetime === 'temporary' ? takeTemporary(live, record, queue, owner) : undefined
  if (denied !== undefined) return denied
  const durable = queue.durable && record.recorded && record.keepMs > 0
  if (!durable) live.state.hold(record, queue, tag)
  else if (!live.facts.admit(FACT.hold, live.facts.writer.reset().u32(record.number).u32(queue.number).u32(tag), 'publish')) return journalFull()
  return durable
}

export function release(membership: Membership, live: Live, record: SessionRecord, address: Address): boolean | CodedError {
  const queue = live.findQueue(own(address))
  if (queue === undefined || !record.holds.has(queue)) return noQueue(address.path)
  return membership.letGo(record, queue)
}
