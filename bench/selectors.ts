// What selectors cost: one match at the end of a long paged queue while another client works, and thousands of consumers that each wait for
// a correlation id of their own. Durable messages, STOMP, a real node on a real disk.
//   tsx bench/selectors.ts [--messages 1000000] [--consumers 5000]
import { mkdtempSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { buildIfStale } from '../scripts/set-up.mjs'
import { until } from '../test/wire/bytes.ts'
import { NodeProcess } from '../test/wire/node-process.ts'
import { StompWire } from '../test/wire/stomp-wire.ts'
import { remove } from './peers.ts'

const { values } = parseArgs({ options: { messages: { type: 'string', default: '1000000' }, consumers: { type: 'string', default: '5000' } } })
const BODY = Buffer.alloc(200, 120)

buildIfStale({ quiet: true })
const home = mkdtempSync(join(tmpdir(), 'bascule-selectors-'))
const node = new NodeProcess({
  data: home,
  args: ['limits.parkedMessages=10000', 'stomp.subscriptionsMax=10000', 'log.level=error'].flatMap((setting) => ['--set', setting]),
})
try {
  const ready = await node.leads()
  const place = { host: '127.0.0.1', port: Number((ready.listeners.stomp ?? '').split(':').at(-1)) }
  await lastOfMany(place, Number(values.messages))
  await manyWaiting(place, Number(values.consumers))
} finally {
  await node.signal('SIGKILL')
  remove(home)
}
process.exit(0)

async function lastOfMany(place: { host: string; port: number }, count: number): Promise<void> {
  const queue = '/queue/bench.selected'
  const producer = await StompWire.connect(place)
  let answered = 0
  producer.onReceipt = () => answered++
  for (let n = 0; n < count; n++) {
    producer.send('SEND', { destination: queue, persistent: 'true', receipt: 'r', n: String(n), wanted: n === count - 1 ? 'yes' : 'no' }, BODY)
    if (n - answered >= 2000) await until('receipts', () => n - answered < 1000, 120_000, 0)
  }
  await until('the last receipts', () => answered === count, 120_000)
  await sleep(2000)
  const before = memory()
  const alone = await latencies(place, (ms) => ms > 3000)
  console.log(`${count.toLocaleString('en')} messages queued, RSS ${before} MiB; another client, one in flight: ${told(alone)}`)
  for (const selector of ["wanted = 'yes'", "wanted LIKE '%es' AND n IS NOT NULL"]) {
    const chooser = await StompWire.connect(place)
    let found = 0
    const began = performance.now()
    const cpu = cpuMs()
    chooser.onMessage = () => {
      found = performance.now() - began
    }
    chooser.send('SUBSCRIBE', { id: '1', destination: queue, ack: 'client', selector })
    const during = await latencies(place, () => found > 0)
    const each = (((cpuMs() - cpu) * 1000) / count).toFixed(1)
    console.log(
      `${selector}: found after ${(found / 1000).toFixed(2)} s, ${each} µs of CPU a message with what the other client cost; meanwhile ${told(during)}; RSS ${memory()} MiB`,
    )
    chooser.destroy()
    await sleep(500)
  }
}

/** One durable message in flight on a queue of its own, until `enough`. */
async function latencies(place: { host: string; port: number }, enough: (ms: number) => boolean): Promise<number[]> {
  const wire = await StompWire.connect(place)
  let came = 0
  wire.onMessage = () => came++
  await wire.ask('SUBSCRIBE', { id: '1', destination: '/queue/bench.other', ack: 'auto' })
  const times: number[] = []
  const began = performance.now()
  while (!enough(performance.now() - began)) {
    const at = performance.now()
    const wanted = came + 1
    wire.send('SEND', { destination: '/queue/bench.other', persistent: 'true' }, BODY)
    await until('the message', () => came >= wanted, 10_000, 0)
    times.push(performance.now() - at)
  }
  wire.destroy()
  return times
}

async function manyWaiting(place: { host: string; port: number }, consumers: number): Promise<void> {
  const queue = '/queue/bench.replies'
  for (const count of [10, consumers]) {
    const wires: StompWire[] = []
    let came = 0
    for (let first = 0; first < count; first += 1000) {
      const wire = await StompWire.connect(place)
      wire.onMessage = () => came++
      wires.push(wire)
      for (let i = first; i < Math.min(count, first + 1000); i++) {
        wire.send('SUBSCRIBE', {
          id: String(i),
          destination: queue,
          ack: 'auto',
          selector: `JMSCorrelationID = 'c-${i}'`,
          'activemq.prefetchSize': '10',
        })
      }
      await wire.ask('SUBSCRIBE', { id: 'last', destination: '/queue/bench.none' })
    }
    const producer = await StompWire.connect(place)
    let sent = 0
    const began = performance.now()
    const cpu = cpuMs()
    while (performance.now() - began < 5000) {
      for (let i = 0; i < 100; i++) {
        producer.send('SEND', { destination: queue, 'correlation-id': `c-${(sent++ * 7919) % count}` }, BODY)
      }
      await until('the replies', () => came >= sent, 10_000, 0)
    }
    const ms = performance.now() - began
    console.log(
      `${count} consumers of one queue, each with a JMSCorrelationID of its own: ${Math.round((came / ms) * 1000).toLocaleString('en')} replies/s, ${(((cpuMs() - cpu) * 1000) / came).toFixed(0)} µs of CPU a reply`,
    )
    for (const wire of [...wires, producer]) wire.destroy()
    await sleep(500)
  }
}

/** Of the broker: what a busy machine does not distort. */
function cpuMs(): number {
  const fields = readFileSync(`/proc/${node.child.pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
  return (Number(fields[11]) + Number(fields[12])) * 10
}

function memory(): number {
  return Math.round(Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${node.child.pid}/status`, 'utf8'))?.[1]) / 1024)
}

function told(times: number[]): string {
  const sorted = [...times].sort((a, b) => a - b)
  const at = (share: number): string => (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN).toFixed(2)
  return `${times.length} messages, p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, longest ${at(1)} ms`
}
