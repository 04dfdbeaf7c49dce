// Stock clients over TLS: one round trip each, and who each of them is by its certificate.
import { Client as StompJs } from '@stomp/stompjs'
import mqtt, { type IClientOptions, type MqttClient } from 'mqtt'
import rhea, { type Connection, type ConnectionOptions, type EventContext } from 'rhea'
import stompit, { type Client, type ConnectOptions } from 'stompit'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { makeHash } from '../../src/users/hash.ts'
import { type RunningBroker, startBroker } from '../support/broker.ts'
import { brokerTls, certificatePath, clientTls } from '../support/certificates.ts'
import { until } from '../wire/bytes.ts'

let broker: RunningBroker
const closing: (() => unknown)[] = []

beforeAll(async () => {
  broker = await startBroker({
    settings: {
      tls: { ...brokerTls, ca: certificatePath('authority.pem'), clientCertificates: 'optional', certificateLogin: true },
      users: [
        { name: 'anna', certificate: 'anna' },
        { name: 'bert', certificate: 'bert.example.com' },
        { name: 'carl', password: makeHash(Buffer.from('c'), 1) },
      ],
    },
  })
})
afterAll(() => broker.stop())
afterEach(async () => {
  for (const close of closing.splice(0)) await close()
})

/** Who is there by a protocol, each once: a connection of AMQP has several sessions. */
async function usersOf(protocol: string): Promise<readonly string[]> {
  const authorization = `Basic ${Buffer.from('carl:c').toString('base64')}`
  const response = await fetch(`http://${broker.address('http')}/api/connections`, { headers: { authorization } })
  const { connections } = (await response.json()) as { connections: readonly Readonly<{ protocol: string; user: string }>[] }
  return [...new Set(connections.filter((each) => each.protocol === protocol).map(({ user }) => user))]
}

async function mqttClient(options: IClientOptions): Promise<MqttClient> {
  const client = mqtt.connect({ host: '127.0.0.1', protocol: 'mqtts', port: broker.port('mqtts'), reconnectPeriod: 0, ...options })
  closing.push(() => client.endAsync(true))
  await new Promise<void>((resolve, reject) => {
    client.once('connect', () => resolve())
    client.once('error', reject)
    client.once('close', () => reject(new Error('closed')))
  })
  return client
}

async function roundTripOverMqtt(client: MqttClient, topic: string): Promise<void> {
  const got: string[] = []
  client.on('message', (_, payload) => got.push(String(payload)))
  await client.subscribeAsync(topic, { qos: 1 })
  await client.publishAsync(topic, 'hello', { qos: 1 })
  await until('the message', () => got.length > 0)
  expect(got).toEqual(['hello'])
}

describe('MQTT.js', () => {
  const carl = { username: 'carl', password: 'c' }

  it('comes over mqtts', async () => {
    await roundTripOverMqtt(await mqttClient({ ...clientTls(), ...carl }), 'tls/mqtts')
    expect(await usersOf('mqtt')).toEqual(['carl'])
  })

  it('comes over wss', async () => {
    const client = await mqttClient({ protocol: 'wss', port: broker.port('wss'), path: '/mqtt', wsOptions: clientTls(), ...clientTls(), ...carl })
    await roundTripOverMqtt(client, 'tls/wss')
  })

  it.each([4, 5] as const)('is the user of its certificate where it names nobody, in version %i', async (protocolVersion) => {
    await roundTripOverMqtt(await mqttClient({ ...clientTls('bert'), protocolVersion }), 'tls/bert')
    expect(await usersOf('mqtt')).toEqual(['bert'])
  })

  it('is not let in by a certificate of nobody, of another authority, or that is over', async () => {
    for (const name of [undefined, 'nobody', 'stranger', 'expired']) await expect(mqttClient(clientTls(name))).rejects.toBeInstanceOf(Error)
    expect(await usersOf('mqtt')).toEqual([])
  })

  it('does not trust a broker that another authority vouches for', async () => {
    await expect(mqttClient({ servername: 'localhost', ...carl })).rejects.toThrow('certificate')
  })
})

type Emitter = Readonly<{ once(event: string, then: (context: EventContext) => void): unknown }>
const happens = (on: Emitter, event: string): Promise<EventContext> => new Promise((resolve) => void on.once(event, resolve))

/** `enable_sasl_external` is an option of the container, and says that EXTERNAL is known. */
async function rheaClient(options: Readonly<Record<string, unknown>>): Promise<Connection> {
  const container = rhea.create_container()
  const place = { transport: 'tls', host: '127.0.0.1', port: broker.port('amqps'), reconnect: false }
  const connection = container.connect({ ...place, ...options } as unknown as ConnectionOptions)
  closing.push(() => connection.close())
  return new Promise((resolve, reject) => {
    connection.once('connection_open', () => resolve(connection))
    connection.once('connection_error', () => reject(new Error('connection error')))
    connection.once('error', () => reject(new Error('error')))
    connection.once('disconnected', ({ error }: EventContext) => reject(new Error(`disconnected: ${String(error)}`)))
  })
}

async function roundTripOverAmqp(connection: Connection, queue: string): Promise<void> {
  const receiver = connection.open_receiver(queue)
  const message = happens(receiver, 'message')
  await happens(receiver, 'receiver_open')
  connection.on('disconnected', () => {})
  const sender = connection.open_sender(queue)
  await happens(sender, 'sendable')
  sender.send({ body: 'hello', durable: true })
  expect((await message).message?.body).toBe('hello')
}

describe('rhea', () => {
  it('comes over TLS', async () => {
    await roundTripOverAmqp(await rheaClient({ ...clientTls(), username: 'carl', password: 'c' }), 'tls.amqps')
    expect(await usersOf('amqp')).toEqual(['carl'])
  })

  it('logs in by EXTERNAL', async () => {
    await roundTripOverAmqp(await rheaClient({ ...clientTls('anna'), enable_sasl_external: true }), 'tls.external')
    expect(await usersOf('amqp')).toEqual(['anna'])
  })

  it('logs in by its password though a certificate of nobody is shown', async () => {
    await rheaClient({ ...clientTls('nobody'), enable_sasl_external: true, username: 'carl', password: 'c' })
    expect(await usersOf('amqp')).toEqual(['carl'])
  })

  it('is not let in by a certificate of nobody, of another authority, or that is over', async () => {
    for (const name of ['nobody', 'stranger', 'expired'])
      await expect(rheaClient({ ...clientTls(name), enable_sasl_external: true, username: undefined })).rejects.toBeInstanceOf(Error)
  })
})

function stompClient(options: Partial<ConnectOptions> & Readonly<Record<string, unknown>>): Promise<Client> {
  return new Promise((resolve, reject) => {
    stompit.connect({ host: '127.0.0.1', port: broker.port('stomps'), ssl: true, ...options } as ConnectOptions, (error, client) => {
      if (error !== null) return reject(error)
      client.on('error', () => {})
      closing.push(() => client.destroy())
      resolve(client)
    })
  })
}

function roundTripOverStomp(client: Client, destination: string): Promise<string> {
  return new Promise((resolve, reject) => {
    client.subscribe({ destination, ack: 'auto' }, (error, message) => {
      if (error !== null) return reject(error)
      message.readString('utf8', (_, body) => resolve(body ?? ''))
    })
    client.send({ destination }).end('hello')
  })
}

describe('stompit', () => {
  it('comes over TLS', async () => {
    const client = await stompClient({ ...clientTls(), connectHeaders: { login: 'carl', passcode: 'c' } })
    expect(await roundTripOverStomp(client, '/queue/tls.stomps')).toBe('hello')
  })

  it('is the user of its certificate where it names nobody', async () => {
    expect(await roundTripOverStomp(await stompClient(clientTls('anna')), '/queue/tls.anna')).toBe('hello')
    expect(await usersOf('stomp')).toEqual(['anna'])
    await expect(stompClient(clientTls('nobody'))).rejects.toBeInstanceOf(Error)
  })
})

describe('@stomp/stompjs', () => {
  it('comes over wss', async () => {
    const client = new StompJs({ reconnectDelay: 0, connectHeaders: { login: 'carl', passcode: 'c' } })
    client.webSocketFactory = () =>
      new WebSocket(`wss://127.0.0.1:${broker.port('wss')}`, client.stompVersions.protocolVersions(), clientTls()) as unknown as ReturnType<
        NonNullable<StompJs['webSocketFactory']>
      >
    closing.push(() => client.deactivate({ force: true }))
    const body = await new Promise<string>((resolve, reject) => {
      client.onStompError = (frame) => reject(new Error(frame.body))
      client.onWebSocketError = (event: { message?: string }) => reject(new Error(event.message ?? 'the WebSocket failed'))
      client.onConnect = () => {
        client.subscribe('/queue/tls.wss', (message) => resolve(message.body))
        client.publish({ destination: '/queue/tls.wss', body: 'hello' })
      }
      client.activate()
    })
    expect(body).toBe('hello')
  })
})
