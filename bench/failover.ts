// What a standby costs its leader, and how far it is behind: one leader under full load, with and without a standby in turn.
//   npm run bench:failover -- [--seconds 4] [--pairs 6] [--only mqtt,stomp] [--json FILE]
// CPU is the leader's own, user and system, by message; the median of the pairs of neighbouring runs counts, since a machine's pace drifts.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { buildIfStale } from '../scripts/set-up.mjs'
import { ask, field } from '../src/pair/ask.ts'
import { NodeProcess } from '../src/pair/node-process.ts'
import { freePorts } from '../src/pair/ports.ts'
import { type FlowSpec, openFlow } from './flows.ts'

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '4' },
    pairs: { type: 'string', default: '6' },
    only: { type: 'string', default: 'mqtt,stomp' },
    program: { type: 'string', default: fileURLToPath(new URL('../dist/src/cli/bascule.cjs', import.meta.url)) },
    json: { type: 'string', default: '' },
  },
})

const HERTZ = 100
/** How often the standby is asked how far it is behind. */
const ASK_MS = 20

const flows: Readonly<Record<string, Omit<FlowSpec, 'port'>>> = {
  mqtt: { protocol: 'mqtt', bytes: 1024, window: 100, qos: 1, subscribers: 1, session: true, ack: 'client-individual' },
  stomp: { protocol: 'stomp', bytes: 1024, window: 200, qos: 0, subscribers: 1, session: false, ack: 'client-individual' },
}

type Run = Readonly<{ perSecond: number; leaderUs: number; standbyUs: number; behindMs: readonly number[] }>

const data = mkdtempSync(join(tmpdir(), 'bascule-bench-failover-'))
const ports = await freePorts(6)
const nodes = ['a', 'b'].map((name, i) => {
  const listen = ['mqtt', 'stomp', 'http'].flatMap((each, n) => ['--listen', `${each}=127.0.0.1:${ports[i * 3 + n]}`])
  const args = ['start', '--data', data, '--node', name, '--log-level', 'error', ...listen]
  const quiet = (): void => {}
  return new NodeProcess({ name, program: values.program, nodeArgs: [], args, onReady: quiet, onLog: (line) => console.error(line), onExit: quiet })
})
const [leader, standby] = nodes
const http = (node: number): string => `127.0.0.1:${ports[node * 3 + 2]}`

if (values.program.includes('/dist/src/')) buildIfStale({ quiet: true })
const results: Record<string, unknown> = {}
try {
  leader.start()
  await becomes(0, 'active')
  console.log(`node ${process.version}, ${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}, load average ${loadavg()[0]?.toFixed(1)} at the start`)
  for (const name of values.only.split(',')) {
    const spec = flows[name]
    if (spec === undefined) throw new Error(`there is no flow ${name}`)
    results[name] = await measure(name, { ...spec, port: ports[spec.protocol === 'mqtt' ? 0 : 1] })
  }
  console.log(`load average ${loadavg()[0]?.toFixed(1)} at the end`)
} finally {
  for (const each of nodes) {
    each.signal('SIGKILL')
    await each.ended
  }
  rmSync(data, { recursive: true, force: true })
}
if (values.json !== '') writeFileSync(values.json, `${JSON.stringify(results, undefined, 2)}\n`)
process.exit(0)

async function measure(name: string, spec: FlowSpec): Promise<unknown> {
  // Code is compiled and the journal's files are made before anything counts.
  await run(spec, false)
  const pairs: { alone: Run; followed: Run; ratio: number }[] = []
  for (let i = 0; i < Number(values.pairs); i++) {
    // In turn, so that neither is always the first.
    const first = await turn(spec, i % 2 === 0)
    const second = await turn(spec, i % 2 !== 0)
    const [alone, followed] = i % 2 === 0 ? [second, first] : [first, second]
    const ratio = followed.leaderUs / alone.leaderUs
    pairs.push({ alone, followed, ratio })
    console.log(
      `${name.padEnd(6)} alone ${cell(alone)}   followed ${cell(followed)}   CPU ${percent(ratio)}   standby ${followed.standbyUs.toFixed(1)} µs a message, behind p50 ${rank(followed.behindMs, 0.5)} p99 ${rank(followed.behindMs, 0.99)} max ${rank(followed.behindMs, 1)} ms`,
    )
  }
  const behind = pairs.flatMap(({ followed }) => followed.behindMs)
  const median = rank(
    pairs.map(({ ratio }) => ratio),
    0.5,
  )
  console.log(
    `${name.padEnd(6)} median: CPU of the leader ${percent(median)} with a standby; behind p50 ${rank(behind, 0.5)} p99 ${rank(behind, 0.99)} max ${rank(behind, 1)} ms of ${behind.length} looks`,
  )
  return { cpuRatio: median, behindP50Ms: rank(behind, 0.5), behindP99Ms: rank(behind, 0.99), behindMaxMs: rank(behind, 1), pairs }
}

async function turn(spec: FlowSpec, followed: boolean): Promise<Run> {
  if (followed) {
    standby.start()
    await becomes(1, 'standby')
  }
  try {
    return await run(spec, followed)
  } finally {
    if (followed) {
      standby.signal('SIGTERM')
      await standby.ended
    }
  }
}

async function run(spec: FlowSpec, followed: boolean): Promise<Run> {
  const flow = await openFlow(spec)
  flow.start()
  await sleep(500)
  const behindMs: number[] = []
  const before = { messages: flow.received, leader: cpuMs(leader.pid), standby: cpuMs(standby.pid), atMs: performance.now() }
  const end = before.atMs + Number(values.seconds) * 1000
  while (performance.now() < end) {
    if (followed) behindMs.push(Number(field((await ask(http(1), '/api/status'))?.body, 'follow', 'behindMs')))
    await sleep(ASK_MS)
  }
  const messages = flow.received - before.messages
  const seconds = (performance.now() - before.atMs) / 1000
  const leaderUs = ((cpuMs(leader.pid) - before.leader) * 1000) / messages
  const standbyUs = followed ? ((cpuMs(standby.pid) - before.standby) * 1000) / messages : 0
  flow.stop()
  await sleep(200)
  flow.close()
  if (flow.error !== '') throw new Error(flow.error)
  return { perSecond: messages / seconds, leaderUs, standbyUs, behindMs }
}

async function becomes(node: number, role: string): Promise<void> {
  const end = performance.now() + 30_000
  for (;;) {
    const body = (await ask(http(node), '/api/status'))?.body
    if (field(body, 'role') === role && (role === 'active' || field(body, 'follow', 'state') === 'warm')) return
    if (performance.now() > end) throw new Error(`node ${nodes[node].name} does not become ${role}\n${nodes[node].lastLines.join('\n')}`)
    await sleep(20)
  }
}

/** User and system time of a process. */
function cpuMs(pid: number | undefined): number {
  if (pid === undefined) return 0
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return ((Number(fields[11]) + Number(fields[12])) * 1000) / HERTZ
}

function rank(all: readonly number[], part: number): number {
  const sorted = [...all].sort((a, b) => a - b)
  const value = sorted[Math.max(0, Math.ceil(sorted.length * part) - 1)] ?? Number.NaN
  return Math.round(value * 1000) / 1000
}

function cell({ perSecond, leaderUs }: Run): string {
  return `${Math.round(perSecond).toLocaleString('en').padStart(7)}/s ${leaderUs.toFixed(1).padStart(6)} µs`
}

function percent(ratio: number): string {
  return `${ratio >= 1 ? '+' : ''}${((ratio - 1) * 100).toFixed(1)} %`
}
