// Table 3.2 through real clients: a name is one destination whoever spells it, a pattern sees the same topics, MQTT has queues by choice only.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startBroker } from '../support/broker.ts'
import { mqttClient } from './clients/mqtt-client.ts'
import { endpoints, frontEnds, nameOf } from './notation.ts'
import { connect, openStage, type Stage, spelled } from './stage.ts'
import { patterns, spellings } from './tables/addresses.ts'

let stage: Stage
beforeAll(async () => {
  stage = await openStage()
})
afterAll(() => stage.stop())

const clientOf = (name: string) => stage.clients[endpoints.findIndex((endpoint) => nameOf(endpoint) === name)]
const marked = (text: string) => ({
  mqtt: { payload: text },
  mqtt5: { payload: text },
  amqp: { body: [{ data: Buffer.from(text).toString('hex') }] },
  stomp: { body: text },
})

describe('one name', () => {
  for (const row of spellings) {
    for (const to of endpoints) {
      const address = row.spelled[to.frontEnd]
      if (address === undefined) continue
      it(`→ ${nameOf(to)}: ${row.name}`, async () => {
        const inbox = await clientOf(nameOf(to)).subscribe(address)
        const told: string[] = []
        for (const producer of stage.clients) {
          const target = row.spelled[producer.endpoint.frontEnd]
          if (target === undefined) continue
          expect(await producer.send(target, marked('x'))).toBe('accepted')
          const arrived = await inbox.next(2000)
          // From AMQP to AMQP the broker says nothing of its own.
          const silent = producer.endpoint.frontEnd === 'amqp' && to.frontEnd === 'amqp' ? '' : undefined
          told.push(silent ?? arrived?.destination ?? 'nothing came')
        }
        await inbox.close()
        const expected = stage.clients
          .filter(({ endpoint }) => row.spelled[endpoint.frontEnd] !== undefined)
          .map(({ endpoint }) => (endpoint.frontEnd === 'amqp' && to.frontEnd === 'amqp' ? '' : (row.told?.[to.frontEnd] ?? address)))
        expect(told).toEqual(expected)
      })
    }
  }
})

describe('a pattern', () => {
  for (const row of patterns) {
    for (const to of endpoints) {
      it(`→ ${nameOf(to)}: ${row.name}`, async () => {
        const inbox = await clientOf(nameOf(to)).subscribe(row.pattern[to.frontEnd])
        const topics = [...row.sees, ...row.not].map((topic) => topic.split('/'))
        for (const producer of stage.clients.filter(({ endpoint }) => endpoint.transport === 'tcp')) {
          for (const path of topics) {
            const name = spelled(producer.endpoint.frontEnd, 'topic', path)
            expect(await producer.send(name, marked(nameOf(producer.endpoint)))).toBe('accepted')
          }
        }
        const expected = frontEnds.flatMap(() => row.sees.map((topic) => spelled(to.frontEnd, 'topic', topic.split('/'))))
        const seen: string[] = []
        for (const _ of expected) seen.push((await inbox.next(2000))?.destination ?? 'nothing came')
        const more = await inbox.next(30)
        await inbox.close()
        // Two producers do not wait for each other: MQTT's QoS 0 is not answered.
        expect(seen.toSorted()).toEqual(expected.toSorted())
        expect(more).toBeUndefined()
      })
    }
  }
})

describe('what MQTT cannot name', () => {
  it('is rejected with the reason, and a dead letter if it is durable (mqtt-unnameable)', async () => {
    // A session that is kept: the queue of one that is not is volatile, and so is what waits there.
    const port = stage.broker.port('mqtt')
    const mqtt = await mqttClient({ frontEnd: 'mqtt', transport: 'tcp' }, port, { clean: false, clientId: 'matrix-kept' })
    const inbox = await mqtt.subscribe('m/#')
    const dead = await clientOf('stomp').subscribe('/queue/ActiveMQ.DLQ')
    const durable = { amqp: { durable: true, body: [{ data: '61' }] } }
    expect(await clientOf('amqp').send('topic://m.a*b', durable)).toBe('accepted')
    const letter = await dead.next()
    expect(Object.fromEntries(letter?.seen.headers ?? [])).toMatchObject({ dlqDeliveryFailureCause: expect.stringContaining('no name in MQTT') })
    expect(await inbox.next(30)).toBeUndefined()
    await mqtt.close()
    await dead.close()
  })

  it('is a queue, unless the broker is told a prefix: then the name is a topic (mqtt-queues)', async () => {
    const broker = await startBroker()
    const mqtt = await connect(broker, { frontEnd: 'mqtt', transport: 'tcp' })
    const stomp = await connect(broker, { frontEnd: 'stomp', transport: 'tcp' })
    const queue = await stomp.subscribe('/queue/m.q')
    const topic = await stomp.subscribe('/topic/$queue.m.q')
    await mqtt.send('$queue/m/q', marked('x'))
    expect((await topic.next())?.destination).toBe('/topic/$queue.m.q')
    expect(await queue.next(30)).toBeUndefined()
    await mqtt.close()
    await stomp.close()
    await broker.stop()
  })
})
