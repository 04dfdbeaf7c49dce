// Where a receiving link takes from, and what becomes of that when it ends. How it comes to be: sources.ts.
import type { Address, ConsumerOptions, QueuePattern } from '../../src/api.ts'
import type { Terminus } from './terminus.ts'

export type Source = Readonly<{
  queue: Address
  /** As the answer names it. */
  address: string
  /** Goes with the link. */
  temporary: boolean
  /** The temporary node that goes with it. */
  node: Address | undefined
  /** A durable subscription: it goes when the link is closed, and stays when it is only detached. */
  durable: boolean
  /** How it stands beside other receivers. */
  exclusive: ConsumerOptions['exclusive']
  priority: number
  /** Nothing is consumed: the client asks what there is (and may delete it by closing the link). */
  lookup: boolean
  /** Of more than one topic or queue: each delivery says which. */
  wildcard: boolean
  /** It takes from every queue that matches, or from those of a list, instead of from `queue`. */
  several?: QueuePattern | readonly Address[]
  /** The queue is only looked at (distribution-mode copy): settled by us, nothing is taken. */
  copy: boolean
  /** Of a queue it is the consumer's, of a subscription its binding's. */
  selector: string | undefined
  noLocal: boolean
  /** What is in force of what was asked, for the answer. */
  filter: Terminus['filter']
}>
