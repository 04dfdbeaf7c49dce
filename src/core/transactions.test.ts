// Transactions of the core: all of it or nothing, over restarts, snapshots and full queues; order; limits and age; and that nobody is kept waiting.
import { describe, expect, it } from 'vitest'
import type { Outcome, PublishOptions, Transaction } from '../api.ts'
import { type Client, CoreNode, message, NO_RETAIN, PERMANENT, textOf } from '../../test/support/core.ts'
import { CodedError } from '../errors.ts'
import { FACT } from '../journal/facts.ts'
import { Replica } from './replica.ts'

const ACCEPTED: Outcome = { kind: 'accepted' }
const FAILED: Outcome = { kind: 'modified', failed: true, elsewhere: false, afterMs: 0 }
const REJECTED: Outcome = { kind: 'rejected', reason: 'no' }

function inside(transaction: Transaction, changes: Partial<PublishOptions> = {}): PublishOptions {
  return { ...NO_RETAIN, ...changes, transaction }
}

function begin(client: Client): Transaction {
  const transaction = client.session.begin()
  if (transaction === undefined) throw client.session.refusal ?? new Error('refused')
  return transaction
}

async function start(changes: ConstructorParameters<typeof CoreNode>[0] = {}, queues = ['q']): Promise<{ node: CoreNode; client: Client }> {
  const node = new CoreNode(changes)
  const client = node.client()
  for (const name of queues) client.session.declare(node.queue(name), PERMANENT)
  await node.settled()
  return { node, client }
}

/** What replay makes of the journal is what the leader has. */
function expectReplayed(node: CoreNode): void {
  const replica = new Replica({ ...node.settings.destinations })
  node.store.replay(replica, node.journal.committed)
  expect(node.core.digest().digest).toBe(replica.digest().digest)
}

function factsOf(node: CoreNode): ReadonlySet<number> {
  const types = new Set<number>()
  node.store.replay({ snapshot() {}, batch() {}, fact: (type) => void types.add(type) }, node.journal.committed)
  return types
}

describe('what is sent in a transaction', () => {
  it('that an earlier leader left open leaves the limit of a queue as it is', async () => {
    const { node, client } = await start({ destinations: { limitMessages: 3 } })
    const open = begin(client)
    for (const text of ['a', 'b', 'c']) client.send(node.queue('q'), text, {}, inside(open))
    await node.settled()
    node.restart()
    const other = node.client()
    for (let number = 0; number < 6; number++) other.send(node.queue('q'), String(number))
    await node.settled()
    expect(node.core.figures().entries).toBe(3)
  })

  it('counts towards the topics that may have a retained message', async () => {
    const { node, client } = await start({ limits: { retained: 2 } })
    const transaction = begin(client)
    const tickets = [0, 1, 2].map((number) => client.send(node.topic(`t${number}`), 'x', {}, inside(transaction, { retain: 'set' })))
    expect(tickets.map((ticket) => ticket > 0)).toEqual([true, true, false])
    expect(client.session.refusal?.code).toBe('limit')
    transaction.rollback()
    await node.settled()
    expect(client.send(node.topic('u'), 'x', {}, { ...NO_RETAIN, retain: 'set' })).toBeGreaterThan(0)
  })

  it('is seen by nobody before the commit, then by everybody, in order', async () => {
    const { node, client } = await start({}, ['q', 'r'])
    const taker = client.consume(node.queue('q'))
    const transaction = begin(client)
    for (const text of ['a', 'b', 'c']) expect(client.send(node.queue('q'), text, {}, inside(transaction))).toBeGreaterThan(0)
    client.send(node.queue('r'), 'other', {}, inside(transaction))
    await node.settled()
    expect(taker.texts).toEqual([])
    expect(client.doneUpTo).toBe(client.session.opened + 6)
    expectReplayed(node)
    const ticket = transaction.commit()
    expect(client.doneUpTo).toBeLessThan(ticket)
    await node.settled()
    expect(client.doneUpTo).toBe(ticket)
    expect(taker.texts).toEqual(['a', 'b', 'c'])
    expect(client.consume(node.queue('r')).consumer).toBeDefined()
    await node.settled()
    expectReplayed(node)
  })

  it('takes its place at the commit, and what the same session sends later comes behind it', async () => {
    const { node, client } = await start()
    const transaction = begin(client)
    client.send(node.queue('q'), 'in 1', {}, inside(transaction))
    client.send(node.queue('q'), 'before')
    client.send(node.queue('q'), 'in 2', { durable: false }, inside(transaction))
    client.send(node.queue('q'), 'in 3', {}, inside(transaction))
    // Replay knows nothing of its number.
    client.send(node.queue('q'), 'before, volatile', { durable: false })
    transaction.commit()
    client.send(node.queue('q'), 'after, volatile', { durable: false })
    client.send(node.queue('q'), 'after')
    const taker = client.consume(node.queue('q'))
    await node.settled()
    expect(taker.texts).toEqual(['before', 'before, volatile', 'in 1', 'in 2', 'in 3', 'after, volatile', 'after'])
    const sequences = taker.deliveries.map(({ ref }) => ref.sequence)
    expect(sequences).toEqual([...sequences].sort((a, b) => a - b))
    expectReplayed(node)
  })

  it.each([
    ['rolled back', (transaction: Transaction) => transaction.rollback()],
    ['left open when its session ends', (_transaction: Transaction, client: Client) => client.session.close('lost')],
  ])('vanishes when it is %s', async (_how, end) => {
    const { node, client } = await start()
    const transaction = begin(client)
    client.send(node.queue('q'), 'durable', {}, inside(transaction))
    client.send(node.queue('q'), 'volatile', { durable: false }, inside(transaction))
    await node.settled()
    end(transaction, client)
    await node.settled()
    const other = node.client()
    const taker = other.consume(node.queue('q'))
    other.send(node.queue('q'), 'later')
    await node.settled()
    expect(taker.texts).toEqual(['later'])
    expectReplayed(node)
    expect(node.core.figures().entries).toBe(1)
  })

  it('goes to durable and volatile subscriptions of a topic, and is retained, at the commit', async () => {
    const { node, client } = await start({}, ['kept'])
    client.session.declare(node.queue('volatile'), { durable: false, lifetime: 'permanent' })
    for (const name of ['kept', 'volatile'])
      client.session.bind({ pattern: ['t'], queue: node.queue(name), tag: 1, settle: 'unsettled', absent: 'keep', retained: 'never' })
    const takers = ['kept', 'volatile'].map((name) => client.consume(node.queue(name)))
    const transaction = begin(client)
    client.send(node.topic('t'), 'first', {}, inside(transaction, { retain: 'set' }))
    client.send(node.topic('t'), 'second', { durable: false }, inside(transaction))
    client.send(node.topic('u'), 'nobody hears', {}, inside(transaction, { retain: 'set' }))
    client.send(node.topic('u'), '', {}, inside(transaction, { retain: 'clear' }))
    await node.settled()
    expect(node.core.figures().retained).toBe(0)
    expectReplayed(node)
    transaction.commit()
    await node.settled()
    for (const taker of takers) expect(taker.texts).toEqual(['first', 'second'])
    expect(node.core.figures().retained).toBe(1)
    expectReplayed(node)
    node.restart()
    expect(node.core.figures().retained).toBe(1)
  })

  it('comes whole after a restart if it was committed, and not at all if it was not', async () => {
    const { node, client } = await start()
    const done = begin(client)
    const open = begin(client)
    for (let i = 0; i < 10; i++) {
      client.send(node.queue('q'), `done ${i}`, {}, inside(done))
      client.send(node.queue('q'), `open ${i}`, {}, inside(open))
    }
    done.commit()
    await node.settled()
    open.commit()
    node.restart()
    const taker = node.client().consume(node.queue('q'))
    await node.settled()
    expect(taker.texts).toEqual(Array.from({ length: 10 }, (_, i) => `done ${i}`))
    expectReplayed(node)
    const replica = new Replica(node.settings.destinations)
    node.store.replay(replica, node.journal.committed)
    expect(replica.state.transactions.size).toBe(0)
    node.restart()
    expect(node.core.figures().entries).toBe(10)
  })

  it('makes the same state in whatever order two of them became known', async () => {
    const { node, client } = await start()
    const first = begin(client)
    const second = begin(client)
    client.send(node.queue('q'), 'of the second', {}, inside(second))
    client.send(node.queue('q'), 'of the first', {}, inside(first))
    await node.settled()
    expectReplayed(node)
  })

  it('stands in a snapshot while it is open, and the log goes on from there', async () => {
    const { node, client } = await start({}, ['q', 'sub'])
    client.session.bind({ pattern: ['t'], queue: node.queue('sub'), tag: 1, settle: 'unsettled', absent: 'keep', retained: 'never' })
    client.send(node.queue('q'), 'to take')
    const taker = client.consume(node.queue('q'))
    await node.settled()
    const transaction = begin(client)
    client.send(node.queue('q'), 'a', {}, inside(transaction))
    client.send(node.topic('t'), 'b', {}, inside(transaction, { retain: 'set' }))
    client.send(node.topic('v'), '', {}, inside(transaction, { retain: 'clear' }))
    taker.consumer.settleIn(transaction, 1, 1, ACCEPTED)
    client.send(node.queue('r'), 'lost', {}, NO_RETAIN)
    taker.consumer.settleIn(transaction, 1, 1, REJECTED)
    await node.settled()
    await node.core.snapshot()
    expectReplayed(node)
    client.send(node.queue('q'), 'c', {}, inside(transaction))
    transaction.commit()
    await node.settled()
    expectReplayed(node)
    node.restart()
    const again = node.client()
    const takers = ['q', 'sub'].map((name) => again.consume(node.queue(name)))
    await node.settled()
    expect(takers.map((each) => each.texts)).toEqual([['a', 'c'], ['b']])
  })

  it('has a large body, whose commit waits for its pieces', async () => {
    const { node, client } = await start()
    const taker = client.consume(node.queue('q'))
    const transaction = begin(client)
    const large = 'x'.repeat(700_000)
    expect(client.send(node.queue('q'), large, {}, inside(transaction))).toBe(-1)
    client.send(node.queue('q'), 'small', {}, inside(transaction))
    expect(transaction.commit()).toBe(-1)
    await node.until(() => client.admissions.length === 3)
    await node.until(() => taker.deliveries.length === 2)
    expect(taker.texts.map((text) => text.length)).toEqual([700_000, 5])
    expect(client.doneUpTo).toBe(client.admissions[2])
    expectReplayed(node)
  })

  it('and still waits is answered, without effect, when the transaction is rolled back', async () => {
    const { node, client } = await start()
    const transaction = begin(client)
    expect(client.send(node.queue('q'), 'x'.repeat(700_000), {}, inside(transaction))).toBe(-1)
    expect(client.send(node.queue('q'), 'small', {}, inside(transaction))).toBe(-1)
    expect(transaction.rollback()).toBeGreaterThan(0)
    await node.until(() => client.admissions.length === 2)
    await node.settled()
    expect(client.refusals).toEqual([])
    expect(node.core.figures().entries).toBe(0)
    expectReplayed(node)
  })

  it('expires and is delayed as if it had been sent at the commit', async () => {
    const { node, client } = await start({ destinations: { expiredToDeadLetter: false } })
    const taker = client.consume(node.queue('q'))
    const transaction = begin(client)
    const now = node.clock.wallMs()
    client.send(node.queue('q'), 'expires', { expiresAtMs: now + 1_000 }, inside(transaction))
    client.send(node.queue('q'), 'late', { deliverAtMs: now + 5_000 }, inside(transaction))
    client.send(node.queue('q'), 'now', {}, inside(transaction))
    await node.settled()
    node.clock.advance(2_000)
    transaction.commit()
    await node.settled()
    expect(taker.texts).toEqual(['now'])
    node.clock.advance(4_000)
    await node.settled()
    expect(taker.texts).toEqual(['now', 'late'])
    expect(node.core.figures().dropped).toBe(1)
    expectReplayed(node)
  })

  it('to a queue that was removed meanwhile is left out, the rest is not', async () => {
    const { node, client } = await start({}, ['q', 'r'])
    const transaction = begin(client)
    client.send(node.queue('q'), 'gone', {}, inside(transaction))
    client.send(node.queue('r'), 'there', {}, inside(transaction))
    client.session.remove(node.queue('q'))
    client.session.declare(node.queue('q'), PERMANENT)
    transaction.commit()
    await node.settled()
    const takers = ['q', 'r'].map((name) => client.consume(node.queue(name)))
    await node.settled()
    expect(takers.map((taker) => taker.texts)).toEqual([[], ['there']])
    expectReplayed(node)
  })

  it('reaches a queue that is removed while it is unfolded, and those behind it, without a trace', async () => {
    const { node, client } = await start({}, ['q', 'r'])
    const transaction = begin(client)
    for (let i = 0; i < 5_000; i++) client.send(node.queue('q'), `${i}`, {}, inside(transaction))
    client.send(node.queue('r'), 'there', {}, inside(transaction))
    transaction.commit()
    client.send(node.queue('q'), 'behind')
    await node.journal.drained()
    client.session.remove(node.queue('q'))
    await node.until(() => !node.core.unfolding)
    await node.settled()
    expect(node.core.figures().entries).toBe(1)
    expectReplayed(node)
  })
})

describe('what is settled in a transaction', () => {
  async function withDeliveries(count: number, changes: ConstructorParameters<typeof CoreNode>[0] = {}) {
    const { node, client } = await start(changes, ['q', 'dead'])
    for (let i = 0; i < count; i++) client.send(node.queue('q'), `m${i}`)
    const taker = client.consume(node.queue('q'))
    await node.settled()
    expect(taker.deliveries).toHaveLength(count)
    return { node, client, taker, transaction: begin(client) }
  }

  it('is gone with the commit, also after a restart, and until then in nobody’s hands', async () => {
    const { node, client, taker, transaction } = await withDeliveries(6)
    expect(taker.consumer.settleIn(transaction, 1, 2, ACCEPTED)).toBeGreaterThan(0)
    expect(taker.consumer.settleIn(transaction, 4, 4, ACCEPTED)).toBeGreaterThan(0)
    expect(taker.consumer.settleIn(transaction, 1, 1, ACCEPTED)).toBe(0)
    expect(client.session.refusal?.code).toBe('not-found')
    expect(taker.accept(1)).toBe(0)
    const other = node.client()
    const second = other.consume(node.queue('q'))
    taker.consumer.close()
    await node.settled()
    expect(second.texts).toEqual(['m2', 'm4', 'm5'])
    expectReplayed(node)
    transaction.commit()
    await node.settled()
    expect(node.core.figures().entries).toBe(3)
    expectReplayed(node)
    node.restart()
    expect(node.core.figures().entries).toBe(3)
  })

  it('is unsettled again after a rollback, with the same consumer', async () => {
    const { node, client, taker, transaction } = await withDeliveries(3)
    taker.consumer.settleIn(transaction, 1, 2, ACCEPTED)
    taker.consumer.settleIn(transaction, 3, 3, REJECTED)
    transaction.rollback()
    await node.settled()
    expect(taker.deliveries).toHaveLength(3)
    expect(taker.accept(1, 3)).toBeGreaterThan(0)
    await node.settled()
    expect(node.core.figures().entries).toBe(0)
    expect(client.end).toBeUndefined()
    expectReplayed(node)
  })

  it.each(['consumer first', 'transaction first'])('goes back to its place when consumer and transaction end, %s', async (order) => {
    const { node, client, taker, transaction } = await withDeliveries(3)
    taker.consumer.settleIn(transaction, 1, 3, ACCEPTED)
    if (order === 'consumer first') {
      taker.consumer.close()
      transaction.rollback()
    } else client.session.close('lost')
    const second = node.client().consume(node.queue('q'))
    await node.settled()
    expect(second.texts).toEqual(['m0', 'm1', 'm2'])
    expect(second.deliveries.every(({ maybeSeen }) => maybeSeen)).toBe(true)
    expectReplayed(node)
  })

  it('is rejected or failed with the commit: to the dead-letter queue, or back with a count', async () => {
    const { node, taker, client, transaction } = await withDeliveries(4, { destinations: { deadLetter: 'dead', failuresMax: 2 } })
    taker.consumer.settleIn(transaction, 1, 1, REJECTED)
    taker.consumer.settleIn(transaction, 2, 3, FAILED)
    client.send(node.queue('dead'), 'sent there', {}, inside(transaction))
    await node.settled()
    expect(taker.deliveries).toHaveLength(4)
    transaction.commit()
    await node.settled()
    // All of it hangs on the one fact of the commit.
    expect(factsOf(node).has(FACT.moved)).toBe(false)
    expect(factsOf(node).has(FACT.returned)).toBe(false)
    expect(taker.deliveries.slice(4).map((delivery) => [textOf(delivery), delivery.failures])).toEqual([
      ['m1', 1],
      ['m2', 1],
    ])
    expectReplayed(node)
    const again = begin(client)
    taker.consumer.settleIn(again, 5, 5, FAILED)
    taker.consumer.settleIn(again, 4, 4, ACCEPTED)
    again.commit()
    await node.settled()
    const dead = client.consume(node.queue('dead'))
    await node.settled()
    expect(dead.texts).toEqual(['m0', 'sent there', 'm1'])
    expectReplayed(node)
    node.restart()
    expect(node.core.figures().entries).toBe(4)
  })

  it('and does not survive: settlements of volatile messages are kept until the commit too', async () => {
    const { node, client } = await start()
    for (let i = 0; i < 4; i++) client.send(node.queue('q'), `v${i}`, { durable: i % 2 === 0 })
    const taker = client.consume(node.queue('q'))
    await node.settled()
    const undone = begin(client)
    taker.consumer.settleIn(undone, 1, 4, ACCEPTED)
    undone.rollback()
    const done = begin(client)
    taker.consumer.settleIn(done, 1, 4, ACCEPTED)
    await node.settled()
    expect(node.core.figures().entries).toBe(4)
    done.commit()
    await node.settled()
    expect(node.core.figures().entries).toBe(0)
    expectReplayed(node)
  })

  it('is passed over when its queue is removed', async () => {
    const { node, client, taker, transaction } = await withDeliveries(3)
    taker.consumer.settleIn(transaction, 1, 3, ACCEPTED)
    client.session.remove(node.queue('q'))
    transaction.commit()
    await node.settled()
    expect(node.core.figures().entries).toBe(0)
    expectReplayed(node)
  })

  it('gives a consumer whose deliveries all ended in transactions its window back', async () => {
    const { node, client, taker } = await withDeliveries(10)
    for (let round = 0; round < 50; round++) {
      const transaction = begin(client)
      for (const { tag } of taker.deliveries.splice(0)) taker.consumer.settleIn(transaction, tag, tag, ACCEPTED)
      for (let i = 0; i < 10; i++) client.send(node.queue('q'), `r${round} ${i}`, {}, inside(transaction))
      transaction.commit()
      taker.consumer.grant(10, 0)
      await node.settled()
      expect(taker.deliveries).toHaveLength(10)
    }
    expectReplayed(node)
  })
})

describe('a transaction', () => {
  it('that is over refuses everything', async () => {
    const { node, client } = await start()
    const transaction = begin(client)
    transaction.commit()
    expect(transaction.commit()).toBe(0)
    expect(transaction.rollback()).toBe(0)
    expect(client.send(node.queue('q'), 'late', {}, inside(transaction))).toBe(0)
    expect(client.session.refusal?.code).toBe('invalid')
  })

  it('of which a send was refused can only be rolled back', async () => {
    const { node, client } = await start({ limits: { messageBytes: 1_000 } })
    const transaction = begin(client)
    client.send(node.queue('q'), 'a', {}, inside(transaction))
    expect(client.send(node.queue('q'), 'x'.repeat(2_000), {}, inside(transaction))).toBe(0)
    expect(transaction.doomed?.code).toBe('too-large')
    expect(transaction.commit()).toBe(0)
    expect(client.session.refusal?.code).toBe('too-large')
    await node.settled()
    expect(node.core.figures().entries).toBe(0)
    expectReplayed(node)
  })

  it('survives a send to a queue that is missing, which may be made and sent to again', async () => {
    const { node, client } = await start()
    const transaction = begin(client)
    expect(client.send(node.queue('new'), 'a', {}, inside(transaction))).toBe(0)
    client.session.declare(node.queue('new'), PERMANENT)
    expect(client.send(node.queue('new'), 'a', {}, inside(transaction))).toBeGreaterThan(0)
    expect(transaction.commit()).toBeGreaterThan(0)
  })

  it('that its front end gives up is rolled back by its commit', async () => {
    const { node, client } = await start()
    const transaction = begin(client)
    client.send(node.queue('q'), 'a', {}, inside(transaction))
    transaction.doom(new CodedError('cannot-convert', 'unreadable'))
    expect(transaction.commit()).toBe(0)
    expect(client.session.refusal?.code).toBe('cannot-convert')
    await node.settled()
    expect(node.core.figures().entries).toBe(0)
  })

  it('that is too old is rolled back (transactionAgeMs)', async () => {
    const { node, client } = await start({ limits: { transactionAgeMs: 10_000 } })
    const old = begin(client)
    client.send(node.queue('q'), 'a', {}, inside(old))
    await node.settled()
    node.clock.advance(6_000)
    const young = begin(client)
    client.send(node.queue('q'), 'b', {}, inside(young))
    node.clock.advance(5_000)
    expect(old.doomed?.code).toBe('timeout')
    expect(old.commit()).toBe(0)
    expect(client.session.refusal?.code).toBe('timeout')
    expect(young.commit()).toBeGreaterThan(0)
    await node.settled()
    expect(node.core.figures().entries).toBe(1)
    expectReplayed(node)
  })

  it('is one of at most so many, of a session and of all', async () => {
    const { node, client } = await start({ limits: { transactions: 3, transactionsPerSession: 2 } })
    begin(client)
    const second = begin(client)
    expect(client.session.begin()).toBeUndefined()
    expect(client.session.refusal?.message).toContain('limits.transactionsPerSession')
    const other = node.client()
    begin(other)
    expect(other.session.begin()).toBeUndefined()
    expect(other.session.refusal?.message).toContain('limits.transactions ')
    second.rollback()
    begin(other)
    other.session.close('clean')
    begin(client)
  })

  it.each([
    ['transactionMessages', { transactionMessages: 3 }],
    ['transactionBytes', { transactionBytes: 3_000 }],
    ['transactionTotalBytes', { transactionTotalBytes: 3_000 }],
  ])('takes no more than %s', async (name, limits) => {
    const { node, client } = await start({ limits })
    const transaction = begin(client)
    for (let i = 0; i < 3; i++) expect(client.send(node.queue('q'), 'x'.repeat(1_000), {}, inside(transaction))).toBeGreaterThan(0)
    expect(client.send(node.queue('q'), 'x'.repeat(1_000), {}, inside(transaction))).toBe(0)
    expect(client.session.refusal?.message).toContain(`limits.${name}`)
    expect(transaction.commit()).toBe(0)
    await node.settled()
    const next = begin(client)
    for (let i = 0; i < 3; i++) expect(client.send(node.queue('q'), 'x'.repeat(1_000), {}, inside(next))).toBeGreaterThan(0)
    expect(next.commit()).toBeGreaterThan(0)
  })

  it.each([
    ['transactionBytes', { transactionBytes: 3_000 }],
    ['transactionTotalBytes', { transactionTotalBytes: 3_000 }],
  ])('rejects for reasons of no more than %s', async (name, limits) => {
    const { node, client } = await start({ limits })
    for (let i = 0; i < 4; i++) client.send(node.queue('q'), String(i))
    const taker = client.consume(node.queue('q'))
    await node.settled()
    const rejected: Outcome = { kind: 'rejected', reason: 'x'.repeat(1_000) }
    const transaction = begin(client)
    for (let tag = 1; tag <= 3; tag++) expect(taker.consumer.settleIn(transaction, tag, tag, rejected)).toBeGreaterThan(0)
    expect(taker.consumer.settleIn(transaction, 4, 4, rejected)).toBe(0)
    expect(client.session.refusal?.message).toContain(`limits.${name}`)
    expect(transaction.commit()).toBe(0)
    await node.settled()
    const next = begin(client)
    for (let tag = 1; tag <= 3; tag++) expect(taker.consumer.settleIn(next, tag, tag, rejected)).toBeGreaterThan(0)
    expect(next.commit()).toBeGreaterThan(0)
  })

  it('counts against the limit of its queues before it is seen, and waits for room as long as that can come', async () => {
    const { node, client } = await start({ destinations: { limitMessages: 3 } })
    client.send(node.queue('q'), 'there')
    const transaction = begin(client)
    client.send(node.queue('q'), 'in 1', {}, inside(transaction))
    client.send(node.queue('q'), 'in 2', {}, inside(transaction))
    const other = node.client()
    expect(other.send(node.queue('q'), 'outside')).toBe(-1)
    expect(client.send(node.queue('q'), 'in 3', {}, inside(transaction))).toBe(-1)
    expect(transaction.commit()).toBe(-1)
    await node.settled()
    const taker = other.consume(node.queue('q'), 1)
    await node.settled()
    taker.accept(1)
    await node.settled()
    // One place was free: to whom it went first decides nothing, the other follows as the queue drains.
    taker.consumer.grant(100, 0)
    for (let tag = 2; tag <= 5; tag++) {
      await node.until(() => taker.deliveries.length >= tag)
      taker.accept(tag)
    }
    expect([...taker.texts].sort()).toEqual(['in 1', 'in 2', 'in 3', 'outside', 'there'])
    await node.settled()
    expect(node.core.figures().entries).toBe(0)
    taker.consumer.close()
    for (let i = 0; i < 3; i++) expect(other.send(node.queue('q'), `again ${i}`)).toBeGreaterThan(0)
    expect(other.send(node.queue('q'), 'one too many')).toBe(-1)
    await node.settled()
    expectReplayed(node)
  })

  it('is refused a place that only its own end could free', async () => {
    const { node, client } = await start({ destinations: { limitMessages: 2 } })
    const filling = begin(client)
    for (let i = 0; i < 2; i++) client.send(node.queue('q'), `${i}`, {}, inside(filling))
    expect(client.send(node.queue('q'), 'one too many', {}, inside(filling))).toBe(0)
    expect(client.session.refusal?.code).toBe('full')
    filling.rollback()
    await node.settled()
    for (let i = 0; i < 2; i++) client.send(node.queue('q'), `${i}`)
    const taker = client.consume(node.queue('q'))
    await node.settled()
    const exchanging = begin(client)
    expect(client.send(node.queue('q'), 'new', {}, inside(exchanging))).toBe(-1)
    taker.consumer.settleIn(exchanging, 1, 1, ACCEPTED)
    expect(exchanging.commit()).toBe(-1)
    await node.until(() => client.refusals.length === 2)
    expect(client.refusals.map(({ code }) => code)).toEqual(['full', 'full'])
    expect(taker.accept(1, 2)).toBeGreaterThan(0)
    await node.settled()
    expectReplayed(node)
  })

  it('drops what is oldest on a full queue when it is seen, not before', async () => {
    const { node, client } = await start({ destinations: { limitMessages: 3, whenFull: 'drop-oldest' } })
    for (let i = 0; i < 3; i++) client.send(node.queue('q'), `old ${i}`)
    const undone = begin(client)
    for (let i = 0; i < 3; i++) client.send(node.queue('q'), `undone ${i}`, {}, inside(undone))
    undone.rollback()
    await node.settled()
    expect(node.core.figures().entries).toBe(3)
    const transaction = begin(client)
    for (let i = 0; i < 2; i++) client.send(node.queue('q'), `new ${i}`, {}, inside(transaction))
    transaction.commit()
    await node.settled()
    const taker = client.consume(node.queue('q'))
    await node.settled()
    expect(taker.texts).toEqual(['old 2', 'new 0', 'new 1'])
    expectReplayed(node)
  })

  it('with a send of another session that is given up cannot be committed', async () => {
    const { node, client } = await start({ destinations: { limitMessages: 1 } })
    client.send(node.queue('q'), 'there')
    const transaction = begin(client)
    const link = node.client()
    expect(link.send(node.queue('q'), 'parked', {}, inside(transaction))).toBe(-1)
    expect(transaction.commit()).toBe(-1)
    link.session.close('lost')
    await node.until(() => client.refusals.length === 1)
    expect(client.refusals[0].code).toBe('removed')
  })

  it('gives its successor numbers that nobody had', async () => {
    const { node, client } = await start()
    const transaction = begin(client)
    for (let i = 0; i < 100; i++) client.send(node.queue('q'), `${i}`, { durable: i % 3 !== 0 }, inside(transaction))
    transaction.commit()
    const taker = client.consume(node.queue('q'))
    await node.settled()
    const seen = taker.deliveries.map(({ ref }) => ref.sequence)
    expect(seen).toHaveLength(100)
    node.restart()
    const again = node.client()
    again.send(node.queue('q'), 'new')
    const next = again.consume(node.queue('q'))
    await node.settled()
    expect(next.deliveries).toHaveLength(67)
    expect(next.deliveries[66].ref.sequence).toBeGreaterThan(Math.max(...seen))
    expectReplayed(node)
  })
})

describe('a long transaction', () => {
  it.each([{ behind: ['durable, behind', 'volatile, behind'] }, { behind: [] }])(
    'lets nobody overtake it while it is unfolded under its consumer’s eyes, with $behind.length already behind it',
    async ({ behind }) => {
      const { node, client } = await start()
      const count = 10_000
      const taker = client.consume(node.queue('q'), count + 10)
      const transaction = begin(client)
      for (let i = 0; i < count; i++) client.send(node.queue('q'), `${i}`, {}, inside(transaction))
      transaction.commit()
      for (const text of behind) client.send(node.queue('q'), text, { durable: text.startsWith('durable') })
      await node.until(() => taker.deliveries.length > 0)
      expect(node.core.unfolding).toBe(true)
      client.send(node.queue('q'), 'volatile, later', { durable: false })
      await node.until(() => taker.deliveries.length === count + behind.length + 1)
      expect(taker.texts.slice(0, count)).toEqual(Array.from({ length: count }, (_, i) => `${i}`))
      expect(taker.texts.slice(count)).toEqual([...behind, 'volatile, later'])
    },
  )

  it('is unfolded a turn at a time, whole and in order, and nobody overtakes it', async () => {
    const { node, client } = await start()
    const count = 20_000
    const transaction = begin(client)
    for (let i = 0; i < count; i++) client.send(node.queue('q'), `${i}`, {}, inside(transaction))
    transaction.commit()
    client.send(node.queue('q'), 'behind', { durable: false })
    const second = begin(client)
    client.send(node.queue('q'), 'second', {}, inside(second))
    second.commit()
    client.send(node.queue('q'), 'last')
    await node.journal.drained()
    const before = node.core.figures().entries
    expect(before).toBeLessThan(count)
    client.send(node.queue('q'), 'very last, volatile', { durable: false })
    await node.until(() => !node.core.unfolding)
    const taker = client.consume(node.queue('q'), count + 10)
    await node.until(() => taker.deliveries.length === count + 4)
    expect(taker.texts.slice(0, count)).toEqual(Array.from({ length: count }, (_, i) => `${i}`))
    expect(taker.texts.slice(count)).toEqual(['behind', 'second', 'last', 'very last, volatile'])
    await node.core.settledDigest()
    expectReplayed(node)
    const away = begin(client)
    taker.consumer.settleIn(away, 1, count, ACCEPTED)
    away.commit()
    await node.until(() => node.core.figures().entries === 4)
    expectReplayed(node)
  })

  it('is whole in a digest and before a purge, however far it is', async () => {
    const { node, client } = await start()
    const transaction = begin(client)
    for (let i = 0; i < 5_000; i++) client.send(node.queue('q'), `${i}`, {}, inside(transaction))
    transaction.commit()
    await node.journal.drained()
    expectReplayed(node)
    const next = begin(client)
    for (let i = 0; i < 5_000; i++) client.send(node.queue('q'), `${i}`, {}, inside(next))
    next.commit()
    await node.journal.drained()
    expect(await node.core.purge(node.queue('q'))).toBe(10_000)
    expectReplayed(node)
  })

  it('frees what it held when it is rolled back', async () => {
    const { node, client } = await start()
    const transaction = begin(client)
    for (let i = 0; i < 5_000; i++) client.session.publish(node.queue('q'), message(`${i}`, { durable: i % 2 === 0 }), inside(transaction))
    transaction.rollback()
    await node.until(() => !node.core.unfolding)
    await node.settled()
    expect(node.core.status()).toMatchObject({ messages: 0, transactions: { open: 0, unfolding: false } })
    expectReplayed(node)
  })
})

describe('what is given back in shares', () => {
  async function claimed(count: number): Promise<{ node: CoreNode; client: Client; taker: ReturnType<Client['consume']>; transaction: Transaction }> {
    const { node, client } = await start()
    for (let i = 1; i <= count; i++) client.send(node.queue('q'), String(i))
    const taker = client.consume(node.queue('q'))
    await node.settled()
    const transaction = begin(client)
    expect(taker.consumer.settleIn(transaction, 1, count, ACCEPTED)).toBeGreaterThan(0)
    return { node, client, taker, transaction }
  }

  it('is unsettled again with its consumer, the newest first, and the rest when it is rolled back', async () => {
    const { node, client, taker, transaction } = await claimed(50)
    expect(transaction.giveBack(20)).toBe(true)
    expect(taker.consumer.settle(1, 30, ACCEPTED, false)).toBe(0)
    expect(taker.consumer.settle(31, 31, ACCEPTED, false)).toBeGreaterThan(0)
    expect(transaction.commit()).toBe(0)
    expect(transaction.giveBack(20)).toBe(false)
    expect(taker.consumer.settle(1, 50, ACCEPTED, true)).toBeGreaterThan(0)
    await node.settled()
    expect(client.consume(node.queue('q')).texts).toEqual([])
    expectReplayed(node)
  })

  it('goes back to its queue in one go, in order, if its consumer is no more', async () => {
    const { node, client, taker, transaction } = await claimed(50)
    taker.consumer.close()
    const other = client.consume(node.queue('q'))
    expect(transaction.giveBack(20)).toBe(true)
    expect(transaction.giveBack(30)).toBe(false)
    await node.settled()
    expect(other.texts).toEqual([])
    expect(transaction.rollback()).toBeGreaterThan(0)
    await node.settled()
    expect(other.texts).toEqual(Array.from({ length: 50 }, (_, i) => String(i + 1)))
  })
})
