// For tests: a client of MQTT 5 in bytes, at a core that does what it is told, and what it was answered as another library reads it.
import mqttPacket, { type Packet } from 'mqtt-packet'
import { Client } from './fake-core.ts'
import type { MqttSettings } from './settings.ts'

/** Client `a`, clean start, keep-alive 60. `properties`: without their length. */
export function connect(properties = '', flags = '02', rest = ''): string {
  const bytes = Buffer.from(properties.replace(/ /g, ''), 'hex')
  const body = Buffer.concat([
    Buffer.from('00044d51545405', 'hex'),
    Buffer.from(flags, 'hex'),
    Buffer.from([0, 60, bytes.length]),
    bytes,
    Buffer.from('000161', 'hex'),
    Buffer.from(rest.replace(/ /g, ''), 'hex'),
  ])
  return Buffer.concat([Buffer.from([0x10, body.length]), body]).toString('hex')
}

export async function connected(properties = '', settings: Partial<MqttSettings> = {}): Promise<Client> {
  const client = new Client(settings)
  await client.connect(connect(properties))
  return client
}

/** As another library reads it. */
export function read(hex: string): Packet[] {
  const parser = mqttPacket.parser({ protocolVersion: 5 })
  const packets: Packet[] = []
  parser.on('packet', (packet: Packet) => void packets.push(packet))
  parser.on('error', (error: Error) => {
    throw error
  })
  parser.parse(Buffer.from(hex, 'hex'))
  return packets
}

/** The reason in the DISCONNECT that ended the connection. */
export function farewell(client: Client): number | undefined {
  if (client.wire.state !== 'ended') return undefined
  const [last] = read(client.wire.taken()).slice(-1)
  return last?.cmd === 'disconnect' ? last.reasonCode : undefined
}
