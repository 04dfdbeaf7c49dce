// Tables 3.3 (redelivered, deliveryCount, originalDestination) and 3.5: what a consumer is told of an entry that was given out before, or is a dead letter.
import type { FrontEnd } from '../notation.ts'
import { string } from './row.ts'
import type { RuleId } from './rules.ts'

export type Failure = Readonly<{
  name: string
  /** Of the first receiver, who gives it back. */
  outcome: 'released' | 'failed'
  /** AMQP's delivery-count at the second. */
  count: number
}>

/** STOMP has no word for giving back uncounted: NACK fails. */
export const failures: readonly Failure[] = [
  { name: 'given back uncounted', outcome: 'released', count: 0 },
  { name: 'failed', outcome: 'failed', count: 1 },
]
export const says = (frontEnd: FrontEnd, { outcome }: Failure): boolean => frontEnd === 'amqp' || (frontEnd === 'stomp' && outcome === 'failed')

/** What a consumer of the dead-letter queue sees beside the message; `reason` is what the receiver who rejected it said. */
export const deadLetter: Readonly<
  Record<FrontEnd, (queue: string, reason: string) => Readonly<{ seen: Readonly<Record<string, unknown>>; rule?: RuleId }>>
> = {
  mqtt: () => ({ seen: {}, rule: 'mqtt-payload-only' }),
  mqtt5: (queue, reason) => ({ seen: { 'original-destination': `$queue/${queue.replaceAll('.', '/')}`, dlqDeliveryFailureCause: reason } }),
  amqp: (queue, reason) => ({
    seen: {
      'x-opt-ORIG-ADDRESS': string(`queue://${queue}`),
      'x-opt-ORIG-QUEUE': string(queue),
      'x-opt-dlq-reason': string(reason),
    },
  }),
  stomp: (queue, reason) => ({ seen: { 'original-destination': `/queue/${queue}`, dlqDeliveryFailureCause: reason } }),
}
