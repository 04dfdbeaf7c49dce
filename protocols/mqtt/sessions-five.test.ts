// Sessions of MQTT 5 with the real core and a journal in memory: what goes on when a client comes back, takes itself over, or has another window than before.
import type { IClientOptions, IConnackPacket, MqttClient } from 'mqtt'
import mqttClient from 'mqtt'
import { afterEach, describe, expect, it } from 'vitest'
import { Inbox, Node } from './fake-node.ts'

let node: Node
const open: MqttClient[] = []
afterEach(async () => {
  for (const each of open.splice(0)) each.end(true)
  await node.stop()
})

async function client(options: IClientOptions = {}): Promise<{ client: MqttClient; present: boolean; inbox: Inbox }> {
  const made = mqttClient.connect({ host: '127.0.0.1', port: node.port, reconnectPeriod: 0, protocolVersion: 5, ...options })
  open.push(made)
  made.on('error', () => {})
  const inbox = new Inbox(made)
  const connack = await new Promise<IConnackPacket>((resolve) => void made.once('connect', resolve))
  return { client: made, present: connack.sessionPresent, inbox }
}

const kept = (seconds: number) => ({ sessionExpiryInterval: seconds })

describe('a session', () => {
  it('that began clean is kept for its expiry; one that is continued without an expiry ends with that connection', async () => {
    node = await new Node().start()
    const first = await client({ clientId: 'c', clean: true, properties: kept(1000) })
    expect(first.present).toBe(false)
    await first.client.subscribeAsync('t', { qos: 2 })
    await first.client.endAsync()
    const second = await client({ clientId: 'c', clean: false })
    expect(second.present).toBe(true)
    await second.client.publishAsync('t', 'x', { qos: 2 })
    await second.inbox.first(1)
    await second.client.endAsync()
    expect((await client({ clientId: 'c', clean: false })).present).toBe(false)
  })

  it('that is continued knows its subscriptions: retained messages come for a new one only, if so asked', async () => {
    node = await new Node().start()
    const publisher = await client()
    await publisher.client.publishAsync('r', 'kept', { qos: 1, retain: true })
    const first = await client({ clientId: 'c', clean: false, properties: kept(1000) })
    await first.client.subscribeAsync('r', { qos: 1, rh: 1 })
    await first.inbox.first(1)
    await first.client.endAsync()
    const again = await client({ clientId: 'c', clean: false, properties: kept(1000) })
    await again.client.subscribeAsync('r', { qos: 1, rh: 1 })
    await publisher.client.publishAsync('r', 'live', { qos: 1 })
    await again.inbox.first(1)
    expect(again.inbox.texts).toEqual(['live'])
    await again.client.unsubscribeAsync('r')
    await again.client.subscribeAsync('r', { qos: 1, rh: 1 })
    await again.inbox.first(2)
    expect(again.inbox.texts).toEqual(['live', 'kept'])
  })

  it('that is taken over sends the will of the first connection, unless that waits and the session goes on [MQTT5-3.1.4-3]', async () => {
    node = await new Node().start()
    const watcher = await client()
    await watcher.client.subscribeAsync('w/#', { qos: 1 })
    const will = (topic: string, willDelayInterval: number) => ({
      topic: `w/${topic}`,
      payload: Buffer.from(topic),
      qos: 1 as const,
      retain: false,
      properties: { willDelayInterval },
    })
    for (const [name, delay, clean] of [
      ['at-once', 0, false],
      ['waits', 100, false],
      ['its-session-ended', 100, true],
    ] as const) {
      await client({ clientId: name, clean: false, properties: kept(1000), will: will(name, delay) })
      await client({ clientId: name, clean, properties: kept(1000) })
    }
    await watcher.inbox.first(2)
    await watcher.client.publishAsync('w/last', 'last', { qos: 1 })
    await watcher.inbox.first(3)
    expect(watcher.inbox.texts).toEqual(['at-once', 'its-session-ended', 'last'])
  })
})

describe('no local', () => {
  it('holds for retained messages too, under the same name on another connection, and not for those of others [MQTT5-3.8.3-3]', async () => {
    node = await new Node().start()
    const first = await client({ clientId: 'c' })
    for (const qos of [0, 1] as const) await first.client.publishAsync(`r/mine/${qos}`, 'mine', { qos, retain: true })
    const other = await client()
    await other.client.publishAsync('r/other', 'other', { qos: 1, retain: true })
    const again = await client({ clientId: 'c' })
    await again.client.subscribeAsync('r/#', { qos: 1, nl: true })
    await again.inbox.first(1)
    // What somebody else puts in its place is his.
    await other.client.publishAsync('r/mine/0', 'not mine', { qos: 1, retain: true })
    await again.inbox.first(2)
    await again.client.subscribeAsync('r/mine/#', { qos: 1, nl: true })
    await again.inbox.first(3)
    expect(again.inbox.texts).toEqual(['other', 'not mine', 'not mine'])
    await again.client.subscribeAsync('r/mine/1', { qos: 1 })
    await again.inbox.first(4)
    expect(again.inbox.texts[3]).toBe('mine')
  })
})

describe('the window of a client that comes back', () => {
  it('is the new one, also for what is sent again; order and identifiers are the old ones [MQTT5-3.3.4-9] [MQTT5-4.4.0-1]', async () => {
    node = await new Node().start()
    const publisher = await client()
    const opened = async (connect: string, more = '') => {
      const raw = await node.raw()
      raw.send(`${connect} ${more}`)
      const head = await raw.take(2)
      await raw.take(Number.parseInt(head.slice(2), 16))
      return raw
    }
    const first = await opened('1013 0004 4d515454 05 00 003c 05 11 000003e8 0001 63', '8207 0001 00 0001 74 01')
    await first.take(6)
    for (let i = 0; i < 6; i++) await publisher.client.publishAsync('t', `m${i}`, { qos: 1 })
    await first.take(60)
    first.socket.destroy()
    // Receive Maximum 2.
    const raw = await opened('1016 0004 4d515454 05 00 003c 08 21 0002 11 000003e8 0001 63')
    const packets = [await raw.take(10), await raw.take(10)]
    expect(packets.map((hex) => Buffer.from(hex.slice(-4), 'hex').toString())).toEqual(['m0', 'm1'])
    expect(await raw.silent()).toBe(true)
    for (let i = 2; i < 6; i++) {
      raw.send(`4002${packets[i - 2].slice(10, 14)}`)
      packets.push(await raw.take(10))
    }
    expect(packets.map((hex) => Buffer.from(hex.slice(-4), 'hex').toString())).toEqual(['m0', 'm1', 'm2', 'm3', 'm4', 'm5'])
    const ids = packets.map((hex) => Number.parseInt(hex.slice(10, 14), 16))
    expect(ids).toEqual(ids.map((_, i) => ids[0] + i))
  })
})

describe('a shared message', () => {
  it('that its member refuses goes to nobody else [MQTT5-4.8.2-6]', async () => {
    node = await new Node().start()
    const raw = await node.raw()
    raw.send('100e 0004 4d515454 05 02 003c 00 0001 61 8210 0001 00 000a 2473686172652f672f74 01')
    const head = await raw.take(2)
    await raw.take(Number.parseInt(head.slice(2), 16))
    expect(await raw.take(6)).toBe('900400010001')
    const publisher = await client()
    await publisher.client.publishAsync('t', 'x', { qos: 1 })
    const sent = await raw.take(9)
    const other = await client()
    await other.client.subscribeAsync('$share/g/t', { qos: 1 })
    raw.send(`4003 ${sent.slice(10, 14)} 87 c000`)
    expect(await raw.take(2)).toBe('d000')
    raw.socket.destroy()
    await publisher.client.publishAsync('t', 'y', { qos: 1 })
    await other.inbox.first(1)
    await publisher.client.publishAsync('t', 'z', { qos: 1 })
    await other.inbox.first(2)
    expect(other.inbox.texts).toEqual(['y', 'z'])
  })
})
