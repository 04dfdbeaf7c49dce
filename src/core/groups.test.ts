// Message groups: one consumer a group while it lives, order within each, and nothing held up by a group that cannot go.
import { describe, expect, it } from 'vitest'
import type { Delivery } from '../api.ts'
import { type Client, CoreNode, PERMANENT, type Taker, textOf } from '../../test/support/core.ts'
import { SeededRandom } from '../random.ts'
import { groupBucket } from './group-buckets.ts'

function start(changes: ConstructorParameters<typeof CoreNode>[0] = {}): { node: CoreNode; client: Client } {
  const node = new CoreNode(changes)
  const client = node.client()
  client.session.declare(node.queue('q'), PERMANENT)
  return { node, client }
}

/** `a1` is of group a; `-1` of none; `a9!` closes its group. */
async function send(node: CoreNode, client: Client, texts: string, durable = true): Promise<void> {
  for (const text of texts.split(' ')) {
    const group = text.startsWith('-') ? '' : text[0]
    client.send(node.queue('q'), text, { group, groupEnds: text.endsWith('!'), durable })
  }
  await node.settled()
}

const of = (taker: Taker): string => taker.texts.join(' ')

describe('a message group', () => {
  it.each([true, false])('goes to one consumer, and several groups to several (durable %s)', async (durable) => {
    const { node, client } = start()
    const [x, y] = [client.consume(node.queue('q')), client.consume(node.queue('q'))]
    await send(node, client, 'a1 b1 a2 a3 b2 -1 -2 a4', durable)
    expect([of(x), of(y)]).toEqual(['a1 a2 a3 -1 a4', 'b1 b2 -2'])
  })

  it('and what is in none come to one consumer in the order of the queue', async () => {
    const { node, client } = start()
    await send(node, client, 'a1 -1 b1 a2 c1 -2 b2 a3')
    const taker = client.consume(node.queue('q'), 3)
    await node.settled()
    taker.consumer.grant(5, 0)
    await node.settled()
    expect(of(taker)).toBe('a1 -1 b1 a2 c1 -2 b2 a3')
  })

  it('comes in the order of the queue beside others, also to one of several consumers', async () => {
    const { node, client } = start()
    const [x, y] = [client.consume(node.queue('q'), 1), client.consume(node.queue('q'), 1)]
    await send(node, client, 'a1 b1')
    await send(node, client, 'a2 b2 -1 b3 -2 a3')
    x.consumer.grant(9, 0)
    y.consumer.grant(9, 0)
    await node.settled()
    expect([of(x), of(y)]).toEqual(['a1 a2 -1 -2 a3', 'b1 b2 b3'])
  })

  it('whose consumer has no credit waits, and the others go on', async () => {
    const { node, client } = start()
    const x = client.consume(node.queue('q'), 1)
    await send(node, client, 'a1')
    const y = client.consume(node.queue('q'))
    await send(node, client, 'a2 b1 a3 -1 b2')
    expect([of(x), of(y)]).toEqual(['a1', 'b1 -1 b2'])
    x.consumer.grant(5, 0)
    await node.settled()
    expect(of(x)).toBe('a1 a2 a3')
  })

  it('goes over to another consumer with what its own had not settled, in order', async () => {
    const { node, client } = start()
    const x = client.consume(node.queue('q'), 3)
    await send(node, client, 'a1 a2 a3 a4')
    const y = client.consume(node.queue('q'))
    await node.settled()
    x.accept(1)
    x.consumer.close()
    await node.settled()
    await send(node, client, 'a5')
    expect([of(x), of(y)]).toEqual(['a1 a2 a3', 'a2 a3 a4 a5'])
  })

  it('moves to a consumer that comes later only when nothing of it is out', async () => {
    const { node, client } = start()
    const x = client.consume(node.queue('q'))
    await send(node, client, 'a1 b1 c1 d1')
    x.accept(1, 2)
    const y = client.consume(node.queue('q'))
    await send(node, client, 'a2 b2 c2 d2')
    expect(of(x).split(' ').length + y.texts.length).toBe(8)
    // What had nothing out was free for whose turn it was; what had stayed.
    expect(y.texts.length).toBeGreaterThan(0)
    expect(x.texts).toEqual(expect.arrayContaining(['c2', 'd2']))
  })

  it('with a message that failed waits for it, and other groups do not', async () => {
    const { node, client } = start()
    const taker = client.consume(node.queue('q'), 1)
    await send(node, client, 'a1 a2 b1')
    taker.consumer.settle(1, 1, { kind: 'modified', failed: true, elsewhere: false, afterMs: 1_000 }, false)
    taker.consumer.grant(10, 0)
    await node.settled()
    expect(of(taker)).toBe('a1 b1')
    for (let i = 0; i < 11; i++) node.clock.advance(100)
    await node.settled()
    expect(of(taker)).toBe('a1 b1 a1 a2')
  })

  it('tells its consumer of its first message, where the policy asks, and again after it was closed or went over', async () => {
    const { node, client } = start({ destinations: { groupFirst: true } })
    const firsts = (taker: Taker): string =>
      taker.deliveries
        .filter(({ groupFirst }) => groupFirst)
        .map(textOf)
        .join(' ')
    const x = client.consume(node.queue('q'))
    await send(node, client, 'a1 b1 a2 -1 b2! b3 b4 a3')
    expect(firsts(x)).toBe('a1 b1 b3')
    // Given back to the same one it is no first; to another it is.
    x.consumer.settle(1, 1, { kind: 'released', afterMs: 0 }, true)
    await node.settled()
    expect([of(x), firsts(x)]).toEqual(['a1 b1 a2 -1 b2! b3 b4 a3 a1', 'a1 b1 b3'])
    x.consumer.close()
    const y = client.consume(node.queue('q'))
    await node.settled()
    expect(firsts(y)).toBe('a1 b1 b3')
  })

  it('tells one who chooses by a selector, as long as he has any of it', async () => {
    const { node, client } = start({ destinations: { groupFirst: true } })
    const x = client.consume(node.queue('q'), 1_000, { selector: "JMSXGroupID = 'a'" })
    await send(node, client, 'a1 b1 a2')
    x.accept(1, 2)
    await node.settled()
    await send(node, client, 'a3 a4')
    expect(x.deliveries.map(({ groupFirst }) => groupFirst)).toEqual([true, false, true, false])
  })

  it('of a bucket with more groups than are remembered is told again, rather than not', async () => {
    const { node, client } = start({ destinations: { groupFirst: true } })
    const names: string[] = []
    for (let i = 0; names.length < 257; i++) if (groupBucket(Buffer.from(`g${i}`)) === 1) names.push(`g${i}`)
    const x = client.consume(node.queue('q'), 1_000)
    for (const group of [...names.slice(0, 256), ...names.slice(0, 256), names[256], names[256], names[0]])
      client.send(node.queue('q'), group, { group })
    await node.settled()
    const firsts = x.deliveries.map(({ groupFirst }) => groupFirst)
    expect(firsts.slice(0, 512)).toEqual([...Array.from({ length: 256 }, () => true), ...Array.from({ length: 256 }, () => false)])
    expect(firsts.slice(512)).toEqual([true, false, true])
  })

  it('is not told unless the policy asks', async () => {
    const { node, client } = start()
    const taker = client.consume(node.queue('q'))
    await send(node, client, 'a1')
    expect(taker.deliveries.map(({ groupFirst }) => groupFirst)).toEqual([false])
  })

  it('that is closed begins again with whose turn it is', async () => {
    const { node, client } = start()
    const [x, y] = [client.consume(node.queue('q')), client.consume(node.queue('q'))]
    await send(node, client, 'a1 a2!')
    x.accept(1, 2)
    await send(node, client, 'a3 a4')
    expect([of(x), of(y)]).toEqual(['a1 a2!', 'a3 a4'])
  })

  it('waits for what a pull has of it', async () => {
    const { node, client } = start()
    await send(node, client, 'a1 a2 b1')
    const pulled: string[] = []
    const sink = { deliver: ({ message }: { message: { body: Uint8Array } }) => void pulled.push(String(message.body)), flush() {}, ended() {} }
    client.session.pull(node.queue('q'), { max: 1, bytes: 1e6, waitMs: 0, lockMs: 5_000 }, sink)
    await node.settled()
    const taker = client.consume(node.queue('q'))
    await node.settled()
    expect([pulled, of(taker)]).toEqual([['a1'], 'b1'])
    for (let i = 0; i < 51; i++) node.clock.advance(100)
    await node.settled()
    expect(of(taker)).toBe('b1 a1 a2')
  })

  it('gives a pull no more than its first, and answers it', async () => {
    const { node, client } = start()
    await send(node, client, 'a1 a2 b1 -1')
    const pulled: string[] = []
    let answered = 0
    const sink = { deliver: (delivery: Delivery) => void pulled.push(textOf(delivery)), flush: () => void answered++, ended() {} }
    client.session.pull(node.queue('q'), { max: 10, bytes: 1e6, waitMs: 10_000, lockMs: 5_000 }, sink)
    await node.settled()
    expect([pulled, answered]).toEqual([['a1', 'b1', '-1'], 1])
  })

  it('goes on when what a pull had of it is settled', async () => {
    const { node, client } = start()
    await send(node, client, 'a1 a2')
    const pulled: Delivery[] = []
    const sink = { deliver: (delivery: Delivery) => void pulled.push(delivery), flush() {}, ended() {} }
    client.session.pull(node.queue('q'), { max: 1, bytes: 1e6, waitMs: 0, lockMs: 5_000 }, sink)
    await node.settled()
    const taker = client.consume(node.queue('q'))
    await node.settled()
    expect(of(taker)).toBe('')
    client.session.settleRef(pulled[0].ref, 1, { kind: 'accepted' })
    await node.settled()
    expect(of(taker)).toBe('a2')
  })

  it('that is closed goes on elsewhere when its consumer has no credit left', async () => {
    const { node, client } = start()
    const x = client.consume(node.queue('q'), 1)
    await send(node, client, 'a1!')
    const y = client.consume(node.queue('q'))
    await send(node, client, 'a2')
    expect([of(x), of(y)]).toEqual(['a1!', ''])
    x.accept(1)
    await node.settled()
    expect(of(y)).toBe('a2')
  })

  it('goes on when the one that it waited for expires', async () => {
    const { node, client } = start()
    const taker = client.consume(node.queue('q'), 1)
    client.send(node.queue('q'), 'a1', { group: 'a', expiresAtMs: node.clock.wallMs() + 200 })
    await send(node, client, 'a2')
    taker.consumer.settle(1, 1, { kind: 'modified', failed: true, elsewhere: false, afterMs: 60_000 }, false)
    taker.consumer.grant(10, 0)
    await node.settled()
    expect(of(taker)).toBe('a1')
    for (let i = 0; i < 5; i++) node.clock.advance(100)
    await node.settled()
    expect(of(taker)).toBe('a1 a2')
  })

  it('is given to nobody who is gone, though some of it is in his transaction still', async () => {
    const { node, client } = start()
    const chooses = (): Taker => client.consume(node.queue('q'), 9, { selector: 'TRUE' })
    const [gone, other] = [chooses(), chooses()]
    const transaction = client.session.begin()
    await send(node, client, 'a1')
    expect(of(gone)).toBe('a1')
    if (transaction !== undefined) gone.consumer.settleIn(transaction, 1, 1, { kind: 'accepted' })
    gone.consumer.close()
    await send(node, client, 'a2')
    expect([of(gone), of(other)]).toEqual(['a1', ''])
    transaction?.rollback()
    await node.settled()
    expect([of(gone), of(other)]).toEqual(['a1', 'a1 a2'])
  })

  it('is free while an exclusive consumer takes over from its own', async () => {
    const { node, client } = start()
    const x = client.consume(node.queue('q'))
    await send(node, client, 'a1')
    x.accept(1)
    const only = client.consume(node.queue('q'), 10, { exclusive: 'wait' })
    await send(node, client, 'a2')
    expect([of(x), of(only)]).toEqual(['a1', 'a2'])
  })

  it.each(['the journal', 'a snapshot'])('comes back after a restart from %s', async (source) => {
    const { node, client } = start()
    await send(node, client, 'a1 b1 a2 a3! b2 -1')
    if (source === 'a snapshot') await node.core.snapshot()
    const { digest } = node.core.digest()
    node.restart()
    expect(node.core.digest().digest).toBe(digest)
    const again = node.client()
    const [x, y] = [again.consume(node.queue('q'), 100), again.consume(node.queue('q'), 100)]
    await node.settled()
    expect([of(x), of(y)]).toEqual(['a1 a2 a3! -1', 'b1 b2'])
  })

  it.each([1, 2, 3, 4, 5, 6, 7, 8])('keeps its promises under random use (seed %i)', async (seed) => {
    const random = new SeededRandom(seed)
    const { node, client } = start()
    const takers: { taker: Taker; seen: number; open: Map<number, string> }[] = []
    const sent: string[] = []
    const settled = new Set<string>()
    /** By group: who has unsettled messages of it. */
    const look = (): void => {
      for (const each of takers) {
        for (const delivery of each.taker.deliveries.slice(each.seen)) {
          const text = String(delivery.message.body)
          const group = text.split(' ')[0]
          each.open.set(delivery.tag, text)
          if (group === '-') continue
          for (const other of takers) {
            if (other === each) continue
            const held = [...other.open.values()].find((open) => open.split(' ')[0] === group)
            expect(held, `${text} and ${held} of one group are with two consumers`).toBeUndefined()
          }
          const earlier = sent.filter((before) => before.split(' ')[0] === group && Number(before.split(' ')[1]) < Number(text.split(' ')[1]))
          const passed = earlier.find((before) => !settled.has(before) && ![...each.open.values()].includes(before))
          expect(passed, `${text} came before ${passed}`).toBeUndefined()
        }
        each.seen = each.taker.deliveries.length
      }
    }
    const step = async (what: number): Promise<void> => {
      if (what < 50) {
        const group = random.below(4) === 0 ? '-' : `g${random.below(6)}`
        const text = `${group} ${sent.length}`
        sent.push(text)
        client.send(node.queue('q'), text, {
          group: group === '-' ? '' : group,
          groupEnds: random.below(10) === 0,
          durable: random.below(3) > 0,
        })
      } else if (what < 58 && takers.length < 5) takers.push({ taker: client.consume(node.queue('q'), random.below(6)), seen: 0, open: new Map() })
      else if (what < 62 && takers.length > 1) {
        const [{ taker, open }] = takers.splice(random.below(takers.length), 1)
        taker.consumer.close()
        open.clear()
      } else if (what < 90 && takers.length > 0) {
        const { taker, open } = takers[random.below(takers.length)]
        const tags = [...open.keys()]
        if (tags.length > 0) {
          // From the oldest on, as one that keeps order settles.
          const how = random.below(6)
          const last = how === 0 ? tags[tags.length - 1] : tags[random.below(tags.length)]
          if (how === 0) taker.consumer.settle(tags[0], last, { kind: 'released', afterMs: random.below(2) * 40 }, false)
          else taker.accept(tags[0], last, false)
          for (const tag of tags) {
            if (tag > last) break
            if (how > 0) settled.add(open.get(tag) ?? '')
            open.delete(tag)
          }
        }
        taker.consumer.grant(random.below(4), 1e6)
      } else node.clock.advance(random.below(60))
      if (random.below(3) === 0) await new Promise((resolve) => setImmediate(resolve))
      look()
    }
    for (let i = 0; i < 1_500; i++) await step(random.below(100))
    // Everything comes in the end.
    takers.push({ taker: client.consume(node.queue('q'), 1_000_000), seen: 0, open: new Map() })
    for (const { taker } of takers.slice(0, -1)) taker.consumer.close()
    takers.splice(0, takers.length - 1)
    for (let i = 0; i < 100; i++) {
      node.clock.advance(10)
      await node.settled()
      look()
      for (const { taker, open } of takers) {
        for (const [tag, text] of open) {
          taker.accept(tag, tag, false)
          settled.add(text)
        }
        open.clear()
      }
    }
    expect(settled.size).toBe(sent.length)
  })
})
