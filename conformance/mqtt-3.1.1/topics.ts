// MQTT 3.1.1, 4.7: topic names and filters.
import { topics as topicsOf } from '../mqtt/topics.ts'
import { connected } from './session.ts'

export const topics = topicsOf({ name: 'MQTT311', ids: ['MQTT-4.7.1-1', 'MQTT-4.7.1-2', 'MQTT-4.7.1-3'], none: Buffer.alloc(0), connect: connected })
