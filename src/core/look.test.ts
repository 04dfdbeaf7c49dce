// Pages of what is on a queue, while it changes between them.
import { describe, expect, it } from 'vitest'
import { CoreNode, PERMANENT, textOf } from '../../test/support/core.ts'
import type { EntriesPage } from './administration.ts'

async function filled(sends: readonly Readonly<{ text: string; priority?: number; group?: string }>[], prioritized = true) {
  const node = new CoreNode({ destinations: { prioritized } })
  const client = node.client()
  const queue = node.queue('q')
  client.session.declare(queue, PERMANENT)
  for (const { text, ...fields } of sends) client.send(queue, text, fields)
  await node.settled()
  const page = (after: string, limit: number, held = true): Promise<EntriesPage> => node.core.administration.look(['q'], { after, limit, held })
  return { node, client, queue, page }
}

const plain = (count: number) => Array.from({ length: count }, (_, i) => ({ text: String(i) }))
const texts = ({ entries }: EntriesPage): string[] => entries.map(({ delivery }) => (delivery === undefined ? '' : textOf(delivery)))
const states = ({ entries }: EntriesPage): string[] => entries.map(({ state }) => state)

describe('a page', () => {
  it('goes on behind the place of the one before, although the entry there was taken meanwhile', async () => {
    const { node, client, queue, page } = await filled(plain(10))
    const first = await page('0', 4)
    expect(texts(first)).toEqual(['0', '1', '2', '3'])
    const taker = client.consume(queue, 5)
    await node.until(() => taker.deliveries.length === 5)
    const second = await page(first.next ?? '', 3)
    expect(texts(second)).toEqual(['5', '6', '7'])
    const third = await page(second.next ?? '', 4)
    expect([texts(third), states(third)]).toEqual([
      ['8', '9', '0', '1'],
      ['ready', 'ready', 'locked', 'locked'],
    ])
    expect(third.next).toMatch(/^held\.\d+$/)
    // What is held leaves and comes back: places among it are numbers.
    taker.accept(2)
    await node.settled()
    const last = await page(third.next ?? '', 10)
    expect([texts(last), last.next]).toEqual([['2', '3', '4'], undefined])
  })

  it('shows what is held by its numbers, whoever took it when', async () => {
    const { node, client, queue, page } = await filled(plain(6))
    const one = client.consume(queue, 3)
    await node.until(() => one.deliveries.length === 3)
    const other = client.consume(queue, 2)
    await node.until(() => other.deliveries.length === 2)
    one.consumer.close()
    const again = client.consume(queue, 3)
    await node.until(() => again.deliveries.length === 3)
    expect(texts(await page('0', 10))).toEqual(['5', '0', '1', '2', '3', '4'])
    expect(texts(await page('held.2', 2))).toEqual(['2', '3'])
  })

  it('goes through priorities and message groups, and on behind one that is gone', async () => {
    const sends = Array.from({ length: 30 }, (_, i) => ({
      text: String(i),
      priority: i % 3 === 0 ? 7 : 4,
      ...(i % 2 === 0 ? { group: `g${i % 5}` } : {}),
    }))
    const { node, client, queue, page } = await filled(sends)
    const order = [...sends].sort((a, b) => b.priority - a.priority).map(({ text }) => text)
    const seen: string[] = []
    for (let after: string | undefined = '0'; after !== undefined; ) {
      const one = await page(after, 4, false)
      seen.push(...texts(one))
      after = one.next
    }
    expect(seen).toEqual(order)
    const { looked } = await node.core.administration.explain(['q'], { sequence: undefined, last: true, index: 0 })
    expect(looked.delivery === undefined ? '' : textOf(looked.delivery)).toBe(order[29])
    const third = await page('7.7', 3)
    expect(texts(third)).toEqual(['9', '12', '15'])
    const taker = client.consume(queue, 12, { settle: 'settled' })
    await node.until(() => taker.deliveries.length === 12)
    expect(texts(await page(third.next ?? '', 3))).toEqual(order.slice(12, 15))
  })

  it('is refused behind what is no place', async () => {
    const { page } = await filled(plain(1))
    for (const after of ['', 'x', '-1', '10.3', 'held', '1.2.3', '99999999999999999'])
      await expect(page(after, 1), after).rejects.toThrow('is no place on a queue')
  })
})
