// Ours beside its peers, in one run on one machine: a table on stdout and a JSON file.
//   npm run bench -- [--seconds 3] [--runs 3] [--only SCENARIO,…] [--peers bascule,aedes,mosquitto] [--queued 1000000] [--pin-brokers] [--json bench/results.json]
// Ratios within one run say something; figures of two machines, or of a busy one, do not.
import { spawn } from 'node:child_process'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { buildIfStale } from '../scripts/set-up.mjs'
import type { FlowSpec } from './flows.ts'
import type { Task } from './load.ts'
import { bareNodeMs, type Peer, peers, pin, pinBrokers, remove, type Running } from './peers.ts'

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '3' },
    runs: { type: 'string', default: '3' },
    only: { type: 'string', default: '' },
    peers: { type: 'string', default: 'bascule,aedes,mosquitto' },
    queued: { type: 'string', default: '1000000' },
    connections: { type: 'string', default: '5000' },
    'pin-brokers': { type: 'boolean', default: false },
    json: { type: 'string', default: '' },
  },
})

type Figures = Readonly<Record<string, number | string>>
type Flows = Omit<FlowSpec, 'port'>

const mqtt: Flows = { protocol: 'mqtt', bytes: 1024, window: 100, qos: 0, subscribers: 1, session: false, ack: 'client-individual' }
const stomp: Flows = { ...mqtt, protocol: 'stomp', window: 200 }
const amqp: Flows = { ...stomp, protocol: 'amqp' }

const flows: Readonly<Record<string, Flows>> = {
  'mqtt-q0-64B': { ...mqtt, bytes: 64, window: 2000 },
  'mqtt-q0-1K': { ...mqtt, window: 500 },
  'mqtt-fan10-64B': { ...mqtt, bytes: 64, window: 500, subscribers: 10 },
  'mqtt-q1-w100': { ...mqtt, qos: 1 },
  'mqtt-q1-session': { ...mqtt, qos: 1, session: true },
  'mqtt-q1-session-w1': { ...mqtt, qos: 1, window: 1, session: true },
  'mqtt-q2-session-w20': { ...mqtt, qos: 2, window: 20, session: true },
  'mqtt-q0-64B-websocket': { ...mqtt, bytes: 64, window: 2000, subprotocol: 'mqtt' },
  'mqtt-q0-1K-websocket': { ...mqtt, window: 500, subprotocol: 'mqtt' },
  'mqtt-fan10-64B-websocket': { ...mqtt, bytes: 64, window: 500, subscribers: 10, subprotocol: 'mqtt' },
  'mqtt-q1-w100-websocket': { ...mqtt, qos: 1, subprotocol: 'mqtt' },
  'stomp-w200-websocket': { ...stomp, subprotocol: 'v12.stomp' },
  'stomp-w200': stomp,
  'stomp-w200-cumulative': { ...stomp, ack: 'client' },
  'stomp-w1': { ...stomp, window: 1 },
  'amqp-w1': { ...amqp, window: 1 },
  'amqp-w200': amqp,
  'amqp-w200-websocket': { ...amqp, subprotocol: 'amqp' },
  'mqtt-q0-64B-tls': { ...mqtt, bytes: 64, window: 2000, tls: true },
  'mqtt-q0-1K-tls': { ...mqtt, window: 500, tls: true },
  'mqtt-q1-w100-tls': { ...mqtt, qos: 1, tls: true },
  'stomp-w200-tls': { ...stomp, tls: true },
  'amqp-w200-tls': { ...amqp, tls: true },
  'stomp-w1-no-consumer': { ...stomp, window: 1, subscribers: 0 },
}

const chosen = (name: string) => values.only === '' || values.only.split(',').includes(name)
const seconds = Number(values.seconds)
const load = join(fileURLToPath(new URL('.', import.meta.url)), 'load.ts')
const data = mkdtempSync(join(tmpdir(), 'bascule-bench-'))
const results: { scenario: string; peer: string; figures: Figures }[] = []

if (values['pin-brokers']) pinBrokers()
buildIfStale({ quiet: true })
console.log(
  `node ${process.version}, ${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}, ${seconds} s × ${values.runs} runs each, the run of the median rate`,
)
try {
  if (chosen('floor')) note('floor', 'disk and loopback', await generate({ task: 'floor', directory: data, seconds }))
  for (const [scenario, spec] of Object.entries(flows)) {
    if (!chosen(scenario)) continue
    for (const peer of takingPart()) await measureFlow(scenario, spec, peer)
  }
  for (const peer of takingPart()) {
    if (chosen('start')) await measureStart(peer)
    if (chosen('idle')) await measureIdle(peer)
  }
  if (chosen('queued')) await measureQueued()
} finally {
  remove(data)
}
if (values.json !== '')
  writeFileSync(values.json, `${JSON.stringify({ node: process.version, cpus: cpus().length, seconds, results }, undefined, 2)}\n`)

function takingPart(): Peer[] {
  const named = values.peers.split(',')
  return peers.filter((peer) => named.includes(peer.name) && peer.version !== undefined)
}

async function measureFlow(scenario: string, spec: Flows, peer: Peer): Promise<void> {
  const runs: Figures[] = []
  for (let i = 0; i < Number(values.runs); i++) {
    const broker = await fresh(peer)
    const port =
      spec.subprotocol !== undefined ? broker.websocket : spec.tls === true ? (broker.overTls?.[spec.protocol] ?? 0) : broker[spec.protocol]
    if (port > 0) runs.push(await generate({ task: 'flow', spec: { ...spec, port }, pid: broker.pid, seconds }))
    await broker.stop('SIGKILL')
  }
  runs.sort((a, b) => Number(a['perSecond']) - Number(b['perSecond']))
  const median = runs[runs.length >> 1]
  if (median !== undefined) note(scenario, peer.name, median)
}

async function measureStart(peer: Peer): Promise<void> {
  const times: number[] = []
  const bare: number[] = []
  for (let i = 0; i < 5; i++) {
    const broker = await fresh(peer)
    times.push(broker.startMs)
    await broker.stop('SIGKILL')
    bare.push(await bareNodeMs())
  }
  const median = (all: number[]) => all.toSorted((a, b) => a - b)[all.length >> 1] ?? Number.NaN
  note('start', peer.name, { startMs: median(times), bareNodeMs: median(bare) })
}

async function measureIdle(peer: Peer): Promise<void> {
  const broker = await fresh(peer)
  // The first connections load code; they are not what one more costs.
  await generate({ task: 'idle', port: broker.mqtt, pid: broker.pid, connections: 200 })
  note('idle', peer.name, await generate({ task: 'idle', port: broker.mqtt, pid: broker.pid, connections: Number(values.connections) }))
  await broker.stop('SIGKILL')
}

async function measureQueued(): Promise<void> {
  const [ours] = peers
  if (ours === undefined) return
  const broker = await fresh(ours)
  const spec: FlowSpec = { ...stomp, window: 1000, subscribers: 0, port: broker.stomp }
  note('queued', ours.name, await generate({ task: 'fill', spec, pid: broker.pid, messages: Number(values.queued) }))
  await broker.stop('SIGKILL')
  const again = await ours.start(join(data, 'broker'))
  note('queued-restart', ours.name, { startMs: again.startMs })
  note('queued-drain', ours.name, await generate({ task: 'flow', spec: { ...stomp, port: again.stomp, window: 1 }, pid: again.pid, seconds }))
  await again.stop('SIGKILL')
}

async function fresh(peer: Peer): Promise<Running> {
  const home = join(data, 'broker')
  remove(home)
  return peer.start(home)
}

function generate(task: Task): Promise<Figures> {
  const { command, args } = pin(1, process.execPath, ['--import', 'tsx', load, JSON.stringify(task)])
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] })
    let text = ''
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk
    })
    child.on('error', reject)
    child.on('close', () => {
      try {
        resolve(JSON.parse(text))
      } catch {
        reject(new Error(`no result from the load generator: ${text}`))
      }
    })
  })
}

function note(scenario: string, peer: string, figures: Figures): void {
  results.push({ scenario, peer, figures })
  const cells = Object.entries(figures).map(([name, value]) => `${name} ${typeof value === 'number' ? rounded(value) : value}`)
  console.log(`${scenario.padEnd(22)} ${peer.padEnd(10)} ${cells.join('  ')}`)
}

function rounded(value: number): string {
  if (Math.abs(value) >= 1000) return Math.round(value).toLocaleString('en')
  return value >= 100 ? value.toFixed(0) : value.toFixed(2)
}
