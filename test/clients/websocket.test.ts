// The same libraries as on TCP, over WebSocket: what each makes of subprotocols, of text and binary messages, and of their borders.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client, type IMessage } from '@stomp/stompjs'
import mqtt, { type IClientOptions, type MqttClient } from 'mqtt'
import { afterEach, describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { until } from '../wire/bytes.ts'
import { NodeProcess } from '../wire/node-process.ts'
import { brokerForThisFile, python, run, script, whySkipped } from './clients.ts'

const paho = python('paho-mqtt', '2.2.0')
const ports = brokerForThisFile()
const closing: (() => Promise<unknown>)[] = []
const url = (): string => `ws://127.0.0.1:${ports.websocket}`
const numbers = Array.from({ length: 200 }, (_, i) => String(i))

afterEach(async () => {
  for (const close of closing.splice(0)) await close()
})

async function mqttClient(options: IClientOptions = {}): Promise<Readonly<{ client: MqttClient; got: Buffer[]; sessionPresent: boolean }>> {
  const client = mqtt.connect(url(), { reconnectPeriod: 0, protocolVersion: 4, ...options })
  closing.push(() => client.endAsync(true))
  const got: Buffer[] = []
  client.on('message', (_, payload) => got.push(payload))
  const sessionPresent = await new Promise<boolean>((resolve, reject) => {
    client.once('connect', (connack) => resolve(connack.sessionPresent))
    client.once('error', reject)
  })
  return { client, got, sessionPresent }
}

type Stomp = Readonly<{ client: Client; kinds: Set<string>; subprotocol: () => string }>

async function stompClient(options: Readonly<Record<string, unknown>> = {}): Promise<Stomp> {
  const kinds = new Set<string>()
  let socket: WebSocket | undefined
  const client = new Client({ reconnectDelay: 0, heartbeatIncoming: 500, heartbeatOutgoing: 500, ...options })
  client.webSocketFactory = () => {
    socket = new WebSocket(url(), client.stompVersions.protocolVersions())
    socket.on('message', (_, isBinary) => kinds.add(isBinary ? 'binary' : 'text'))
    return socket as unknown as ReturnType<NonNullable<Client['webSocketFactory']>>
  }
  closing.push(() => client.deactivate({ force: true }))
  await new Promise<void>((resolve, reject) => {
    client.onConnect = () => resolve()
    client.onStompError = (frame) => reject(new Error(frame.body))
    client.onWebSocketError = (event: { message?: string }) => reject(new Error(event.message ?? 'the WebSocket failed'))
    client.activate()
  })
  return { client, kinds, subprotocol: () => socket?.protocol ?? '' }
}

function subscribed({ client }: Stomp, destination: string): Promise<IMessage[]> {
  const got: IMessage[] = []
  return new Promise((resolve) => {
    client.watchForReceipt(`s-${destination}`, () => resolve(got))
    client.subscribe(destination, (message) => got.push(message), { receipt: `s-${destination}` })
  })
}

describe('MQTT.js over WebSocket', () => {
  it.each([0, 1, 2] as const)('publishes and receives with QoS %i, in order', async (qos) => {
    const { client, got } = await mqttClient()
    await client.subscribeAsync(`ws/qos${qos}/+`, { qos })
    await Promise.all(numbers.map((text) => client.publishAsync(`ws/qos${qos}/x`, text, { qos })))
    await until('200 messages', () => got.length >= 200)
    expect(got.map(String)).toEqual(numbers)
  })

  it('carries a message of a megabyte', async () => {
    const { client, got } = await mqttClient()
    const payload = Buffer.alloc(1_000_000, Buffer.from([0, 1, 2, 0xff, 0xfe]))
    await client.subscribeAsync('ws/large', { qos: 1 })
    await client.publishAsync('ws/large', payload, { qos: 1 })
    await until('the message', () => got.length === 1)
    expect(got[0].equals(payload)).toBe(true)
  })

  it('keeps a session while its client is away, and ends the older of two with one name', async () => {
    const first = await mqttClient({ clientId: 'ws-kept', clean: false })
    await first.client.subscribeAsync('ws/away', { qos: 1 })
    const closed = new Promise<void>((resolve) => first.client.once('close', () => resolve()))
    const second = await mqttClient({ clientId: 'ws-kept', clean: false })
    await closed
    expect(second.sessionPresent).toBe(true)
    await second.client.endAsync()
    const { client } = await mqttClient()
    await client.publishAsync('ws/away', 'kept', { qos: 1 })
    const third = await mqttClient({ clientId: 'ws-kept', clean: false })
    await until('the message', () => third.got.length === 1)
  })

  it('speaks MQTT 5 by the subprotocol of all versions', async () => {
    const { client, got } = await mqttClient({ protocolVersion: 5 })
    await client.subscribeAsync('ws/5', { qos: 2 })
    await client.publishAsync('ws/5', 'new', { qos: 2, properties: { contentType: 'x/y' } })
    await until('a message', () => got.length === 1)
    expect(String(got[0])).toBe('new')
  })

  it('speaks 3.1 by its own subprotocol', async () => {
    const { client, got } = await mqttClient({ protocolId: 'MQIsdp', protocolVersion: 3, clientId: 'ws-31' })
    await client.subscribeAsync('ws/31', { qos: 2 })
    await client.publishAsync('ws/31', 'old', { qos: 2 })
    await until('a message', () => got.length === 1)
    expect(String(got[0])).toBe('old')
  })
})

describe('@stomp/stompjs over WebSocket', () => {
  it('gets text for text: in order, with every letter of Unicode', async () => {
    const stomp = await stompClient()
    expect([stomp.client.connectedVersion, stomp.subprotocol()]).toEqual(['1.2', 'v12.stomp'])
    const got = await subscribed(stomp, '/queue/ws.text')
    const bodies = [...numbers, 'grüße 𝄞 😀', 'x'.repeat(200_000)]
    for (const body of bodies) stomp.client.publish({ destination: '/queue/ws.text', body })
    await until('all messages', () => got.length >= bodies.length)
    expect(got.map((each) => each.body)).toEqual(bodies)
    expect([...stomp.kinds]).toEqual(['text'])
  })

  it('gets binary for binary', async () => {
    const stomp = await stompClient({ forceBinaryWSFrames: true })
    const got = await subscribed(stomp, '/queue/ws.binary')
    stomp.client.publish({ destination: '/queue/ws.binary', body: 'grüße' })
    await until('a message', () => got.length === 1)
    expect(got[0].body).toBe('grüße')
    expect([...stomp.kinds]).toEqual(['binary'])
  })

  it('gets bytes that are no text exactly, though it began with text', async () => {
    const stomp = await stompClient()
    const got = await subscribed(stomp, '/queue/ws.bytes')
    const bytes = Uint8Array.from({ length: 256 }, (_, i) => 255 - i)
    stomp.client.publish({ destination: '/queue/ws.bytes', binaryBody: bytes })
    await until('a message', () => got.length === 1)
    expect([...got[0].binaryBody]).toEqual([...bytes])
  })

  it('sends a frame in many messages, as to servers with small buffers', async () => {
    const stomp = await stompClient({ splitLargeFrames: true, maxWebSocketChunkSize: 1000 })
    const got = await subscribed(stomp, '/queue/ws.split')
    stomp.client.publish({ destination: '/queue/ws.split', body: 'y'.repeat(50_000) })
    await until('a message', () => got.length === 1)
    expect(got[0].body.length).toBe(50_000)
  })

  it('beats both ways, and both sides live', { timeout: 15_000 }, async () => {
    let beats = 0
    const stomp = await stompClient({ debug: (line: string) => void (line === '<<< PONG' && beats++) })
    await until('three heart-beats', () => beats >= 3)
    expect(stomp.client.connected).toBe(true)
  })

  it('meets MQTT over WebSocket on a topic, both ways', async () => {
    const stomp = await stompClient()
    const frames = await subscribed(stomp, '/topic/ws.bridge.>')
    const { client, got } = await mqttClient()
    await client.subscribeAsync('ws/bridge/#', { qos: 1 })
    await client.publishAsync('ws/bridge/up', 'from MQTT', { qos: 1 })
    await until('one message at both', () => got.length === 1 && frames.length === 1)
    stomp.client.publish({ destination: '/topic/ws.bridge.down', body: 'from STOMP' })
    await until('both messages at both', () => got.length === 2 && frames.length === 2)
    expect(got.map(String)).toEqual(['from MQTT', 'from STOMP'])
    expect(frames.map((each) => each.body)).toEqual(['from MQTT', 'from STOMP'])
  })
})

describe('a node that stops', () => {
  it('says goodbye in the protocol’s words, then closes with 1001, and its successor serves the same address', async () => {
    const data = mkdtempSync(join(tmpdir(), 'bascule-websocket-'))
    const first = new NodeProcess({ data, args: ['--node', 'a'] })
    const address = (await first.leads()).listeners['websocket'] ?? ''
    const listen = ['mqtt=0', 'stomp=0', 'amqp=0', 'http=0', `websocket=${address}`].flatMap((each) => ['--listen', each])
    const second = new NodeProcess({ data, args: ['--node', 'b', '--ports', 'fixed', ...listen] })
    await second.stands()
    const said: Record<string, string[]> = { 'v12.stomp': [], mqtt: [] }
    const ends = Object.entries(said).map(([subprotocol, messages]) => {
      const ws = new WebSocket(`ws://${address}`, subprotocol)
      ws.on('message', (bytes) => messages.push((bytes as Buffer).toString('latin1')))
      ws.on('open', () =>
        ws.send(subprotocol === 'mqtt' ? Buffer.from('101100044d51545404020000000577736d7174', 'hex') : 'CONNECT\naccept-version:1.2\nhost:x\n\n\0'),
      )
      return new Promise<number>((resolve) => ws.once('close', resolve))
    })
    await until('both are connected', () => Object.values(said).every((messages) => messages.length > 0))
    await first.signal('SIGTERM')
    expect(await Promise.all(ends)).toEqual([1001, 1001])
    expect(said['v12.stomp']?.[0]).toMatch(/^CONNECTED\n/)
    expect(said['v12.stomp']?.at(-1)).toMatch(/^ERROR\n/)
    expect(said['mqtt']).toEqual(['\x20\x02\x00\x00'])
    expect((await second.leads()).listeners['websocket']).toBe(address)
    const again = new WebSocket(`ws://${address}`, 'mqtt')
    await new Promise((resolve, reject) => again.once('open', resolve).once('error', reject))
    again.terminate()
    await second.signal('SIGTERM')
    rmSync(data, { recursive: true, force: true })
  })
})

describe.skipIf(!paho.found)(`paho-mqtt for Python over WebSocket${whySkipped(paho)}`, () => {
  it.each(['qos0', 'qos1', 'qos2', 'retained', 'will', 'session', 'takeover', 'keepalive'])('%s', async (scenario) => {
    expect(await run(paho.found ? paho.path : '', [script('paho_client.py'), String(ports.websocket), scenario, 'websockets'])).toEqual({
      code: 0,
      stdout: 'ok\n',
      stderr: '',
    })
  })
})
