// MQTT.js as a party of the bridge: QoS 1 both ways.
import mqtt, { type IPublishPacket, type MqttClient } from 'mqtt'
import { fail, notSupported, refused } from '../outcome.ts'
import type { Trial } from '../trial.ts'
import { type Body, bytesOf, type Fields, type Message } from './message.ts'
import type { Client } from './party.ts'

export function mqttParty(level: 4 | 5): Client {
  return {
    protocol: 'mqtt',
    async send(trial, topic, message) {
      const client = await connect(trial, level)
      trial.line(`PUBLISH to ${trial.profile.mqtt.topic(topic)}`)
      const sent = client.publishAsync(trial.profile.mqtt.topic(topic), bytesOf(message.body) ?? Buffer.alloc(0), {
        qos: 1,
        ...(level === 5 ? { properties: propertiesOf(trial, message) } : {}),
      })
      await trial.within(
        sent.catch((error: unknown) => refused(`PUBLISH was refused: ${String(error)}`)),
        'PUBACK did not come',
      )
    },
    async receive(trial, topic) {
      const client = await connect(trial, level)
      const first = new Promise<Message>((resolve) => {
        client.once('message', (_topic, payload, packet) => {
          trial.line(`PUBLISH came: ${JSON.stringify({ ...packet, payload: payload.toString('hex').slice(0, 120) })}`)
          resolve(level === 5 ? ofFive(payload, packet) : { body: { kind: 'unmarked', bytes: payload }, fields: {} })
        })
      })
      await trial.within(client.subscribeAsync(trial.profile.mqtt.topic(topic), { qos: 1 }), 'SUBACK did not come')
      return () => trial.within(first, 'the message did not come')
    },
  }
}

async function connect(trial: Trial, level: 4 | 5): Promise<MqttClient> {
  const lacks = level === 5 ? trial.profile.lacks['mqtt-5'] : undefined
  if (lacks !== undefined) notSupported(lacks)
  const { host, port } = trial.addressOf('mqtt')
  const client = mqtt.connect({
    host,
    port,
    protocol: 'mqtt',
    protocolVersion: level,
    reconnectPeriod: 0,
    ...(trial.user === undefined ? {} : { username: trial.user }),
    ...(trial.password === undefined ? {} : { password: trial.password }),
  })
  trial.after(() => void client.end(true))
  let why = 'the connection was closed instead of CONNACK'
  client.on('error', (error) => {
    why = error.message
  })
  const opened = new Promise<boolean>((resolve) => {
    client.once('connect', () => resolve(true))
    client.once('close', () => resolve(false))
  })
  if (await trial.within(opened, 'CONNACK did not come')) return client
  // A server of MQTT 3.1.1 answers a level it does not know by a return code, and one of older making by closing.
  return level === 5 ? notSupported(`MQTT 5 was refused: ${why}`) : fail(`MQTT 3.1.1 was refused: ${why}`)
}

function propertiesOf(trial: Trial, { body, fields }: Message): NonNullable<IPublishPacket['properties']> {
  const { correlationId, replyTo, contentType, expiresMs, properties = [] } = fields
  const userProperties: Record<string, string | string[]> = {}
  for (const [name, value] of properties) {
    const before = userProperties[name]
    userProperties[name] = before === undefined ? String(value) : [before, String(value)].flat()
  }
  return {
    ...(body.kind === 'text' ? { payloadFormatIndicator: true } : {}),
    ...(correlationId === undefined ? {} : { correlationData: Buffer.from(correlationId) }),
    ...(replyTo === undefined ? {} : { responseTopic: trial.profile.mqtt.topic(replyTo) }),
    ...(contentType === undefined ? {} : { contentType }),
    ...(expiresMs === undefined ? {} : { messageExpiryInterval: Math.ceil((expiresMs - Date.now()) / 1000) }),
    ...(properties.length === 0 ? {} : { userProperties }),
  }
}

function ofFive(payload: Buffer, { properties = {} }: IPublishPacket): Message {
  const { payloadFormatIndicator, correlationData, responseTopic, contentType, messageExpiryInterval, userProperties = {} } = properties
  const body: Body = payloadFormatIndicator === true ? { kind: 'text', text: payload.toString() } : { kind: 'unmarked', bytes: payload }
  const fields: Fields = {
    ...(correlationData === undefined ? {} : { correlationId: correlationData.toString() }),
    ...(responseTopic === undefined ? {} : { replyTo: responseTopic }),
    ...(contentType === undefined ? {} : { contentType }),
    ...(messageExpiryInterval === undefined ? {} : { expiresMs: Date.now() + messageExpiryInterval * 1000 }),
    properties: Object.entries(userProperties).flatMap(([name, values]) => [values].flat().map((value) => [name, value] as const)),
  }
  return { body, fields }
}
