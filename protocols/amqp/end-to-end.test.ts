// rhea over real sockets, the real core, a journal in memory: what a user of AMQP sees. Raw bytes: hostile.test.ts, performatives in on/.
import { afterEach, describe, expect, it } from 'vitest'
import { openReceiver, openSender, sendRhea, startNode, stopNodes } from './fake-node.ts'

afterEach(stopNodes)

describe('a message', () => {
  it('sent to a queue is accepted once it is durable, and received as it was sent', async () => {
    const node = await startNode()
    const connection = await node.rhea()
    const sender = await openSender(connection, 'orders.eu')
    expect(await sendRhea(sender, { body: 'grün 😀', durable: true, subject: 'new', application_properties: { count: 7 } })).toBe('accepted')
    const inbox = await openReceiver(connection, 'orders.eu')
    const { message, delivery } = await inbox.next()
    expect(message).toMatchObject({ body: 'grün 😀', subject: 'new', durable: true, application_properties: { count: 7 } })
    delivery?.accept()
    expect(node.faults).toEqual([])
  })
})
