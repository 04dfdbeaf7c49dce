// What it costs the core that many subscribe to one topic: each has a queue, a binding and a consumer of its own, and every message goes to all.
// The core alone, over a journal in memory, messages that are not durable and settled when sent; CPU time, so that other work on the machine counts little.
//   node --expose-gc --import tsx bench/subscriptions.ts [--deliveries 2000000] [--sizes 1000,10000,100000]
import { parseArgs } from 'node:util'
import type { Consumer, Delivery, Sink } from '../src/api.ts'
import { CoreNode, message, NO_RETAIN } from '../test/support/core.ts'

const { values } = parseArgs({
  options: { deliveries: { type: 'string', default: '2000000' }, sizes: { type: 'string', default: '1000,10000,100000' } },
})
const SESSION_HAS = 1_000
/** A front end's window: credit comes back when half of it is used. */
const WINDOW = 1_000

class Taker implements Sink {
  consumer: Consumer | undefined
  #back = 0

  deliver(_delivery: Delivery): void {
    count++
    this.#back++
  }

  flush(): void {
    if (this.#back * 2 < WINDOW) return
    this.consumer?.grant(this.#back, this.#back * 200)
    this.#back = 0
  }

  ended(): void {}
}

let count = 0

for (const size of values.sizes.split(',').map(Number)) {
  const node = new CoreNode({ limits: { consumers: 1e6, consumersPerSession: 1e6, queues: 1e6, bindings: 1e6, bindingsPerSession: 1e6 } })
  const topic = node.core.address('topic', ['all'])
  global.gc?.()
  const heap = process.memoryUsage().heapUsed
  let session = node.client().session
  for (let i = 0; i < size; i++) {
    if (i > 0 && i % SESSION_HAS === 0) session = node.client().session
    const queue = node.core.address('queue', ['session', String(i)], 'bench')
    session.declare(queue, { durable: false, lifetime: 'held', limitMessages: 1_000, limitBytes: 1e6, whenFull: 'drop-oldest' })
    session.hold(queue, 0)
    const taker = new Taker()
    taker.consumer = session.consume([queue], { settle: 'settled', exclusive: 'no', priority: 0 }, taker)
    session.bind({ pattern: topic.path, queue, tag: 0, settle: 'settled', absent: 'keep', retained: 'never' })
    taker.consumer?.grant(WINDOW, 1e6)
  }
  global.gc?.()
  const bytes = (process.memoryUsage().heapUsed - heap) / size
  const producer = node.client().session
  const plain = message('x'.repeat(100), { durable: false })
  count = 0
  let sent = 0
  const send = async (deliveries: number): Promise<void> => {
    for (const until = sent + Math.ceil(deliveries / size); sent < until; ) {
      producer.publish(topic, plain, NO_RETAIN)
      sent++
      await node.until(() => count === sent * size)
    }
  }
  await send(Number(values.deliveries) / 4)
  const before = process.cpuUsage()
  const from = count
  await send(Number(values.deliveries))
  const { user, system } = process.cpuUsage(before)
  console.log(
    `${size.toLocaleString('en').padStart(8)} subscriptions  ${(((user + system) * 1_000) / (count - from)).toFixed(0).padStart(6)} ns a delivery  ${bytes.toFixed(0).padStart(6)} B of the heap each`,
  )
}
process.exit(0)
