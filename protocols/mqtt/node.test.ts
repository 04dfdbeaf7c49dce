// A whole node: file journal, all front ends, sockets. What MQTT and STOMP say to each other, and what a restart keeps.
import { once } from 'node:events'
import { connect as connectTcp, type Socket } from 'node:net'
import mqttClient, { type IPublishPacket, type MqttClient } from 'mqtt'
import { afterEach, describe, expect, it } from 'vitest'
import { type RunningBroker, startBroker } from '../../test/support/broker.ts'

let broker: RunningBroker
const clients: MqttClient[] = []
const sockets: Socket[] = []

afterEach(async () => {
  for (const client of clients.splice(0)) client.end(true)
  for (const socket of sockets.splice(0)) socket.destroy()
  await broker.stop()
})

async function mqtt(options = {}): Promise<MqttClient> {
  const client = mqttClient.connect({ host: '127.0.0.1', port: broker.port('mqtt'), reconnectPeriod: 0, ...options })
  clients.push(client)
  await new Promise((resolve) => client.once('connect', resolve))
  return client
}

function next(client: MqttClient): Promise<IPublishPacket> {
  return new Promise((resolve) => {
    client.once('message', (_topic, _payload, packet) => resolve(packet))
  })
}

/** A STOMP client of frames. */
class Stomp {
  readonly #socket: Socket
  #text = ''
  #woken = () => {}

  constructor(socket: Socket) {
    this.#socket = socket
    socket.on('data', (bytes: Buffer) => {
      this.#text += bytes.toString('utf8')
      this.#woken()
    })
  }

  static async connect(): Promise<Stomp> {
    const socket = connectTcp(broker.port('stomp'), '127.0.0.1')
    sockets.push(socket)
    await once(socket, 'connect')
    const stomp = new Stomp(socket)
    stomp.send('CONNECT\naccept-version:1.2\nhost:h\n\n')
    await stomp.frame('CONNECTED')
    return stomp
  }

  send(frame: string): void {
    this.#socket.write(`${frame}\0`)
  }

  async ask(frame: string): Promise<void> {
    this.send(frame.replace('\n', '\nreceipt:r\n'))
    await this.frame('RECEIPT')
  }

  /** The next frame, which must be of this command: its headers and its body. */
  async frame(command: string): Promise<{ headers: Record<string, string>; body: string }> {
    while (!this.#text.includes('\0')) {
      await new Promise<void>((resolve) => {
        this.#woken = resolve
      })
    }
    const end = this.#text.indexOf('\0')
    const frame = this.#text.slice(0, end).trimStart()
    this.#text = this.#text.slice(end + 1)
    const [head, body] = [frame.slice(0, frame.indexOf('\n\n')), frame.slice(frame.indexOf('\n\n') + 2)]
    const lines = head.split('\n')
    if (lines[0] !== command) throw new Error(`not ${command}: ${frame}`)
    return { headers: Object.fromEntries(lines.slice(1).map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1)])), body }
  }
}

describe('a node', () => {
  it('gives to STOMP what MQTT publishes, with its QoS and its name in dots', async () => {
    broker = await startBroker()
    const stomp = await Stomp.connect()
    await stomp.ask('SUBSCRIBE\nid:1\ndestination:/topic/a.>\n\n')
    const publisher = await mqtt()
    await publisher.publishAsync('a/v1.2/x', 'größe', { qos: 2 })
    const { headers, body } = await stomp.frame('MESSAGE')
    expect(headers).toMatchObject({ destination: '/topic/a.v1/2.x', 'ActiveMQ.MQTT.QoS': '2', persistent: 'true', 'content-length': '7' })
    expect(body).toBe('größe')
  })

  it.each([
    ['persistent is QoS 1', 'persistent:true\n', 1],
    ['not persistent is QoS 0', '', 0],
  ])('gives to MQTT what STOMP sends: %s', async (_, header, qos) => {
    broker = await startBroker()
    const subscriber = await mqtt()
    await subscriber.subscribeAsync('a/#', { qos: 2 })
    const message = next(subscriber)
    const stomp = await Stomp.connect()
    await stomp.ask(`SEND\ndestination:/topic/a.v1/2.+\n${header}custom:x\n\ntext 🙂`)
    expect(await message).toMatchObject({ topic: 'a/v1.2/*', qos, retain: false })
    expect((await message).payload.toString()).toBe('text 🙂')
  })

  it('lets both work on one queue', async () => {
    broker = await startBroker({ settings: { mqtt: { queuePrefix: '$queue' } } })
    const publisher = await mqtt()
    await publisher.publishAsync('$queue/orders/eu', 'from MQTT', { qos: 1 })
    const stomp = await Stomp.connect()
    stomp.send('SUBSCRIBE\nid:1\ndestination:/queue/orders.eu\n\n')
    expect((await stomp.frame('MESSAGE')).body).toBe('from MQTT')
    await stomp.ask('UNSUBSCRIBE\nid:1\n\n')
    await stomp.ask('SEND\ndestination:/queue/orders.eu\npersistent:true\n\nfrom STOMP')
    const consumer = await mqtt()
    const message = next(consumer)
    await consumer.subscribeAsync('$queue/orders/eu', { qos: 1 })
    expect((await message).payload.toString()).toBe('from STOMP')
  })

  it('a name that MQTT cannot say is rejected, and what comes after it arrives', async () => {
    broker = await startBroker()
    const subscriber = await mqtt()
    await subscriber.subscribeAsync('a/#', { qos: 1 })
    const message = next(subscriber)
    const stomp = await Stomp.connect()
    await stomp.ask('SEND\ndestination:/topic/a.x*y\npersistent:true\n\nunsayable')
    await stomp.ask('SEND\ndestination:/topic/a.b\npersistent:true\n\nsayable')
    expect((await message).payload.toString()).toBe('sayable')
  })

  it('keeps sessions, offline messages, retained messages and half-way QoS 2 on disk', async () => {
    broker = await startBroker()
    const kept = await mqtt({ clean: false, clientId: 'kept' })
    await kept.subscribeAsync('t', { qos: 2 })
    await kept.endAsync()
    const publisher = await mqtt()
    for (let i = 0; i < 50; i++) await publisher.publishAsync('t', `m${i}`, { qos: i % 2 === 0 ? 1 : 2, retain: i === 49 })
    await publisher.endAsync()
    await broker.restart()
    const received: string[] = []
    const again = mqttClient.connect({ host: '127.0.0.1', port: broker.port('mqtt'), reconnectPeriod: 0, clean: false, clientId: 'kept' })
    clients.push(again)
    const connack = new Promise<{ sessionPresent: boolean }>((resolve) => again.once('connect', resolve))
    await new Promise<void>((resolve) => {
      again.on('message', (_topic, payload) => {
        received.push(payload.toString())
        if (received.length === 50) resolve()
      })
    })
    expect((await connack).sessionPresent).toBe(true)
    // This client shows a message of QoS 2 at its PUBREL: order is per QoS.
    const sent = Array.from({ length: 50 }, (_, i) => `m${i}`)
    const ofQos = (texts: string[], odd: number) => texts.filter((text) => Number(text.slice(1)) % 2 === odd)
    expect([ofQos(received, 0), ofQos(received, 1)]).toEqual([ofQos(sent, 0), ofQos(sent, 1)])
    const fresh = await mqtt()
    const message = next(fresh)
    await fresh.subscribeAsync('t')
    expect(await message).toMatchObject({ retain: true })
    expect((await message).payload.toString()).toBe('m49')
  })
})
