// What all connections of this front end share.
import type { Broker, Log } from '../../src/api.ts'
import type { Topics } from './address.ts'
import type { PublishWriter } from './publish-writer.ts'
import type { MqttSettings } from './settings.ts'

export interface Front {
  readonly broker: Broker
  readonly settings: MqttSettings
  readonly log: Log
  readonly topics: Topics
  readonly writer: PublishWriter
  /** Names the queue of a session without a client identifier. */
  nameless: number
  /** Clients with a CONNACK, now and at most. */
  connected: number
  connectedMax: number
  /** Publishes of clients to topics that are the broker's own, acknowledged and dropped. */
  reservedDropped: number
  /** Messages that were larger than their client of MQTT 5 takes, and dropped for it. */
  tooLargeDropped: number
  /** Messages that a client of MQTT 5 acknowledged with a reason for not having taken them. */
  refusedByClients: number
}
