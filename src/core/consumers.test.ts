// Who of several consumers is given what: turns, consumer priority, exclusive consumers, and what those cost who have no credit.
import { describe, expect, it } from 'vitest'
import type { ConsumerOptions } from '../api.ts'
import { type Client, CoreNode, PERMANENT, Taker } from '../../test/support/core.ts'

function start(...queues: readonly string[]): { node: CoreNode; client: Client } {
  const node = new CoreNode()
  const client = node.client()
  for (const name of queues) client.session.declare(node.queue(name), PERMANENT)
  return { node, client }
}

async function send(node: CoreNode, client: Client, queue: string, ...texts: readonly string[]): Promise<void> {
  for (const text of texts) client.send(node.queue(queue), text)
  await node.settled()
}

const UNSETTLED: ConsumerOptions = { settle: 'unsettled', exclusive: 'no', priority: 0 }

describe('consumers of one queue', () => {
  it('take turns, and one without credit is passed over until it has some', async () => {
    const { node, client } = start('q')
    const [a, b, c] = [client.consume(node.queue('q'), 2), client.consume(node.queue('q')), client.consume(node.queue('q'), 1)]
    await send(node, client, 'q', '1', '2', '3', '4', '5', '6')
    expect([a.texts, b.texts, c.texts]).toEqual([['1', '4'], ['2', '5', '6'], ['3']])
    c.consumer.grant(1, 0)
    await send(node, client, 'q', '7', '8')
    expect([a.texts.length, b.texts.length + c.texts.length, c.texts.length]).toEqual([2, 6, 2])
  })

  it('of a higher priority are given everything they have credit for', async () => {
    const { node, client } = start('q')
    const low = client.consume(node.queue('q'), 10, { priority: -1 })
    const high = client.consume(node.queue('q'), 2, { priority: 7 })
    const normal = client.consume(node.queue('q'), 1)
    await send(node, client, 'q', '1', '2', '3', '4')
    expect([high.texts, normal.texts, low.texts]).toEqual([['1', '2'], ['3'], ['4']])
    high.accept(1, 2)
    high.consumer.grant(1, 0)
    await send(node, client, 'q', '5', '6')
    expect([high.texts, normal.texts, low.texts]).toEqual([['1', '2', '5'], ['3'], ['4', '6']])
  })

  it('that are exclusive wait for each other and take over, the highest priority first, then the oldest', async () => {
    const { node, client } = start('q')
    const shared = client.consume(node.queue('q'))
    const options = { exclusive: 'wait' } as const
    const first = client.consume(node.queue('q'), 100, options)
    const second = client.consume(node.queue('q'), 100, options)
    await send(node, client, 'q', '1')
    const third = client.consume(node.queue('q'), 1, { ...options, priority: 1 })
    await send(node, client, 'q', '2', '2b')
    expect([first.texts, third.texts]).toEqual([['1'], ['2']])
    third.consumer.close()
    await send(node, client, 'q', '3')
    expect([shared.texts, first.texts, second.texts, third.texts]).toEqual([[], ['1', '2', '2b', '3'], [], ['2']])
    first.consumer.close()
    await node.settled()
    expect(second.texts).toEqual(['1', '2', '2b', '3'])
    second.consumer.close()
    await node.settled()
    expect(shared.texts).toEqual(['1', '2', '2b', '3'])
  })

  it('that are exclusive may come and go by the hundred, and one of them takes', async () => {
    const { node, client } = start('q')
    const takers = Array.from({ length: 300 }, (_, i) => client.consume(node.queue('q'), 1_000, { exclusive: 'wait', priority: i % 3 }))
    const order = [2, 1, 0].flatMap((priority) => takers.filter((_, i) => i % 3 === priority))
    // Those in the middle leave first, and some of the first.
    const gone = new Set([...order.slice(50, 250), order[3], order[4]])
    for (const taker of gone) taker.consumer.close()
    const left = order.filter((taker) => !gone.has(taker))
    for (const [i, taker] of left.entries()) {
      await send(node, client, 'q', `${i}`)
      expect(taker.texts).toEqual([`${i}`])
      taker.accept(1)
      taker.consumer.close()
    }
    const shared = client.consume(node.queue('q'))
    await send(node, client, 'q', 'last')
    expect(shared.texts).toEqual(['last'])
  })

  it('wait for an exclusive one that has no credit', async () => {
    const { node, client } = start('q')
    const only = client.consume(node.queue('q'), 1, { exclusive: 'wait' })
    const other = client.consume(node.queue('q'))
    await send(node, client, 'q', '1', '2')
    expect([only.texts, other.texts]).toEqual([['1'], []])
    only.consumer.grant(1, 0)
    await node.settled()
    expect(only.texts).toEqual(['1', '2'])
  })

  it('are asked nothing while they have no credit', async () => {
    const { node, client } = start('q')
    const many = Array.from({ length: 2_000 }, () => client.consume(node.queue('q'), 0))
    let asked = 0
    for (const { consumer } of many) {
      const { hungry } = Object.getOwnPropertyDescriptors(Object.getPrototypeOf(consumer))
      Object.defineProperty(consumer, 'hungry', {
        get() {
          asked++
          return hungry.get?.call(consumer)
        },
      })
    }
    const one = client.consume(node.queue('q'))
    for (let i = 0; i < 100; i++) await send(node, client, 'q', `${i}`)
    expect(one.texts.length).toBe(100)
    expect(asked).toBe(0)
  })
})

describe('consumers that are too slow', () => {
  it('are ended when their queue says so, and others of the topic are not', async () => {
    const { node, client } = start()
    const limited = { durable: false, lifetime: 'held', limitMessages: 2, whenFull: 'end-consumers' } as const
    const takers = ['slow', 'quick'].map((name) => {
      client.session.declare(node.queue(name), limited)
      client.session.hold(node.queue(name), 0)
      client.session.bind({ pattern: ['t'], queue: node.queue(name), tag: 0, settle: 'settled', absent: 'keep', retained: 'never' })
      return client.consume(node.queue(name), name === 'slow' ? 1 : 1_000, { settle: 'settled' })
    })
    for (let i = 1; i <= 5; i++) {
      client.send(node.topic('t'), `${i}`)
      await node.settled()
    }
    expect(takers[0].texts).toEqual(['1'])
    expect(takers[0].error).toMatchObject({ code: 'limit', message: expect.stringContaining('slow') })
    expect(takers[1].texts).toEqual(['1', '2', '3', '4', '5'])
    expect(takers[1].error).toBeUndefined()
    expect(node.core.figures().dropped).toBe(2)
  })
})

describe('a consumer of many queues', () => {
  it('is given from each in turn, with credit for one at a time', async () => {
    const names = Array.from({ length: 50 }, (_, i) => `q${i}`)
    const { node, client } = start(...names)
    for (const name of names) await send(node, client, name, `${name}.a`, `${name}.b`)
    const taker = new Taker(
      client.session,
      names.map((name) => node.queue(name)),
      1,
      UNSETTLED,
    )
    for (let i = 1; i <= 100; i++) {
      await node.settled()
      expect(taker.deliveries.length).toBe(i)
      taker.accept(i)
      taker.consumer.grant(1, 0)
    }
    expect(new Set(taker.texts.slice(0, 50)).size).toBe(50)
    expect(taker.texts.slice(0, 50).every((text) => text.endsWith('.a'))).toBe(true)
  })

  it('goes on to the next one when another was quicker at the first', async () => {
    const { node, client } = start('q0', 'q1')
    const both = new Taker(client.session, [node.queue('q0'), node.queue('q1')], 0, UNSETTLED)
    const quick = client.consume(node.queue('q0'), 0)
    await send(node, client, 'q0', 'a')
    await send(node, client, 'q1', 'b')
    quick.consumer.grant(1, 1e6)
    both.consumer.grant(1, 1e6)
    await node.settled()
    expect([quick.texts, both.texts]).toEqual([['a'], ['b']])
  })

  it('finds the one that has something among those that another has emptied', async () => {
    const names = Array.from({ length: 20 }, (_, i) => `q${i}`)
    const { node, client } = start(...names)
    const slow = new Taker(
      client.session,
      names.map((name) => node.queue(name)),
      1,
      UNSETTLED,
    )
    for (const name of names) await send(node, client, name, name)
    expect(slow.texts).toEqual(['q0'])
    const quick = names.slice(0, 19).map((name) => client.consume(node.queue(name)))
    await node.settled()
    for (const taker of quick) taker.consumer.close()
    // What those had comes back and is taken again, one at a time.
    slow.accept(1)
    slow.consumer.grant(1, 0)
    await node.settled()
    expect(slow.texts.length).toBe(2)
    slow.consumer.grant(100, 0)
    await node.settled()
    expect(new Set(slow.texts).size).toBe(20)
  })
})
