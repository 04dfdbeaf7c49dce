// What it costs the core to decide who is given what: consumers without credit beside one that has some, priorities, message groups.
// The core alone, over a journal in memory, messages that are not durable; CPU time, so that other work on the machine counts little.
//   tsx bench/consumers.ts [--messages 300000]
import { parseArgs } from 'node:util'
import type { Consumer, ConsumerOptions, Delivery, Message, Sink } from '../src/api.ts'
import { CoreNode, message, NO_RETAIN } from '../test/support/core.ts'

const { values } = parseArgs({ options: { messages: { type: 'string', default: '300000' } } })
const MESSAGES = Number(values.messages)
const WARM = 20_000
const BURST = 500
const OPTIONS: ConsumerOptions = { settle: 'unsettled', exclusive: 'no', priority: 0 }
const NOBODY: Sink = { deliver() {}, flush() {}, ended() {} }

class Taker implements Sink {
  count = 0
  consumer: Consumer | undefined
  #last = 0

  deliver(delivery: Delivery): void {
    this.count++
    this.#last = delivery.tag
  }

  flush(): void {
    this.consumer?.settle(1, this.#last, { kind: 'accepted' }, false)
    this.consumer?.grant(1_000, 0)
  }

  ended(): void {}
}

async function measure(name: string, idle: number, takers: number, changes: (n: number) => Partial<Message>): Promise<void> {
  const node = new CoreNode({ limits: { consumers: 1e6, consumersPerSession: 1e6 } })
  const { session } = node.client()
  const queue = node.queue('q')
  session.declare(queue, { durable: false, lifetime: 'permanent' })
  for (let i = 0; i < idle; i++) session.consume([queue], OPTIONS, NOBODY)
  const working = Array.from({ length: takers }, () => new Taker())
  for (const taker of working) {
    taker.consumer = session.consume([queue], OPTIONS, taker)
    taker.consumer?.grant(1_000, 1e9)
  }
  const plain = message('x'.repeat(100), { durable: false })
  let sent = 0
  const send = async (count: number): Promise<void> => {
    for (const until = sent + count; sent < until; ) {
      for (let i = 0; i < BURST; i++) session.publish(queue, { ...plain, ...changes(sent++) }, NO_RETAIN)
      await new Promise((resolve) => setImmediate(resolve))
    }
    await node.until(() => working.reduce((sum, { count: came }) => sum + came, 0) === sent)
  }
  await send(WARM)
  const before = process.cpuUsage()
  await send(MESSAGES)
  const { user, system } = process.cpuUsage(before)
  console.log(`${name.padEnd(44)}${(((user + system) * 1_000) / MESSAGES).toFixed(0).padStart(6)} ns a message`)
}

await measure('one consumer', 0, 1, () => ({}))
await measure('four consumers', 0, 4, () => ({}))
await measure('one, beside 100,000 without credit', 100_000, 1, () => ({}))
await measure('one, priorities 0 to 9', 0, 1, (n) => ({ priority: n % 10 }))
await measure('four, 1,000 message groups', 0, 4, (n) => ({ group: `g${n % 1_000}` }))
await measure('four, 100,000 message groups', 0, 4, (n) => ({ group: `g${n % 100_000}` }))
process.exit(0)
