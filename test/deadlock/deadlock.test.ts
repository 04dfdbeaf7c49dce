// One connection sends into the full queue that it consumes from, one message in flight at a time: back-pressure must not stop the
// settlements that would end it. 100,000 messages (25,000 of MQTT 5, 10,000 of AMQP) go through a queue that holds 100; over WebSocket a quarter of them.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import rhea, { type ConnectionOptions, type Delivery } from 'rhea'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { addressOf, type Place, until } from '../wire/bytes.ts'
import { MqttWire } from '../wire/mqtt-wire.ts'
import { NodeProcess, type Ready } from '../wire/node-process.ts'
import { StompWire } from '../wire/stomp-wire.ts'

const MESSAGES = Number(process.env['DEADLOCK_MESSAGES'] ?? 100_000)
const LIMIT = 100
/** Unanswered publishes: more than the queue holds, fewer than a connection may have parked (1,000). */
const WINDOW = 400
const STALLED_MS = 10_000

let data = ''
let node: NodeProcess
let ready: Ready

beforeAll(async () => {
  data = mkdtempSync(join(tmpdir(), 'bascule-deadlock-'))
  const args = [`destinations.limitMessages=${LIMIT}`, 'mqtt.queuePrefix=$queue', 'mqtt.inflightMax=1', `mqtt.receiveMaximum=${WINDOW}`].flatMap(
    (each) => ['--set', each],
  )
  node = new NodeProcess({ data, args })
  ready = await node.leads()
})

afterAll(async () => {
  await node.signal('SIGKILL')
  rmSync(data, { recursive: true, force: true })
})

/** Fails when nothing moves for a while, however long the whole takes. */
async function goesThrough(progress: () => number, total: number): Promise<void> {
  for (let before = -1; progress() < total; ) {
    before = progress()
    await until(`progress after ${before} of ${total} messages`, () => progress() > before, STALLED_MS)
  }
}

describe.each([
  { over: 'TCP', messages: MESSAGES },
  { over: 'WebSocket', messages: Math.ceil(MESSAGES / 4) },
])('one connection over $over that produces into the full queue it consumes from', ({ over, messages }) => {
  const placeOf = (listener: string, subprotocol: string): Place =>
    over === 'TCP' ? addressOf(ready.listeners[listener] ?? '') : { ...addressOf(ready.listeners['websocket'] ?? ''), subprotocol }

  it('goes on with STOMP and a prefetch of one', { timeout: 180_000 }, async () => {
    const wire = await StompWire.connect(placeOf('stomp', 'v12.stomp'))
    let sent = 0
    let answered = 0
    let taken = 0
    /** Most messages that were on the queue, as far as answers tell. */
    let deepest = 0
    let wrong = ''
    const send = () => {
      while (sent < messages && sent - answered < WINDOW) {
        wire.send('SEND', { destination: '/queue/deadlock.stomp', persistent: 'true', receipt: String(sent) }, Buffer.from(String(sent)))
        sent++
      }
    }
    wire.onError = (error) => {
      wrong ||= error.body.toString()
    }
    wire.onReceipt = (id) => {
      if (id !== String(answered)) wrong ||= `receipt ${id} instead of ${answered}`
      answered++
      deepest = Math.max(deepest, answered - taken)
      send()
    }
    wire.onMessage = (message) => {
      if (message.body.toString() !== String(taken)) wrong ||= `message ${message.body.toString()} instead of ${taken}`
      taken++
      wire.send('ACK', { id: message.headers.get('ack') ?? '' })
    }
    await wire.ask('SUBSCRIBE', { id: '0', destination: '/queue/deadlock.stomp', ack: 'client-individual', 'activemq.prefetchSize': '1' })
    const begun = performance.now()
    send()
    await goesThrough(() => (wrong === '' && !wire.closed ? taken + answered : Number.POSITIVE_INFINITY), 2 * messages)
    expect({ wrong, taken, answered, closed: wire.closed }).toEqual({ wrong: '', taken: messages, answered: messages, closed: false })
    // It was full all the time, and never fuller than that.
    expect(deepest).toBeGreaterThan(LIMIT - 10)
    expect(deepest).toBeLessThanOrEqual(LIMIT + 1)
    console.log(`STOMP over ${over}: ${Math.round(messages / ((performance.now() - begun) / 1000))} messages/s`)
    wire.destroy()
  })

  it.each([
    { name: 'MQTT', level: 4, total: messages },
    { name: 'MQTT 5', level: 5, total: Math.ceil(messages / 4) },
  ] as const)('goes on with $name and one message in flight', { timeout: 180_000 }, async ({ name, level, total }) => {
    const wire = await MqttWire.connect(placeOf('mqtt', 'mqtt'), { clientId: 'deadlock', clean: true, level, receiveMaximum: 1 })
    const topic = `$queue/deadlock/mqtt/${level}`
    let sent = 0
    let answered = 0
    let taken = 0
    /** Most messages that were on the queue, as far as answers tell. */
    let deepest = 0
    let wrong = ''
    const send = () => {
      while (sent < total && sent - answered < WINDOW) {
        wire.publish(topic, Buffer.from(String(sent)), { qos: 1, id: (sent % 50_000) + 1 })
        sent++
      }
    }
    wire.onAck = (_kind, id) => {
      if (id !== (answered % 50_000) + 1) wrong ||= `PUBACK ${id} instead of ${(answered % 50_000) + 1}`
      answered++
      deepest = Math.max(deepest, answered - taken)
      send()
    }
    wire.onRefused = (kind, id, reason) => {
      wrong ||= `${kind} ${id} with reason ${reason}`
    }
    wire.onPublish = (publish) => {
      if (publish.payload.toString() !== String(taken)) wrong ||= `message ${publish.payload.toString()} instead of ${taken}`
      taken++
      wire.ack('puback', publish.id)
    }
    expect(await wire.subscribe([{ filter: topic, qos: 1 }])).toEqual([1])
    const begun = performance.now()
    send()
    await goesThrough(() => (wrong === '' && !wire.closed ? taken + answered : Number.POSITIVE_INFINITY), 2 * total)
    expect({ wrong, taken, answered, closed: wire.closed }).toEqual({ wrong: '', taken: total, answered: total, closed: false })
    expect(deepest).toBeGreaterThan(LIMIT - 10)
    expect(deepest).toBeLessThanOrEqual(LIMIT + 1)
    console.log(`${name} over ${over}: ${Math.round(total / ((performance.now() - begun) / 1000))} messages/s`)
    wire.destroy()
  })

  // Before it accepts one it sends another elsewhere, and waits for the answer: what waits for room must not hold that up.
  it('goes on with AMQP, a credit of one, and a link past the full one', { timeout: 180_000 }, async () => {
    const total = Math.ceil(messages / 10)
    const container = rhea.create_container()
    const connect = container.websocket_connect(WebSocket as never)
    const place =
      over === 'TCP'
        ? { ...addressOf(ready.listeners['amqp'] ?? ''), tcp_no_delay: true }
        : { connection_details: connect(`ws://${ready.listeners['websocket'] ?? ''}`, ['amqp'], {}) }
    const connection = container.connect({ ...place, reconnect: false } as unknown as ConnectionOptions)
    let sent = 0
    let answered = 0
    let taken = 0
    let deepest = 0
    let wrong = ''
    connection.on('disconnected', () => {
      wrong ||= 'disconnected'
    })
    // rhea sends nothing past a message that waits for credit, in one session: each link has its own.
    const session = () => {
      const made = connection.create_session()
      made.open()
      return made
    }
    const sender = session().open_sender(`deadlock.amqp.${over}`)
    const past = session().open_sender('topic://deadlock.past')
    const receiver = session().open_receiver({ source: `deadlock.amqp.${over}`, credit_window: 0, autoaccept: false })
    receiver.add_credit(1)
    const send = () => {
      const { credit } = sender as unknown as { credit: number }
      for (let left = credit; left > 0 && sent < total && sent - answered < WINDOW; left--) sender.send({ body: sent++, durable: true })
    }
    sender.on('sendable', () => setImmediate(send))
    sender.on('accepted', () => {
      answered++
      deepest = Math.max(deepest, answered - taken)
      setImmediate(send)
    })
    let waits: Delivery | undefined
    receiver.on('message', ({ message, delivery }) => {
      if (message?.body !== taken) wrong ||= `message ${String(message?.body)} instead of ${taken}`
      waits = delivery
      past.send({ body: taken, durable: true })
    })
    past.on('accepted', () => {
      taken++
      waits?.accept()
      receiver.add_credit(1)
    })
    const begun = performance.now()
    await goesThrough(() => (wrong === '' ? taken + answered : Number.POSITIVE_INFINITY), 2 * total)
    expect({ wrong, taken, answered }).toEqual({ wrong: '', taken: total, answered: total })
    expect(deepest).toBeGreaterThan(LIMIT - 10)
    expect(deepest).toBeLessThanOrEqual(LIMIT + 2)
    console.log(`AMQP over ${over}: ${Math.round(total / ((performance.now() - begun) / 1000))} messages/s`)
    connection.close()
  })
})
