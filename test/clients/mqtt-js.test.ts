import mqtt, { type IClientOptions, type IPublishPacket, type MqttClient } from 'mqtt'
import { afterEach, describe, expect, it } from 'vitest'
import { until } from '../wire/bytes.ts'
import { StompWire, type StompFrame } from '../wire/stomp-wire.ts'
import { brokerForThisFile } from './clients.ts'

const ports = brokerForThisFile()
const open: MqttClient[] = []

interface Got {
  readonly topic: string
  readonly text: string
  readonly packet: IPublishPacket
}

interface Listener {
  readonly client: MqttClient
  readonly got: Got[]
  readonly sessionPresent: boolean
}

async function connect(options: IClientOptions = {}): Promise<Listener> {
  const client = mqtt.connect({ host: '127.0.0.1', port: ports.mqtt, reconnectPeriod: 0, protocolVersion: 4, ...options })
  open.push(client)
  const got: Got[] = []
  client.on('message', (topic, payload, packet) => got.push({ topic, text: payload.toString(), packet }))
  const sessionPresent = await new Promise<boolean>((resolve, reject) => {
    client.once('connect', (connack) => resolve(connack.sessionPresent))
    client.once('error', reject)
  })
  return { client, got, sessionPresent }
}

afterEach(async () => {
  for (const client of open.splice(0)) await client.endAsync(true)
})

describe('MQTT.js', () => {
  it.each([0, 1, 2] as const)('publishes and receives with QoS %i, in order', async (qos) => {
    const { client, got } = await connect()
    await client.subscribeAsync(`js/qos${qos}/+`, { qos })
    await Promise.all(Array.from({ length: 200 }, (_, i) => client.publishAsync(`js/qos${qos}/x`, String(i), { qos })))
    await until('200 messages', () => got.length >= 200)
    expect(got.map((each) => each.text)).toEqual(Array.from({ length: 200 }, (_, i) => String(i)))
    expect(got.every((each) => each.packet.qos === qos && !each.packet.dup && !each.packet.retain)).toBe(true)
  })

  it('receives with the lower of both QoS', async () => {
    const { client, got } = await connect()
    await client.subscribeAsync('js/lower', { qos: 1 })
    for (const qos of [0, 1, 2] as const) await client.publishAsync('js/lower', String(qos), { qos })
    await until('3 messages', () => got.length >= 3)
    expect(got.map((each) => `${each.text}→${each.packet.qos}`)).toEqual(['0→0', '1→1', '2→1'])
  })

  it('gives a newcomer the retained message until an empty one clears it', async () => {
    const { client } = await connect()
    await client.publishAsync('js/kept/a', 'old', { qos: 1, retain: true })
    await client.publishAsync('js/kept/a', 'new', { qos: 1, retain: true })
    const first = await connect()
    await first.client.subscribeAsync('js/kept/#', { qos: 1 })
    await until('the retained message', () => first.got.length === 1)
    expect(first.got[0]).toMatchObject({ topic: 'js/kept/a', text: 'new', packet: { retain: true, qos: 1 } })
    await client.publishAsync('js/kept/a', '', { qos: 1, retain: true })
    const second = await connect()
    await second.client.subscribeAsync(['js/kept/#', 'js/after'], { qos: 1 })
    await client.publishAsync('js/after', 'x', { qos: 1 })
    await until('the message after', () => second.got.length > 0)
    expect(second.got.map((each) => each.topic)).toEqual(['js/after'])
  })

  it('sends a will when the connection breaks, and none after a disconnect', async () => {
    const watcher = await connect()
    await watcher.client.subscribeAsync('js/will/#', { qos: 1 })
    const will = (name: string) => ({ topic: `js/will/${name}`, payload: Buffer.from('gone'), qos: 1 as const, retain: false })
    const polite = await connect({ will: will('polite') })
    await polite.client.endAsync()
    const broken = await connect({ will: will('broken') })
    broken.client.stream.destroy()
    await until('the will', () => watcher.got.length > 0)
    expect(watcher.got.map((each) => each.topic)).toEqual(['js/will/broken'])
  })

  it('keeps a session, and what came for it, while its client is away', async () => {
    const first = await connect({ clientId: 'js-kept', clean: false })
    expect(first.sessionPresent).toBe(false)
    await first.client.subscribeAsync('js/away', { qos: 2 })
    await first.client.endAsync()
    const { client } = await connect()
    for (let i = 0; i < 50; i++) await client.publishAsync('js/away', String(i), { qos: i % 2 === 0 ? 1 : 2 })
    await client.publishAsync('js/away', 'for nobody', { qos: 0 })
    const again = await connect({ clientId: 'js-kept', clean: false })
    expect(again.sessionPresent).toBe(true)
    await until('50 messages', () => again.got.length >= 50)
    // The library passes QoS 2 on when PUBREL comes, so that order holds within one QoS only.
    const numbers = (qos: number) => again.got.filter((each) => each.packet.qos === qos).map((each) => Number(each.text))
    expect(numbers(1)).toEqual(Array.from({ length: 25 }, (_, i) => 2 * i))
    expect(numbers(2)).toEqual(Array.from({ length: 25 }, (_, i) => 2 * i + 1))
    await again.client.endAsync()
    const clean = await connect({ clientId: 'js-kept', clean: true })
    expect(clean.sessionPresent).toBe(false)
  })

  it('ends the older of two connections with one client id', async () => {
    const first = await connect({ clientId: 'js-twice' })
    const closed = new Promise<void>((resolve) => first.client.once('close', () => resolve()))
    await connect({ clientId: 'js-twice' })
    await closed
    expect(first.client.connected).toBe(false)
  })

  it('stops receiving what it unsubscribed from', async () => {
    const { client, got } = await connect()
    await client.subscribeAsync(['js/un/a', 'js/un/b'], { qos: 1 })
    await client.unsubscribeAsync('js/un/a')
    await client.publishAsync('js/un/a', 'a', { qos: 1 })
    await client.publishAsync('js/un/b', 'b', { qos: 1 })
    await until('one message', () => got.length > 0)
    expect(got.map((each) => each.text)).toEqual(['b'])
  })

  it('stays connected by its pings alone', { timeout: 15_000 }, async () => {
    const { client } = await connect({ keepalive: 1 })
    let pings = 0
    client.on('packetreceive', (packet) => {
      if (packet.cmd === 'pingresp') pings++
    })
    await until('three answered pings', () => pings >= 3)
    expect(client.connected).toBe(true)
  })

  it('speaks 3.1', async () => {
    const { client, got } = await connect({ protocolId: 'MQIsdp', protocolVersion: 3, clientId: 'js-31' })
    await client.subscribeAsync('js/31', { qos: 2 })
    await client.publishAsync('js/31', 'old', { qos: 2 })
    await until('a message', () => got.length === 1)
    expect(got[0]).toMatchObject({ topic: 'js/31', text: 'old' })
  })

  it('speaks MQTT 5, and meets 3.1.1 and STOMP with what each can say', async () => {
    const five = await connect({ protocolVersion: 5, properties: { receiveMaximum: 5, topicAliasMaximum: 10 } })
    const old = await connect()
    const stomp = await StompWire.connect({ host: '127.0.0.1', port: ports.stomp })
    const frames: StompFrame[] = []
    stomp.onMessage = (frame) => frames.push(frame)
    await stomp.ask('SUBSCRIBE', { id: '1', destination: '/topic/js.five.>' })
    await old.client.subscribeAsync('js/five/#', { qos: 2 })
    await five.client.subscribeAsync('js/five/#', { qos: 2, properties: { subscriptionIdentifier: 3 } })
    const properties = {
      contentType: 'text/plain',
      responseTopic: 'js/answers',
      correlationData: Buffer.from('c7'),
      userProperties: { type: 'order' },
    }
    await five.client.publishAsync('js/five/up', 'from 5', { qos: 2, properties })
    await stomp.ask('SEND', { destination: '/topic/js.five.down', 'correlation-id': 'c8', 'reply-to': '/topic/js.answers', n: '1' }, Buffer.from('x'))
    await until('both messages at all', () => five.got.length >= 2 && old.got.length >= 2 && frames.length >= 2)
    expect(five.got[0].packet.properties).toMatchObject({ ...properties, userProperties: { type: 'order' }, subscriptionIdentifier: 3 })
    expect(five.got[1].packet.properties).toMatchObject({
      responseTopic: 'js/answers',
      correlationData: Buffer.from('c8'),
      userProperties: { n: '1' },
    })
    expect(old.got.map((each) => [each.text, each.packet.qos, each.packet.properties])).toEqual([
      ['from 5', 2, undefined],
      ['x', 0, undefined],
    ])
    const seen = Object.fromEntries(['content-type', 'reply-to', 'correlation-id', 'type'].map((name) => [name, frames[0].headers.get(name)]))
    expect(seen).toEqual({ 'content-type': 'text/plain', 'reply-to': '/topic/js.answers', 'correlation-id': 'c7', type: 'order' })
    stomp.destroy()
  })

  it.each([1, 2] as const)('receives 500 messages of MQTT 5 with QoS %i in order, five unanswered at most', async (qos) => {
    const { client, got } = await connect({ protocolVersion: 5, properties: { receiveMaximum: 5, topicAliasMaximum: 10 } })
    await client.subscribeAsync(`js/five-flow/${qos}`, { qos })
    await Promise.all(Array.from({ length: 500 }, (_, i) => client.publishAsync(`js/five-flow/${qos}`, String(i), { qos })))
    await until('500 messages', () => got.length >= 500)
    expect(got.map((each) => each.text)).toEqual(Array.from({ length: 500 }, (_, i) => String(i)))
  })

  it('meets STOMP on a topic, both ways', async () => {
    const { client, got } = await connect()
    const stomp = await StompWire.connect({ host: '127.0.0.1', port: ports.stomp })
    const frames: StompFrame[] = []
    stomp.onMessage = (frame) => frames.push(frame)
    await stomp.ask('SUBSCRIBE', { id: '1', destination: '/topic/js.bridge.>' })
    await client.subscribeAsync('js/bridge/#', { qos: 1 })
    await client.publishAsync('js/bridge/up', 'from MQTT', { qos: 1 })
    await stomp.ask('SEND', { destination: '/topic/js.bridge.down', persistent: 'true' }, Buffer.from('from STOMP'))
    await until('both messages at both', () => got.length >= 2 && frames.length >= 2)
    expect(got.map((each) => [each.topic, each.text, each.packet.qos])).toEqual([
      ['js/bridge/up', 'from MQTT', 1],
      ['js/bridge/down', 'from STOMP', 1],
    ])
    expect(frames.map((each) => [each.headers.get('destination'), each.body.toString()])).toEqual([
      ['/topic/js.bridge.up', 'from MQTT'],
      ['/topic/js.bridge.down', 'from STOMP'],
    ])
    stomp.destroy()
  })
})
