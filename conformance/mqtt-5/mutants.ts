// Mutants of MQTT 5 that more than one chapter needs. Those of both suites are in ../mqtt/mutants.ts.
import type { Packet } from 'mqtt-packet'
import { type Mutant, mutant } from '../mutant.ts'
import { changes } from '../mqtt/mutants.ts'
import { string } from '../mqtt/bytes.ts'
import { ID, type Property, withProperties } from './properties.ts'

/** Takes whatever CONNECT there is. */
export const acceptsAll: Mutant = mutant('accepts the CONNECT', ({ toClient }) => {
  let first = true
  return {
    toBroker: (raw) => {
      if (!first || (raw[0] ?? 0) >> 4 !== 1) return undefined
      first = false
      toClient(Buffer.from('2003000000', 'hex'))
      return []
    },
    toClient: () => [],
    brokerClosed: () => false,
  }
})

/** Changes the properties of one kind of packet of its own. */
export function changesProperties(says: string, cmd: Packet['cmd'], change: (before: readonly Property[]) => readonly Property[]): Mutant {
  return changes(says, cmd, (_, raw) => withProperties(raw, change))
}

/** Adds one to a kind of packet. */
export function adds(name: string, cmd: Packet['cmd'], id: number, value: Buffer): Mutant {
  return changesProperties(`puts ${name} into ${cmd.toUpperCase()}`, cmd, (before) => [...before, { id, value }])
}

/** Leaves out one kind of property. */
export function leavesOut(name: string, cmd: Packet['cmd'], id: number): Mutant {
  return changesProperties(`leaves ${name} out of ${cmd.toUpperCase()}`, cmd, (before) => before.filter((property) => property.id !== id))
}

const LONG = 'a sentence that is too long '.repeat(40)

export const addsLongReason = (cmd: Packet['cmd']): Mutant => adds('a long Reason String', cmd, ID.reasonString, string(LONG))

export const addsLongUserProperty = (cmd: Packet['cmd']): Mutant =>
  adds('a long User Property', cmd, ID.userProperty, Buffer.concat([string('about'), string(LONG)]))
