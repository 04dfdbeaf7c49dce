// Temporary destinations as users of each protocol meet them: requests and replies between clients of all three, on real sockets.
import { connectAsync } from 'mqtt'
import type { Connection } from 'rhea'
import { afterEach, describe, expect, it } from 'vitest'
import { type FakeNode, openReceiver, openSender, sendRhea, startNode, stopNodes } from '../protocols/amqp/fake-node.ts'
import { StompClient } from './support/stomp-client.ts'

afterEach(stopNodes)

describe('a reply to a temporary queue', () => {
  it('of a STOMP client comes from STOMP and from AMQP, under the name it chose', async () => {
    const node = await startNode()
    const asker = await StompClient.connect(node.ports.stomp)
    await asker.ask('SUBSCRIBE', { id: '1', destination: '/temp-queue/replies' })
    await asker.ask('SEND', { destination: '/queue/work', 'reply-to': '/temp-queue/replies' }, 'ask')
    await asker.ask('SEND', { destination: '/queue/work', 'reply-to': '/temp-queue/replies' }, 'ask again')

    const answerer = await StompClient.connect(node.ports.stomp)
    await answerer.ask('SUBSCRIBE', { id: '1', destination: '/queue/work', ack: 'client', 'activemq.prefetchSize': '1' })
    const asked = await answerer.message()
    const replyTo = asked.headers.get('reply-to') ?? ''
    expect(replyTo).toMatch(/^\/remote-temp-queue\/.*replies$/)
    await answerer.ask('SEND', { destination: replyTo }, 'from STOMP')
    expect(await asker.message()).toMatchObject({ text: 'from STOMP', destination: '/temp-queue/replies' })
    answerer.ack(asked)

    const rhea = await node.rhea()
    answerer.wire.destroy()
    const inbox = await openReceiver(rhea, 'queue://work')
    const { message } = await inbox.next()
    expect(message?.message_annotations?.['x-opt-jms-reply-to']).toBe(2)
    const back = await openSender(rhea, String(message?.reply_to))
    expect(await sendRhea(back, { body: 'from AMQP' })).toBe('accepted')
    expect(await asker.message()).toMatchObject({ text: 'from AMQP', destination: '/temp-queue/replies' })
    // It goes with its owner's orderly end, and nobody makes it again.
    await asker.wire.disconnect()
    expect(await sendRhea(back, { body: 'too late' })).toBe('rejected amqp:not-found')
    const late = await StompClient.connect(node.ports.stomp)
    late.wire.send('SEND', { destination: replyTo, receipt: 'r' })
    expect((await late.error()).text).toContain('is gone')
  })

  it('of an AMQP client comes from STOMP and MQTT; others may not take it', async () => {
    const node = await startNode()
    const rhea = await node.rhea()
    const replies = await openReceiver(rhea, { source: { dynamic: true } as never })
    const { address } = replies.receiver.source
    const name = address.replace('queue://$temp.', '/remote-temp-queue/')
    const stomp = await StompClient.connect(node.ports.stomp)
    await stomp.ask('SEND', { destination: name }, 'from STOMP')
    expect((await replies.next()).message?.body).toBe('from STOMP')
    stomp.wire.send('SUBSCRIBE', { id: '1', destination: name })
    expect((await stomp.error()).text).toContain('belongs to another client')
    const other = await node.rhea()
    expect(await refused(other, address)).toBe('amqp:unauthorized-access')
  })

  it.each(['its connection broke', 'a takeover'])(
    'of an AMQP client that comes back after %s is found by its address, and by no other client',
    async (what) => {
      const node = await startNode()
      const first = await node.rhea({ container_id: 'asker' })
      const { address } = (await openReceiver(first, { source: { dynamic: true } as never })).receiver.source
      if (what === 'a takeover') await node.restart()
      else (first as unknown as { socket: { destroy(): void } }).socket.destroy()
      const other = await node.rhea()
      const sender = await openSender(other, address)
      expect(await sendRhea(sender, { body: 'while it was away' })).toBe('accepted')
      expect(await refused(other, address)).toBe('amqp:unauthorized-access')
      const replies = await openReceiver(await node.rhea({ container_id: 'asker' }), address)
      expect((await replies.next()).message?.body).toBe('while it was away')
      await pass(node, 31_000)
      expect(await sendRhea(sender, { body: 'still there' })).toBe('accepted')
      expect((await replies.next()).message?.body).toBe('still there')
    },
  )

  it('of a client that comes back under its name after a takeover is found by it', async () => {
    const node = await startNode()
    const first = await StompClient.connect(node.ports.stomp, { 'client-id': 'till 1.2' })
    await first.ask('SUBSCRIBE', { id: '1', destination: '/temp-queue/r' })
    await first.ask('SEND', { destination: '/queue/work', 'reply-to': '/temp-queue/r', persistent: 'true' }, 'ask')
    await node.restart()
    const answerer = await StompClient.connect(node.ports.stomp)
    await answerer.ask('SUBSCRIBE', { id: '1', destination: '/queue/work' })
    const asked = await answerer.message()
    await answerer.ask('SEND', { destination: asked.headers.get('reply-to') ?? '' }, 'answer')
    const second = await StompClient.connect(node.ports.stomp, { 'client-id': 'till 1.2' })
    await second.ask('SUBSCRIBE', { id: '1', destination: '/temp-queue/r' })
    expect((await second.message()).text).toBe('answer')
  })
})

describe('a temporary topic', () => {
  it('is its owner’s to subscribe to and everybody’s to send to, while it is there', async () => {
    const node = await startNode()
    const owner = await StompClient.connect(node.ports.stomp)
    await owner.ask('SUBSCRIBE', { id: '1', destination: '/temp-topic/news' })
    await owner.ask('SUBSCRIBE', { id: '2', destination: '/queue/told' })
    await owner.ask('SEND', { destination: '/queue/told', 'reply-to': '/temp-topic/news' }, 'where')
    const told = await owner.message()
    const name = told.headers.get('reply-to') ?? ''
    expect(name).toMatch(/^\/remote-temp-topic\//)
    const rhea = await node.rhea()
    const sender = await openSender(rhea, name.replace('/remote-temp-topic/', 'topic://$temp.'))
    expect(await sendRhea(sender, { body: 'news' })).toBe('accepted')
    expect(await owner.message()).toMatchObject({ text: 'news', destination: '/temp-topic/news' })
    const mqtt = await connectAsync(`mqtt://127.0.0.1:${node.ports.mqtt}`)
    await mqtt.publishAsync(name.replace('/remote-temp-topic/', '$temp/').replaceAll('.', '/'), 'by MQTT', { qos: 1 })
    expect((await owner.message()).text).toBe('by MQTT')
    await owner.wire.disconnect()
    // MQTT cannot say that it is gone; ending the connection would have the client send it for ever.
    await mqtt.publishAsync(name.replace('/remote-temp-topic/', '$temp/').replaceAll('.', '/'), 'late', { qos: 1 })
    expect(mqtt.connected).toBe(true)
    await mqtt.endAsync()
    expect(await sendRhea(sender, { body: 'late' })).toBe('rejected amqp:not-found')
  })

  it('of AMQP goes with the link that made it', async () => {
    const node = await startNode()
    const rhea = await node.rhea()
    const maker = await openSender(rhea, { target: { dynamic: true, capabilities: ['temporary-topic'] } as never })
    const { address } = (maker as unknown as { target: { address: string } }).target
    expect(address).toMatch(/^topic:\/\/\$temp\./)
    const inbox = await openReceiver(rhea, address)
    expect(await sendRhea(maker, { body: 'x' })).toBe('accepted')
    expect((await inbox.next()).message?.body).toBe('x')
    const other = await node.rhea()
    expect(await refused(other, address)).toBe('amqp:unauthorized-access')
    const sender = await openSender(other, address)
    maker.close()
    while ((await sendRhea(sender, { body: 'late' })) !== 'rejected amqp:not-found') await new Promise((resolve) => setImmediate(resolve))
  })
})

/** In steps below every idle time-out. */
async function pass(node: FakeNode, ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += 5_000) {
    node.core.clock.advance(5_000)
    for (let i = 0; i < 3; i++) await node.core.settled()
  }
}

/** Why this receiver is refused. */
async function refused(connection: Connection, address: string): Promise<string> {
  const receiver = connection.open_receiver(address)
  return new Promise((resolve) => {
    receiver.on('receiver_error', () => resolve((receiver.error as { condition?: string } | undefined)?.condition ?? ''))
  })
}
