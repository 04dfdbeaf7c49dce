// What more of something costs: queued messages, destinations, connections, subscriptions of one topic, selectors of one queue. At each size the same work
// is done and its rate, its latency and the broker's memory noted: a table on stdout, a picture if wanted.
//   npm run bench:growth -- [--only backlog,…] [--largest 1] [--seconds 3] [--plot FILE.svg] [--json FILE]
// `--largest 0.1` goes to a tenth of the sizes only.
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { buildIfStale } from '../../scripts/set-up.mjs'
import { until } from '../../test/wire/bytes.ts'
import { MqttWire } from '../../test/wire/mqtt-wire.ts'
import { NodeProcess } from '../../test/wire/node-process.ts'
import { StompWire } from '../../test/wire/stomp-wire.ts'
import type { Task } from '../load.ts'
import { pin, remove } from '../peers.ts'
import { spread } from './frames.ts'
import { drawGrowth } from './plot.ts'

/** CPU: of all threads of the broker, and of the load generator, for a message or delivery. */
export type Point = Readonly<{ size: number; perSecond: number; p99Ms: number; rssMiB: number; cpuUs: number; loadCpuUs: number }>

const { values } = parseArgs({
  options: {
    only: { type: 'string', default: '' },
    largest: { type: 'string', default: '1' },
    seconds: { type: 'string', default: '3' },
    plot: { type: 'string', default: '' },
    json: { type: 'string', default: '' },
  },
})
const seconds = Number(values.seconds)
const load = fileURLToPath(new URL('../load.ts', import.meta.url))
const home = mkdtempSync(join(tmpdir(), 'bascule-growth-'))

const SETTINGS = ['stomp.subscriptionsMax=2000', 'limits.parkedMessages=10000', 'limits.connections=20000', 'log.level=error']

type Node = Readonly<{ process: NodeProcess; pid: number; port: (listener: string) => number }>

/** Each brings the broker from the size before to this one, and measures there. */
const DIMENSIONS: Readonly<
  Record<string, Readonly<{ what: string; sizes: readonly number[]; measure: (node: Node, size: number, before: number) => Promise<Point> }>>
> = {
  backlog: {
    what: 'messages of 100 B queued on one queue; work: STOMP, 1 KiB, window 200, on another queue',
    sizes: [1e4, 1e5, 1e6, 1e7],
    async measure(node, size, before) {
      await fill(node, () => '/queue/growth.backlog', size - before)
      return work(node, size)
    },
  },
  destinations: {
    what: 'queues with one message each; work as above',
    sizes: [10, 1e2, 1e3, 1e4, 1e5],
    async measure(node, size, before) {
      await fill(node, (number) => `/queue/growth.${number}`, size - before, before)
      return work(node, size)
    },
  },
  connections: {
    what: 'connections of MQTT, each with a subscription of its own; work as above',
    sizes: [10, 1e2, 1e3, 1e4],
    async measure(node, size, before) {
      for (let number = before; number < size; number += 100) {
        const some = Array.from({ length: Math.min(100, size - number) }, async (_, i) => {
          const wire = await MqttWire.connect(
            { host: '127.0.0.1', port: node.port('mqtt') },
            { clientId: `growth-${number + i}`, clean: true, keepAliveSeconds: 0 },
          )
          await wire.subscribe([{ filter: `growth/${number + i}`, qos: 0 }])
        })
        await Promise.all(some)
      }
      return work(node, size)
    },
  },
  subscriptions: {
    what: 'subscriptions of one topic, a thousand a connection; work: messages of 100 B to it; the rate is of deliveries',
    sizes: [10, 1e2, 1e3, 1e4, 1e5],
    async measure(node, size) {
      const connections = Math.ceil(size / 1000)
      const subscribe = Array.from({ length: connections }, (_, c) =>
        Array.from({ length: Math.min(1000, size - c * 1000) }, (_, i) => `SUBSCRIBE\nid:${i}\ndestination:/topic/growth.all\n\n\0`),
      )
      const frame = Buffer.from(`SEND\ndestination:/topic/growth.all\n\n${'x'.repeat(100)}\0`)
      const measured = await spread(node.port('stomp'), { subscribe, send: () => frame, frameBytesMin: 150, each: size, seconds, pid: node.pid })
      return { size, ...measured, rssMiB: await rss(node) }
    },
  },
  selectors: {
    what: 'consumers of one queue, each with a selector of its own; work: messages of 100 B, each for one of them',
    sizes: [1, 4, 16, 64, 256],
    async measure(node, size) {
      const subscribe = [
        Array.from({ length: size }, (_, i) => `SUBSCRIBE\nid:${i}\ndestination:/queue/growth.selected\nselector:part = 'p${i}'\n\n\0`),
      ]
      const body = 'x'.repeat(100)
      const frames = Array.from({ length: size }, (_, i) => Buffer.from(`SEND\ndestination:/queue/growth.selected\npart:p${i}\n\n${body}\0`))
      const send = (number: number): Buffer => frames[number % size] ?? Buffer.alloc(0)
      const measured = await spread(node.port('stomp'), { subscribe, send, frameBytesMin: 150, each: 1, seconds, pid: node.pid })
      return { size, ...measured, rssMiB: await rss(node) }
    },
  },
}

buildIfStale({ quiet: true })
const results: Record<string, Readonly<{ what: string; points: readonly Point[] }>> = {}
try {
  for (const [name, { what, sizes, measure }] of Object.entries(DIMENSIONS)) {
    if (values.only !== '' && !values.only.split(',').includes(name)) continue
    console.log(`\n${name}: ${what}`)
    const points: Point[] = []
    const node = await start(join(home, name))
    let before = 0
    for (const size of sizes) {
      if (size > (sizes.at(-1) ?? 0) * Number(values.largest)) break
      const point = await measure(node, size, before)
      const last = points.at(-1) ?? point
      points.push(point)
      before = size
      const first = points[0] ?? point
      const more = ((point.rssMiB - last.rssMiB) * 2 ** 20) / Math.max(1, size - last.size)
      console.log(
        `${size.toLocaleString('en').padStart(12)}  ${Math.round(point.perSecond).toLocaleString('en').padStart(9)}/s (${((100 * point.perSecond) / first.perSecond).toFixed(0)} %)  ` +
          `CPU ${point.cpuUs.toFixed(2)} µs, of the load ${point.loadCpuUs.toFixed(2)} µs  p99 ${point.p99Ms.toFixed(1)} ms  RSS ${point.rssMiB.toFixed(0)} MiB${size === first.size ? '' : `, ${more.toFixed(0)} B for each more`}`,
      )
    }
    results[name] = { what, points }
    await node.process.signal('SIGKILL')
    remove(join(home, name))
  }
} finally {
  remove(home)
}
if (values.json !== '') writeFileSync(values.json, `${JSON.stringify(results, undefined, 2)}\n`)
if (values.plot !== '') writeFileSync(values.plot, drawGrowth(results))
process.exit(0)

async function start(data: string): Promise<Node> {
  const node = new NodeProcess({ data, args: SETTINGS.flatMap((setting) => ['--set', setting]) })
  const ready = await node.leads()
  return { process: node, pid: node.child.pid ?? 0, port: (listener) => Number((ready.listeners[listener] ?? '').split(':').at(-1)) }
}

/** After a while without work, so that what is only in use for a moment is given back. */
async function rss({ pid }: Node): Promise<number> {
  await sleep(3000)
  return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024
}

/** The work that every size is measured by, from a process of its own. */
async function work(node: Node, size: number): Promise<Point> {
  const rssMiB = await rss(node)
  const task: Task = {
    task: 'flow',
    spec: { port: node.port('stomp'), protocol: 'stomp', bytes: 1024, window: 200, qos: 0, subscribers: 1, session: false, ack: 'client-individual' },
    pid: node.pid,
    seconds,
  }
  const { command, args } = pin(1, process.execPath, ['--import', 'tsx', load, JSON.stringify(task)])
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  let text = ''
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk
  })
  await new Promise((resolve) => child.once('close', resolve))
  const { perSecond, answerP99Ms, brokerCpuUs, loadCpu }: Readonly<Record<'perSecond' | 'answerP99Ms' | 'brokerCpuUs' | 'loadCpu', number>> =
    JSON.parse(text)
  return { size, perSecond, p99Ms: answerP99Ms, rssMiB, cpuUs: brokerCpuUs, loadCpuUs: (loadCpu * 1e6) / perSecond }
}

/** Persistent messages of 100 B, with receipts. */
async function fill(node: Node, destination: (number: number) => string, count: number, from = 0): Promise<void> {
  const wire = await StompWire.connect({ host: '127.0.0.1', port: node.port('stomp') })
  let answered = 0
  wire.onReceipt = () => answered++
  const body = Buffer.alloc(100, 120)
  for (let number = 0; number < count; number++) {
    wire.send('SEND', { destination: destination(from + number), persistent: 'true', receipt: 'r' }, body)
    if (number - answered >= 2000) await until('receipts', () => number - answered < 1000, 120_000, 0)
  }
  await until('the last receipts', () => answered === count, 120_000)
  wire.destroy()
}
