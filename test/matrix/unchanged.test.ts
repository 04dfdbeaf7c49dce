// What the libraries of the matrix cannot send or see, by raw connections: headers that come twice and their order, versions of STOMP before 1.2,
// and the types of properties said in x-amq-types.
import { connect as dial } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startBroker } from '../support/broker.ts'
import { until } from '../wire/bytes.ts'
import { type StompFrame, StompWire } from '../wire/stomp-wire.ts'
import { amqpClient } from './clients/amqp-client.ts'
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

/** Every section, written in every way that a client may: descriptors by name, short and long number; wide forms of small values; arrays, decimals. */
const SECTIONS = [
  // delivery-annotations {d: -1}
  '00a31d616d71703a64656c69766572792d616e6e6f746174696f6e733a6d6170c10602a3016454ff',
  // message-annotations {x-opt-m: a uuid, x-opt-a: an array of ints}
  '00800000000000000072d10000003000000004b300000007782d6f70742d6d98000102030405060708090a0b0c0d0e0fa307782d6f70742d61e00402540102',
  // properties: message-id, no user-id, to
  '005373d00000001c00000003b100000002696440a10e736f6d6577686572652f656c7365',
  // application-properties {dec: decimal64, n: a wide 1, u: a wide 5}
  '00a31f616d71703a6170706c69636174696f6e2d70726f706572746965733a6d6170d10000002900000006a103646563840001020304050607b1000000016e7100000001a10175800000000000000005',
  // two sequences: a described value, an array, empty lists; true in both its forms
  '005376c01a0400a303783a79a10164e00402540102d0000000040000000045',
  '00800000000000000076d00000000700000002415601',
  // footer {f: 0}
  '005378c10502a3016643',
]

describe.each([
  ['TCP', 'tcp', 'amqp'],
  ['WebSocket', 'ws', 'websocket'],
] as const)('AMQP → AMQP over %s', (_, transport, listener) => {
  it.each([
    ['every section', SECTIONS],
    ['no delivery annotations', SECTIONS.slice(1)],
    ['a body alone', SECTIONS.slice(4, 6)],
    ['no body', SECTIONS.slice(1, 4)],
  ])('keeps every byte behind the header: %s', async (name, sections) => {
    const amqp = await amqpClient({ frontEnd: 'amqp', transport }, stage.broker.port(listener))
    const bytes = Buffer.from(sections.join(''), 'hex')
    for (const address of [`queue://raw.${transport}.${name.length}`, `topic://raw.${transport}`]) {
      for (const consumer of stage.clients.slice(2, 4)) {
        const inbox = await consumer.subscribe(address)
        expect(await amqp.sendRaw(address, bytes)).toBe('accepted')
        expect((await inbox.next(2000))?.exact).toBe(sections.join(''))
        await inbox.close()
      }
    }
    await amqp.close()
  })
})
