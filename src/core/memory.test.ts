// What a queued message costs the heap: nothing. Rows are outside it, bodies are the journal's.
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, it } from 'vitest'
import { CoreNode, message, NO_RETAIN, PERMANENT } from '../../test/support/core.ts'

setFlagsFromString('--expose-gc')
const collect: () => void = runInNewContext('gc')

describe('a backlog', () => {
  it('of durable messages leaves no object a message on the heap, and at most 100 bytes of rows', async () => {
    const node = new CoreNode()
    const client = node.client()
    const queue = node.queue('q')
    client.session.declare(queue, PERMANENT)
    const count = 100_000
    const fill = async (): Promise<void> => {
      const one = message('x'.repeat(100))
      for (let i = 0; i < count; i++) {
        client.session.publish(queue, { ...one }, NO_RETAIN)
        if (i % 1_000 === 999) await node.settled()
      }
      await node.settled()
    }
    const before = node.core.status() as { bytes: { totals: { index: number } } }
    await fill()
    collect()
    const heap = process.memoryUsage().heapUsed
    await fill()
    collect()
    const perMessage = (process.memoryUsage().heapUsed - heap) / count
    // A slot of the sparse array of objects is 8 bytes; an empty object would be 24 at least.
    expect(perMessage).toBeLessThan(20)
    const after = node.core.status() as { bytes: { totals: { index: number } } }
    expect((after.bytes.totals.index - before.bytes.totals.index) / (2 * count)).toBeLessThan(100)
  }, 60_000)
})
