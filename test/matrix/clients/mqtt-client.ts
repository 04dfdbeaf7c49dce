// MQTT.js, versions 3.1.1 and 5, over TCP or WebSocket.
import mqtt, { type IClientOptions, type IPublishPacket, type MqttClient } from 'mqtt'
import { until } from '../../wire/bytes.ts'
import { comparableFive } from '../cells.ts'
import { bytesOf, type Endpoint, type FiveMessage, type FiveProperties } from '../notation.ts'
import { Box, type Client } from './client.ts'

export async function mqttClient(endpoint: Endpoint, port: number, options: IClientOptions = {}): Promise<Client> {
  const url = endpoint.transport === 'ws' ? `ws://127.0.0.1:${port}` : `mqtt://127.0.0.1:${port}`
  const client = await mqtt.connectAsync(url, { reconnectPeriod: 0, protocolVersion: endpoint.frontEnd === 'mqtt5' ? 5 : 4, ...options })
  const boxes = new Map<string, Box>()
  // The library acknowledges after it has told of a message.
  let unacknowledged = 0
  client.on('packetsend', ({ cmd }) => {
    if (cmd === 'puback' || cmd === 'pubcomp') unacknowledged--
  })
  client.on('message', (topic, payload, packet) => {
    if (packet.qos > 0) unacknowledged++
    const box = [...boxes].find(([filter]) => matches(filter, topic))?.[1]
    box?.push(endpoint.frontEnd === 'mqtt5' ? arrivedOfFive(topic, payload, packet) : arrivedOf(topic, payload, packet))
  })
  return {
    endpoint,
    send: (destination, { mqtt: message = {}, mqtt5 }) => publish(client, destination, endpoint.frontEnd === 'mqtt5' ? (mqtt5 ?? message) : message),
    async subscribe(destination) {
      const box = new Box()
      boxes.set(destination, box)
      const [granted] = await client.subscribeAsync(destination, { qos: 2 })
      if (granted === undefined || granted.qos > 2) throw new Error(`not granted: ${destination}`)
      return {
        address: destination,
        next: (waitMs) => box.next(waitMs),
        async close() {
          boxes.delete(destination)
          await until('acknowledgements sent', () => unacknowledged === 0)
          await client.unsubscribeAsync(destination)
        },
      }
    },
    close: () => client.endAsync(true),
  }
}

async function publish(client: MqttClient, destination: string, { payload = '', qos = 0, retain = false, five }: FiveMessage): Promise<string> {
  await client.publishAsync(destination, bytesOf(payload), { qos, retain, ...(five === undefined ? {} : { properties: propertiesOf(five) }) })
  return 'accepted'
}

function propertiesOf({ format, contentType, responseTopic, correlation, user }: FiveProperties): NonNullable<IPublishPacket['properties']> {
  const userProperties: Record<string, string | string[]> = {}
  for (const [name, value] of user ?? []) userProperties[name] = userProperties[name] === undefined ? value : [userProperties[name], value].flat()
  return {
    ...(format === undefined ? {} : { payloadFormatIndicator: format }),
    ...(contentType === undefined ? {} : { contentType }),
    ...(responseTopic === undefined ? {} : { responseTopic }),
    ...(correlation === undefined ? {} : { correlationData: bytesOf(correlation) }),
    ...(user === undefined ? {} : { userProperties }),
  }
}

function fiveOf({ properties = {} }: IPublishPacket): FiveProperties {
  const { payloadFormatIndicator, contentType, responseTopic, correlationData, messageExpiryInterval, userProperties = {} } = properties
  return {
    ...(payloadFormatIndicator === true ? { format: true } : {}),
    ...(contentType === undefined ? {} : { contentType }),
    ...(responseTopic === undefined ? {} : { responseTopic }),
    ...(correlationData === undefined ? {} : { correlation: `0x${correlationData.toString('hex')}` }),
    ...(messageExpiryInterval === undefined ? {} : { expiry: messageExpiryInterval }),
    user: Object.entries(userProperties).flatMap(([name, values]) => [values].flat().map((value) => [name, value] as const)),
  }
}

function arrivedOfFive(topic: string, payload: Buffer, packet: IPublishPacket) {
  const arrived = arrivedOf(topic, payload, packet)
  const seen = { ...arrived.seen, five: fiveOf(packet) }
  return { ...arrived, seen, exact: JSON.stringify(comparableFive(seen)) }
}

function matches(filter: string, topic: string): boolean {
  const levels = topic.split('/')
  const wanted = filter.split('/')
  const rest = wanted.indexOf('#')
  if (rest < 0 ? wanted.length !== levels.length : levels.length < rest) return false
  return wanted.every((level, i) => level === '+' || level === '#' || level === levels[i])
}

function arrivedOf(topic: string, payload: Buffer, packet: IPublishPacket) {
  return {
    destination: topic,
    seen: { payload: `0x${payload.toString('hex')}`, qos: packet.qos, retain: packet.retain },
    exact: `${packet.qos} ${payload.toString('hex')}`,
    redelivered: packet.dup,
    settle: () => {},
  }
}
