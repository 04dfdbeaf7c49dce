// Clauses that a broker keeps by closing: bytes in, the end of the connection out.
import type { Check } from '../check.ts'
import { hex, MqttWire } from '../clients/mqtt-wire.ts'
import { type Bytes, closesBy, together, type Told } from '../mqtt/closes.ts'
import { type Mutant, mutant, neverCloses } from '../mutant.ts'
import { mustBe } from '../outcome.ts'
import type { Trial } from '../trial.ts'
import { connected } from './session.ts'

/** Each of these, on a connection of its own that was accepted, must end it. */
export const closesOn = closesBy(connected)

/** Each of these as the first bytes of a connection must end it, and no CONNACK may accept it. (That none comes at all is MQTT-3.1.4-1.) */
export function refuses(told: Told, bytes: Bytes): Check {
  return {
    ...told,
    level: 'must',
    async run(trial) {
      await together(bytes(trial), (each) => refused(trial, each))
    },
    mutants: [neverCloses, acceptsAnyConnect],
  }
}

export async function refused(trial: Trial, bytes: Buffer): Promise<void> {
  const wire = await MqttWire.open(trial, 4)
  wire.send(bytes)
  const came = await wire.closed(`after ${hex(bytes)}`)
  mustBe(!came.some((packet) => packet.cmd === 'connack' && packet.returnCode === 0), `CONNACK accepts ${hex(bytes)}`)
}

/** Whatever CONNECT it gets. */
export const acceptsAnyConnect: Mutant = mutant('accepts any CONNECT and then closes', (ends) => ({
  toBroker: (raw) => {
    if ((raw[0] ?? 0) >> 4 === 1) ends.toClient(Buffer.from([0x20, 2, 0, 0]))
    return undefined
  },
}))
