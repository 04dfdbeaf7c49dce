// Bindings with conditions: what a selector or no-local lets through, over settings, restarts and many subscribers.
import { describe, expect, it } from 'vitest'
import { type Client, CoreNode, NO_RETAIN, message, PERMANENT } from '../../test/support/core.ts'
import { headers } from '../../test/support/test-dialect.ts'
import type { Address, Binding } from '../api.ts'

function subscribe(client: Client, queue: Address, changes: Partial<Binding> = {}, durable = true): void {
  client.session.declare(queue, { durable, lifetime: 'permanent' })
  const binding: Binding = { pattern: ['t'], queue, tag: 1, settle: 'unsettled', absent: 'keep', retained: 'always', ...changes }
  if (client.session.bind(binding) === 0) throw client.session.refusal ?? new Error('refused')
}

function send(node: CoreNode, client: Client, text: string, values: Readonly<Record<string, string | number | boolean>>, durable = true): void {
  if (client.send(node.topic('t'), text, { head: headers(values), durable }) === 0) throw client.session.refusal ?? new Error('refused')
}

describe('a binding with a selector', () => {
  it.each([
    ['durable', true, true],
    ['volatile', false, false],
    ['volatile on a durable queue', true, false],
    ['durable on a volatile queue', false, true],
  ])('lets through what it takes: %s', async (_, queueDurable, messageDurable) => {
    const node = new CoreNode()
    const client = node.client()
    const [all, red, both] = ['all', 'red', 'both'].map((name) => node.queue(name))
    subscribe(client, all, {}, queueDurable)
    subscribe(client, red, { selector: "color = 'red'" }, queueDurable)
    subscribe(client, both, { selector: 'size > 2', tag: 2 }, queueDurable)
    subscribe(client, both, { pattern: [{ wild: 'one' }], selector: "color = 'red'", tag: 3 }, queueDurable)
    const takers = [all, red, both].map((queue) => client.consume(queue))
    send(node, client, 'a', { color: 'red', size: 1 }, messageDurable)
    send(node, client, 'b', { color: 'blue', size: 3 }, messageDurable)
    send(node, client, 'c', { color: 'red', size: 3 }, messageDurable)
    send(node, client, 'd', {}, messageDurable)
    await node.settled()
    expect(takers.map(({ texts }) => texts)).toEqual([
      ['a', 'b', 'c', 'd'],
      ['a', 'c'],
      ['a', 'b', 'c'],
    ])
    expect(takers[2].deliveries.map(({ tags }) => tags)).toEqual([[3], [2], [2, 3]])
  })

  it('reads the headers of a message once, however many there are, and not at all where there is none', async () => {
    const node = new CoreNode()
    const client = node.client()
    for (let i = 0; i < 300; i++) subscribe(client, node.queue(`q${i}`), { selector: `id = ${i}` })
    for (let i = 0; i < 300; i++) subscribe(client, node.queue(`p${i}`), { selector: `id > ${i}` })
    send(node, client, 'x', { id: 7 })
    await node.settled()
    expect(node.dialect.headsRead).toBe(1)
    expect(node.core.figures().entries).toBe(8)
    client.send(node.topic('other'), 'y')
    expect(node.dialect.headsRead).toBe(1)
  })

  it('outlives a restart and a snapshot, and so does what it let through', async () => {
    for (const snapshot of [false, true]) {
      const node = new CoreNode()
      const first = node.client({ clientId: 'c', keepMs: Number.POSITIVE_INFINITY })
      subscribe(first, node.queue('q'), { selector: "color = 'red'", noLocal: true })
      send(node, node.client(), 'before', { color: 'red' })
      send(node, node.client(), 'not', { color: 'blue' })
      first.session.close('lost')
      await node.settled()
      if (snapshot) await node.core.snapshot()
      const { digest } = node.core.digest()
      node.restart()
      expect(node.core.digest().digest).toBe(digest)
      const client = node.client()
      expect(client.session.boundTo(node.queue('q'))).toEqual([{ pattern: ['t'], selector: "color = 'red'", noLocal: true, tag: 1, label: 0 }])
      send(node, client, 'after', { color: 'red' })
      send(node, client, 'nor', { color: 'blue' })
      send(node, node.client({ clientId: 'c' }), 'own', { color: 'red' })
      const taker = client.consume(node.queue('q'))
      await node.settled()
      expect(taker.texts).toEqual(['before', 'after'])
    }
  })

  it('reads texts as numbers where that is asked for, in its own words, beside the same one that does not', async () => {
    for (const snapshot of [false, true]) {
      const node = new CoreNode({ limits: { selectorBytes: 9 } })
      const queues = ['converting', 'plain', 'volatile'].map((name) => node.queue(name))
      const asked = { selector: 'size > 10' }
      const before = node.client()
      subscribe(before, queues[0], { ...asked, selectorConverts: true })
      subscribe(before, queues[1], asked)
      await node.settled()
      if (snapshot) await node.core.snapshot()
      node.restart()
      const client = node.client()
      subscribe(client, queues[2], { ...asked, selectorConverts: true }, false)
      for (const queue of queues) expect(client.session.boundTo(queue)).toMatchObject([asked])
      send(node, client, 'text', { size: '11' })
      send(node, client, 'number', { size: 11 })
      send(node, client, 'less', { size: '9' })
      const takers = queues.map((queue) => client.consume(queue))
      await node.settled()
      expect(takers.map(({ texts }) => texts)).toEqual([['text', 'number'], ['number'], ['text', 'number']])
    }
  })

  it('is replaced with its binding', async () => {
    const node = new CoreNode()
    const client = node.client()
    const queue = node.queue('q')
    const taker = (subscribe(client, queue, { selector: 'size = 1' }), client.consume(queue))
    send(node, client, 'a', { size: 1 })
    subscribe(client, queue, { selector: 'size = 2' })
    send(node, client, 'b', { size: 1 })
    send(node, client, 'c', { size: 2 })
    subscribe(client, queue)
    send(node, client, 'd', { size: 1 })
    await node.settled()
    expect(taker.texts).toEqual(['a', 'c', 'd'])
  })

  it('is refused when it is none', () => {
    const node = new CoreNode()
    const client = node.client()
    client.session.declare(node.queue('q'), PERMANENT)
    const binding: Binding = { pattern: ['t'], queue: node.queue('q'), tag: 0, settle: 'settled', absent: 'keep', retained: 'never', selector: 'a =' }
    expect(client.session.bind(binding)).toBe(0)
    expect(client.session.refusal).toMatchObject({ code: 'invalid', message: 'the selector is wrong at character 4: it ends too early' })
    expect(client.session.boundTo(node.queue('q'))).toEqual([])
    expect(client.session.bind({ ...binding, selector: ' ' })).toBeGreaterThan(0)
    expect(client.session.boundTo(node.queue('q'))).toEqual([{ pattern: ['t'], selector: undefined, noLocal: false, tag: 0, label: 0 }])
  })

  it('a queue at its limit does not keep a message from the others', async () => {
    const node = new CoreNode({ destinations: { limitMessages: 1 } })
    const client = node.client()
    subscribe(client, node.queue('full'), { selector: 'size = 1' })
    subscribe(client, node.queue('roomy'), { selector: 'size > 0 AND last' })
    send(node, client, 'a', { size: 1 })
    send(node, client, 'b', { size: 1, last: true })
    const takers = ['full', 'roomy'].map((name) => client.consume(node.queue(name)))
    await node.settled()
    expect(takers.map(({ texts }) => texts)).toEqual([['a'], ['b']])
  })

  it('chooses among retained messages too, in memory and on disk', async () => {
    for (const forgotten of [false, true]) {
      const node = new CoreNode()
      const client = node.client()
      for (let i = 0; i < 40; i++) {
        const retained = message(`r${i}`, { head: headers({ size: i }) })
        client.session.publish(node.topic(`r.${i}`), retained, { ...NO_RETAIN, retain: 'set' })
      }
      await node.settled()
      if (forgotten) node.journal.forget()
      subscribe(client, node.queue('q'), { pattern: ['r', { wild: 'one' }], selector: 'size BETWEEN 10 AND 12' })
      const taker = client.consume(node.queue('q'))
      for (let i = 0; i < 3; i++) await node.settled()
      expect(taker.texts.sort()).toEqual(['r10', 'r11', 'r12'])
    }
  })
})

describe('a binding with no-local', () => {
  it('lets through everything but what its own client sends, by name over connections', async () => {
    const node = new CoreNode()
    const own = node.client({ clientId: 'me', keepMs: 60_000 })
    subscribe(own, node.queue('q'), { noLocal: true })
    send(node, own, 'mine', {})
    send(node, node.client({ clientId: 'you' }), 'yours', {})
    own.session.close('lost')
    const again = node.client({ clientId: 'me' })
    send(node, again, 'mine again', {})
    const taker = again.consume(node.queue('q'))
    await node.settled()
    expect(taker.texts).toEqual(['yours'])
  })

  it('tells nameless clients apart by their session', async () => {
    const node = new CoreNode()
    const own = node.client()
    const other = node.client()
    subscribe(own, node.queue('q'), { noLocal: true, selector: 'size = 1' }, false)
    const taker = own.consume(node.queue('q'))
    for (const client of [own, other]) for (const size of [1, 2]) send(node, client, `${client === own ? 'own' : 'other'} ${size}`, { size }, false)
    await node.settled()
    expect(taker.texts).toEqual(['other 1'])
  })
})
