// MQTT 3.1.1 and 5 for `send` and `receive`, by MQTT.js.
import { type IClientPublishOptions, type IPublishPacket, MqttClient } from 'mqtt'
import { dial } from '../../drill/dial.ts'
import { UsageError } from '../usage.ts'
import type { Access, Client, Incoming, Outgoing, Take } from './client.ts'

export async function openMqtt(access: Access, version: 4 | 5): Promise<Client> {
  const { stream } = dial(access, access.webSocket ? 'mqtt' : undefined)
  const login = access.user === '' ? {} : { username: access.user, password: access.password }
  const client = new MqttClient(() => stream, {
    protocolVersion: version,
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
    send: (destination, message) => send(client, destination, message, version),
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

async function send(client: MqttClient, destination: string, { body, durable, headers }: Outgoing, version: 4 | 5): Promise<void> {
  if (headers.length > 0 && version === 4) throw new UsageError('a message of MQTT 3.1.1 has no headers: mqtt5:// has')
  await client.publishAsync(destination, body, { qos: durable ? 1 : 0, ...(headers.length === 0 ? {} : { properties: propertiesOf(headers) }) })
}

type Properties = NonNullable<IClientPublishOptions['properties']>

/** Properties of PUBLISH by the names that MQTT 5 gives them; others are user properties. */
function propertiesOf(headers: Outgoing['headers']): Properties {
  // With nothing from Object: `constructor` is a name like any other.
  const user: Record<string, string[]> = Object.create(null)
  const properties: Properties = {}
  for (const [name, value] of headers) {
    if (name === 'content-type') properties.contentType = value
    else if (name === 'response-topic') properties.responseTopic = value
    else if (name === 'correlation-data') properties.correlationData = Buffer.from(value)
    else if (name === 'message-expiry-interval') properties.messageExpiryInterval = Number(value)
    else (user[name] ??= []).push(value)
  }
  return Object.keys(user).length === 0 ? properties : { ...properties, userProperties: user }
}

function fieldsOf({ qos, retain, dup, properties = {} }: IPublishPacket): (readonly [string, string])[] {
  const { contentType, responseTopic, correlationData, messageExpiryInterval, userProperties = {} } = properties
  const told: readonly (readonly [string, string | undefined])[] = [
    ['QoS', String(qos)],
    ['RETAIN', String(retain)],
    ['DUP', String(dup)],
    ['content-type', contentType],
    ['response-topic', responseTopic],
    ['correlation-data', correlationData?.toString()],
    ['message-expiry-interval', messageExpiryInterval?.toString()],
    ...Object.entries(userProperties).flatMap(([name, values]) => [values].flat().map((value) => [name, value] as const)),
  ]
  return told.flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const]))
}

async function receive(client: MqttClient, destination: string, countMax: number, take: Take, held: Held): Promise<void> {
  let taken = 0
  // The library acknowledges when this is called, and reads on only then.
  client.handleMessage = (packet, acknowledge) => {
    if (++taken > countMax) {
      held.more = true
      return
    }
    const { topic, payload } = packet
    void answered({ destination: topic, fields: fieldsOf(packet), body: Buffer.from(payload) }).then((taken) => taken && acknowledge())
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
  if (granted.some(({ qos }) => qos >= 128)) throw new Error(`the broker refuses a subscription to ${destination}`)
}
