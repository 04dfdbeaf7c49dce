// SEND against a core that the test plays: what reaches it, what is answered when, and what is refused.
import { describe, expect, it } from 'vitest'
import { CodedError } from '../../src/errors.ts'
import { connected, send } from './fake-core.ts'

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
