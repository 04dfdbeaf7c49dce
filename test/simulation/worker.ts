// Runs seeds in a process of its own: `run.ts` forks it, in this tree or in one with a mistake in it. It is asked for one seed after the other and answers each.
import { type Outcome, type SimulationOptions, simulate } from './simulation.ts'

export type Answer = Readonly<{ seed: number; violation: Readonly<{ invariant: string; sentence: string }> | undefined }> & Omit<Outcome, 'violation'>

process.on('message', (options: SimulationOptions) => {
  void simulate(options).then(({ violation, ...rest }) => {
    const answer: Answer = {
      ...rest,
      seed: options.seed,
      violation: violation === undefined ? undefined : { invariant: violation.invariant, sentence: violation.message },
    }
    process.send?.(answer)
  })
})
process.on('disconnect', () => process.exit(0))
