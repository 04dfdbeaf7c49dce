// `Consumer.whenIdle`: told when nothing more can be handed over, and not before.
import { describe, expect, it } from 'vitest'
import { CoreNode, PERMANENT } from '../../test/support/core.ts'

async function filled(count: number) {
  const node = new CoreNode()
  const client = node.client()
  const queue = node.queue('a')
  client.session.declare(queue, PERMANENT)
  for (let i = 0; i < count; i++) client.send(queue, String(i))
  await node.settled()
  return { node, client, queue }
}

describe('a consumer that asks to be told when there is nothing more', () => {
  it('is told with an empty queue', async () => {
    const { node, client, queue } = await filled(0)
    let told = 0
    client.consume(queue).consumer.whenIdle(() => told++)
    expect(told).toBe(0)
    await node.settled()
    expect(told).toBe(1)
  })

  it('is told after everything was handed to it, even where that takes several turns, and once', async () => {
    const { node, client, queue } = await filled(10_000)
    const taker = client.consume(queue, 20_000)
    const seen: number[] = []
    taker.consumer.whenIdle(() => seen.push(taker.deliveries.length))
    await node.until(() => seen.length > 0)
    client.send(queue, 'later')
    await node.settled()
    expect(seen).toEqual([10_000])
  })

  it('is told when its credit is used up', async () => {
    const { node, client, queue } = await filled(5)
    const taker = client.consume(queue, 2)
    let told = -1
    taker.consumer.whenIdle(() => {
      told = taker.deliveries.length
    })
    await node.settled()
    expect(told).toBe(2)
  })

  it('is not told while it is stalled and something waits for it', async () => {
    const { node, client, queue } = await filled(1)
    const taker = client.consume(queue, 0)
    taker.consumer.stall(true)
    taker.consumer.grant(5, 1e6)
    let told = -1
    taker.consumer.whenIdle(() => {
      told = taker.deliveries.length
    })
    await node.settled()
    expect(told).toBe(-1)
    taker.consumer.stall(false)
    await node.settled()
    expect(told).toBe(1)
  })

  it('is told by the later of two calls only, and not at all once it is closed', async () => {
    const { node, client, queue } = await filled(0)
    const told: string[] = []
    const taker = client.consume(queue)
    taker.consumer.whenIdle(() => told.push('first'))
    taker.consumer.whenIdle(() => told.push('second'))
    const closed = client.consume(queue)
    closed.consumer.whenIdle(() => told.push('closed'))
    closed.consumer.close()
    await node.settled()
    expect(told).toEqual(['second'])
  })
})
