// The suites, and the framing by which a proxy cuts each protocol.
import type { Suite } from './check.ts'
import { mqttFraming } from './clients/mqtt-framing.ts'
import { stompFraming } from './clients/stomp-framing.ts'
import { type Framings, unframed } from './mutant.ts'
import { mqtt311 } from './mqtt-3.1.1/index.ts'
import { stomp10, stomp11, stomp12 } from './stomp/index.ts'

export const suites: readonly Suite[] = [mqtt311, stomp12, stomp11, stomp10]

export const framings: Framings = { mqtt: mqttFraming, amqp: unframed, stomp: stompFraming, ws: unframed }
