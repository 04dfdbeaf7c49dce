// Clauses that a broker keeps by closing: bytes in, the end of the connection out.
import type { Check } from '../check.ts'
import { hex, MqttWire } from '../clients/mqtt-wire.ts'
import { type Mutant, mutant, neverCloses } from '../mutant.ts'
import { fail, mustBe, outcomeOf } from '../outcome.ts'
import type { Trial } from '../trial.ts'
import { connected } from './session.ts'

type Told = Pick<Check, 'id' | 'says' | 'how'>
type Bytes = (trial: Trial) => readonly Buffer[]

/** Each of these, on a connection of its own that was accepted, must end it. */
export function closesOn(told: Told, bytes: Bytes, mutants: readonly Mutant[] = []): Check {
  return {
    ...told,
    level: 'must',
    async run(trial) {
      await together(bytes(trial), async (each, index) => {
        const wire = await connected(trial, `c${index}`)
        wire.send(each)
        await wire.closed(`after ${hex(each)}`)
      })
    },
    mutants: [neverCloses, ...mutants],
  }
}

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

/** All of them at once; fails with all that failed, so that one broker's list of what it lets pass is whole. */
export async function together(all: readonly Buffer[], one: (bytes: Buffer, index: number) => Promise<void>): Promise<void> {
  const failures: string[] = []
  const noted = async (bytes: Buffer, index: number): Promise<void> => {
    try {
      await one(bytes, index)
    } catch (error) {
      const { outcome, seen } = outcomeOf(error)
      if (outcome !== 'fail') throw error
      failures.push(seen)
    }
  }
  await Promise.all(all.map(noted))
  if (failures.length > 0) fail(failures.join('; '))
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
