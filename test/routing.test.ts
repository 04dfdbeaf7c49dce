// Lists of destinations, virtual topics and forwards as users of each protocol meet them, on real sockets.
import { connectAsync } from 'mqtt'
import { afterEach, describe, expect, it } from 'vitest'
import { openReceiver, openSender, sendRhea, startNode, stopNodes } from '../protocols/amqp/fake-node.ts'
import { StompClient } from './support/stomp-client.ts'

afterEach(stopNodes)

describe('a list of destinations', () => {
  it('by STOMP reaches queues and topics, each under its own name', async () => {
    const node = await startNode()
    const client = await StompClient.connect(node.ports.stomp)
    await client.ask('SUBSCRIBE', { id: 't', destination: '/topic/news' })
    await client.ask('SEND', { destination: '/queue/a,b,/topic/news', persistent: 'true' }, 'x')
    expect(await client.message()).toMatchObject({ text: 'x', destination: '/topic/news' })
    await node.restart()
    const again = await StompClient.connect(node.ports.stomp)
    for (const name of ['a', 'b']) {
      await again.ask('SUBSCRIBE', { id: name, destination: `/queue/${name}` })
      expect(await again.message()).toMatchObject({ text: 'x', destination: `/queue/${name}` })
    }
    again.wire.send('SEND', { destination: '/queue/a,/topic/*', receipt: 'r' })
    expect((await again.error()).text).toContain('wildcards')
  })

  it('by STOMP is one subscription to all of them', async () => {
    const node = await startNode()
    const client = await StompClient.connect(node.ports.stomp)
    await client.ask('SUBSCRIBE', { id: '1', destination: '/queue/a,/topic/t,/topic/u.*,/queue/b', ack: 'client-individual' })
    for (const destination of ['/queue/a', '/topic/t', '/topic/u.v', '/queue/b']) await client.ask('SEND', { destination }, destination)
    const came = []
    for (let i = 0; i < 4; i++) {
      const message = await client.message()
      expect(message.text).toBe(message.destination)
      client.ack(message)
      came.push(message.text)
    }
    expect(came.toSorted()).toEqual(['/queue/a', '/queue/b', '/topic/t', '/topic/u.v'])
    await client.ask('UNSUBSCRIBE', { id: '1' })
    await client.ask('SEND', { destination: '/queue/a' }, 'stays')
    expect(client.waiting).toBe(0)
  })

  it('by AMQP reaches all, by a link of its own or message by message', async () => {
    const node = await startNode()
    const connection = await node.rhea()
    const topic = await openReceiver(connection, 'topic://news')
    const link = await openSender(connection, 'queue://a,b,topic://news')
    expect(await sendRhea(link, { body: 'link', durable: true })).toBe('accepted')
    const relay = await openSender(connection, { target: {} })
    expect(await sendRhea(relay, { to: 'a,topic://news', body: 'relay' })).toBe('accepted')
    const a = await openReceiver(connection, 'a')
    const b = await openReceiver(connection, 'b')
    expect([(await topic.next()).message?.body, (await topic.next()).message?.body]).toEqual(['link', 'relay'])
    expect([(await a.next()).message?.body, (await a.next()).message?.body]).toEqual(['link', 'relay'])
    expect((await b.next()).message?.body).toBe('link')
  })
})

describe('a virtual topic', () => {
  it('that MQTT publishes to is shared out to the consumers of each application’s queue', async () => {
    const node = await startNode()
    const stomp = await StompClient.connect(node.ports.stomp)
    await stomp.ask('SUBSCRIBE', { id: '1', destination: '/queue/Consumer.billing.VirtualTopic.orders' })
    const rhea = await openReceiver(await node.rhea(), 'queue://Consumer.audit.VirtualTopic.orders')
    const mqtt = await connectAsync(`mqtt://127.0.0.1:${node.ports.mqtt}`)
    await mqtt.publishAsync('VirtualTopic/orders', 'order', { qos: 1 })
    expect((await stomp.message()).text).toBe('order')
    expect((await rhea.next()).message?.body).toBeDefined()
    await mqtt.endAsync()
  })
})

it.each(['STOMP', 'AMQP'])('a wildcard over virtual topics is a queue of its application, %s', async (protocol) => {
  const node = await startNode()
  const use = async (): Promise<() => Promise<unknown>> => {
    if (protocol === 'AMQP') {
      const inbox = await openReceiver(await node.rhea(), 'queue://Consumer.app.VirtualTopic.>')
      return async () => (await inbox.next()).message?.body
    }
    const client = await StompClient.connect(node.ports.stomp)
    await client.ask('SUBSCRIBE', { id: '1', destination: '/queue/Consumer.app.VirtualTopic.>', ack: 'client' })
    return async () => (await client.message()).text
  }
  await use()
  await node.restart()
  const again = await StompClient.connect(node.ports.stomp)
  for (const name of ['a', 'b.c']) await again.ask('SEND', { destination: `/topic/VirtualTopic.${name}`, persistent: 'true' }, name)
  const next = await use()
  expect([await next(), await next()]).toEqual(['a', 'b.c'])
})

describe('a forward', () => {
  it('lets MQTT fill a queue and watch one', async () => {
    const forward = [
      { from: 'topic:fill.>', to: ['queue:filled'] },
      { from: 'queue:watched', to: ['topic:mirror.{name}'] },
    ]
    const node = await startNode({}, { destinations: { forward } })
    const mqtt = await connectAsync(`mqtt://127.0.0.1:${node.ports.mqtt}`)
    const seen: string[] = []
    mqtt.on('message', (topic, payload) => seen.push(`${topic} ${payload.toString()}`))
    await mqtt.subscribeAsync('mirror/#', { qos: 1 })
    await mqtt.publishAsync('fill/a', 'by MQTT', { qos: 1 })
    const stomp = await StompClient.connect(node.ports.stomp)
    await stomp.ask('SUBSCRIBE', { id: '1', destination: '/queue/filled' })
    expect(await stomp.message()).toMatchObject({ text: 'by MQTT', destination: '/queue/filled' })
    await stomp.ask('SEND', { destination: '/queue/watched', persistent: 'true' }, 'by STOMP')
    await expect.poll(() => seen).toEqual(['mirror/watched by STOMP'])
    await mqtt.endAsync()
  })
})
