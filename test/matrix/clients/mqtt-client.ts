// MQTT.js, version 3.1.1, over TCP or WebSocket.
import mqtt, { type IClientOptions, type IPublishPacket, type MqttClient } from 'mqtt'
import { until } from '../../wire/bytes.ts'
import { bytesOf, type Endpoint, type MqttMessage } from '../notation.ts'
import { Box, type Client } from './client.ts'

export async function mqttClient(endpoint: Endpoint, port: number, options: IClientOptions = {}): Promise<Client> {
  const url = endpoint.transport === 'ws' ? `ws://127.0.0.1:${port}` : `mqtt://127.0.0.1:${port}`
  const client = await mqtt.connectAsync(url, { reconnectPeriod: 0, protocolVersion: 4, ...options })
  const boxes = new Map<string, Box>()
  // The library acknowledges after it has told of a message.
  let unacknowledged = 0
  client.on('packetsend', ({ cmd }) => {
    if (cmd === 'puback' || cmd === 'pubcomp') unacknowledged--
  })
  client.on('message', (topic, payload, packet) => {
    if (packet.qos > 0) unacknowledged++
    const box = [...boxes].find(([filter]) => matches(filter, topic))?.[1]
    box?.push(arrivedOf(topic, payload, packet))
  })
  return {
    endpoint,
    send: (destination, { mqtt: message = {} }) => publish(client, destination, message),
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

async function publish(client: MqttClient, destination: string, { payload = '', qos = 0, retain = false }: MqttMessage): Promise<string> {
  await client.publishAsync(destination, bytesOf(payload), { qos, retain })
  return 'accepted'
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
