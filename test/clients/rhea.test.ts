// rhea, the AMQP client of JavaScript, over TCP and by its own means over WebSocket.
import rhea, { type Connection, type ConnectionOptions, type EventContext, type Receiver, type ReceiverOptions, type Sender } from 'rhea'
import { afterEach, describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { until } from '../wire/bytes.ts'
import { brokerForThisFile } from './clients.ts'

const ports = brokerForThisFile()
const open: Connection[] = []
const numbers = Array.from({ length: 300 }, (_, i) => i)

afterEach(() => {
  for (const connection of open.splice(0)) connection.close()
})

async function connect(over: string, options: Readonly<Record<string, unknown>> = {}): Promise<Connection> {
  const container = rhea.create_container()
  const place =
    over === 'TCP'
      ? { host: '127.0.0.1', port: ports.amqp }
      : { connection_details: container.websocket_connect(WebSocket as never)(`ws://127.0.0.1:${ports.websocket}`, ['amqp'], {}) }
  const connection = container.connect({ reconnect: false, ...place, ...options } as unknown as ConnectionOptions)
  open.push(connection)
  for (const event of ['disconnected', 'connection_close']) connection.on(event, () => {})
  await happens(connection, 'connection_open')
  return connection
}

type Emitter = Readonly<{ once(event: string, then: (context: EventContext) => void): unknown }>

const happens = (on: Emitter, event: string): Promise<EventContext> => new Promise((resolve) => void on.once(event, resolve))

async function sender(connection: Connection, address: string): Promise<Sender> {
  const link = connection.open_sender(address)
  await happens(link, 'sendable')
  return link
}

/** With what it received. */
async function receiver(connection: Connection, options: ReceiverOptions): Promise<Readonly<{ link: Receiver; got: unknown[] }>> {
  const got: unknown[] = []
  const link = connection.open_receiver(options)
  link.on('message', ({ message }: EventContext) => got.push(message?.body))
  await happens(link, 'receiver_open')
  return { link, got }
}

describe.each(['TCP', 'WebSocket'])('rhea over %s', (over) => {
  it('sends and receives durable messages, in order, and is told that each is accepted', async () => {
    const connection = await connect(over)
    const { got } = await receiver(connection, { source: `rhea.${over}.order` })
    const link = await sender(connection, `rhea.${over}.order`)
    let accepted = 0
    link.on('accepted', () => accepted++)
    for (const body of numbers) link.send({ body, durable: true })
    await until('all messages and answers', () => got.length >= numbers.length && accepted >= numbers.length)
    expect(got).toEqual(numbers)
  })

  it('carries a message of a megabyte in many frames, and every letter of Unicode', async () => {
    const connection = await connect(over, { max_frame_size: 4096 })
    const { got } = await receiver(connection, { source: `rhea.${over}.large` })
    const link = await sender(connection, `rhea.${over}.large`)
    const text = 'grüße 𝄞 😀'
    link.send({ body: rhea.message.data_section(Buffer.alloc(1_000_000, Buffer.from([0, 1, 2, 0xff]))) })
    link.send({ body: text })
    await until('both messages', () => got.length === 2)
    expect((got[0] as { content: Buffer }).content.equals(Buffer.alloc(1_000_000, Buffer.from([0, 1, 2, 0xff])))).toBe(true)
    expect(got[1]).toBe(text)
  })

  it('is given back what it released, and not what it rejected', async () => {
    const connection = await connect(over)
    const link = await sender(connection, `rhea.${over}.outcomes`)
    for (const body of ['released', 'rejected', 'accepted']) link.send({ body, durable: true })
    const got: string[] = []
    // One at a time: of several outcomes of one turn the library makes one disposition, also of different ones.
    const taker = connection.open_receiver({ source: `rhea.${over}.outcomes`, autoaccept: false, credit_window: 0 })
    taker.add_credit(1)
    taker.on('message', ({ message, delivery }: EventContext) => {
      const body = String(message?.body)
      got.push(`${body} ${message?.delivery_count ?? 0}`)
      if (body === 'released' && got.length === 1) delivery?.release({ delivery_failed: true })
      else if (body === 'rejected') delivery?.reject()
      else delivery?.accept()
      setImmediate(() => taker.add_credit(1))
    })
    await until('four deliveries', () => got.length === 4)
    expect(got.toSorted()).toEqual(['accepted 0', 'rejected 0', 'released 0', 'released 1'])
  })

  it('settles second, once the broker told that it did', async () => {
    const connection = await connect(over)
    const taker = connection.open_receiver({ source: `rhea.${over}.second`, autoaccept: false, rcv_settle_mode: 1 })
    let settled = 0
    taker.on('message', ({ delivery }: EventContext) => delivery?.accept())
    taker.on('settled', () => settled++)
    const link = await sender(connection, `rhea.${over}.second`)
    for (const body of numbers) link.send({ body, durable: true })
    await until('every settlement', () => settled === numbers.length)
  })

  it('drains a link of what there is', async () => {
    const connection = await connect(over)
    const link = await sender(connection, `rhea.${over}.drain`)
    for (let i = 0; i < 3; i++) link.send({ body: i, durable: true })
    const { link: taker, got } = await receiver(connection, { source: `rhea.${over}.drain`, credit_window: 0 })
    taker.drain_credit()
    taker.add_credit(10)
    await happens(taker, 'receiver_drained')
    expect(got).toEqual([0, 1, 2])
  })

  it('keeps a durable subscription while its client is away', async () => {
    const options = { container_id: `rhea-${over}` }
    const source = { address: `topic://rhea.${over}.kept`, durable: 2, expiry_policy: 'never' } as const
    const first = await connect(over, options)
    const { link } = await receiver(first, { name: 'kept', source })
    // A detach: the subscription stays.
    link.detach()
    await happens(link, 'receiver_close')
    const other = await connect(over)
    const news = await sender(other, `topic://rhea.${over}.kept`)
    news.send({ body: 'kept', durable: true })
    await happens(news, 'accepted')
    const { got } = await receiver(first, { name: 'kept', source })
    await until('the message', () => got.length === 1)
    expect(got).toEqual(['kept'])
  })

  it('asks and is answered on a node made for it', async () => {
    const asks = await connect(over)
    const answers = await connect(over)
    const anonymous = answers.open_sender({ target: {} })
    const requests = answers.open_receiver(`rhea.${over}.ask`)
    requests.on('message', ({ message }: EventContext) => {
      anonymous.send({ to: String(message?.reply_to), correlation_id: Number(message?.message_id), body: `re: ${String(message?.body)}` })
    })
    const taker = asks.open_receiver({ source: { address: '', dynamic: true } })
    const { receiver: opened } = await happens(taker, 'receiver_open')
    const reply = happens(taker, 'message')
    const link = await sender(asks, `rhea.${over}.ask`)
    link.send({ reply_to: String(opened?.source.address), message_id: 7, body: 'what?' })
    const { message } = await reply
    expect([message?.body, message?.correlation_id]).toEqual(['re: what?', 7])
  })

  it('is told why a link is refused, and its connection goes on', async () => {
    const connection = await connect(over)
    const refused = connection.open_sender('nowhere://x')
    const { sender: link } = await happens(refused, 'sender_error')
    expect(link?.error).toMatchObject({ condition: 'amqp:invalid-field' })
    const { got } = await receiver(connection, { source: `rhea.${over}.after` })
    ;(await sender(connection, `rhea.${over}.after`)).send({ body: 'on' })
    await until('a message', () => got.length === 1)
  })
})

it('rhea over WebSocket meets rhea over TCP', async () => {
  const { got } = await receiver(await connect('WebSocket'), { source: 'topic://rhea.bridge' })
  ;(await sender(await connect('TCP'), 'topic://rhea.bridge')).send({ body: { a: [1, 'x', null] } })
  await until('the message', () => got.length === 1)
  expect(got).toEqual([{ a: [1, 'x', null] }])
})
