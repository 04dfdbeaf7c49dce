// `npm test`: set-up, then lint, format check, types, unit tests and the end-to-end suites. The last line counts everything.
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { addCounts, countsLine, readCounts } from './counts.mjs'
import { recordFailures } from './failures.mjs'
import { buildIfStale, checkNode, installIfStale, root } from './set-up.mjs'

checkNode()
installIfStale()
// Type errors are told and counted by the step below.
buildIfStale({ quiet: true })

const bin = (name) => join(root, 'node_modules', '.bin', name)
const steps = [
  { name: 'lint', command: [bin('oxlint'), '--type-aware'] },
  { name: 'format', command: [bin('biome'), 'format', '.'] },
  { name: 'types', command: [bin('tsc'), '-p', '.'] },
  { name: 'unit', command: [bin('vitest'), 'run', '--project', 'unit'], counted: true },
  { name: 'end-to-end', command: [bin('vitest'), 'run', 'test/end-to-end', 'test/program'], counted: true },
]

const total = { passed: 0, failed: 0, skipped: 0 }
for (const step of steps) {
  const [command, ...args] = step.command
  const begun = Date.now()
  const done = spawnSync(command, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'], encoding: 'utf8', maxBuffer: 2 ** 30 })
  process.stdout.write(done.stdout ?? '')
  process.stderr.write(done.stderr ?? '')
  const counts = (step.counted && readCounts(done.stdout ?? '')) || { passed: 0, failed: 0, skipped: 0 }
  if (!step.counted && done.status === 0) counts.passed = 1
  if (!step.counted && done.status !== 0) recordFailures([{ name: step.name, message: `${done.stdout ?? ''}\n${done.stderr ?? ''}` }])
  if (done.status !== 0 && counts.failed === 0) counts.failed = 1
  if (step.counted && done.status === 0 && counts.passed === 0) counts.failed = 1
  addCounts(total, counts)
  console.log(`${counts.failed === 0 ? 'ok    ' : 'FAILED'} ${step.name}: ${countsLine(counts)} (${((Date.now() - begun) / 1000).toFixed(1)} s)`)
}
console.log(countsLine(total))
process.exit(total.failed === 0 ? 0 : 1)
