// Runs the suites of test/suites.json: tier 1 whole, of each suite of tier 2 one slice. Which one goes round with the number of the commit, so that commits
// one after the other run every slice.
// `--all`: everything whole. `--only NAME`: one suite. `--list`: what there is.
//
// A suite says how it went by its last line, `N passed, N failed, N skipped`, and its exit code. What it needs and cannot have is skipped, with the reason.
import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { addCounts, countsLine, readCounts } from './counts.mjs'
import { readFailures, tellFailures } from './failures.mjs'
import { checkNode, root } from './set-up.mjs'

/** Of so many slices of a tier-2 suite a commit runs one, unless the suite says otherwise: one of few files has no more slices than files. */
const SLICES = 16
/** A suite may take this many times what its line says before it counts as hung. */
const PATIENCE = 5

const args = process.argv.slice(2)
const all = args.includes('--all')
const only = args.includes('--only') ? args[args.indexOf('--only') + 1] : undefined
const suites = JSON.parse(readFileSync(join(root, 'test/suites.json'), 'utf8'))

if (args.includes('--list')) {
  for (const { name, tier, seconds, what } of suites) console.log(`${name.padEnd(20)} tier ${tier}  ${String(seconds).padStart(5)} s  ${what}`)
  process.exit(0)
}
checkNode()

const chosen = only === undefined ? suites : suites.filter((suite) => suite.name === only)
if (chosen.length === 0) {
  console.error(`There is no suite ${only}; node scripts/ci.mjs --list names them.`)
  process.exit(2)
}

const total = { passed: 0, failed: 0, skipped: 0 }
const lines = []
const failed = []
const folder = mkdtempSync(join(tmpdir(), 'bascule-ci-'))
for (const suite of chosen) {
  const missing = missingOf(suite.needs)
  if (missing !== undefined) {
    total.skipped++
    lines.push(`skipped ${suite.name}: ${missing}`)
    continue
  }
  const slice = suite.tier === 2 && !all && only === undefined ? sliceOf(suite) : undefined
  console.log(`\n── ${suite.name}${slice === undefined ? '' : ` (slice ${slice})`}: ${suite.what}`)
  const { counts, seconds, note, failures } = await runSuite(suite, slice)
  addCounts(total, counts)
  failed.push(...failures)
  lines.push(
    `${counts.failed === 0 ? 'ok     ' : 'FAILED '} ${suite.name}: ${countsLine(counts)} (${seconds.toFixed(0)} s of ${suite.seconds})${note}`,
  )
}
rmSync(folder, { recursive: true, force: true })
// Last, so that the tail of a log tells it.
if (failed.length > 0) console.log(`\n── what failed\n${failed.join('\n')}`)
console.log(`\n${lines.join('\n')}`)
console.log(countsLine(total))
process.exit(total.failed === 0 ? 0 : 1)

/** Each need is a command that must answer, such as `python3 --version`. */
function missingOf(needs) {
  for (const need of needs) {
    const [command, ...rest] = need.split(' ')
    const done = spawnSync(command, rest, { stdio: 'ignore', timeout: 20_000 })
    if (done.error !== undefined || done.status !== 0) return `\`${need}\` does not answer on this machine`
  }
  return undefined
}

/** `K/N`, 1 to N: the next for each commit that follows, and suites do not go in step. */
function sliceOf({ name, slices = SLICES }) {
  return `${((commitNumber() + hashOf(name)) % slices) + 1}/${slices}`
}

/** How many commits there are; of a clone that does not have them all, something made of its last one. */
function commitNumber() {
  const git = (...args) => spawnSync('git', args, { cwd: root, encoding: 'utf8' }).stdout?.trim() ?? ''
  return git('rev-parse', '--is-shallow-repository') === 'false' ? Number(git('rev-list', '--count', 'HEAD')) : hashOf(git('rev-parse', 'HEAD'))
}

function hashOf(text) {
  let hash = 2166136261
  for (const letter of text) hash = Math.imul(hash ^ letter.charCodeAt(0), 16777619) >>> 0
  return hash
}

/** The slice reaches a suite as `--slice K/N` (vitest: `--shard`, by files) and as SLICE=K/N: it takes whichever suits it. */
function runSuite(suite, slice) {
  const begun = Date.now()
  const recorded = join(folder, suite.name)
  const option = suite.command.includes('vitest') ? '--shard' : suite.command.startsWith('npm ') ? '-- --slice' : '--slice'
  const extra = slice === undefined ? '' : ` ${option} ${slice}`
  const child = spawn(`${suite.command}${extra}`, {
    cwd: root,
    shell: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    // Its own group, so that a suite that hangs goes with all that it started.
    detached: process.platform !== 'win32',
    env: { ...process.env, FAILURES: recorded, ...(slice === undefined ? {} : { SLICE: slice }) },
  })
  // The counts are looked for in what it printed; what it said last is of both.
  let printed = ''
  let said = ''
  let note = ''
  for (const stream of ['stdout', 'stderr']) {
    child[stream].setEncoding('utf8').on('data', (text) => {
      process[stream].write(text)
      said = (said + text).slice(-20_000)
      if (stream === 'stdout') printed = (printed + text).slice(-20_000)
    })
  }
  const timer = setTimeout(
    () => {
      note = `: hung, ended after ${PATIENCE} times its time`
      try {
        if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL')
      } catch {
        child.kill('SIGKILL')
      }
    },
    Math.max(60, suite.seconds) * PATIENCE * 1000,
  )
  return new Promise((resolve) => {
    child.on('close', (code) => {
      clearTimeout(timer)
      const seconds = (Date.now() - begun) / 1000
      const counts = readCounts(printed) ?? { passed: 0, failed: 0, skipped: 0 }
      if (code !== 0 && counts.failed === 0) counts.failed = 1
      // Nothing ran and nothing says why: that is no pass.
      if (counts.passed + counts.failed + counts.skipped === 0) {
        counts.failed = 1
        note ||= ': it did not end with its counts'
      }
      const failures = counts.failed === 0 ? [] : tellFailures(suite.name, readFailures(recorded), said)
      resolve({ counts, seconds, note, failures })
    })
  })
}
