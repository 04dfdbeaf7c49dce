// Runs the models of the failover protocol (docs/failover) through spin: the protocol must hold at every size, and each mutant must be refuted.
// `--slice K/N` takes a part of the checks, `--only TEXT` those whose model or name has it. Needs spin and gcc. Ends with `N passed, N failed, N skipped`.
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { type Check, checks } from './checks.ts'

const { values } = parseArgs({ options: { slice: { type: 'string' }, only: { type: 'string', default: '' } } })
const [slice, slices] = (values.slice ?? '1/1').split('/').map(Number)
const { only } = values
const waiting = checks.filter((check, i) => i % slices === slice - 1 && `${check.model} ${check.name}`.includes(only))
/** Each search is one thread; more than two at once would take more memory than a small machine has. */
const AT_ONCE = Math.min(2, availableParallelism())
let passed = 0
let failed = 0
await Promise.all(Array.from({ length: AT_ONCE }, work))
console.log(`${passed} passed, ${failed} failed, 0 skipped`)
process.exit(failed === 0 ? 0 : 1)

async function work(): Promise<void> {
  for (let check = waiting.shift(); check !== undefined; check = waiting.shift()) {
    const { verdict, states } = await search(check)
    const right = verdict === (check.holds ? 'holds' : 'refuted')
    if (right) passed++
    else failed++
    console.log(`${right ? 'ok    ' : 'FAILED'} ${check.model}: ${check.name}: ${verdict}${states}`)
  }
}

type Verdict = Readonly<{ verdict: string; states: string }>

async function search({ model, switches, holds }: Check): Promise<Verdict> {
  const cwd = mkdtempSync(join(tmpdir(), 'model-'))
  try {
    const source = fileURLToPath(new URL(`../../docs/failover/${model}.pml`, import.meta.url))
    await output('spin', ['-a', ...switches.map((one) => `-D${one}`), source], cwd)
    // A counterexample is found soon: there the compiler would take longer than the search.
    const flags = [holds ? '-O1' : '-O0', '-w', '-DSAFETY', '-DCOLLAPSE', '-DNOREDUCE', '-DMEMLIM=6000', '-DVECTORSZ=2048']
    await output('gcc', [...flags, '-o', 'pan', 'pan.c'], cwd)
    return verdictOf(await output(join(cwd, 'pan'), ['-E', '-m2000000', '-w22'], cwd))
  } catch (error) {
    return { verdict: `no verdict: ${String(error)}`, states: '' }
  } finally {
    rmSync(cwd, { recursive: true, force: true })
  }
}

/** A search that did not reach its end proves nothing. */
function verdictOf(said: string): Verdict {
  const states = /([0-9]+) states, stored/.exec(said)?.[1]
  const verdict = /max search depth too small|out of memory/.test(said)
    ? 'not searched to the end'
    : /errors: 0/.test(said)
      ? 'holds'
      : /errors: [1-9]/.test(said)
        ? 'refuted'
        : 'no verdict'
  return { verdict, states: states === undefined ? '' : ` (${Number(states).toLocaleString('en')} states)` }
}

function output(command: string, args: readonly string[], cwd: string): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(command, args, { cwd, encoding: 'utf8', maxBuffer: 2 ** 26 }, (error, stdout) => {
      if (error === null) resolve(stdout)
      else reject(error)
    })
  })
}
