// Who is given what, seen by clients of STOMP beside one of AMQP: priorities, groups, exclusive subscriptions, wildcards on queues.
import { once } from 'node:events'
import stompit, { type Client as Stompit } from 'stompit'
import { afterEach, describe, expect, it } from 'vitest'
import { type StompFrame, StompWire } from '../../test/wire/stomp-wire.ts'
import { openReceiver, openSender, sendRhea, startNode, stopNodes } from '../amqp/fake-node.ts'

const wires: StompWire[] = []
const clients: Stompit[] = []
afterEach(async () => {
  for (const wire of wires.splice(0)) wire.destroy()
  for (const client of clients.splice(0)) client.destroy()
  await stopNodes()
})

type Node = Awaited<ReturnType<typeof startNode>>

class Subscriber {
  readonly wire: StompWire
  readonly frames: StompFrame[] = []

  constructor(wire: StompWire) {
    this.wire = wire
    wire.onMessage = (frame) => void this.frames.push(frame)
  }

  get texts(): string[] {
    return this.frames.map(({ body }) => body.toString())
  }

  async until(count: number): Promise<string[]> {
    const deadline = performance.now() + 5_000
    while (this.frames.length < count && performance.now() < deadline) await new Promise((resolve) => setImmediate(resolve))
    return this.texts
  }

  ack(frame: StompFrame): Promise<void> {
    const id = frame.headers.get('ack')
    const named = { subscription: frame.headers.get('subscription') ?? '', 'message-id': frame.headers.get('message-id') ?? '' }
    return this.wire.ask('ACK', id === undefined ? named : { id })
  }
}

async function subscriber(node: Node, headers: Readonly<Record<string, string>>, version: '1.1' | '1.2' = '1.2'): Promise<Subscriber> {
  const wire = await StompWire.connect({ host: '127.0.0.1', port: node.ports.stomp }, { version })
  wires.push(wire)
  const made = new Subscriber(wire)
  await wire.ask('SUBSCRIBE', { id: 's', ack: 'client-individual', ...headers })
  return made
}

async function send(node: Node, destination: string, ...messages: readonly (readonly [string, Readonly<Record<string, string>>?])[]): Promise<void> {
  const wire = await StompWire.connect({ host: '127.0.0.1', port: node.ports.stomp })
  wires.push(wire)
  for (const [body, headers] of messages) await wire.ask('SEND', { destination, persistent: 'true', ...headers }, Buffer.from(body))
}

describe('messages of different priorities', () => {
  it('come highest first, whichever protocol sent them, also after a restart', async () => {
    const node = await startNode()
    await send(node, '/queue/q', ['4'], ['9', { priority: '9' }], ['0', { priority: '0' }])
    const sender = await openSender(await node.rhea(), 'q')
    await sendRhea(sender, { body: '7', priority: 7, durable: true })
    await node.restart()
    const inbox = await openReceiver(await node.rhea(), 'q')
    for (const body of ['9', '7', '4', '0']) {
      const got = (await inbox.next()).message?.body as string | { content: Buffer }
      expect(typeof got === 'string' ? got : got.content.toString()).toBe(body)
    }
  })
})

describe('a message group', () => {
  it('of two protocols goes to one subscriber, and to the other when that leaves', async () => {
    const node = await startNode()
    const stomp = await subscriber(node, { destination: '/queue/q' })
    const connection = await node.rhea()
    const inbox = await openReceiver(connection, 'q')
    await send(node, '/queue/q', ['a1', { JMSXGroupID: 'a' }], ['b1', { JMSXGroupID: 'b' }], ['a2', { JMSXGroupID: 'a' }])
    await sendRhea(await openSender(connection, 'q'), { body: 'a3', group_id: 'a', durable: true })
    expect(await stomp.until(3)).toEqual(['a1', 'a2', 'a3'])
    await inbox.next()
    await stomp.ack(stomp.frames[0])
    stomp.wire.destroy()
    expect((await inbox.next()).message?.group_id).toBe('a')
    expect((await inbox.next()).message).toMatchObject({ body: 'a3', group_id: 'a' })
  })

  it.each(['STOMP', 'AMQP'])('is closed by JMSXGroupSeq -1 of %s', async (protocol) => {
    const node = await startNode()
    const [x, y] = [await subscriber(node, { destination: '/queue/q' }), await subscriber(node, { destination: '/queue/q' })]
    await send(node, '/queue/q', ['1', { JMSXGroupID: 'a' }])
    await x.until(1)
    if (protocol === 'STOMP') await send(node, '/queue/q', ['2', { JMSXGroupID: 'a', JMSXGroupSeq: '-1' }])
    else await sendRhea(await openSender(await node.rhea(), 'q'), { body: '2', group_id: 'a', group_sequence: 0xffff_ffff })
    expect(await x.until(2)).toEqual(['1', '2'])
    for (const frame of x.frames) await x.ack(frame)
    await send(node, '/queue/q', ['3', { JMSXGroupID: 'a' }])
    expect(await y.until(1)).toEqual(['3'])
  })
})

it('an exclusive subscription is alone until it ends, then the next takes over', async () => {
  const node = await startNode()
  const headers = { destination: '/queue/q', 'activemq.exclusive': 'true' }
  const [first, second] = [await subscriber(node, headers), await subscriber(node, headers)]
  await send(node, '/queue/q', ['1'], ['2'])
  expect(await first.until(2)).toEqual(['1', '2'])
  await first.ack(first.frames[0])
  first.wire.destroy()
  expect(await second.until(1)).toEqual(['2'])
})

it('a subscription of higher priority is served first', async () => {
  const node = await startNode()
  const low = await subscriber(node, { destination: '/queue/q' })
  const high = await subscriber(node, { destination: '/queue/q', 'activemq.priority': '9', 'activemq.prefetchSize': '2' })
  await send(node, '/queue/q', ['1'], ['2'], ['3'])
  expect(await low.until(1)).toEqual(['3'])
  expect(await high.until(2)).toEqual(['1', '2'])
})

describe('a wildcard on queues', () => {
  it.each(['1.1', '1.2'] as const)('receives from each that matches and acknowledges by STOMP %s', async (version) => {
    const node = await startNode()
    await send(node, '/queue/a.x', ['1'])
    await send(node, '/queue/a.y.z', ['2'])
    await send(node, '/queue/b', ['3'])
    const all = await subscriber(node, { destination: '/queue/a.>' }, version)
    expect((await all.until(2)).sort()).toEqual(['1', '2'])
    await send(node, '/queue/a.new', ['4'])
    expect((await all.until(3)).sort()).toEqual(['1', '2', '4'])
    expect(all.frames.map(({ headers }) => headers.get('destination')).sort()).toEqual(['/queue/a.new', '/queue/a.x', '/queue/a.y.z'])
    for (const frame of all.frames) await all.ack(frame)
    expect(node.core.core.figures().entries).toBe(1)
  })

  it('is a source of AMQP, which settles by distinct tags', async () => {
    const node = await startNode()
    for (const name of ['a.1', 'a.2', 'a.3']) await send(node, `/queue/${name}`, [name])
    const inbox = await openReceiver(await node.rhea(), 'queue://a.*')
    const contexts = [await inbox.next(), await inbox.next(), await inbox.next()]
    const names = contexts.map(({ message }) => (message?.delivery_annotations as Record<string, string> | undefined)?.['x-opt-to'])
    expect(names.sort()).toEqual(['queue://a.1', 'queue://a.2', 'queue://a.3'])
    expect(new Set(contexts.map(({ delivery }) => String((delivery as unknown as { tag: Buffer }).tag.toString('hex')))).size).toBe(3)
    for (const { delivery } of contexts) delivery?.accept()
    await node.core.until(() => node.core.core.figures().entries === 0)
  })

  it('serves stompit', async () => {
    const node = await startNode()
    const client = await new Promise<Stompit>((resolve, reject) => {
      stompit.connect({ host: '127.0.0.1', port: node.ports.stomp, connectHeaders: { host: '/' } }, (error, made) =>
        error === null ? resolve(made) : reject(error),
      )
    })
    clients.push(client)
    const texts: string[] = []
    client.subscribe({ destination: '/queue/orders.*', ack: 'client-individual' }, (error, message) => {
      if (error !== null) return
      message.readString('utf8', (_, text) => {
        texts.push(text ?? '')
        client.ack(message)
      })
    })
    for (const name of ['eu', 'us']) {
      const frame = client.send({ destination: `/queue/orders.${name}` })
      frame.end(name)
      await once(frame, 'finish')
    }
    await node.core.until(() => texts.length === 2)
    expect(texts.sort()).toEqual(['eu', 'us'])
    await node.core.until(() => node.core.core.figures().entries === 0)
  })
})
