// Entries of a higher priority go first: among those that wait, put back, read again after a restart or from a snapshot.
import { describe, expect, it } from 'vitest'
import { CoreNode, PERMANENT } from '../../test/support/core.ts'

async function withMessages(node: CoreNode, priorities: readonly number[], durable = true): Promise<ReturnType<CoreNode['client']>> {
  const client = node.client()
  client.session.declare(node.queue('q'), PERMANENT)
  for (const [i, priority] of priorities.entries()) client.send(node.queue('q'), `${priority}.${i}`, { priority, durable })
  await node.settled()
  return client
}

describe('priorities', () => {
  it.each([true, false])('go out highest first, and in order within each (durable %s)', async (durable) => {
    const node = new CoreNode()
    const client = await withMessages(node, [4, 0, 9, 4, 9, 7], durable)
    const taker = client.consume(node.queue('q'))
    await node.settled()
    expect(taker.texts).toEqual(['9.2', '9.4', '7.5', '4.0', '4.3', '0.1'])
  })

  it('beyond 9 count as 9', async () => {
    const node = new CoreNode()
    const client = await withMessages(node, [9, 255, 8])
    const taker = client.consume(node.queue('q'))
    await node.settled()
    expect(taker.texts).toEqual(['9.0', '255.1', '8.2'])
  })

  it('are kept by what is put back', async () => {
    const node = new CoreNode()
    const client = await withMessages(node, [4, 9, 4, 9])
    const first = client.consume(node.queue('q'), 3)
    await node.settled()
    expect(first.texts).toEqual(['9.1', '9.3', '4.0'])
    first.consumer.close()
    const second = client.consume(node.queue('q'))
    await node.settled()
    expect(second.texts).toEqual(['9.1', '9.3', '4.0', '4.2'])
  })

  it.each(['the journal', 'a snapshot'])('come back after a restart from %s', async (source) => {
    const node = new CoreNode()
    await withMessages(node, [4, 1, 8, 4])
    if (source === 'a snapshot') await node.core.snapshot()
    const { digest } = node.core.digest()
    node.restart()
    expect(node.core.digest().digest).toBe(digest)
    const taker = node.client().consume(node.queue('q'))
    await node.settled()
    expect(taker.texts).toEqual(['8.2', '4.0', '4.3', '1.1'])
  })

  it('mean nothing on a queue that is not prioritized', async () => {
    const node = new CoreNode({ destinations: { policies: [{ match: 'queue:q', prioritized: false }] } })
    const client = await withMessages(node, [4, 9, 0])
    const taker = client.consume(node.queue('q'))
    await node.settled()
    expect(taker.texts).toEqual(['4.0', '9.1', '0.2'])
  })

  it('do not shield a message that is the oldest of a full queue', async () => {
    const node = new CoreNode({ destinations: { limitMessages: 3, whenFull: 'drop-oldest' } })
    const client = await withMessages(node, [9, 4, 9, 4, 0])
    const taker = client.consume(node.queue('q'))
    await node.settled()
    expect(taker.texts).toEqual(['9.2', '4.3', '0.4'])
  })

  it('are all purged', async () => {
    const node = new CoreNode()
    await withMessages(node, [9, 4, 0, 7])
    expect(await node.core.purge(node.queue('q'))).toBe(4)
    expect(node.core.figures().entries).toBe(0)
  })
})
