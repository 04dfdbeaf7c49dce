// Table 3.3, row retain: what anybody has a topic retain is what a later subscriber of MQTT is given, and anybody's empty one forgets it.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Arrived } from './clients/client.ts'
import { endpoints, nameOf, type Said, type Section } from './notation.ts'
import { openStage, type Stage, spelled } from './stage.ts'

let stage: Stage
beforeAll(async () => {
  stage = await openStage()
})
afterAll(() => stage.stop())

const retained = (text: string): Said => ({
  mqtt: { payload: text, retain: true, qos: 1 },
  mqtt5: { payload: text, retain: true, qos: 1, five: { user: [['a', 'b']] } },
  amqp: { durable: true, messageAnnotations: { 'x-opt-retain': ['boolean', true] }, body: [{ data: Buffer.from(text).toString('hex') }] },
  stomp: {
    headers: [
      ['ActiveMQ.Retain', 'true'],
      ['persistent', 'true'],
    ],
    body: text,
  },
})

/** What somebody who subscribes now is given: its payload, and the flag. */
async function replay(subscriber: number, path: readonly string[], waitMs = 2000): Promise<Arrived['seen'] | undefined> {
  const inbox = await stage.clients[subscriber].subscribe(spelled('mqtt', 'topic', path))
  const arrived = await inbox.next(waitMs)
  await inbox.close()
  return arrived?.seen
}

describe('a message that a topic retains', () => {
  for (const [keeper, from] of endpoints.entries()) {
    for (const [forgetter, clearer] of endpoints.entries()) {
      if (clearer.transport === 'ws') continue
      it(`by ${nameOf(from)}, forgotten by ${nameOf(clearer)}`, async () => {
        const path = ['kept', String(keeper), String(forgetter)]
        expect(await stage.clients[keeper].send(spelled(from.frontEnd, 'topic', path), retained('kept'))).toBe('accepted')
        for (const subscriber of [0, 1]) {
          expect(await replay(subscriber, path)).toEqual({ payload: `0x${Buffer.from('kept').toString('hex')}`, qos: 1, retain: true })
        }
        expect(await stage.clients[forgetter].send(spelled(clearer.frontEnd, 'topic', path), retained(''))).toBe('accepted')
        expect(await replay(0, path, 50)).toBeUndefined()
      })
    }
  }

  it.each<[string, readonly Section[]]>([
    ['no body', []],
    ['null', [{ value: ['null', null] }]],
    ['an empty text', [{ value: ['string', ''] }]],
    ['empty pieces', [{ data: '' }, { data: '' }]],
  ])('is forgotten by AMQP with %s', async (name, body) => {
    const path = ['kept', name]
    const [mqtt, , amqp] = stage.clients
    expect(await mqtt.send(spelled('mqtt', 'topic', path), retained('kept'))).toBe('accepted')
    expect(await amqp.send(spelled('amqp', 'topic', path), { amqp: { ...retained('').amqp, body } })).toBe('accepted')
    expect(await replay(0, path, 50)).toBeUndefined()
  })
})
