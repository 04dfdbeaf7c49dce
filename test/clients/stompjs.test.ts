// @stomp/stompjs wants a WebSocket: here it gets one that is a TCP socket, so that the library's own frames reach the STOMP port.
import { connect as connectTcp, type Socket } from 'node:net'
import { Client, ReconnectionTimeMode, type IMessage, type IStompSocket } from '@stomp/stompjs'
import { afterEach, describe, expect, it } from 'vitest'
import { until } from '../wire/bytes.ts'
import { brokerForThisFile } from './clients.ts'

const ports = brokerForThisFile()
const open: Client[] = []

class TcpAsWebSocket implements IStompSocket {
  readonly url = ''
  binaryType = 'arraybuffer' as const
  readyState = 0
  onopen: IStompSocket['onopen'] = null
  onclose: IStompSocket['onclose'] = null
  onerror: IStompSocket['onerror'] = null
  onmessage: IStompSocket['onmessage'] = null
  readonly #socket: Socket

  constructor(port: number) {
    this.#socket = connectTcp(port, '127.0.0.1', () => {
      this.readyState = 1
      this.onopen?.({})
    })
    this.#socket.on('data', (bytes) =>
      this.onmessage?.({ data: bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length) as ArrayBuffer }),
    )
    this.#socket.on('error', (error) => this.onerror?.(error))
    this.#socket.on('close', () => {
      this.readyState = 3
      this.onclose?.({})
    })
  }

  send(data: string | ArrayBuffer): void {
    this.#socket.write(typeof data === 'string' ? data : Buffer.from(data))
  }

  close(): void {
    this.#socket.end()
  }

  terminate(): void {
    this.#socket.destroy()
  }
}

async function connect(headers: Readonly<Record<string, string>> = {}): Promise<Client> {
  const client = new Client({
    webSocketFactory: () => new TcpAsWebSocket(ports.stomp),
    connectHeaders: { host: 'bascule', ...headers },
    reconnectDelay: 0,
    reconnectTimeMode: ReconnectionTimeMode.LINEAR,
    heartbeatIncoming: 500,
    heartbeatOutgoing: 500,
  })
  open.push(client)
  await new Promise<void>((resolve, reject) => {
    client.onConnect = () => resolve()
    client.onStompError = (frame) => reject(new Error(frame.body))
    client.activate()
  })
  return client
}

let receipts = 0

function publish(
  client: Client,
  destination: string,
  body: string | Uint8Array<ArrayBuffer>,
  headers: Readonly<Record<string, string>> = {},
): Promise<void> {
  const receipt = `r${++receipts}`
  return new Promise((resolve) => {
    client.watchForReceipt(receipt, () => resolve())
    const all = { persistent: 'true', receipt, ...headers }
    client.publish(typeof body === 'string' ? { destination, body, headers: all } : { destination, binaryBody: body, headers: all })
  })
}

function subscribe(
  client: Client,
  destination: string,
  headers: Readonly<Record<string, string>>,
  each: (message: IMessage) => void = () => {},
): Promise<IMessage[]> {
  const got: IMessage[] = []
  const receipt = `r${++receipts}`
  return new Promise((resolve) => {
    client.watchForReceipt(receipt, () => resolve(got))
    client.subscribe(
      destination,
      (message) => {
        got.push(message)
        each(message)
      },
      { receipt, ...headers },
    )
  })
}

afterEach(async () => {
  for (const client of open.splice(0)) await client.deactivate({ force: true })
})

describe('@stomp/stompjs', () => {
  it('negotiates 1.2 and sends and receives in order', async () => {
    const client = await connect()
    expect(client.connectedVersion).toBe('1.2')
    const got = await subscribe(client, '/queue/stompjs.order', { ack: 'auto' })
    await Promise.all(Array.from({ length: 200 }, (_, i) => publish(client, '/queue/stompjs.order', String(i))))
    await until('200 messages', () => got.length >= 200)
    expect(got.map((each) => each.body)).toEqual(Array.from({ length: 200 }, (_, i) => String(i)))
  })

  it('settles cumulatively with client and one by one with client-individual', async () => {
    for (const ack of ['client', 'client-individual']) {
      const destination = `/queue/stompjs.${ack}`
      const client = await connect()
      for (let i = 0; i < 6; i++) await publish(client, destination, String(i))
      const got = await subscribe(client, destination, { ack }, (message) => {
        if (message.body === '3') message.ack()
      })
      await until('six messages', () => got.length >= 6)
      await client.deactivate()
      const again = await connect()
      const rest = await subscribe(again, destination, { ack: 'auto' })
      await until('what was left', () => rest.length >= (ack === 'client' ? 2 : 5))
      expect(rest.map((each) => each.body)).toEqual(ack === 'client' ? ['4', '5'] : ['0', '1', '2', '4', '5'])
    }
  })

  it('gets a refused message again', async () => {
    const client = await connect()
    await publish(client, '/queue/stompjs.nack', 'again')
    let refused = false
    const got = await subscribe(client, '/queue/stompjs.nack', { ack: 'client-individual' }, (message) => {
      if (refused) message.ack()
      else message.nack()
      refused = true
    })
    await until('the message again', () => got.length >= 2, 15_000)
    expect(got.map((each) => each.headers['redelivered'])).toEqual([undefined, 'true'])
  })

  it('carries binary bodies unchanged', async () => {
    const client = await connect()
    const got = await subscribe(client, '/queue/stompjs.binary', { ack: 'auto' })
    const body = Uint8Array.from({ length: 700 }, (_, i) => i & 255)
    await publish(client, '/queue/stompjs.binary', body, { 'content-length': '700' })
    await until('the message', () => got.length > 0)
    expect(got[0]?.binaryBody).toEqual(body)
  })

  it('keeps a durable subscription while its client is away', async () => {
    const durable = { ack: 'client-individual', id: 'd', 'activemq.subscriptionName': 'news' }
    const first = await connect({ 'client-id': 'stompjs-durable' })
    await subscribe(first, '/topic/stompjs.news', durable)
    await first.deactivate()
    const sender = await connect()
    for (const body of ['1', '2', '3']) await publish(sender, '/topic/stompjs.news', body)
    const again = await connect({ 'client-id': 'stompjs-durable' })
    const got = await subscribe(again, '/topic/stompjs.news', durable, (message) => message.ack())
    await until('three messages', () => got.length >= 3)
    expect(got.map((each) => each.body)).toEqual(['1', '2', '3'])
  })

  it('is told what was wrong by an ERROR frame', async () => {
    const client = await connect()
    const error = new Promise<string>((resolve) => {
      client.onStompError = (frame) => resolve(`${frame.headers['message']} ${frame.body}`)
    })
    client.publish({ destination: '/nowhere/to/be/found', body: 'x' })
    expect(await error).toContain('/nowhere')
  })

  it('stays connected by heart-beats alone', { timeout: 15_000 }, async () => {
    const client = await connect()
    const begun = performance.now()
    await until('three seconds of silence', () => performance.now() - begun > 3000)
    expect(client.connected).toBe(true)
    await publish(client, '/queue/stompjs.alive', 'still here')
  })
})
