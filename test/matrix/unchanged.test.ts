// What the libraries of the matrix cannot send or see, by raw connections: headers that come twice and their order, versions of STOMP before 1.2,
// and the types of properties said in x-amq-types.
import { connect as dial } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startBroker } from '../support/broker.ts'
import { until } from '../wire/bytes.ts'
import { type StompFrame, StompWire } from '../wire/stomp-wire.ts'
import { connect, openStage, type Stage } from './stage.ts'

let stage: Stage
beforeAll(async () => {
  stage = await openStage()
})
afterAll(() => stage.stop())

const place = (subprotocol?: string) => ({
  host: '127.0.0.1',
  port: stage.broker.port(subprotocol === undefined ? 'stomp' : 'websocket'),
  ...(subprotocol === undefined ? {} : { subprotocol }),
})

describe.each([
  ['TCP', undefined],
  ['WebSocket', 'v12.stomp'],
])('STOMP → STOMP over %s', (_, subprotocol) => {
  it('keeps every header in its order, repeated ones and odd escapes too', async () => {
    const wire = await StompWire.connect(place(subprotocol))
    const raw = await rawStomp(stage.broker.port('stomp'))
    await raw.subscribe('/topic/raw')
    const lines = 'p:1\nq:a\\cb\\nc\\\\d\\re\np:2\ncontent-type:text/plain;charset=utf-16\nP:3\nx:\n'
    wire.write(Buffer.from(`SEND\ndestination:/topic/raw\n${lines}\nbody\0`))
    const frame = await raw.next()
    expect(frame).toBe(`${lines}\nbody`)
    wire.destroy()
    raw.close()
  })
})

/** Sees frames as they are: what stands behind the broker's own headers. */
async function rawStomp(port: number) {
  const socket = dial(port, '127.0.0.1')
  let text = ''
  socket.on('data', (bytes: Buffer) => (text += bytes.toString()))
  socket.write('CONNECT\naccept-version:1.2\nhost:x\n\n\0')
  await until('CONNECTED', () => text.includes('CONNECTED'))
  return {
    async subscribe(destination: string) {
      socket.write(`SUBSCRIBE\nid:1\ndestination:${destination}\nreceipt:s\n\n\0`)
      await until('RECEIPT', () => text.includes('receipt-id:s'))
      text = ''
    },
    async next() {
      await until('MESSAGE', () => text.includes('\0'))
      return text.slice(0, text.indexOf('\0')).replace(/^\n*MESSAGE\nsubscription:1\ndestination:[^\n]*\nmessage-id:\d+-\d+\n/, '')
    },
    close: () => socket.destroy(),
  }
}

describe('a message that AMQP’s sender named', () => {
  const named = { amqp: { properties: { 'message-id': ['string', 'order-7'] as const }, body: [{ data: '61' }] } }
  const amqp = () => stage.clients[2]

  it.each(['1.0', '1.1'] as const)('has our message-id in STOMP %s, which is what its ACK names', async (version) => {
    const wire = await StompWire.connect(place(), { version })
    const frames: StompFrame[] = []
    wire.onMessage = (frame) => frames.push(frame)
    await wire.ask('SUBSCRIBE', { id: '1', destination: `/queue/named.${version.replace('.', '-')}`, ack: 'client-individual' })
    await amqp().send(`queue://named.${version.replace('.', '-')}`, named)
    await until('a message', () => frames.length === 1)
    const id = frames[0].headers.get('message-id') ?? ''
    expect(id).toMatch(/^\d+-\d+$/)
    await wire.ask('ACK', { subscription: '1', 'message-id': id })
    expect(wire.error).toBeUndefined()
    wire.destroy()
  })

  it('has that name in STOMP 1.2, is acknowledged by its ack header, and keeps the name when it comes again', async () => {
    const stomp = stage.clients[4]
    const inbox = await stomp.subscribe('/queue/named', { manual: true })
    await amqp().send('queue://named', named)
    for (const redelivered of [false, true]) {
      const arrived = await inbox.next()
      expect(arrived?.redelivered).toBe(redelivered)
      expect(Object.fromEntries(arrived?.seen.headers ?? [])['message-id']).toBe('order-7')
      arrived?.settle(redelivered ? 'accepted' : 'failed')
    }
    await inbox.close()
  })
})

describe('with stomp.propertyTypes', () => {
  it('nothing of the types is lost from AMQP to STOMP and back', async () => {
    const broker = await startBroker({ settings: { stomp: { propertyTypes: true } } })
    const amqp = await connect(broker, { frontEnd: 'amqp', transport: 'tcp' })
    const stomp = await connect(broker, { frontEnd: 'stomp', transport: 'tcp' })
    const there = await stomp.subscribe('/queue/there')
    const back = await amqp.subscribe('queue://back')
    const applicationProperties = { a: ['byte', -1], 'b,c': ['ulong', 2n ** 64n - 1n], d: ['string', 'x'], e: ['binary', '00ff'] } as const
    await amqp.send('queue://there', { amqp: { applicationProperties, body: [{ data: '61' }] } })
    const { headers = [] } = (await there.next())?.seen ?? {}
    expect(headers).toContainEqual(['x-amq-types', 'a=int8,b%2Cc=uint64,e=binary'])
    await stomp.send('/queue/back', { stomp: { headers, body: 'a' } })
    expect((await back.next())?.seen.applicationProperties).toEqual(applicationProperties)
    const { conversionLosses } = broker.status().broker as { conversionLosses: object }
    expect(conversionLosses).toEqual({})
    await amqp.close()
    await stomp.close()
    await broker.stop()
  })
})
