// The soak: every protocol at work for as long as it is told, a backlog that nobody drains, kills now and then. Nothing that was acknowledged may
// be missing at the end, and memory and disk must be where they were; latency and the longest turn of the event loop are told beside them.
//   npm run soak -- [--minutes 10] [--slice K/N] [--backlog-mib 1024] [--kill-every 60] [--seed S] [--plot FILE.svg] [--json FILE] [--keep]
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { buildIfStale } from '../../scripts/set-up.mjs'
import { SeededRandom } from '../../src/random.ts'
import { plot } from './plot.ts'
import { diskMiB, percentile, rssMiB, type Sample, trends } from './samples.ts'
import { SoakWorld } from './soak-world.ts'

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    /** Time and backlog divided by N, with a seed of its own. */
    slice: { type: 'string', default: '1/1' },
    'backlog-mib': { type: 'string', default: '1024' },
    /** Seconds between kills, on average. */
    'kill-every': { type: 'string', default: '60' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    plot: { type: 'string', default: '' },
    json: { type: 'string', default: '' },
    keep: { type: 'boolean', default: false },
  },
})

const [slice = 1, slices = 1] = values.slice.split('/').map(Number)
const minutes = Number(values.minutes) / slices
const backlogMiB = Number(values['backlog-mib']) / slices
const seed = Number(values.seed) + slice - 1
const random = new SeededRandom(seed)
const data = mkdtempSync(join(tmpdir(), 'bascule-soak-'))
const samples: Sample[] = []
let gapMs = 0
let begun = 0
let acknowledged = 0
let killed = false

buildIfStale({ quiet: true })
console.log(`soak: ${minutes} minutes, a backlog of ${backlogMiB} MiB, seed ${seed}`)
const world = new SoakWorld({
  data,
  random,
  args: ['--set', 'destinations.failuresMax=0', '--set', 'journal.bytesMax=8589934592'],
  backlogBytes: backlogMiB * 2 ** 20,
  onOutput: (text) => {
    for (const found of text.matchAll(/"ms":([\d.]+)[^\n]*a turn of the event loop took long/g)) gapMs = Math.max(gapMs, Number(found[1]))
  },
})

const kills = await play()
const broken = [...new Set(world.wrongs)]
for (const each of broken.slice(0, 30)) console.log(each)
const found = trends(samples)
for (const { what, first, last, flat } of found)
  console.log(`${flat ? 'flat ' : 'GROWS'}  ${what}: ${first.toFixed(1)} early, ${last.toFixed(1)} late`)
console.log(
  `${world.account.acknowledgedCount} acknowledged, ${world.account.deliveries} delivered, ${kills} kills (start to ready at most ${Math.max(...world.startMs).toFixed(0)} ms), ` +
    `${world.sessionsBegun} sessions, ${world.retainedSet} retained, ${world.laterSent} scheduled of which ${world.laterCame} came, ${world.backlogMessages} of the backlog`,
)
const about = `${minutes} minutes, backlog ${backlogMiB} MiB, ${kills} kills (grey)`
if (values.plot !== '') writeFileSync(values.plot, plot(samples, about))
if (values.json !== '') writeFileSync(values.json, JSON.stringify({ about, seed, trends: found, samples }))
if (values.keep || broken.length > 0) console.log(`files kept in ${data}`)
else rmSync(data, { recursive: true, force: true })
const judged = found.filter((trend) => trend.judged)
const failed = judged.filter(({ flat }) => !flat).length + (broken.length > 0 ? 1 : 0)
console.log(`${judged.length + 1 - failed} passed, ${failed} failed, 0 skipped`)
process.exit(failed === 0 ? 0 : 1)

/** Answers how often the broker was killed. */
async function play(): Promise<number> {
  let times = 0
  await world.up()
  await world.fillBacklog()
  begun = performance.now()
  acknowledged = world.account.acknowledgedCount
  const sampler = setInterval(sample, 1000)
  const end = begun + minutes * 60_000
  world.work()
  while (performance.now() < end) {
    const pauseMs = Number(values['kill-every']) * 1000 * (0.5 + random.below(1000) / 1000)
    await sleep(Math.min(pauseMs, Math.max(0, end - performance.now())))
    if (performance.now() >= end) break
    await world.kill()
    killed = true
    times++
    await world.up()
    world.work()
  }
  clearInterval(sampler)
  await world.settle(60_000)
  await world.settleLater()
  await world.drainBacklog()
  await world.kill()
  return times
}

function sample(): void {
  const probes = world.probeMs
  world.probeMs = []
  const { acknowledgedCount } = world.account
  samples.push({
    second: Math.round((performance.now() - begun) / 1000),
    rssMiB: rssMiB(world.node?.child.pid),
    diskMiB: diskMiB(data),
    acknowledged: acknowledgedCount - acknowledged,
    p50Ms: percentile(probes, 0.5),
    p99Ms: percentile(probes, 0.99),
    gapMs,
    killed,
  })
  acknowledged = acknowledgedCount
  gapMs = 0
  killed = false
}
