// What comes again, and what becomes a dead letter, across every producer, the receiver who fails and the consumer who is next. MQTT's DUP is of a
// session that comes back: protocols/mqtt tests that.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Arrived, Client } from './clients/client.ts'
import { endpoints, type FrontEnd, nameOf, type Said } from './notation.ts'
import { openStage, type Stage, spelled } from './stage.ts'
import { deadLetter, failures, says } from './tables/failures.ts'

let stage: Stage
let numbers = 0
beforeAll(async () => {
  stage = await openStage()
})
afterAll(() => stage.stop())

const DURABLE: Said = {
  mqtt: { payload: 'x', qos: 1 },
  mqtt5: { payload: 'x', qos: 1 },
  amqp: { durable: true, body: [{ data: '78' }] },
  stomp: { headers: [['persistent', 'true']], body: 'x' },
}

/** The first receiver settles so; then the next takes what there is. */
async function afterwards(
  producer: Client,
  first: Client,
  next: Client,
  settle: (arrived: Arrived) => void,
  from?: string,
): Promise<Arrived | undefined> {
  const queue = ['failures', String(++numbers)]
  const inbox = await first.subscribe(spelled(first.endpoint.frontEnd, 'queue', queue), { manual: true })
  await producer.send(spelled(producer.endpoint.frontEnd, 'queue', queue), DURABLE)
  const arrived = await inbox.next(2000)
  if (arrived === undefined) throw new Error('nothing came')
  settle(arrived)
  await inbox.close()
  const { frontEnd } = next.endpoint
  const second = await next.subscribe(from ?? spelled(frontEnd, 'queue', queue))
  const again = await second.next(2000)
  await second.close()
  return again
}

/** What stands beside the message: annotations, headers. */
function beside({ seen }: Arrived, frontEnd: FrontEnd): Readonly<Record<string, unknown>> {
  if (frontEnd === 'mqtt') return {}
  if (frontEnd === 'mqtt5') return Object.fromEntries(seen.five?.user ?? [])
  return frontEnd === 'amqp' ? { ...seen.messageAnnotations } : Object.fromEntries(seen.headers ?? [])
}

/** AMQP tells where it was sent in the first place, the others where it is; where it was stands beside it. */
const shown = (frontEnd: FrontEnd, queue: string): string =>
  frontEnd === 'amqp' ? `queue://${queue}` : spelled(frontEnd, 'queue', ['ActiveMQ', 'DLQ'])

const tcp = endpoints.filter(({ transport }) => transport === 'tcp')
const clientOf = (endpoint: (typeof endpoints)[number]): Client => stage.clients[endpoints.indexOf(endpoint)]

describe.each(failures)('a message that was $name', (failure) => {
  for (const from of tcp) {
    for (const first of endpoints.filter(({ frontEnd }) => says(frontEnd, failure))) {
      for (const next of endpoints) {
        if (first.transport === 'ws' && next.transport === 'ws') continue
        it(`${nameOf(from)} → ${nameOf(first)} → ${nameOf(next)}`, async () => {
          const again = await afterwards(clientOf(from), clientOf(first), clientOf(next), (arrived) => arrived.settle(failure.outcome))
          // DUP would say that this client has seen it.
          expect(again?.redelivered).toBe(next.frontEnd !== 'mqtt' && next.frontEnd !== 'mqtt5')
          expect(again?.deliveryCount).toBe(next.frontEnd === 'amqp' ? failure.count : undefined)
        })
      }
    }
  }
})

describe('a dead letter', () => {
  for (const from of tcp) {
    for (const first of endpoints.filter(({ frontEnd }) => frontEnd === 'amqp')) {
      for (const next of endpoints) {
        it(`${nameOf(from)} → ${nameOf(first)} → ${nameOf(next)}`, async () => {
          const letters = spelled(next.frontEnd, 'queue', ['ActiveMQ', 'DLQ'])
          const letter = await afterwards(clientOf(from), clientOf(first), clientOf(next), (arrived) => arrived.settle('rejected'), letters)
          if (letter === undefined) throw new Error('nothing came')
          const { seen } = deadLetter[next.frontEnd](`failures.${numbers}`, 'test:rejected: no good')
          const told = Object.entries(beside(letter, next.frontEnd)).filter(([name]) => /orig|dlq/i.test(name))
          expect(Object.fromEntries(told)).toEqual(seen)
          expect(letter.destination).toBe(next.frontEnd === 'amqp' && from.frontEnd === 'amqp' ? '' : shown(next.frontEnd, `failures.${numbers}`))
        })
      }
    }
  }
})
