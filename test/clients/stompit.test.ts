import { afterEach, describe, expect, it } from 'vitest'
import stompit, { type Client, type Message } from 'stompit'
import { until } from '../wire/bytes.ts'
import { brokerForThisFile } from './clients.ts'

const ports = brokerForThisFile()
const open: Client[] = []

function connect(version = '1.0,1.1,1.2', headers: Readonly<Record<string, string>> = {}): Promise<Client> {
  return new Promise((resolve, reject) => {
    stompit.connect(
      { host: '127.0.0.1', port: ports.stomp, connectHeaders: { 'accept-version': version, 'heart-beat': '1000,1000', ...headers } },
      (error, client) => {
        if (error) {
          reject(error)
          return
        }
        client.on('error', () => {})
        open.push(client)
        resolve(client)
      },
    )
  })
}

function send(client: Client, destination: string, body: string | Buffer, headers: Readonly<Record<string, string>> = {}): Promise<void> {
  return new Promise((resolve, reject) =>
    client.send({ destination, persistent: 'true', ...headers }, { onReceipt: resolve, onError: reject }).end(body),
  )
}

interface Got {
  readonly message: Message
  readonly body: string
}

function subscribe(client: Client, destination: string, ack: string, each: (got: Got) => void = () => {}): Got[] {
  const all: Got[] = []
  client.subscribe({ destination, ack }, (error, message) => {
    if (error) return
    message.readString('utf8', (_error, body = '') => {
      const got = { message, body }
      all.push(got)
      each(got)
    })
  })
  return all
}

afterEach(() => {
  for (const client of open.splice(0)) client.destroy()
})

describe('stompit', () => {
  it.each(['1.0', '1.1', '1.2'])('sends with receipts and receives with ack auto, version %s', async (version) => {
    const client = await connect(version)
    const got = subscribe(client, `/queue/stompit.auto.${version.replace('.', '-')}`, 'auto')
    for (let i = 0; i < 50; i++) await send(client, `/queue/stompit.auto.${version.replace('.', '-')}`, String(i), { count: String(i) })
    await until('50 messages', () => got.length >= 50)
    expect(got.map((each) => each.body)).toEqual(Array.from({ length: 50 }, (_, i) => String(i)))
    expect(got.map((each) => each.message.headers['count'])).toEqual(Array.from({ length: 50 }, (_, i) => String(i)))
  })

  it.each(['1.0', '1.1', '1.2'])('settles one by one with client-individual, version %s', async (version) => {
    const destination = `/queue/stompit.individual.${version.replace('.', '-')}`
    const client = await connect(version)
    for (let i = 0; i < 10; i++) await send(client, destination, String(i))
    let first: Got[] = []
    await new Promise<void>((resolve) => {
      first = subscribe(client, destination, version === '1.0' ? 'client' : 'client-individual', ({ message, body }) => {
        if (version === '1.0' ? body === '4' : Number(body) % 2 === 0) client.ack(message, {}, {})
        if (body === '9') resolve()
      })
    })
    expect(first.length).toBe(10)
    await new Promise<void>((resolve) => client.disconnect(() => resolve()))
    const again = await connect(version)
    const rest = subscribe(again, destination, 'auto')
    await until('five messages again', () => rest.length >= 5)
    expect(rest.map((each) => each.body)).toEqual(version === '1.0' ? ['5', '6', '7', '8', '9'] : ['1', '3', '5', '7', '9'])
    expect(rest.every((each) => each.message.headers['redelivered'] === 'true')).toBe(true)
  })

  it('carries binary bodies and odd headers unchanged', async () => {
    const client = await connect('1.2')
    const body = Buffer.from(Array.from({ length: 1024 }, (_, i) => i & 255))
    const chunks: Buffer[] = []
    let headers: Readonly<Record<string, string>> = {}
    client.subscribe({ destination: '/queue/stompit.binary', ack: 'auto' }, (_error, message) => {
      ;({ headers } = message)
      message.on('data', (chunk: Buffer) => chunks.push(chunk))
    })
    await send(client, '/queue/stompit.binary', body, { 'content-length': String(body.length), 'a:b\n\\c': 'x:y\n\\z', grüße: 'Zürich ☃' })
    await until('the body', () => Buffer.concat(chunks).length >= body.length)
    expect(Buffer.concat(chunks).equals(body)).toBe(true)
    expect(headers['a:b\n\\c']).toBe('x:y\n\\z')
    expect(headers['grüße']).toBe('Zürich ☃')
  })

  it('gets a refused message again', async () => {
    const client = await connect('1.2')
    await send(client, '/queue/stompit.nack', 'again')
    let refused = false
    const got = subscribe(client, '/queue/stompit.nack', 'client-individual', ({ message }) => {
      if (refused) client.ack(message)
      else client.nack(message)
      refused = true
    })
    await until('the message again', () => got.length >= 2, 15_000)
    expect(got.map((each) => each.body)).toEqual(['again', 'again'])
    expect(got[1]?.message.headers['redelivered']).toBe('true')
  })

  it('stays connected by heart-beats alone', { timeout: 15_000 }, async () => {
    const client = await connect('1.2', { 'heart-beat': '300,300' })
    let failed: unknown
    client.on('error', (error: unknown) => {
      failed = error
    })
    const begun = performance.now()
    await until('three seconds of silence', () => performance.now() - begun > 3000)
    await send(client, '/queue/stompit.alive', 'still here')
    expect(failed).toBe(undefined)
  })

  it('gives every topic subscriber a copy', async () => {
    const clients = await Promise.all([connect(), connect(), connect()])
    const got = clients.map((each) => subscribe(each, '/topic/stompit.news', 'auto'))
    // A receipt on the same connection says that its SUBSCRIBE was seen.
    for (const each of clients) await send(each, '/queue/stompit.fence', 'x')
    for (const client of clients) await send(client, '/topic/stompit.news', 'n')
    await until('three copies each', () => got.every((each) => each.length >= 3))
    expect(got.map((each) => each.length)).toEqual([3, 3, 3])
  })
})
