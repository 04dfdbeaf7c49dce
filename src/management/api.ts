// What the management interface asks of the node it belongs to. The composition fills it; `server.ts` speaks HTTP over it.

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
  /** What the core says of itself; absent while this node does not lead. */
  broker?: unknown
}>

export interface Managed {
  readonly role: Role
  status(): NodeStatus
  /** Throws `BrokerError` `not-leading` while this node does not lead; so do the ones below. */
  destinations(): unknown
  /** Makes a durable queue if there is none; ends when that is committed; answers whether it was made. */
  declare(queue: readonly string[]): Promise<boolean>
  /** The last events of the flight recorder, newest first, at most `limit`. */
  recent(limit: number): unknown
  /** Ends when the removal is committed; answers how many messages it removed. */
  purge(queue: readonly string[]): Promise<unknown>
}
