// Temporary destinations: a queue or topic that belongs to one client and goes with it. One notion for every protocol.
//
//     made, held by its owner's session ──lost──▶ nobody's, for destinations.temporaryGraceMs ──▶ gone
//        │          ▲                               │
//        │          └──── declared by the same owner┘   (a client that comes back after its connection broke, or after a takeover)
//        └── released, or the session ends in order ──▶ gone
//
// That it exists is a fact, so that a successor knows it; what lies on it is kept in memory only, as its senders may expect of it. A temporary
// topic is recorded as a queue with the topic's address, on which nothing ever lies. Names begin with `$temp`: nobody else makes one by using it,
// and no wildcard matches it by chance.
import type { Address, Pattern } from '../api.ts'
import { CodedError } from '../errors.ts'
import { TEMPORARY } from './addresses.ts'
import type { Live } from './live.ts'
import type { Queue } from './queue.ts'
import type { SessionRecord } from './sessions.ts'

/** The session that declares or holds it takes it, if nobody has it and it is its owner's. Answers why not. */
export function takeTemporary(live: Live, record: SessionRecord, queue: Queue, owner: string | undefined): CodedError | undefined {
  if (record.holds.has(queue)) return undefined
  const mine = queue.lifetime === 'temporary' && queue.declared.owner === owner
  if (!mine || (queue.holders?.size ?? 0) > 0) return notYours(queue.address)
  queue.cancelRemoval?.()
  live.state.hold(record, queue, 0)
  return undefined
}

/** May this session consume it? Only its owner may. */
export function mayConsume(record: SessionRecord, queue: Queue): boolean {
  return queue.lifetime !== 'temporary' || record.holds.has(queue)
}

/** May this session be bound to these topics? To a temporary topic its owner alone may. Answers why not. */
export function mayBind(record: SessionRecord, pattern: Pattern): CodedError | undefined {
  if (pattern[0] !== TEMPORARY) return undefined
  const path = pattern.map((segment) => (typeof segment === 'string' ? segment : ''))
  for (const queue of record.holds.keys()) {
    const { address } = queue
    if (address.kind === 'topic' && address.path.length === path.length && address.path.every((segment, i) => segment === path[i])) return undefined
  }
  return new CodedError('denied', `the temporary topic ${path.join('.')} is not this client's, or is gone`)
}

/** A name that only its owner could make, and has not. */
export function noTemporary(address: Address): CodedError {
  return new CodedError('not-found', `the temporary ${address.kind} ${address.path.join('.')} is gone`)
}

export function notYours(address: Address): CodedError {
  return new CodedError('denied', `the temporary ${address.kind} ${address.path.join('.')} belongs to another client`)
}

/** Temporary destinations that this session has. */
export function temporariesOf(record: SessionRecord): number {
  let count = 0
  for (const queue of record.holds.keys()) if (queue.lifetime === 'temporary') count++
  return count
}

/** Its owner's connection broke, or a leader ended: it goes after a while, unless its owner has come back. */
export function removeLater(live: Live, queue: Queue): void {
  queue.cancelRemoval = live.schedule.schedule(live.settings.destinations.temporaryGraceMs, () => {
    if (live.lost === undefined && queue.alive && (queue.holders?.size ?? 0) === 0) live.dropQueue(queue)
  })
}
