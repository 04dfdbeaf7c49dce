// The crash test: producers and consumers of every protocol, a broker that is killed at random instants and started again, and a ledger
// that decides whether every promise was kept.
//   npm run test:crash -- [--rounds N] [--seed S] [--slice K/N] [--sabotage tail|past] [--set PATH=VALUE]… [--keep] [--verbose]
// A run prints its seed; the same seed chooses the same kinds and instants of kills (the broker's own timing is the machine's).
import { type FSWatcher, mkdtempSync, rmSync, watch } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { buildIfStale } from '../../scripts/set-up.mjs'
import { SeededRandom, type Random } from '../../src/random.ts'
import { sabotage, type Sabotage } from './sabotage.ts'
import { World } from './world.ts'

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '30' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    slice: { type: 'string', default: '1/1' },
    sabotage: { type: 'string', default: 'none' },
    set: { type: 'string', multiple: true, default: [] },
    keep: { type: 'boolean', default: false },
    verbose: { type: 'boolean', default: false },
  },
})

/** Small, so that thirty kills see many segments, snapshots and compactions. */
const ARGS = ['--set', 'journal.segmentBytes=4194304', '--set', 'journal.cacheBytes=3145728', '--set', 'destinations.failuresMax=0']
/** Everything owed must have come by then; a quiet round ends long before. */
const SETTLE_MS = 20_000
const QUIET_EVERY = 5

const watchers: FSWatcher[] = []

/** What is done to the broker in one round. */
const KILLS: Readonly<Record<string, (world: World, random: Random) => Promise<void>>> = {
  /** At any instant of steady work. */
  'under load': async (world, random) => {
    world.work()
    await sleep(50 + random.below(700))
    await world.kill()
  },
  /** In the turn in which an acknowledgement came. */
  'after an acknowledgement': async (world, random) => {
    let left = 1 + random.below(400)
    const killed = new Promise<void>((resolve, reject) => {
      for (const each of world.producers) {
        each.onAcknowledged = () => {
          if (--left === 0) world.kill().then(resolve, reject)
        }
      }
    })
    world.work()
    await Promise.race([killed, sleep(10_000).then(() => Promise.reject(new Error('no acknowledgements for 10 s')))])
    for (const each of world.producers) each.onAcknowledged = () => {}
  },
  /** A few milliseconds after a burst. */
  'in a burst': async (world, random) => {
    for (const each of world.producers) each.burst(20 + random.below(150))
    await sleep(random.below(40))
    await world.kill()
  },
  /** While a snapshot or a segment is made, taken into use or given up. */
  'in housekeeping': async (world, random) => {
    const skip = random.below(3)
    let seen = 0
    const happened = new Promise<void>((resolve) => {
      for (const folder of ['snapshots', 'segments']) {
        const watcher = watch(join(world.data, folder), (event) => {
          // A change is any commit; a file that comes, goes or gets another name is what is wanted.
          if (event === 'rename' && seen++ === skip) resolve()
        })
        watchers.push(watcher)
      }
    })
    world.work()
    await Promise.race([happened, sleep(3000)])
    if (random.below(2) === 0) await sleep(random.below(15))
    await world.kill()
    for (const watcher of watchers.splice(0)) watcher.close()
  },
  /** Not a crash: told to stop in the middle of its work. */
  'in order': async (world, random) => {
    world.work()
    await sleep(50 + random.below(300))
    await world.kill('SIGTERM')
  },
  /** While it starts, before or after it is ready; then once more. */
  'at its start': async (world, random) => {
    world.work()
    await sleep(50 + random.below(200))
    await world.kill()
    for (let i = 0; i < 2; i++) {
      const node = world.spawn()
      if (random.below(2) === 0) await sleep(random.below(500))
      else await node.leads().then(() => sleep(random.below(30)))
      await world.kill()
    }
  },
}

async function main(): Promise<void> {
  buildIfStale({ quiet: true })
  const [slice = 1, slices = 1] = values.slice.split('/').map(Number)
  const rounds = Math.ceil(Number(values.rounds) / slices)
  const seed = Number(values.seed) + slice - 1
  const how = values.sabotage
  if (how !== 'none' && how !== 'tail' && how !== 'past') throw new Error('--sabotage is tail or past')
  console.log(`crash test: ${rounds} rounds, seed ${seed}${how === 'none' ? '' : `, sabotage ${how}`}`)
  const data = mkdtempSync(join(tmpdir(), 'bascule-crash-'))
  const bad = await play(rounds, seed, how, data)
  if (values.keep || (bad > 0 && how === 'none')) console.log(`files kept in ${data}`)
  else for (const path of [data, `${data}.past`]) rmSync(path, { recursive: true, force: true })
  const passed = rounds - bad
  if (how === 'none') {
    console.log(`${passed} passed, ${bad} failed, 0 skipped`)
    process.exit(bad === 0 ? 0 : 1)
  }
  // Sabotage that nobody notices is the failure.
  console.log(bad > 0 ? '1 passed, 0 failed, 0 skipped' : '0 passed, 1 failed, 0 skipped')
  process.exit(bad > 0 ? 0 : 1)
}

/** Answers how many rounds broke a promise. */
async function play(rounds: number, seed: number, how: Sabotage, data: string): Promise<number> {
  const random = new SeededRandom(seed)
  const world = new World({ data, random: new SeededRandom(seed + 1), args: [...ARGS, ...values.set.flatMap((set) => ['--set', set])] })
  const kinds = Object.keys(KILLS)
  let told = 0
  let bad = 0
  let kills = 0
  for (let round = 1; round <= rounds; round++) {
    const kind = kinds[random.below(kinds.length)] ?? 'under load'
    const quiet = round % QUIET_EVERY === 0 || round === rounds
    const begun = performance.now()
    try {
      await world.up()
      if (quiet) {
        world.work()
        await sleep(100)
        await world.settle(SETTLE_MS)
        // Everything is settled for longer than the lazy time: after this kill nothing at all comes again.
        await sleep(400)
        await world.kill()
      } else {
        await KILLS[kind]?.(world, random)
      }
      kills++
    } catch (error) {
      world.wrongs.push(`round ${round}: ${error instanceof Error ? error.message : String(error)}`)
      await world.node?.signal('SIGKILL').catch(() => {})
      world.node = undefined
    }
    const { violations } = world
    if (violations.length > told) bad++
    for (const each of violations.slice(told, told + 20)) console.log(`round ${round} (${quiet ? 'quiet' : kind}): ${each}`)
    told = violations.length
    if (values.verbose) console.log(`round ${round} ${quiet ? 'quiet' : kind}: ${(performance.now() - begun).toFixed(0)} ms, ${summary(world)}`)
    // Sabotage that was noticed once is proven.
    if (bad >= (how === 'none' ? 5 : 1)) break
    sabotage(how, data)
  }
  const starts = world.restartMs.toSorted((a, b) => a - b)
  console.log(
    `${kills} rounds, ${summary(world)}; start to ready p50 ${starts[starts.length >> 1]?.toFixed(0)} ms, max ${starts.at(-1)?.toFixed(0)} ms`,
  )
  return bad
}

function summary({ ledger }: World): string {
  return `${ledger.acknowledgedCount} acknowledged, ${ledger.deliveries} delivered, ${ledger.redeliveries} again, ${ledger.lostSettlements} settlements lost (the oldest ${ledger.lostSettlementMs.toFixed(1)} ms before its crash, ${ledger.lostBeyondMs.toFixed(1)} ms more than a publish took)`
}

await main()
