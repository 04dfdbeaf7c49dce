// How receivers stand beside each other, and begin with what is retained, seen through rhea.
import { afterEach, describe, expect, it } from 'vitest'
import { type Inbox, openReceiver, openSender, sendRhea, startNode, stopNodes, told } from './fake-node.ts'

afterEach(stopNodes)

const bodies = (inbox: Inbox): unknown[] => inbox.contexts.map(({ message }) => message?.body)

describe('receivers of one queue', () => {
  it.each([
    ['the link property priority', { source: 'a', properties: { priority: 5 } }],
    ['the option consumer.priority', { source: 'a?consumer.priority=5' }],
  ])('are served by %s while they have credit', async (_, options) => {
    const node = await startNode()
    const connection = await node.rhea()
    const normal = await openReceiver(connection, 'a')
    const high = await openReceiver(connection, { ...options, credit_window: 0 } as never)
    high.receiver.add_credit(2)
    const sender = await openSender(connection, 'a')
    for (const body of [1, 2, 3]) await sendRhea(sender, { body })
    expect((await normal.next()).message?.body).toBe(3)
    expect(bodies(high)).toEqual([1, 2])
  })

  it('wait for an exclusive one, and the next takes over with what that had not settled', async () => {
    const node = await startNode()
    const connection = await node.rhea()
    const first = await openReceiver(connection, 'a?consumer.exclusive=true')
    const second = await openReceiver(connection, 'a?consumer.exclusive=true')
    const sender = await openSender(connection, 'a')
    for (const body of [1, 2]) await sendRhea(sender, { body })
    await first.next()
    await first.next()
    expect(bodies(second)).toEqual([])
    first.receiver.close()
    expect((await second.next()).message?.body).toBe(1)
    expect((await second.next()).message?.body).toBe(2)
  })
})

it('a receiver that is too slow is detached where the configuration says so', async () => {
  const node = await startNode({ topicBacklogMessages: 3, topicBacklogWhenFull: 'end-consumers' })
  const connection = await node.rhea()
  const { receiver } = await openReceiver(connection, { source: 'topic://t', credit_window: 0 })
  const ended = told(receiver, 'receiver_close')
  const sender = await openSender(connection, 'topic://t')
  for (let i = 0; i < 5; i++) expect(await sendRhea(sender, { body: i })).toBe('accepted')
  expect((await ended).receiver?.error).toMatchObject({ condition: 'amqp:resource-limit-exceeded' })
  expect(node.core.core.figures().entries).toBe(0)
})

it('a receiver that asks for it begins with what its topics retain', async () => {
  const node = await startNode()
  const connection = await node.rhea()
  const sender = await openSender(connection, 'topic://news.a')
  await sendRhea(sender, { body: 'kept', message_annotations: { 'x-opt-retain': true } })
  const plain = await openReceiver(connection, 'topic://news.>')
  const retroactive = await openReceiver(connection, 'topic://news.>?consumer.retroactive=true')
  const durable = await openReceiver(connection, {
    name: 'durable',
    source: { address: 'topic://news.a?consumer.retroactive=true', durable: 2, expiry_policy: 'never' },
  })
  await sendRhea(sender, { body: 'next' })
  expect((await plain.next()).message?.body).toBe('next')
  for (const inbox of [retroactive, durable])
    expect([(await inbox.next()).message?.body, (await inbox.next()).message?.body]).toEqual(['kept', 'next'])
})
