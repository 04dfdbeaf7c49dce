// The simulation from the command line:
//   npm run simulate -- [--seeds N] [--first S] [--seed S] [--steps N] [--slice K/N] [--mutants | --mutant TEXT] [--trace]
// `--seeds N` runs N worlds, from `--first` (1) on; `--seed S` one of them, with `--trace` line by line. `--mutants`: afterwards every mistake of `mutants.ts` must be
// found; `--mutant TEXT`: only those whose name has it. `--slice K/N`: a part of all of it. The last line counts: worlds, and mutants.
import { type ChildProcess, fork } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { INVARIANTS, type Invariant } from './history.ts'
import { type Mutant, makeTree, mutants } from './mutants.ts'
import { type SimulationOptions, simulate } from './simulation.ts'
import type { Answer } from './worker.ts'

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '1000' },
    first: { type: 'string', default: '1' },
    seed: { type: 'string' },
    steps: { type: 'string', default: '3000' },
    slice: { type: 'string', default: '1/1' },
    mutants: { type: 'boolean', default: false },
    mutant: { type: 'string' },
    trace: { type: 'boolean', default: false },
  },
})

const root = fileURLToPath(new URL('../..', import.meta.url))
const steps = Number(values.steps)
const [slice, slices] = values.slice.split('/').map(Number)
const AT_ONCE = Math.max(2, availableParallelism())
/** A mutant that hides for so many worlds is not found. */
const MUTANT_SEEDS = 1_000
let passed = 0
let failed = 0

if (values.seed !== undefined) await replay(Number(values.seed))
else {
  if (values.mutant === undefined) await runSeeds()
  if (values.mutants || values.mutant !== undefined) await runMutants()
}
console.log(`${passed} passed, ${failed} failed, 0 skipped`)
process.exit(failed === 0 ? 0 : 1)

async function replay(seed: number): Promise<void> {
  const outcome = await simulate({ seed, steps, ...(values.trace ? { onTrace: (line: string) => console.log(line) } : {}) })
  console.log(JSON.stringify({ ...outcome, violation: outcome.violation?.message }))
  if (outcome.violation === undefined) passed += 1
  else failed += 1
}

// ---- Seeds

async function runSeeds(): Promise<void> {
  const first = Number(values.first)
  const seeds = Array.from({ length: Number(values.seeds) }, (_, i) => first + i).filter((seed) => seed % slices === slice % slices)
  const begunMs = Date.now()
  const sum: Record<string, number> = {}
  let done = 0
  let toldMs = begunMs
  await inWorkers(
    root,
    AT_ONCE,
    () => {
      const seed = seeds.shift()
      return seed === undefined ? undefined : { seed, steps }
    },
    (answer) => {
      done += 1
      for (const [name, count] of Object.entries({ ...answer.counts, steps: answer.steps, ms: Math.round(answer.ms) }))
        sum[name] = (sum[name] ?? 0) + count
      if (answer.violation === undefined) passed += 1
      else {
        failed += 1
        const { invariant, sentence } = answer.violation
        console.log(
          `seed ${answer.seed} FAILED ${sentence}\n  ${INVARIANTS[invariant as Invariant]}\n  again: npm run simulate -- --seed ${answer.seed} --steps ${steps} --trace`,
        )
      }
      if (Date.now() - toldMs > 5_000) {
        toldMs = Date.now()
        console.log(`${done} worlds in ${Math.round((toldMs - begunMs) / 1_000)} s, ${failed} failed`)
      }
      return true
    },
  )
  console.log(`${done} worlds in ${((Date.now() - begunMs) / 1_000).toFixed(1)} s: ${JSON.stringify(sum)}`)
  // A simulation in which nothing happens proves nothing.
  const things = ['acknowledged', 'answered', 'committed', 'undone', 'repeated', 'delayed', 'selected', 'grouped']
  const faults = ['terms', 'kill', 'pause', 'decay', 'fail', 'snapshot', 'handOver']
  const idle = [...things, ...faults].filter((name) => done >= 100 && (sum[name] ?? 0) < done / 20)
  for (const name of idle) console.log(`too little happened: ${name} ${sum[name] ?? 0} in ${done} worlds`)
  failed += idle.length
}

// ---- Mutants

async function runMutants(): Promise<void> {
  const waiting = mutants.filter(({ name }, i) => i % slices === slice - 1 && name.includes(values.mutant ?? ''))
  const work = async (): Promise<void> => {
    for (let mutant = waiting.shift(); mutant !== undefined; mutant = waiting.shift()) await runMutant(mutant)
  }
  await Promise.all(Array.from({ length: AT_ONCE }, work))
}

async function runMutant(mutant: Mutant): Promise<void> {
  let found: Answer | undefined
  let tried = 0
  const begunMs = Date.now()
  try {
    const tree = makeTree(mutant)
    try {
      await inWorkers(
        tree.path,
        1,
        () => (tried < MUTANT_SEEDS ? { seed: ++tried, steps, ...mutant.options } : undefined),
        (answer) => {
          if (answer.violation !== undefined) found = answer
          return found === undefined
        },
      )
    } finally {
      tree.remove()
    }
  } catch (error) {
    console.log(`mutant "${mutant.name}" FAILED: ${error instanceof Error ? error.message : String(error)}`)
    failed += 1
    return
  }
  const right = found?.violation !== undefined && mutant.caughtBy.some((one) => one === found?.violation?.invariant)
  if (right) passed += 1
  else failed += 1
  const seconds = ((Date.now() - begunMs) / 1_000).toFixed(1)
  const verdict = found === undefined ? `not found in ${tried} worlds` : `found by seed ${found.seed}: ${found.violation?.sentence.split('\n')[0]}`
  console.log(`${right ? 'ok    ' : 'FAILED'} mutant "${mutant.name}" ${verdict} (${seconds} s)`)
}

// ---- Workers

/** Processes that are given one world after the other. `told` answers whether to go on. Rejects when a worker ends by itself. */
async function inWorkers(tree: string, count: number, next: () => SimulationOptions | undefined, told: (answer: Answer) => boolean): Promise<void> {
  const workers: ChildProcess[] = []
  try {
    await Promise.all(
      Array.from({ length: count }, () => {
        const worker = fork(join(tree, 'test/simulation/worker.ts'), {
          cwd: tree,
          execArgv: ['--import', 'tsx'],
          stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
        })
        workers.push(worker)
        return attend(worker, next, told)
      }),
    )
  } finally {
    for (const worker of workers) worker.kill()
  }
}

function attend(worker: ChildProcess, next: () => SimulationOptions | undefined, told: (answer: Answer) => boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    const give = (): void => {
      const options = next()
      if (options === undefined) resolve()
      else worker.send(options)
    }
    worker.on('message', (answer: Answer) => {
      if (told(answer)) give()
      else resolve()
    })
    worker.on('exit', (code, signal) => reject(new Error(`a worker ended with ${code ?? signal}`)))
    worker.on('error', reject)
    give()
  })
}
