// Clauses that a broker of either version keeps by closing: bytes in, the end of the connection out.
import type { Check } from '../check.ts'
import { hex, type MqttWire } from '../clients/mqtt-wire.ts'
import { type Mutant, neverCloses } from '../mutant.ts'
import { fail, outcomeOf } from '../outcome.ts'
import type { Trial } from '../trial.ts'

export type Connect = (trial: Trial, word?: string) => Promise<MqttWire>

export type Told = Pick<Check, 'id' | 'says' | 'how'>
export type Bytes = (trial: Trial) => readonly Buffer[]

/** Each of these, on a connection of its own that was accepted, must end it. */
export const closesBy =
  (connect: Connect) =>
  (told: Told, bytes: Bytes, mutants: readonly Mutant[] = []): Check => ({
    ...told,
    level: 'must',
    async run(trial) {
      await together(bytes(trial), async (each, index) => {
        const wire = await connect(trial, `c${index}`)
        wire.send(each)
        await wire.closed(`after ${hex(each)}`)
      })
    },
    mutants: [neverCloses, ...mutants],
  })

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
