// The built program, a directory, SIGKILL, and a client of MQTT 5 whose session expires later: what was acknowledged to its sender comes, of QoS 2 once,
// with its properties and the identifier of its subscription.
import mqtt, { type IClientOptions, type IPublishPacket, type MqttClient } from 'mqtt'
import { afterEach, expect, it } from 'vitest'
import { type BrokerProcess, spawnBroker } from '../support/process.ts'
import { until } from '../wire/bytes.ts'

let broker: BrokerProcess | undefined
const open: MqttClient[] = []
afterEach(async () => {
  for (const client of open.splice(0)) client.end(true)
  await broker?.stop()
  broker = undefined
})

async function connect(options: IClientOptions): Promise<Readonly<{ client: MqttClient; present: boolean }>> {
  const client = mqtt.connect({ host: '127.0.0.1', port: broker?.port('mqtt') ?? 0, reconnectPeriod: 0, protocolVersion: 5, ...options })
  client.on('error', () => {})
  open.push(client)
  const present = await new Promise<boolean>((resolve, reject) => {
    client.once('connect', ({ sessionPresent }) => resolve(sessionPresent))
    client.once('error', reject)
  })
  return { client, present }
}

const KEPT: IClientOptions = { clientId: 'kept', clean: false, properties: { sessionExpiryInterval: 3600, receiveMaximum: 4 } }

it('a session that expires later survives kills in the middle of its deliveries', async () => {
  broker = await spawnBroker()
  const { client: first } = await connect(KEPT)
  await first.subscribeAsync('kill/#', { qos: 2, properties: { subscriptionIdentifier: 77 } })
  first.end(true)
  const { client: sender } = await connect({ clientId: 'sender' })
  const numbers = Array.from({ length: 60 }, (_, i) => i)
  const sent = numbers.map((n) =>
    sender.publishAsync('kill/x', String(n), { qos: n % 2 === 0 ? 2 : 1, properties: { userProperties: { n: String(n) }, contentType: 'x/y' } }),
  )
  await Promise.all(sent)
  const got: IPublishPacket[] = []
  // The library's store outlives its connections here, as a device's memory does: a QoS 2 message that was received is not told twice.
  const stores = { incomingStore: new mqtt.Store({ clean: false }), outgoingStore: new mqtt.Store({ clean: false }) }
  for (let kills = 0; kills < 3; kills++) {
    await broker.restart()
    const { client, present } = await connect({ ...KEPT, ...stores })
    expect(present).toBe(true)
    client.on('message', (_topic, _payload, packet) => got.push(packet))
    const enough = got.length + 8
    await until('some messages', () => got.length >= enough)
    await broker.kill('SIGKILL')
    client.end(true)
  }
  await broker.restart()
  const { client } = await connect({ ...KEPT, ...stores })
  client.on('message', (_topic, _payload, packet) => got.push(packet))
  const told = (): Set<string> => new Set(got.map(({ payload }) => payload.toString()))
  await until('all messages', () => told().size === numbers.length)
  expect(got.every(({ properties }) => properties?.contentType === 'x/y' && properties.subscriptionIdentifier === 77)).toBe(true)
  expect(got.every(({ payload, properties }) => properties?.userProperties?.['n'] === payload.toString())).toBe(true)
  const twice = got.filter(({ qos }) => qos === 2).map(({ payload }) => payload.toString())
  expect(twice.length).toBe(new Set(twice).size)
})
