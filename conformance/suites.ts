// The suites, and the framing by which a proxy cuts each protocol.
import { amqp10 } from './amqp-1.0/index.ts'
import type { Suite } from './check.ts'
import { amqpFraming } from './clients/amqp-framing.ts'
import { mqttFraming } from './clients/mqtt-framing.ts'
import { stompFraming } from './clients/stomp-framing.ts'
import { wsFraming } from './clients/ws-framing.ts'
import { bridge } from './bridge/index.ts'
import type { Framings } from './mutant.ts'
import { mqtt311 } from './mqtt-3.1.1/index.ts'
import { mqtt5 } from './mqtt-5/index.ts'
import { websocket } from './websocket/index.ts'
import { stomp10, stomp11, stomp12 } from './stomp/index.ts'

export const suites: readonly Suite[] = [mqtt311, mqtt5, amqp10, stomp12, stomp11, stomp10, websocket, bridge]

export const framings: Framings = { mqtt: mqttFraming, amqp: amqpFraming, stomp: stompFraming, ws: wsFraming }
