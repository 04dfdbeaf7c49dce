// One broker in this process, and one real client of each front end over each transport.
import { type RunningBroker, startBroker } from '../support/broker.ts'
import { amqpClient } from './clients/amqp-client.ts'
import type { Client } from './clients/client.ts'
import { mqttClient } from './clients/mqtt-client.ts'
import { stompClient } from './clients/stomp-client.ts'
import { type Endpoint, endpoints, type FrontEnd } from './notation.ts'

const make = { mqtt: mqttClient, amqp: amqpClient, stomp: stompClient, mqtt5: mqttClient }

export interface Stage {
  readonly broker: RunningBroker
  readonly clients: readonly Client[]
  /** What was lost since the last time this was asked: `from to to: field`, each as often as it was counted. */
  losses(): readonly string[]
  stop(): Promise<void>
}

/** Queues are nameable by MQTT here: `$queue/…` is opt-in (rule mqtt-queues of addresses.test.ts). */
export async function openStage(settings: object = {}): Promise<Stage> {
  const broker = await startBroker({ settings: { mqtt: { queuePrefix: '$queue' }, ...settings } })
  const clients: Client[] = []
  for (const endpoint of endpoints) clients.push(await connect(broker, endpoint))
  const counted = new Map<string, number>()
  return {
    broker,
    clients,
    losses() {
      const { conversionLosses = {} } = (broker.status().broker ?? {}) as { conversionLosses?: Readonly<Record<string, number>> }
      const found: string[] = []
      for (const [key, count] of Object.entries(conversionLosses)) {
        for (let i = counted.get(key) ?? 0; i < count; i++) found.push(key)
        counted.set(key, count)
      }
      return found.sort()
    },
    async stop() {
      await Promise.all(clients.map((client) => client.close()))
      await broker.stop()
    },
  }
}

export function connect(broker: RunningBroker, endpoint: Endpoint): Promise<Client> {
  return make[endpoint.frontEnd](endpoint, broker.port(endpoint.transport === 'ws' ? 'websocket' : wordsOf(endpoint.frontEnd)))
}

/** Whose names, and whose listener, it uses. */
export const wordsOf = (frontEnd: FrontEnd): Exclude<FrontEnd, 'mqtt5'> => (frontEnd === 'mqtt5' ? 'mqtt' : frontEnd)

/** One destination as each front end spells it (3.2). Segments here hold no separator. */
export function spelled(frontEnd: FrontEnd, kind: 'queue' | 'topic', path: readonly string[]): string {
  switch (frontEnd) {
    case 'mqtt':
    case 'mqtt5':
      return `${kind === 'queue' ? '$queue/' : ''}${path.join('/')}`
    case 'amqp':
      return `${kind}://${path.join('.')}`
    case 'stomp':
      return `/${kind}/${path.join('.')}`
  }
}
