// One consumer of every queue that matches a pattern: those that are there, and those that come and go.
import { describe, expect, it } from 'vitest'
import type { ConsumerOptions, Pattern } from '../api.ts'
import { type Client, CoreNode, PERMANENT, Taker } from '../../test/support/core.ts'

const UNSETTLED: ConsumerOptions = { settle: 'unsettled', exclusive: 'no', priority: 0 }
const ONE = { wild: 'one' } as const
const REST = { wild: 'rest' } as const

function make(node: CoreNode, client: Client, ...names: readonly string[]): void {
  for (const name of names) {
    client.session.declare(node.queue(name), PERMANENT)
    client.send(node.queue(name), name)
  }
}

function take(client: Client, pattern: Pattern, credit = 1_000): Taker {
  return new Taker(client.session, { pattern }, credit, UNSETTLED)
}

describe('a consumer of a pattern', () => {
  it('takes from every queue that matches, those made later too', async () => {
    const node = new CoreNode()
    const client = node.client()
    make(node, client, 'a', 'a.b', 'a.b.c', 'b', '$x')
    const one = take(client, ['a', ONE])
    await node.settled()
    expect(one.texts).toEqual(['a.b'])
    one.consumer.close()
    const rest = take(client, ['a', REST])
    await node.settled()
    make(node, client, 'a.later', 'other', 'a.x.y')
    await node.settled()
    expect(rest.texts.sort()).toEqual(['a', 'a.b', 'a.b.c', 'a.later', 'a.x.y'])
    expect(new Set(rest.deliveries.map(({ queue }) => queue.path.join('.')))).toEqual(new Set(rest.texts))
  })

  it('takes nothing from queues of front ends, temporary ones, and those hidden by a $', async () => {
    const node = new CoreNode()
    const client = node.client()
    make(node, client, '$hidden')
    client.session.declare(node.core.address('queue', ['own'], 'stomp'), { durable: false, lifetime: 'held' })
    client.send(node.core.address('queue', ['own'], 'stomp'), 'own')
    client.session.declare(node.queue('held'), { durable: false, lifetime: 'held' })
    client.send(node.queue('held'), 'held')
    const all = take(client, [REST])
    await node.settled()
    expect(all.texts).toEqual([])
  })

  it('stays when its queues are removed, and settles what it has of the others', async () => {
    const node = new CoreNode()
    const client = node.client()
    make(node, client, 'a.1')
    const taker = take(client, ['a', ONE])
    await node.settled()
    client.session.remove(node.queue('a.1'))
    await node.settled()
    expect(taker.error).toBeUndefined()
    make(node, client, 'a.2')
    await node.settled()
    expect(taker.texts).toEqual(['a.1', 'a.2'])
    expect(taker.accept(2)).toBeGreaterThan(0)
    await node.settled()
    expect(node.core.figures().entries).toBe(0)
  })

  it('shares its credit among them, and what it had goes back when it ends', async () => {
    const node = new CoreNode()
    const client = node.client()
    const names = Array.from({ length: 300 }, (_, i) => `a.${i}`)
    make(node, client, ...names)
    const taker = take(client, ['a', REST], 100)
    await node.settled()
    expect(new Set(taker.texts).size).toBe(100)
    taker.consumer.close()
    make(node, client, 'a.new')
    const other = take(client, ['a', REST], 1_000)
    await node.settled()
    expect(new Set(other.texts).size).toBe(301)
    expect(taker.texts.length).toBe(100)
  })

  it('finds ten thousand queues, in slices', async () => {
    const node = new CoreNode({ limits: { wildcardQueues: 12_001 } })
    const client = node.client()
    for (let i = 0; i < 12_000; i++) client.session.declare(node.queue(`a.${i}`), { durable: false, lifetime: 'permanent' })
    const taker = take(client, ['a', ONE])
    // Made while it still looks, and found once.
    make(node, client, 'a.meanwhile')
    for (const i of [0, 11_999]) client.send(node.queue(`a.${i}`), `${i}`)
    await node.until(() => taker.deliveries.length === 3)
    expect(taker.texts.sort()).toEqual(['0', '11999', 'a.meanwhile'])
    expect(taker.error).toBeUndefined()
    taker.consumer.close()
    const again = take(client, ['a', ONE])
    await node.until(() => again.deliveries.length === 3)
    expect(again.error).toBeUndefined()
  })

  it('is told that nothing is left when it has seen every queue', async () => {
    const node = new CoreNode()
    const client = node.client()
    for (let i = 0; i < 17_000; i++) client.session.declare(node.queue(`a.${i}`), { durable: false, lifetime: 'permanent' })
    client.send(node.queue('a.16999'), 'last')
    await node.settled()
    const taker = take(client, ['a', ONE])
    let atIdle: readonly string[] | undefined
    taker.consumer.whenIdle(() => {
      atIdle = [...taker.texts]
    })
    await node.until(() => atIdle !== undefined)
    expect(atIdle).toEqual(['last'])
  })

  it('is ended when it would take from more queues than limits.wildcardQueues', async () => {
    const node = new CoreNode({ limits: { wildcardQueues: 2 } })
    const client = node.client()
    make(node, client, 'a.1', 'a.2')
    const taker = take(client, ['a', ONE])
    await node.settled()
    expect(taker.error).toBeUndefined()
    make(node, client, 'a.3')
    await node.settled()
    expect(taker.error).toMatchObject({ code: 'limit', message: expect.stringContaining('wildcardQueues') })
    const again = take(client, ['a', { wild: 'one' }])
    await node.settled()
    expect(again.error).toMatchObject({ code: 'limit' })
  })
})
