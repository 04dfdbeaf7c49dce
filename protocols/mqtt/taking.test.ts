// QoS 2 out of queues that others take from too, with the real core and a journal in memory. `restart` is kill -9 and takeover of the node.
import { afterEach, describe, expect, it } from 'vitest'
import { Inbox, Node, type Raw } from './fake-node.ts'

let node: Node
afterEach(async () => node.stop())

const SHARED = '000a 2473686172652f672f74'
const QUEUE = '0008 2471756575652f61'

/** Client `a` of MQTT 3.1.1, and what its CONNACK says of the session. */
async function connect(kept: boolean): Promise<Raw> {
  const raw = await node.raw()
  raw.send(`100d 0004 4d515454 04 ${kept ? '00' : '02'} 003c 0001 61`)
  await raw.take(4)
  return raw
}

async function member(kept: boolean, name = SHARED): Promise<Raw> {
  const raw = await connect(kept)
  const length = (name.replace(/ /g, '').length / 2 + 3).toString(16).padStart(2, '0')
  raw.send(`82${length} 0001 ${name} 02`)
  expect(await raw.take(5)).toBe('9003000102')
  return raw
}

/** Gone, and the node knows it. */
async function lose(raw: Raw): Promise<void> {
  const open = node.core.core.figures().sessionsOpen
  raw.socket.destroy()
  await node.core.until(() => node.core.core.figures().sessionsOpen < open)
}

async function another(topic: string): Promise<Inbox> {
  const client = await node.client()
  const inbox = new Inbox(client)
  await client.subscribeAsync(topic, { qos: 2 })
  return inbox
}

describe.each([
  ['a group', SHARED, '$share/g/t', 't', '000174'],
  ['a queue', QUEUE, '$queue/a', '$queue/a', QUEUE.replace(/ /g, '')],
])('QoS 2 out of %s', (_, name, filter, topic, named) => {
  const size = 2 + named.length / 2 + 2 + 1
  const head = (size - 2).toString(16).padStart(2, '0')
  const text = (packet: string): string => Buffer.from(packet.slice(-2), 'hex').toString()
  const idOf = (packet: string): string => packet.slice(-6, -2)

  it.each([true, false])('is delivered once, by the handshake, to a session that is kept or not: %s', async (kept) => {
    node = await new Node({ queuePrefix: '$queue' }).start()
    const raw = await member(kept, name)
    const publisher = await node.client()
    for (const each of ['x', 'y']) {
      await publisher.publishAsync(topic, each, { qos: 2 })
      const sent = await raw.take(size)
      expect(sent.startsWith(`34${head}${named}`)).toBe(true)
      expect(text(sent)).toBe(each)
      // An answer that is repeated is answered again.
      for (let i = 0; i < 2; i++) {
        raw.send(`5002${idOf(sent)}`)
        expect(await raw.take(4)).toBe(`6202${idOf(sent)}`)
      }
      raw.send(`7002${idOf(sent)}`)
    }
    expect(await raw.silent()).toBe(true)
    await lose(raw)
    const inbox = await another(filter)
    await publisher.publishAsync(topic, 'z', { qos: 2 })
    await inbox.first(1)
    expect(inbox.packets.map(({ qos, payload }) => `${qos} ${payload.toString()}`)).toEqual(['2 z'])
  })

  it.each([
    ['sent', false],
    ['received', true],
  ])(
    'that was %s is its kept session’s, after a reconnect and after the death of the node, and nobody else’s [MQTT5-4.8.2-4]',
    async (__, received) => {
      node = await new Node({ queuePrefix: '$queue' }).start()
      let raw = await member(true, name)
      const publisher = await node.client()
      await publisher.publishAsync(topic, 'x', { qos: 2 })
      const sent = await raw.take(size)
      if (received) raw.send(`5002${idOf(sent)}`)
      if (received) await raw.take(4)
      await lose(raw)
      let inbox = await another(filter)
      await publisher.publishAsync(topic, 'y', { qos: 2 })
      await inbox.first(1)
      expect(inbox.texts).toEqual(['y'])
      for (const death of [false, true]) {
        if (death) await node.restart()
        inbox = death ? await another(filter) : inbox
        raw = await connect(true)
        expect(await raw.take(received ? 4 : size)).toBe(received ? `6202${idOf(sent)}` : `3c${sent.slice(2)}`)
        if (!death) await lose(raw)
      }
      // An answer that is repeated is answered again.
      raw.send(`5002${idOf(sent)}`)
      expect(await raw.take(4)).toBe(`6202${idOf(sent)}`)
      raw.send(`7002${idOf(sent)}`)
      expect(await raw.silent()).toBe(true)
      await lose(raw)
      const last = await node.client()
      await last.publishAsync(topic, 'z', { qos: 2 })
      await inbox.first(1)
      expect(inbox.texts).toEqual(['z'])
    },
  )

  it('goes to nobody else out of a group, and back to a queue, when its session ends [MQTT5-4.8.2-5]', async () => {
    for (const kept of [true, false]) {
      for (const received of [true, false]) {
        node = await new Node({ queuePrefix: '$queue' }).start()
        const inbox = await another('other')
        const raw = await member(kept, name)
        const publisher = await node.client()
        await publisher.publishAsync(topic, 'x', { qos: 2 })
        const sent = await raw.take(size)
        if (received) raw.send(`5002${idOf(sent)}`)
        if (received) await raw.take(4)
        const other = await node.client()
        other.on('message', (_topic, payload, packet) => inbox.packets.push({ ...packet, payload }))
        await other.subscribeAsync(filter, { qos: 2 })
        await lose(raw)
        // A clean session of its name ends it.
        if (kept) await lose(await connect(false))
        await publisher.publishAsync(topic, 'y', { qos: 2 })
        const expected = filter.startsWith('$queue') && !received ? ['x', 'y'] : ['y']
        await node.core.until(() => inbox.texts.includes('y'))
        expect(inbox.texts.sort()).toEqual(expected)
        await node.stop()
      }
    }
    node = await new Node().start()
  })

  it('is over for everybody when its client refuses it [MQTT5-4.8.2-6]', async () => {
    node = await new Node({ queuePrefix: '$queue' }).start()
    for (const kept of [true, false]) {
      const raw = await node.raw()
      raw.send(kept ? '1013 0004 4d515454 05 00 003c 05 11 000003e8 0001 61' : '100e 0004 4d515454 05 02 003c 00 0001 61')
      const connack = await raw.take(2)
      await raw.take(Number.parseInt(connack.slice(2), 16))
      raw.send(`82${(name.replace(/ /g, '').length / 2 + 4).toString(16).padStart(2, '0')} 0001 00 ${name} 02`)
      await raw.take(6)
      const publisher = await node.client()
      await publisher.publishAsync(topic, 'x', { qos: 2 })
      const sent = await raw.take(size + 1)
      expect(sent.slice(0, 2)).toBe('34')
      raw.send(`5003${sent.slice(-8, -4)}80`)
      expect(await raw.silent()).toBe(true)
      await lose(raw)
      const inbox = await another(filter)
      await publisher.publishAsync(topic, 'y', { qos: 2 })
      await inbox.first(1)
      expect(inbox.texts).toEqual(['y'])
      await node.stop()
      node = await new Node({ queuePrefix: '$queue' }).start()
    }
  })

  it('keeps the order of its queue, with messages of QoS 1 between', async () => {
    node = await new Node({ queuePrefix: '$queue' }).start()
    for (const clean of [true, false]) {
      const client = await node.client({ clean, clientId: 'c' })
      const arrived: string[] = []
      const all = new Promise<void>((resolve) => {
        client.on('packetreceive', (packet) => {
          if (packet.cmd === 'publish' && arrived.push(packet.payload.toString()) === 300) resolve()
        })
      })
      await client.subscribeAsync(filter, { qos: 2 })
      const publisher = await node.client()
      const texts = Array.from({ length: 300 }, (__, i) => String(i))
      for (const each of texts) publisher.publish(topic, each, { qos: Number(each) % 3 === 0 ? 1 : 2 })
      await all
      expect(arrived).toEqual(texts)
      await client.endAsync()
    }
  })

  it('is within the Receive Maximum, and tells the identifier of its subscription also when it comes again', async () => {
    node = await new Node({ queuePrefix: '$queue' }).start()
    // Clean start 0, session expiry 1,000 s, Receive Maximum 1, client `a`.
    const connect5 = async (): Promise<Raw> => {
      const raw = await node.raw()
      raw.send('1016 0004 4d515454 05 00 003c 08 11 000003e8 21 0001 0001 61')
      const connack = await raw.take(2)
      await raw.take(Number.parseInt(connack.slice(2), 16))
      return raw
    }
    let raw = await connect5()
    raw.send(`82${(name.replace(/ /g, '').length / 2 + 6).toString(16).padStart(2, '0')} 0001 02 0b07 ${name} 02`)
    await raw.take(6)
    const publisher = await node.client({ protocolVersion: 5 })
    for (const each of ['x', 'y']) await publisher.publishAsync(topic, each, { qos: 2, properties: { contentType: 'c' } })
    // Identifier of the subscription, content type.
    const properties = '06 0b07 03000163'.replace(/ /g, '')
    const sent = await raw.take(size + 7)
    expect(sent.slice(4)).toBe(`${named}${sent.slice(-20, -16)}${properties}78`)
    expect(await raw.silent()).toBe(true)
    await lose(raw)
    raw = await connect5()
    expect(await raw.take(size + 7)).toBe(`3c${sent.slice(2)}`)
    expect(await raw.silent()).toBe(true)
    const id = sent.slice(-20, -16)
    raw.send(`5002${id}`)
    expect(await raw.take(4)).toBe(`6202${id}`)
    raw.send(`7002${id}`)
    const second = await raw.take(size + 7)
    expect(second.slice(0, 2)).toBe('34')
    expect(second.slice(-16)).toBe(`${properties}79`)
  })
})

it('a dead letter that was sent to a kept session and not answered is a dead letter as before', async () => {
  node = await new Node({ queuePrefix: '$queue' }).start()
  const { core } = node.core
  const publisher = await node.client()
  await publisher.publishAsync('$queue/work', 'x', { qos: 2 })
  const worker = node.core.client().consume(core.address('queue', ['work']))
  await node.core.until(() => worker.deliveries.length === 1)
  worker.consumer.settle(1, 1, { kind: 'rejected', reason: 'bad' }, true)
  await node.core.settled()
  const raw = await member(true, '0013 2471756575652f4163746976654d512f444c51')
  await raw.take(2 + 2 + 19 + 2 + 1)
  await lose(raw)
  await lose(await connect(false))
  await node.core.settled()
  expect(await core.administration.redrive(['ActiveMQ', 'DLQ'], 10)).toMatchObject({ moved: 1, to: { work: 1 }, left: 0 })
})
