// SUBSCRIBE, MESSAGE, ACK and NACK against a core that the test plays, and the credit that it is given.
import { describe, expect, it } from 'vitest'
import { address, connected, subscribed } from './fake-core.ts'

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
