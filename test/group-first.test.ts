// The first message of a group that goes to a consumer says so, in each protocol's words, where the configuration asks for it.
import { connectAsync } from 'mqtt'
import { afterEach, describe, expect, it } from 'vitest'
import { openReceiver, startNode, stopNodes } from '../protocols/amqp/fake-node.ts'
import { StompClient } from './support/stomp-client.ts'

afterEach(stopNodes)

const NAME = 'JMSXGroupFirstForConsumer'
const told = () => startNode({}, { destinations: { groupFirst: true } })

describe('JMSXGroupFirstForConsumer', () => {
  it('is a header of STOMP and an application property of AMQP, whoever sent the message, and again for whoever takes over', async () => {
    const node = await told()
    const sender = await StompClient.connect(node.ports.stomp)
    const destination = '/queue/orders'
    for (const [group, text] of [
      ['a', '1'],
      ['b', '2'],
      ['a', '3'],
      ['', '4'],
    ])
      await sender.ask('SEND', { destination, persistent: 'true', [NAME]: 'stale', ...(group === '' ? {} : { JMSXGroupID: group }) }, text)
    const first = await StompClient.connect(node.ports.stomp)
    await first.ask('SUBSCRIBE', { id: '0', destination, ack: 'client-individual', 'activemq.prefetchSize': '100' })
    const got: (string | undefined)[] = []
    for (let i = 0; i < 4; i++) got.push((await first.message()).headers.get(NAME))
    expect(got).toEqual(['true', 'true', undefined, undefined])
    await first.wire.disconnect()
    const second = await openReceiver(await node.rhea(), 'queue://orders')
    const properties: unknown[] = []
    for (let i = 0; i < 4; i++) properties.push((await second.next()).message?.application_properties)
    expect(properties).toEqual([{ [NAME]: true }, { [NAME]: true }, undefined, undefined])
  })

  it('stands beside what the sender wrote, of AMQP too', async () => {
    const node = await told()
    const connection = await node.rhea()
    const sender = connection.open_sender('queue://orders')
    await new Promise((resolve) => sender.once('sendable', resolve))
    // A client that passes a message on as it got it.
    const passed = { colour: 'red', [NAME]: 'stale' }
    for (const application_properties of [passed, { colour: 'blue' }, undefined])
      sender.send({
        body: 'x',
        subject: 's',
        group_id: application_properties === undefined ? 'other' : 'g',
        durable: true,
        ...(application_properties === undefined ? {} : { application_properties }),
      })
    const receiver = await openReceiver(connection, 'queue://orders')
    const got: unknown[] = []
    for (let i = 0; i < 3; i++) {
      const { message } = await receiver.next()
      got.push(message?.application_properties)
      expect([message?.subject, message?.body]).toEqual(['s', 'x'])
    }
    expect(got).toEqual([{ colour: 'red', [NAME]: true }, { colour: 'blue' }, { [NAME]: true }])
  })

  it('is a user property of MQTT 5', async () => {
    const node = await told()
    const client = await connectAsync({ host: '127.0.0.1', port: node.ports.mqtt, protocolVersion: 5 })
    const got: unknown[] = []
    client.on('message', (_topic, _payload, { properties }) => got.push(properties?.userProperties?.[NAME]))
    await client.subscribeAsync('orders', { qos: 1 })
    for (const group of ['a', 'a', 'b']) await client.publishAsync('orders', 'x', { qos: 1, properties: { userProperties: { JMSXGroupID: group } } })
    while (got.length < 3) await new Promise((resolve) => setImmediate(resolve))
    expect(got).toEqual(['true', undefined, 'true'])
    await client.endAsync()
  })

  it('is not there unless the configuration asks', async () => {
    const node = await startNode()
    const client = await StompClient.connect(node.ports.stomp)
    await client.ask('SEND', { destination: '/queue/orders', persistent: 'true', JMSXGroupID: 'a' }, 'x')
    await client.ask('SUBSCRIBE', { id: '0', destination: '/queue/orders' })
    expect((await client.message()).headers.has(NAME)).toBe(false)
  })
})
