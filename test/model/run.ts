// Runs the model of the failover protocol through spin: the protocol must hold at every size, and each mutant (a rule left out) must be refuted.
// `--slice K/N` takes a part of the checks. Needs spin and gcc. Ends with `N passed, N failed, N skipped`.
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

interface Check {
  readonly name: string
  readonly defines: readonly string[]
  /** What the search must end with. */
  readonly holds: boolean
}

const TWO_NODES = ['-DNN=2', '-DE=3', '-DR=2']
const mutant = (name: string, ...more: string[]): Check => ({
  name: `refuted: ${name}`,
  defines: [...(more.length > 0 ? more : TWO_NODES), `-D${name}`],
  holds: false,
})

const checks: readonly Check[] = [
  { name: 'two nodes, two takeovers, local disk', defines: TWO_NODES, holds: true },
  { name: 'two nodes, two takeovers, file server', defines: [...TWO_NODES, '-DNFS'], holds: true },
  { name: 'three nodes, one takeover', defines: ['-DNN=3', '-DE=2', '-DR=3'], holds: true },
  mutant('M_NOLOOK'),
  mutant('M_LOOKB4WRITE'),
  mutant('M_LOOKFIRST', ...TWO_NODES, '-DNFS'),
  mutant('M_READFIRST'),
  mutant('M_NOSEAL'),
  mutant('M_APPEND', '-DNN=2', '-DE=3', '-DR=3'),
  mutant('M_NOEXCL'),
  mutant('M_CLAIMND'),
  mutant('M_GAP'),
  mutant('M_NODIR'),
  mutant('M_NOADOPT'),
  mutant('M_SEALNOLOOK'),
  mutant('M_SHUTWRITE'),
]

const { values } = parseArgs({ options: { slice: { type: 'string' } } })
const [slice, slices] = (values.slice ?? '1/1').split('/').map(Number)
const model = fileURLToPath(new URL('../../docs/failover/failover.pml', import.meta.url))
let passed = 0
let failed = 0
for (const [i, check] of checks.entries()) {
  if (i % slices !== slice - 1) continue
  const verdict = search(check)
  const right = verdict === (check.holds ? 'holds' : 'refuted')
  if (right) passed++
  else failed++
  console.log(`${right ? 'ok    ' : 'FAILED'} ${check.name}: ${verdict}`)
}
console.log(`${passed} passed, ${failed} failed, 0 skipped`)
process.exit(failed === 0 ? 0 : 1)

function search({ defines }: Check): string {
  const folder = mkdtempSync(join(tmpdir(), 'model-'))
  try {
    execFileSync('spin', ['-a', ...defines, model], { cwd: folder, stdio: 'pipe' })
    const flags = ['-O2', '-w', '-DSAFETY', '-DCOLLAPSE', '-DNOREDUCE', '-DMEMLIM=6000', '-DVECTORSZ=2048']
    execFileSync('gcc', [...flags, '-o', 'pan', 'pan.c'], { cwd: folder, stdio: 'pipe' })
    const ran = spawnSync(join(folder, 'pan'), ['-E', '-m2000000', '-w24'], { cwd: folder, encoding: 'utf8', maxBuffer: 2 ** 26 })
    if (/max search depth too small|out of memory/.test(ran.stdout)) return 'not searched to the end'
    return /errors: 0/.test(ran.stdout) ? 'holds' : /errors: [1-9]/.test(ran.stdout) ? 'refuted' : 'no verdict'
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
