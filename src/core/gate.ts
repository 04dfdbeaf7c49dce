// What transactions mean for one queue, while they mean anything: what is on its way to it and counts already, and who has to wait for a committed
// transaction that is still being unfolded, since its own numbers come later. A queue without transactions has none of this.
import type { Queue } from './queue.ts'

/** Something committed whose entries are not all there yet. */
export interface Ahead {
  /** Each queue's first number of it. */
  readonly bases: ReadonlyMap<Queue, number>
}

export class Gate {
  /** Sent in open or half unfolded transactions; counted for queues with a limit only. */
  unseen = 0
  unseenBytes = 0
  /** In order of their commits, and so of their numbers. */
  readonly ahead: Ahead[] = []
  /** Entries that are committed and come behind those. */
  behind: number[] = []

  get idle(): boolean {
    return this.unseen === 0 && this.ahead.length === 0 && this.behind.length === 0
  }

  /** First number that has to wait. */
  from(queue: Queue): number {
    return this.ahead[0]?.bases.get(queue) ?? Number.POSITIVE_INFINITY
  }
}

/** The queue has a limit, so that what is on its way to it must be counted. */
export function isLimited({ policy }: Queue): boolean {
  return policy.limitMessages !== 0 || policy.limitBytes !== 0
}
