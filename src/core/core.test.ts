// The core over a journal in memory: queues, topics, settlement, sessions, and what a restart leaves of them.
import { describe, expect, it } from 'vitest'
import { CoreNode, message, NO_RETAIN, PERMANENT, textOf } from '../../test/support/core.ts'
import type { Address, Binding, Pattern } from '../api.ts'
import type { Client, Taker } from '../../test/support/core.ts'

const REST: Pattern = [{ wild: 'rest' }]

function subscribe(client: Client, queue: Address, pattern: Pattern, changes: Partial<Binding> = {}, durable = false): void {
  client.session.declare(queue, { durable, lifetime: 'held' })
  client.session.hold(queue, 0)
  const ticket = client.session.bind({ pattern, queue, tag: 1, settle: 'if-durable', absent: 'drop', retained: 'always', ...changes })
  if (ticket === 0) throw client.session.refusal ?? new Error('refused')
}

describe('a queue', () => {
  it('gives what was sent to it, in order, after the commit', async () => {
    const node = new CoreNode({}, { manual: true })
    const client = node.client()
    const queue = node.queue('a.b')
    client.session.declare(queue, PERMANENT)
    const taker = client.consume(queue)
    const tickets = ['one', 'two', 'three'].map((text) => client.send(queue, text))
    await new Promise((resolve) => setImmediate(resolve))
    expect(taker.texts).toEqual([])
    expect(client.doneUpTo).toBe(0)
    node.journal.commit()
    await node.settled()
    expect(taker.texts).toEqual(['one', 'two', 'three'])
    expect(client.doneUpTo).toBe(tickets[2])
    expect(taker.deliveries.map((delivery) => delivery.tag)).toEqual([1, 2, 3])
  })

  it('is made on first use unless the configuration says otherwise, and then by management', async () => {
    const policies = [{ match: 'queue:open.>', autoCreate: true }]
    const node = new CoreNode({ destinations: { autoCreate: false, policies } })
    const client = node.client()
    expect(client.session.declare(node.queue('closed'), PERMANENT)).toBe(0)
    expect(client.session.refusal?.code).toBe('denied')
    expect(client.session.declare(node.queue('open.x'), PERMANENT)).toBeGreaterThan(0)
    expect(await node.core.declare(node.queue('closed'))).toBe(true)
    expect(await node.core.declare(node.queue('closed'))).toBe(false)
    expect(client.session.declare(node.queue('closed'), PERMANENT)).toBeGreaterThan(0)
    node.restart()
    expect(node.client().send(node.queue('closed'), 'x')).toBeGreaterThan(0)
  })

  it.each([true, false])('is in a new snapshot soon after the begin of a term exactly if the one before was damaged (%s)', async (damaged) => {
    const node = new CoreNode()
    node.journal.snapshotDue = damaged
    await node.settled()
    node.clock.advance(5_000)
    await node.settled()
    expect([node.store.snapshot !== undefined, node.journal.snapshotDue]).toEqual([damaged, false])
  })

  it('refuses a message to a queue that is not there', () => {
    const node = new CoreNode()
    const client = node.client()
    expect(client.send(node.queue('nowhere'), 'x')).toBe(0)
    expect(client.session.refusal?.code).toBe('not-found')
  })

  it('never gives more than its consumer has credit for', async () => {
    const node = new CoreNode()
    const client = node.client()
    const queue = node.queue('q')
    client.session.declare(queue, PERMANENT)
    const taker = client.consume(queue, 2)
    for (let i = 0; i < 5; i++) client.send(queue, String(i))
    await node.settled()
    expect(taker.texts).toEqual(['0', '1'])
    taker.consumer.grant(1, 0)
    await node.settled()
    expect(taker.texts).toEqual(['0', '1', '2'])
  })

  it('shares its messages among its consumers in turn', async () => {
    const node = new CoreNode()
    const client = node.client()
    const queue = node.queue('q')
    client.session.declare(queue, PERMANENT)
    const takers = [client.consume(queue), client.consume(queue)]
    for (let i = 0; i < 6; i++) client.send(queue, String(i))
    await node.settled()
    expect(takers.map((taker) => taker.texts)).toEqual([
      ['0', '2', '4'],
      ['1', '3', '5'],
    ])
  })

  it('a released message keeps its place', async () => {
    const node = new CoreNode()
    const client = node.client()
    const queue = node.queue('q')
    client.session.declare(queue, PERMANENT)
    for (let i = 0; i < 6; i++) client.send(queue, String(i))
    const first = client.consume(queue, 4)
    await node.settled()
    first.accept(2)
    first.consumer.close()
    const second = client.consume(queue)
    await node.settled()
    expect(second.texts).toEqual(['0', '2', '3', '4', '5'])
    expect(second.deliveries.map((delivery) => delivery.attempts)).toEqual([2, 2, 2, 1, 1])
    expect(second.deliveries.map((delivery) => delivery.maybeSeen)).toEqual([true, true, true, false, false])
  })

  it('settles ranges, once', async () => {
    const node = new CoreNode()
    const client = node.client()
    const queue = node.queue('q')
    client.session.declare(queue, PERMANENT)
    const taker = client.consume(queue)
    for (let i = 0; i < 10; i++) client.send(queue, String(i))
    await node.settled()
    expect(taker.accept(3)).toBeGreaterThan(0)
    expect(taker.accept(3)).toBe(0)
    expect(client.session.refusal?.code).toBe('not-found')
    expect(taker.accept(1, 10)).toBeGreaterThan(0)
    expect(node.core.figures().entries).toBe(0)
  })

  it('keeps what was committed over a restart, and nothing that was settled with an answer', async () => {
    const node = new CoreNode()
    let client = node.client()
    const queue = node.queue('q')
    client.session.declare(queue, PERMANENT)
    for (let i = 0; i < 5; i++) client.send(queue, String(i))
    const taker = client.consume(queue)
    await node.settled()
    taker.accept(2, 3)
    await node.settled()
    node.restart()
    client = node.client()
    const again = client.consume(queue)
    await node.settled()
    expect(again.texts).toEqual(['0', '3', '4'])
    expect(again.deliveries.every((delivery) => delivery.maybeSeen)).toBe(true)
  })

  it('loses what is not durable at a restart, and nothing else', async () => {
    const node = new CoreNode()
    let client = node.client()
    const queue = node.queue('q')
    client.session.declare(queue, PERMANENT)
    client.send(queue, 'gone', { durable: false })
    client.send(queue, 'kept')
    client.send(queue, 'gone too', { durable: false })
    await node.settled()
    node.restart()
    client = node.client()
    const taker = client.consume(queue)
    await node.settled()
    expect(taker.texts).toEqual(['kept'])
  })

  it('never gives a sequence twice, also not those of messages that a restart forgot', async () => {
    const node = new CoreNode()
    const queue = node.queue('q')
    const seen = new Set<number>()
    for (let term = 0; term < 4; term++) {
      const client = node.client()
      client.session.declare(queue, PERMANENT)
      const taker = client.consume(queue)
      for (let i = 0; i < 3; i++) client.send(queue, String(i), { durable: false })
      if (term % 2 === 1) client.send(queue, 'durable')
      await node.settled()
      for (const { ref } of taker.deliveries) {
        expect(seen.has(ref.sequence)).toBe(false)
        seen.add(ref.sequence)
      }
      taker.accept(1, 100)
      await node.settled()
      node.restart()
    }
    expect(seen.size).toBe(4 * 3 + 2)
  })

  it('gives out no number twice although a million volatile messages came between two restarts', async () => {
    const node = new CoreNode()
    const queue = node.queue('q')
    let highest = 0
    for (let term = 0; term < 3; term++) {
      const client = node.client()
      client.session.declare(queue, PERMANENT)
      const taker = client.consume(queue, 1e6, { settle: 'settled' })
      const body = message('x', { durable: false })
      for (let i = 0; i < (term === 0 ? 1_100_000 : 10); i++) {
        client.session.publish(queue, body, NO_RETAIN)
        if (i % 4_000 !== 3_999) continue
        await new Promise((resolve) => setImmediate(resolve))
        taker.consumer.grant(4_000, 0)
        highest = Math.max(highest, taker.deliveries.at(-1)?.ref.sequence ?? 0)
        taker.deliveries.length = 0
      }
      await node.settled()
      expect(Math.min(...taker.deliveries.map(({ ref }) => ref.sequence))).toBeGreaterThan(term === 0 ? 0 : highest)
      highest = Math.max(highest, ...taker.deliveries.map(({ ref }) => ref.sequence))
      node.restart()
    }
  }, 30_000)

  it('names no two messages by one number when a queue was never committed: even what is volatile waits for the queue itself', async () => {
    const node = new CoreNode({}, { manual: true })
    const client = node.client()
    client.session.declare(node.queue('lost'), PERMANENT)
    const taker = client.consume(node.queue('lost'))
    client.send(node.queue('lost'), 'volatile', { durable: false })
    for (let i = 0; i < 4; i++) await new Promise((resolve) => setImmediate(resolve))
    expect(taker.texts).toEqual([])
    node.journal.commit()
    for (let i = 0; i < 4; i++) await new Promise((resolve) => setImmediate(resolve))
    expect(taker.texts).toEqual(['volatile'])
    client.send(node.queue('lost'), 'at once', { durable: false })
    for (let i = 0; i < 4; i++) await new Promise((resolve) => setImmediate(resolve))
    expect(taker.texts).toEqual(['volatile', 'at once'])
  })

  it('a message without durability behind an uncommitted one waits with it', async () => {
    const node = new CoreNode({}, { manual: true })
    const client = node.client()
    const queue = node.queue('q')
    client.session.declare(queue, PERMANENT)
    node.journal.commit()
    const taker = client.consume(queue)
    client.send(queue, 'durable')
    client.send(queue, 'not durable', { durable: false })
    await new Promise((resolve) => setImmediate(resolve))
    expect(taker.texts).toEqual([])
    node.journal.commit()
    await node.settled()
    expect(taker.texts).toEqual(['durable', 'not durable'])
  })

  it('gives a message back after a failure, later each time, and buries it after the last one', async () => {
    const node = new CoreNode({ destinations: { failuresMax: 3, redeliveryDelayMs: 100, redeliveryBackoff: 2 } })
    const client = node.client()
    const queue = node.queue('work.orders')
    client.session.declare(queue, PERMANENT)
    const taker = client.consume(queue)
    client.send(queue, 'poison')
    await node.settled()
    const fail = { kind: 'modified', failed: true, elsewhere: false, afterMs: 0 } as const
    taker.consumer.settle(1, 1, fail, true)
    await node.settled()
    expect(taker.deliveries.length).toBe(1)
    node.clock.advance(120)
    await node.settled()
    expect(taker.deliveries[1]).toMatchObject({ attempts: 2, failures: 1 })
    taker.consumer.settle(2, 2, fail, true)
    node.clock.advance(120)
    await node.settled()
    expect(taker.deliveries.length).toBe(2)
    node.clock.advance(120)
    await node.settled()
    expect(taker.deliveries[2]).toMatchObject({ attempts: 3, failures: 2 })
    taker.consumer.settle(3, 3, fail, true)
    await node.settled()
    const dead = client.consume(node.queue('ActiveMQ.DLQ'))
    await node.settled()
    expect(dead.texts).toEqual(['poison'])
    expect(dead.deliveries[0].dead).toMatchObject({ reason: 'failed 3 times', origin: { path: ['work', 'orders'] } })
    node.restart()
    const later = node.client().consume(node.queue('ActiveMQ.DLQ'))
    await node.settled()
    expect(later.deliveries[0].dead).toMatchObject({ reason: 'failed 3 times', origin: { path: ['work', 'orders'] } })
  })

  it('remembers failures over a restart', async () => {
    const node = new CoreNode()
    let client = node.client()
    const queue = node.queue('q')
    client.session.declare(queue, PERMANENT)
    client.send(queue, 'x')
    const taker = client.consume(queue, 1)
    await node.settled()
    taker.consumer.settle(1, 1, { kind: 'modified', failed: true, elsewhere: false, afterMs: 0 }, true)
    await node.settled()
    node.restart()
    client = node.client()
    const again = client.consume(queue)
    await node.settled()
    expect(again.deliveries[0]).toMatchObject({ failures: 1, attempts: 2 })
  })

  it('drops what has expired, whether somebody asks or not', async () => {
    const node = new CoreNode({ destinations: { expiredToDeadLetter: false } })
    const client = node.client()
    const queue = node.queue('q')
    client.session.declare(queue, PERMANENT)
    client.send(queue, 'short', { expiresAtMs: node.clock.wallMs() + 1_000 })
    client.send(queue, 'long', { expiresAtMs: node.clock.wallMs() + 100_000 })
    await node.settled()
    for (let i = 0; i < 12; i++) node.clock.advance(100)
    await node.settled()
    expect(node.core.figures().entries).toBe(1)
    const taker = client.consume(queue)
    await node.settled()
    expect(taker.texts).toEqual(['long'])
    expect(node.core.figures().dropped).toBe(1)
  })

  it('puts what has expired on the dead-letter queue, where nothing expires and nothing dies', async () => {
    const node = new CoreNode({ destinations: { deadLetter: 'DLQ.{name}', failuresMax: 1 } })
    let client = node.client()
    const queue = node.queue('a.b')
    client.session.declare(queue, PERMANENT)
    client.send(queue, 'late', { expiresAtMs: node.clock.wallMs() + 500 })
    await node.settled()
    for (let i = 0; i < 20; i++) node.clock.advance(100)
    await node.settled()
    for (let i = 0; i < 2; i++) {
      const taker = client.consume(node.queue('DLQ.a.b'))
      await node.settled()
      expect(taker.texts).toEqual(['late'])
      expect(taker.deliveries[0].dead).toMatchObject({ reason: 'expired', origin: { path: ['a', 'b'] } })
      taker.consumer.settle(1, 1, { kind: 'modified', failed: true, elsewhere: false, afterMs: 0 }, true)
      await node.settled()
      expect(taker.texts).toEqual(['late', 'late'])
      node.restart()
      client = node.client()
    }
  })

  it('drops what expired while it was in hand, once it is back', async () => {
    const node = new CoreNode({ destinations: { expiredToDeadLetter: false } })
    const client = node.client()
    const queue = node.queue('q')
    client.session.declare(queue, PERMANENT)
    client.send(queue, 'x', { expiresAtMs: node.clock.wallMs() + 1_000 })
    const taker = client.consume(queue)
    await node.settled()
    for (let i = 0; i < 20; i++) node.clock.advance(100)
    expect(node.core.figures().entries).toBe(1)
    taker.consumer.close()
    node.clock.advance(100)
    expect(node.core.figures().entries).toBe(0)
  })

  it('holds a message until its time', async () => {
    const node = new CoreNode()
    let client = node.client()
    const queue = node.queue('q')
    client.session.declare(queue, PERMANENT)
    client.send(queue, 'later', { deliverAtMs: node.clock.wallMs() + 5_000 })
    client.send(queue, 'now')
    await node.settled()
    node.restart()
    client = node.client()
    const taker = client.consume(queue)
    await node.settled()
    expect(taker.texts).toEqual(['now'])
    for (let i = 0; i < 60; i++) node.clock.advance(100)
    await node.settled()
    expect(taker.texts).toEqual(['now', 'later'])
  })

  it('refuses a second consumer beside an exclusive one', () => {
    const node = new CoreNode()
    const client = node.client()
    const queue = node.queue('q')
    client.session.declare(queue, PERMANENT)
    const only = client.consume(queue, 1, { exclusive: 'refuse' })
    expect(() => client.consume(queue)).toThrow(/exclusive/)
    only.consumer.close()
    expect(() => client.consume(queue)).not.toThrow()
  })

  it('removed while messages are in hand forgets them all and tells its consumers', async () => {
    const node = new CoreNode()
    const client = node.client()
    const queue = node.queue('q')
    client.session.declare(queue, PERMANENT)
    const taker = client.consume(queue, 2)
    for (let i = 0; i < 4; i++) client.send(queue, String(i))
    await node.settled()
    client.send(queue, 'uncommitted')
    client.session.remove(queue)
    expect(taker.accept(1)).toBe(0)
    await node.settled()
    expect(taker.error?.code).toBe('removed')
    expect(node.core.figures().entries).toBe(0)
    client.session.declare(queue, PERMANENT)
    client.send(queue, 'new')
    const second = client.consume(queue)
    await node.settled()
    expect(second.texts).toEqual(['new'])
  })

  it('purges what waits for its time, too', async () => {
    const node = new CoreNode({ destinations: { redeliveryDelayMs: 60_000 } })
    const client = node.client()
    const queue = node.queue('q')
    client.session.declare(queue, PERMANENT)
    client.send(queue, 'later', { deliverAtMs: node.clock.wallMs() + 60_000 })
    const taker = client.consume(queue, 1)
    client.send(queue, 'failed')
    client.send(queue, 'in hand')
    await node.settled()
    taker.consumer.settle(1, 1, { kind: 'modified', failed: true, elsewhere: false, afterMs: 0 }, true)
    taker.consumer.grant(1, 0)
    await node.settled()
    expect(taker.texts).toEqual(['failed', 'in hand'])
    expect(await node.core.purge(queue)).toBe(2)
    node.clock.advance(120_000)
    await node.settled()
    expect(taker.texts).toEqual(['failed', 'in hand'])
    expect(node.core.figures().entries).toBe(1)
  })

  it('purges what nobody has in hand', async () => {
    const node = new CoreNode()
    const client = node.client()
    const queue = node.queue('q')
    client.session.declare(queue, PERMANENT)
    const taker = client.consume(queue, 1)
    for (let i = 0; i < 4; i++) client.send(queue, String(i))
    await node.settled()
    expect(await node.core.purge(queue)).toBe(3)
    taker.accept(1)
    await node.settled()
    node.restart()
    expect(node.core.figures().entries).toBe(0)
  })
})

describe('a full queue', () => {
  it('parks publishes and lets settlements past, in order, until there is room', async () => {
    const node = new CoreNode({ destinations: { limitMessages: 2 } })
    const client = node.client()
    const queue = node.queue('q')
    client.session.declare(queue, PERMANENT)
    const taker = client.consume(queue, 1)
    const tickets = ['0', '1', '2', '3', '4'].map((text) => client.send(queue, text))
    expect(tickets.map((ticket) => ticket > 0)).toEqual([true, true, false, false, false])
    for (let tag = 1; tag <= 5; tag++) {
      await node.settled()
      expect(taker.deliveries.length).toBe(tag)
      taker.consumer.grant(1, 0)
      expect(taker.accept(tag)).toBeGreaterThan(0)
    }
    await node.settled()
    expect(taker.texts).toEqual(['0', '1', '2', '3', '4'])
    expect(client.admissions.length).toBe(3)
    expect(client.doneUpTo).toBeGreaterThanOrEqual(client.admissions[2])
  })

  it('refuses what exceeds the parking limit', () => {
    const node = new CoreNode({ destinations: { limitMessages: 1 }, limits: { parkedMessages: 2 } })
    const client = node.client()
    const queue = node.queue('q')
    client.session.declare(queue, PERMANENT)
    const tickets = ['0', '1', '2', '3'].map((text) => client.send(queue, text))
    expect(tickets.map((ticket) => Math.sign(ticket))).toEqual([1, -1, -1, 0])
    expect(client.session.refusal?.code).toBe('full')
  })

  it('of a topic drops by its own policy and does not hold the others up', async () => {
    const node = new CoreNode()
    const client = node.client()
    const [newest, oldest, free] = ['newest', 'oldest', 'free'].map((name) => node.queue(name))
    client.session.declare(newest, { ...PERMANENT, limitMessages: 2, whenFull: 'drop-newest' })
    client.session.declare(oldest, { ...PERMANENT, limitMessages: 2, whenFull: 'drop-oldest' })
    client.session.declare(free, PERMANENT)
    for (const queue of [newest, oldest, free]) {
      client.session.bind({ pattern: ['t'], queue, tag: 0, settle: 'unsettled', absent: 'keep', retained: 'never' })
    }
    for (let i = 0; i < 4; i++) expect(client.send(node.topic('t'), String(i))).toBeGreaterThan(0)
    await node.settled()
    node.restart()
    const again = node.client()
    const takers = [newest, oldest, free].map((queue) => again.consume(queue))
    await node.settled()
    expect(takers.map((taker) => taker.texts)).toEqual([
      ['0', '1'],
      ['2', '3'],
      ['0', '1', '2', '3'],
    ])
  })
})

describe('a topic', () => {
  it('routes by the bindings there are now, however often it was used before: queues that came later, and that came again', async () => {
    const node = new CoreNode()
    const client = node.client()
    const topic = node.topic('t')
    const durably = (name: string): Taker => {
      subscribe(client, node.queue(name), ['t'], { settle: 'unsettled' }, true)
      return client.consume(node.queue(name))
    }
    const first = durably('first')
    client.send(topic, '1')
    const second = durably('second')
    client.send(topic, '2')
    await node.settled()
    expect([first.texts, second.texts]).toEqual([['1', '2'], ['2']])
    client.session.remove(node.queue('first'))
    client.send(topic, '3')
    const again = durably('first')
    client.send(topic, '4')
    await node.settled()
    expect([again.texts, second.texts]).toEqual([['4'], ['2', '3', '4']])
    client.session.unbind(node.queue('first'), ['t'])
    client.send(topic, '5')
    await node.settled()
    expect([again.texts, second.texts]).toEqual([['4'], ['2', '3', '4', '5']])
  })

  it('reaches every matching subscription once, with the tags of all that match', async () => {
    const node = new CoreNode()
    const client = node.client()
    const mine = node.queue('mine')
    subscribe(client, mine, ['a', { wild: 'one' }], { tag: 1 })
    client.session.bind({ pattern: REST, queue: mine, tag: 2, settle: 'settled', absent: 'drop', retained: 'never' })
    const taker = client.consume(mine)
    client.send(node.topic('a.b'), 'both')
    client.send(node.topic('c'), 'one')
    client.send(node.topic('$SYS.x'), 'none')
    await node.settled()
    expect(taker.deliveries.map((delivery) => [textOf(delivery), delivery.tags, delivery.mode])).toEqual([
      ['both', [1, 2], 'unsettled'],
      ['one', [2], 'settled'],
    ])
    expect(taker.deliveries[0].to.path).toEqual(['a', 'b'])
  })

  it('forgets a subscription when it is unbound', async () => {
    const node = new CoreNode()
    const client = node.client()
    const mine = node.queue('mine')
    subscribe(client, mine, ['t'])
    const taker = client.consume(mine)
    client.send(node.topic('t'), '1')
    await node.settled()
    client.session.unbind(mine, ['t'])
    client.send(node.topic('t'), '2')
    await node.settled()
    expect(taker.texts).toEqual(['1'])
    expect(client.session.unbind(mine, ['t'])).toBe(0)
  })

  it('whose subscriptions change for ever keeps no set of them that nothing needs', async () => {
    const node = new CoreNode()
    const client = node.client()
    const queues = ['a', 'b'].map((name) => node.queue(name))
    for (const queue of queues) client.session.declare(queue, { ...PERMANENT, limitMessages: 1, whenFull: 'drop-oldest' })
    for (let i = 0; i < 10_000; i++) {
      const queue = queues[i % 256 === 0 ? 1 : 0]
      client.session.bind({
        pattern: REST,
        queue,
        tag: queue === queues[1] ? i / 256 : i % 256,
        settle: 'unsettled',
        absent: 'keep',
        retained: 'never',
      })
      client.send(node.topic('t'), 'x')
      if (i % 500 === 0) await node.settled()
    }
    await node.settled()
    expect(node.core.status()).toMatchObject({ routeSets: expect.any(Number) })
    expect((node.core.status() as { routeSets: number }).routeSets).toBeLessThan(6_000)
    const { digest } = node.core.digest()
    node.restart()
    expect(node.core.digest().digest).toBe(digest)
  })

  it('stores one message for many durable subscriptions, and each keeps its own over a restart', async () => {
    const node = new CoreNode()
    let client = node.client()
    const queues = Array.from({ length: 50 }, (_, i) => node.queue(`q${i}`))
    for (const queue of queues) {
      client.session.declare(queue, PERMANENT)
      client.session.bind({ pattern: REST, queue, tag: 1, settle: 'if-durable', absent: 'keep', retained: 'never' })
    }
    client.send(node.topic('t'), '1')
    client.send(node.topic('u'), '2')
    client.session.remove(queues[7])
    client.send(node.topic('t'), '3')
    await node.settled()
    const { digest } = node.core.digest()
    node.restart()
    expect(node.core.digest().digest).toBe(digest)
    client = node.client()
    for (const [i, queue] of queues.entries()) {
      if (i === 7) continue
      const taker = client.consume(queue)
      await node.settled()
      expect(taker.texts).toEqual(['1', '2', '3'])
      expect(taker.deliveries[0].tags).toEqual([1])
      taker.accept(1, 3)
    }
    await node.settled()
    expect(node.core.figures().entries).toBe(0)
  })

  it('writes nothing for a durable message that reaches only volatile queues, and answers at once', async () => {
    const node = new CoreNode({}, { manual: true })
    const client = node.client()
    subscribe(client, node.queue('mine'), ['t'])
    const taker = client.consume(node.queue('mine'))
    const { gathering } = node.journal
    const before = node.journal.offset
    const ticket = client.send(node.topic('t'), 'x')
    await node.settled()
    expect(client.doneUpTo).toBe(ticket)
    expect(taker.deliveries[0].mode).toBe('unsettled')
    expect([node.journal.gathering, node.journal.offset]).toEqual([gathering, before])
  })

  it('drops copies without durability for whoever is away or stalled, and counts them', async () => {
    const node = new CoreNode()
    const client = node.client({ clientId: 'c', keepMs: 60_000 })
    const mine = node.queue('mine')
    subscribe(client, mine, ['t'], {}, true)
    client.send(node.topic('t'), 'nobody', { durable: false })
    const taker = client.consume(mine)
    taker.consumer.stall(true)
    client.send(node.topic('t'), 'stalled', { durable: false })
    client.send(node.topic('t'), 'durable')
    taker.consumer.stall(false)
    client.send(node.topic('t'), 'there', { durable: false })
    await node.settled()
    expect(taker.texts).toEqual(['durable', 'there'])
    expect(node.core.figures().dropped).toBe(2)
  })

  it('gives what needs no credit past a full window, but never out of order', async () => {
    const node = new CoreNode()
    const client = node.client()
    const mine = node.queue('mine')
    subscribe(client, mine, ['t'])
    const taker = client.consume(mine, 1)
    client.send(node.topic('t'), 'q1')
    client.send(node.topic('t'), 'q0', { durable: false })
    client.send(node.topic('t'), 'q1 again')
    client.send(node.topic('t'), 'q0 again', { durable: false })
    await node.settled()
    expect(taker.texts).toEqual(['q1', 'q0'])
    taker.accept(1)
    taker.consumer.grant(1, 0)
    await node.settled()
    expect(taker.texts).toEqual(['q1', 'q0', 'q1 again', 'q0 again'])
  })
})

describe('a retained message', () => {
  it('is given to later subscriptions, marked, and replaced by the next', async () => {
    const node = new CoreNode()
    const client = node.client()
    client.send(node.topic('a.b'), 'old', {}, { retain: 'set', note: 0, transaction: undefined })
    client.send(node.topic('a.b'), 'new', {}, { retain: 'set', note: 0, transaction: undefined })
    client.send(node.topic('a.c'), 'other', { durable: false }, { retain: 'set', note: 0, transaction: undefined })
    subscribe(client, node.queue('mine'), ['a', { wild: 'one' }])
    const taker = client.consume(node.queue('mine'))
    await node.settled()
    expect(taker.deliveries.map((delivery) => [textOf(delivery), delivery.retained])).toEqual([
      ['new', true],
      ['other', true],
    ])
    client.send(node.topic('a.b'), 'live', {}, { retain: 'set', note: 0, transaction: undefined })
    await node.settled()
    expect(taker.deliveries[2].retained).toBe(false)
  })

  it('survives a restart if durable, and is not resurrected by one that a volatile message replaced', async () => {
    const node = new CoreNode()
    let client = node.client()
    client.send(node.topic('keep'), 'kept', {}, { retain: 'set', note: 0, transaction: undefined })
    client.send(node.topic('clear'), 'x', {}, { retain: 'set', note: 0, transaction: undefined })
    client.send(node.topic('clear'), '', {}, { retain: 'clear', note: 0, transaction: undefined })
    client.send(node.topic('replaced'), 'durable', {}, { retain: 'set', note: 0, transaction: undefined })
    client.send(node.topic('replaced'), 'volatile', { durable: false }, { retain: 'set', note: 0, transaction: undefined })
    await node.settled()
    expect(node.core.figures().retained).toBe(2)
    node.restart()
    client = node.client()
    subscribe(client, node.queue('mine'), REST)
    const taker = client.consume(node.queue('mine'))
    await node.settled()
    expect(taker.texts).toEqual(['kept'])
  })

  it('of ten thousand topics comes in slices, all of them, to a durable subscription too', async () => {
    const node = new CoreNode()
    const client = node.client({ clientId: 'c', keepMs: 60_000 })
    const count = 10_000
    for (let i = 0; i < count; i++)
      client.send(node.topic(`t.${i}`), String(i), { durable: i % 2 === 0 }, { retain: 'set', note: 0, transaction: undefined })
    await node.settled()
    subscribe(client, node.queue('mine'), ['t', { wild: 'one' }], { settle: 'unsettled' }, true)
    const taker = client.consume(node.queue('mine'), 100)
    let most = 0
    for (let told = 0; told < count; told = taker.deliveries.length) {
      await node.settled()
      most = Math.max(most, node.core.figures().entries)
      const given = taker.deliveries.length
      expect(given).toBeGreaterThan(told)
      taker.accept(told + 1, given, false)
      taker.consumer.grant(given - told, 0)
    }
    expect(new Set(taker.texts).size).toBe(count)
    expect(most).toBeLessThan(1_000)
  })

  it('is forgotten when it expires, also after a restart, unless it was replaced', async () => {
    const node = new CoreNode()
    const client = node.client()
    const expiresAtMs = node.clock.wallMs() + 5_000
    for (const name of ['expires', 'replaced'])
      client.send(node.topic(name), 'x', { expiresAtMs }, { retain: 'set', note: 0, transaction: undefined })
    client.send(node.topic('replaced'), 'y', {}, { retain: 'set', note: 0, transaction: undefined })
    await node.settled()
    node.restart()
    for (let i = 0; i < 49; i++) node.clock.advance(100)
    expect(node.core.figures().retained).toBe(2)
    for (let i = 0; i < 5; i++) node.clock.advance(100)
    expect(node.core.figures().retained).toBe(1)
  })

  it('is refused beyond the limit', () => {
    const node = new CoreNode({ limits: { retained: 1 } })
    const client = node.client()
    expect(client.send(node.topic('a'), 'x', {}, { retain: 'set', note: 0, transaction: undefined })).toBeGreaterThan(0)
    expect(client.send(node.topic('b'), 'x', {}, { retain: 'set', note: 0, transaction: undefined })).toBe(0)
    expect(client.session.refusal?.code).toBe('limit')
    expect(client.send(node.topic('a'), 'y', {}, { retain: 'set', note: 0, transaction: undefined })).toBeGreaterThan(0)
  })
})

describe('a session', () => {
  it('that is kept finds its queue, its subscriptions and its notes again, also after a restart', async () => {
    const node = new CoreNode()
    let client = node.client({ clientId: 'c', keepMs: Number.POSITIVE_INFINITY })
    expect(client.session.resumed).toBe(false)
    const mine = node.queue('mine')
    subscribe(client, mine, ['t'], {}, true)
    client.session.publish(node.topic('t'), message('with note'), { retain: 'no', note: 77, transaction: undefined })
    await node.settled()
    client.session.close('clean')
    node.client().send(node.topic('t'), 'while away')
    await node.settled()
    node.restart()
    client = node.client({ clientId: 'c', keepMs: Number.POSITIVE_INFINITY })
    expect(client.session.resumed).toBe(true)
    expect([...client.session.notes]).toEqual([77])
    expect(client.session.held.map(({ queue }) => queue.path)).toEqual([['mine']])
    const taker = client.consume(mine)
    client.send(node.topic('t'), 'back')
    await node.settled()
    expect(taker.texts).toEqual(['with note', 'while away', 'back'])
    client.session.note(77, false)
    await node.settled()
    node.restart()
    expect([...node.client({ clientId: 'c', keepMs: 1 }).session.notes]).toEqual([])
  })

  it('that is not kept takes its queues with it', async () => {
    const node = new CoreNode()
    const client = node.client({ clientId: 'c' })
    subscribe(client, node.queue('mine'), ['t'])
    await node.settled()
    client.session.close('lost')
    expect(node.core.figures()).toMatchObject({ queues: 0, bindings: 0, sessions: 0 })
  })

  it('asked for fresh forgets the earlier one, and that survives a restart', async () => {
    const node = new CoreNode()
    subscribe(node.client({ clientId: 'c', keepMs: 1e9 }), node.queue('mine'), ['t'], {}, true)
    await node.settled()
    expect(node.client({ clientId: 'c', keepMs: 0, fresh: true }).session.resumed).toBe(false)
    await node.settled()
    node.restart()
    expect(node.core.figures()).toMatchObject({ queues: 0, sessions: 0 })
  })

  it('taken over ends the old connection first and gives what it had in hand to the new one, in order', async () => {
    const node = new CoreNode()
    const old = node.client({ clientId: 'c', keepMs: 1e9 })
    const mine = node.queue('mine')
    subscribe(old, mine, ['t'], {}, true)
    const before = old.consume(mine, 2)
    for (let i = 0; i < 4; i++) old.send(node.topic('t'), String(i))
    await node.settled()
    expect(before.texts).toEqual(['0', '1'])
    const fresh = node.client({ clientId: 'c', keepMs: 1e9 })
    expect(old.end?.code).toBe('taken-over')
    const after = fresh.consume(mine)
    await node.settled()
    expect(after.texts).toEqual(['0', '1', '2', '3'])
    expect(old.session.publish(node.topic('t'), message('late'), NO_RETAIN)).toBe(0)
  })

  it('refuses a second client of its name if asked to', () => {
    const node = new CoreNode()
    node.client({ clientId: 'c' })
    expect(() => node.client({ clientId: 'c', clash: 'refuse' })).toThrow(/connected/)
    expect(() => node.client({ clientId: 'c', clash: 'refuse', protocol: 'other' })).not.toThrow()
  })

  it('expires after its time, counted from the restart if it was connected then', async () => {
    const node = new CoreNode()
    subscribe(node.client({ clientId: 'c', keepMs: 10_000 }), node.queue('mine'), ['t'], {}, true)
    await node.settled()
    node.clock.advance(100_000)
    node.restart()
    for (let i = 0; i < 9; i++) node.clock.advance(1_000)
    expect(node.core.figures().sessions).toBe(1)
    for (let i = 0; i < 3; i++) node.clock.advance(1_000)
    await node.settled()
    expect(node.core.figures()).toMatchObject({ sessions: 0, queues: 0, bindings: 0 })
  })

  it('that held nothing yet when the node died leaves no queue behind', async () => {
    const node = new CoreNode()
    node.client({ clientId: 'c', keepMs: 1e9 }).session.declare(node.queue('orphan'), { durable: true, lifetime: 'held' })
    await node.settled()
    node.restart()
    expect(node.core.figures().queues).toBe(0)
  })

  it('shares a held queue with others: the last to let go removes it', async () => {
    const node = new CoreNode()
    const clients = ['a', 'b'].map((clientId) => node.client({ clientId }))
    const shared = node.queue('shared')
    for (const client of clients) subscribe(client, shared, ['t'])
    const takers = clients.map((client) => client.consume(shared))
    for (let i = 0; i < 4; i++) clients[0].send(node.topic('t'), String(i))
    await node.settled()
    expect(takers.map((taker) => taker.texts.length)).toEqual([2, 2])
    clients[0].session.close('clean')
    await node.settled()
    expect(takers[1].texts.length).toBe(4)
    expect(node.core.figures().queues).toBe(1)
    clients[1].session.release(shared)
    expect(node.core.figures().queues).toBe(0)
  })
})

describe('a will', () => {
  const will = (node: CoreNode, delayMs = 0) => ({ to: node.topic('will'), message: message('gone'), retain: 'no' as const, delayMs })

  function watcher(node: CoreNode): Taker {
    const client = node.client()
    subscribe(client, node.queue('watch'), ['will'])
    return client.consume(node.queue('watch'))
  }

  it('is sent when the connection is lost, not when it is closed', async () => {
    const node = new CoreNode()
    const taker = watcher(node)
    node.client({ clientId: 'a', will: will(node) }).session.close('clean')
    await node.settled()
    expect(taker.texts).toEqual([])
    node.client({ clientId: 'a', will: will(node) }).session.close('lost')
    await node.settled()
    expect(taker.texts).toEqual(['gone'])
  })

  it('waits its delay, and is forgotten if the client comes back', async () => {
    const node = new CoreNode()
    const taker = watcher(node)
    const identity = { clientId: 'a', keepMs: 1e9, will: will(node, 5_000) }
    node.client(identity).session.close('lost')
    node.clock.advance(4_000)
    const back = node.client(identity)
    node.clock.advance(10_000)
    await node.settled()
    expect(taker.texts).toEqual([])
    back.session.close('lost')
    for (let i = 0; i < 6; i++) node.clock.advance(1_000)
    await node.settled()
    expect(taker.texts).toEqual(['gone'])
  })

  it('of a client connected at a crash waits the grace time of the new leader', async () => {
    const node = new CoreNode({ failover: { willGraceMs: 30_000 } })
    node.client({ clientId: 'comes back', will: will(node) })
    node.client({ clientId: 'stays away', will: will(node) })
    await node.settled()
    node.restart()
    const taker = watcher(node)
    node.clock.advance(20_000)
    node.client({ clientId: 'comes back', will: will(node) })
    await node.settled()
    expect(taker.texts).toEqual([])
    for (let i = 0; i < 12; i++) node.clock.advance(1_000)
    await node.settled()
    expect(taker.texts).toEqual(['gone'])
    node.restart()
    const later = watcher(node)
    node.client({ clientId: 'comes back', will: will(node) })
    for (let i = 0; i < 60; i++) node.clock.advance(1_000)
    await node.settled()
    expect(later.texts).toEqual([])
  })
})

describe('a pull', () => {
  it('waits, is served first come first served, locks for its time and can be settled by reference', async () => {
    const node = new CoreNode()
    const client = node.client()
    const queue = node.queue('q')
    client.session.declare(queue, PERMANENT)
    const calls: { got: string[]; refs: { queue: number; sequence: number }[]; answered: number }[] = []
    const pull = (): (typeof calls)[number] => {
      const call: (typeof calls)[number] = { got: [], refs: [], answered: 0 }
      calls.push(call)
      client.session.pull(
        queue,
        { max: 1, bytes: 1e6, waitMs: 10_000, lockMs: 1_000 },
        {
          deliver(delivery) {
            call.got.push(textOf(delivery))
            call.refs.push(delivery.ref)
          },
          flush() {
            call.answered++
          },
          ended() {},
        },
      )
      return call
    }
    const [first, second] = [pull(), pull()]
    client.send(queue, 'one')
    await node.settled()
    expect([first.got, first.answered, second.got, second.answered]).toEqual([['one'], 1, [], 0])
    for (let i = 0; i < 12; i++) node.clock.advance(100)
    await node.settled()
    expect(second.got).toEqual(['one'])
    expect(client.session.settleRef(first.refs[0], 1, { kind: 'accepted' })).toBe(0)
    expect(client.session.settleRef(second.refs[0], 2, { kind: 'accepted' })).toBeGreaterThan(0)
    await node.settled()
    expect(node.core.figures().entries).toBe(0)
    const third = pull()
    for (let i = 0; i < 110; i++) node.clock.advance(100)
    expect([third.got, third.answered]).toEqual([[], 1])
  })
})

describe('a front end that throws', () => {
  it.each(['deliver', 'flush', 'done', 'admitted'] as const)('in %s loses its session, and nobody else anything', async (where) => {
    const node = new CoreNode({ destinations: { limitMessages: 2 } })
    const [faulty, other] = [node.client({ clientId: 'faulty' }), node.client()]
    const queue = node.queue('q')
    other.session.declare(queue, PERMANENT)
    await node.settled()
    const broken = faulty.consume(queue, 1)
    const boom = (): never => {
      throw new Error('boom')
    }
    if (where === 'deliver' || where === 'flush') broken[where] = boom
    else faulty[where] = boom
    for (let i = 0; i < 4; i++) faulty.send(queue, String(i))
    await node.settled()
    broken.accept(1)
    await node.settled()
    expect(faulty.end?.code).toBe('internal')
    const taker = other.consume(queue)
    other.send(queue, 'after')
    await node.settled()
    taker.accept(1, 10)
    await node.settled()
    expect(taker.texts.at(-1)).toBe('after')
    expect(node.lost).toBeUndefined()
  })
})

describe('a mark', () => {
  it('comes back with the entry after a restart', async () => {
    const node = new CoreNode()
    let client = node.client({ clientId: 'c', keepMs: 1e9 })
    subscribe(client, node.queue('mine'), ['t'], {}, true)
    const taker = client.consume(node.queue('mine'))
    client.send(node.topic('t'), 'x')
    await node.settled()
    taker.consumer.mark(1, 9)
    await node.settled()
    node.restart()
    client = node.client({ clientId: 'c', keepMs: 1e9 })
    const again = client.consume(node.queue('mine'))
    await node.settled()
    expect(again.deliveries[0]).toMatchObject({ mark: 9, maybeSeen: true })
  })
})

describe('a large body', () => {
  it('travels in pieces, keeps its order, and is whole after a restart', async () => {
    const node = new CoreNode()
    let client = node.client()
    const queue = node.queue('q')
    client.session.declare(queue, PERMANENT)
    const text = 'x'.repeat(3_000_000).replace(/x/g, (_, i: number) => String(i % 10))
    expect(client.send(queue, 'before')).toBeGreaterThan(0)
    expect(client.send(queue, text)).toBe(-1)
    expect(client.send(queue, 'after')).toBe(-1)
    await node.until(() => client.admissions.length === 2)
    await node.settled()
    expect(client.pressures).toEqual([true, false])
    expect(client.doneUpTo).toBeGreaterThanOrEqual(client.admissions[1])
    node.restart()
    client = node.client()
    const taker = client.consume(queue)
    await node.settled()
    expect(taker.texts.map((got) => got.length)).toEqual([6, 3_000_000, 5])
    expect(taker.texts[1] === text).toBe(true)
  })

  it('and a small one come from disk although the journal keeps nothing of what it reads in memory', async () => {
    const node = new CoreNode()
    const client = node.client()
    const queue = node.queue('q')
    client.session.declare(queue, PERMANENT)
    client.send(queue, 'small')
    client.send(queue, 'x'.repeat(600_000))
    await node.until(() => client.admissions.length === 1)
    await node.settled()
    const { journal } = node
    const read = journal.read.bind(journal)
    journal.read = () => undefined
    journal.fetch = (segment, offset, length, done) => setImmediate(() => done(read(segment, offset, length)))
    const taker = client.consume(queue)
    await node.until(() => taker.deliveries.length === 2)
    expect(taker.texts.map((text) => text.length)).toEqual([5, 600_000])
  })

  it('beyond the limit is refused', () => {
    const node = new CoreNode({ limits: { messageBytes: 1_000 } })
    const client = node.client()
    client.session.declare(node.queue('q'), PERMANENT)
    expect(client.send(node.queue('q'), 'x'.repeat(1_001))).toBe(0)
    expect(client.session.refusal?.code).toBe('too-large')
  })
})

describe('the figures', () => {
  it('tell wires, sessions that somebody has open, and kept ones apart', async () => {
    const node = new CoreNode()
    expect(node.core.figures()).toMatchObject({ connections: 0, connectionsTotal: 0, sessionsOpen: 0, sessions: 0 })
    node.core.countConnections({ connections: 3, connectionsTotal: 7 })
    node.client({ clientId: 'kept', keepMs: 60_000 }).session.close('clean')
    node.client()
    await node.settled()
    expect(node.core.figures()).toMatchObject({ connections: 3, connectionsTotal: 7, sessionsOpen: 1, sessions: 2 })
  })
})
