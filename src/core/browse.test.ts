// Looking at a queue without taking from it.
import { describe, expect, it } from 'vitest'
import type { Address, BrokerError, Browse, BrowseSink, Delivery } from '../api.ts'
import { type Client, CoreNode, PERMANENT, textOf } from '../../test/support/core.ts'

class Looker implements BrowseSink {
  readonly browse: Browse
  readonly deliveries: Delivery[] = []
  drains = 0
  flushes = 0
  error: BrokerError | undefined

  constructor(client: Client, queue: Address, credit: number, held = false) {
    const browse = client.session.browse(queue, { held }, this)
    if (browse === undefined) throw client.session.refusal ?? new Error('refused without a reason')
    this.browse = browse
    if (credit > 0) browse.grant(credit, 1e9)
  }

  get texts(): string[] {
    return this.deliveries.map(textOf)
  }

  deliver(delivery: Delivery): void {
    if (this.drains > 0) throw new Error('delivered after the end')
    this.deliveries.push(delivery)
  }

  flush(): void {
    this.flushes++
  }

  drained(): void {
    this.drains++
  }

  ended(error: BrokerError): void {
    this.error = error
  }
}

async function filled(count: number, changes: ConstructorParameters<typeof CoreNode>[0] = {}) {
  const node = new CoreNode(changes)
  const client = node.client()
  const queue = node.queue('q')
  client.session.declare(queue, PERMANENT)
  for (let i = 0; i < count; i++) client.send(queue, String(i))
  await node.settled()
  return { node, client, queue }
}

const numbers = (from: number, to: number): string[] => Array.from({ length: to - from }, (_, i) => String(from + i))

describe('a browse', () => {
  it('shows everything in order, once, says that this was all, and takes nothing', async () => {
    const { node, client, queue } = await filled(2_500)
    const digest = node.core.digest()
    const looker = new Looker(client, queue, 10_000)
    expect(looker.deliveries).toEqual([])
    await node.until(() => looker.drains === 1)
    expect(looker.texts).toEqual(numbers(0, 2_500))
    expect(looker.deliveries.every(({ tag, mode, attempts, maybeSeen }) => tag === 0 && mode === 'settled' && attempts === 1 && !maybeSeen)).toBe(
      true,
    )
    expect(node.core.digest()).toEqual(digest)
    const taker = client.consume(queue, 10_000)
    await node.until(() => taker.texts.length === 2_500)
    expect(taker.deliveries[0].attempts).toBe(1)
  })

  it('gives no more than it has credit for, and tells when that is used up', async () => {
    const { node, client, queue } = await filled(5)
    const looker = new Looker(client, queue, 2)
    let idle = 0
    looker.browse.whenIdle(() => idle++)
    await node.until(() => idle === 1)
    expect(looker.texts).toEqual(['0', '1'])
    expect(looker.drains).toBe(0)
    looker.browse.grant(10, 0)
    looker.browse.whenIdle(() => idle++)
    await node.until(() => idle === 2)
    expect(looker.texts).toEqual(numbers(0, 5))
    expect(looker.drains).toBe(1)
  })

  it('of an empty queue is at its end at once', async () => {
    const { node, client, queue } = await filled(0)
    const looker = new Looker(client, queue, 1)
    await node.until(() => looker.drains === 1)
    expect(looker.texts).toEqual([])
  })

  it('does not see what came after it began, nor anything before it is committed', async () => {
    const node = new CoreNode({}, { manual: true })
    const client = node.client()
    const queue = node.queue('q')
    client.session.declare(queue, PERMANENT)
    client.send(queue, 'committed')
    client.send(queue, 'too')
    node.journal.commit()
    await node.settled()
    client.send(queue, 'not yet')
    const atOnce = new Looker(client, queue, 10, true)
    await node.until(() => atOnce.drains === 1)
    expect(atOnce.texts).toEqual(['committed', 'too'])
    const looker = new Looker(client, queue, 1)
    await node.until(() => looker.deliveries.length === 1)
    client.send(queue, 'later')
    node.journal.commit()
    await node.settled()
    looker.browse.grant(10, 0)
    await node.until(() => looker.drains === 1)
    expect(looker.texts).toEqual(['committed', 'too', 'not yet'])
  })

  it('goes on past entries that are taken from under it, wherever it stands', async () => {
    const { node, client, queue } = await filled(100)
    const looker = new Looker(client, queue, 10)
    await node.until(() => looker.deliveries.length === 10)
    // It stands on the next one: all up to 49 are taken away, and one of them comes back.
    const taker = client.consume(queue, 50)
    await node.until(() => taker.deliveries.length === 50)
    taker.consumer.settle(1, 49, { kind: 'accepted' }, false)
    await node.settled()
    looker.browse.grant(5, 0)
    await node.until(() => looker.deliveries.length === 15)
    expect(looker.texts.slice(10)).toEqual(numbers(50, 55))
    taker.consumer.close()
    await node.settled()
    looker.browse.grant(1_000, 0)
    await node.until(() => looker.drains === 1)
    expect(looker.texts).toEqual([...numbers(0, 10), ...numbers(50, 100)])
  })

  it('on request also shows what a consumer has and what waits for its time, last', async () => {
    const { node, client, queue } = await filled(3)
    client.send(queue, 'delayed', { deliverAtMs: node.clock.wallMs() + 60_000 })
    const taker = client.consume(queue, 1)
    await node.until(() => taker.deliveries.length === 1)
    await node.settled()
    const plain = new Looker(client, queue, 10)
    const all = new Looker(client, queue, 10, true)
    await node.until(() => plain.drains + all.drains === 2)
    expect(plain.texts).toEqual(['1', '2'])
    expect([...all.texts].sort()).toEqual(['0', '1', '2', 'delayed'])
    expect(all.texts.slice(0, 2)).toEqual(['1', '2'])
    expect(all.deliveries.find((delivery) => textOf(delivery) === '0')?.attempts).toBe(2)
  })

  it('goes through the priorities as a consumer would', async () => {
    const { node, client, queue } = await filled(2)
    for (const priority of [9, 1, 9]) client.send(queue, `p${priority}`, { priority })
    await node.settled()
    const looker = new Looker(client, queue, 10)
    await node.until(() => looker.drains === 1)
    expect(looker.texts).toEqual(['p9', 'p9', '0', '1', 'p1'])
  })

  it('goes through message groups in the order of the queue, each message once, while consumers take some', async () => {
    const { node, client, queue } = await filled(2)
    const texts = ['0', '1']
    for (let i = 0; i < 40; i++) {
      const grouped = i % 4 !== 3
      texts.push(grouped ? `g${i % 3} ${i}` : String(i))
      client.send(queue, texts[texts.length - 1], grouped ? { group: `g${i % 3}` } : {})
    }
    await node.settled()
    const looker = new Looker(client, queue, 5)
    await node.until(() => looker.deliveries.length === 5)
    const taker = client.consume(queue, 12)
    await node.until(() => taker.deliveries.length === 12)
    // It is given back what it had, behind the looker and before it.
    taker.consumer.close()
    await node.settled()
    looker.browse.grant(3, 0)
    await node.until(() => looker.deliveries.length === 8)
    const gone = client.consume(queue, 20, { settle: 'settled' })
    await node.until(() => gone.deliveries.length === 20)
    gone.consumer.close()
    looker.browse.grant(100, 0)
    await node.until(() => looker.drains === 1)
    const came = looker.texts.map((text) => texts.indexOf(text))
    expect(came).toEqual([...came].sort((a, b) => a - b))
    expect(came.slice(0, 5)).toEqual([0, 1, 2, 3, 4])
    expect(came.filter((i) => i >= 20)).toEqual(Array.from({ length: 22 }, (_, i) => 20 + i))
  })

  it('goes through priorities within and beside groups', async () => {
    const { node, client, queue } = await filled(1)
    for (const [text, priority, group] of [
      ['a', 4, 'g'],
      ['b', 7, ''],
      ['c', 9, 'h'],
      ['d', 7, 'g'],
      ['e', 4, ''],
    ] as const)
      client.send(queue, text, { priority, ...(group === '' ? {} : { group }) })
    await node.settled()
    const looker = new Looker(client, queue, 10)
    await node.until(() => looker.drains === 1)
    expect(looker.texts).toEqual(['c', 'b', 'd', '0', 'a', 'e'])
  })

  it('does not show what has expired', async () => {
    const node = new CoreNode()
    const client = node.client()
    const queue = node.queue('q')
    client.session.declare(queue, PERMANENT)
    client.send(queue, 'short', { expiresAtMs: node.clock.wallMs() + 1 })
    client.send(queue, 'long')
    await node.settled()
    const looker = new Looker(client, queue, 0)
    node.clock.advance(1)
    looker.browse.grant(10, 1e9)
    await node.until(() => looker.drains === 1)
    expect(looker.texts).toEqual(['long'])
  })

  it('reads bodies back that are in no memory, and does not disturb an exclusive consumer', async () => {
    const { node, queue } = await filled(50)
    node.restart()
    node.journal.forget()
    const reader = node.client()
    const taker = reader.consume(queue, 0, { exclusive: 'refuse' })
    const looker = new Looker(reader, queue, 100)
    await node.until(() => looker.drains === 1)
    expect(looker.texts).toEqual(numbers(0, 50))
    expect(looker.deliveries[0].maybeSeen).toBe(true)
    expect(taker.deliveries).toEqual([])
  })

  it('passes over what cannot be read, which stays where it is', async () => {
    const { node, client, queue } = await filled(3)
    const { journal } = node
    const read = journal.read.bind(journal)
    let fetches = 0
    journal.read = () => undefined
    journal.fetch = (segment, offset, length, done) => {
      const bytes = ++fetches === 2 ? undefined : read(segment, offset, length)
      setImmediate(() => done(bytes))
    }
    const looker = new Looker(client, queue, 10)
    await node.until(() => looker.drains === 1)
    expect(looker.texts).toEqual(['0', '2'])
    const taker = client.consume(queue)
    await node.until(() => taker.texts.length === 3)
    expect(taker.texts).toEqual(['0', '1', '2'])
  })

  it('stalled gives nothing, and is not at its end', async () => {
    const { node, client, queue } = await filled(3)
    const looker = new Looker(client, queue, 0)
    looker.browse.stall(true)
    looker.browse.grant(10, 1e9)
    await node.settled()
    expect([looker.texts, looker.drains]).toEqual([[], 0])
    looker.browse.stall(false)
    await node.until(() => looker.drains === 1)
    expect(looker.texts).toEqual(numbers(0, 3))
  })

  it('ends with its queue, and with its session, and leaves nobody standing', async () => {
    const { node, client, queue } = await filled(3)
    const other = node.client()
    const removed = new Looker(client, queue, 1)
    const left = new Looker(other, queue, 1)
    await node.until(() => removed.texts.length + left.texts.length === 2)
    other.session.close('lost')
    client.session.remove(queue)
    await node.until(() => removed.error !== undefined)
    expect(removed.error?.code).toBe('removed')
    expect([left.error, left.drains, removed.drains]).toEqual([undefined, 0, 0])
  })

  it('is refused beyond limits.browsers, and of a queue that is not there', async () => {
    const { client, queue, node } = await filled(0, { limits: { browsers: 1 } })
    const looker = new Looker(client, queue, 0)
    expect(client.session.browse(queue, { held: false }, looker)).toBeUndefined()
    expect(client.session.refusal?.message).toContain('limits.browsers')
    looker.browse.close()
    expect(client.session.browse(queue, { held: false }, looker)).toBeDefined()
    expect(client.session.browse(node.queue('none'), { held: false }, looker)).toBeUndefined()
    expect(client.session.refusal?.code).toBe('not-found')
  })
})
