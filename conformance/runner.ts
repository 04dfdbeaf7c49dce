// Runs checks against a broker: several at once, each in a trial of its own, in the order of the specification.
import { setTimeout as sleep } from 'node:timers/promises'
import { type Check, type Clause, isCheck, type Suite } from './check.ts'
import { type Outcome, outcomeOf } from './outcome.ts'
import { type Addresses, addressesOf, type Target } from './target.ts'
import { Trial } from './trial.ts'

export type Result = Readonly<{
  suite: string
  clause: Clause
  outcome: Outcome | 'unchecked'
  /** What the broker did, or why it was not tried. */
  seen: string
  /** Why the profile says that this fails there; only if it does. */
  known?: string
  /** What went over the wires. */
  lines: readonly string[]
  ms: number
}>

export type RunOptions = Readonly<{
  /** In milliseconds: how long an answer may take. */
  patienceMs: number
  /** Checks under way at once. */
  parallel: number
  /** In milliseconds: a check that takes longer is an error. */
  endsMs?: number
  /** Told in the order of the suite's clauses. */
  onResult?: (result: Result) => void
  wanted?: (clause: Clause) => boolean
}>

/** Of this process: trials have names that differ from those of earlier runs, whose sessions and retained messages may still be there. */
const RUN = Date.now().toString(36)
let trials = 0

export async function runSuite(suite: Suite, target: Target, options: RunOptions): Promise<readonly Result[]> {
  const clauses = suite.chapters.flatMap((chapter) => chapter.clauses).filter(options.wanted ?? (() => true))
  const addresses = addressesOf(target)
  const missing = suite.protocols.find((protocol) => addresses[protocol] === undefined)
  const lacks = target.profile.lacks[suite.name]
  const avoid = target.profile.avoid[suite.name] ?? {}
  const results: Result[] = []
  const found = new Map<Clause, Result>()
  const tell = (result: Result): void => {
    found.set(result.clause, result)
    for (let next = clauses[results.length]; next !== undefined; next = clauses[results.length]) {
      const told = found.get(next)
      if (told === undefined) return
      results.push(told)
      options.onResult?.(told)
    }
  }
  const run = async (clause: Clause): Promise<void> => {
    if (!isCheck(clause)) tell({ suite: suite.name, clause, outcome: 'unchecked', seen: clause.unchecked, lines: [], ms: 0 })
    else if (lacks !== undefined) tell({ suite: suite.name, clause, outcome: 'not supported', seen: lacks, lines: [], ms: 0 })
    else if (avoid[clause.id] !== undefined) tell({ suite: suite.name, clause, outcome: 'skipped', seen: avoid[clause.id] ?? '', lines: [], ms: 0 })
    else if (missing !== undefined) tell({ suite: suite.name, clause, outcome: 'skipped', seen: `no target for ${missing}`, lines: [], ms: 0 })
    else {
      const known = target.profile.known[suite.name]?.[clause.id]
      tell({
        suite: suite.name,
        clause,
        ...(await runCheck(clause, suite, target, addresses, options.patienceMs, options.endsMs)),
        ...(known === undefined ? {} : { known }),
      })
    }
  }
  const alone = (clause: Clause): boolean => isCheck(clause) && clause.alone === true
  await inParallel(
    clauses.filter((clause) => !alone(clause)),
    options.parallel,
    run,
  )
  await inParallel(clauses.filter(alone), 1, run)
  return results
}

export async function runCheck(
  check: Check,
  suite: Suite,
  target: Target,
  addresses: Addresses,
  patienceMs: number,
  endsMs = ENDS_MS + 10 * patienceMs,
): Promise<Readonly<{ outcome: Outcome; seen: string; lines: readonly string[]; ms: number }>> {
  const { user, password, profile } = target
  const trial = new Trial({
    addresses,
    protocol: suite.protocols[0],
    ...(user === undefined ? {} : { user }),
    ...(password === undefined ? {} : { password }),
    profile,
    patienceMs,
    number: `${RUN}${(trials++).toString(36)}`,
  })
  const begun = performance.now()
  let ended: Readonly<{ outcome: Outcome; seen: string }> = { outcome: 'pass', seen: '' }
  try {
    await bounded(check.run(trial), endsMs)
    if (trial.broken !== undefined) ended = { outcome: 'fail', seen: trial.broken }
  } catch (error) {
    ended = outcomeOf(error)
  }
  const ms = performance.now() - begun
  await trial.close()
  return { ...ended, lines: trial.lines, ms }
}

/** A check that waits for ever would keep all others from being told. */
const ENDS_MS = 60_000

async function bounded(running: Promise<void>, ms: number): Promise<void> {
  const over = new AbortController()
  try {
    await Promise.race([
      running,
      sleep(ms, undefined, { signal: over.signal }).then(() => {
        throw new Error(`the check did not end within ${ms} ms`)
      }),
    ])
  } finally {
    over.abort()
  }
}

export async function inParallel<T>(all: readonly T[], parallel: number, work: (each: T) => Promise<void>): Promise<void> {
  const rest = all.values()
  await Promise.all(
    Array.from({ length: parallel }, async () => {
      for (const each of rest) await work(each)
    }),
  )
}
