// Messages whose bodies cannot be read back: they block nobody, are not lost, are tried again, and are told of.
import { describe, expect, it } from 'vitest'
import { CoreNode, message, NO_RETAIN, PERMANENT } from '../../test/support/core.ts'
import type { Range } from '../journal/journal.ts'

type Disk = { bad: (range: Range) => boolean; fetches: number }

/** Nothing is in memory, and what is `bad` cannot be read from disk. */
function unread(node: CoreNode): Disk {
  const disk: Disk = { bad: () => false, fetches: 0 }
  const { journal } = node
  const read = journal.read.bind(journal)
  journal.read = () => undefined
  journal.fetch = (segment, offset, length, done) =>
    setImmediate(() => {
      disk.fetches += 1
      done(disk.bad({ segment, offset, length }) ? undefined : read(segment, offset, length))
    })
  return disk
}

const passedOver = (node: CoreNode): string[] =>
  node.core
    .recent(1_000)
    .filter((one) => one.event === 'passed-over')
    .map((one) => `${one.sequence} ${one.reason} ${one.extra}`)
    .toReversed()

describe('a message that cannot be read', () => {
  it('lets those behind it pass, stays on its queue, and comes when it can be read', async () => {
    const node = new CoreNode()
    const client = node.client()
    const queue = node.queue('q')
    client.session.declare(queue, PERMANENT)
    for (const text of ['one', 'longer than the others', 'three', 'four']) client.send(queue, text)
    await node.settled()
    const disk = unread(node)
    const lengths = new Set<number>()
    disk.bad = ({ length }) => lengths.add(length) && length === Math.max(...lengths) && lengths.size > 1
    const taker = client.consume(queue)
    await node.until(() => taker.deliveries.length === 3)
    expect(taker.texts).toEqual(['one', 'three', 'four'])
    expect(node.lost).toBeUndefined()
    const second = taker.deliveries[0].ref.sequence + 1
    expect(passedOver(node)).toEqual([`${second} unreadable 1`])
    expect(node.core.figures().entries).toBe(4)
    taker.accept(1, 3)
    // Not before its time, then after one second, then after two.
    const { fetches } = disk
    node.clock.advance(900)
    await node.settled()
    expect(disk.fetches).toBe(fetches)
    node.clock.advance(200)
    await node.until(() => passedOver(node).length === 2)
    expect(passedOver(node)[1]).toBe(`${second} unreadable 2`)
    disk.bad = () => false
    node.clock.advance(1_900)
    await node.settled()
    expect(taker.deliveries).toHaveLength(3)
    node.clock.advance(200)
    await node.until(() => taker.deliveries.length === 4)
    expect(taker.texts[3]).toBe('longer than the others')
  })

  it('is passed over by each of its queues, and expires like any other', async () => {
    const node = new CoreNode()
    const client = node.client()
    const queues = ['a', 'b'].map((name) => node.queue(name))
    for (const queue of queues) {
      client.session.declare(queue, PERMANENT)
      client.session.bind({ pattern: [{ wild: 'rest' }], queue, tag: 1, settle: 'unsettled', absent: 'keep', retained: 'never' })
    }
    client.session.publish(node.topic('t'), message('short lived', { expiresAtMs: node.clock.wallMs() + 60_000 }), NO_RETAIN)
    client.send(node.topic('t'), 'next')
    await node.settled()
    const disk = unread(node)
    let first: number | undefined
    disk.bad = ({ offset }) => offset === (first ??= offset)
    const takers = queues.map((queue) => client.consume(queue))
    await node.until(() => takers.every((taker) => taker.deliveries.length === 1))
    expect(takers.map((taker) => taker.texts)).toEqual([['next'], ['next']])
    // One message, one count: both queues try it again at the same time.
    expect(passedOver(node).map((line) => line.replace(/^\d+ /, ''))).toEqual(['unreadable 1', 'unreadable 1'])
    for (const taker of takers) taker.accept(1)
    node.clock.advance(61_000)
    await node.settled()
    expect(takers.map((taker) => taker.texts)).toEqual([['next'], ['next']])
    expect([...node.core.recent(100)].filter((one) => one.event === 'dead-lettered').map((one) => one.reason)).toEqual(['expired', 'expired'])
  })

  it('is not given in part when one of its pieces is bad', async () => {
    const node = new CoreNode()
    const client = node.client()
    const queue = node.queue('q')
    client.session.declare(queue, PERMANENT)
    client.send(queue, 'x'.repeat(900_000))
    client.send(queue, 'small')
    await node.until(() => client.admissions.length > 0)
    await node.settled()
    const disk = unread(node)
    let pieces = 0
    disk.bad = ({ length }) => length > 100_000 && ++pieces === 3
    const taker = client.consume(queue)
    await node.until(() => taker.deliveries.length === 1)
    expect(taker.texts).toEqual(['small'])
    expect(pieces).toBe(3)
    node.clock.advance(1_000)
    await node.until(() => taker.deliveries.length === 2)
    expect(taker.texts[1]).toHaveLength(900_000)
  })

  it('can be purged when nobody consumes', async () => {
    const node = new CoreNode()
    const client = node.client()
    const queue = node.queue('q')
    client.session.declare(queue, PERMANENT)
    client.send(queue, 'bad')
    await node.settled()
    unread(node).bad = () => true
    const taker = client.consume(queue)
    await node.until(() => passedOver(node).length === 1)
    taker.consumer.close()
    node.clock.advance(2_000)
    await node.settled()
    expect(await node.core.purge(queue)).toBe(1)
    expect(node.core.figures().entries).toBe(0)
    expect(passedOver(node)).toHaveLength(1)
    expect(node.lost).toBeUndefined()
  })
})

describe('a segment whose survivors cannot be copied', () => {
  it('makes way for others, and is tried again later', async () => {
    const segmentBytes = 256 * 1024
    const node = new CoreNode({ journal: { segmentBytes } }, { segmentBytes })
    const client = node.client()
    const queue = node.queue('q')
    client.session.declare(queue, PERMANENT)
    const taker = client.consume(queue, 200)
    for (let i = 0; i < 120; i++) {
      client.send(queue, 'x'.repeat(10_000))
      if (i % 10 === 9) await node.settled()
    }
    await node.until(() => taker.deliveries.length === 120)
    for (let i = 1; i <= 120; i++) if (i % 4 !== 0) taker.accept(i)
    await node.settled()
    const asked: number[] = []
    node.journal.preserve = ([{ segment }], done) => {
      asked.push(segment)
      setImmediate(() => done(undefined))
    }
    const snapshots = async (): Promise<void> => {
      for (let i = 0; i < 8; i++) {
        await node.core.snapshot()
        await node.settled()
      }
    }
    await snapshots()
    expect(asked.length).toBeGreaterThan(2)
    expect(new Set(asked).size).toBe(asked.length)
    const once = [...asked]
    node.clock.advance(30_000)
    await snapshots()
    expect(asked).toEqual([...once, ...once])
  })
})
