// Delayed and scheduled messages as users of STOMP and AMQP ask for them, on real sockets; the clock of the core is moved by hand.
import { types } from 'rhea'
import { afterEach, describe, expect, it } from 'vitest'
import { type FakeNode, openReceiver, openSender, sendRhea, startNode, stopNodes } from '../protocols/amqp/fake-node.ts'
import { StompClient } from './support/stomp-client.ts'

afterEach(stopNodes)

/** Moves the clock and waits until what that causes is on its way. */
async function pass(node: FakeNode, ms: number): Promise<void> {
  node.core.clock.advance(ms)
  for (let i = 0; i < 3; i++) await node.core.settled()
}

describe('a STOMP client', () => {
  it('delays a message by AMQ_SCHEDULED_DELAY, durably', async () => {
    const node = await startNode()
    const sender = await StompClient.connect(node.ports.stomp)
    await sender.ask('SEND', { destination: '/queue/q', persistent: 'true', AMQ_SCHEDULED_DELAY: '60000' }, 'later')
    await sender.ask('SEND', { destination: '/queue/q', persistent: 'true' }, 'now')
    await node.restart()
    const receiver = await StompClient.connect(node.ports.stomp)
    await receiver.ask('SUBSCRIBE', { id: '1', destination: '/queue/q' })
    expect((await receiver.message()).text).toBe('now')
    await pass(node, 59_000)
    expect(receiver.waiting).toBe(0)
    await pass(node, 2_000)
    const late = await receiver.message()
    expect(late.text).toBe('later')
    // Of its own protocol it comes as it was sent.
    expect(late.headers.get('AMQ_SCHEDULED_DELAY')).toBe('60000')
  })

  it('repeats one by period and repeat, to a topic too, over a takeover', async () => {
    const node = await startNode()
    const sender = await StompClient.connect(node.ports.stomp)
    const schedule = { AMQ_SCHEDULED_DELAY: '1000', AMQ_SCHEDULED_PERIOD: '1000', AMQ_SCHEDULED_REPEAT: '2' }
    await sender.ask('SEND', { destination: '/topic/t', ...schedule }, 'tick')
    let came = 0
    for (let i = 0; i < 5; i++) {
      if (i === 1) await node.restart()
      const receiver = await StompClient.connect(node.ports.stomp)
      await receiver.ask('SUBSCRIBE', { id: '1', destination: '/topic/t' })
      await pass(node, 1_000)
      await receiver.ask('SEND', { destination: '/queue/elsewhere' })
      came += receiver.waiting
      receiver.wire.destroy()
    }
    expect(came).toBe(3)
  })

  it('repeats one that was sent in a transaction from its commit on, and none of one that was rolled back', async () => {
    const node = await startNode()
    const client = await StompClient.connect(node.ports.stomp)
    await client.ask('SUBSCRIBE', { id: '1', destination: '/queue/q' })
    const schedule = { AMQ_SCHEDULED_DELAY: '1000', AMQ_SCHEDULED_PERIOD: '1000', AMQ_SCHEDULED_REPEAT: '1' }
    for (const end of ['ABORT', 'COMMIT']) {
      await client.ask('BEGIN', { transaction: 't' })
      await client.ask('SEND', { destination: '/queue/q', ...schedule, transaction: 't' }, `again ${end}`)
      await client.ask('SEND', { destination: '/queue/q', AMQ_SCHEDULED_DELAY: '1000', transaction: 't' }, `later ${end}`)
      await client.ask(end, { transaction: 't' })
    }
    const came: string[] = []
    for (let second = 0; second < 3; second++) {
      await pass(node, 1_001)
      await client.ask('SEND', { destination: '/queue/q' }, 'mark')
      for (let { text } = await client.message(); text !== 'mark'; { text } = await client.message()) came.push(text)
    }
    expect(came.toSorted()).toEqual(['again COMMIT', 'again COMMIT', 'later COMMIT'])
  })

  it('repeats one by cron', async () => {
    const node = await startNode({}, { destinations: { cronTimeZone: 'UTC' } })
    const client = await StompClient.connect(node.ports.stomp)
    await client.ask('SUBSCRIBE', { id: '1', destination: '/queue/q' })
    await client.ask('SEND', { destination: '/queue/q', AMQ_SCHEDULED_CRON: '0 * * * *' }, 'on the hour')
    expect(client.waiting).toBe(0)
    for (let hour = 0; hour < 3; hour++) {
      await pass(node, 3_600_000)
      expect((await client.message()).text).toBe('on the hour')
    }
  })

  it.each([
    { AMQ_SCHEDULED_DELAY: 'soon' },
    { AMQ_SCHEDULED_CRON: 'at noon' },
    { AMQ_SCHEDULED_PERIOD: '1', AMQ_SCHEDULED_REPEAT: '-1' },
    { AMQ_SCHEDULED_PERIOD: '1000', AMQ_SCHEDULED_REPEAT: '-7' },
  ])('that asks for %o is told what is wrong', async (headers) => {
    const node = await startNode()
    const client = await StompClient.connect(node.ports.stomp)
    client.wire.send('SEND', { destination: '/queue/q', ...(headers as Record<string, string>), receipt: 'r' })
    expect((await client.error()).headers.get('receipt-id')).toBe('r')
  })
})

describe('an AMQP client', () => {
  it('delays and repeats by annotations', async () => {
    const node = await startNode()
    const connection = await node.rhea()
    const sender = await openSender(connection, 'q')
    const inbox = await openReceiver(connection, 'q')
    const at = node.core.clock.wallMs()
    expect(await sendRhea(sender, { body: 'at', message_annotations: { 'x-opt-delivery-time': types.wrap_long(at + 5_000) } })).toBe('accepted')
    const again = {
      'x-opt-delivery-delay': types.wrap_long(1_000),
      'x-opt-delivery-period': types.wrap_long(2_000),
      'x-opt-delivery-repeat': types.wrap_int(1),
    }
    expect(await sendRhea(sender, { body: 'tick', durable: true, message_annotations: again })).toBe('accepted')
    const came: unknown[] = []
    for (let second = 1; second <= 6; second++) {
      await pass(node, 1_000)
      // What was sent is at the client before the answer to what it asks next.
      await sendRhea(sender, { body: 'mark', to: 'q' })
      for (let body = (await inbox.next()).message?.body; body !== 'mark'; body = (await inbox.next()).message?.body) came.push([second, body])
    }
    expect(came).toEqual([
      [1, 'tick'],
      [3, 'tick'],
      [5, 'at'],
    ])
  })

  it('is told what a STOMP client asked for in annotations, and the other way round', async () => {
    const node = await startNode({}, { destinations: { cronTimeZone: 'UTC' } })
    const stomp = await StompClient.connect(node.ports.stomp)
    await stomp.ask('SEND', { destination: '/queue/q', AMQ_SCHEDULED_CRON: '0 * * * *', AMQ_SCHEDULED_DELAY: '5' }, 'x')
    // Before an AMQP connection is there, which would be idle for too long.
    await pass(node, 3_600_100)
    const connection = await node.rhea()
    const { message } = await (await openReceiver(connection, 'q')).next()
    expect(message?.message_annotations).toMatchObject({ 'x-opt-delivery-cron': '0 * * * *', 'x-opt-delivery-delay': 5 })
    expect(message?.application_properties).toBeUndefined()
    await stomp.ask('SUBSCRIBE', { id: '1', destination: '/queue/r' })
    await sendRhea(await openSender(connection, 'r'), { body: 'y', message_annotations: { 'x-opt-delivery-cron': '30 * * * *' } })
    await pass(node, 3_600_000)
    expect((await stomp.message()).headers.get('AMQ_SCHEDULED_CRON')).toBe('30 * * * *')
  })

  it('is refused a pattern that is none', async () => {
    const node = await startNode()
    const sender = await openSender(await node.rhea(), 'q')
    const annotations = { 'x-opt-delivery-cron': 'every day' }
    expect(await sendRhea(sender, { body: 'x', message_annotations: annotations })).toBe('rejected amqp:invalid-field')
  })
})
