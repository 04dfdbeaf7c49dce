// The header `transformation` of SUBSCRIBE and SEND, with the real core, maps of AMQP by rhea, and clients of bytes and of stompit.
import { once } from 'node:events'
import mqtt from 'mqtt'
import rhea, { type Connection, type EventContext, type Message } from 'rhea'
import stompit from 'stompit'
import { afterEach, describe, expect, it } from 'vitest'
import { type FakeNode, startNode, stopNodes } from './fake-node.ts'

const cleanups: (() => void)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) cleanup()
  await stopNodes()
})

const MAP = { name: 'De & jan', age: rhea.types.wrap_int(30), big: rhea.types.wrap_long(7) }
const AS_JSON = '{"map":{"entry":[{"string":["name","De & jan"]},{"string":"age","int":30},{"string":"big","long":7}]}}'
const AS_XML = [
  '<map>',
  ...['  <entry>', '    <string>name</string>', '    <string>De &amp; jan</string>', '  </entry>'],
  ...['  <entry>', '    <string>age</string>', '    <int>30</int>', '  </entry>'],
  ...['  <entry>', '    <string>big</string>', '    <long>7</long>', '  </entry>'],
  '</map>',
].join('\n')
const PLAIN = '{"name":"De & jan","age":30,"big":7}'

describe('a map of AMQP', () => {
  it.each([
    [undefined, 'jms-map-json', PLAIN],
    ['jms-map-json', 'jms-map-json', AS_JSON],
    ['jms-json', 'jms-map-json', AS_JSON],
    ['jms-map-xml', 'jms-map-xml', AS_XML],
    ['jms-xml', 'jms-map-xml', AS_XML],
    // ActiveMQ writes a map by how the name ends, whatever else it says.
    ['jms-object-json', 'jms-object-json', AS_JSON],
    ['jms-object-xml', 'jms-object-xml', AS_XML],
    ['jms-byte', 'jms-byte', AS_XML],
    ['jms-advisory-json', 'jms-advisory-json', AS_JSON],
  ])('for a subscription with transformation %s is told as %s', async (asked, told, body) => {
    const node = await startNode()
    await sendByAmqp(node, { body: MAP, application_properties: { p: 'q' }, message_id: 'mine', durable: true })
    const client = await node.client()
    await client.ask('SUBSCRIBE', { id: 's', destination: '/queue/q', ...(asked === undefined ? {} : { transformation: asked }) })
    const message = await client.message()
    expect(message.body.toString()).toBe(body)
    expect(message.headers).toMatchObject({ transformation: told, p: 'q', persistent: 'true', subscription: 's', 'message-id': 'mine' })
    expect(message.headers).not.toHaveProperty('content-length')
    expect(message.headers).not.toHaveProperty('transformation-error')
  })

  it('is written for each subscription in its own form, browsers and STOMP 1.0 and 1.1 among them', async () => {
    const node = await startNode()
    await sendByAmqp(node, { body: MAP, message_id: 'a:b' })
    for (const version of ['1.0', '1.1', '1.2']) {
      for (const [transformation, body] of [
        ['jms-json', AS_JSON],
        ['jms-xml', AS_XML],
      ]) {
        const client = await node.client({ version })
        await client.ask('SUBSCRIBE', { id: 's', destination: '/queue/q', browser: 'true', transformation })
        const { body: got, headers } = await client.message()
        expect(got.toString()).toBe(body)
        expect(headers['message-id']).toMatch(version === '1.2' ? /^a:b$/ : /^\d+-\d+$/)
        expect((await client.message()).headers['browser']).toBe('end')
      }
    }
  })

  it('is acknowledged like any other, and comes back in its form after a takeover', async () => {
    const node = await startNode()
    await sendByAmqp(node, { body: MAP, durable: true })
    const subscription = { id: 's', destination: '/queue/q', transformation: 'jms-map-xml', ack: 'client' }
    const before = await node.client()
    await before.ask('SUBSCRIBE', subscription)
    await before.message()
    await node.restart()
    const after = await node.client()
    await after.ask('SUBSCRIBE', subscription)
    const { headers, body } = await after.message()
    expect([headers['redelivered'], body.toString()]).toEqual(['true', AS_XML])
    await after.ask('ACK', { id: headers['ack'] })
  })

  it('longer than bodyBytesMax in that form comes as plain JSON, and says so', async () => {
    const node = await startNode({ bodyBytesMax: 80 })
    await sendByAmqp(node, { body: MAP })
    const client = await node.client()
    await client.ask('SUBSCRIBE', { id: 's', destination: '/queue/q', transformation: 'jms-map-xml' })
    const { headers, body } = await client.message()
    expect(headers).toMatchObject({ transformation: 'jms-map-json', 'transformation-error': expect.stringContaining('bodyBytesMax') })
    expect(body.toString()).toBe(PLAIN)
  })

  it('is read by stompit', async () => {
    const node = await startNode()
    await sendByAmqp(node, { body: MAP })
    const got = await new Promise<[string | undefined, string]>((resolve, reject) => {
      const client = stompit.connect({ host: '127.0.0.1', port: node.port, connectHeaders: { 'accept-version': '1.2' } }, (failed) => {
        if (failed !== null) return reject(failed)
        client.subscribe({ destination: '/queue/q', transformation: 'jms-map-json' }, (error, message) => {
          if (error !== null) return reject(error)
          message.readString('utf8', (_, body = '') => resolve([message.headers['transformation'], body]))
        })
      })
      client.on('error', () => {})
      cleanups.push(() => client.destroy())
    })
    expect(got).toEqual(['jms-map-json', AS_JSON])
  })
})

describe('what is no map', () => {
  it('is as it would be without the header: text, bytes, lists, nothing', async () => {
    const node = await startNode()
    const bodies = ['text', rhea.message.data_section(Buffer.from([0, 255])), ['a', rhea.types.wrap_int(1)]]
    const told: unknown[] = []
    for (const transformation of [{}, { transformation: 'jms-json' }, { transformation: 'jms-map-xml' }]) {
      for (const body of bodies) await sendByAmqp(node, { body })
      const client = await node.client()
      await client.ask('SEND', { destination: '/queue/q', kind: 'mine' }, 'sent by STOMP')
      await client.ask('SUBSCRIBE', { id: 's', destination: '/queue/q', ...transformation })
      const got: unknown[] = []
      for (let i = 0; i < 4; i++) {
        const { headers, body } = await client.message()
        const { 'message-id': _id, timestamp: _at, ack: _ack, ...others } = headers
        got.push([others, body.toString('hex')])
      }
      told.push(got)
      client.socket.destroy()
      await client.closed
    }
    expect(told[1]).toEqual(told[0])
    expect(told[2]).toEqual(told[0])
  })

  it('but a Java object says that it could not be written', async () => {
    const node = await startNode()
    const body = rhea.message.data_section(Buffer.from([0xac, 0xed, 0, 5]))
    await sendByAmqp(node, { body, content_type: 'application/x-java-serialized-object' })
    const client = await node.client()
    await client.ask('SUBSCRIBE', { id: 's', destination: '/queue/q', transformation: 'jms-object-json' })
    const { headers, body: got } = await client.message()
    expect(headers).toMatchObject({ 'transformation-error': expect.stringContaining('jms-object-json'), 'content-length': '4' })
    expect(headers).not.toHaveProperty('transformation')
    expect(got.toString('hex')).toBe('aced0005')
  })
})

describe('a map sent by STOMP', () => {
  it.each([
    ['jms-map-json', '{"name":"De & jan"}', 'jms-json', 'jms-map-json', '{"map":{"entry":{"string":["name","De & jan"]}}}'],
    ['jms-map-json', '{"map":{"entry":{"string":"n","int":5}}}', 'jms-xml', 'jms-map-xml', xmlOf('n', '<int>5</int>')],
    [
      'jms-map-xml',
      '<map><entry><string>n</string><null/></entry></map>',
      'jms-map-json',
      'jms-map-json',
      '{"map":{"entry":{"string":"n","null":""}}}',
    ],
  ])('as %s is what the subscriber asks for: %s', async (sent, body, asked, told, expected) => {
    const node = await startNode()
    const client = await node.client()
    await client.ask('SEND', { destination: '/queue/q', transformation: sent, x: 'a', 'content-length': String(body.length) }, body)
    await client.ask('SEND', { destination: '/queue/q', transformation: sent, x: 'a' }, body)
    await client.ask('SUBSCRIBE', { id: 's', destination: '/queue/q', transformation: asked })
    for (let i = 0; i < 2; i++) {
      const message = await client.message()
      expect(message.body.toString()).toBe(expected)
      expect(message.headers).toMatchObject({ transformation: told, x: 'a' })
      expect(message.headers).not.toHaveProperty('content-length')
    }
    await client.ask('SEND', { destination: '/queue/plain', transformation: sent }, body)
    await client.ask('SUBSCRIBE', { id: 'p', destination: '/queue/plain' })
    const plain = await client.message()
    expect([plain.headers['transformation'], plain.body.toString()]).toEqual([sent, body])
  })

  it.each([
    ['jms-map-json', 'nonsense', 'the body is no map in JSON'],
    ['jms-map-xml', '{"a":1}', 'the body is no map in XML'],
    ['jms-json', '{"a":1}', 'Unknown transformation: jms-json'],
  ])('as %s that is none stays the text it is, and its readers are told why: %s', async (transformation, body, error) => {
    const node = await startNode()
    const client = await node.client()
    await client.ask('SEND', { destination: '/queue/q', transformation }, body)
    await client.ask('SUBSCRIBE', { id: 's', destination: '/queue/q', transformation: 'jms-xml', ack: 'client-individual' })
    const message = await client.message()
    expect(message.headers).toMatchObject({ transformation, 'transformation-error': error })
    expect(message.body.toString()).toBe(body)
    client.socket.destroy()
    const { body: text, application_properties: properties } = await receiveByAmqp(node)
    expect([text, properties?.['transformation-error']]).toEqual([body, error])
  })

  it('of a name that ActiveMQ has not is a header like any other', async () => {
    const node = await startNode()
    const client = await node.client()
    await client.ask('SEND', { destination: '/queue/q', transformation: 'mine' }, 'x')
    await client.ask('SUBSCRIBE', { id: 's', destination: '/queue/q', transformation: 'jms-xml' })
    const { headers } = await client.message()
    expect(headers['transformation']).toBe('mine')
    expect(headers).not.toHaveProperty('transformation-error')
  })
})

describe('SUBSCRIBE', () => {
  it.each(['nonsense', '', 'JMS-MAP-JSON'])('with a transformation that there is not is an ERROR: %j', async (transformation) => {
    const node = await startNode()
    const client = await node.client()
    client.send('SUBSCRIBE', { id: 's', destination: '/queue/q', transformation, receipt: 'r' })
    const { headers } = await client.error()
    expect(headers).toMatchObject({ 'receipt-id': 'r', message: `There is no transformation ${JSON.stringify(transformation)}.` })
    await client.closed
  })
})

it('a map published to a topic is in the form that each of its subscribers asked for', async () => {
  const node = await startNode()
  const asked = [undefined, 'jms-json', 'jms-xml']
  const clients = await Promise.all(asked.map(() => node.client()))
  for (const [i, transformation] of asked.entries())
    await clients[i].ask('SUBSCRIBE', { id: 's', destination: '/topic/t', ...(transformation === undefined ? {} : { transformation }) })
  const listener = await mqtt.connectAsync(`mqtt://127.0.0.1:${node.mqttPort}`)
  cleanups.push(() => listener.end(true))
  await listener.subscribeAsync('t')
  const published = new Promise<string>((resolve) => listener.once('message', (_, payload) => resolve(payload.toString())))
  await sendByAmqp(node, { body: MAP }, 'topic://t')
  expect(await Promise.all(clients.map(async (client) => (await client.message()).body.toString()))).toEqual([PLAIN, AS_JSON, AS_XML])
  expect(await published).toBe(PLAIN)
})

function xmlOf(key: string, value: string): string {
  return `<map>\n  <entry>\n    <string>${key}</string>\n    ${value}\n  </entry>\n</map>`
}

async function sendByAmqp(node: FakeNode, message: Message, address = 'queue://q'): Promise<void> {
  const connection = amqp(node)
  const sender = connection.open_sender(address)
  const [{ sender: ready }] = (await once(sender, 'sendable')) as [EventContext]
  ready?.send(message)
  await once(sender, 'accepted')
  connection.close()
}

async function receiveByAmqp(node: FakeNode): Promise<Message> {
  const receiver = amqp(node).open_receiver('queue://q')
  const [{ message }] = (await once(receiver, 'message')) as [EventContext]
  if (message === undefined) throw new Error('no message')
  return message
}

function amqp(node: FakeNode): Connection {
  const connection = rhea.create_container().connect({ host: '127.0.0.1', port: node.amqpPort, reconnect: false, username: 'a' })
  cleanups.push(() => connection.close())
  return connection
}
