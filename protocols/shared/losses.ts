// Losses that every protocol has, and the answer for a field that its catalogue forgot. Written by AMQP, shared with STOMP and MQTT.
import type { Loss } from '../../src/api.ts'

export const UNNAMEABLE_REPLY: Loss = { rule: 'unnameable-reply', says: 'The reply address is one that this protocol has no name for.' }

export function ruleIn(losses: Readonly<Record<string, Loss>>): (field: string) => Loss {
  const catalogue = new Map(Object.entries(losses))
  return (field) => catalogue.get(field) ?? { rule: 'not-carried', says: `This protocol does not carry ${field}.` }
}
