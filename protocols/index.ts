// The front ends, one line each.
import type { Protocol } from '../src/api.ts'
import amqp from './amqp/index.ts'
import mqtt from './mqtt/index.ts'
import stomp from './stomp/index.ts'

export const protocols: readonly Protocol[] = [mqtt, stomp, amqp]
