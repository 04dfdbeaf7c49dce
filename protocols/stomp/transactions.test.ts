// BEGIN, COMMIT and ABORT against a core that the test plays.
import { describe, expect, it } from 'vitest'
import { CodedError } from '../../src/errors.ts'
import { connected, send, subscribed } from './fake-core.ts'

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
