// The suites, and the framing by which a proxy cuts each protocol.
import type { Suite } from './check.ts'
import { mqttFraming } from './clients/mqtt-framing.ts'
import { type Framings, unframed } from './mutant.ts'
import { mqtt311 } from './mqtt-3.1.1/index.ts'
import { mqtt5 } from './mqtt-5/index.ts'

export const suites: readonly Suite[] = [mqtt311, mqtt5]

export const framings: Framings = { mqtt: mqttFraming, amqp: unframed, stomp: unframed, ws: unframed }
