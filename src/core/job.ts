// A message that is sent again and again: what is kept of it, and when it is next. Facts make, advance and end it; who fires it is `jobs.ts`.
//
// When it is next follows from what is kept and from nothing else, so a successor goes on where its predecessor was. Without cron it is at
// start, start + period, …; with cron every time of the pattern begins a run of its own: time + delay, + period, …
import type { Message } from '../api.ts'
import type { CoreAddress } from './addresses.ts'
import { after, upTo } from './cron.ts'

export interface Job {
  readonly number: number
  readonly to: CoreAddress
  readonly message: Message
  readonly madeAtMs: number
  /** Each copy lives so long; 0: for ever. */
  readonly ttlMs: number
  readonly delayMs: number
  /** 0: none. */
  readonly periodMs: number
  /** Times after the first; -1: for ever. With cron: of each run. */
  readonly repeat: number
  /** '': none. */
  readonly cron: string
  /** Times it was sent, and when last. */
  fired: number
  lastAtMs: number
}

export function bytesOf(job: Job): number {
  return job.message.head.length + job.message.body.length
}

/** It was sent as often as it should be. */
export function isOver(job: Job): boolean {
  return job.cron === '' && job.repeat >= 0 && job.fired > job.repeat
}

/** When it is next; Infinity: never. What was missed is left out. */
export function nextOf(job: Job, zone: string): number {
  if (job.cron !== '') return nextOfCron(job, zone)
  const start = job.madeAtMs + job.delayMs
  if (job.fired === 0) return start
  if (job.periodMs === 0) return Number.POSITIVE_INFINITY
  return start + Math.max(0, Math.floor((job.lastAtMs - start) / job.periodMs) + 1) * job.periodMs
}

function nextOfCron(job: Job, zone: string): number {
  const { delayMs, periodMs, repeat } = job
  const since = job.fired === 0 ? job.madeAtMs : Math.max(job.madeAtMs, job.lastAtMs - delayMs)
  const begins = after(job.cron, zone, since)
  const next = begins === undefined ? Number.POSITIVE_INFINITY : begins + delayMs
  if (job.fired === 0 || repeat === 0 || periodMs === 0) return next
  const began = upTo(job.cron, zone, since)
  if (began === undefined || began <= job.madeAtMs) return next
  const times = Math.floor((job.lastAtMs - delayMs - began) / periodMs) + 1
  return repeat >= 0 && times > repeat ? next : Math.min(next, began + delayMs + times * periodMs)
}
