// What the management interface asks of the node it belongs to. The composition fills it; `server.ts` speaks HTTP over it.
import type { Administration } from '../core/administration.ts'
import type { FollowStatus } from '../journal/journal.ts'

/** `starting`: nothing is known yet. `standby`: another node leads. `taking-over`: this node has claimed and reads the journal. */
export type Role = 'starting' | 'standby' | 'taking-over' | 'active' | 'stopping'

export type NodeStatus = Readonly<{
  role: Role
  node: string
  version: string
  /** Of this node's own term; 0 while it does not lead. */
  epoch: number
  startedAtMs: number
  /** By listener name, `host:port`. */
  listeners: Readonly<Record<string, string>>
  /** The other nodes of the directory, as they say of themselves. */
  peers?: unknown
  /** How far it follows the leader; absent unless it is a standby. */
  follow?: FollowStatus
  /** What the core says of itself; absent while this node does not lead. */
  broker?: unknown
}>

/** Equal digests at equal batches: equal durable state (invariant 9). */
export type StateDigest = Readonly<{ node: string; role: Role; batch: number; digest: string }>

/** See `core/administration.ts`. */
export type Administered = Pick<Administration, keyof Administration>

export interface Managed {
  readonly role: Role
  status(): NodeStatus
  /** The same without what the core says of itself: costs nothing. */
  standing(): NodeStatus
  /** Throws `BrokerError` `not-leading` while this node neither leads nor is a warm standby. */
  digest(): Promise<StateDigest>
  /** Gives the leadership away. Throws `BrokerError` `not-leading`; `denied` when no standby is warm and `force` is not set. */
  handOver(force: boolean): Promise<Readonly<{ epoch: number; successor: string | undefined }>>
  /** Throws `BrokerError` `not-leading` while this node does not lead; so do the ones below. */
  readonly administration: Administered
  /** Makes a durable queue if there is none; ends when that is committed; answers whether it was made. */
  declare(queue: readonly string[]): Promise<boolean>
  /** The last events of the flight recorder, newest first, at most `limit`. */
  recent(limit: number): unknown
  /** Ends when the removal is committed; answers how many messages it removed. */
  purge(queue: readonly string[]): Promise<unknown>
}
