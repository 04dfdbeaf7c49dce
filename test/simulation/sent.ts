// One message as its client knows it, and its place on each queue that it is to reach.
import type { Work } from './work.ts'

type Told = 'unknown' | 'acknowledged' | 'refused'
type Settled = 'no' | 'claimed' | 'asked' | 'answered'

/** One message on one queue. */
export class Place {
  delivered = false
  settled: Settled = 'no'
  /** In which epoch it was settled, and by which batch of it the fact is committed at the latest. */
  epoch = 0
  batch = Number.POSITIVE_INFINITY
  /** Which transaction settled it; only that decides. */
  work: Work | undefined
  /** Of a message that is sent again and again: its entries, by number. */
  readonly copies = new Map<string, Place>()
}

export type Sent = {
  readonly id: string
  readonly client: string
  readonly number: number
  readonly body: Buffer
  /** Others may go with their leader. */
  readonly durable: boolean
  told: Told
  readonly places: Map<string, Place>
  /** Rises with what a client sends, as it takes its place: in a transaction, at the commit. */
  order: number
  /** What has the same one comes in order; undefined: it has its own time. */
  readonly stream: string | undefined
  readonly priority: number
  readonly group: string
  readonly colour: string
  /** Wall time; 0: at once. */
  readonly deliverAtMs: number
  /** How often it is sent; 0: once, by its client. */
  readonly times: number
  work: Work | undefined
}

export type ToSend = Readonly<{
  client: string
  number: number
  sizeBytes: number
  durable: boolean
  queues: readonly string[]
  priority?: number
  group?: string
  colour?: string
  deliverAtMs?: number
  times?: number
}>

/** Says whose it is, and each part can be told from each other's. */
export function bodyOf(id: string, sizeBytes: number): Buffer {
  const body = Buffer.alloc(Math.max(sizeBytes, id.length + 1), `${id}.`)
  body.write(`${id};`)
  return body
}
