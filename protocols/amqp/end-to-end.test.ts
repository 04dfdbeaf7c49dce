// rhea over real sockets, the real core, a journal in memory: what a user of AMQP sees. Bytes that a client would hide: wire.test.ts, hostile.test.ts.
import { connect as connectTcp } from 'node:net'
import { once } from 'node:events'
import mqttClient from 'mqtt'
import rhea from 'rhea'
import { afterEach, describe, expect, it } from 'vitest'
import { openReceiver, openSender, sendRhea, startNode, stopNodes, told } from './fake-node.ts'

afterEach(stopNodes)

const contentOf = (body: unknown): Buffer => (body as { content: Buffer }).content
const selector = (text: string) => ({ 'jms-selector': rhea.types.wrap_described(text, 'apache.org:selector-filter:string') })

describe('a message', () => {
  it('sent to a queue is accepted once it is durable, and received as it was sent', async () => {
    const node = await startNode()
    const connection = await node.rhea()
    const sender = await openSender(connection, 'orders.eu')
    expect(await sendRhea(sender, { body: 'grün 😀', durable: true, subject: 'new', application_properties: { count: 7 } })).toBe('accepted')
    const inbox = await openReceiver(connection, 'orders.eu')
    const { message, delivery } = await inbox.next()
    expect(message).toMatchObject({
      body: 'grün 😀',
      subject: 'new',
      durable: true,
      first_acquirer: true,
      delivery_count: 0,
      application_properties: { count: 7 },
    })
    delivery?.accept()
    expect(node.faults).toEqual([])
  })

  it('that is durable is there after a restart of the node, one that is not is gone', async () => {
    const node = await startNode()
    const sender = await openSender(await node.rhea(), 'a')
    expect(await sendRhea(sender, { body: 'stays', durable: true })).toBe('accepted')
    expect(await sendRhea(sender, { body: 'goes' })).toBe('accepted')
    expect(await sendRhea(sender, { body: 'stays too', durable: true })).toBe('accepted')
    await node.restart()
    const inbox = await openReceiver(await node.rhea(), 'a')
    expect((await inbox.next()).message?.body).toBe('stays')
    expect((await inbox.next()).message).toMatchObject({ body: 'stays too', first_acquirer: false })
  })

  // rhea tells of its window between messages only: one of more frames than its window (2048) never ends.
  it.each([0, 1, 2000, 70_000, 1_500_000])('of %i bytes comes and goes in frames as small as both sides like', async (size) => {
    const node = await startNode({ frameBytesMax: 4096 })
    const connection = await node.rhea({ max_frame_size: 1024 })
    const sender = await openSender(connection, 'large')
    const body = Buffer.alloc(size, 'abc\0')
    expect(await sendRhea(sender, { body: rhea.message.data_section(body), durable: true })).toBe('accepted')
    const inbox = await openReceiver(connection, 'large')
    const { message } = await inbox.next()
    expect(contentOf(message?.body).equals(body)).toBe(true)
  })

  it('with a time to live is gone when that is over, and tells what is left of it until then', async () => {
    const node = await startNode()
    const connection = await node.rhea()
    const sender = await openSender(connection, 'a')
    expect(await sendRhea(sender, { body: 'short', ttl: 1000, durable: true })).toBe('accepted')
    expect(await sendRhea(sender, { body: 'long', ttl: 100_000, durable: true })).toBe('accepted')
    node.core.clock.advance(40_000)
    const inbox = await openReceiver(connection, 'a')
    expect((await inbox.next()).message).toMatchObject({ body: 'long', ttl: 60_000 })
  })

  it('with a delivery time waits for it', async () => {
    const node = await startNode()
    const connection = await node.rhea()
    const sender = await openSender(connection, 'a')
    const inbox = await openReceiver(connection, 'a')
    await sendRhea(sender, { body: 'later', message_annotations: { 'x-opt-delivery-delay': 5000 } })
    await sendRhea(sender, { body: 'now' })
    expect((await inbox.next()).message?.body).toBe('now')
    node.core.clock.advance(6000)
    expect((await inbox.next()).message?.body).toBe('later')
  })

  it('beyond the largest size ends its link and nothing else', async () => {
    const node = await startNode({ messageBytesMax: 1024 })
    const connection = await node.rhea()
    const sender = await openSender(connection, 'a')
    const other = await openSender(connection, 'b')
    expect(
      sender.max_message_size ?? (sender as unknown as { remote: { attach: { max_message_size: number } } }).remote.attach.max_message_size,
    ).toBe(1024)
    const closed = told(sender, 'sender_close')
    sender.send({ body: 'x'.repeat(5000) })
    expect((await closed).sender?.error).toMatchObject({ condition: 'amqp:link:message-size-exceeded' })
    expect(await sendRhea(other, { body: 'x' })).toBe('accepted')
  })
})

it('a message larger than its receiver takes is a dead letter, and the next is delivered', async () => {
  const node = await startNode()
  const connection = await node.rhea()
  const sender = await openSender(connection, 'a')
  await sendRhea(sender, { body: 'x'.repeat(2000), durable: true })
  await sendRhea(sender, { body: 'small' })
  const inbox = await openReceiver(connection, { source: 'a', max_message_size: 1000 } as never)
  expect((await inbox.next()).message?.body).toBe('small')
  expect((await (await openReceiver(connection, 'ActiveMQ.DLQ')).next()).message?.body).toHaveLength(2000)
})

it('a message larger than its receiver takes ends a link that is settled by us, and is passed over by a browser', async () => {
  const node = await startNode()
  const connection = await node.rhea()
  const sender = await openSender(connection, 'a')
  await sendRhea(sender, { body: 'x'.repeat(2000), durable: true })
  await sendRhea(sender, { body: 'small' })
  const browser = await openReceiver(connection, { source: { address: 'a', distribution_mode: 'copy' }, max_message_size: 1000 } as never)
  expect((await browser.next()).message?.body).toBe('small')
  const inbox = await openReceiver(connection, { source: 'a', max_message_size: 1000, snd_settle_mode: 1 } as never)
  const { receiver } = await told(inbox.receiver, 'receiver_close')
  expect(receiver?.error).toMatchObject({ condition: 'amqp:link:message-size-exceeded' })
})

describe('an outcome', () => {
  it('released brings it back uncounted, modified with delivery-failed counted', async () => {
    const node = await startNode()
    const connection = await node.rhea()
    const sender = await openSender(connection, 'a')
    await sendRhea(sender, { body: 'x', durable: true })
    const inbox = await openReceiver(connection, 'a')
    ;(await inbox.next()).delivery?.release()
    const second = await inbox.next()
    expect(second.message).toMatchObject({ delivery_count: 0, first_acquirer: false })
    second.delivery?.modified({ delivery_failed: true, undeliverable_here: false })
    const third = await inbox.next()
    expect(third.message).toMatchObject({ delivery_count: 1, first_acquirer: false })
  })

  it.each([
    [
      'rejected',
      (delivery: { reject(error: object): void }) => delivery.reject({ condition: 'app:bad', description: 'no good' }),
      'app:bad: no good',
    ],
    [
      'modified with undeliverable-here',
      (delivery: { modified(parameters: object): void }) => delivery.modified({ delivery_failed: true, undeliverable_here: true }),
      '',
    ],
  ] as const)('%s sends it to the dead-letter queue, with its origin in the annotations', async (_, settle, reason) => {
    const node = await startNode()
    const connection = await node.rhea()
    const sender = await openSender(connection, 'a.b')
    await sendRhea(sender, { body: 'x', durable: true, message_annotations: { mine: 1 }, subject: 's' })
    const inbox = await openReceiver(connection, 'a.b')
    settle((await inbox.next()).delivery as never)
    const dead = (await (await openReceiver(connection, 'ActiveMQ.DLQ')).next()).message
    expect(dead).toMatchObject({
      body: 'x',
      subject: 's',
      message_annotations: { mine: 1, 'x-opt-ORIG-ADDRESS': 'queue://a.b', 'x-opt-ORIG-QUEUE': 'a.b' },
    })
    expect((dead?.message_annotations as Record<string, string> | undefined)?.['x-opt-dlq-reason']).toContain(reason)
  })

  it('settled without a word is the source’s default outcome', async () => {
    const node = await startNode()
    const connection = await node.rhea()
    await sendRhea(await openSender(connection, 'a'), { body: 'x', durable: true })
    const standard = rhea.types.wrap_described([], 0x24)
    const inbox = await openReceiver(connection, { source: { address: 'a', default_outcome: standard } as never, autosettle: false })
    const { delivery } = await inbox.next()
    ;(delivery as unknown as { update(settled: boolean): void }).update(true)
    const other = await openReceiver(connection, { source: 'a', credit_window: 0 })
    other.receiver.drain_credit()
    await told(other.receiver, 'receiver_drained')
    expect(other.contexts).toHaveLength(0)
  })

  it('of a message that its receiver keeps in second mode is answered when it is durable', async () => {
    const node = await startNode()
    const connection = await node.rhea()
    await sendRhea(await openSender(connection, 'a'), { body: 'x', durable: true })
    const inbox = await openReceiver(connection, { source: 'a', rcv_settle_mode: 1, autosettle: false })
    const { delivery } = await inbox.next()
    const settled = told(inbox.receiver, 'settled')
    ;(delivery as unknown as { update(settled: boolean, state: unknown): void }).update(false, rhea.types.wrap_described([], 0x24))
    expect((await settled).delivery).toBe(delivery)
    await node.restart()
    const other = await openReceiver(await node.rhea(), { source: 'a', credit_window: 0 })
    other.receiver.drain_credit()
    await told(other.receiver, 'receiver_drained')
    expect(other.contexts).toHaveLength(0)
  })

  it('of a message that its sender keeps in second mode is told unsettled, and forgotten when the sender settles', async () => {
    const node = await startNode({ creditWindow: 4 })
    const connection = await node.rhea()
    const sender = await openSender(connection, { target: 'a', rcv_settle_mode: 1, autosettle: false } as never)
    for (let i = 0; i < 20; i++) {
      if (!sender.sendable()) await told(sender, 'sendable')
      const accepted = told(sender, 'accepted')
      sender.send({ body: String(i), durable: true })
      const { delivery } = await accepted
      expect((delivery as unknown as { remote_settled: boolean }).remote_settled).toBe(false)
      ;(delivery as unknown as { update(settled: boolean): void }).update(true)
    }
  })

  it('is not wanted for what is sent settled, either way', async () => {
    const node = await startNode()
    const connection = await node.rhea()
    const sender = await openSender(connection, { target: 'a', snd_settle_mode: 1 })
    sender.send({ body: 'x' })
    const inbox = await openReceiver(connection, { source: { address: 'a' }, snd_settle_mode: 1 })
    const { message, delivery } = await inbox.next()
    expect(message?.body).toBe('x')
    expect((delivery as unknown as { remote_settled: boolean }).remote_settled).toBe(true)
  })
})

describe('credit', () => {
  it.each([
    ['what is received', {}],
    ['what is only looked at', { distribution_mode: 'copy' }],
  ])('is drained with all of %s, in however many grants that is taken from the queue', async (_, source) => {
    const node = await startNode({ prefetch: 10, prefetchBytes: 4096 })
    const sender = await openSender(await node.rhea(), 'a')
    for (let i = 0; i < 100; i++) await sendRhea(sender, { body: 'x'.repeat(1000) })
    const inbox = await openReceiver(await node.rhea(), { source: { address: 'a', ...source } as never, credit_window: 0 })
    inbox.receiver.add_credit(1000)
    inbox.receiver.drain_credit()
    await told(inbox.receiver, 'receiver_drained')
    expect(inbox.contexts).toHaveLength(100)
  })

  it('is drained at unsettledMax too, although messages wait, and the rest comes for new credit', async () => {
    const node = await startNode({ unsettledMax: 3 })
    const sender = await openSender(await node.rhea(), 'a')
    for (let i = 0; i < 5; i++) await sendRhea(sender, { body: i })
    const inbox = await openReceiver(await node.rhea(), { source: 'a', credit_window: 0, autoaccept: false })
    inbox.receiver.add_credit(10)
    inbox.receiver.drain_credit()
    await told(inbox.receiver, 'receiver_drained')
    expect(inbox.contexts).toHaveLength(3)
    for (let i = 0; i < 3; i++) (await inbox.next()).delivery?.accept()
    inbox.receiver.add_credit(10)
    expect([(await inbox.next()).message?.body, (await inbox.next()).message?.body]).toEqual([3, 4])
  })

  it('is never exceeded, and drain ends with what there was', async () => {
    const node = await startNode()
    const connection = await node.rhea()
    const sender = await openSender(connection, 'a')
    for (let i = 0; i < 5; i++) await sendRhea(sender, { body: i })
    const inbox = await openReceiver(connection, { source: 'a', credit_window: 0 })
    inbox.receiver.add_credit(2)
    expect((await inbox.next()).message?.body).toBe(0)
    expect((await inbox.next()).message?.body).toBe(1)
    await sendRhea(sender, { body: 5 })
    expect(inbox.contexts).toHaveLength(0)
    inbox.receiver.add_credit(100)
    inbox.receiver.drain_credit()
    await told(inbox.receiver, 'receiver_drained')
    expect(inbox.contexts.map(({ message }) => message?.body)).toEqual([2, 3, 4, 5])
    await sendRhea(sender, { body: 6 })
    expect(inbox.contexts).toHaveLength(4)
    expect((inbox.receiver as unknown as { credit: number }).credit).toBe(0)
  })

  it('is withheld while the destination is full, other links go on, and what waits is accepted when there is room', async () => {
    const node = await startNode({ creditWindow: 4 }, { destinations: { limitMessages: 3 } })
    const connection = await node.rhea()
    const sender = await openSender(connection, 'full')
    // rhea sends nothing past a message that waits for credit, in one session.
    const session = connection.create_session()
    session.open()
    const other = session.open_sender('other')
    await told(other, 'sender_open')
    let accepted = 0
    let sent = 0
    sender.on('accepted', () => void accepted++)
    const fill = (): void => {
      while (sent < 20 && sent - accepted < 4 && (sender as unknown as { credit: number }).credit > 0) sender.send({ body: sent++, durable: true })
    }
    sender.on('sendable', () => setImmediate(fill))
    sender.on('accepted', () => setImmediate(fill))
    fill()
    while (accepted < 3) await told(sender, 'accepted')
    expect(await sendRhea(other, { body: 'past it' })).toBe('accepted')
    expect(sent).toBeLessThanOrEqual(3 + 4)
    const inbox = await openReceiver(connection, 'full')
    for (let i = 0; i < 20; i++) {
      const { message, delivery } = await inbox.next()
      expect(message?.body).toBe(i)
      delivery?.accept()
    }
    while (accepted < 20) await told(sender, 'accepted')
  })
})

describe('annotations of modified', () => {
  it('are merged into the message for its next receiver: after a restart, and as a dead letter too', async () => {
    const node = await startNode()
    const sender = await openSender(await node.rhea(), 'a')
    await sendRhea(sender, { body: 'x', durable: true, message_annotations: { 'x-opt-mine': 'kept', 'x-opt-both': 'old' } })
    const first = await openReceiver(await node.rhea(), 'a')
    const modified = { delivery_failed: true, undeliverable_here: false, message_annotations: { 'x-opt-both': 'new', 'x-opt-tries': 1 } }
    ;(await first.next()).delivery?.modified(modified as never)
    const expected = { 'x-opt-mine': 'kept', 'x-opt-both': 'new', 'x-opt-tries': 1 }
    expect((await first.next()).message?.message_annotations).toEqual(expected)
    await node.core.settled()
    await node.restart()
    const second = await openReceiver(await node.rhea(), 'a')
    const again = await second.next()
    expect(again.message).toMatchObject({ body: 'x', message_annotations: expected })
    const away = { delivery_failed: true, undeliverable_here: true, message_annotations: { 'x-opt-tries': 2, 'x-opt-why': 'no' } }
    again.delivery?.modified(away as never)
    const dead = await openReceiver(await node.rhea(), 'ActiveMQ.DLQ')
    expect((await dead.next()).message?.message_annotations).toEqual({
      ...expected,
      'x-opt-tries': 2,
      'x-opt-why': 'no',
      'x-opt-dlq-reason': 'undeliverable here',
      'x-opt-ORIG-ADDRESS': 'queue://a',
      'x-opt-ORIG-QUEUE': 'a',
    })
  })

  it('are there for a message without any, of another protocol too', async () => {
    const node = await startNode()
    const socket = connectTcp(node.ports.stomp, '127.0.0.1')
    socket.write(`CONNECT\naccept-version:1.2\nhost:x\n\n\0SEND\ndestination:/queue/a\nreceipt:r\n\nx\0`)
    const inbox = await openReceiver(await node.rhea(), 'a')
    const first = await inbox.next()
    expect(first.message?.message_annotations?.['x-opt-tries']).toBeUndefined()
    first.delivery?.modified({ delivery_failed: true, undeliverable_here: false, message_annotations: { 'x-opt-tries': 1 } } as never)
    expect((await inbox.next()).message?.message_annotations).toMatchObject({ 'x-opt-tries': 1 })
    socket.destroy()
  })
})

describe('an address', () => {
  it.each([
    ['queue://a.b', {}, '/queue/a.b'],
    ['a.b', {}, '/queue/a.b'],
    ['a.b', { capabilities: ['queue'] }, '/queue/a.b'],
    ['topic://a.b', {}, '/topic/a.b'],
    ['a.b', { capabilities: ['topic'] }, '/topic/a.b'],
  ])('%s with %j is %s', async (address, more, destination) => {
    const node = await startNode()
    const socket = connectTcp(node.ports.stomp, '127.0.0.1')
    let got = ''
    socket.on('data', (bytes) => {
      got += bytes.toString()
    })
    socket.write(`CONNECT\naccept-version:1.2\nhost:x\n\n\0SUBSCRIBE\nid:1\ndestination:${destination}\nreceipt:r\n\n\0`)
    while (!got.includes('receipt-id:r')) await once(socket, 'data')
    const sender = await openSender(await node.rhea(), { target: { address, ...more } as never })
    expect(await sendRhea(sender, { body: 'hello' })).toBe('accepted')
    while (!got.includes('MESSAGE')) await once(socket, 'data')
    expect(got).toContain(`destination:${destination}\n`)
    expect(got).toContain('\n\nhello\0')
    socket.destroy()
  })

  it('with wildcards is of topics, and every match is received', async () => {
    const node = await startNode()
    const connection = await node.rhea()
    const inbox = await openReceiver(connection, 'topic://a.*.c')
    for (const name of ['a.b.c', 'a.b', 'a.x.c']) await sendRhea(await openSender(connection, `topic://${name}`), { body: name })
    expect((await inbox.next()).message).toMatchObject({ body: 'a.b.c', delivery_annotations: { 'x-opt-to': 'topic://a.b.c' } })
    expect((await inbox.next()).message).toMatchObject({ body: 'a.x.c', delivery_annotations: { 'x-opt-to': 'topic://a.x.c' } })
  })

  it('that is a list is of all of them, with one credit, and each delivery says where it was sent', async () => {
    const node = await startNode()
    const connection = await node.rhea()
    const inbox = await openReceiver(connection, { source: 'queue://a,b,topic://news.*, tidings', credit_window: 0 })
    inbox.receiver.add_credit(3)
    const send = async (address: string): Promise<void> => void (await sendRhea(await openSender(connection, address), { body: address }))
    for (const address of ['b', 'a', 'topic://news.eu', 'topic://tidings', 'topic://other']) await send(address)
    const got = [await inbox.next(), await inbox.next(), await inbox.next()]
    expect(inbox.contexts).toHaveLength(0)
    for (const { delivery } of got) delivery?.accept()
    inbox.receiver.add_credit(3)
    got.push(await inbox.next())
    expect(new Set(got.map(({ message }) => (message?.delivery_annotations as { 'x-opt-to': string } | undefined)?.['x-opt-to']))).toEqual(
      new Set(['queue://a', 'queue://b', 'topic://news.eu', 'topic://tidings']),
    )
    expect(new Set(got.map(({ delivery }) => Buffer.from(delivery?.tag as unknown as Uint8Array).toString('hex'))).size).toBe(4)
  })

  it('that is a list has one selector, for queues and topics alike', async () => {
    const node = await startNode()
    const connection = await node.rhea()
    const source = { address: 'a,topic://t', filter: rhea.filter.selector("colour = 'red'") }
    const inbox = await openReceiver(connection, { source })
    for (const address of ['a', 'topic://t']) {
      const sender = await openSender(connection, address)
      for (const colour of ['blue', 'red']) await sendRhea(sender, { body: `${address} ${colour}`, application_properties: { colour } })
    }
    expect(new Set([(await inbox.next()).message?.body, (await inbox.next()).message?.body])).toEqual(new Set(['a red', 'topic://t red']))
    expect((await (await openReceiver(connection, 'a')).next()).message?.body).toBe('a blue')
  })

  it.each([
    ['durable', { durable: 2, expiry_policy: 'never' }],
    ['shared', { capabilities: ['shared'] }],
    ['browsed', { distribution_mode: 'copy' }],
  ])('that is a list cannot be %s', async (_, more) => {
    const node = await startNode()
    const connection = await node.rhea()
    const receiver = connection.open_receiver({ source: { address: 'topic://a,topic://b', ...more } } as never)
    expect((await told(receiver, 'receiver_close')).receiver?.error).toMatchObject({ condition: 'amqp:not-implemented' })
  })

  it.each([
    ['', 'amqp:invalid-field'],
    ['queue://', 'amqp:invalid-field'],
    ['a,', 'amqp:invalid-field'],
    ['queue://a,queue://b.*', 'amqp:not-implemented'],
    ['queue://a,queue://$temp.x.1', 'amqp:not-implemented'],
    [Array.from({ length: 101 }, (_, i) => `a${i}`).join(','), 'amqp:resource-limit-exceeded'],
    ['queue://a.>.b', 'amqp:invalid-field'],
    ['topic://a.>.b', 'amqp:invalid-field'],
    ['ftp://a', 'amqp:invalid-field'],
    ['a::b', 'amqp:not-implemented'],
    ['a?consumer.prefetchSize=1', 'amqp:not-implemented'],
    ['a?consumer.exclusive=perhaps', 'amqp:invalid-field'],
    ['topic://a?consumer.retroactive=1', 'amqp:invalid-field'],
    ['a?consumer.priority=high', 'amqp:invalid-field'],
  ])('%j is refused with %s, and the connection goes on', async (address, condition) => {
    const node = await startNode()
    const connection = await node.rhea()
    const receiver = connection.open_receiver({ source: { address } })
    expect((await told(receiver, 'receiver_close')).receiver?.error).toMatchObject({ condition })
    expect(await sendRhea(await openSender(connection, 'fine'), { body: 1 })).toBe('accepted')
  })

  it('may stand in each message of an anonymous sender; one without is refused', async () => {
    const node = await startNode()
    const connection = await node.rhea()
    expect((connection as unknown as { remote: { open: { offered_capabilities: string[] } } }).remote.open.offered_capabilities).toContain(
      'ANONYMOUS-RELAY',
    )
    const sender = await openSender(connection, { target: {} })
    const one = await openReceiver(connection, 'one')
    const two = await openReceiver(connection, 'topic://two')
    expect(await sendRhea(sender, { to: 'queue://one', body: 1 })).toBe('accepted')
    expect(await sendRhea(sender, { to: 'two', body: 2, message_annotations: { 'x-opt-jms-dest': 1 } })).toBe('accepted')
    expect(await sendRhea(sender, { body: 3 })).toBe('rejected amqp:invalid-field')
    expect(await sendRhea(sender, { to: 'topic://*', body: 3 })).toBe('rejected amqp:invalid-field')
    expect((await one.next()).message?.body).toBe(1)
    expect((await two.next()).message?.body).toBe(2)
  })

  it('of an anonymous sender is read anew when more than addressesKept came between', async () => {
    const node = await startNode({ addressesKept: 1 })
    const connection = await node.rhea()
    const sender = await openSender(connection, { target: {} })
    for (let i = 0; i < 6; i++) expect(await sendRhea(sender, { to: `q${i % 2}`, body: i })).toBe('accepted')
    const inbox = await openReceiver(connection, 'q1')
    expect((await inbox.next()).message?.body).toBe(1)
  })

  it('that is dynamic is named by the broker, can be replied to by every client, and goes with its link', async () => {
    const node = await startNode()
    const [asker, answerer] = [await node.rhea(), await node.rhea()]
    const replies = await openReceiver(asker, { source: { dynamic: true } as never })
    const address = replies.receiver.source.address
    expect(address).toMatch(/^queue:\/\/\$temp\./)
    const work = await openReceiver(answerer, 'work')
    await sendRhea(await openSender(asker, 'work'), { body: 'ask', reply_to: address, correlation_id: 7 })
    const { message } = await work.next()
    const back = await openSender(answerer, String(message?.reply_to))
    expect(await sendRhea(back, { body: 'answer', correlation_id: message?.correlation_id as never })).toBe('accepted')
    expect((await replies.next()).message).toMatchObject({ body: 'answer', correlation_id: 7 })
    replies.receiver.close()
    await told(replies.receiver, 'receiver_close')
    expect(await sendRhea(back, { body: 'too late' })).toBe('rejected amqp:not-found')
  })

  it('of a dynamic target is a queue that goes with the link that made it', async () => {
    const node = await startNode()
    const connection = await node.rhea()
    const sender = await openSender(connection, { target: { dynamic: true } as never })
    const address = (sender as unknown as { target: { address: string } }).target.address
    const inbox = await openReceiver(connection, address)
    await sendRhea(sender, { body: 'x' })
    expect((await inbox.next()).message?.body).toBe('x')
    const ended = told(inbox.receiver, 'receiver_close')
    sender.close()
    expect((await ended).receiver?.error).toMatchObject({ condition: 'amqp:resource-deleted' })
  })
})

describe('a subscription', () => {
  const durable = (address: string) => ({ address, durable: 2, expiry_policy: 'never', capabilities: ['topic'] }) as never

  it('that is durable keeps messages while its receiver is away, and goes when its link is closed', async () => {
    const node = await startNode()
    const first = await node.rhea({ container_id: 'app' })
    const inbox = await openReceiver(first, { name: 'sub', source: durable('news') })
    inbox.receiver.detach()
    await told(inbox.receiver, 'receiver_close')
    const other = await node.rhea({ container_id: 'other' })
    const sender = await openSender(other, 'topic://news')
    await sendRhea(sender, { body: 'kept', durable: true })
    await node.restart()
    const again = await node.rhea({ container_id: 'app' })
    const back = await openReceiver(again, { name: 'sub', source: durable('news') })
    const got = await back.next()
    expect(got.message?.body).toBe('kept')
    got.delivery?.accept()
    back.receiver.close()
    await told(back.receiver, 'receiver_close')
    await sendRhea(await openSender(again, 'topic://news'), { body: 'missed', durable: true })
    const fresh = await openReceiver(again, { name: 'sub', source: durable('news'), credit_window: 0 })
    fresh.receiver.drain_credit()
    await told(fresh.receiver, 'receiver_drained')
    expect(fresh.contexts).toHaveLength(0)
  })

  it('is found by a receiver without a source, and closing that deletes it', async () => {
    const node = await startNode()
    const connection = await node.rhea({ container_id: 'app' })
    const inbox = await openReceiver(connection, { name: 'sub', source: durable('news') })
    inbox.receiver.detach()
    await told(inbox.receiver, 'receiver_close')
    const lookup = connection.open_receiver({ name: 'sub' })
    await told(lookup, 'receiver_open')
    expect((lookup as unknown as { remote: { attach: { source: { address: string } } } }).remote.attach.source.address).toBe('topic://news')
    lookup.close()
    await told(lookup, 'receiver_close')
    const again = connection.open_receiver({ name: 'sub' })
    expect((await told(again, 'receiver_close')).receiver?.error).toMatchObject({ condition: 'amqp:not-found' })
  })

  it('that is shared gives each message to one of its receivers, on several connections', async () => {
    const node = await startNode()
    const source = { address: 'news', capabilities: ['topic', 'shared', 'global'] } as never
    const [a, b] = [await node.rhea(), await node.rhea()]
    const one = await openReceiver(a, { name: 'sub|global', source })
    const two = await openReceiver(b, { name: 'sub|global2', source })
    const sender = await openSender(a, 'topic://news')
    for (let i = 0; i < 10; i++) await sendRhea(sender, { body: i })
    const first = [one, two].map((inbox) => inbox.next())
    await Promise.all(first)
    while (one.contexts.length + two.contexts.length < 8) await new Promise((resolve) => setImmediate(resolve))
    const bodies = [...(await Promise.all(first)), ...one.contexts, ...two.contexts].map(({ message }) => message?.body as number)
    expect(bodies.toSorted((x, y) => x - y)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
  })

  it('that is slow loses its oldest messages beyond topicBacklogMessages', async () => {
    const node = await startNode({ topicBacklogMessages: 3 })
    const connection = await node.rhea()
    const inbox = await openReceiver(connection, { source: 'topic://news', credit_window: 0 })
    const sender = await openSender(connection, 'topic://news')
    for (let i = 0; i < 6; i++) await sendRhea(sender, { body: i, durable: true })
    inbox.receiver.add_credit(10)
    inbox.receiver.drain_credit()
    await told(inbox.receiver, 'receiver_drained')
    expect(inbox.contexts.map(({ message }) => message?.body)).toEqual([3, 4, 5])
  })

  it('is as many bytes of output ahead as prefetchBytes, and goes on as they leave', async () => {
    const node = await startNode({ prefetchBytes: 4096, prefetch: 2 })
    const connection = await node.rhea()
    const sender = await openSender(connection, 'a')
    for (let i = 0; i < 20; i++) await sendRhea(sender, { body: `${i} ${'x'.repeat(3000)}` })
    const inbox = await openReceiver(connection, 'a')
    for (let i = 0; i < 20; i++) expect(String((await inbox.next()).message?.body)).toContain(`${i} x`)
  })
})

describe('a filter', () => {
  const noLocal = () => rhea.types.wrap_described([], 'apache.org:no-local-filter:list')
  const answered = (inbox: { receiver: unknown }) => Object.keys((inbox.receiver as { source: { filter?: object } }).source.filter ?? {})
  const durable = (address: string, filter: object) => ({ address, durable: 2, expiry_policy: 'never', capabilities: ['topic'], filter }) as never

  it('that is a selector takes what it selects of a queue, and is named in the answer; others take the rest', async () => {
    const node = await startNode()
    const connection = await node.rhea()
    const sender = await openSender(connection, 'a')
    const selected = await openReceiver(connection, { source: { address: 'a', filter: selector("color = 'red' AND size > 0") } })
    const numbered = { address: 'a', filter: { 'jms-selector': rhea.types.wrap_described("JMSCorrelationID = 'c-3'", 0x468c_0000_0004) } }
    const correlated = await openReceiver(connection, { source: numbered as never })
    expect([answered(selected), answered(correlated)]).toEqual([['jms-selector'], ['jms-selector']])
    for (const [size, color] of ['red', 'red', 'blue', 'red'].entries())
      await sendRhea(sender, {
        body: size,
        correlation_id: `c-${size}`,
        application_properties: { color, size: size === 3 ? 0 : size },
        durable: true,
      })
    expect((await selected.next()).message?.body).toBe(1)
    expect((await correlated.next()).message?.body).toBe(3)
    const rest = await openReceiver(connection, 'a')
    expect([(await rest.next()).message?.body, (await rest.next()).message?.body]).toEqual([0, 2])
  })

  it('that is a selector takes what it selects of a topic', async () => {
    const node = await startNode()
    const connection = await node.rhea()
    const inbox = await openReceiver(connection, { source: { address: 'topic://news', filter: selector("kind LIKE 'a%'") } })
    const sender = await openSender(connection, 'topic://news')
    for (const kind of ['ab', 'ba', 'aa']) await sendRhea(sender, { body: kind, application_properties: { kind } })
    expect([(await inbox.next()).message?.body, (await inbox.next()).message?.body]).toEqual(['ab', 'aa'])
  })

  it('that is a selector chooses what is browsed, and leaves it', async () => {
    const node = await startNode()
    const connection = await node.rhea()
    const sender = await openSender(connection, 'a')
    for (let n = 0; n < 4; n++) await sendRhea(sender, { body: n, application_properties: { n } })
    const looker = await openReceiver(connection, { source: { address: 'a', distribution_mode: 'copy', filter: selector('n > 1') } as never })
    expect([(await looker.next()).message?.body, (await looker.next()).message?.body]).toEqual([2, 3])
    const inbox = await openReceiver(connection, 'a')
    expect((await inbox.next()).message?.body).toBe(0)
  })

  it('that is no-local leaves out what the own connection sends to a topic; a queue has none, and says so', async () => {
    const node = await startNode()
    const [own, other] = [await node.rhea(), await node.rhea()]
    const source = { address: 'topic://news', filter: { 'no-local': noLocal() } }
    const inbox = await openReceiver(own, { source: source as never })
    expect(answered(inbox)).toEqual(['no-local'])
    expect(answered(await openReceiver(own, { source: { ...source, address: 'queue://a' } as never }))).toEqual([])
    for (const connection of [own, other]) {
      const sender = await openSender(connection, 'topic://news')
      await sendRhea(sender, { body: connection === own ? 'own' : 'other' })
    }
    expect((await inbox.next()).message?.body).toBe('other')
  })

  it('that is no-local of a client alone of its name outlives the connection', async () => {
    const node = await startNode()
    const alone = { container_id: 'app', desired_capabilities: 'sole-connection-for-container' } as never
    const first = await node.rhea(alone)
    const sub = { name: 'sub', source: durable('news', { 'no-local': noLocal() }) }
    await openReceiver(first, sub)
    first.close()
    await told(first, 'connection_close')
    const again = await node.rhea(alone)
    await sendRhea(await openSender(again, 'topic://news'), { body: 'own', durable: true })
    await sendRhea(await openSender(await node.rhea(), 'topic://news'), { body: 'other', durable: true })
    const inbox = await openReceiver(again, sub)
    expect((await inbox.next()).message?.body).toBe('other')
  })

  it('that a durable subscription comes back with makes it another one', async () => {
    const node = await startNode()
    const connection = await node.rhea({ container_id: 'app' })
    const sender = await openSender(connection, 'topic://news')
    const attach = (text: string) => openReceiver(connection, { name: 'sub', source: durable('news', selector(text)) })
    const away = async (inbox: Awaited<ReturnType<typeof attach>>): Promise<void> => {
      inbox.receiver.detach()
      await told(inbox.receiver, 'receiver_close')
    }
    await away(await attach('n > 0'))
    await sendRhea(sender, { body: 'kept', application_properties: { n: 1 }, durable: true })
    const same = await attach('n > 0')
    expect((await same.next()).message?.body).toBe('kept')
    await away(same)
    const other = await attach('n > 1')
    for (const n of [1, 2]) await sendRhea(sender, { body: n, application_properties: { n }, durable: true })
    expect((await other.next()).message?.body).toBe(2)
  })

  it('that another receiver of a shared subscription does not have is refused while that one receives', async () => {
    const node = await startNode()
    const connection = await node.rhea()
    const shared = (text: string) => ({ ...(durable('news', selector(text)) as object), capabilities: ['topic', 'shared'] }) as never
    const first = await openReceiver(connection, { name: 'sub', source: shared('n > 0') })
    const other = connection.open_receiver({ name: 'sub|2', source: shared('n > 1') })
    expect((await told(other, 'receiver_close')).receiver?.error).toMatchObject({ condition: 'amqp:resource-locked' })
    await openReceiver(connection, { name: 'sub|3', source: shared('n > 0') })
    await sendRhea(await openSender(connection, 'topic://news'), { body: 'x', application_properties: { n: 1 } })
    expect((await first.next()).message?.body).toBe('x')
  })

  it.each([
    ['a selector that is none', { source: { address: 'topic://a', filter: selector('x >') } }, 'the selector is wrong at character 4'],
    ['a selector that is none on a queue', { source: { address: 'a', filter: selector("x > 'y'") } }, 'the selector is wrong at character 5'],
    [
      'a selector that is no text',
      { source: { address: 'a', filter: { s: rhea.types.wrap_described(7, 'apache.org:selector-filter:string') } } },
      'string',
    ],
    ['a selector without a descriptor', { source: { address: 'a', filter: { 'jms-selector': 'x > 1' } } }, 'descriptor'],
  ])('that is %s is refused, and nothing is made for it', async (_, options, sentence) => {
    const node = await startNode()
    const connection = await node.rhea()
    const receiver = connection.open_receiver(options as never)
    const error = (await told(receiver, 'receiver_close')).receiver?.error
    expect(error).toMatchObject({ condition: 'amqp:invalid-field' })
    expect(String((error as { description: string }).description)).toContain(sentence)
    expect(node.core.core.figures().queues).toBe(0)
  })
})

describe('a receiver of distribution mode copy', () => {
  it('is shown what is on the queue, settled, told by drain that this was all, and takes nothing', async () => {
    const node = await startNode()
    const connection = await node.rhea()
    const sender = await openSender(connection, 'a')
    for (let i = 0; i < 5; i++) await sendRhea(sender, { body: i, durable: true })
    const source = { address: 'a', distribution_mode: 'copy' } as never
    const looker = await openReceiver(connection, { source, credit_window: 0 })
    const remote = looker.receiver as unknown as { snd_settle_mode: number; remote: { attach: { snd_settle_mode: number } } }
    expect(remote.remote.attach.snd_settle_mode).toBe(1)
    looker.receiver.add_credit(2)
    expect((await looker.next()).message?.body).toBe(0)
    const second = await looker.next()
    expect(second.message?.body).toBe(1)
    expect((second.delivery as unknown as { remote_settled: boolean }).remote_settled).toBe(true)
    await sendRhea(sender, { body: 'came later' })
    looker.receiver.add_credit(100)
    looker.receiver.drain_credit()
    await told(looker.receiver, 'receiver_drained')
    expect(looker.contexts.map(({ message }) => message?.body)).toEqual([2, 3, 4])
    const inbox = await openReceiver(connection, 'a')
    for (const body of [0, 1, 2, 3, 4, 'came later']) {
      const { message } = await inbox.next()
      expect(message?.body).toBe(body)
      expect(message?.delivery_count ?? 0).toBe(0)
    }
  })

  it('learns of an empty queue at once, and that its queue is gone', async () => {
    const node = await startNode()
    const connection = await node.rhea()
    const looker = await openReceiver(connection, { source: { address: 'empty', distribution_mode: 'copy' } as never, credit_window: 0 })
    looker.receiver.add_credit(1)
    looker.receiver.drain_credit()
    await told(looker.receiver, 'receiver_drained')
    const dynamic = await openReceiver(connection, { source: { dynamic: true } as never })
    const address = (dynamic.receiver as unknown as { source: { address: string } }).source.address
    const other = await openReceiver(connection, { source: { address, distribution_mode: 'copy' } as never, credit_window: 0 })
    const closed = told(other.receiver, 'receiver_close')
    dynamic.receiver.close()
    expect((await closed).receiver?.error).toMatchObject({ condition: 'amqp:resource-deleted' })
  })
})

describe('a link', () => {
  it('of the same name is taken over by the connection that attaches it last', async () => {
    const node = await startNode()
    const source = { address: 'news', durable: 2, expiry_policy: 'never', capabilities: ['topic'] } as never
    const [a, b] = [await node.rhea({ container_id: 'app' }), await node.rhea({ container_id: 'app' })]
    const older = await openReceiver(a, { name: 'sub', source })
    const stolen = told(older.receiver, 'receiver_close')
    const newer = await openReceiver(b, { name: 'sub', source })
    expect((await stolen).receiver?.error).toMatchObject({ condition: 'amqp:link:stolen' })
    await sendRhea(await openSender(a, 'topic://news'), { body: 'x' })
    expect((await newer.next()).message?.body).toBe('x')
  })

  it('that is detached with messages outstanding gives them back', async () => {
    const node = await startNode()
    const connection = await node.rhea()
    const sender = await openSender(connection, 'a')
    for (let i = 0; i < 3; i++) await sendRhea(sender, { body: i })
    const inbox = await openReceiver(connection, 'a')
    await inbox.next()
    inbox.receiver.close()
    await told(inbox.receiver, 'receiver_close')
    const other = await openReceiver(connection, 'a')
    expect((await other.next()).message).toMatchObject({ body: 0, first_acquirer: false, delivery_count: 0 })
  })
})

describe('a connection', () => {
  it.each([
    ['PLAIN', { username: 'u', password: 'p' }],
    ['ANONYMOUS', { username: 'anonymous' }],
    ['no SASL', {}],
  ])('logs in with %s', async (_, options) => {
    const node = await startNode()
    const connection = await node.rhea(options)
    expect(await sendRhea(await openSender(connection, 'a'), { body: 1 })).toBe('accepted')
  })

  it('is told amqp:connection:forced when the node leads no more', async () => {
    const node = await startNode()
    const connection = await node.rhea()
    const closed = told(connection, 'connection_close')
    await node.shutdown('not-leading')
    expect((await closed).connection.error).toMatchObject({ condition: 'amqp:connection:forced' })
  })

  it('that asks to be alone of its container id is, or is refused', async () => {
    const node = await startNode()
    const options = { container_id: 'one', desired_capabilities: ['sole-connection-for-container'] }
    await node.rhea(options)
    const second = rhea.create_container({ id: 'one' }).connect({ port: node.ports.amqp, reconnect: false, ...options } as never)
    second.on('connection_error', () => {})
    expect((await told(second, 'connection_close')).connection.error).toMatchObject({ condition: 'amqp:invalid-field' })
  })

  it('that ends in the middle loses nothing that was accepted and gives back what it had', async () => {
    const node = await startNode()
    const first = await node.rhea()
    await sendRhea(await openSender(first, 'a'), { body: 'x', durable: true })
    const inbox = await openReceiver(first, 'a')
    await inbox.next()
    ;(first as unknown as { socket: { destroy(): void } }).socket.destroy()
    const other = await openReceiver(await node.rhea(), 'a')
    expect((await other.next()).message).toMatchObject({ body: 'x', first_acquirer: false })
  })
})

describe('other protocols', () => {
  it('MQTT: what is published is received with its quality of service, and the other way round', async () => {
    const node = await startNode()
    const connection = await node.rhea()
    const inbox = await openReceiver(connection, 'topic://sensors.one')
    const client = await mqttClient.connectAsync(`mqtt://127.0.0.1:${node.ports.mqtt}`)
    const got = new Promise<Buffer>((resolve) => client.on('message', (_topic, payload) => resolve(payload)))
    await client.subscribeAsync('answers/#', { qos: 1 })
    await client.publishAsync('sensors/one', 'warm', { qos: 1 })
    const { message } = await inbox.next()
    expect(message).toMatchObject({ durable: true, message_annotations: { 'x-opt-mqtt-qos': 1, 'x-opt-jms-msg-type': 3 } })
    expect(message?.delivery_annotations).toEqual({ 'x-opt-to': 'topic://sensors.one' })
    expect(contentOf(message?.body).toString()).toBe('warm')
    await sendRhea(await openSender(connection, 'topic://answers.two'), { body: 'grün', durable: true })
    expect((await got).toString()).toBe('grün')
    await client.endAsync(true)
  })
})
