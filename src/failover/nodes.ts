// Who is here: each node of a directory holds the lock on `nodes/node-<id>` for the life of its process, and says there what it is and where clients reach it.
// News, not promises: nothing here decides who leads (that is the claim), and nothing of it is synced.
import type { Clock } from '../api.ts'
import type { Disk } from '../disk.ts'

export type NodeNotice = Readonly<{
  node: string
  pid: number
  host: string
  version: string
  startedMs: number
  /** As in `management/api.ts`. */
  role: string
  /** Of its own term; 0 while it does not lead. */
  epoch: number
  /** By listener name, `host:port` for clients. */
  addresses: Readonly<Record<string, string>>
  /** How far it follows the journal; undefined while it does not. */
  follow: Readonly<{ state: string; batch: number }> | undefined
}>

export interface Presence {
  readonly node: string
  /** Tells the others. Coalesced, never throws or rejects, at most one write in flight. */
  tell(change: Partial<Omit<NodeNotice, 'node'>>): void
  /** The other nodes whose lock is held: alive, or hung. Never rejects: what cannot be read is not there. */
  others(): Promise<readonly NodeNotice[]>
  release(): Promise<void>
}

export type EnterOptions = Readonly<{
  directory: string
  /** '': the first of a, b, c … whose lock is free. */
  node: string
  disk: Disk
  clock: Clock
  pid: number
  host: string
  version: string
}>

/** Makes nothing but the folder `nodes/` and this node's file in it. Throws one sentence when the id is another living process's. */
export async function enter(options: EnterOptions): Promise<Presence> {
  return { node: options.node || 'a', tell: () => undefined, others: async () => [], release: async () => undefined }
}
