// Raw bytes and stock clients over real sockets, the real core, a journal in memory: what a user of STOMP sees.
// `restart` is kill -9 and takeover of the node. With files and processes the same is tested under test/.
import { connect as connectTcp, type Socket } from 'node:net'
import { Client as StompJs, type IMessage, type IStompSocket } from '@stomp/stompjs'
import mqttClient from 'mqtt'
import stompit, { type Client as Stompit } from 'stompit'
import { afterEach, describe, expect, it } from 'vitest'
import { startNode, stopNodes } from './fake-node.ts'

/** What the types of stompit leave out. */
type Ending = (options: { onReceipt: () => void }) => void
type TransactedStompit = { begin(): Readonly<{ send(headers: object): NodeJS.WritableStream; commit: Ending; abort: Ending }> }

afterEach(stopNodes)

describe('a message', () => {
  it.each(['1.0', '1.1', '1.2'])('sent to a queue is received as it was sent, STOMP %s', async (version) => {
    const node = await startNode()
    const client = await node.client({ version })
    await client.ask('SEND', { destination: '/queue/a.b', persistent: 'true', 'x-y': 'grün' }, 'body 😀')
    await client.ask('SUBSCRIBE', { id: '7', destination: '/queue/a.b' })
    const message = await client.message()
    expect(message.body.toString()).toBe('body 😀')
    expect(message.headers).toMatchObject({ subscription: '7', destination: '/queue/a.b', persistent: 'true', 'x-y': 'grün' })
    expect(message.headers['message-id']).toMatch(/^\d+-\d+$/)
    expect(message.headers).not.toHaveProperty('receipt')
    expect(message.headers).not.toHaveProperty('content-length')
  })

  it('has the same bytes on the wire behind what the broker says, whatever its size', async () => {
    const node = await startNode()
    const client = await node.client()
    for (const size of [0, 1, 2047, 2048, 70_000, 3_000_000]) {
      const body = Buffer.alloc(size, 'a\0b')
      const headers = `b:1\na:x\\cy\nb:2\ncontent-length:${size}\n`
      client.write(Buffer.concat([Buffer.from(`SEND\ndestination:/queue/s${size}\n${headers}\n`), body, Buffer.from('\0')]))
      client.send('SUBSCRIBE', { id: `s${size}`, destination: `/queue/s${size}` })
      const raw = await client.rawMessage()
      const head = raw.indexOf('\n\n') + 1
      expect(raw.subarray(0, head).toString().endsWith(`\n${headers}`), `size ${size}`).toBe(true)
      expect(raw.subarray(head + 1, -1).equals(body), `size ${size}`).toBe(true)
    }
  })

  it('split at every byte arrives whole', async () => {
    const node = await startNode()
    const client = await node.client()
    const frame = Buffer.from('\r\nSEND\r\ndestination:/queue/a\r\nname:ü😀\r\n\r\nbody ü\0\n')
    for (const byte of frame) {
      client.socket.write(Buffer.from([byte]))
      await new Promise((resolve) => setImmediate(resolve))
    }
    client.send('SUBSCRIBE', { id: '1', destination: '/queue/a' })
    const message = await client.message()
    expect(message.headers['name']).toBe('ü😀')
    expect(message.body.toString()).toBe('body ü')
  })

  it('that is durable and acknowledged to its sender outlives the node; the other does not', async () => {
    const node = await startNode()
    const sender = await node.client()
    await sender.ask('SEND', { destination: '/queue/a' }, 'volatile')
    await sender.ask('SEND', { destination: '/queue/a', persistent: 'true' }, 'durable')
    await node.restart()
    const receiver = await node.client()
    await receiver.ask('SUBSCRIBE', { id: '1', destination: '/queue/a', ack: 'client' })
    const message = await receiver.message()
    expect(message.body.toString()).toBe('durable')
    expect(message.headers['redelivered']).toBe('true')
    expect(await receiver.leftOver()).toEqual([])
  })

  it('keeps its message-id through redelivery and takeover, and an answered ACK is the end of it', async () => {
    const node = await startNode()
    const sender = await node.client()
    await sender.ask('SEND', { destination: '/queue/a', persistent: 'true' }, '1')
    const first = await node.client()
    first.send('SUBSCRIBE', { id: '1', destination: '/queue/a', ack: 'client-individual' })
    const before = await first.message()
    expect(before.headers['redelivered']).toBeUndefined()
    first.socket.destroy()
    const second = await node.client()
    second.send('SUBSCRIBE', { id: '1', destination: '/queue/a', ack: 'client-individual' })
    const again = await second.message()
    expect(again.headers).toMatchObject({ 'message-id': before.headers['message-id'], redelivered: 'true' })
    await node.restart()
    const third = await node.client({ version: '1.1' })
    third.send('SUBSCRIBE', { id: '1', destination: '/queue/a', ack: 'client-individual' })
    const later = await third.message()
    expect(later.headers).toMatchObject({ 'message-id': before.headers['message-id'], redelivered: 'true' })
    await third.ask('ACK', { subscription: '1', 'message-id': later.headers['message-id'] })
    await node.restart()
    const fourth = await node.client()
    await fourth.ask('SUBSCRIBE', { id: '1', destination: '/queue/a' })
    expect(await fourth.leftOver()).toEqual([])
  })

  it('that is refused by NACK comes back, in its place, and after six times is a dead letter that says why', async () => {
    const node = await startNode()
    const client = await node.client()
    for (const body of ['poison', 'good']) await client.ask('SEND', { destination: '/queue/a', persistent: 'true', type: 't' }, body)
    client.send('SUBSCRIBE', { id: '1', destination: '/queue/a', ack: 'client-individual', 'activemq.prefetchSize': '1' })
    for (let i = 0; i < 6; i++) {
      const message = await client.message()
      expect(message.body.toString()).toBe('poison')
      expect(message.headers['redelivered']).toBe(i === 0 ? undefined : 'true')
      client.send('NACK', { id: message.headers['ack'] })
    }
    expect((await client.message()).body.toString()).toBe('good')
    client.send('SUBSCRIBE', { id: '2', destination: '/queue/ActiveMQ.DLQ' })
    const dead = await client.message()
    expect(dead.body.toString()).toBe('poison')
    expect(dead.headers).toMatchObject({ destination: '/queue/ActiveMQ.DLQ', 'original-destination': '/queue/a', type: 't' })
    expect(dead.headers['dlqDeliveryFailureCause']).toContain('6')
  })

  it('that expired is not delivered', async () => {
    const node = await startNode()
    const client = await node.client()
    await client.ask('SEND', { destination: '/queue/a', expires: String(node.core.clock.wallMs() - 1) }, 'late')
    await client.ask('SUBSCRIBE', { id: '1', destination: '/queue/a' })
    expect(await client.leftOver()).toEqual([])
  })

  it('says its priority, expiry and group as its sender did', async () => {
    const node = await startNode()
    const client = await node.client()
    const headers = { priority: '7', expires: String(node.core.clock.wallMs() + 1000), JMSXGroupID: 'g' }
    await client.ask('SEND', { destination: '/queue/a', ...headers }, 'x')
    client.send('SUBSCRIBE', { id: '1', destination: '/queue/a' })
    expect((await client.message()).headers).toMatchObject(headers)
  })
})

describe('acknowledgement', () => {
  it('with ack:client covers all before it', async () => {
    const node = await startNode()
    const client = await node.client()
    for (let i = 0; i < 5; i++) await client.ask('SEND', { destination: '/queue/a', persistent: 'true' }, String(i))
    client.send('SUBSCRIBE', { id: '1', destination: '/queue/a', ack: 'client' })
    const messages = []
    for (let i = 0; i < 5; i++) messages.push(await client.message())
    await client.ask('ACK', { id: messages[2].headers['ack'] })
    await client.ask('UNSUBSCRIBE', { id: '1' })
    client.send('SUBSCRIBE', { id: '2', destination: '/queue/a' })
    expect((await client.message()).body.toString()).toBe('3')
    expect((await client.message()).body.toString()).toBe('4')
    expect(await client.leftOver()).toEqual([])
  })

  it('of a message twice ends the connection with an ERROR, and nobody else is disturbed', async () => {
    const node = await startNode()
    const [client, other] = [await node.client(), await node.client()]
    await other.ask('SUBSCRIBE', { id: '1', destination: '/queue/b' })
    await client.ask('SEND', { destination: '/queue/a' }, 'x')
    client.send('SUBSCRIBE', { id: '1', destination: '/queue/a', ack: 'client-individual' })
    const { headers } = await client.message()
    await client.ask('ACK', { id: headers['ack'] })
    client.send('ACK', { id: headers['ack'], receipt: 'r' })
    const error = await client.error()
    expect(error.headers).toMatchObject({ 'receipt-id': 'r', 'content-type': 'text/plain;charset=utf-8' })
    expect(error.headers['message']).toContain('outstanding')
    await client.closed
    await other.ask('SEND', { destination: '/queue/b' }, 'still here')
    expect((await other.message()).body.toString()).toBe('still here')
  })

  it('respects the prefetch', async () => {
    const node = await startNode()
    const client = await node.client()
    for (let i = 0; i < 6; i++) await client.ask('SEND', { destination: '/queue/a' }, String(i))
    client.send('SUBSCRIBE', { id: '1', destination: '/queue/a', ack: 'client-individual', 'activemq.prefetchSize': '2' })
    const first = await client.message()
    await client.message()
    expect(await client.leftOver()).toEqual([])
    client.send('ACK', { id: first.headers['ack'] })
    expect((await client.message()).body.toString()).toBe('2')
    expect(await client.leftOver()).toEqual([])
  })
})

describe('a transaction', () => {
  it('shows its sends with COMMIT, all of them and in order, and takes what was acknowledged in it', async () => {
    const node = await startNode()
    const [client, other] = [await node.client(), await node.client()]
    await client.ask('SEND', { destination: '/queue/in', persistent: 'true' }, 'request')
    client.send('SUBSCRIBE', { id: '1', destination: '/queue/in', ack: 'client-individual' })
    const request = await client.message()
    other.send('SUBSCRIBE', { id: '1', destination: '/queue/out' })
    await client.ask('BEGIN', { transaction: 'tx 1' })
    for (const body of ['1', '2', '3']) await client.ask('SEND', { destination: '/queue/out', persistent: 'true', transaction: 'tx 1' }, body)
    await client.ask('SEND', { destination: '/queue/out', transaction: 'tx 1' }, 'volatile')
    await client.ask('ACK', { id: request.headers['ack'], transaction: 'tx 1' })
    expect(await other.leftOver()).toEqual([])
    await client.ask('COMMIT', { transaction: 'tx 1' })
    const bodies = []
    for (let i = 0; i < 4; i++) {
      const message = await other.message()
      expect(message.headers).not.toHaveProperty('transaction')
      bodies.push(message.body.toString())
    }
    expect(bodies).toEqual(['1', '2', '3', 'volatile'])
    client.socket.destroy()
    const next = await node.client()
    next.send('SUBSCRIBE', { id: '1', destination: '/queue/in' })
    expect(await next.leftOver()).toEqual([])
  })

  it.each(['ABORT', 'DISCONNECT', 'the end of the connection', 'the end of the node'])('leaves nothing behind after %s', async (end) => {
    const node = await startNode()
    const client = await node.client()
    await client.ask('SEND', { destination: '/queue/in', persistent: 'true' }, 'request')
    client.send('SUBSCRIBE', { id: '1', destination: '/queue/in', ack: 'client' })
    const request = await client.message()
    await client.ask('BEGIN', { transaction: 't' })
    await client.ask('SEND', { destination: '/queue/out', persistent: 'true', transaction: 't' }, '1')
    await client.ask('ACK', { id: request.headers['ack'], transaction: 't' })
    if (end === 'ABORT') await client.ask('ABORT', { transaction: 't' })
    else if (end === 'DISCONNECT') await client.ask('DISCONNECT', {})
    else if (end === 'the end of the node') await node.restart()
    else client.socket.destroy()
    if (end === 'ABORT') await client.ask('ACK', { id: request.headers['ack'] })
    const next = await node.client()
    next.send('SUBSCRIBE', { id: 'in', destination: '/queue/in' })
    next.send('SUBSCRIBE', { id: 'out', destination: '/queue/out' })
    const came = end === 'ABORT' ? [] : [(await next.message()).headers]
    expect(came.map((headers) => [headers['subscription'], headers['redelivered']])).toEqual(end === 'ABORT' ? [] : [['in', 'true']])
    expect(await next.leftOver()).toEqual([])
  })

  it('that is committed outlives the node, with large messages too', async () => {
    const node = await startNode()
    const client = await node.client()
    client.send('BEGIN', { transaction: 't' })
    const sizes = [10, 1_000_000, 20]
    for (const size of sizes) client.send('SEND', { destination: '/queue/a', persistent: 'true', transaction: 't' }, 'x'.repeat(size))
    await client.ask('COMMIT', { transaction: 't' })
    await node.restart()
    const next = await node.client()
    next.send('SUBSCRIBE', { id: '1', destination: '/queue/a' })
    for (const size of sizes) expect((await next.message()).body.length).toBe(size)
  })

  it('that is too old ends with its connection', async () => {
    const node = await startNode({}, { limits: { transactionAgeMs: 250 } })
    const client = await node.client()
    await client.ask('BEGIN', { transaction: 't' })
    await client.ask('SEND', { destination: '/queue/a', transaction: 't' }, 'x')
    node.core.clock.advance(1_000)
    client.send('COMMIT', { transaction: 't', receipt: 'r' })
    const error = await client.error()
    expect(error.headers['message']).toContain('limits.transactionAgeMs')
    expect(node.core.core.figures().entries).toBe(0)
  })

  it('of stompjs and stompit', async () => {
    const node = await startNode()
    const receiver = await node.client()
    receiver.send('SUBSCRIBE', { id: '1', destination: '/queue/a' })
    const js = new StompJs({ webSocketFactory: () => new TcpAsWebSocket(node.port), reconnectDelay: 0 })
    node.cleanups.push(() => void js.deactivate({ force: true }))
    await new Promise<void>((resolve) => {
      js.onConnect = () => resolve()
      js.activate()
    })
    for (const end of ['abort', 'commit'] as const) {
      const transaction = js.begin()
      for (const body of ['1', '2']) js.publish({ destination: '/queue/a', headers: { transaction: transaction.id }, body: `${end} ${body}` })
      transaction[end]()
    }
    expect((await receiver.message()).body.toString()).toBe('commit 1')
    expect((await receiver.message()).body.toString()).toBe('commit 2')
    const it = await new Promise<Stompit & TransactedStompit>((resolve, reject) =>
      stompit.connect({ host: '127.0.0.1', port: node.port }, (error, connected) =>
        error === null ? resolve(connected as Stompit & TransactedStompit) : reject(error),
      ),
    )
    node.cleanups.push(() => it.destroy())
    for (const end of ['abort', 'commit'] as const) {
      const transaction = it.begin()
      for (const body of ['1', '2']) {
        const frame = transaction.send({ destination: '/queue/a' })
        frame.end(`stompit ${end} ${body}`)
      }
      await new Promise<void>((resolve) => transaction[end]({ onReceipt: () => resolve() }))
    }
    expect((await receiver.message()).body.toString()).toBe('stompit commit 1')
    expect((await receiver.message()).body.toString()).toBe('stompit commit 2')
    expect(await receiver.leftOver()).toEqual([])
  })
})

describe('a browser', () => {
  it.each(['1.0', '1.1', '1.2'])('sees what is on the queue, then browser:end, and takes nothing, STOMP %s', async (version) => {
    const node = await startNode()
    const client = await node.client({ version })
    for (let i = 0; i < 2_500; i++) client.send('SEND', { destination: '/queue/a', persistent: 'true' }, String(i))
    await client.ask('SEND', { destination: '/queue/a' }, 'last')
    client.send('SUBSCRIBE', { id: 'b', destination: '/queue/a', browser: 'true', ack: 'client' })
    for (let i = 0; i <= 2_500; i++) {
      const message = await client.message()
      expect(message.body.toString()).toBe(i === 2_500 ? 'last' : String(i))
      expect(message.headers).not.toHaveProperty('ack')
      expect(message.headers).not.toHaveProperty('browser')
    }
    expect((await client.message()).headers).toEqual({ subscription: 'b', destination: '/queue/a', 'message-id': '0', browser: 'end' })
    await client.ask('SEND', { destination: '/queue/a' }, 'not seen any more')
    await client.ask('UNSUBSCRIBE', { id: 'b' })
    await client.ask('SUBSCRIBE', { id: 'c', destination: '/queue/a' })
    const first = await client.message()
    expect([first.body.toString(), first.headers['redelivered']]).toEqual(['0', undefined])
  })

  it('goes on where it was when its socket has drained', async () => {
    const node = await startNode()
    const client = await node.client()
    const body = 'x'.repeat(100_000)
    for (let i = 0; i < 100; i++) await client.ask('SEND', { destination: '/queue/large', persistent: 'true' }, `${i} ${body}`)
    client.socket.pause()
    client.send('SUBSCRIBE', { id: 'b', destination: '/queue/large', browser: 'true' })
    await new Promise((resolve) => setImmediate(resolve))
    client.socket.resume()
    for (let i = 0; i < 100; i++) expect((await client.message()).body.toString().startsWith(`${i} x`)).toBe(true)
    expect((await client.message()).headers['browser']).toBe('end')
  })
})

describe('topics', () => {
  it('reach every matching subscription, by wildcards too, and nobody who comes later', async () => {
    const node = await startNode()
    const [client, publisher] = [await node.client(), await node.client()]
    const patterns = ['/topic/a.b', '/topic/a.*', '/topic/a.>', '/topic/>', '/topic/*.c', '/topic/a']
    for (const [i, destination] of patterns.entries()) await client.ask('SUBSCRIBE', { id: String(i), destination })
    await publisher.ask('SEND', { destination: '/topic/a.b' }, 'x')
    const got = [await client.message(), await client.message(), await client.message(), await client.message()]
    expect(got.map((each) => each.headers['subscription']).sort()).toEqual(['0', '1', '2', '3'])
    expect(new Set(got.map((each) => each.headers['destination']))).toEqual(new Set(['/topic/a.b']))
    await publisher.ask('SUBSCRIBE', { id: 'late', destination: '/topic/a.b' })
    expect(await publisher.leftOver()).toEqual([])
    await publisher.ask('SEND', { destination: '/topic/a' }, 'parent')
    const parents = [await client.message(), await client.message(), await client.message()]
    expect(parents.map((each) => each.headers['subscription']).sort()).toEqual(['2', '3', '5'])
  })

  it('leave nothing behind when their subscriber goes', async () => {
    const node = await startNode()
    const client = await node.client()
    await client.ask('SUBSCRIBE', { id: '1', destination: '/topic/a' })
    expect(node.core.core.figures().queues).toBe(1)
    await client.ask('UNSUBSCRIBE', { id: '1' })
    expect(node.core.core.figures()).toMatchObject({ queues: 0, bindings: 0 })
    await client.ask('SUBSCRIBE', { id: '2', destination: '/topic/a' })
    client.socket.destroy()
    await client.closed
    await node.core.until(() => node.core.core.figures().queues === 0)
  })

  it('with a selector have the whole of limits.selectorBytes for it, of a queue, of a topic and of what is browsed', async () => {
    const node = await startNode({}, { limits: { selectorBytes: 9 } })
    const client = await node.client()
    for (const [id, headers] of Object.entries({
      q: { destination: '/queue/a' },
      t: { destination: '/topic/a' },
      b: { destination: '/queue/b', browser: 'true' },
    }))
      await client.ask('SUBSCRIBE', { id, selector: 'size > 10', ...headers })
    expect((await client.message()).headers.browser).toBe('end')
    client.send('SUBSCRIBE', { id: 'more', destination: '/queue/a', selector: 'size > 100' })
    expect((await client.error()).headers['message']).toContain('a selector of 10 bytes exceeds limits.selectorBytes (9)')
  })

  it('with a durable subscription are kept while its client is away, over a takeover, until it is deleted', async () => {
    const node = await startNode()
    const me = { 'client-id': 'me' }
    const subscription = { id: '1', destination: '/topic/news.>', 'activemq.subscriptionName': 'n', ack: 'client-individual' }
    const first = await node.client({ headers: me })
    await first.ask('SUBSCRIBE', subscription)
    await first.ask('DISCONNECT', {})
    const publisher = await node.client()
    await publisher.ask('SEND', { destination: '/topic/news.sport', persistent: 'true' }, 'kept')
    await node.restart()
    const second = await node.client({ headers: me })
    await second.ask('SUBSCRIBE', subscription)
    const message = await second.message()
    expect(message.body.toString()).toBe('kept')
    expect(message.headers['destination']).toBe('/topic/news.sport')
    await second.ask('ACK', { id: message.headers['ack'] })
    await second.ask('UNSUBSCRIBE', { id: '1', 'activemq.subscriptionName': 'n' })
    expect(node.core.core.figures()).toMatchObject({ bindings: 0 })
  })

  it('with a selector are given what it takes, of a queue, of a topic and of what is browsed', async () => {
    const node = await startNode()
    const client = await node.client()
    await client.ask('SUBSCRIBE', { id: 'q', destination: '/queue/a', selector: "color = 'red'" })
    await client.ask('SUBSCRIBE', { id: 't', destination: '/topic/a', selector: "JMSCorrelationID = 'c' OR convert_string_expressions" })
    // Headers are text: beside a number they are read as one, whether that is asked for or not.
    await client.ask('SUBSCRIBE', { id: 'n', destination: '/topic/a', selector: 'convert_string_expressions:size > 10' })
    await client.ask('SUBSCRIBE', { id: 'm', destination: '/topic/a', selector: 'size > 10' })
    for (const destination of ['/queue/a', '/topic/a']) {
      await client.ask('SEND', { destination, color: 'blue', size: '9', 'correlation-id': 'c' }, `${destination} blue`)
      await client.ask('SEND', { destination, color: 'red', size: '11' }, `${destination} red`)
    }
    const got = []
    for (let i = 0; i < 4; i++) {
      const { headers, body } = await client.message()
      got.push(`${headers.subscription}: ${body.toString()}`)
    }
    expect(got.sort()).toEqual(['m: /topic/a red', 'n: /topic/a red', 'q: /queue/a red', 't: /topic/a blue'])
    await client.ask('SUBSCRIBE', { id: 'b', destination: '/queue/a', browser: 'true', selector: "color <> 'red'" })
    expect((await client.message()).body.toString()).toBe('/queue/a blue')
    expect((await client.message()).headers.browser).toBe('end')
  })

  it('with noLocal are not given what their own client sends', async () => {
    const node = await startNode()
    const [own, other] = [await node.client(), await node.client()]
    await own.ask('SUBSCRIBE', { id: 't', destination: '/topic/a', 'activemq.noLocal': 'true' })
    for (const client of [own, other]) await client.ask('SEND', { destination: '/topic/a' }, client === own ? 'own' : 'other')
    expect((await own.message()).body.toString()).toBe('other')
  })

  it('with a durable subscription that comes back with another selector are of that selector alone', async () => {
    const node = await startNode()
    const client = await node.client({ headers: { 'client-id': 'me' } })
    const durable = { id: '1', destination: '/topic/a', 'activemq.subscriptionName': 'n' }
    await client.ask('SUBSCRIBE', { ...durable, selector: "color = 'red'" })
    await client.ask('UNSUBSCRIBE', { id: '1' })
    await client.ask('SEND', { destination: '/topic/a', color: 'red', persistent: 'true' }, 'red')
    await client.ask('SUBSCRIBE', { ...durable, selector: "color = 'blue'" })
    await client.ask('SEND', { destination: '/topic/a', color: 'red', persistent: 'true' }, 'red again')
    await client.ask('SEND', { destination: '/topic/a', color: 'blue', persistent: 'true' }, 'blue')
    expect((await client.message()).body.toString()).toBe('blue')
  })

  it('with a durable subscription lose nothing that waits, though its selector was stored with the prefix that converts', async () => {
    const node = await startNode()
    const client = await node.client({ headers: { 'client-id': 'me' } })
    const durable = { id: '1', destination: '/topic/a', 'activemq.subscriptionName': 'n' }
    await client.ask('SUBSCRIBE', { ...durable, selector: 'size > 10' })
    await client.ask('UNSUBSCRIBE', { id: '1' })
    const { session } = node.core.client()
    const queue = node.core.core.address('queue', ['durable', 'me', 'n'], 'stomp')
    expect(session.boundTo(queue)).toMatchObject([{ selector: 'size > 10' }])
    const earlier = {
      pattern: ['a'],
      queue,
      tag: 0,
      settle: 'settled',
      absent: 'keep',
      retained: 'never',
      selector: 'convert_string_expressions:size > 10',
    } as const
    expect(session.bind(earlier)).toBeGreaterThan(0)
    await client.ask('SEND', { destination: '/topic/a', size: '11', persistent: 'true' }, 'waits')
    await node.restart()
    const back = await node.client({ headers: { 'client-id': 'me' } })
    await back.ask('SUBSCRIBE', { ...durable, selector: 'size > 10' })
    expect((await back.message()).body.toString()).toBe('waits')
    expect(node.core.client().session.boundTo(queue)).toMatchObject([{ selector: 'size > 10' }])
  })

  it('with a durable subscription that comes back with another topic are of that topic alone, and lose nothing', async () => {
    const node = await startNode()
    const client = await node.client({ headers: { 'client-id': 'me' } })
    const durable = { id: '1', 'activemq.subscriptionName': 'n', ack: 'client-individual' }
    await client.ask('SUBSCRIBE', { ...durable, destination: '/topic/old', 'activemq.prefetchSize': '1' })
    await client.ask('SEND', { destination: '/topic/old', persistent: 'true' }, 'before')
    await client.message()
    await client.ask('UNSUBSCRIBE', { id: '1' })
    await client.ask('SUBSCRIBE', { ...durable, destination: '/topic/new' })
    expect((await client.message()).body.toString()).toBe('before')
    await client.ask('SEND', { destination: '/topic/old', persistent: 'true' }, 'nobody')
    await client.ask('SEND', { destination: '/topic/new', persistent: 'true' }, 'after')
    expect((await client.message()).body.toString()).toBe('after')
  })

  it('keep a retained message for MQTT and for who subscribes retroactively', async () => {
    const node = await startNode()
    const client = await node.client()
    await client.ask('SEND', { destination: '/topic/a.b', 'ActiveMQ.Retain': 'true', persistent: 'true' }, 'kept')
    await client.ask('SUBSCRIBE', { id: '1', destination: '/topic/a.b' })
    expect(await client.leftOver()).toEqual([])
    client.send('SUBSCRIBE', { id: '2', destination: '/topic/a.*', 'activemq.retroactive': 'true' })
    const message = await client.message()
    expect(message.headers).toMatchObject({ subscription: '2', 'ActiveMQ.Retained': 'true' })
    expect(message.body.toString()).toBe('kept')
  })
})

describe('limits and back-pressure', () => {
  it('a queue that nobody declared is refused where the configuration makes none', async () => {
    const node = await startNode({}, { destinations: { autoCreate: false } })
    const client = await node.client()
    client.send('SEND', { destination: '/queue/a', receipt: '1' }, 'x')
    await client.closed
    const error = await client.error()
    expect([error.command, error.headers['receipt-id']]).toEqual(['ERROR', '1'])
    expect(error.body.toString()).toContain('destinations.autoCreate')
  })

  it('a client with prefetch 1 that fills the full queue it consumes from goes on', async () => {
    const node = await startNode({}, { destinations: { limitMessages: 10 } })
    const client = await node.client()
    const count = 3000
    let received = 0
    let answered = 0
    let disordered = 0
    const finished = new Promise<void>((resolve) => {
      client.onFrame = (frame) => {
        if (frame.command === 'RECEIPT') answered++
        if (frame.command === 'MESSAGE') {
          if (frame.body.toString() !== String(received++)) disordered++
          client.send('ACK', { id: frame.headers['ack'] })
        }
        if (answered === count && received === count) resolve()
      }
    })
    client.send('SUBSCRIBE', { id: '1', destination: '/queue/a', ack: 'client-individual', 'activemq.prefetchSize': '1' })
    let sent = 0
    while (sent < count) {
      for (let i = 0; i < 100; i++) client.send('SEND', { destination: '/queue/a', persistent: 'true', receipt: `r${sent}` }, String(sent++))
      await node.core.until(() => answered >= sent - 800)
    }
    await finished
    expect(disordered).toBe(0)
  })

  it('more waiting sends than allowed are an ERROR that names the limit', async () => {
    const node = await startNode({}, { destinations: { limitMessages: 1 }, limits: { parkedMessages: 3 } })
    const client = await node.client()
    for (let i = 0; i < 5; i++) client.send('SEND', { destination: '/queue/a', receipt: `r${i}` }, 'x')
    const error = await client.error()
    expect(error.headers).toMatchObject({ 'receipt-id': 'r4' })
    expect(error.headers['message']).toMatch(/parkedMessages/)
    await client.closed
  })

  it('a subscriber that does not read costs bounded output, and gets everything when it reads', async () => {
    const node = await startNode()
    const [slow, sender] = [await node.client(), await node.client()]
    await slow.ask('SUBSCRIBE', { id: '1', destination: '/queue/a' })
    slow.socket.pause()
    const body = 'y'.repeat(10_000)
    for (let i = 0; i < 3000; i++) sender.send('SEND', { destination: '/queue/a', ...(i === 2999 ? { receipt: 'last' } : {}) }, body)
    await sender.receipt('last')
    expect(slow.socket.destroyed).toBe(false)
    let received = 0
    const all = new Promise<void>((resolve) => {
      slow.onFrame = () => {
        if (++received === 3000) resolve()
      }
    })
    slow.socket.resume()
    await all
  })

  it('a body beyond the limit is an ERROR', async () => {
    const node = await startNode({ bodyBytesMax: 100 })
    const client = await node.client()
    client.send('SEND', { destination: '/queue/a' }, 'x'.repeat(101))
    expect((await client.error()).headers['message']).toContain('bodyBytesMax')
    await client.closed
  })

  it('garbage ends its own connection only', async () => {
    const node = await startNode()
    const good = await node.client()
    for (const bytes of [
      'GET / HTTP/1.1\r\n\r\n',
      '\x16\x03\x01\0',
      'CONNECT\n\n\0SEND\n__proto__\n\n\0',
      'CONNECT\n\n\0SUBSCRIBE\nid:1\n\nboom\0',
    ]) {
      const bad = await node.raw()
      bad.write(Buffer.from(bytes, 'latin1'))
      expect((await bad.error()).command).toBe('ERROR')
      await bad.closed
    }
    await good.ask('SEND', { destination: '/queue/a', hasOwnProperty: '1', __proto__x: '2' }, 'x')
  })
})

describe('connections', () => {
  it('with the same client-id are refused while the first lives', async () => {
    const node = await startNode()
    await node.client({ headers: { 'client-id': 'me' } })
    const second = await node.raw()
    second.send('CONNECT', { 'accept-version': '1.2', 'client-id': 'me' })
    expect((await second.error()).headers['message']).toContain('client id me is connected')
  })

  it('take over where the configuration says so; the first is told without a receipt', async () => {
    const node = await startNode({ clientIdClash: 'take-over' })
    const first = await node.client({ headers: { 'client-id': 'me' } })
    await node.client({ headers: { 'client-id': 'me' } })
    expect((await first.error()).headers).not.toHaveProperty('receipt-id')
    await first.closed
  })

  it('end with DISCONNECT after everything was answered', async () => {
    const node = await startNode()
    const client = await node.client()
    for (let i = 0; i < 100; i++) client.send('SEND', { destination: '/queue/a', persistent: 'true' }, String(i))
    await client.ask('DISCONNECT', {})
    await client.closed
    const next = await node.client()
    next.send('SUBSCRIBE', { id: '1', destination: '/queue/a' })
    for (let i = 0; i < 100; i++) expect((await next.message()).body.toString()).toBe(String(i))
  })
})

describe('beside MQTT', () => {
  it('topics cross both ways, with the fields that both carry', async () => {
    const node = await startNode()
    const stompClient = await node.client()
    const mqttPort = node.mqttPort
    const client = mqttClient.connect({ host: '127.0.0.1', port: mqttPort, reconnectPeriod: 0 })
    node.cleanups.push(() => client.end(true))
    await new Promise<void>((resolve) => client.once('connect', () => resolve()))
    await stompClient.ask('SUBSCRIBE', { id: '1', destination: '/topic/sensors.*' })
    await client.publishAsync('sensors/a', Buffer.from([0, 1, 2]), { qos: 1 })
    const message = await stompClient.message()
    expect(message.headers).toMatchObject({
      destination: '/topic/sensors.a',
      persistent: 'true',
      priority: '4',
      'ActiveMQ.MQTT.QoS': '1',
      'content-length': '3',
    })
    expect(message.body).toEqual(Buffer.from([0, 1, 2]))
    await client.subscribeAsync('from/+/#', { qos: 1 })
    const arrived = new Promise<{ topic: string; payload: string; qos: number }>((resolve) =>
      client.once('message', (topic, payload, packet) => resolve({ topic, payload: payload.toString(), qos: packet.qos })),
    )
    await stompClient.ask('SEND', { destination: '/topic/from.a/b.c', persistent: 'true' }, 'grün')
    expect(await arrived).toEqual({ topic: 'from/a.b/c', payload: 'grün', qos: 1 })
  })
})

describe('stock clients', () => {
  it.each(['1.0', '1.1', '1.2'])('stompit sends, receives and acknowledges, version %s', async (version) => {
    const node = await startNode()
    const client = await new Promise<Stompit>((resolve, reject) =>
      stompit.connect(
        { host: '127.0.0.1', port: node.port, connectHeaders: { 'accept-version': version, 'heart-beat': '1000,1000' } },
        (error, connected) => (error === null ? resolve(connected) : reject(error)),
      ),
    )
    node.cleanups.push(() => client.destroy())
    for (const body of ['1', '2']) {
      await new Promise<void>((resolve) => client.send({ destination: '/queue/a', persistent: 'true' }, { onReceipt: resolve }).end(body))
    }
    const bodies: string[] = []
    await new Promise<void>((resolve) =>
      client.subscribe({ destination: '/queue/a', ack: 'client' }, (_, message) =>
        message.readString('utf8', (_failed, body) => {
          bodies.push(body ?? '')
          client.ack(message)
          if (bodies.length === 2) resolve()
        }),
      ),
    )
    expect(bodies).toEqual(['1', '2'])
    await new Promise<void>((resolve) => client.disconnect(() => resolve()))
    const next = await node.client()
    await next.ask('SUBSCRIBE', { id: '1', destination: '/queue/a' })
    expect(await next.leftOver()).toEqual([])
  })

  it('stompjs sends, receives, refuses and acknowledges', async () => {
    const node = await startNode()
    const client = new StompJs({
      webSocketFactory: () => new TcpAsWebSocket(node.port),
      reconnectDelay: 0,
      heartbeatIncoming: 1000,
      heartbeatOutgoing: 1000,
    })
    node.cleanups.push(() => void client.deactivate())
    await new Promise<void>((resolve) => {
      client.onConnect = () => resolve()
      client.activate()
    })
    const got: IMessage[] = []
    const done = new Promise<void>(
      (resolve) =>
        client.subscribe(
          '/queue/a',
          (message) => {
            got.push(message)
            if (got.length === 1) message.nack()
            else message.ack({ receipt: 'acked' })
          },
          { ack: 'client-individual' },
        ) && client.watchForReceipt('acked', () => resolve()),
    )
    client.publish({ destination: '/queue/a', body: 'grün', headers: { ab: 'c:\nd' } })
    await done
    expect(got.map((message) => [message.body, message.headers['ab'], message.headers['redelivered']])).toEqual([
      ['grün', 'c:\nd', undefined],
      ['grün', 'c:\nd', 'true'],
    ])
  })
})

/** stompjs wants a WebSocket: here it gets one that is a TCP socket. */
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
    this.#socket.on('data', (bytes) => this.onmessage?.({ data: new Uint8Array(bytes).buffer }))
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
