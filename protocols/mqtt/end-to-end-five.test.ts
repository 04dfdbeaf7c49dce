// MQTT 5 by a real client, with the real core and a journal in memory: what a user sees. `restart` is kill -9 and takeover of the node.
import type { IClientOptions, IConnackPacket, IDisconnectPacket, MqttClient } from 'mqtt'
import mqttClient from 'mqtt'
import { afterEach, describe, expect, it } from 'vitest'
import { Inbox, Node } from './fake-node.ts'

let node: Node
afterEach(async () => node.stop())

/** Of MQTT 5; the library shows CONNACK to its event only. */
async function client(options: IClientOptions = {}): Promise<MqttClient & { connack?: IConnackPacket }> {
  const { client: made, connack } = await withConnack(options)
  return Object.assign(made, { connack })
}

async function withConnack(options: IClientOptions): Promise<{ client: MqttClient; connack: IConnackPacket }> {
  const made = mqttClient.connect({ host: '127.0.0.1', port: node.port, reconnectPeriod: 0, protocolVersion: 5, ...options })
  open.push(made)
  made.on('error', () => {})
  const connack = await new Promise<IConnackPacket>((resolve, reject) => {
    made.once('connect', resolve)
    made.once('error', reject)
  })
  return { client: made, connack }
}
const open: MqttClient[] = []
afterEach(() => {
  for (const each of open.splice(0)) each.end(true)
})

const disconnected = (of: MqttClient): Promise<IDisconnectPacket> => new Promise((resolve) => of.once('disconnect', resolve))

describe('MQTT 5 end to end', () => {
  it.each([0, 1, 2] as const)('QoS %d carries every property, order and doubles of user properties too', async (qos) => {
    node = await new Node().start()
    const mine = await client()
    const inbox = new Inbox(mine)
    await mine.subscribeAsync('t/#', { qos })
    await mine.publishAsync('t/x', 'grün', {
      qos,
      properties: {
        payloadFormatIndicator: true,
        messageExpiryInterval: 100,
        contentType: 'text/plain',
        responseTopic: 'answers/me',
        correlationData: Buffer.from([0, 255, 7]),
        userProperties: { b: ['1', '2'], a: 'x' },
      },
    })
    const [packet] = await inbox.first(1)
    expect(packet.properties).toEqual({
      payloadFormatIndicator: true,
      messageExpiryInterval: 100,
      contentType: 'text/plain',
      responseTopic: 'answers/me',
      correlationData: Buffer.from([0, 255, 7]),
      userProperties: Object.assign(Object.create(null), { b: ['1', '2'], a: 'x' }),
    })
    expect(packet.qos).toBe(qos)
  })

  it('crosses to 3.1.1 and back, and what 3.1.1 cannot say is counted', async () => {
    node = await new Node().start()
    const old = await node.client({ protocolVersion: 4 })
    const fresh = await client()
    const atOld = new Inbox(old)
    const atFresh = new Inbox(fresh)
    await old.subscribeAsync('#', { qos: 2 })
    await fresh.subscribeAsync('#', { qos: 2 })
    await fresh.publishAsync('a', '1', { qos: 2, properties: { contentType: 'x/y', userProperties: { k: 'v' } } })
    await old.publishAsync('b', '2', { qos: 1 })
    expect((await atOld.first(2)).map(({ topic, qos, payload }) => `${topic} ${qos} ${payload.toString()}`)).toEqual(['a 2 1', 'b 1 2'])
    expect((await atFresh.first(2)).map(({ topic, qos, properties }) => [topic, qos, properties?.contentType])).toEqual([
      ['a', 2, 'x/y'],
      ['b', 1, undefined],
    ])
    expect(Object(node.core.core.status()).conversionLosses).toEqual({ 'mqtt5 to mqtt: contentType': 1, 'mqtt5 to mqtt: properties': 1 })
  })

  it('a delivery carries the identifiers of all subscriptions that match, also after kill -9, and of a shared one', async () => {
    node = await new Node().start()
    const options: IClientOptions = { clientId: 'ids', clean: false, properties: { sessionExpiryInterval: 1000 } }
    const first = await client(options)
    await first.subscribeAsync('a/+', { qos: 1, properties: { subscriptionIdentifier: 268_435_455 } })
    await first.subscribeAsync('a/#', { qos: 1, properties: { subscriptionIdentifier: 2 } })
    await first.subscribeAsync('none/#', { qos: 1 })
    await first.subscribeAsync('$share/g/s', { qos: 1, properties: { subscriptionIdentifier: 268_435_455 } })
    first.end(true)
    await node.restart()
    const { client: again, connack } = await withConnack(options)
    expect(connack.sessionPresent).toBe(true)
    const inbox = new Inbox(again)
    for (const topic of ['a/b', 'a/b/c', 's', 'none/x']) await again.publishAsync(topic, topic, { qos: 1 })
    const ids = new Map((await inbox.first(4)).map(({ topic, properties }) => [topic, properties?.subscriptionIdentifier]))
    expect(ids.get('a/b')).toEqual([268_435_455, 2])
    expect(ids.get('a/b/c')).toBe(2)
    expect(ids.get('s')).toBe(268_435_455)
    expect(ids.get('none/x')).toBeUndefined()
  })

  it('no local, retain as published and retain handling do what they say', async () => {
    node = await new Node().start()
    const mine = await client()
    const other = await client()
    const inbox = new Inbox(mine)
    await other.publishAsync('kept', 'k', { qos: 1, retain: true })
    await mine.subscribeAsync('kept', { qos: 1, nl: true, rap: true, rh: 2 })
    await mine.publishAsync('kept', 'mine', { qos: 1 })
    await other.publishAsync('kept', 'other', { qos: 1, retain: true })
    expect((await inbox.first(1)).map(({ payload, retain }) => [payload.toString(), retain])).toEqual([['other', true]])
    await mine.subscribeAsync('kept', { qos: 1, rh: 1 })
    await mine.subscribeAsync('kept', { qos: 1, rh: 0 })
    await inbox.first(2)
    expect(inbox.packets.map(({ payload, retain }) => [payload.toString(), retain])).toEqual([
      ['other', true],
      ['other', true],
    ])
    await other.publishAsync('kept', 'plain', { qos: 1, retain: true })
    expect((await inbox.first(3))[2].retain).toBe(false)
  })

  it('what a client sends itself carries no identifier of a subscription that is not for it', async () => {
    node = await new Node().start()
    const mine = await client()
    const other = await client()
    const inbox = new Inbox(mine)
    await mine.subscribeAsync('l/+', { qos: 1, nl: true, properties: { subscriptionIdentifier: 1 } })
    await mine.subscribeAsync('l/#', { qos: 1, properties: { subscriptionIdentifier: 2 } })
    await mine.publishAsync('l/x', 'mine', { qos: 1 })
    await other.publishAsync('l/x', 'other', { qos: 1 })
    const ids = (await inbox.first(2)).map(({ payload, properties }) => [payload.toString(), properties?.subscriptionIdentifier])
    expect(ids).toEqual([
      ['mine', 2],
      ['other', [1, 2]],
    ])
  })

  it('a session is kept for its expiry, is told if that is less than asked for, and DISCONNECT may end it', async () => {
    node = await new Node({ sessionExpiryMs: 60_000 }).start()
    const options: IClientOptions = { clientId: 'k', clean: false, properties: { sessionExpiryInterval: 0xffff_ffff } }
    const first = await withConnack(options)
    expect(first.connack).toMatchObject({ sessionPresent: false, properties: { sessionExpiryInterval: 60 } })
    await first.client.subscribeAsync('q', { qos: 2 })
    await first.client.endAsync()
    const other = await client()
    await other.publishAsync('q', 'while away', { qos: 2 })
    await node.restart()
    const again = await withConnack(options)
    expect(again.connack.sessionPresent).toBe(true)
    expect((await new Inbox(again.client).first(1))[0].payload.toString()).toBe('while away')
    await again.client.endAsync(false, { properties: { sessionExpiryInterval: 0 } })
    expect((await withConnack(options)).connack.sessionPresent).toBe(false)
  })

  it('a client without an identifier is given one, by which its session is found again', async () => {
    node = await new Node().start()
    const { client: first, connack } = await withConnack({ clientId: '', clean: true, properties: { sessionExpiryInterval: 100 } })
    const clientId = connack.properties?.assignedClientIdentifier ?? ''
    expect(clientId).toMatch(/^assigned-/)
    await first.endAsync()
    expect((await withConnack({ clientId, clean: false })).connack.sessionPresent).toBe(true)
  })

  it('a second connection of one client tells the first that it was taken over', async () => {
    node = await new Node().start()
    const first = await client({ clientId: 'twice' })
    const told = disconnected(first)
    await client({ clientId: 'twice' })
    expect((await told).reasonCode).toBe(0x8e)
  })

  it('a will has its properties, and a delay that a return cuts short', async () => {
    node = await new Node().start()
    const watcher = await client()
    const inbox = new Inbox(watcher)
    await watcher.subscribeAsync('wills/#', { qos: 1 })
    const will = (topic: string, willDelayInterval: number) => ({
      topic,
      payload: Buffer.from('gone'),
      qos: 1 as const,
      retain: false,
      properties: { willDelayInterval, contentType: 'x/y', messageExpiryInterval: 50, userProperties: { a: 'b' } },
    })
    const back: IClientOptions = { clientId: 'back', clean: false, properties: { sessionExpiryInterval: 100 }, will: will('wills/back', 100) }
    const dying = await client(back)
    dying.stream.destroy()
    await client(back)
    // A session that is not kept ends with its connection, and a will waits no longer than that.
    const short = await client({ clientId: 'short', will: will('wills/short', 100) })
    short.stream.destroy()
    const [packet] = await inbox.first(1)
    expect(packet).toMatchObject({ topic: 'wills/short', properties: { contentType: 'x/y', messageExpiryInterval: 50, userProperties: { a: 'b' } } })
  })

  it('topic aliases work both ways', async () => {
    node = await new Node({ topicAliasesInMax: 5 }).start()
    const mine = await client({ properties: { topicAliasMaximum: 2 } })
    expect(mine.connack?.properties?.topicAliasMaximum).toBe(5)
    const raw: { topic: string; alias: number | undefined }[] = []
    mine.on('packetreceive', (packet) => {
      if (packet.cmd === 'publish') raw.push({ topic: packet.topic, alias: packet.properties?.topicAlias })
    })
    const inbox = new Inbox(mine)
    await mine.subscribeAsync('long/#', { qos: 1 })
    await mine.publishAsync('long/topic/a', '1', { qos: 1, properties: { topicAlias: 3 } })
    await mine.publishAsync('', '2', { qos: 1, properties: { topicAlias: 3 } })
    await mine.publishAsync('long/b', '3', { qos: 1 })
    await mine.publishAsync('long/c', '4', { qos: 1 })
    await inbox.first(4)
    expect(inbox.texts).toEqual(['1', '2', '3', '4'])
    expect(raw).toEqual([
      { topic: 'long/topic/a', alias: 1 },
      { topic: '', alias: 1 },
      { topic: 'long/b', alias: 2 },
      { topic: 'long/c', alias: undefined },
    ])
  })

  it('a message larger than its client takes is dropped for it, and those after it come', async () => {
    node = await new Node().start()
    const small = await client({ properties: { maximumPacketSize: 100 } })
    const inbox = new Inbox(small)
    await small.subscribeAsync('s', { qos: 1 })
    const sender = await client()
    await sender.publishAsync('s', 'x'.repeat(200), { qos: 1 })
    await sender.publishAsync('s', 'fits', { qos: 1 })
    await inbox.first(1)
    expect(inbox.texts).toEqual(['fits'])
  })
})
