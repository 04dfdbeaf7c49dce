// How long a session is kept, what is kept with its subscriptions, and when its will goes: also after a restart.
import { describe, expect, it } from 'vitest'
import { CoreNode, message } from '../../test/support/core.ts'
import type { Client, Taker } from '../../test/support/core.ts'

const SECOND = 1000

function watcher(node: CoreNode): Taker {
  const client = node.client()
  bind(node, client, 'watch', 'will')
  return client.consume(node.queue('watch'))
}

function bind(node: CoreNode, client: Client, queue: string, topic: string, label = 0): void {
  client.session.declare(node.queue(queue), { durable: client.session.keepMs > 0, lifetime: 'held' })
  client.session.hold(node.queue(queue), 0)
  client.session.bind({ pattern: [topic], queue: node.queue(queue), tag: 1, label, settle: 'if-durable', absent: 'drop', retained: 'never' })
}

const will = (node: CoreNode, delayMs = 0, ttlMs = 0) => ({ to: node.topic('will'), message: message('gone'), retain: 'no' as const, delayMs, ttlMs })

describe('a session', () => {
  it('says how long it is kept, which is bounded', () => {
    const node = new CoreNode({ limits: { sessionKeepMaxMs: 60 * SECOND } })
    expect(node.client({ clientId: 'a', keepMs: 5 * SECOND }).session.keepMs).toBe(5 * SECOND)
    expect(node.client({ clientId: 'b', keepMs: Number.POSITIVE_INFINITY }).session.keepMs).toBe(60 * SECOND)
  })

  it('is kept as long as its client says when it goes, also over a restart', async () => {
    const node = new CoreNode()
    const identity = { clientId: 'a', keepMs: 1000 * SECOND }
    node.client(identity).session.close('clean', 10 * SECOND)
    await node.settled()
    node.restart()
    await node.settled()
    node.clock.advance(11 * SECOND)
    await node.settled()
    expect(node.client(identity).session.resumed).toBe(false)
  })

  it('that was not to be kept stays so, whatever its client says when it goes', async () => {
    const node = new CoreNode()
    node.client({ clientId: 'a', keepMs: 0 }).session.close('clean', 10 * SECOND)
    await node.settled()
    expect(node.client({ clientId: 'a', keepMs: SECOND }).session.resumed).toBe(false)
  })

  it('ends at once if its client says so when it goes', async () => {
    const node = new CoreNode()
    const client = node.client({ clientId: 'a', keepMs: 10 * SECOND })
    bind(node, client, 'q', 't')
    client.session.close('clean', 0)
    await node.settled()
    expect(node.core.figures()).toMatchObject({ sessions: 0, queues: 0 })
  })

  it('has the numbers of its subscriptions and queues again after a restart', async () => {
    const node = new CoreNode()
    const client = node.client({ clientId: 'a', keepMs: 1000 * SECOND })
    bind(node, client, 'q', 't', 268_435_455)
    client.session.hold(node.queue('q'), 0xffff_ffff)
    await node.settled()
    node.restart()
    await node.settled()
    const { session } = node.client({ clientId: 'a', keepMs: 1000 * SECOND })
    expect(session.boundTo(node.queue('q'))).toMatchObject([{ tag: 1, label: 268_435_455 }])
    expect(session.held).toMatchObject([{ tag: 0xffff_ffff }])
  })

  it('is told whether a publish reached anybody', async () => {
    const node = new CoreNode()
    const client = node.client()
    client.send(node.topic('t'), 'x')
    expect(client.session.unheard).toBe(true)
    bind(node, client, 'q', 't')
    client.send(node.topic('t'), 'x')
    expect(client.session.unheard).toBe(false)
  })
})

describe('a will with a delay', () => {
  it('waits no longer than its session is kept', async () => {
    const node = new CoreNode()
    const taker = watcher(node)
    node.client({ clientId: 'a', keepMs: 0, will: will(node, 100 * SECOND) }).session.close('lost')
    await node.settled()
    expect(taker.texts).toEqual(['gone'])
  })

  it('is sent when its session is forgotten by a fresh one', async () => {
    const node = new CoreNode()
    const taker = watcher(node)
    node.client({ clientId: 'a', keepMs: 1000 * SECOND, will: will(node, 100 * SECOND) }).session.close('lost')
    node.client({ clientId: 'a', keepMs: 1000 * SECOND, fresh: true })
    await node.settled()
    expect(taker.texts).toEqual(['gone'])
  })
})

it('the message of a will lives from when it is sent, also after a restart', async () => {
  const node = new CoreNode()
  const lostMs = node.clock.wallMs()
  node.client({ clientId: 'a', keepMs: 1000 * SECOND, will: will(node, 100 * SECOND, 7 * SECOND) }).session.close('lost')
  await node.settled()
  node.restart()
  const taker = watcher(node)
  await node.settled()
  node.clock.advance(101 * SECOND)
  await node.settled()
  expect(taker.deliveries[0].message.expiresAtMs).toBe(lostMs + 107 * SECOND)
})
