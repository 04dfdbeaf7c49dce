// ActiveMQ's four scheduling fields by their names as properties, and what they are elsewhere. A front end that has a word of its own for one says that.
import type { Value } from '../../src/api.ts'

/** Property → AMQP's annotation and its type there. */
export const SCHEDULED: ReadonlyMap<string, Readonly<{ annotation: string; type: 'int32' | 'int64' | 'string' }>> = new Map([
  ['AMQ_SCHEDULED_DELAY', { annotation: 'x-opt-delivery-delay', type: 'int64' }],
  ['AMQ_SCHEDULED_PERIOD', { annotation: 'x-opt-delivery-period', type: 'int64' }],
  ['AMQ_SCHEDULED_REPEAT', { annotation: 'x-opt-delivery-repeat', type: 'int32' }],
  ['AMQ_SCHEDULED_CRON', { annotation: 'x-opt-delivery-cron', type: 'string' }],
])

/** The property's value, in the type that the annotation has; undefined: it is none of that kind. */
export function scheduledValue(type: 'int32' | 'int64' | 'string', value: Value): Value | undefined {
  const text = value.type === 'list' || value.type === 'map' || value.type === 'null' ? '' : String(value.value)
  if (type === 'string') return value.type === 'string' || value.type === 'symbol' ? { type, value: text } : undefined
  if (!/^-?\d{1,15}$/.test(text)) return undefined
  return type === 'int64' ? { type, value: BigInt(text) } : Math.abs(Number(text)) > 0x7f_ff_ff_ff ? undefined : { type, value: Number(text) }
}
