// The built program with `mqtt.engine: aedes`, a directory, SIGKILL under load: what was acknowledged to a sender of MQTT 3.1.1 comes, to a kept session that is
// killed in the middle of its deliveries, and to STOMP.
import mqtt, { type IClientOptions, type MqttClient } from 'mqtt'
import { afterEach, expect, it } from 'vitest'
import { type BrokerProcess, spawnBroker } from '../support/process.ts'
import { StompClient } from '../support/stomp-client.ts'
import { until } from '../wire/bytes.ts'

let broker: BrokerProcess | undefined
const open: MqttClient[] = []
afterEach(async () => {
  for (const client of open.splice(0)) client.end(true)
  await broker?.stop()
  broker = undefined
})

async function connect(options: IClientOptions): Promise<MqttClient> {
  const client = mqtt.connect({ host: '127.0.0.1', port: broker?.port('mqtt') ?? 0, reconnectPeriod: 0, protocolVersion: 4, ...options })
  client.on('error', () => {})
  open.push(client)
  await new Promise<void>((resolve, reject) => {
    client.once('connect', () => resolve())
    client.once('error', reject)
  })
  return client
}

const ARGS = ['--set', 'mqtt.engine=aedes']

it('what aedes acknowledged survives kills, and reaches a kept session and STOMP', async () => {
  broker = await spawnBroker({ args: ARGS })
  const kept: IClientOptions = { clientId: 'kept', clean: false }
  const first = await connect(kept)
  await first.subscribeAsync('kill/#', { qos: 1 })
  first.end(true)
  const acknowledged: string[] = []
  const got: string[] = []
  for (let kills = 0; kills < 3; kills++) {
    const subscriber = await connect(kept)
    subscriber.on('message', (_topic, payload) => got.push(payload.toString()))
    const sender = await connect({ clientId: 'sender' })
    const before = acknowledged.length
    for (let n = 0; n < 2000; n++) {
      const text = `${kills}-${n}`
      sender.publish('kill/x', text, { qos: n % 2 === 0 ? 1 : 2 }, (error) => {
        if (!error) acknowledged.push(text)
      })
    }
    await until('some acknowledgements', () => acknowledged.length > before + 200)
    await broker.kill('SIGKILL')
    subscriber.end(true)
    sender.end(true)
    await broker.restart()
  }
  const again = await connect(kept)
  again.on('message', (_topic, payload) => got.push(payload.toString()))
  await until('all that was acknowledged', () => {
    const told = new Set(got)
    return acknowledged.every((text) => told.has(text))
  })

  const stomp = await StompClient.connect(broker.port('stomp'))
  await stomp.ask('SUBSCRIBE', { id: '1', destination: '/topic/kill.y', ack: 'auto' })
  await again.publishAsync('kill/y', 'to STOMP', { qos: 1 })
  expect((await stomp.message()).text).toBe('to STOMP')
  await stomp.ask('SEND', { destination: '/topic/kill.z' }, 'to MQTT')
  await until('the message of STOMP', () => got.includes('to MQTT'))
})
