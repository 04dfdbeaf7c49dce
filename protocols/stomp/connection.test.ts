// The connection's state machine against a core that the test plays: what is answered when, what is refused, what closes the connection.
// With the real core and real sockets: end-to-end.test.ts.
import { describe, expect, it } from 'vitest'
import type {
  Address,
  Binding,
  Broker,
  BrokerError,
  Consumer,
  ConsumerOptions,
  Delivery,
  Log,
  Message,
  Outcome,
  Bound,
  PublishOptions,
  Transaction,
  QueueOptions,
  Replies,
  Session,
  Sink,
  Wire,
} from '../../src/api.ts'
import { MovableClock } from '../../src/clock.ts'
import { CodedError } from '../../src/errors.ts'
import { SeededRandom } from '../../src/random.ts'
import stomp from './index.ts'
import { schema } from './settings.ts'

describe('CONNECT', () => {
  it.each([
    ['CONNECT\n\n\0', '1.0'],
    ['CONNECT\naccept-version:1.0\n\n\0', '1.0'],
    ['CONNECT\naccept-version:1.0,1.1\nhost:x\n\n\0', '1.1'],
    ['CONNECT\naccept-version:1.2,1.1\n\n\0', '1.2'],
    ['STOMP\naccept-version:2.0, 1.2\n\n\0', '1.2'],
    ['\n\r\n\nCONNECT\r\naccept-version:1.1\r\n\r\n\0', '1.1'],
  ])('%j negotiates %s', async (bytes, version) => {
    const { client, core } = start()
    client.send(bytes)
    await client.turn()
    expect(client.text()).toBe('')
    core.done()
    expect(client.text()).toMatch(new RegExp(`^CONNECTED\nversion:${version}\nsession:[\\w-]+\nserver:bascule/0\nheart-beat:1000,1000\n\n\0$`))
  })

  it('with no version in common is an ERROR that names ours', () => {
    const { client } = start()
    client.send('CONNECT\naccept-version:9.9\n\n\0')
    expect(client.text()).toMatch(/^ERROR\nmessage:.*\ncontent-type:text\/plain;charset=utf-8\nversion:1\.0,1\.1,1\.2\n/)
    expect(client.ended).toBe(true)
  })

  it('twice is an ERROR', async () => {
    const { client, core } = await connected()
    client.send('CONNECT\naccept-version:1.2\n\n\0')
    expect(client.text()).toMatch(/^ERROR\nmessage:The connection is made already/)
    expect(client.ended).toBe(true)
    expect(core.closed).toBe('lost')
  })

  it('must be the first frame', () => {
    const { client } = start()
    client.send('SEND\ndestination:/queue/a\n\nx\0')
    expect(client.text()).toMatch(/^ERROR\nmessage:The first frame must be CONNECT or STOMP/)
    expect(client.ended).toBe(true)
  })

  it('is waited for no longer than connectTimeoutMs', () => {
    const { client, clock } = start({ connectTimeoutMs: 5000 })
    client.send('\n\n')
    clock.advance(4999)
    expect(client.ended).toBe(false)
    clock.advance(2)
    expect(client.text()).toContain('connectTimeoutMs')
    expect(client.ended).toBe(true)
  })

  it('gives login and passcode unescaped, and client-id, to the core', async () => {
    const { client, core } = start()
    client.send('CONNECT\naccept-version:1.2\nlogin:me\npasscode:a\\nb:c\nclient-id:c1\n\n\0')
    await client.turn()
    expect(core.login).toEqual({ user: 'me', password: 'a\\nb:c' })
    expect(core.clientId).toBe('c1')
  })

  it('that the core refuses is an ERROR', async () => {
    const { client, core } = start()
    core.loginError = new CodedError('unauthenticated', 'wrong password')
    client.send('CONNECT\naccept-version:1.2\n\n\0')
    await client.turn()
    expect(client.text()).toMatch(/^ERROR\nmessage:wrong password\n/)
  })

  it('keeps what came with it until the session is there, and reads nothing more meanwhile', async () => {
    const { client, core } = start()
    client.send(`CONNECT\naccept-version:1.2\n\n\0${send('/queue/a', 'x')}`)
    expect(client.paused).toBe(1)
    await client.turn()
    expect(core.published).toEqual([])
    core.done()
    await client.turn()
    expect(core.published).toHaveLength(1)
    expect(client.paused).toBe(0)
  })

  it('takes no body before somebody is logged in', () => {
    const { client } = start()
    client.send('SEND\ncontent-length:1000000\n\n')
    expect(client.ended).toBe(true)
  })
})

describe('SEND', () => {
  it('is answered when it is done, not before', async () => {
    const { client, core } = await connected()
    client.send(send('/queue/a.b', 'x', 'receipt:1'))
    expect(client.text()).toBe('')
    core.done()
    expect(client.text()).toBe('RECEIPT\nreceipt-id:1\n\n\0')
    expect(core.published[0]).toMatchObject({ to: '/queue/a.b', durable: false, priority: 4, retain: 'no' })
  })

  it('waits for its own commit, though everything before it is done', async () => {
    const { client, core } = await connected()
    client.send(send('/queue/a', 'x', 'receipt:1'))
    core.done()
    client.text()
    client.send(send('/queue/a', 'y', 'receipt:2'))
    expect(client.text()).toBe('')
    core.done()
    expect(client.text()).toBe('RECEIPT\nreceipt-id:2\n\n\0')
  })

  it('is answered in order, duplicate receipt ids each', async () => {
    const { client, core } = await connected()
    client.send(
      send('/queue/a', 'x', 'receipt:r') + send('/queue/a', 'x') + send('/queue/a', 'y', 'receipt:r') + send('/queue/a', 'z', 'receipt:a\\cb'),
    )
    core.done()
    expect(client.text()).toBe('RECEIPT\nreceipt-id:r\n\n\0RECEIPT\nreceipt-id:r\n\n\0RECEIPT\nreceipt-id:a\\cb\n\n\0')
  })

  it('makes its queue once', async () => {
    const { client, core } = await connected()
    client.send(send('/queue/a', '1') + send('/queue/a', '2') + send('/topic/a', '3'))
    expect(core.declared).toEqual([['/queue/a', { durable: true, lifetime: 'permanent' }]])
  })

  it('makes its queue again when somebody removed it', async () => {
    const { client, core } = await connected()
    client.send(send('/queue/a', '1'))
    core.missing.add('/queue/a')
    client.send(send('/queue/a', '2'))
    expect(core.published).toHaveLength(2)
    expect(client.ended).toBe(false)
  })

  it('to a full queue is answered when it found room, and settlements pass it', async () => {
    const { client, core } = await connected()
    client.send('SUBSCRIBE\nid:s\ndestination:/queue/a\nack:client-individual\n\n\0')
    core.deliver(0, { tag: 1 })
    client.text()
    core.full = true
    client.send(`${send('/queue/a', '1', 'receipt:1')}${send('/queue/a', '2')}ACK\nid:1-1\nreceipt:ack\n\n\0`)
    core.done()
    expect(client.text()).toBe('RECEIPT\nreceipt-id:ack\n\n\0')
    expect(core.settled).toEqual([[1, 1, 'accepted', true]])
    core.admit()
    core.admit()
    expect(client.text()).toBe('')
    core.done()
    expect(client.text()).toBe('RECEIPT\nreceipt-id:1\n\n\0')
  })

  it('that waited and is refused is an ERROR with its receipt', async () => {
    const { client, core } = await connected()
    core.full = true
    client.send(send('/queue/a', '1', 'receipt:1'))
    core.replies?.refused(new CodedError('full', 'no room any more'))
    expect(client.text()).toMatch(/^ERROR\nmessage:no room any more\n.*\nreceipt-id:1\n/s)
    expect(client.ended).toBe(true)
  })

  it('beyond the limit of waiting sends is an ERROR that names it', async () => {
    const { client, core } = await connected()
    core.refuseNext = new CodedError('full', 'parkedMessages (1000) is reached')
    client.send(send('/queue/a', '1', 'receipt:1'))
    expect(client.text()).toContain('message:parkedMessages (1000) is reached\n')
  })

  it.each([
    ['destination:/queue/a\ntransaction:t', 'SEND: there is no open transaction'],
    ['x:1', 'SEND needs the header destination'],
    [`destination:${Array.from({ length: 101 }, (_, i) => `/queue/list${i}`).join(',')}`, 'exceeds limits.compositeParts'],
    ['destination:orders', 'A destination begins with /queue/, /topic/, /temp-queue/'],
    ['destination:/queue/', 'needs a name'],
    ['destination:/queue/a,/exchange/b', 'A destination begins with'],
    ['destination:/topic/a.*', 'cannot be sent to a destination with wildcards'],
    ['destination:/temp-queue/*', 'no wildcards'],
    ['destination:/queue/a?consumer.prefetchSize=1', 'Options in a destination'],
    ['destination:/queue/a\npriority:x', 'The header priority'],
  ])('with %j is refused', async (headers, sentence) => {
    const { client, core } = await connected()
    client.send(`SEND\n${headers}\nreceipt:r\n\nx\0`)
    const text = client.text()
    expect(text).toContain(sentence)
    expect(text).toContain('receipt-id:r\n')
    expect(client.ended).toBe(true)
    expect(core.closed).toBe('lost')
    expect(core.published).toEqual([])
  })

  it('with ActiveMQ.Retain sets what a topic retains, empty clears it, and a queue knows nothing of it', async () => {
    const { client, core } = await connected()
    client.send(
      send('/topic/a', 'x', 'ActiveMQ.Retain:true') + send('/topic/a', '', 'ActiveMQ.Retain:true') + send('/queue/a', 'x', 'ActiveMQ.Retain:true'),
    )
    expect(core.published.map((message) => message.retain)).toEqual(['set', 'clear', 'no'])
  })

  it('remembers a bounded number of destinations', async () => {
    const { client, core } = await connected({ destinationsKept: 2 })
    for (const name of ['a', 'b', 'c', 'a']) client.send(send(`/queue/${name}`, 'x'))
    expect(core.declared.map(([name]) => name)).toEqual(['/queue/a', '/queue/b', '/queue/c', '/queue/a'])
    expect(core.published).toHaveLength(4)
  })
})

describe('SUBSCRIBE', () => {
  it('to a queue consumes it, with the prefetch that was asked for', async () => {
    const { client, core } = await connected()
    client.send(
      'SUBSCRIBE\nid:s\ndestination:/queue/a.b\nack:client\nactivemq.prefetchSize:7\nactivemq.exclusive:true\nactivemq.priority:5\nreceipt:r\n\n\0',
    )
    expect(core.consumers[0]).toMatchObject({ queues: ['/queue/a.b'], options: { settle: 'unsettled', exclusive: 'wait', priority: 5 }, credit: 7 })
    core.done()
    expect(client.text()).toBe('RECEIPT\nreceipt-id:r\n\n\0')
  })

  it.each([
    ['prefetch-count:7', 7],
    ['prefetch-count:7\nactivemq.prefetchSize:9', 9],
    ['prefetch-count:0', 1000],
    ['prefetch-count:many', 1000],
  ])('takes %j for a prefetch of %d', async (headers, credit) => {
    const { client, core } = await connected()
    client.send(`SUBSCRIBE\nid:s\ndestination:/queue/a\n${headers}\n\n\0`)
    expect(core.consumers[0].credit).toBe(credit)
  })

  it.each([
    ['activemq.maximumPendingMessageLimit:10', 1010],
    ['activemq.maximumPendingMessageLimit:10\nactivemq.prefetchSize:5', 15],
    ['activemq.maximumPendingMessageLimit:999999999', 100_000],
    ['activemq.maximumPendingMessageLimit:0', 100_000],
    ['activemq.maximumPendingMessageLimit:-1', 100_000],
  ])('to a topic with %j keeps %d messages', async (headers, limitMessages) => {
    const { client, core } = await connected()
    client.send(`SUBSCRIBE\nid:s\ndestination:/topic/a\n${headers}\n\n\0`)
    expect(core.declared[0][1]).toMatchObject({ limitMessages, whenFull: 'drop-oldest' })
  })

  it('to a topic binds a volatile queue of its own, which UNSUBSCRIBE lets go', async () => {
    const { client, core } = await connected()
    client.send('SUBSCRIBE\nid:s\ndestination:/topic/a.*.>\n\n\0')
    const [queue, options] = core.declared[0]
    expect(queue).toMatch(/^stomp:\/queue\/[\w-]+\.1$/)
    expect(options).toMatchObject({ durable: false, lifetime: 'held', whenFull: 'drop-oldest' })
    expect(core.bound).toEqual([{ queue, pattern: ['a', { wild: 'one' }, { wild: 'rest' }], settle: 'settled', retained: 'never' }])
    client.send('UNSUBSCRIBE\nid:s\nreceipt:r\n\n\0')
    core.done()
    expect(client.text()).toBe('RECEIPT\nreceipt-id:r\n\n\0')
    expect(core.released).toEqual([queue])
    expect(core.consumers[0].closed).toBe(true)
  })

  it('with a name and a client-id is durable, and UNSUBSCRIBE with the name deletes it', async () => {
    const { client, core } = await connected({}, 'client-id:me')
    client.send('SUBSCRIBE\nid:s\ndestination:/topic/a\nactivemq.subscriptionName:news\n\n\0')
    expect(core.declared).toEqual([['stomp:/queue/durable.me.news', { durable: true, lifetime: 'permanent' }]])
    expect(core.consumers[0].options.exclusive).toBe('refuse')
    client.send('UNSUBSCRIBE\nid:s\n\n\0')
    expect(core.removed).toEqual([])
    client.send('UNSUBSCRIBE\nid:s\ndurable-subscription-name:news\n\n\0')
    expect(core.removed).toEqual(['stomp:/queue/durable.me.news'])
    expect(client.ended).toBe(false)
  })

  it('that is refused as exclusive leaves the bindings as they were', async () => {
    const { client, core } = await connected({}, 'client-id:me')
    core.inUse = true
    client.send('SUBSCRIBE\nid:s\ndestination:/topic/other\nactivemq.subscriptionName:news\nreceipt:r\n\n\0')
    expect(core.bound).toEqual([])
    expect(client.text()).toMatch(/^ERROR\nmessage:in use\n/)
  })

  it.each([
    ['destination:/queue/a', 'SUBSCRIBE needs the header id'],
    ['id:s', 'SUBSCRIBE needs the header destination'],
    ['id:first\ndestination:/queue/b', 'There is a subscription'],
    ['id:s\ndestination:/queue/a\nack:maybe', 'There is no ack mode'],
    ['id:s\ndestination:/queue/a\nselector:wrong', 'the selector is wrong'],
    ['id:s\ndestination:/topic/a\nbrowser:true', 'Only a queue can be browsed'],
    ['id:s\ndestination:/queue/>.a', 'may only be the last'],
    ['id:s\ndestination:/queue/a.*\nbrowser:true', 'Only a queue can be browsed'],
    ['id:s\ndestination:/queue/a\nactivemq.priority:high', 'activemq.priority'],
    ['id:s\ndestination:/queue/a\nactivemq.priority:128', 'activemq.priority'],
    ['id:s\ndestination:/queue/a\nactivemq.priority:-129', 'activemq.priority'],
    ['id:s\ndestination:/topic/>.a', 'may only be the last'],
    ['id:s\ndestination:/queue/a\nactivemq.prefetchSize:0', 'activemq.prefetchSize'],
    ['id:s\ndestination:/queue/a\nactivemq.noLocal:true', 'Only a topic can leave out messages of the own client'],
    ['id:s\ndestination:/topic/a\nactivemq.subscriptionName:n', 'needs the header client-id'],
  ])('with %j is refused', async (headers, sentence) => {
    const { client } = await connected()
    client.send('SUBSCRIBE\nid:first\ndestination:/queue/a\n\n\0')
    client.send(`SUBSCRIBE\n${headers}\nreceipt:r\n\n\0`)
    const text = client.text()
    expect(text).toContain(sentence)
    expect(text).toContain('receipt-id:r\n')
    expect(client.ended).toBe(true)
  })

  it('beyond subscriptionsMax is refused', async () => {
    const { client } = await connected({ subscriptionsMax: 2 })
    for (const id of ['a', 'b', 'c']) client.send(`SUBSCRIBE\nid:${id}\ndestination:/queue/a\n\n\0`)
    expect(client.text()).toContain('subscriptionsMax')
    expect(client.ended).toBe(true)
  })

  it('needs no id in 1.0, where the destination stands for it', async () => {
    const { client, core } = await connected({}, '', '1.0')
    client.send('SUBSCRIBE\ndestination:/queue/a\n\n\0')
    core.deliver(0, { tag: 0 })
    expect(client.text()).toBe('MESSAGE\ndestination:/queue/a\nmessage-id:5-1\n\nbody\0')
    client.send('UNSUBSCRIBE\ndestination:/queue/a\n\n\0')
    expect(core.consumers[0].closed).toBe(true)
  })
})

describe('MESSAGE', () => {
  it('says what the broker knows, then what the sender set', async () => {
    const { client, core } = await subscribed('client-individual')
    core.deliver(0, { tag: 1, message: { head: 'b:1\ncontent-type:text/plain\ncontent-length:4\n' } })
    expect(client.text()).toBe(
      'MESSAGE\nsubscription:s\ndestination:/queue/a\nmessage-id:5-1\nack:1-1\nb:1\ncontent-type:text/plain\ncontent-length:4\n\nbody\0',
    )
  })

  it('says that it may have been seen, that it was retained, and why it is dead', async () => {
    const { client, core } = await subscribed('auto')
    const dead = { reason: 'failed: 6 times', origin: address('queue', ['orders']) }
    core.deliver(0, { tag: 0, maybeSeen: true, retained: true, dead, queue: address('queue', ['ActiveMQ', 'DLQ']) })
    expect(client.text()).toBe(
      'MESSAGE\nsubscription:s\ndestination:/queue/ActiveMQ.DLQ\noriginal-destination:/queue/orders\ndlqDeliveryFailureCause:failed\\c 6 times\n' +
        'message-id:5-1\nredelivered:true\nActiveMQ.Retained:true\n\nbody\0',
    )
  })

  it.each([
    ['1.0', 'x:a:b\\c d\n'],
    ['1.1', 'x:a\\cb\\\\c\\nd\n'],
    ['1.2', 'x:a\\cb\\\\c\\nd\n'],
  ])('is escaped as %s has it', async (version, line) => {
    const { client, core } = await subscribed('auto', {}, version)
    core.deliver(0, { tag: 0, message: { head: 'x:a\\cb\\\\c\\nd\n' } })
    expect(client.text()).toContain(`\n${line}\n`)
  })

  it('with a large body is written as the same bytes', async () => {
    const { client, core } = await subscribed('auto')
    const body = 'y'.repeat(5000)
    core.deliver(0, { tag: 0, message: { body } })
    core.deliver(0, { tag: 0, sequence: 2, message: { body: 'small' } })
    expect(client.text()).toBe(
      `MESSAGE\nsubscription:s\ndestination:/queue/a\nmessage-id:5-1\n\n${body}\0MESSAGE\nsubscription:s\ndestination:/queue/a\nmessage-id:5-2\n\nsmall\0`,
    )
  })

  it('of another dialect is translated, and rejected with the reason when it cannot be', async () => {
    const { client, core } = await subscribed('client-individual')
    core.deliver(0, { tag: 1, message: { dialect: 'other' } })
    expect(client.text()).toContain('translated')
    core.deliver(0, { tag: 2, message: { dialect: 'impossible' } })
    expect(client.text()).toBe('')
    expect(core.settled).toEqual([[2, 2, 'rejected', false]])
  })
})

describe('credit', () => {
  it('comes back as messages are acknowledged', async () => {
    const { client, core } = await subscribed('client-individual', { prefetch: 10 })
    expect(core.consumers[0].credit).toBe(10)
    for (const tag of [1, 2, 3]) core.deliver(0, { tag, sequence: tag })
    client.send('ACK\nid:1-1\n\n\0ACK\nid:1-3\n\n\0')
    expect(core.consumers[0].credit).toBe(9)
  })

  it('comes back for all that a cumulative ACK covers', async () => {
    const { client, core } = await subscribed('client', { prefetch: 10 })
    for (const tag of [1, 2, 3]) core.deliver(0, { tag, sequence: tag })
    client.send('ACK\nid:1-3\n\n\0')
    expect(core.settled).toEqual([[1, 3, 'accepted', false]])
    expect(core.consumers[0].credit).toBe(10)
  })

  it('of ack:auto comes back at the end of the turn, unless the socket is full', async () => {
    const { client, core } = await subscribed('auto', { prefetch: 4, prefetchBytes: 65_536 })
    for (let i = 1; i <= 4; i++) core.deliver(0, { tag: 0, sequence: i })
    expect(core.consumers[0].credit).toBe(0)
    await client.turn()
    expect(core.consumers[0].credit).toBe(4)
    client.connection.congested(true)
    expect(core.consumers[0].stalled).toBe(true)
    expect(client.paused).toBe(1)
    for (let i = 5; i <= 8; i++) core.deliver(0, { tag: 0, sequence: i })
    await client.turn()
    expect(core.consumers[0].credit).toBe(0)
    client.connection.congested(false)
    expect(core.consumers[0]).toMatchObject({ credit: 4, stalled: false })
    expect(client.paused).toBe(0)
    expect(core.consumers[0].creditBytes).toBe(65_536)
  })
})

describe('ACK and NACK', () => {
  it.each([
    ['1.2', 'id:1-1'],
    ['1.1', 'subscription:s\nmessage-id:5-1'],
    ['1.0', 'message-id:5-1'],
  ])('%s name a message by its own headers', async (version, headers) => {
    const { client, core } = await subscribed('client-individual', {}, version)
    core.deliver(0, { tag: 1 })
    client.text()
    client.send(`ACK\n${headers}\nreceipt:r\n\n\0`)
    expect(core.settled).toEqual([[1, 1, 'accepted', true]])
    expect(client.text()).toBe('')
    core.done()
    expect(client.text()).toBe('RECEIPT\nreceipt-id:r\n\n\0')
    client.send(`ACK\n${headers}\nreceipt:again\n\n\0`)
    expect(client.text()).toMatch(/^ERROR\nmessage:ACK.*is outstanding.*\nreceipt-id:again\n/s)
    expect(client.ended).toBe(true)
  })

  it('1.0 finds the subscription by the queue', async () => {
    const { client, core } = await connected({}, '', '1.0')
    for (const name of ['a', 'b']) client.send(`SUBSCRIBE\ndestination:/queue/${name}\nack:client\n\n\0`)
    core.deliver(0, { tag: 1, queueNumber: 5 })
    core.deliver(1, { tag: 1, queueNumber: 6 })
    client.send('ACK\nmessage-id:6-1\n\n\0')
    expect(core.settledBy).toEqual([1])
  })

  it.each([
    ['redeliver', { kind: 'modified', failed: true, elsewhere: false, afterMs: 0 }],
    ['reject', { kind: 'rejected', reason: 'NACK by its consumer' }],
  ] as const)('NACK with the setting %s', async (nack, outcome) => {
    const { client, core } = await subscribed('client-individual', { nack })
    core.deliver(0, { tag: 1 })
    client.send('NACK\nid:1-1\n\n\0')
    expect(core.outcomes).toEqual([outcome])
  })

  it('NACK is cumulative with ack:client', async () => {
    const { client, core } = await subscribed('client')
    for (const tag of [1, 2, 3]) core.deliver(0, { tag, sequence: tag })
    client.send('NACK\nid:1-2\n\n\0')
    expect(core.settled).toEqual([[1, 2, 'modified', false]])
  })

  it.each(['id:1-9', 'id:7-1', 'id:x', 'id:1-0', 'message-id:5-1', 'id:1-1\ntransaction:t'])('of %j is an ERROR', async (headers) => {
    const { client, core } = await subscribed('client-individual')
    core.deliver(0, { tag: 1 })
    client.send(`ACK\n${headers}\n\n\0`)
    expect(client.text()).toContain('ERROR\n')
    expect(core.closed).toBe('lost')
  })

  it('beyond what was delivered settles nothing, cumulative as it is', async () => {
    const { client, core } = await subscribed('client')
    core.deliver(0, { tag: 1 })
    client.send('ACK\nid:1-9\n\n\0')
    expect(client.text()).toContain('ERROR\n')
    expect(core.settled).toEqual([])
  })

  it('of a message that is not outstanding is nothing where staleAck says so', async () => {
    const { client, core } = await subscribed('client-individual', { staleAck: 'ignore' })
    client.send('ACK\nid:1-9\nreceipt:r\n\n\0')
    core.done()
    expect(client.text()).toBe('RECEIPT\nreceipt-id:r\n\n\0')
    expect(client.ended).toBe(false)
  })

  it('NACK is no command of 1.0', async () => {
    const { client, core } = await subscribed('client', {}, '1.0')
    core.deliver(0, { tag: 1 })
    client.send('NACK\nmessage-id:5-1\n\n\0')
    expect(client.text()).toContain('STOMP 1.0 has no command NACK')
  })
})

describe('BEGIN, COMMIT, ABORT', () => {
  it.each([
    ['COMMIT\ntransaction:t\nreceipt:r\n\n\0', 'COMMIT: there is no open transaction'],
    ['ABORT\ntransaction:t\nreceipt:r\n\n\0', 'ABORT: there is no open transaction'],
    ['BEGIN\nreceipt:r\n\n\0', 'BEGIN needs the header transaction'],
    ['COMMIT\nreceipt:r\n\n\0', 'COMMIT needs the header transaction'],
    ['BEGIN\ntransaction:\nreceipt:r\n\n\0', 'BEGIN needs the header transaction'],
    ['BEGIN\ntransaction:t\n\n\0BEGIN\ntransaction:t\nreceipt:r\n\n\0', 'BEGIN: transaction "t" is open already'],
    ['BEGIN\ntransaction:t\n\n\0COMMIT\ntransaction:t\n\n\0ABORT\ntransaction:t\nreceipt:r\n\n\0', 'ABORT: there is no open transaction'],
  ])('of %j is an ERROR', async (frames, sentence) => {
    const { client, core } = await connected()
    client.send(frames)
    const text = client.text()
    expect(text).toContain(sentence)
    expect(text).toContain('receipt-id:r\n')
    expect(core.closed).toBe('lost')
  })

  it('that give back much do so in shares, a turn each, and nothing else is heard of their client meanwhile', async () => {
    const { client, core } = await connected()
    client.send('BEGIN\ntransaction:t\n\n\0')
    const [transaction] = core.transactions
    transaction.claimed = 2_500
    client.send('ABORT\ntransaction:t\nreceipt:r\n\n\0BEGIN\ntransaction:t\n\n\0')
    expect([transaction.claimed, core.transactions.length]).toEqual([1_500, 1])
    while (core.transactions.length === 1) await client.turn()
    expect(transaction.did).toEqual(['give back 1000', 'give back 1000', 'give back 1000', 'rollback'])
    core.done()
    expect(client.text()).toContain('receipt-id:r\n')
    // Gone in the middle of it.
    core.transactions[1].claimed = 2_500
    client.send('ABORT\ntransaction:t\n\n\0')
    client.connection.closed()
    await client.turn()
    expect(core.transactions[1].did).toEqual(['give back 1000'])
  })

  it('reach the core, and their receipts follow it', async () => {
    const { client, core } = await connected()
    client.send('BEGIN\ntransaction:t\nreceipt:1\n\n\0')
    client.send(send('/queue/a', 'x', 'transaction:t\nreceipt:2'))
    client.send('COMMIT\ntransaction:t\nreceipt:3\n\n\0BEGIN\ntransaction:t\n\n\0ABORT\ntransaction:t\nreceipt:4\n\n\0')
    const [first, second] = core.transactions
    expect(core.publishedIn).toEqual([first])
    expect([first.did, second.did]).toEqual([['commit'], ['rollback']])
    expect(client.text()).toBe('RECEIPT\nreceipt-id:1\n\n\0')
    core.done()
    expect(client.text()).toBe([2, 3, 4].map((id) => `RECEIPT\nreceipt-id:${id}\n\n\0`).join(''))
  })

  it('one too many is the core’s refusal', async () => {
    const { client, core } = await connected()
    core.transactionsMax = 1
    client.send('BEGIN\ntransaction:1\n\n\0BEGIN\ntransaction:2\nreceipt:r\n\n\0')
    expect(client.text()).toContain('message:too many transactions\n')
  })

  it('of a transaction that is doomed: COMMIT is an ERROR, ABORT is not', async () => {
    const { client, core } = await connected()
    client.send('BEGIN\ntransaction:1\n\n\0BEGIN\ntransaction:2\n\n\0')
    for (const transaction of core.transactions) transaction.doomed = new CodedError('timeout', 'too old')
    client.send('ABORT\ntransaction:1\nreceipt:r\n\n\0')
    core.done()
    expect(client.text()).toBe('RECEIPT\nreceipt-id:r\n\n\0')
    client.send('COMMIT\ntransaction:2\nreceipt:r\n\n\0')
    expect(client.text()).toContain('message:too old\n')
  })

  it('DISCONNECT aborts what is open before it takes subscriptions away', async () => {
    const { client, core } = await subscribed('client-individual')
    core.deliver(0, { tag: 1 })
    client.send('BEGIN\ntransaction:t\n\n\0ACK\nid:1-1\ntransaction:t\n\n\0DISCONNECT\n\n\0')
    expect(core.transactions[0].did).toEqual(['accepted 1-1', 'rollback'])
  })

  it.each([
    ['1.2', 'id:1-1'],
    ['1.1', 'subscription:s\nmessage-id:5-1'],
    ['1.0', 'message-id:5-1'],
  ])('an ACK in an aborted transaction may be said again, STOMP %s', async (version, headers) => {
    const { client, core } = await subscribed('client-individual', {}, version)
    core.deliver(0, { tag: 1 })
    for (const transaction of ['t', 'u']) {
      client.send(`BEGIN\ntransaction:${transaction}\n\n\0ACK\n${headers}\ntransaction:${transaction}\n\n\0`)
      client.send(`${transaction === 't' ? 'ABORT' : 'COMMIT'}\ntransaction:${transaction}\nreceipt:${transaction}\n\n\0`)
    }
    core.done()
    expect(core.transactions.map(({ did }) => did)).toEqual([
      ['accepted 1-1', 'rollback'],
      ['accepted 1-1', 'commit'],
    ])
    expect(client.text()).toContain('RECEIPT\nreceipt-id:u\n')
  })

  it('with ack:client an aborted ACK leaves outstanding what it covered, also behind a later one', async () => {
    const { client, core } = await subscribed('client')
    for (let tag = 1; tag <= 6; tag++) core.deliver(0, { tag, sequence: tag })
    client.send('BEGIN\ntransaction:t\n\n\0ACK\nid:1-2\ntransaction:t\n\n\0ACK\nid:1-3\ntransaction:t\n\n\0')
    client.send('ACK\nid:1-4\n\n\0ABORT\ntransaction:t\n\n\0')
    expect(core.settled).toEqual([[4, 4, 'accepted', false]])
    client.send('ACK\nid:1-2\n\n\0')
    client.send('ACK\nid:1-5\n\n\0')
    expect(core.settled.slice(1)).toEqual([
      [1, 2, 'accepted', false],
      [3, 3, 'accepted', false],
      [5, 5, 'accepted', false],
    ])
    client.send('ACK\nid:1-3\nreceipt:r\n\n\0')
    expect(client.text()).toContain('is outstanding')
  })

  it('gives credit back with the ACK, and takes it again with the ABORT', async () => {
    const { client, core } = await subscribed('client-individual')
    const [consumer] = core.consumers
    const before = consumer.credit
    for (let tag = 1; tag <= 3; tag++) core.deliver(0, { tag, sequence: tag })
    client.send('BEGIN\ntransaction:t\n\n\0')
    for (let tag = 1; tag <= 3; tag++) client.send(`ACK\nid:1-${tag}\ntransaction:t\n\n\0`)
    expect(consumer.credit).toBe(before)
    client.send('ABORT\ntransaction:t\n\n\0')
    await client.turn()
    expect(consumer.credit).toBe(before - 3)
  })
})

describe('other frames', () => {
  it.each(['MESSAGE', 'toString', '__proto__', 'connect'])('%s is no command', async (command) => {
    const { client } = await connected()
    client.send(`${command}\nreceipt:r\n\n\0`)
    expect(client.text()).toContain('There is no command')
    expect(client.ended).toBe(true)
  })

  it('UNSUBSCRIBE of nothing is an ERROR', async () => {
    const { client } = await connected()
    client.send('UNSUBSCRIBE\nid:x\n\n\0')
    expect(client.text()).toContain('There is no subscription')
  })
})

describe('DISCONNECT', () => {
  it('is answered after everything before it, parked sends included, and then ends the connection cleanly', async () => {
    const { client, core } = await subscribed('client')
    core.full = true
    client.send(`${send('/queue/a', '1', 'receipt:1')}DISCONNECT\nreceipt:bye\n\n\0`)
    core.done()
    expect(client.text()).toBe('')
    expect(core.consumers[0].closed).toBe(true)
    core.admit()
    expect(client.ended).toBe(false)
    core.done()
    expect(client.text()).toBe('RECEIPT\nreceipt-id:1\n\n\0RECEIPT\nreceipt-id:bye\n\n\0')
    expect(client.ended).toBe(true)
    expect(core.closed).toBe('clean')
  })

  it('reads nothing that follows it', async () => {
    const { client, core } = await connected()
    client.send(`DISCONNECT\n\n\0${send('/queue/a', 'late')}`)
    expect(core.published).toEqual([])
    expect(client.text()).toBe('')
    expect(client.ended).toBe(true)
  })
})

describe('the end', () => {
  it('by the core is an ERROR without receipt-id, since what happened is unknown', async () => {
    const { client, core } = await connected()
    client.send(send('/queue/a', '1', 'receipt:1'))
    core.replies?.ended(new CodedError('not-leading', 'this node no longer leads'))
    const text = client.text()
    expect(text).toContain('message:this node no longer leads\n')
    expect(text).not.toContain('receipt-id')
    expect(client.ended).toBe(true)
    core.replies?.done(99)
    expect(client.text()).toBe('')
  })

  it('by shutdown is an ERROR without receipt-id', async () => {
    const { client } = await connected()
    client.connection.shutdown(new CodedError('shutting-down', 'the broker stops'))
    expect(client.text()).toMatch(/^ERROR\nmessage:the broker stops\n/)
    expect(client.ended).toBe(true)
  })

  it('by shutdown or loss of leadership names the other nodes, and by a fault of the client does not', async () => {
    for (const code of ['shutting-down', 'not-leading'] as const) {
      const { client, core } = await connected()
      core.pair = ['b.example:61613', 'a.example:61613']
      client.connection.shutdown(new CodedError(code, 'the node leads no more'))
      expect(client.text()).toContain('server-list:b.example\\c61613,a.example\\c61613\n')
    }
    const { client, core } = await connected()
    core.pair = ['b.example:61613']
    client.send('NONSENSE\n\n\0')
    expect(client.text()).not.toContain('server-list')
  })

  it('by the wire closes the session as lost, and nothing is written after', async () => {
    const { client, core } = await subscribed('auto')
    client.connection.closed()
    expect(core.closed).toBe('lost')
    core.deliver(0, { tag: 0 })
    expect(client.text()).toBe('')
  })

  it('by the removal of its queue names the subscription', async () => {
    const { client, core } = await subscribed('auto')
    core.consumers[0].sink.ended(new CodedError('removed', 'queue a was removed'))
    expect(client.text()).toMatch(/^ERROR\nmessage:The subscription s ended\\c queue a was removed\n/)
  })

  it('while the login is under way opens no session', async () => {
    const { client, core } = start()
    client.send('CONNECT\naccept-version:1.2\n\n\0')
    client.connection.closed()
    await client.turn()
    expect(core.replies).toBeUndefined()
  })

  it('makes what follows a fault unheard', async () => {
    const { client, core } = await connected()
    client.send(`SEND\nbroken\n\n\0${send('/queue/a', 'x')}`)
    client.send(send('/queue/a', 'x'))
    expect(core.published).toEqual([])
    expect(client.text().match(/ERROR/g)).toHaveLength(1)
  })
})

describe('hostile input', () => {
  it('of any frames, in any order, split anywhere, ends its connection at worst (seeds 1 to 500)', async () => {
    const ends = new Set<boolean>()
    for (let seed = 1; seed <= 500; seed++) {
      const random = new SeededRandom(seed)
      const version = ['1.0', '1.1', '1.2'][random.below(3)]
      const { client, core } = await connected({ staleAck: random.below(2) === 0 ? 'ignore' : 'error' }, 'client-id:c\nheart-beat:0,0', version)
      for (let i = 0; i < 12; i++) {
        const bytes = Buffer.from(randomFrame(random))
        const at = random.below(bytes.length + 1)
        client.connection.data(bytes.subarray(0, at))
        client.connection.data(bytes.subarray(at))
        const consumer = core.consumers.at(-1)
        if (consumer !== undefined && !consumer.closed && random.below(3) === 0)
          core.deliver(core.consumers.length - 1, { tag: i + 1, sequence: i + 1 })
        if (random.below(4) === 0) core.done()
        if (random.below(6) === 0) client.connection.congested(random.below(2) === 0)
        if (random.below(6) === 0) core.replies?.pressure(random.below(2) === 0)
      }
      ends.add(client.ended)
      expect(core.closed !== undefined, `seed ${seed}`).toBe(client.ended)
      client.connection.closed()
      expect(core.closed, `seed ${seed}`).toBeDefined()
    }
    expect(ends).toEqual(new Set([true, false]))
  })
})

describe('heart-beats', () => {
  it('are sent when nothing else was', async () => {
    const { client, clock, core } = await connected({}, 'heart-beat:0,4000')
    clock.advance(3000)
    expect(client.text()).toBe('\n')
    clock.advance(2000)
    client.send(send('/queue/a', 'x', 'receipt:1'))
    core.done()
    client.text()
    clock.advance(2000)
    expect(client.text()).toBe('')
    clock.advance(1000)
    expect(client.text()).toBe('\n')
  })

  it('that do not come end the connection after the grace', async () => {
    const { client, clock, core } = await connected({ heartBeatGrace: 2 }, 'heart-beat:4000,0')
    clock.advance(7000)
    client.send('\n')
    clock.advance(7999)
    expect(client.ended).toBe(false)
    clock.advance(2)
    expect(client.text()).toContain('neither a frame nor a heart-beat')
    expect(core.closed).toBe('lost')
  })

  it('are not missed while reading was stopped by ourselves', async () => {
    const { client, clock, core } = await connected({}, 'heart-beat:1000,0')
    core.replies?.pressure(true)
    clock.advance(60_000)
    expect(client.ended).toBe(false)
    core.replies?.pressure(false)
    clock.advance(5000)
    expect(client.ended).toBe(true)
  })

  it.each(['heart-beat:1', 'heart-beat:a,b', 'heart-beat:-1,0'])('%s is refused', (line) => {
    const { client } = start()
    client.send(`CONNECT\naccept-version:1.2\n${line}\n\n\0`)
    expect(client.text()).toContain('heart-beat is not two numbers')
  })

  it('stop with the connection', async () => {
    const { client, clock } = await connected({}, 'heart-beat:1000,1000')
    client.connection.closed()
    clock.advance(60_000)
    expect(client.text()).toBe('')
  })
})

// ---- The core and the client that the tests play ----

function randomFrame(random: SeededRandom): string {
  const pick = (from: readonly string[]): string => from[random.below(from.length)]
  // Mostly what makes sense, or every connection would end at its first frame.
  if (random.below(8) !== 0) {
    const id = `${random.below(3)}`
    return pick([
      `SEND\ndestination:/queue/a${id}\nreceipt:${id}\n\nbody\0`,
      `SEND\ndestination:/topic/a.${id}\npersistent:true\n\n\0`,
      '\n\r\n\n',
      `SEND\ndestination:/queue/a\ncontent-length:4\n__proto__:x\n\n\0\0\0\0\0`,
    ])
  }
  const headers = Array.from({ length: random.below(6) }, () => `${pick(NAMES)}:${pick(VALUES)}\n`).join('')
  return `${pick([...COMMANDS, ...COMMANDS, ...COMMANDS, 'X', ''])}\n${headers}\n${pick(['', '', 'body'])}\0`
}

const COMMANDS = ['SEND', 'SUBSCRIBE', 'UNSUBSCRIBE', 'ACK', 'NACK', 'BEGIN', 'DISCONNECT', 'CONNECT']
const NAMES = [
  'destination',
  'id',
  'ack',
  'message-id',
  'subscription',
  'receipt',
  'content-length',
  'priority',
  'activemq.subscriptionName',
  '__proto__',
  'expires',
]
const VALUES = [
  '/queue/a',
  '/topic/a.>',
  '1',
  '0',
  '-1',
  '1-1',
  '5-1',
  'client',
  'client-individual',
  'auto',
  '\\c',
  '\\t',
  '/topic/',
  'é😀',
  '9'.repeat(30),
]

function defaults(): Record<string, unknown> {
  const { properties } = schema as { properties: Record<string, { default: unknown }> }
  return Object.fromEntries(Object.entries(properties).map(([name, property]) => [name, property.default]))
}

function address(kind: Address['kind'], path: readonly string[], namespace = ''): Address {
  return { kind, path, namespace }
}

function nameOf({ kind, path, namespace }: Address): string {
  return `${namespace === '' ? '' : `${namespace}:`}/${kind}/${path.join('.')}`
}

function send(destination: string, body: string, headers = ''): string {
  return `SEND\ndestination:${destination}\n${headers === '' ? '' : `${headers}\n`}\n${body}\0`
}

function start(settings: Record<string, unknown> = {}) {
  const clock = new MovableClock()
  const core = new PlayedCore(clock)
  const nothing = () => {}
  const log: Log = { debug: nothing, info: nothing, warn: nothing, error: nothing }
  const front = stomp.start(core, { ...defaults(), ...settings }, log)
  const client = new PlayedClient()
  client.connection = front.accept(client)
  return { clock, core, client }
}

async function connected(settings: Record<string, unknown> = {}, headers = '', version = '1.2') {
  const played = start(settings)
  const accept = version === '1.0' ? '' : `accept-version:${version}\n`
  played.client.send(`CONNECT\n${accept}${headers === '' ? '' : `${headers}\n`}\n\0`)
  await played.client.turn()
  played.core.done()
  await played.client.turn()
  expect(played.client.text()).toContain(`CONNECTED\nversion:${version}\n`)
  return played
}

async function subscribed(mode: string, settings: Record<string, unknown> = {}, version = '1.2') {
  const played = await connected(settings, '', version)
  played.client.send(`SUBSCRIBE\nid:s\ndestination:/queue/a\nack:${mode}\n\n\0`)
  return played
}

class PlayedClient implements Wire {
  readonly remote = 'test:1'
  readonly secure = false
  backlogBytes = 0
  paused = 0
  ended = false
  connection: ReturnType<ReturnType<typeof stomp.start>['accept']> = undefined as never
  #written: Buffer[] = []

  send(text: string): void {
    this.connection.data(Buffer.from(text))
  }

  /** What was written since the last look. */
  text(): string {
    const text = Buffer.concat(this.#written).toString()
    this.#written = []
    return text
  }

  turn(): Promise<void> {
    return new Promise((resolve) => setImmediate(() => setImmediate(resolve)))
  }

  write(bytes: Uint8Array): void {
    if (this.ended) throw new Error('written after the end')
    this.#written.push(Buffer.from(bytes))
  }
  room: Buffer = Buffer.alloc(0)
  reserve(bytes: number): number {
    if (this.ended) throw new Error('written after the end')
    this.room = Buffer.alloc(bytes)
    this.#written.push(this.room)
    return 0
  }
  trim(bytes: number): void {
    const last = this.#written.pop()
    if (last !== undefined) this.#written.push(last.subarray(0, last.length - bytes))
  }
  pause(): void {
    this.paused++
  }
  resume(): void {
    this.paused--
  }
  end(): void {
    this.ended = true
  }
  destroy(): void {
    this.ended = true
  }
}

class PlayedConsumer implements Consumer {
  credit = 0
  creditBytes = 0
  stalled = false
  closed = false
  readonly core: PlayedCore
  readonly queues: string[]
  readonly options: ConsumerOptions
  readonly sink: Sink
  readonly unsettled = new Set<number>()

  constructor(core: PlayedCore, queues: string[], options: ConsumerOptions, sink: Sink) {
    this.core = core
    this.queues = queues
    this.options = options
    this.sink = sink
  }

  grant(messages: number, bytes: number): void {
    this.credit += messages
    this.creditBytes += bytes
  }
  stall(stalled: boolean): void {
    this.stalled = stalled
  }
  add(): boolean {
    return true
  }
  drop(): void {}
  settle(first: number, last: number, outcome: Outcome, answered: boolean): number {
    let any = false
    for (let tag = first; tag <= last; tag++) any = this.unsettled.delete(tag) || any
    if (!any) return 0
    this.core.settled.push([first, last, outcome.kind, answered])
    this.core.outcomes.push(outcome)
    this.core.settledBy.push(this.core.consumers.indexOf(this))
    return this.core.ticket()
  }
  settleIn(transaction: Transaction, first: number, last: number, outcome: Outcome): number {
    for (let tag = first; tag <= last; tag++) if (!this.unsettled.has(tag)) return 0
    ;(transaction as PlayedTransaction).did.push(`${outcome.kind} ${first}-${last}`)
    return this.core.ticket()
  }
  mark(): number {
    return this.core.ticket()
  }
  whenIdle(): void {}

  close(): void {
    this.closed = true
  }
}

type Played = {
  tag: number
  sequence?: number
  queueNumber?: number
  message?: { head?: string; body?: string; dialect?: string }
  maybeSeen?: boolean
  retained?: boolean
  dead?: Delivery['dead']
  queue?: Address
}

class PlayedTransaction implements Transaction {
  readonly did: string[] = []
  readonly core: PlayedCore
  /** Settlements that it has. */
  claimed = 0
  doomed: BrokerError | undefined

  constructor(core: PlayedCore) {
    this.core = core
  }
  doom(error: BrokerError): void {
    this.doomed = error
  }
  commit(): number {
    this.did.push('commit')
    if (this.doomed !== undefined) this.core.refusal = this.doomed
    return this.doomed === undefined ? this.core.ticket() : 0
  }
  rollback(): number {
    this.did.push('rollback')
    return this.core.ticket()
  }
  giveBack(count: number): boolean {
    if (this.claimed > 0) this.did.push(`give back ${count}`)
    this.claimed = Math.max(0, this.claimed - count)
    return this.claimed > 0
  }
}

class PlayedCore implements Broker, Session {
  selectorFault(text: string): BrokerError | undefined {
    return text === 'wrong' ? new CodedError('invalid', 'the selector is wrong') : undefined
  }

  readonly transactions: PlayedTransaction[] = []
  readonly publishedIn: Transaction[] = []
  transactionsMax = 100

  begin(): Transaction | undefined {
    if (this.transactions.length >= this.transactionsMax) {
      this.refusal = new CodedError('limit', 'too many transactions')
      return undefined
    }
    const transaction = new PlayedTransaction(this)
    this.transactions.push(transaction)
    return transaction
  }

  readonly node = 'a'
  readonly version = '0'
  readonly mechanisms = []
  authenticateBy(): undefined {
    return undefined
  }
  readonly resumed = false
  readonly keepMs = 0
  readonly unheard = false
  readonly notes = new Set<number>()
  readonly held = []
  opened = 0
  refusal: BrokerError | undefined
  readonly clock: MovableClock
  login: unknown
  clientId = ''
  loginError: Error | undefined
  replies: Replies | undefined
  full = false
  inUse = false
  refuseNext: BrokerError | undefined
  closed: string | undefined
  readonly missing = new Set<string>()
  readonly published: (Omit<Message, 'body'> & { to: string; retain: string })[] = []
  readonly declared: [string, QueueOptions][] = []
  readonly bound: object[] = []
  readonly released: string[] = []
  readonly removed: string[] = []
  readonly settled: [number, number, string, boolean][] = []
  readonly settledBy: number[] = []
  readonly outcomes: Outcome[] = []
  readonly consumers: PlayedConsumer[] = []
  #tickets = 0

  constructor(clock: MovableClock) {
    this.clock = clock
  }

  // As the test plays it.
  ticket(): number {
    return ++this.#tickets
  }
  done(): void {
    this.replies?.done(this.#tickets)
  }
  admit(): void {
    this.replies?.admitted(this.ticket())
  }
  deliver(index: number, played: Played): void {
    const consumer = this.consumers[index]
    const { head = '', body = 'body', dialect = 'stomp' } = played.message ?? {}
    const queue = played.queue ?? address('queue', ['a'])
    if (played.tag !== 0) consumer.unsettled.add(played.tag)
    consumer.credit--
    consumer.creditBytes -= head.length + body.length
    consumer.sink.deliver({
      tag: played.tag,
      message: {
        dialect,
        head: Buffer.from(head),
        body: Buffer.from(body),
        durable: false,
        priority: 4,
        expiresAtMs: 0,
        deliverAtMs: 0,
        group: '',
        groupEnds: false,
      },
      to: address('queue', ['a']),
      ref: { queue: played.queueNumber ?? 5, sequence: played.sequence ?? 1 },
      queue,
      mode: played.tag === 0 ? 'settled' : 'unsettled',
      tags: [],
      attempts: 1,
      failures: 0,
      maybeSeen: played.maybeSeen ?? false,
      groupFirst: false,
      mark: 0,
      acceptedAtMs: 0,
      retained: played.retained ?? false,
      dead: played.dead,
      added: undefined,
    })
    consumer.sink.flush()
  }

  // Broker
  address = address
  compositeMax = 100
  virtualQueue(): undefined {}
  composite(parts: readonly Address[]): Address {
    return { ...parts[0], parts }
  }
  async authenticate(login: Parameters<Broker['authenticate']>[0]): Promise<string> {
    this.login = { user: login.user, password: login.password === undefined ? undefined : Buffer.from(login.password).toString() }
    if (this.loginError !== undefined) throw this.loginError
    return 'me'
  }
  open(identity: Parameters<Broker['open']>[0], replies: Replies): Session {
    this.clientId = identity.clientId
    this.replies = replies
    this.opened = this.ticket()
    return this
  }
  translate(message: Message): Message | undefined {
    return message.dialect === 'impossible' ? undefined : { ...message, dialect: 'stomp', body: Buffer.from('translated') }
  }
  canonical(): undefined {
    return undefined
  }
  schedule(delayMs: number, run: () => void): () => void {
    return this.clock.after(delayMs, run)
  }
  pair: readonly string[] = []

  pairAddresses(): readonly string[] {
    return this.pair
  }

  figures(): ReturnType<Broker['figures']> {
    return { startedAtMs: 1 } as ReturnType<Broker['figures']>
  }

  // Session
  publish(to: Address, message: Message, options: PublishOptions): number {
    const error = this.refuseNext ?? (this.missing.has(nameOf(to)) ? new CodedError('not-found', 'there is no queue') : undefined)
    this.refuseNext = undefined
    if (error !== undefined) {
      this.refusal = error
      return 0
    }
    const { body: _, ...rest } = message
    this.published.push({ ...rest, to: nameOf(to), retain: options.retain })
    if (options.transaction !== undefined) this.publishedIn.push(options.transaction)
    return this.full ? -1 : this.ticket()
  }
  repeat(): number {
    return this.ticket()
  }
  declare(queue: Address, options: QueueOptions): number {
    this.missing.delete(nameOf(queue))
    this.declared.push([nameOf(queue), options])
    return this.ticket()
  }
  remove(queue: Address): number {
    this.removed.push(nameOf(queue))
    return this.ticket()
  }
  hold(): number {
    return this.ticket()
  }
  release(queue: Address): number {
    this.released.push(nameOf(queue))
    return this.ticket()
  }
  bind(binding: Binding): number {
    this.bound.push({ queue: nameOf(binding.queue), pattern: binding.pattern, settle: binding.settle, retained: binding.retained })
    return this.ticket()
  }
  boundTo(): readonly Bound[] {
    return []
  }

  unbind(): number {
    return this.ticket()
  }
  consume(queues: readonly Address[], options: ConsumerOptions, sink: Sink): Consumer | undefined {
    if (this.inUse) {
      this.refusal = new CodedError('in-use', 'in use')
      return undefined
    }
    const consumer = new PlayedConsumer(this, queues.map(nameOf), options, sink)
    this.consumers.push(consumer)
    return consumer
  }
  browse(): undefined {
    this.refusal = { name: 'E', message: 'browse is played elsewhere', code: 'internal' }
    return undefined
  }
  pull(): undefined {
    return undefined
  }
  settleRef(): number {
    return 0
  }
  note(): number {
    return this.ticket()
  }
  close(how: 'clean' | 'lost'): void {
    this.closed = how
  }
}
