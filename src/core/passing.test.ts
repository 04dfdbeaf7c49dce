// What a consumer makes its session's own before it shows it: on one of the two queues at every instant, and in its hands all the time.
import { describe, expect, it } from 'vitest'
import { type Client, CoreNode, PERMANENT, Taker } from '../../test/support/core.ts'
import { CoreAddress } from './addresses.ts'
import { Replica } from './replica.ts'
import { encodeState } from './snapshot.ts'

const KEPT = { clientId: 'c', keepMs: 1e9 }

/** A client with a queue of its own that takes from it and from one that all share, and so many messages there. */
async function taking(texts: readonly string[], node = new CoreNode()) {
  const client = node.client(KEPT)
  const [shared, mine] = [node.queue('shared'), node.queue('mine')]
  client.session.declare(shared, PERMANENT)
  client.session.declare(mine, { durable: true, lifetime: 'held' })
  client.session.hold(mine, 0)
  const taker = both(node, client)
  for (const text of texts) client.send(shared, text)
  await node.until(() => taker.deliveries.length === texts.length)
  return { node, client, shared, mine, taker }
}

function both(node: CoreNode, client: Client): Taker {
  return new Taker(client.session, [node.queue('mine'), node.queue('shared')], 1_000, { settle: 'by-binding', exclusive: 'no', priority: 0 })
}

function counts(node: CoreNode): Readonly<Record<string, number>> {
  return Object.fromEntries(node.core.administration.destinations('', 0, 100).queues.map(({ name, messages }) => [name, messages]))
}

describe('a delivery that is passed', () => {
  it('is on the other queue, unsettled, under its tag, and gone from there when it is settled', async () => {
    const { node, client, mine, taker } = await taking(['a', 'b'])
    const passed = taker.consumer.pass(2, mine, false)
    expect(passed).toMatchObject({ ref: { sequence: 1 } })
    await node.settled()
    expect(client.doneUpTo).toBeGreaterThanOrEqual(passed?.ticket ?? Number.NaN)
    expect(counts(node)).toMatchObject({ shared: 1, mine: 1 })
    expect(taker.consumer.mark(2, 1)).toBeGreaterThan(0)
    expect(taker.consumer.settle(1, 2, { kind: 'accepted' }, true)).toBeGreaterThan(0)
    await node.settled()
    expect(counts(node)).toMatchObject({ shared: 0, mine: 0 })
    expect(taker.texts).toEqual(['a', 'b'])
  })

  it.each(['with its connection', 'with the node', 'with the node, after a snapshot'])(
    'comes again from there to its session, first and in order, when it is lost %s',
    async (how) => {
      const first = await taking(['a', 'b', 'c'])
      const { node, mine } = first
      const refs = [1, 2].map((tag) => first.taker.consumer.pass(tag, mine, false)?.ref)
      await node.settled()
      const replica = new Replica(node.settings.destinations)
      const batch = node.journal.committed
      node.store.replay(replica, batch)
      expect(replica.digest().digest).toBe(node.core.digest().digest)
      if (how.endsWith('snapshot')) node.store.writeSnapshot(batch, encodeState(replica.state))
      if (how === 'with its connection') first.client.session.close('lost')
      else node.restart()
      const client = node.client(KEPT)
      const other = node.client().consume(node.queue('shared'))
      const again = client.consume(mine)
      await node.until(() => again.deliveries.length === 2 && other.deliveries.length === 1)
      expect(other.texts).toEqual(['c'])
      expect(again.texts).toEqual(['a', 'b'])
      expect(again.deliveries.map(({ ref }) => ref)).toEqual(refs)
      for (const delivery of again.deliveries) {
        expect(delivery).toMatchObject({ maybeSeen: true, mode: 'unsettled' })
        expect(delivery.dead?.origin.path).toEqual(['shared'])
      }
      again.consumer.settle(1, 2, { kind: 'accepted' }, true)
      await node.settled()
      expect(counts(node)).toMatchObject({ mine: 0 })
    },
  )

  it('is on the queue that it came from when the node dies before the commit', async () => {
    const { node, mine, taker } = await taking(['a'])
    taker.consumer.pass(1, mine, false)
    node.restart()
    expect(counts(node)).toMatchObject({ shared: 1, mine: 0 })
  })

  it('is given to nobody before the commit, when its consumer closes meanwhile', async () => {
    const { node, client, mine, taker } = await taking(['a'])
    const passed = taker.consumer.pass(1, mine, false)
    taker.consumer.close()
    const again = client.consume(mine)
    await node.until(() => again.deliveries.length === 1)
    expect(client.doneUpTo).toBeGreaterThanOrEqual(passed?.ticket ?? Number.NaN)
    expect(again.deliveries[0].maybeSeen).toBe(true)
  })

  it('is forgotten with the queue that is removed before or after the commit', async () => {
    for (const early of [true, false]) {
      const { node, client, mine, taker } = await taking(['a', 'b'])
      taker.consumer.pass(1, mine, false)
      if (!early) await node.settled()
      client.session.remove(mine)
      await node.settled()
      expect(taker.consumer.settle(1, 1, { kind: 'accepted' }, false)).toBe(0)
      expect(taker.consumer.settle(2, 2, { kind: 'accepted' }, false)).toBeGreaterThan(0)
      client.send(node.queue('shared'), 'c')
      await node.until(() => taker.deliveries.length === 3)
      expect(taker.texts).toEqual(['a', 'b', 'c'])
    }
  })

  it.each([
    { kind: 'released', afterMs: 0 },
    { kind: 'modified', failed: true, elsewhere: false, afterMs: 0 },
  ] as const)('is there once more when it is given back as $kind before the commit', async (outcome) => {
    const { node, client, mine, shared, taker } = await taking(['a', 'b'])
    for (const tag of [1, 2]) taker.consumer.pass(tag, mine, false)
    expect(taker.consumer.settle(1, 1, outcome, false)).toBeGreaterThan(0)
    await node.settled()
    await node.until(() => taker.deliveries.length === 3)
    for (const text of ['c', 'd']) client.send(shared, text)
    await node.until(() => taker.deliveries.length >= 5)
    await node.settled()
    expect(taker.texts).toEqual(['a', 'b', 'a', 'c', 'd'])
    expect(taker.consumer.settle(2, 5, { kind: 'accepted' }, true)).toBeGreaterThan(0)
    await node.settled()
    expect(counts(node)).toEqual({ shared: 0, mine: 0 })
  })

  it('stays in hand though its time seems to come again', async () => {
    for (const durable of [true, false]) {
      const { node, client, mine, shared, taker } = await taking([])
      client.send(shared, 'a', { deliverAtMs: node.clock.wallMs() + 1_000, durable })
      await node.settled()
      node.clock.advance(2_000)
      await node.until(() => taker.deliveries.length === 1)
      node.clock.jump(node.clock.wallMs() - 5_000)
      taker.consumer.pass(1, mine, false)
      await node.settled()
      node.clock.advance(10_000)
      for (const text of ['b', 'c']) client.send(shared, text)
      await node.until(() => taker.deliveries.length >= 3)
      await node.settled()
      expect(taker.texts).toEqual(['a', 'b', 'c'])
      taker.consumer.settle(1, 3, { kind: 'accepted' }, true)
      await node.settled()
      expect(counts(node)).toEqual({ shared: 0, mine: 0 })
    }
  })

  it('dies as any other when it is rejected, and a dead letter is not passed', async () => {
    const { node, client, mine, taker } = await taking(['a', 'b'])
    taker.consumer.pass(1, mine, true)
    await node.settled()
    taker.consumer.settle(1, 2, { kind: 'rejected', reason: 'bad' }, true)
    await node.settled()
    expect(counts(node)).toMatchObject({ shared: 0, mine: 0, 'ActiveMQ.DLQ': 2 })
    const dead = client.consume(node.queue('ActiveMQ.DLQ'))
    await node.until(() => dead.deliveries.length === 2)
    expect(dead.deliveries.map((each) => each.dead)).toMatchObject(Array(2).fill({ reason: 'bad', origin: { path: ['shared'] } }))
    expect(dead.consumer.pass(1, mine, true)).toBeUndefined()
    expect(client.session.refusal?.code).toBe('invalid')
  })

  it('comes by what it came by before, also when it comes again or is returned', async () => {
    const { node, client, mine, shared, taker } = await taking([])
    client.session.bind({ pattern: ['t', { wild: 'rest' }], queue: shared, tag: 3, settle: 'unsettled', absent: 'keep', retained: 'never' })
    const via = node.core.address('topic', ['t', 'x'])
    for (const text of ['a', 'b']) client.send(via, text)
    client.send(shared, 'c')
    await node.until(() => taker.deliveries.length === 3)
    for (const tag of [1, 2, 3]) taker.consumer.pass(tag, mine, true)
    await node.settled()
    const names = ({ deliveries }: Taker): string[] => deliveries.map(({ to }) => `${to.kind} ${to.path.join('.')}`)
    const expected = ['topic t.x', 'topic t.x', 'queue shared']
    expect(names(taker)).toEqual(expected)
    client.session.close('lost')
    const back = node.client(KEPT)
    const again = both(node, back)
    await node.until(() => again.deliveries.length === 3)
    expect(names(again)).toEqual(expected)
    back.session.close('clean', 0)
    await node.settled()
    node.restart()
    const other = node.client().consume(node.queue('shared'))
    await node.until(() => other.deliveries.length === 3)
    expect(names(other)).toEqual(expected)
  })

  it('is told from what clients say, and however much that was', async () => {
    const { node, client, mine, taker } = await taking(['a', 'b'])
    const LENT = 'passed on, to come back'
    taker.consumer.pass(1, mine, true)
    taker.consumer.settle(2, 2, { kind: 'rejected', reason: LENT }, true)
    await node.settled()
    const letters = client.consume(node.queue('ActiveMQ.DLQ'))
    await node.until(() => letters.deliveries.length === 1)
    expect(letters.deliveries[0].dead).toMatchObject({ reason: '', origin: { path: ['shared'] } })
    const { state } = new Replica(node.settings.destinations)
    const [one, other] = ['one', 'other'].map((name) => new CoreAddress('queue', [name], ''))
    for (let i = 0; i < 100_001; i++) state.deadNumber(`order ${i}`, one)
    expect(['order x', LENT].map((reason) => state.dead[state.deadNumber(reason, other)]?.reason)).toEqual(['', LENT])
  })

  it('keeps its message group in order', async () => {
    const { node, client, shared, mine, taker } = await taking([])
    for (const text of ['a', 'b', 'c']) client.send(shared, text, { group: 'g' })
    await node.until(() => taker.deliveries.length === 3)
    for (const tag of [1, 2, 3]) taker.consumer.pass(tag, mine, false)
    client.send(mine, 'd', { group: 'g' })
    await node.until(() => taker.deliveries.length === 4)
    taker.consumer.settle(1, 4, { kind: 'accepted' }, true)
    await node.settled()
    for (const text of ['e', 'f']) client.send(mine, text, { group: 'g' })
    await node.until(() => taker.deliveries.length === 6)
    expect(taker.texts.join('')).toBe('abcdef')
  })

  it('expires no more', async () => {
    const { node, client, shared, mine, taker } = await taking([])
    client.send(shared, 'x', { expiresAtMs: node.clock.wallMs() + 1_000 })
    await node.until(() => taker.deliveries.length === 1)
    taker.consumer.pass(1, mine, true)
    await node.settled()
    client.session.close('lost')
    node.clock.advance(100_000)
    const again = node.client(KEPT).consume(mine)
    await node.until(() => again.deliveries.length === 1)
  })

  it.each([false, true])('does what was asked for when its session ends for good: back %s', async (back) => {
    for (const death of [false, true]) {
      const { node, client, mine, taker } = await taking(['a', 'b', 'c', 'd'])
      for (const tag of [1, 2, 3]) taker.consumer.pass(tag, mine, back)
      taker.consumer.mark(2, 1)
      await node.settled()
      client.session.close('clean', 0)
      await node.settled()
      if (death) node.restart()
      expect(counts(node)).toEqual({ shared: back ? 3 : 1 })
      const other = node.client().consume(node.queue('shared'))
      await node.until(() => other.deliveries.length === (back ? 3 : 1))
      expect(other.texts).toEqual(back ? ['d', 'a', 'c'] : ['d'])
      expect(other.deliveries.every(({ maybeSeen, dead }) => maybeSeen && dead === undefined)).toBe(true)
    }
  })

  it('is refused if it is settled, has nowhere to go, or would not survive there', async () => {
    const { node, client, mine, shared, taker } = await taking(['a'])
    const volatile = node.queue('volatile')
    client.session.declare(volatile, { durable: false, lifetime: 'permanent' })
    const refused: readonly (readonly [number, ReturnType<CoreNode['queue']>, string])[] = [
      [1, node.queue('nowhere'), 'not-found'],
      [1, shared, 'invalid'],
      [1, volatile, 'invalid'],
      [3, mine, 'not-found'],
    ]
    for (const [tag, to, code] of refused) {
      expect(taker.consumer.pass(tag, to, false)).toBeUndefined()
      expect(client.session.refusal?.code).toBe(code)
    }
    expect(taker.consumer.settle(1, 1, { kind: 'accepted' }, false)).toBeGreaterThan(0)
    expect(taker.texts).toEqual(['a'])
  })

  it('outlives its consumer, and not the node, if it is not durable', async () => {
    const { node, client, mine, shared, taker } = await taking([])
    client.send(shared, 'a', { durable: false })
    client.send(shared, 'b')
    await node.until(() => taker.deliveries.length === 2)
    for (const tag of [2, 1]) taker.consumer.pass(tag, mine, true)
    await node.settled()
    taker.consumer.close()
    const again = client.consume(mine)
    await node.until(() => again.deliveries.length === 2)
    expect(again.texts).toEqual(['b', 'a'])
    node.restart()
    expect(counts(node)).toEqual({ shared: 0, mine: 1 })
  })
})
