// `bascule drill`: flags to a target and a plan, a line a round, a verdict. What happens in between is `src/drill/`.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, watch, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { type Instant, INSTANTS, runDrill } from '../drill/drill.ts'
import { DescribedTarget, readDescription } from '../drill/described-target.ts'
import { openOwnPair } from '../drill/own-pair.ts'
import { cases, failures, json, junit, type Report, roundLine, summaryLines } from '../drill/report.ts'
import { type Fault, FAULTS, type Target } from '../drill/target.ts'
import { SeededRandom } from '../random.ts'
import { readFlags, UsageError } from './usage.ts'

const options = {
  rounds: { type: 'string' },
  faults: { type: 'string' },
  at: { type: 'string' },
  seed: { type: 'string' },
  slice: { type: 'string' },
  queued: { type: 'string' },
  rate: { type: 'string' },
  bytes: { type: 'string' },
  lease: { type: 'string' },
  patience: { type: 'string' },
  data: { type: 'string' },
  program: { type: 'string' },
  'node-arg': { type: 'string', multiple: true },
  set: { type: 'string', multiple: true },
  target: { type: 'string' },
  address: { type: 'string', multiple: true },
  command: { type: 'string', multiple: true },
  json: { type: 'string' },
  junit: { type: 'string' },
  verbose: { type: 'boolean' },
} as const

type Flags = ReturnType<typeof readFlags<typeof options>>['values']

export async function drill(args: readonly string[]): Promise<number> {
  const { values: flags } = readFlags(args, options, 0)
  const plan = planOf(flags)
  const log = (line: string): void => {
    if (flags.verbose === true) process.stdout.write(`${new Date().toISOString().slice(11, 23)} ${line}\n`)
  }
  const stopped = stopOnSignals()
  const data = flags.data ?? mkdtempSync(join(tmpdir(), 'bascule-drill-'))
  const described = descriptionOf(flags)
  const target = described === undefined ? await ownPair(flags, data, log) : new DescribedTarget(readDescription(described), log)
  let report: Report
  try {
    const faults = offered(target, plan.faults)
    console.log(
      `drill on ${target.name}: ${plan.rounds} rounds of ${[...new Set(faults)].join(', ')}, seed ${plan.seed}, ${plan.queued} messages queued`,
    )
    const onRound = (round: Report['rounds'][number]): void => {
      console.log(roundLine(round))
      for (const sentence of round.sentences) console.log(`           ${sentence}`)
    }
    report = await runDrill({ ...plan, faults, target, random: new SeededRandom(plan.seed), onRound, stopped, log })
  } finally {
    await target.close()
  }
  for (const sentence of report.queuedSentences) console.log(sentence)
  for (const line of summaryLines(report)) console.log(line)
  if (flags.json !== undefined) writeFileSync(flags.json, json(report))
  if (flags.junit !== undefined) writeFileSync(flags.junit, junit(report))
  const failed = failures(report)
  if (flags.data === undefined && described === undefined) {
    if (failed > 0) console.log(`The journal was kept in ${data}`)
    else rmSync(data, { recursive: true, force: true })
  }
  console.log(`${cases(report) - failed} passed, ${failed} failed, 0 skipped`)
  return failed === 0 && report.rounds.length > 0 ? 0 : 1
}

function planOf(flags: Flags) {
  const [slice, slices] = sliceOf(flags.slice ?? '1/1')
  const at = flags.at ?? 'random'
  if (!isInstant(at)) throw new UsageError(`--at ${at}: one of ${INSTANTS.join(', ')}`)
  const faults = (flags.faults ?? 'kill').split(',').filter((each) => each !== '')
  const unknown = faults.find((each) => !isFault(each))
  if (unknown !== undefined || faults.length === 0) throw new UsageError(`--faults ${flags.faults}: a list of ${FAULTS.join(', ')}`)
  return {
    rounds: Math.ceil(number('--rounds', flags.rounds ?? '10', 1, 1_000_000) / slices),
    seed: number('--seed', flags.seed ?? String(Date.now() % 1_000_000), 0, 2 ** 31) + slice - 1,
    at,
    faults: faults.filter(isFault),
    queued: number('--queued', flags.queued ?? '0', 0, 10_000_000),
    ratePerSecond: number('--rate', flags.rate ?? '1000', 1, 1_000_000),
    bytes: number('--bytes', flags.bytes ?? '256', 64, 16 * 1024 * 1024),
    patienceMs: number('--patience', flags.patience ?? '30000', 100, 3_600_000),
  }
}

function isInstant(text: string): text is Instant {
  return INSTANTS.some((each) => each === text)
}

function isFault(text: string): text is Fault {
  return FAULTS.some((each) => each === text)
}

function sliceOf(text: string): readonly [number, number] {
  const match = /^(\d+)\/(\d+)$/.exec(text)
  const [slice, slices] = [Number(match?.[1] ?? 0), Number(match?.[2] ?? 0)]
  if (slice < 1 || slice > slices) throw new UsageError(`--slice ${text}: write it as K/N, K from 1 to N`)
  return [slice, slices]
}

function number(flag: string, text: string, least: number, most: number): number {
  const value = Number(text)
  if (!/^\d+$/.test(text) || value < least || value > most) throw new UsageError(`${flag} ${text}: a whole number from ${least} to ${most}`)
  return value
}

/** What a target does not offer is left out, and said. */
function offered(target: Target, faults: readonly Fault[]): readonly Fault[] {
  const left = faults.filter((fault) => {
    const reason = target.lacks(fault)
    if (reason !== undefined) console.log(`left out: ${fault}: ${reason}`)
    return reason === undefined
  })
  if (left.length === 0) throw new UsageError('none of the faults can be had at this target')
  return left
}

function ownPair(flags: Flags, data: string, log: (line: string) => void): Promise<Target> {
  return openOwnPair({
    program: resolve(flags.program ?? process.argv[1]),
    nodeArgs: flags['node-arg'] ?? [],
    data,
    leaseMs: number('--lease', flags.lease ?? '3000', 100, 3_600_000),
    args: (flags.set ?? []).flatMap((each) => ['--set', each]),
    watch: (each) => watchFolders(data, each),
    log,
  })
}

/** A change of a file is any commit; one that comes, goes or gets another name is what is wanted. */
function watchFolders(data: string, each: () => void): () => void {
  const watchers = ['segments', 'snapshots'].map((folder) => {
    mkdirSync(join(data, folder), { recursive: true })
    return watch(join(data, folder), (event) => event === 'rename' && each())
  })
  return () => {
    for (const watcher of watchers) watcher.close()
  }
}

/** From a file, or from flags: `--address a.mqtt=HOST:PORT --command 'a.kill=…'`. Undefined: our own pair. */
function descriptionOf(flags: Flags): unknown {
  if (flags.target !== undefined) {
    if (flags.address !== undefined || flags.command !== undefined) throw new UsageError('--target names a file that has the addresses and commands')
    return JSON.parse(readFileSync(flags.target, 'utf8'))
  }
  if (flags.address === undefined) return undefined
  const nodes = new Map<string, Record<string, unknown> & { commands: Record<string, string> }>()
  const nodeOf = (name: string) => {
    const node = nodes.get(name) ?? { name, commands: {} }
    nodes.set(name, node)
    return node
  }
  for (const [flag, each] of [...flags.address.map((text) => ['--address', text]), ...(flags.command ?? []).map((text) => ['--command', text])]) {
    const match = /^([A-Za-z0-9_-]+)\.([a-z]+)=(.*)$/s.exec(each)
    if (match === null) throw new UsageError(`${flag} ${each}: write it as NODE.${flag === '--address' ? 'PROTOCOL=HOST:PORT' : 'WHAT=COMMAND'}`)
    const [, name, key, value] = match
    if (flag === '--address') nodeOf(name)[key] = value
    else nodeOf(name).commands[key] = value
  }
  return { nodes: [...nodes.values()] }
}

/** The first signal ends the drill after its round, the second at once. */
function stopOnSignals(): () => boolean {
  let stopping = false
  const onSignal = (): void => {
    if (stopping) process.exit(130)
    stopping = true
    console.log('The drill ends after this round.')
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, onSignal)
  process.on('disconnect', onSignal)
  // Listening to the channel must not keep this process when all else has ended.
  process.channel?.unref()
  return () => stopping
}
