// What queues and topics can do, several at once, as applications use it: each holds by itself elsewhere. Clients of STOMP and rhea on real sockets;
// `restart` is kill -9 and takeover. Over processes and files: test/crash, test/failover.
import rhea from 'rhea'
import { afterEach, describe, expect, it } from 'vitest'
import { type FakeNode, openReceiver, openSender, sendRhea, startNode, stopNodes } from '../protocols/amqp/fake-node.ts'
import { type Got, StompClient } from './support/stomp-client.ts'

afterEach(stopNodes)

const T = { transaction: 't' }
const connect = (node: FakeNode): Promise<StompClient> => StompClient.connect(node.ports.stomp)

async function take(client: StompClient, count: number): Promise<Got[]> {
  const got: Got[] = []
  for (let i = 0; i < count; i++) got.push(await client.message())
  return got
}

const texts = (messages: readonly Got[]): string[] => messages.map(({ text }) => text)

/** How many have come, when everything that was on its way is there. */
async function waiting(client: StompClient): Promise<number> {
  for (let i = 0; i < 2; i++) await client.ask('SEND', { destination: '/queue/fence', persistent: 'true' })
  return client.waiting
}

async function browse(node: FakeNode, destination: string): Promise<string[]> {
  const client = await connect(node)
  await client.ask('SUBSCRIBE', { id: 'b', destination, browser: 'true' })
  const seen: string[] = []
  for (let message = await client.message(); message.headers.get('browser') !== 'end'; message = await client.message()) seen.push(message.text)
  await client.wire.disconnect()
  return seen
}

async function pass(node: FakeNode, ms: number): Promise<void> {
  node.core.clock.advance(ms)
  for (let i = 0; i < 3; i++) await node.core.settled()
}

describe('selectors, message groups and priorities on one queue', () => {
  it('give each message to one consumer, each group to one at a time, in order, though consumers end and the node dies', async () => {
    const node = await startNode()
    const sender = await connect(node)
    const count = 120
    for (let i = 0; i < count; i++) {
      const headers = { JMSXGroupID: `g${i % 5}`, priority: i % 4 === 0 ? '9' : '4', colour: i % 2 === 0 ? 'red' : 'blue' }
      await sender.ask('SEND', { destination: '/queue/q', persistent: 'true', ...headers }, String(i))
    }
    const settled = new Set<string>()
    const holders = new Map<string, Set<StompClient>>()
    const wrong: string[] = []
    /** Received, and the answer to its ACK has not come. */
    let busy = 0
    const work = async (client: StompClient, selector: string | undefined, most: number): Promise<void> => {
      await client.ask('SUBSCRIBE', {
        id: '1',
        destination: '/queue/q',
        ack: 'client-individual',
        'activemq.prefetchSize': '4',
        ...(selector === undefined ? {} : { selector }),
      })
      const last = new Map<string, number>()
      for (let taken = 0; taken < most && settled.size < count; taken++) {
        const message = await client.message().catch(() => undefined)
        if (message === undefined) return
        busy++
        const { headers, text } = message
        const group = headers.get('JMSXGroupID') ?? ''
        const held = holders.get(group) ?? new Set()
        holders.set(group, held.add(client))
        if (held.size > 1) wrong.push(`${group} is with two`)
        const stream = `${group} ${headers.get('priority')}`
        if (Number(text) < (last.get(stream) ?? -1)) wrong.push(`${text} after ${last.get(stream)} of ${stream}`)
        last.set(stream, Number(text))
        if (selector !== undefined && !selector.includes(headers.get('colour') ?? '')) wrong.push(`${text} is not for ${selector}`)
        if (settled.has(text)) wrong.push(`${text} came again`)
        held.delete(client)
        await client.ask('ACK', { id: headers.get('ack') ?? '' })
        settled.add(text)
        busy--
      }
      client.wire.destroy()
    }
    const shift = async (most: number): Promise<void> => {
      const selectors = ["colour = 'red'", "colour = 'blue'", undefined, "colour = 'blue' AND JMSPriority < 9"]
      const clients = await Promise.all(selectors.map(() => connect(node)))
      const working = clients.map((client, i) => work(client, selectors[i], most))
      await Promise.race(working)
      await node.core.until(() => busy === 0)
      for (const { wire } of clients) wire.destroy()
      await Promise.all(working)
    }
    await shift(10)
    await node.restart()
    await shift(count)
    expect(wrong).toEqual([])
    expect(settled.size).toBe(count)
    expect(await browse(node, '/queue/q')).toEqual([])
  })
})

describe('an exclusive consumer that ends in the middle of a transaction', () => {
  it.each(['with its connection', 'with its node'])('%s leaves all of it, in order, to the next, and none of what it sent', async (how) => {
    const node = await startNode()
    const exclusive = { id: '1', destination: '/queue/q', ack: 'client-individual', 'activemq.exclusive': 'true' }
    const first = await connect(node)
    await first.ask('SUBSCRIBE', exclusive)
    for (let i = 0; i < 5; i++) await first.ask('SEND', { destination: '/queue/q', persistent: 'true', JMSXGroupID: `g${i % 2}` }, String(i))
    const got = await take(first, 5)
    let second = await connect(node)
    await second.ask('SUBSCRIBE', exclusive)
    await first.ask('BEGIN', T)
    for (const { headers } of got.slice(0, 3)) await first.ask('ACK', { id: headers.get('ack') ?? '', ...T })
    await first.ask('SEND', { destination: '/queue/out', persistent: 'true', ...T }, 'never')
    expect(await waiting(second)).toBe(0)
    if (how === 'with its node') {
      await node.restart()
      second = await connect(node)
      await second.ask('SUBSCRIBE', exclusive)
    } else first.wire.destroy()
    expect(texts(await take(second, 5))).toEqual(['0', '1', '2', '3', '4'])
    expect(await browse(node, '/queue/out')).toEqual([])
  })
})

describe('a consumer of a wildcard', () => {
  it('gets what a transaction sent to lists, each copy under its queue’s name, also of queues made by that', async () => {
    const node = await startNode()
    const sender = await connect(node)
    const taker = await connect(node)
    await taker.ask('SUBSCRIBE', { id: '1', destination: '/queue/w.>', ack: 'client-individual' })
    for (const end of ['ABORT', 'COMMIT']) {
      await sender.ask('BEGIN', T)
      await sender.ask('SEND', { destination: '/queue/w.a,/queue/w.b.c,/topic/w', persistent: 'true', ...T }, end)
      expect(await waiting(taker)).toBe(0)
      await sender.ask(end, T)
    }
    expect((await take(taker, 2)).map(({ text, destination }) => `${text} ${destination}`).toSorted()).toEqual([
      'COMMIT /queue/w.a',
      'COMMIT /queue/w.b.c',
    ])
    expect(await waiting(taker)).toBe(0)
  })
})

describe('a dead letter', () => {
  it('that failed in transactions keeps group and priority, is chosen by a selector, and is redriven to where it came from', async () => {
    const node = await startNode({}, { destinations: { failuresMax: 2 } })
    const connection = await node.rhea()
    const sender = await openSender(connection, 'queue://work')
    for (const body of ['a', 'b']) await sendRhea(sender, { body, durable: true, group_id: 'g', priority: body === 'b' ? 7 : 4 })
    const worker = await connect(node)
    await worker.ask('SUBSCRIBE', { id: '1', destination: '/queue/work', ack: 'client-individual', 'activemq.prefetchSize': '1' })
    // What is acknowledged in a transaction frees its place in the window, so the next comes before it fails.
    const tries: string[] = []
    for (let i = 0; i < 4; i++) {
      const [message] = await take(worker, 1)
      tries.push(message.text)
      await worker.ask('BEGIN', T)
      await worker.ask('NACK', { id: message.headers.get('ack') ?? '', ...T })
      // A failure that is rolled back is none.
      if (i === 0) {
        await worker.ask('ABORT', T)
        await worker.ask('BEGIN', T)
        await worker.ask('NACK', { id: message.headers.get('ack') ?? '', ...T })
      }
      await worker.ask('COMMIT', T)
    }
    expect(tries).toEqual(['b', 'a', 'b', 'a'])
    const dead = await openReceiver(connection, {
      source: { address: 'ActiveMQ.DLQ', filter: rhea.filter.selector("JMSXGroupID = 'g' AND JMSPriority > 5") },
    })
    const { message, delivery } = await dead.next()
    expect(message).toMatchObject({ body: 'b', group_id: 'g', priority: 7, message_annotations: { 'x-opt-ORIG-QUEUE': 'work' } })
    delivery?.release()
    dead.receiver.close()
    await node.restart()
    expect(await node.core.core.administration.redrive(['ActiveMQ', 'DLQ'], 10)).toMatchObject({ moved: 2, to: { work: 2 }, left: 0 })
    const again = await connect(node)
    await again.ask('SUBSCRIBE', { id: '1', destination: '/queue/work', ack: 'client-individual' })
    const back = await take(again, 2)
    expect(texts(back)).toEqual(['b', 'a'])
    for (const { headers } of back) expect(headers.has('original-destination')).toBe(false)
  })
})

describe('a last-value queue', () => {
  it('replaces at the commit, and what expires leaves nothing of its key', async () => {
    const node = await startNode({}, { destinations: { lastValueKey: 'key', messageTtlMs: 10_000, expiredToDeadLetter: false } })
    const client = await connect(node)
    const send = (text: string, headers: Readonly<Record<string, string>> = {}): Promise<void> =>
      client.ask('SEND', { destination: '/queue/last', persistent: 'true', key: 'a', ...headers }, text)
    await send('1')
    for (const end of ['ABORT', 'COMMIT']) {
      await client.ask('BEGIN', T)
      await send(`${end} 2`, T)
      await send(`${end} 3`, T)
      await send(`${end} other`, { ...T, key: 'b' })
      expect(await browse(node, '/queue/last')).toEqual(['1'])
      await client.ask(end, T)
    }
    expect(await browse(node, '/queue/last')).toEqual(['COMMIT 3', 'COMMIT other'])
    await send('short', { expires: String(node.core.clock.wallMs() + 500) })
    expect(await browse(node, '/queue/last')).toEqual(['COMMIT other', 'short'])
    await node.restart()
    await pass(node, 1_000)
    expect(await browse(node, '/queue/last')).toEqual(['COMMIT other'])
    await pass(node, 10_000)
    expect(await browse(node, '/queue/last')).toEqual([])
  })
})

describe('a look at a queue whose groups have their consumers', () => {
  it('shows what nobody has, in order, by each protocol and by selector, and disturbs nobody', async () => {
    const node = await startNode()
    const worker = await connect(node)
    await worker.ask('SUBSCRIBE', { id: '1', destination: '/queue/q', ack: 'client-individual', 'activemq.prefetchSize': '2' })
    for (let i = 0; i < 6; i++)
      await worker.ask('SEND', { destination: '/queue/q', persistent: 'true', JMSXGroupID: i % 2 === 0 ? 'x' : 'y' }, String(i))
    const held = await take(worker, 2)
    expect(await browse(node, '/queue/q')).toEqual(['2', '3', '4', '5'])
    const copy = await openReceiver(await node.rhea(), {
      source: { address: 'queue://q', distribution_mode: 'copy', filter: rhea.filter.selector("JMSXGroupID = 'y'") },
    } as never)
    expect([(await copy.next()).message?.body, (await copy.next()).message?.body].map(String)).toEqual(['3', '5'])
    for (const message of held) worker.ack(message)
    expect(texts(await take(worker, 2))).toEqual(['2', '3'])
  })
})

describe('a move, and a purge', () => {
  it.each(['ABORT', 'COMMIT'])('leave what a transaction has acknowledged, which its %s decides', async (end) => {
    const node = await startNode()
    const { administration } = node.core.core
    const worker = await connect(node)
    await worker.ask('SUBSCRIBE', { id: '1', destination: '/queue/q', ack: 'client-individual', 'activemq.prefetchSize': '2' })
    for (let i = 0; i < 5; i++) await worker.ask('SEND', { destination: '/queue/q', persistent: 'true' }, String(i))
    const [first] = await take(worker, 2)
    await worker.ask('BEGIN', T)
    await worker.ask('ACK', { id: first.headers.get('ack') ?? '', ...T })
    // What is acknowledged in a transaction frees its place in the window.
    expect(texts(await take(worker, 1))).toEqual(['2'])
    expect(await administration.move(['q'], ['r'], 1)).toMatchObject({ moved: 1 })
    expect(await node.core.core.purge(node.core.queue('q'))).toBe(1)
    await worker.ask(end, T)
    worker.wire.destroy()
    await node.core.settled()
    await node.core.until(() => node.core.core.administration.destinations('q', 0, 1).queues[0].ready > 0)
    expect(await browse(node, '/queue/q')).toEqual(end === 'ABORT' ? ['0', '1', '2'] : ['1', '2'])
    expect(await browse(node, '/queue/r')).toEqual(['3'])
  })
})

describe('a schedule', () => {
  it('sends to a list with a virtual topic, each time to all of it, with group, priority and time to live', async () => {
    const node = await startNode({}, { destinations: { expiredToDeadLetter: false } })
    const client = await connect(node)
    const app = '/queue/Consumer.app.VirtualTopic.news'
    await client.ask('SUBSCRIBE', { id: '1', destination: app, selector: 'JMSPriority = 8' })
    const expires = String(node.core.clock.wallMs() + 5_000)
    const schedule = { AMQ_SCHEDULED_PERIOD: '10000', AMQ_SCHEDULED_REPEAT: '1', JMSXGroupID: 'g', priority: '8', expires }
    await client.ask('SEND', { destination: '/topic/VirtualTopic.news,/queue/log', persistent: 'true', ...schedule }, 'x')
    await pass(node, 1)
    await node.restart()
    await pass(node, 10_000)
    expect(await browse(node, '/queue/log')).toEqual(['x'])
    expect(await browse(node, app)).toEqual(['x'])
    await pass(node, 6_000)
    expect(await browse(node, '/queue/log')).toEqual([])
  })
})
