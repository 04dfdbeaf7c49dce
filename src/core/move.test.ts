// Messages moved from queue to queue by their owner, and dead letters sent back.
import { describe, expect, it } from 'vitest'
import type { Address } from '../api.ts'
import { type Client, CoreNode, PERMANENT } from '../../test/support/core.ts'

async function filled(count: number, changes: ConstructorParameters<typeof CoreNode>[0] = {}, name = 'q') {
  const node = new CoreNode(changes)
  const client = node.client()
  const queue = node.queue(name)
  client.session.declare(queue, PERMANENT)
  for (let i = 0; i < count; i++) client.send(queue, String(i))
  await node.settled()
  return { node, client, queue }
}

/** What is on a queue, taken. */
async function taken(node: CoreNode, client: Client, queue: Address, count: number) {
  client.session.declare(queue, PERMANENT)
  const taker = client.consume(queue, 10_000)
  await node.until(() => taker.deliveries.length >= count)
  await node.settled()
  taker.consumer.close()
  return taker
}

const numbers = (from: number, to: number): string[] => Array.from({ length: to - from }, (_, i) => String(from + i))
const administration = (node: CoreNode) => node.core.administration

describe('a move', () => {
  it('takes all to a queue that is made for it, in order, and they are there after a restart', async () => {
    const { node } = await filled(1_200)
    expect(await administration(node).move(['q'], ['other', 'one'], 1e9)).toEqual({ moved: 1_200, to: { 'other.one': 1_200 }, left: 0 })
    const digest = node.core.digest().digest
    node.restart()
    const client = node.client()
    expect(node.core.digest().digest === digest).toBe(true)
    const taker = await taken(node, client, node.queue('other.one'), 1_200)
    expect(taker.texts).toEqual(numbers(0, 1_200))
    expect(taker.deliveries[0].dead).toBeUndefined()
    expect((await taken(node, client, node.queue('q'), 0)).texts).toEqual([])
  })

  it('takes message groups in the order of the queue', async () => {
    const { node, client, queue } = await filled(2)
    const texts = ['0', '1']
    for (let i = 0; i < 500; i++) {
      texts.push(`m${i}`)
      client.send(queue, `m${i}`, i % 3 === 0 ? {} : { group: `g${i % 50}` })
    }
    await node.settled()
    expect((await administration(node).move(['q'], ['r'], 400)).moved).toBe(400)
    expect((await taken(node, client, node.queue('r'), 400)).texts).toEqual(texts.slice(0, 400))
    expect((await taken(node, client, queue, 102)).texts).toEqual(texts.slice(400))
  })

  it('takes the first so many, also those that are not durable', async () => {
    const { node, client, queue } = await filled(3)
    client.send(queue, 'volatile', { durable: false })
    client.send(queue, 'stays')
    await node.settled()
    expect((await administration(node).move(['q'], ['r'], 4)).moved).toBe(4)
    expect((await taken(node, client, node.queue('r'), 4)).texts).toEqual(['0', '1', '2', 'volatile'])
    expect((await taken(node, client, queue, 1)).texts).toEqual(['stays'])
  })

  it('leaves what a consumer has, and what comes after it began', async () => {
    const { node, client, queue } = await filled(600)
    const taker = client.consume(queue, 2)
    await node.until(() => taker.deliveries.length === 2)
    const moving = administration(node).move(['q'], ['r'], 1e9)
    client.send(queue, 'later')
    expect((await moving).moved).toBe(598)
    expect((await taken(node, client, node.queue('r'), 598)).texts).toEqual(numbers(2, 600))
    taker.consumer.close()
    expect((await taken(node, client, queue, 3)).texts).toEqual(['0', '1', 'later'])
  })

  it('stops at a full queue and says how far it came', async () => {
    const policies = [{ match: 'queue:small', limitMessages: 10 }]
    const { node, client, queue } = await filled(25, { destinations: { policies } })
    await expect(administration(node).move(['q'], ['small'], 1e9)).rejects.toMatchObject({
      code: 'full',
      message: expect.stringContaining('10 messages'),
    })
    expect((await taken(node, client, node.queue('small'), 10)).texts).toEqual(numbers(0, 10))
    expect((await taken(node, client, queue, 15)).texts).toEqual(numbers(10, 25))
  })

  it('is refused to itself, to a queue that is not durable, and from one that is not there', async () => {
    const { node, client } = await filled(1)
    client.session.declare(node.queue('volatile'), { durable: false, lifetime: 'permanent' })
    await expect(administration(node).move(['q'], ['q'], 1)).rejects.toMatchObject({ code: 'invalid' })
    await expect(administration(node).move(['q'], ['volatile'], 1)).rejects.toMatchObject({ code: 'invalid' })
    await expect(administration(node).move(['none'], ['q'], 1)).rejects.toMatchObject({ code: 'not-found' })
    await expect(administration(node).move(['q'], ['$temp', 'a', '1'], 1)).rejects.toMatchObject({ code: 'not-found' })
    expect((await administration(node).move(['q'], ['r'], 1)).moved).toBe(1)
  })

  it('is whole or not at all for each message, wherever the node dies', async () => {
    const smaller: number[] = []
    for (let batches = 0; batches < 4; batches++) {
      const node = new CoreNode({}, { manual: true })
      const client = node.client()
      const queue = node.queue('q')
      client.session.declare(queue, PERMANENT)
      for (let i = 0; i < 1_100; i++) client.send(queue, String(i))
      node.journal.commit()
      await node.settled()
      const moving = administration(node).move(['q'], ['r'], 1e9)
      moving.catch(() => {})
      for (let i = 0; i < batches; i++) {
        await new Promise((resolve) => setImmediate(resolve))
        node.journal.commit()
      }
      node.restart()
      node.journal.commit()
      await node.settled()
      const { queues } = node.core.administration.destinations('', 0, 10)
      const count = (name: string): number => queues.find((one) => one.name === name)?.messages ?? 0
      expect(count('q') + count('r')).toBe(1_100)
      smaller.push(Math.min(count('q'), count('r')))
      const again = node.client()
      const taken = ['q', 'r'].filter((name) => count(name) > 0).map((name) => again.consume(node.queue(name), 2_000))
      await node.settled()
      expect(new Set(taken.flatMap(({ texts }) => texts)).size).toBe(1_100)
    }
    // Half done, where the node had time for some of it and not for all.
    expect(smaller.slice(1).every((count) => count > 0)).toBe(true)
  })
})

describe('a redrive', () => {
  it('sends dead letters back to the queue each came from, as if they were new', async () => {
    const { node, client, queue } = await filled(3, { destinations: { failuresMax: 1, deadLetter: 'DLQ' } }, 'orders')
    const other = node.queue('gone')
    client.session.declare(other, PERMANENT)
    client.send(other, 'homeless')
    client.session.declare(node.queue('DLQ'), PERMANENT)
    await node.settled()
    for (const from of [queue, other]) {
      const taker = client.consume(from)
      await node.until(() => taker.deliveries.length > 0)
      taker.consumer.settle(1, 10, { kind: 'modified', failed: true, elsewhere: false, afterMs: 0 }, false)
      taker.consumer.close()
    }
    client.session.remove(other)
    client.send(node.queue('DLQ'), 'no dead letter')
    await node.settled()
    expect(await administration(node).redrive(['DLQ'], 1e9)).toEqual({ moved: 4, to: { orders: 3, gone: 1 }, left: 1 })
    node.restart()
    const again = node.client()
    const taker = await taken(node, again, queue, 3)
    expect(taker.texts).toEqual(['0', '1', '2'])
    expect(taker.deliveries.map(({ failures, dead }) => [failures, dead])).toEqual([
      [0, undefined],
      [0, undefined],
      [0, undefined],
    ])
    expect((await taken(node, again, other, 1)).texts).toEqual(['homeless'])
    expect((await taken(node, again, node.queue('DLQ'), 1)).texts).toEqual(['no dead letter'])
  })

  it('leaves those whose queue was one of a front end’s own and is gone', async () => {
    const { node, client } = await filled(0, { destinations: { failuresMax: 1, deadLetter: 'DLQ' } })
    const own = node.core.address('queue', ['session', 'x'], 'mqtt')
    client.session.declare(own, PERMANENT)
    client.send(own, 'm')
    await node.settled()
    const taker = client.consume(own)
    await node.until(() => taker.deliveries.length === 1)
    taker.consumer.settle(1, 1, { kind: 'rejected', reason: 'no' }, false)
    await node.settled()
    client.session.remove(own)
    expect(await administration(node).redrive(['DLQ'], 1e9)).toEqual({ moved: 0, to: {}, left: 1 })
  })
})

describe('a redrive to a subscription', () => {
  it('tells again to which topic it was sent, and with the subscription’s number', async () => {
    const node = new CoreNode({ destinations: { failuresMax: 1, deadLetter: 'DLQ' } })
    const client = node.client()
    const own = node.core.address('queue', ['durable', 'x'], 'stomp')
    client.session.declare(own, PERMANENT)
    client.session.bind({ pattern: ['t', { wild: 'one' }], queue: own, tag: 2, settle: 'unsettled', absent: 'keep', retained: 'never' })
    client.send(node.topic('t.a'), 'm')
    await node.settled()
    const first = client.consume(own)
    await node.until(() => first.deliveries.length === 1)
    first.consumer.settle(1, 1, { kind: 'rejected', reason: 'no' }, false)
    await node.settled()
    first.consumer.close()
    expect((await administration(node).redrive(['DLQ'], 1)).moved).toBe(1)
    node.restart()
    const taker = await taken(node, node.client(), own, 1)
    expect(taker.deliveries[0]).toMatchObject({ to: { kind: 'topic', path: ['t', 'a'] }, tags: [2], dead: undefined })
    expect(taker.deliveries[0].message.durable).toBe(true)
  })
})
