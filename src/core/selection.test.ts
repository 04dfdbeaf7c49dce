// Consumers with selectors on a queue: who gets what, in which order, whatever happens to entries and consumers meanwhile, and what it costs.
import { describe, expect, it } from 'vitest'
import { type Client, CoreNode, PERMANENT, Taker } from '../../test/support/core.ts'
import { headers } from '../../test/support/test-dialect.ts'
import type { Address, Message } from '../api.ts'
import type { CoreConsumer } from './consumer.ts'
import type { Selection } from './selection.ts'

type Values = Readonly<Record<string, string | number | boolean>>

interface Stage {
  readonly node: CoreNode
  readonly client: Client
  readonly queue: Address
}

function stage(node = new CoreNode()): Stage {
  const client = node.client()
  const queue = node.queue('q')
  client.session.declare(queue, PERMANENT)
  return { node, client, queue }
}

function send({ client, queue }: Stage, text: string, values: Values = {}, changes: Partial<Message> = {}): void {
  if (client.send(queue, text, { head: headers(values), ...changes }) === 0) throw client.session.refusal ?? new Error('refused')
}

function take({ client, queue }: Stage, selector: string | undefined, credit = 1_000): Taker {
  return client.consume(queue, credit, { settle: 'unsettled', selector })
}

/** Turn by turn, while time goes on. */
async function until({ node }: Stage, so: () => boolean): Promise<void> {
  await node.until(() => {
    node.clock.advance(1)
    return so()
  })
}

function selectionOf(taker: Taker): Selection | undefined {
  return (taker.consumer as CoreConsumer).seats[0]?.queue.selection
}

describe('a consumer with a selector', () => {
  it('is given what its selector takes, in order; others are given the rest', async () => {
    const on = stage()
    const even = take(on, 'even')
    const large = take(on, 'n > 5 AND NOT even')
    for (let n = 0; n < 10; n++) send(on, String(n), { n, even: n % 2 === 0 })
    await on.node.settled()
    const rest = take(on, undefined)
    await on.node.settled()
    expect([even.texts, large.texts, rest.texts]).toEqual([
      ['0', '2', '4', '6', '8'],
      ['7', '9'],
      ['1', '3', '5'],
    ])
  })

  it('finds what was there before it came, in memory and on disk', async () => {
    for (const forgotten of [false, true]) {
      const on = stage()
      for (let n = 0; n < 2_000; n++) send(on, String(n), { n })
      await on.node.settled()
      if (forgotten) on.node.journal.forget()
      const taker = take(on, 'n = 7 OR n > 1996')
      await until(on, () => taker.deliveries.length === 4)
      expect(taker.texts).toEqual(['7', '1997', '1998', '1999'])
    }
  })

  it('is given what comes while its sweep is under way after what it has yet to find', async () => {
    const on = stage()
    for (let n = 0; n < 2_000; n++) send(on, String(n), { n })
    await on.node.settled()
    const taker = take(on, 'n = 1999 OR n = 5000')
    send(on, '5000', { n: 5_000 })
    await on.node.settled()
    await until(on, () => taker.deliveries.length === 2)
    expect(taker.texts).toEqual(['1999', '5000'])
  })

  it('shares with those of the same selector in turn', async () => {
    const on = stage()
    const takers = [take(on, 'n > 1'), take(on, 'n > 1'), take(on, 'n > 3')]
    for (let n = 0; n < 6; n++) send(on, String(n), { n })
    await on.node.settled()
    expect(takers.flatMap(({ texts }) => texts).sort()).toEqual(['2', '3', '4', '5'])
    expect(takers[0].deliveries.length + takers[1].deliveries.length).toBeGreaterThanOrEqual(2)
  })

  it('that reads texts as numbers does not share with those of the same words that do not', async () => {
    const on = stage()
    const plain = take(on, 'n > 1')
    const converting = on.client.consume(on.queue, 1_000, { settle: 'unsettled', selector: 'n > 1', selectorConverts: true })
    for (let n = 0; n < 4; n++) send(on, String(n), { n: String(n) })
    await on.node.settled()
    expect([plain.texts, converting.texts]).toEqual([[], ['2', '3']])
  })

  it('is refused when its selector is none', () => {
    const { client, queue } = stage()
    const sink = { deliver() {}, flush() {}, ended() {} }
    expect(client.session.consume([queue], { settle: 'unsettled', exclusive: 'no', priority: 0, selector: 'a >' }, sink)).toBeUndefined()
    expect(client.session.refusal).toMatchObject({ code: 'invalid' })
    expect(client.session.consume([queue], { settle: 'unsettled', exclusive: 'no', priority: 0, selector: '  ' }, sink)).toBeDefined()
  })

  it('is given no more than it has credit for, and the rest when it has more', async () => {
    const on = stage()
    const taker = take(on, 'n >= 0', 2)
    for (let n = 0; n < 5; n++) send(on, String(n), { n })
    await on.node.settled()
    expect(taker.texts).toEqual(['0', '1'])
    taker.consumer.grant(2, 0)
    await on.node.settled()
    expect(taker.texts).toEqual(['0', '1', '2', '3'])
    taker.accept(1, 4)
    taker.consumer.grant(1, 0)
    await on.node.settled()
    expect(taker.texts).toEqual(['0', '1', '2', '3', '4'])
  })

  it('is given a higher priority first', async () => {
    const on = stage()
    const [early, late] = [0, 1].map((i) => take(on, i === 0 ? 'n >= 0' : 'n = 1 OR n = 2 OR n = 3', 0))
    for (const [n, priority] of [4, 9, 4, 0].entries()) send(on, String(n), { n }, { priority })
    await on.node.settled()
    late.consumer.grant(2, 1e9)
    await on.node.settled()
    early.consumer.grant(10, 1e9)
    await on.node.settled()
    expect([late.texts, early.texts]).toEqual([
      ['1', '2'],
      ['0', '3'],
    ])
  })

  it('is given after those of a higher consumer priority, and before others', async () => {
    const on = stage()
    const first = on.client.consume(on.queue, 2, { settle: 'unsettled', priority: 5 })
    const chooser = on.client.consume(on.queue, 10, { settle: 'unsettled', selector: 'n > 0' })
    const last = on.client.consume(on.queue, 10, { settle: 'unsettled' })
    for (let n = 0; n < 6; n++) send(on, String(n), { n })
    await on.node.settled()
    expect([first.texts, chooser.texts, last.texts]).toEqual([['0', '1'], ['2', '3', '4', '5'], []])
    first.accept(1, 2)
    first.consumer.grant(1, 0)
    for (const n of [6, 0]) send(on, `next ${n}`, { n })
    await on.node.settled()
    expect([first.texts, chooser.texts, last.texts]).toEqual([['0', '1', 'next 6'], ['2', '3', '4', '5'], ['next 0']])
  })

  it('takes every queue of a pattern, those made later too', async () => {
    const on = stage()
    const taker = new Taker(on.client.session, { pattern: [{ wild: 'rest' }] }, 100, {
      settle: 'unsettled',
      exclusive: 'no',
      priority: 0,
      selector: 'n > 0',
    })
    on.client.session.declare(on.node.queue('later'), PERMANENT)
    for (const queue of ['q', 'later']) for (let n = 0; n < 2; n++) on.client.send(on.node.queue(queue), `${queue}${n}`, { head: headers({ n }) })
    await on.node.settled()
    expect(taker.texts.sort()).toEqual(['later1', 'q1'])
  })

  it('takes several queues', async () => {
    const on = stage()
    on.client.session.declare(on.node.queue('r'), PERMANENT)
    const taker = take(on, 'n > 0')
    taker.consumer.add(on.node.queue('r'))
    for (const queue of ['q', 'r']) for (let n = 0; n < 3; n++) on.client.send(on.node.queue(queue), `${queue}${n}`, { head: headers({ n }) })
    await on.node.settled()
    expect(taker.texts.sort()).toEqual(['q1', 'q2', 'r1', 'r2'])
  })
})

describe('what comes back', () => {
  it('is given again at its place, to whom its selector lets', async () => {
    const on = stage()
    const first = take(on, 'n > 0', 3)
    for (let n = 0; n < 6; n++) send(on, String(n), { n })
    await on.node.settled()
    expect(first.texts).toEqual(['1', '2', '3'])
    const second = take(on, 'n > 1', 0)
    first.consumer.close()
    second.consumer.grant(10, 1e9)
    await on.node.settled()
    expect(second.texts).toEqual(['2', '3', '4', '5'])
    const rest = take(on, undefined)
    await on.node.settled()
    expect(rest.texts).toEqual(['0', '1'])
  })

  it('is judged again from disk, and nothing behind it goes first', async () => {
    const on = stage()
    const first = take(on, 'n > 0', 2)
    const second = take(on, 'n >= 1', 0)
    for (let n = 0; n < 5; n++) send(on, String(n), { n })
    await on.node.settled()
    on.node.journal.forget()
    first.consumer.settle(1, 2, { kind: 'released', afterMs: 0 }, true)
    first.consumer.close()
    second.consumer.grant(10, 1e9)
    await until(on, () => second.deliveries.length === 4)
    expect(second.texts).toEqual(['1', '2', '3', '4'])
  })

  it('comes after its delay', async () => {
    const on = stage()
    const taker = take(on, 'n > 0')
    for (let n = 0; n < 3; n++) send(on, String(n), { n })
    await on.node.settled()
    taker.consumer.settle(1, 1, { kind: 'released', afterMs: 1_000 }, true)
    await on.node.settled()
    expect(taker.texts).toEqual(['1', '2'])
    on.node.clock.advance(1_000)
    await on.node.settled()
    expect(taker.texts).toEqual(['1', '2', '1'])
  })
})

describe('message groups', () => {
  it('belong to a consumer while it has any message of them, and other groups go past', async () => {
    const on = stage()
    const one = take(on, 'n > 0', 2)
    for (const [n, group] of ['a', 'a', 'a', 'b', ''].entries()) send(on, `${n}${group}`, { n: n + 1 }, { group })
    await on.node.settled()
    const other = take(on, 'n >= 1')
    await on.node.settled()
    expect([one.texts, other.texts]).toEqual([
      ['0a', '1a'],
      ['3b', '4'],
    ])
    one.accept(1)
    await on.node.settled()
    expect(other.texts).toEqual(['3b', '4'])
    one.accept(2)
    await on.node.settled()
    expect(other.texts).toEqual(['3b', '4', '2a'])
  })

  it('are given on to the one of several who has some, although it is not its turn', async () => {
    const on = stage()
    const takers = [take(on, 'n > 0'), take(on, 'n > 0')]
    for (let n = 1; n <= 6; n++) send(on, String(n), { n }, { group: 'a' })
    await on.node.settled()
    expect(takers.map(({ texts }) => texts).sort()).toEqual([[], ['1', '2', '3', '4', '5', '6']])
  })

  it('keep the order of the queue for a single consumer, however many there are', async () => {
    const on = stage()
    const taker = take(on, 'n >= 0')
    for (let n = 0; n < 100; n++) send(on, String(n), { n }, { group: `g${n % 7}` })
    await on.node.settled()
    expect(taker.texts).toEqual(Array.from({ length: 100 }, (_, n) => String(n)))
  })

  it('what no selector takes of a group does not hold up the rest of it', async () => {
    const on = stage()
    const taker = take(on, 'n > 0')
    for (let n = 0; n < 3; n++) send(on, String(n), { n }, { group: 'a' })
    await on.node.settled()
    expect(taker.texts).toEqual(['1', '2'])
  })

  it('are found by a sweep', async () => {
    const on = stage()
    for (let n = 0; n < 1_000; n++) send(on, String(n), { n }, { group: n % 2 === 0 ? `g${n % 10}` : '' })
    await on.node.settled()
    on.node.journal.forget()
    const taker = take(on, 'n > 990')
    await until(on, () => taker.deliveries.length === 9)
    expect(taker.texts.sort()).toEqual(['991', '992', '993', '994', '995', '996', '997', '998', '999'])
  })
})

describe('an index', () => {
  it('gives nothing that another has taken, or that expired or was purged', async () => {
    const on = stage()
    const chooser = take(on, 'n >= 0', 0)
    for (let n = 0; n < 6; n++) send(on, String(n), { n }, n === 2 ? { expiresAtMs: on.node.clock.wallMs() + 1_000 } : {})
    await on.node.settled()
    const any = take(on, undefined, 2)
    await on.node.settled()
    on.node.clock.advance(2_000)
    chooser.consumer.grant(2, 1e9)
    await on.node.settled()
    expect([any.texts, chooser.texts]).toEqual([
      ['0', '1'],
      ['3', '4'],
    ])
    await on.node.core.purge(on.queue)
    send(on, '6', { n: 6 })
    chooser.consumer.grant(5, 1e9)
    await on.node.settled()
    expect(chooser.texts).toEqual(['3', '4', '6'])
  })

  it('is freed with the last consumer of a selector', async () => {
    const on = stage()
    const [a, b, c] = ['n = 1', 'n = 1', 'n = 2'].map((selector) => take(on, selector))
    const selection = selectionOf(a)
    expect(selection).toBeDefined()
    a.consumer.close()
    c.consumer.close()
    expect(selectionOf(b)).toBe(selection)
    send(on, 'x', { n: 1 })
    await on.node.settled()
    expect(b.texts).toEqual(['x'])
    const { queue } = (b.consumer as CoreConsumer).seats[0]
    b.consumer.close()
    expect(queue.selection).toBeUndefined()
    on.client.session.remove(on.queue)
    await on.node.settled()
  })

  it('goes with its queue, in the middle of a sweep too', async () => {
    const on = stage()
    for (let n = 0; n < 3_000; n++) send(on, String(n), { n })
    await on.node.settled()
    on.node.journal.forget()
    const taker = take(on, 'n = -1')
    await new Promise((resolve) => setImmediate(resolve))
    on.client.session.remove(on.queue)
    await on.node.settled()
    expect(taker.error?.code).toBe('removed')
    expect(on.node.lost).toBeUndefined()
  })

  it('survives the end of consumers, deliveries and new ones in the middle of a sweep', async () => {
    const on = stage()
    for (let n = 0; n < 3_000; n++) send(on, String(n), { n })
    await on.node.settled()
    on.node.journal.forget()
    const leaving = take(on, 'n = 2999')
    const drain = take(on, undefined, 1_500)
    for (let i = 0; i < 3; i++) await new Promise((resolve) => setImmediate(resolve))
    const coming = take(on, 'n = 2998 OR n = 2999 OR n = 10')
    leaving.consumer.close()
    await until(on, () => coming.deliveries.length >= 2)
    expect(coming.texts).toEqual(['2998', '2999'])
    await until(on, () => drain.deliveries.length === 1_500)
    expect(drain.texts[10]).toBe('10')
  })

  it('says that there is nothing only when all was judged', async () => {
    const on = stage()
    for (let n = 0; n < 2_000; n++) send(on, String(n), { n })
    await on.node.settled()
    on.node.journal.forget()
    const taker = take(on, 'n = 1999', 10)
    let seen = -1
    taker.consumer.whenIdle(() => {
      seen = taker.deliveries.length
    })
    await until(on, () => seen >= 0)
    expect(seen).toBe(1)
  })

  it('judges each message once for all who wait, and reads no body in pieces for it', async () => {
    const on = stage()
    for (let n = 0; n < 500; n++) send(on, String(n), { n })
    send(on, 'x'.repeat(600_000), { n: 500, large: true })
    await on.node.settled()
    await on.node.settled()
    on.node.journal.forget()
    const before = on.node.dialect.headsRead
    const takers = Array.from({ length: 100 }, (_, i) => take(on, `n = ${400 + i} AND n > 0`, 1))
    const large = take(on, 'large')
    await until(on, () => large.deliveries.length === 1 && takers.every(({ deliveries }) => deliveries.length === 1))
    // One sweep for the first, one for all others.
    expect(on.node.dialect.headsRead - before).toBeLessThanOrEqual(2 * 501)
    expect(large.deliveries[0].message.body.length).toBe(600_000)
    const judged = on.node.dialect.headsRead
    send(on, 'new', { n: 450 })
    await on.node.settled()
    expect(on.node.dialect.headsRead - judged).toBe(1)
  })

  it('is made in slices, with pauses while others are at work, and ends all the same', async () => {
    const on = stage()
    for (let n = 0; n < 2_000; n++) send(on, String(n), { n })
    on.client.session.declare(on.node.queue('other'), PERMANENT)
    await on.node.settled()
    const turn = async (): Promise<number> => {
      const before = on.node.dialect.headsRead
      await new Promise((resolve) => setImmediate(resolve))
      return on.node.dialect.headsRead - before
    }
    const taker = take(on, 'n = 1999')
    const judged: number[] = []
    const work = async (turns: number): Promise<number> => {
      const from = judged.length
      for (let i = 0; i < turns; i++) {
        on.client.send(on.node.queue('other'), 'x', { durable: false })
        judged.push(await turn())
      }
      return judged.slice(from).reduce((sum, one) => sum + one, 0)
    }
    expect(await work(50)).toBe(4 * 128)
    on.node.clock.advance(1)
    expect(await work(50)).toBe(128)
    on.node.clock.advance(1)
    while (taker.deliveries.length === 0) judged.push(await turn())
    expect(Math.max(...judged)).toBeLessThanOrEqual(128)
  })

  it('keeps its lists short when others take what it has matched', async () => {
    const on = stage()
    const idle = take(on, 'n >= 0', 0)
    const busy = take(on, 'n > 0')
    for (let n = 0; n < 5_000; n++) {
      send(on, String(n), { n }, { durable: false })
      if (n % 100 !== 99) continue
      await on.node.settled()
      busy.accept(busy.deliveries[0].tag, busy.deliveries[busy.deliveries.length - 1].tag)
      busy.consumer.grant(busy.deliveries.splice(0).length, 1e6)
    }
    expect(selectionOf(idle)?.matched).toBeLessThan(600)
    idle.consumer.grant(10, 1e6)
    await on.node.settled()
    expect(idle.texts).toEqual(['0'])
  })

  it('an unreadable message is passed over until it can be read', async () => {
    const on = stage()
    for (let n = 0; n < 5; n++) send(on, String(n), { n })
    await on.node.settled()
    on.node.journal.forget()
    const fetch = on.node.journal.fetch.bind(on.node.journal)
    let broken = true
    let fetches = 0
    on.node.journal.fetch = (segment, offset, length, done) => {
      const bad = broken && fetches++ === 0
      fetch(segment, offset, length, bad ? () => done(undefined) : done)
    }
    const taker = take(on, 'n >= 0')
    await until(on, () => taker.deliveries.length === 4)
    expect(taker.texts).toEqual(['1', '2', '3', '4'])
    broken = false
    on.node.clock.advance(2_000)
    await until(on, () => taker.deliveries.length === 5)
    expect(taker.texts[4]).toBe('0')
  })
})
