// Shows of each check that it can fail: with the broker as it is it passes, with each of its mutants it must not.
import { type Check, checksOf, type Suite } from './check.ts'
import type { Framings, Mutant } from './mutant.ts'
import type { Outcome } from './outcome.ts'
import { openProxy } from './proxy.ts'
import { inParallel, runCheck } from './runner.ts'
import { addressesOf, type Target } from './target.ts'

export type Proof = Readonly<{
  check: Check
  /** Empty: the check passes through a proxy that edits nothing, has mutants, and each makes it fail. */
  doubts: readonly string[]
  mutants: number
}>

export type ProofOptions = Readonly<{ patienceMs: number; parallel: number; wanted?: (check: Check) => boolean; onProof?: (proof: Proof) => void }>

export async function prove(suite: Suite, framings: Framings, target: Target, options: ProofOptions): Promise<readonly Proof[]> {
  const addresses = addressesOf(target)
  const proofs: Proof[] = []
  const through = async (check: Check, mutant: Check['mutants'][number]): Promise<Readonly<{ outcome: Outcome; seen: string }>> => {
    const protocol = check.through ?? suite.protocols[0]
    const broker = addresses[protocol]
    if (broker === undefined) throw new Error(`no target for ${protocol}`)
    const proxy = await openProxy(broker, framings[protocol], mutant)
    try {
      return await runCheck(check, suite, target, { ...addresses, [protocol]: proxy.address }, options.patienceMs)
    } finally {
      await proxy.close()
    }
  }
  const work = async (check: Check): Promise<void> => {
    const doubts: string[] = []
    const good = check.mends ?? nothing
    const mutants = check.mends === undefined ? check.mutants : [nothing, ...check.mutants]
    const untouched = await through(check, good)
    if (untouched.outcome !== 'pass')
      doubts.push(`${check.mends === undefined ? 'without a mutant' : `a broker that ${good.says}`}: ${untouched.outcome}, ${untouched.seen}`)
    if (mutants.length === 0) doubts.push('has no mutant')
    if (doubts.length === 0)
      for (const mutant of mutants) {
        const { outcome, seen } = await through(check, mutant)
        // Of what has to be mended the broker as it is may lack all that is tried.
        const lacks = mutant === nothing && (outcome === 'skipped' || outcome === 'not supported')
        if (outcome !== 'fail' && outcome !== 'lossy' && !lacks)
          doubts.push(`a broker that ${mutant.says}: ${outcome}${seen === '' ? '' : `, ${seen}`}`)
      }
    const proof = { check, doubts, mutants: mutants.length }
    proofs.push(proof)
    options.onProof?.(proof)
  }
  const checks = checksOf(suite).filter(options.wanted ?? (() => true))
  await inParallel(
    checks.filter((check) => check.alone !== true),
    options.parallel,
    work,
  )
  await inParallel(
    checks.filter((check) => check.alone === true),
    1,
    work,
  )
  return proofs
}

/** The broker as it is. */
const nothing: Mutant = { says: 'is as it is', start: () => () => ({}) }
