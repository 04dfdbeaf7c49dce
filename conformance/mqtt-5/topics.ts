// MQTT 5.0, 4.7: topic names and filters.
import { topics as topicsOf } from '../mqtt/topics.ts'
import { client } from './clients.ts'

export const topics = topicsOf({ name: 'MQTT5', ids: ['MQTT-4.7.0-1', 'MQTT-4.7.1-1', 'MQTT-4.7.1-2'], none: Buffer.of(0), connect: client })
