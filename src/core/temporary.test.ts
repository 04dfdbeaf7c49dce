import { beforeEach, describe, expect, it } from 'vitest'
import { CoreNode, PERMANENT } from '../../test/support/core.ts'
import type { QueueOptions } from '../api.ts'

const TEMPORARY: QueueOptions = { durable: true, lifetime: 'temporary', owner: 'me' }
const binding = { tag: 0, settle: 'unsettled', absent: 'keep', retained: 'never' } as const

describe('temporary destinations', () => {
  let node: CoreNode
  beforeEach(() => {
    node = new CoreNode({ destinations: { temporaryGraceMs: 10_000 }, limits: { temporariesPerSession: 3 } })
  })

  it('are made by a declaration of their own kind only, and by no use of their name', async () => {
    const client = node.client()
    const name = node.queue('$temp.a.1')
    expect(client.send(name, 'x')).toBe(0)
    expect(client.session.refusal?.code).toBe('not-found')
    expect(client.session.declare(name, PERMANENT)).toBe(0)
    expect(client.session.refusal?.code).toBe('not-found')
    await expect(node.core.declare(name)).rejects.toMatchObject({ code: 'not-found' })
    expect(client.session.declare(node.queue('plain'), TEMPORARY)).toBe(0)
    expect(client.session.declare(name, TEMPORARY)).toBeGreaterThan(0)
    expect(client.send(name, 'x')).toBeGreaterThan(0)
  })

  it('are consumed by their owner alone', async () => {
    const owner = node.client()
    const other = node.client()
    const name = node.queue('$temp.a.1')
    owner.session.declare(name, TEMPORARY)
    expect(() => other.consume(name)).toThrow(/belongs to another client/)
    expect(other.session.hold(name, 0)).toBe(0)
    expect(other.session.declare(name, TEMPORARY)).toBe(0)
    expect(other.session.refusal?.code).toBe('denied')
    expect(other.session.pull(name, { max: 1, bytes: 1, waitMs: 0, lockMs: 1 }, { deliver() {}, flush() {}, ended() {} })).toBeUndefined()
    const looker = { deliver() {}, flush() {}, ended() {}, drained() {} }
    expect(other.session.browse(name, { held: false }, looker)).toBeUndefined()
    expect(other.session.refusal?.code).toBe('denied')
    expect(owner.session.browse(name, { held: false }, looker)).toBeDefined()
    const taker = owner.consume(name)
    other.send(name, 'reply')
    await node.settled()
    expect(taker.texts).toEqual(['reply'])
  })

  it('outlive a connection that broke for the grace time, for the same owner', async () => {
    const name = node.queue('$temp.a.1')
    const first = node.client()
    first.session.declare(name, TEMPORARY)
    first.session.close('lost')
    const responder = node.client()
    node.clock.advance(6_000)
    expect(responder.send(name, 'reply')).toBeGreaterThan(0)
    expect(responder.session.declare(name, { ...TEMPORARY, owner: 'you' })).toBe(0)
    const second = node.client()
    expect(second.session.declare(name, TEMPORARY)).toBeGreaterThan(0)
    const taker = second.consume(name)
    await node.settled()
    expect(taker.texts).toEqual(['reply'])
    // The time that began with the first loss ends nothing now.
    second.session.close('lost')
    node.clock.advance(6_000)
    expect(responder.send(name, 'late')).toBeGreaterThan(0)
    node.clock.advance(5_000)
    expect(responder.send(name, 'too late')).toBe(0)
    expect(responder.session.refusal?.code).toBe('not-found')
  })

  it('go at once when let go, or when their session ends in order', () => {
    const one = node.queue('$temp.a.1')
    const two = node.queue('$temp.a.2')
    const owner = node.client()
    const other = node.client()
    owner.session.declare(one, TEMPORARY)
    owner.session.declare(two, TEMPORARY)
    expect(owner.session.release(one)).toBeGreaterThan(0)
    expect(other.send(one, 'x')).toBe(0)
    owner.session.close('clean')
    expect(other.send(two, 'x')).toBe(0)
  })

  it('are found by their owner after a takeover, empty, and never number an entry twice', async () => {
    const name = node.queue('$temp.a.1')
    const first = node.client()
    first.session.declare(name, TEMPORARY)
    const before = first.consume(name)
    first.send(name, 'in memory only')
    await node.settled()
    const { digest } = node.core.digest()
    node.restart()
    expect(node.core.digest().digest).toBe(digest)
    const second = node.client()
    expect(second.send(name, 'reply')).toBeGreaterThan(0)
    second.session.declare(name, TEMPORARY)
    const taker = second.consume(name)
    await node.settled()
    expect(taker.texts).toEqual(['reply'])
    expect(taker.deliveries[0].ref.sequence).toBeGreaterThan(before.deliveries[0].ref.sequence)
  })

  it('go some time after a takeover, if nobody comes for them', async () => {
    const name = node.queue('$temp.a.1')
    node.client().session.declare(name, TEMPORARY)
    await node.settled()
    node.restart()
    node.clock.advance(10_500)
    expect(node.client().send(name, 'x')).toBe(0)
    await node.settled()
    node.restart()
    expect(node.client().send(name, 'x')).toBe(0)
  })

  it('may be topics: sent to while they are there, subscribed to by their owner', async () => {
    const topic = node.topic('$temp.a.news')
    const owner = node.client()
    const other = node.client()
    expect(other.send(topic, 'x')).toBe(0)
    expect(other.session.refusal?.code).toBe('not-found')
    owner.session.declare(topic, TEMPORARY)
    for (const client of [owner, other]) client.session.declare(node.queue(client === owner ? 'mine' : 'yours'), PERMANENT)
    expect(other.session.bind({ ...binding, pattern: topic.path, queue: node.queue('yours') })).toBe(0)
    expect(other.session.refusal?.code).toBe('denied')
    expect(owner.session.bind({ ...binding, pattern: topic.path, queue: node.queue('mine') })).toBeGreaterThan(0)
    // No wildcard finds it.
    expect(other.session.bind({ ...binding, pattern: [{ wild: 'rest' }], queue: node.queue('yours') })).toBeGreaterThan(0)
    const mine = owner.consume(node.queue('mine'))
    const yours = other.consume(node.queue('yours'))
    expect(other.send(topic, 'news')).toBeGreaterThan(0)
    await node.settled()
    expect(mine.texts).toEqual(['news'])
    expect(yours.texts).toEqual([])
    owner.session.release(topic)
    expect(other.send(topic, 'x')).toBe(0)
  })

  it('are bounded for each session', () => {
    const client = node.client()
    for (let i = 0; i < 3; i++) expect(client.session.declare(node.queue(`$temp.a.${i}`), TEMPORARY)).toBeGreaterThan(0)
    expect(client.session.declare(node.queue('$temp.a.3'), TEMPORARY)).toBe(0)
    expect(client.session.refusal?.code).toBe('limit')
  })
})
