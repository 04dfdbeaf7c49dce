// A whole node and its management interface over HTTP: what operators see of messages that real clients sent, and what hostile requests get.
import mqtt from 'mqtt'
import rhea, { type Connection, type Receiver } from 'rhea'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type RunningBroker, startBroker } from './support/broker.ts'

let broker: RunningBroker
let amqp: Connection
beforeAll(async () => {
  broker = await startBroker({ settings: { destinations: { failuresMax: 1, deadLetter: 'DLQ' } } })
  amqp = rhea.create_container().connect({ host: '127.0.0.1', port: broker.port('amqp'), reconnect: false, container_id: 'app' })
  await new Promise((resolve) => amqp.once('connection_open', resolve))
})
afterAll(async () => {
  amqp.close()
  await broker.stop()
})

async function ask(method: string, path: string) {
  const response = await fetch(`http://${broker.address('http')}${path}`, { method })
  // oxlint-disable-next-line typescript/no-explicit-any -- what a test reads of JSON, it checks.
  return { status: response.status, body: JSON.parse(await response.text()) as any }
}

async function send(address: string, ...messages: readonly object[]): Promise<void> {
  const sender = amqp.open_sender(address)
  await new Promise((resolve) => sender.once('sendable', resolve))
  for (const message of messages) {
    const accepted = new Promise((resolve) => sender.once('accepted', resolve))
    sender.send({ durable: true, ...message } as never)
    await accepted
  }
  sender.close()
}

/** Until it is so; every look is a request. */
async function until(so: () => Promise<boolean>): Promise<void> {
  while (!(await so())) await new Promise((resolve) => setImmediate(resolve))
}

describe('a message explained', () => {
  it('is shown as every protocol would show it, with what each loses and why', async () => {
    await send('explained.a', {
      body: { a: 1 },
      correlation_id: 'c-1',
      subject: 'Order',
      content_type: 'application/x-test',
      application_properties: { weight: rhea.types.wrap_int(7) },
    })
    const { status, body } = await ask('GET', '/api/explain?queue=explained.a')
    expect(status).toBe(200)
    expect(body.message).toMatchObject({ sequence: 1, state: 'ready', protocol: 'amqp', sentTo: 'queue explained.a', durable: true, priority: 4 })
    const views = Object.fromEntries(body.protocols.map((view: { protocol: string }) => [view.protocol, view]))
    expect(views.amqp).toMatchObject({ own: true, destination: 'queue://explained.a', lost: [] })
    expect(views.amqp.fields).toContainEqual(['application-properties.weight', '7 (int)'])
    expect(views.amqp.fields).toContainEqual(['properties.subject', 'Order'])
    expect(views.amqp.body).toEqual({ kind: 'amqp-value map', bytes: 7, text: '{"a":1}' })
    expect(views.stomp).toMatchObject({ own: false, destination: '/queue/explained.a', body: { kind: 'map', text: '{"a":1}' } })
    expect(views.stomp.fields).toContainEqual(['correlation-id', 'c-1'])
    expect(views.stomp.lost.find(({ field }: { field: string }) => field === 'propertyTypes')).toMatchObject({ rule: 'stomp-text-headers' })
    expect(views.mqtt.body).toMatchObject({ kind: 'payload', text: '{"a":1}' })
    const lost = views.mqtt.lost.map(({ field, rule }: { field: string; rule: string }) => [field, rule])
    for (const field of ['correlationId', 'type', 'contentType', 'properties']) expect(lost).toContainEqual([field, 'mqtt-payload-only'])
    expect(lost).toContainEqual(['bodyKind', 'mqtt-bytes'])
    // Explaining counts nothing as lost: nobody was given it.
    expect((await ask('GET', '/api/status')).body.broker.conversionLosses).toEqual({})
  })

  it('is found by sequence, by index, or as the last one', async () => {
    await send('explained.b', { body: 'one' }, { body: 'two' }, { body: 'three' })
    const of = async (query: string) => (await ask('GET', `/api/explain?queue=explained.b&${query}`)).body.message.body.text
    expect(await of('sequence=2')).toBe('two')
    expect(await of('index=0')).toBe('one')
    expect(await of('last=true')).toBe('three')
    expect((await ask('GET', '/api/explain?queue=explained.b&sequence=9')).status).toBe(404)
    expect((await ask('GET', '/api/explain?queue=explained.b&index=9')).status).toBe(404)
    expect((await ask('GET', '/api/explain?queue=nowhere')).status).toBe(404)
  })

  it('says of a dead letter where it came from, and goes back there', async () => {
    await send('died', { body: 'x' })
    const receiver: Receiver = amqp.open_receiver({ source: 'died', autoaccept: false } as never)
    receiver.once('message', ({ delivery }) => delivery?.reject({ condition: 'app:no', description: 'not like this' } as never))
    await until(async () => (await ask('GET', '/api/queues/DLQ/messages')).body.messages?.length === 1)
    receiver.close()
    const { body } = await ask('GET', '/api/explain?queue=DLQ')
    expect(body.message.dead).toEqual({ reason: 'app:no: not like this', origin: 'queue died' })
    const stomp = body.protocols.find(({ protocol }: { protocol: string }) => protocol === 'stomp')
    expect(stomp.fields).toContainEqual(['original-destination', '/queue/died'])
    const redriven = await ask('POST', '/api/queues/DLQ/redrive')
    expect(redriven).toEqual({ status: 200, body: { moved: 1, to: { died: 1 }, left: 0 } })
    expect((await ask('GET', '/api/queues/died/messages')).body.messages[0]).toMatchObject({ attempts: 0, failures: 0 })
  })
})

describe('a queue', () => {
  it('is shown in pages, with as much of each body as was asked for', async () => {
    await send('paged', ...Array.from({ length: 25 }, (_, i) => ({ body: `${i} ${'ü'.repeat(100)}` })))
    const seen: string[] = []
    for (let after = '0'; ; ) {
      const { body } = await ask('GET', `/api/queues/paged/messages?limit=10&bytes=4&after=${after}`)
      seen.push(...body.messages.map((one: { body: { text: string } }) => one.body.text))
      expect(body.messages[0].body).toMatchObject({ cut: true })
      if (body.next === undefined) break
      after = body.next
    }
    expect(seen).toHaveLength(25)
    expect(seen[0]).toBe('0 ü')
    // Half a character is left out.
    expect(seen[24]).toBe('24 ')
    expect((await ask('GET', '/api/queues/paged/messages?limit=1&bytes=0')).body.messages[0].body).toMatchObject({ text: '', cut: true })
  })

  it('is shown in pages of a megabyte at most, and one message more', async () => {
    await send('large', ...Array.from({ length: 5 }, () => ({ body: 'x'.repeat(400_000) })))
    const asks = await Promise.all(Array.from({ length: 8 }, () => ask('GET', '/api/queues/large/messages?bytes=10')))
    for (const { body } of asks) expect([body.messages.length, body.next]).toEqual([3, '3'])
    const { body } = await ask('GET', '/api/queues/large/messages?bytes=10&after=3')
    expect([body.messages.length, body.next]).toEqual([2, undefined])
    expect((await ask('GET', '/api/explain?queue=large&index=4&bytes=10')).body.message.sequence).toBe(5)
  })

  it('is moved, and listed by pattern with what is on it', async () => {
    await send('listed.a', { body: '1' }, { body: '2' })
    expect((await ask('POST', '/api/queues/listed.a/move?to=listed.b&count=1')).body).toEqual({ moved: 1, to: { 'listed.b': 1 }, left: 0 })
    const { body } = await ask('GET', '/api/destinations?match=listed.*')
    expect(body.queues.map(({ name, messages }: { name: string; messages: number }) => [name, messages])).toEqual([
      ['listed.a', 1],
      ['listed.b', 1],
    ])
    const first = (await ask('GET', '/api/destinations?match=listed.*&limit=1')).body
    const second = (await ask('GET', `/api/destinations?match=listed.*&limit=1&after=${first.next}`)).body
    expect([first.queues[0].name, second.queues[0].name]).toEqual(['listed.a', 'listed.b'])
  })
})

describe('connections', () => {
  it('are listed with what their consumers have and may have', async () => {
    const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${broker.port('mqtt')}`, { clientId: 'listed', protocolVersion: 4 })
    await send('in.hand', { body: '1' }, { body: '2' })
    const receiver = amqp.open_receiver({ source: 'in.hand', credit_window: 0, autoaccept: false } as never)
    await new Promise((resolve) => receiver.once('receiver_open', resolve))
    receiver.add_credit(5)
    const one = async () =>
      (await ask('GET', '/api/connections')).body.connections.find(
        (it: { protocol: string; consumers: number }) => it.protocol === 'amqp' && it.consumers > 0,
      )
    await until(async () => (await one())?.unsettled === 2)
    expect(await one()).toMatchObject({ user: 'anonymous', consumers: 1, credit: 3, unsettled: 2, parked: 0 })
    const { body } = await ask('GET', '/api/connections')
    expect(body.connections).toContainEqual(expect.objectContaining({ protocol: 'mqtt', clientId: 'listed' }))
    expect(body.connections).not.toContainEqual(expect.objectContaining({ user: 'broker' }))
    expect((await ask('GET', '/api/connections?limit=1')).body).toMatchObject({ connections: [expect.anything()], next: expect.any(Number) })
    receiver.close()
    await client.endAsync()
  })
})

describe('metrics', () => {
  let measured: RunningBroker
  let client: Connection
  beforeEach(async () => {
    const policies = [{ match: 'queue:measured.>', metrics: true }]
    measured = await startBroker({ settings: { destinations: { policies }, limits: { measuredQueues: 2 }, mqtt: { sysIntervalMs: 0 } } })
    client = rhea.create_container().connect({ host: '127.0.0.1', port: measured.port('amqp'), reconnect: false })
    client.on('disconnected', () => {})
    await new Promise((resolve) => client.once('connection_open', resolve))
  })
  afterEach(async () => {
    client.close()
    await measured.stop()
  })

  const put = async (address: string, count: number): Promise<void> => {
    const sender = client.open_sender(address)
    await new Promise((resolve) => sender.once('sendable', resolve))
    for (let i = 0; i < count; i++) {
      const accepted = new Promise((resolve) => sender.once('accepted', resolve))
      sender.send({ body: 'x', subject: 's', durable: true })
      await accepted
    }
  }

  const scrape = async (): Promise<{ type: string | null; text: string; values: ReadonlyMap<string, number> }> => {
    const response = await fetch(`http://${measured.address('http')}/metrics`)
    const text = await response.text()
    const values = new Map<string, number>()
    for (const line of text.split('\n')) {
      const [, name, value] = /^([^#\s]+(?:\{.*\})?) (\S+)$/.exec(line) ?? []
      if (name !== undefined) values.set(name, Number(value))
    }
    return { type: response.headers.get('content-type'), text, values }
  }

  it('tell what the process, the core and the journal do, and of queues only those that are chosen', async () => {
    await put('measured.a', 3)
    await put('other', 2)
    const receiver = client.open_receiver('measured.a')
    let taken = 0
    receiver.on('message', () => void taken++)
    await until(async () => taken === 3 && (await scrape()).values.get('bascule_queue_left_total{queue="measured.a"}') === 3)
    const { type, text, values } = await scrape()
    expect(type).toMatch(/^text\/plain; version=0\.0\.4/)
    expect(values.get('bascule_role{role="active"}')).toBe(1)
    expect(values.get('bascule_role{role="standby"}')).toBe(0)
    expect(values.get('bascule_messages_in_total')).toBe(5)
    expect(values.get('bascule_messages_out_total')).toBe(3)
    expect(values.get('bascule_queued_messages')).toBe(2)
    expect(values.get('bascule_queue_messages{queue="measured.a"}')).toBe(0)
    expect(values.get('bascule_queue_arrived_total{queue="measured.a"}')).toBe(3)
    expect(values.get('bascule_queue_consumers{queue="measured.a"}')).toBe(1)
    expect(text).not.toContain('queue="other"')
    expect(values.get('bascule_journal_used_bytes')).toBeGreaterThan(0)
    expect(values.has('process_resident_memory_bytes')).toBe(true)
    expect(values.has('bascule_loop_gaps_total')).toBe(true)
    expect(values.get('bascule_messages_passed_over_total')).toBe(0)
    // What stands for itself from one scrape to the next is not added up.
    expect((await scrape()).values.get('bascule_messages_in_total')).toBe(5)
    // A conversion that loses something.
    const listener = await mqtt.connectAsync(`mqtt://127.0.0.1:${measured.port('mqtt')}`, { protocolVersion: 4 })
    await listener.subscribeAsync('news')
    const heard = new Promise((resolve) => listener.once('message', resolve))
    await put('topic://news', 1)
    await heard
    expect((await scrape()).values.get('bascule_conversion_losses_total{from="amqp",to="mqtt",field="type"}')).toBe(1)
    await listener.endAsync()
    await put('measured.b', 1)
    await put('measured.c', 1)
    const more = await scrape()
    expect([...more.values.keys()].filter((name) => name.startsWith('bascule_queue_messages{'))).toHaveLength(2)
    expect(more.values.get('bascule_queues_not_measured')).toBe(1)
  })

  it('count from the restart on what was there before', async () => {
    await put('measured.b', 1)
    const before = (await scrape()).values
    expect(before.get('bascule_queue_messages{queue="measured.b"}')).toBe(1)
    expect(before.get('bascule_queue_arrived_total{queue="measured.b"}')).toBe(1)
    await measured.restart()
    const { values } = await scrape()
    expect(values.get('bascule_queue_messages{queue="measured.b"}')).toBe(1)
    expect(values.get('bascule_queue_arrived_total{queue="measured.b"}')).toBe(0)
    expect(values.get('bascule_queue_left_total{queue="measured.b"}')).toBe(0)
  })
})

describe('hostile requests', () => {
  it.each([
    ['GET', '/api/queues/q/messages?limit=0', 400],
    ['GET', '/api/queues/q/messages?limit=1001', 400],
    ['GET', '/api/queues/q/messages?limit=1e3', 400],
    ['GET', '/api/queues/q/messages?after=-1', 400],
    ['GET', '/api/queues/q/messages?after=99999999999999999999', 400],
    ['GET', '/api/queues/q/messages?bytes=999999999', 400],
    ['GET', '/api/queues/%ff/messages', 400],
    ['GET', '/api/queues/none/messages', 404],
    ['GET', '/api/queues/q/messages/1', 404],
    ['GET', '/api/queues//messages', 404],
    ['GET', '/api/queues/q/constructor', 404],
    ['GET', '/api/explain', 400],
    ['GET', '/api/explain?queue=q&sequence=x', 400],
    ['GET', '/api/explain?queue=q&index=1000000', 400],
    ['GET', '/api/destinations?limit=99999', 400],
    ['GET', `/api/destinations?match=${'*'.repeat(5_000)}x`, 200],
    ['GET', '/api/connections?after=x', 400],
    ['POST', '/api/queues/q/move', 400],
    ['POST', '/api/queues/q/move?to=r&count=0', 400],
    ['POST', '/api/queues/none/move?to=r', 404],
    ['GET', '/api/queues/q/move?to=r', 405],
    ['POST', '/api/queues/none/redrive', 404],
    ['POST', '/api/explain?queue=q', 405],
  ])('%s %s is answered %i', async (method, path, status) => {
    await ask('PUT', '/api/queues/q')
    expect((await ask(method, path)).status).toBe(status)
  })

  it('a queue that is empty and without consumers is removed, any other by force only', async () => {
    await send('retired', { body: 'x' })
    expect((await ask('DELETE', '/api/queues/retired')).status).toBe(409)
    await ask('POST', '/api/queues/retired/purge')
    expect(await ask('DELETE', '/api/queues/retired')).toEqual({ status: 200, body: { removed: 0 } })
    expect((await ask('DELETE', '/api/queues/retired')).status).toBe(404)
    const receiver = amqp.open_receiver('retired')
    await new Promise((resolve) => receiver.once('receiver_open', resolve))
    expect(await ask('DELETE', '/api/queues/retired')).toMatchObject({ status: 409, body: { error: 'in-use' } })
    const told = new Promise((resolve) => receiver.once('receiver_error', () => resolve(receiver.error)))
    expect((await ask('DELETE', '/api/queues/retired?force=true')).status).toBe(200)
    expect(await told).toMatchObject({ condition: 'amqp:resource-deleted' })
  })

  it('a durable subscription that nobody comes back to is looked at, purged and removed by the name under which it is listed', async () => {
    const source = { address: 'topic://forgotten', durable: 2, expiry_policy: 'never' }
    const receiver = amqp.open_receiver({ name: 'gone.sub', source, credit_window: 0 } as never)
    await new Promise((resolve) => receiver.once('receiver_open', resolve))
    const name = 'amqp:durable.app.gone.sub'
    const path = `/api/queues/${encodeURIComponent(name)}`
    expect((await ask('DELETE', path)).status).toBe(409)
    receiver.detach()
    await new Promise((resolve) => receiver.once('receiver_close', resolve).once('receiver_detached', resolve))
    await send('topic://forgotten', { body: 'one' }, { body: 'two' })
    expect((await ask('GET', `${path}/messages`)).body.messages).toHaveLength(2)
    expect((await ask('GET', `/api/explain?queue=${encodeURIComponent(name)}`)).body.message.sentTo).toBe('topic forgotten')
    expect((await ask('POST', `${path}/purge`)).body).toEqual({ removed: 2 })
    expect((await ask('DELETE', path)).body).toEqual({ removed: 0 })
    expect((await ask('DELETE', path)).status).toBe(404)
    expect((await ask('POST', `${path}/move?to=elsewhere`)).status).toBe(404)
  })

  it('the queue of a session goes with it, not by management', async () => {
    const options = { clientId: 'keeps', protocolVersion: 4, clean: false } as const
    const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${broker.port('mqtt')}`, options)
    await client.subscribeAsync('kept', { qos: 1 })
    expect((await ask('DELETE', `/api/queues/${encodeURIComponent('mqtt:session.keeps')}?force=true`)).status).toBe(403)
    await client.endAsync()
  })

  it('a name longer than a queue may have is refused', async () => {
    await ask('PUT', '/api/queues/q')
    expect((await ask('POST', `/api/queues/q/move?to=${'x.'.repeat(500)}x`)).status).toBe(413)
  })
})
