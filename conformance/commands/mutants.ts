// `bascule conformance mutants`: shows of every check that it can fail, or says of which it is in doubt.
import { type Clause, isCheck, type Suite } from '../check.ts'
import type { Framings } from '../mutant.ts'
import { prove } from '../mutants.ts'
import type { Target } from '../target.ts'
import { Progress, type Screen } from './progress.ts'

export type MutantsCommand = Readonly<{
  suites: readonly Suite[]
  framings: Framings
  target: Target
  wanted: (clause: Clause) => boolean
  patienceMs: number
  parallel: number
  /** Faults of this process that no check caught, a line each, more while it runs: they count as failed. */
  faults: readonly string[]
  screen: Screen
}>

export async function mutants({
  suites,
  framings,
  target,
  wanted,
  patienceMs,
  parallel,
  faults,
  screen,
}: MutantsCommand): Promise<Readonly<{ passed: number; failed: number }>> {
  const all = suites.flatMap(({ chapters }) => chapters.flatMap(({ clauses }) => clauses.filter((clause) => isCheck(clause) && wanted(clause))))
  const progress = new Progress(screen, all.length)
  let passed = 0
  const doubtful: string[] = []
  for (const suite of suites) {
    await prove(suite, framings, target, {
      patienceMs,
      parallel,
      wanted,
      onProof: ({ check, doubts, mutants: number }) => {
        if (doubts.length === 0) passed++
        const lines = doubts.map((doubt) => `DOUBTFUL ${suite.name} ${check.id}: ${doubt}`)
        doubtful.push(...lines)
        progress.told(doubts.length === 0 ? `proven   ${suite.name} ${check.id} by ${number}` : lines.join('\n'), doubts.length > 0)
      },
    })
  }
  progress.end()
  doubtful.push(...faults.map((fault) => `error that no check caught: ${fault}`))
  const failed = all.length - passed + faults.length
  screen.write(`\n${doubtful.map((line) => `${line}\n`).join('')}${passed} passed, ${failed} failed, 0 skipped\n`)
  return { passed, failed }
}
