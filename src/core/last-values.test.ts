import { describe, expect, it } from 'vitest'
import { type Client, CoreNode, PERMANENT } from '../../test/support/core.ts'
import { headers } from '../../test/support/test-dialect.ts'

const policies = [{ match: 'queue:prices.>', lastValueKey: 'symbol' }]

describe('a queue that keeps last values', () => {
  const start = async (): Promise<{ node: CoreNode; client: Client; send: (text: string, symbol?: string) => void }> => {
    const node = new CoreNode({ destinations: { policies } })
    const client = node.client()
    client.session.declare(node.queue('prices.eu'), PERMANENT)
    await node.settled()
    return {
      node,
      client,
      send: (text, symbol) => void client.send(node.queue('prices.eu'), text, symbol === undefined ? {} : { head: headers({ symbol }) }),
    }
  }

  it('has the newest of each key, and whatever has none', async () => {
    const { node, client, send } = await start()
    send('a1', 'a')
    send('b1', 'b')
    send('none')
    await node.settled()
    send('a2', 'a')
    send('none either')
    send('a3', 'a')
    await node.settled()
    const { digest } = node.core.digest()
    node.restart()
    expect(node.core.digest().digest).toBe(digest)
    const taker = node.client().consume(node.queue('prices.eu'))
    await node.settled()
    expect(taker.texts).toEqual(['b1', 'none', 'none either', 'a3'])
    expect(client).toBeDefined()
  })

  it('does not take from anybody what he has in hand; given back it makes way', async () => {
    const { node, client, send } = await start()
    send('a1', 'a')
    const taker = client.consume(node.queue('prices.eu'), 1)
    await node.settled()
    send('a2', 'a')
    await node.settled()
    expect(taker.texts).toEqual(['a1'])
    taker.consumer.settle(1, 1, { kind: 'released', afterMs: 0 }, true)
    taker.consumer.grant(5, 0)
    await node.settled()
    expect(taker.texts).toEqual(['a1', 'a2'])
  })

  it('goes on with what a predecessor left, read from disk if need be', async () => {
    const { node, send } = await start()
    for (const name of ['a', 'b', 'c']) send(`${name}1`, name)
    await node.settled()
    node.restart()
    node.journal.forget()
    const client = node.client()
    client.send(node.queue('prices.eu'), 'b2', { head: headers({ symbol: 'b' }) })
    for (let i = 0; i < 10; i++) await node.settled()
    const taker = client.consume(node.queue('prices.eu'))
    await node.settled()
    expect(taker.texts).toEqual(['a1', 'c1', 'b2'])
  })
})

describe('keys', () => {
  it('that are long are told apart to the end', async () => {
    const node = new CoreNode({ destinations: { policies } })
    const client = node.client()
    const queue = node.queue('prices.eu')
    client.session.declare(queue, PERMANENT)
    const long = 'k'.repeat(10_000)
    for (const [text, symbol] of [
      ['x1', `${long}x`],
      ['y1', `${long}y`],
      ['x2', `${long}x`],
    ])
      client.send(queue, text, { head: headers({ symbol }) })
    await node.settled()
    const taker = client.consume(queue)
    await node.settled()
    expect(taker.texts).toEqual(['y1', 'x2'])
  })
})

describe('many that an earlier leader left', () => {
  it('are judged while consumers take them, those of message groups too', async () => {
    const node = new CoreNode({})
    const before = node.client()
    const queue = node.queue('prices.eu')
    before.session.declare(queue, PERMANENT)
    const count = 3_000
    for (let i = 0; i < count; i++) {
      const grouped = i % 4 === 0 ? { group: `g${i % 5}` } : {}
      before.send(queue, String(i), { head: headers({ symbol: `s${i % 500}` }), ...grouped })
    }
    await node.settled()
    // The policy came with the restart.
    Object.assign(node.settings.destinations, { policies })
    node.restart()
    const client = node.client()
    const taker = client.consume(queue, 5)
    await node.settled()
    await node.until(() => node.core.figures().entries === 505)
    taker.accept(1, 5)
    taker.consumer.grant(1_000, 1e9)
    await node.until(() => node.core.figures().entries === 500)
    await node.until(() => taker.texts.length >= 505)
    expect(new Set(taker.texts.slice(5))).toEqual(new Set(Array.from({ length: 500 }, (_, i) => String(count - 500 + i))))
  })
})

describe('the longest time to live', () => {
  it('cuts longer wishes, and holds for messages without one', async () => {
    const node = new CoreNode({ destinations: { deadLetter: '', policies: [{ match: 'queue:short.>', messageTtlMaxMs: 1_000 }] } })
    const client = node.client()
    const at = node.clock.wallMs()
    for (const name of ['short.q', 'long']) {
      client.session.declare(node.queue(name), PERMANENT)
      for (const [text, expiresAtMs] of [
        ['none', 0],
        ['longer', at + 60_000],
        ['shorter', at + 500],
      ] as const)
        client.send(node.queue(name), text, { expiresAtMs })
    }
    await node.settled()
    node.clock.advance(1_100)
    await node.settled()
    const takers = ['short.q', 'long'].map((name) => client.consume(node.queue(name)))
    await node.settled()
    expect(takers.map(({ texts }) => texts)).toEqual([[], ['none', 'longer']])
  })
})
