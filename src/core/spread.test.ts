import { beforeEach, describe, expect, it } from 'vitest'
import { type Client, CoreNode, message, NO_RETAIN, PERMANENT, Taker } from '../../test/support/core.ts'
import type { Address, Pattern } from '../api.ts'

const binding = { tag: 0, settle: 'unsettled', absent: 'keep', retained: 'never' } as const
const sentTo = (taker: Taker): string[] => taker.deliveries.map(({ to }) => `${to.kind}:${to.path.join('.')}`)

describe('a list of destinations', () => {
  let node: CoreNode
  let client: Client
  beforeEach(() => {
    node = new CoreNode({ limits: { compositeParts: 4, viaNames: 1 } })
    client = node.client()
  })

  const list = (...parts: string[]): Address =>
    node.core.composite(parts.map((part) => (part.startsWith('/') ? node.topic(part.slice(1)) : node.queue(part))))
  const subscribe = (name: string, topic: string): void => {
    client.session.declare(node.queue(name), PERMANENT)
    client.session.bind({ ...binding, pattern: topic.split('.'), queue: node.queue(name) })
  }

  it('gets one message at each, which says where that copy was sent; the message is stored once', async () => {
    for (const name of ['a', 'b']) client.session.declare(node.queue(name), PERMANENT)
    subscribe('s1', 't1')
    subscribe('s2', 't2')
    expect(client.send(list('a', '/t1', 'b', '/t2'), 'x')).toBeGreaterThan(0)
    await node.settled()
    expect(node.journal.segments).toBeDefined()
    for (const restarted of [false, true]) {
      if (restarted) {
        node.restart()
        client = node.client()
      }
      const takers = ['a', 'b', 's1', 's2'].map((name) => client.consume(node.queue(name)))
      await node.settled()
      expect(takers.map(({ texts }) => texts)).toEqual([['x'], ['x'], ['x'], ['x']])
      expect(takers.map(sentTo)).toEqual([['queue:a'], ['queue:b'], ['topic:t1'], ['topic:t2']])
      for (const taker of takers) taker.consumer.close()
    }
    const { messages } = node.core.status() as { messages: number }
    expect(messages).toBe(1)
  })

  it('is refused as a whole when one of it is not there or full, and nothing is anywhere', async () => {
    client.session.declare(node.queue('a'), PERMANENT)
    expect(client.send(list('a', 'missing'), 'x')).toBe(0)
    expect(client.session.refusal?.code).toBe('not-found')
    client.session.declare(node.queue('small'), { ...PERMANENT, limitMessages: 1 })
    client.send(node.queue('small'), 'first')
    expect(client.send(list('a', 'small'), 'waits')).toBe(-1)
    const a = client.consume(node.queue('a'))
    await node.settled()
    expect(a.texts).toEqual([])
    const small = client.consume(node.queue('small'))
    await node.settled()
    small.accept(1)
    await node.settled()
    expect(a.texts).toEqual(['waits'])
    expect(small.texts).toEqual(['first', 'waits'])
  })

  it('reaches a queue once that is in it twice, by name and by topic', async () => {
    subscribe('s', 't')
    client.send(list('s', '/t', 's'), 'x')
    const taker = client.consume(node.queue('s'))
    await node.settled()
    expect(taker.texts).toEqual(['x'])
  })

  it('is no longer than the limit, retains nothing, and names no more topics than the limit', () => {
    for (const name of ['a', 'b', 'c', 'd', 'e']) client.session.declare(node.queue(name), PERMANENT)
    for (const topic of ['t1', 't2', 't3']) subscribe(`s${topic}`, topic)
    expect(client.send(list('a', 'b', 'c', 'd', 'e'), 'x')).toBe(0)
    expect(client.session.refusal?.message).toContain('compositeParts')
    expect(client.session.publish(list('/t1', 'a'), message('x'), { ...NO_RETAIN, retain: 'set' })).toBe(0)
    expect(client.session.refusal?.code).toBe('unsupported')
    expect(client.send(list('/t1', '/t2'), 'x')).toBeGreaterThan(0)
    expect(client.send(list('/t1', '/t3'), 'x')).toBe(0)
    expect(client.session.refusal?.message).toContain('viaNames')
    // Queues and the first topic need no such memory.
    expect(client.send(list('a', 'b', '/t3'), 'x')).toBeGreaterThan(0)
  })

  it('is scheduled like any destination', async () => {
    for (const name of ['a', 'b']) client.session.declare(node.queue(name), PERMANENT)
    client.session.repeat(list('a', 'b'), message('tick'), { delayMs: 1_000, periodMs: 1_000, repeat: 1, cron: '' })
    await node.settled()
    node.restart()
    client = node.client()
    node.clock.advance(1_000)
    await node.settled()
    node.clock.advance(1_000)
    await node.settled()
    const takers = ['a', 'b'].map((name) => client.consume(node.queue(name)))
    await node.settled()
    expect(takers.map(({ texts }) => texts)).toEqual([
      ['tick', 'tick'],
      ['tick', 'tick'],
    ])
  })
})

describe('a forward of the configuration', () => {
  const node = (forward: readonly { from: string; to: string[]; keep?: boolean }[]): CoreNode => new CoreNode({ destinations: { forward } })

  it('mirrors queues to topics and feeds queues from topics', async () => {
    const core = node([
      { from: 'queue:orders.>', to: ['topic:mirror.{name}'] },
      { from: 'topic:readings', to: ['queue:readings.all'] },
    ])
    const client = core.client()
    client.session.declare(core.queue('orders.eu'), PERMANENT)
    client.session.declare(core.queue('watch'), PERMANENT)
    client.session.bind({ ...binding, pattern: ['mirror', { wild: 'rest' }], queue: core.queue('watch') })
    client.send(core.queue('orders.eu'), 'order')
    client.send(core.topic('readings'), 'reading')
    await core.settled()
    core.restart()
    const again = core.client()
    const takers = ['orders.eu', 'watch', 'readings.all'].map((name) => again.consume(core.queue(name)))
    await core.settled()
    expect(takers.map(({ texts }) => texts)).toEqual([['order'], ['order'], ['reading']])
    expect(takers.map(sentTo)).toEqual([['queue:orders.eu'], ['topic:mirror.orders.eu'], ['queue:readings.all']])
  })

  it('may leave out where it was sent, and is not forwarded further', async () => {
    const core = node([
      { from: 'queue:a', to: ['queue:b'], keep: false },
      { from: 'queue:b', to: ['queue:a'] },
    ])
    const client = core.client()
    client.session.declare(core.queue('a'), PERMANENT)
    client.send(core.queue('a'), 'x')
    const takers = ['a', 'b'].map((name) => client.consume(core.queue(name)))
    await core.settled()
    expect(takers.map(({ texts }) => texts)).toEqual([[], ['x']])
  })
})

describe('a virtual topic', () => {
  it('has its subscriptions as queues, made by their use, before and after a restart', async () => {
    const node = new CoreNode()
    const client = node.client()
    for (const app of ['billing', 'audit']) client.session.declare(node.queue(`Consumer.${app}.VirtualTopic.orders.eu`), PERMANENT)
    client.session.declare(node.queue('Consumer.billing.Other.orders'), PERMANENT)
    client.send(node.topic('VirtualTopic.orders.eu'), 'one')
    await node.settled()
    node.restart()
    const again = node.client()
    again.send(node.topic('VirtualTopic.orders.eu'), 'two')
    again.send(node.topic('VirtualTopic.orders.us'), 'elsewhere')
    again.send(node.topic('Other.orders'), 'plain')
    const takers = ['billing.VirtualTopic.orders.eu', 'audit.VirtualTopic.orders.eu', 'billing.Other.orders'].map((name) =>
      again.consume(node.queue(`Consumer.${name}`)),
    )
    await node.settled()
    expect(takers.map(({ texts }) => texts)).toEqual([['one', 'two'], ['one', 'two'], []])
  })

  describe('with a queue for all topics of a pattern', () => {
    const REST = { wild: 'rest' } as const
    const ONE = { wild: 'one' } as const
    const all = ['Consumer', 'app', 'VirtualTopic', REST] as const
    const wild = (client: Client, pattern: Pattern): Taker =>
      new Taker(client.session, { pattern }, 1_000, { settle: 'unsettled', exclusive: 'no', priority: 0 })
    const use = (node: CoreNode, client: Client, pattern: Pattern): void => {
      const queue = node.core.virtualQueue(pattern)
      if (queue === undefined) throw new Error('it is none')
      client.session.declare(queue, PERMANENT)
    }
    const sorted = ({ texts }: Taker): string[] => texts.toSorted()

    it('keeps what is sent to any of them, also while nobody takes it and over a restart', async () => {
      const node = new CoreNode()
      use(node, node.client(), all)
      node.client().send(node.topic('VirtualTopic.a'), 'a')
      await node.settled()
      node.restart()
      const client = node.client()
      client.send(node.topic('VirtualTopic.b.c'), 'b.c')
      client.send(node.topic('Other.a'), 'other')
      const taker = wild(client, all)
      await node.settled()
      expect(taker.texts).toEqual(['a', 'b.c'])
    })

    it('shares with a queue of one of them, and its consumer takes from that too: one copy for the application', async () => {
      const node = new CoreNode()
      const client = node.client()
      use(node, client, all)
      const taker = wild(client, all)
      client.send(node.topic('VirtualTopic.a'), 'a 1')
      const own = client.consume(
        (client.session.declare(node.queue('Consumer.app.VirtualTopic.a'), PERMANENT), node.queue('Consumer.app.VirtualTopic.a')),
      )
      client.session.declare(node.queue('Consumer.other.VirtualTopic.a'), PERMANENT)
      for (const text of ['a 2', 'a 3']) client.send(node.topic('VirtualTopic.a'), text)
      client.send(node.topic('VirtualTopic.b'), 'b')
      await node.settled()
      expect([...taker.texts, ...own.texts].toSorted()).toEqual(['a 1', 'a 2', 'a 3', 'b'])
      expect(own.texts).toHaveLength(1)
      own.consumer.close()
      client.session.remove(node.queue('Consumer.app.VirtualTopic.a'))
      client.send(node.topic('VirtualTopic.a'), 'a 4')
      await node.settled()
      expect(taker.texts).toContain('a 4')
      expect(node.core.administration.destinations('Consumer.*.VirtualTopic.a', 0, 10).queues.map(({ messages }) => messages)).toEqual([3])
    })

    it('gives each pattern what it matches and no more', async () => {
      const node = new CoreNode()
      const client = node.client()
      const patterns: Pattern[] = [
        all,
        ['Consumer', 'app', 'VirtualTopic', ONE],
        ['Consumer', 'app', 'VirtualTopic', ONE, 'x'],
        ['Consumer', 'app', 'VirtualTopic', 'y', ONE],
      ]
      for (const pattern of patterns) use(node, client, pattern)
      const takers = patterns.map((pattern) => wild(client, pattern))
      for (const name of ['a', 'b.x', 'y.c', 'y.x', 'a.b.c', 'a.b.c']) client.send(node.topic(`VirtualTopic.${name}`), name)
      await node.settled()
      const [everything, one, x, y] = takers.map(sorted)
      // y.x is there twice: neither of the two patterns has the other's queue.
      expect([...everything, ...one, ...x, ...y].toSorted()).toEqual(['a', 'a.b.c', 'a.b.c', 'b.x', 'y.c', 'y.x', 'y.x'])
      expect(one.every((text) => text === 'a')).toBe(true)
      expect(x.every((text) => ['b.x', 'y.x'].includes(text))).toBe(true)
      expect(y.every((text) => ['y.c', 'y.x'].includes(text))).toBe(true)
    })

    it('is none where its name says no application, only one topic, or other topics, or where none is to be made', () => {
      const { core } = new CoreNode({ destinations: { virtualTopics: [{ topics: 'VirtualTopic.*', queues: 'Consumer.*.' }] } })
      for (const pattern of [
        ['Consumer', ONE, 'VirtualTopic', ONE],
        ['Consumer', 'app', 'VirtualTopic', 'a'],
        ['Consumer', 'app', 'Other', ONE],
        ['Consumer', 'app', 'VirtualTopic', REST],
        ['Consumer', REST],
        [REST],
      ] as Pattern[])
        expect(core.virtualQueue(pattern)).toBeUndefined()
      expect(core.virtualQueue(['Consumer', 'app', 'VirtualTopic', ONE])?.path).toEqual(['Consumer', 'app', 'VirtualTopic', '*'])
      const { core: closed } = new CoreNode({ destinations: { autoCreate: false } })
      expect(closed.virtualQueue(all)).toBeUndefined()
    })
  })

  it('is bound at the next claim where the configuration has it only since then, and where a crash came between', async () => {
    const before = new CoreNode({ destinations: { virtualTopics: [] } })
    before.client().session.declare(before.queue('VTC.app.events.a'), PERMANENT)
    await before.settled()
    before.journal.lose(new Error('killed'))
    const node = new CoreNode({ destinations: { virtualTopics: [{ topics: 'events.>', queues: 'VTC.*.' }] } }, {}, before.store, before.clock)
    const client = node.client()
    client.send(node.topic('events.a'), 'x')
    const taker = client.consume(node.queue('VTC.app.events.a'))
    await node.settled()
    expect(taker.texts).toEqual(['x'])
  })
})
