// What consumers add to what is told of a message: kept with its entry, through restarts and to a dead-letter queue, within bounds.
import { describe, expect, it } from 'vitest'
import { CoreNode, PERMANENT } from '../../test/support/core.ts'
import type { Addition, Delivery, Outcome } from '../api.ts'
import { joined } from './live-transaction.ts'

const adding = (text: string, changes: Partial<Extract<Outcome, { kind: 'modified' }>> = {}): Outcome => ({
  kind: 'modified',
  failed: false,
  elsewhere: false,
  afterMs: 0,
  added: { dialect: 'test', bytes: Buffer.from(text) },
  ...changes,
})
const textsOf = (delivery: Delivery | undefined): readonly string[] | undefined =>
  delivery?.added?.map(({ dialect, bytes }: Addition) => `${dialect} ${Buffer.from(bytes).toString()}`)

async function withOne(changes: ConstructorParameters<typeof CoreNode>[0] = {}, durable = true) {
  const node = new CoreNode(changes)
  const client = node.client()
  const queue = node.queue('q')
  client.session.declare(queue, PERMANENT)
  client.send(queue, 'x', { durable })
  await node.settled()
  const taker = client.consume(queue)
  await node.settled()
  return { node, queue, taker }
}

describe('what a consumer adds', () => {
  it.each(['durable', 'not durable'])('is told to the next one, oldest first, of a message that is %s', async (what) => {
    const { node, taker } = await withOne({}, what === 'durable')
    expect(taker.deliveries[0]?.added).toBeUndefined()
    for (const [i, text] of ['one', 'two'].entries()) {
      taker.consumer.settle(i + 1, i + 1, adding(text), false)
      await node.settled()
    }
    expect(taker.deliveries.map(textsOf)).toEqual([undefined, ['test one'], ['test one', 'test two']])
  })

  it.each(['the log', 'a snapshot', 'a snapshot and the log'])('is there after a takeover, from %s', async (source) => {
    const { node, taker, queue } = await withOne()
    taker.consumer.settle(1, 1, adding('one'), true)
    await node.settled()
    if (source !== 'the log') await node.core.snapshot()
    taker.consumer.settle(2, 2, adding('two'), true)
    await node.settled()
    if (source === 'a snapshot') await node.core.snapshot()
    node.restart()
    await node.settled()
    const again = node.client().consume(queue)
    await node.settled()
    expect(again.deliveries.map(textsOf)).toEqual([['test one', 'test two']])
  })

  it('goes along to a dead-letter queue, and is forgotten with its entry', async () => {
    const { node, taker } = await withOne()
    taker.consumer.settle(1, 1, adding('why', { elsewhere: true }), true)
    await node.settled()
    node.restart()
    await node.settled()
    const dead = node.client().consume(node.queue('ActiveMQ.DLQ'))
    await node.settled()
    expect(dead.deliveries.map(textsOf)).toEqual([['test why']])
    dead.consumer.settle(1, 1, { kind: 'accepted' }, true)
    await node.settled()
    const { visitor } = node.core as unknown as { visitor: { state: { added: Map<number, unknown>; addedBytes: number } } }
    expect([visitor.state.added.size, visitor.state.addedBytes]).toEqual([0, 0])
  })

  it('happens with a transaction, and not without', async () => {
    const { node, taker } = await withOne()
    const client = node.client()
    for (const how of ['rollback', 'commit'] as const) {
      const transaction = client.session.begin()
      if (transaction === undefined) throw new Error('refused')
      taker.consumer.settleIn(transaction, 1, 1, adding(how))
      transaction[how]()
      await node.settled()
    }
    expect(taker.deliveries.map(textsOf)).toEqual([undefined, ['test commit']])
  })

  it.each([
    ['addedBytesPerMessage', { addedBytesPerMessage: 517 }],
    ['addedBytes', { addedBytes: 517 }],
  ])('is not kept beyond %s', async (_, limits) => {
    const { node, taker } = await withOne({ limits })
    for (const [i, text] of ['one', 'two', '33'].entries()) {
      taker.consumer.settle(i + 1, i + 1, adding(text), false)
      await node.settled()
    }
    expect(taker.deliveries.map(textsOf)).toEqual([undefined, ['test one'], ['test one'], ['test one', 'test 33']])
  })

  it('counts 256 bytes more for each time, so that tiny ones are not many', async () => {
    const { node, taker } = await withOne({ limits: { addedBytesPerMessage: 257 * 3 } })
    for (let tag = 1; tag <= 5; tag++) {
      taker.consumer.settle(tag, tag, adding('x'), false)
      await node.settled()
    }
    expect(taker.deliveries.map(({ added }) => added?.length ?? 0)).toEqual([0, 1, 2, 3, 3, 3])
  })

  it.each([
    ['addedBytesPerMessage', { addedBytesPerMessage: 300 }, 'x'.repeat(100), 0],
    ['addedBytes, with what those of other messages add', { addedBytes: 257 * 2 }, 'x', 2],
  ])('is not kept in an open transaction beyond %s', async (_, limits, text, kept) => {
    const node = new CoreNode({ limits })
    const client = node.client()
    const queue = node.queue('q')
    client.session.declare(queue, PERMANENT)
    for (let i = 0; i < 5; i++) client.send(queue, String(i), { durable: true })
    const taker = client.consume(queue)
    await node.settled()
    for (const how of ['rollback', 'commit'] as const) {
      const transaction = client.session.begin()
      if (transaction === undefined) throw new Error('refused')
      const first = taker.deliveries.length - 4
      for (let i = 0; i < 5; i++) expect(taker.consumer.settleIn(transaction, first + i, first + i, adding(text))).toBeGreaterThan(0)
      expect(joined(transaction).addedBytes).toBe(kept * (256 + text.length))
      transaction[how]()
      await node.settled()
      if (how === 'rollback') taker.consumer.settle(first, first + 4, { kind: 'released', afterMs: 0 }, false)
      await node.settled()
    }
    expect(taker.deliveries.slice(-5).filter(({ added }) => added !== undefined)).toHaveLength(kept)
  })
})
