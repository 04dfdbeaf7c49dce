// MQTT 3.1.1 for `send` and `receive`, by MQTT.js.
import { MqttClient } from 'mqtt'
import { dial } from '../../drill/dial.ts'
import { UsageError } from '../usage.ts'
import type { Access, Client, Incoming, Outgoing, Take } from './client.ts'

export async function openMqtt(access: Access): Promise<Client> {
  const { stream } = dial(access, access.webSocket ? 'mqtt' : undefined)
  const login = access.user === '' ? {} : { username: access.user, password: access.password }
  const client = new MqttClient(() => stream, {
    protocolVersion: 4,
    clientId: `bascule-${process.pid}-${Math.random().toString(36).slice(2, 10)}`,
    reconnectPeriod: 0,
    connectTimeout: 60_000,
    ...login,
  })
  const held: Held = { more: false }
  let ended: (error: Error) => void = () => {}
  const broken = new Promise<never>((_, reject) => {
    ended = reject
  })
  // Whoever waits for nothing is not disturbed.
  broken.catch(() => {})
  client.on('error', (error) => ended(error))
  client.on('close', () => ended(new Error('the broker ended the connection')))
  await Promise.race([new Promise((resolve) => client.once('connect', resolve)), broken])
  return {
    broken,
    send: (destination, message) => send(client, destination, message),
    receive: (destination, countMax, take) => receive(client, destination, countMax, take, held),
    close: () => (client.disconnecting || !held.more ? client.endAsync() : leave(client)),
  }
}

/** A message came that is not wanted: it stays unanswered, and so the library reads no further. */
interface Held {
  more: boolean
}

/** DISCONNECT behind the acknowledgements; what is unread stays so. */
async function leave(client: MqttClient): Promise<void> {
  await new Promise<void>((resolve) => client.stream.end(DISCONNECT, () => resolve()))
  await client.endAsync(true)
}

const DISCONNECT = Buffer.from([0xe0, 0])

async function send(client: MqttClient, destination: string, { body, durable, headers }: Outgoing): Promise<void> {
  if (headers.length > 0) throw new UsageError('a message of MQTT 3.1.1 has no headers')
  await client.publishAsync(destination, body, { qos: durable ? 1 : 0 })
}

async function receive(client: MqttClient, destination: string, countMax: number, take: Take, held: Held): Promise<void> {
  let taken = 0
  // The library acknowledges when this is called, and reads on only then.
  client.handleMessage = ({ topic, payload, qos, retain, dup }, acknowledge) => {
    if (++taken > countMax) {
      held.more = true
      return
    }
    const fields = [
      ['QoS', String(qos)],
      ['RETAIN', String(retain)],
      ['DUP', String(dup)],
    ] as const
    void answered({ destination: topic, fields, body: Buffer.from(payload) }).then((taken) => taken && acknowledge())
  }
  const answered = async (message: Incoming): Promise<boolean> => {
    try {
      await take(message)
      return true
    } catch {
      held.more = true
      return false
    }
  }
  const granted = await client.subscribeAsync(destination, { qos: 1 })
  if (granted.some(({ qos }) => qos === 128)) throw new Error(`the broker refuses a subscription to ${destination}`)
}
