// Real clients over real sockets, the real core, a journal in memory: what a user of MQTT sees. `restart` is kill -9 and takeover of the node.
// With files and processes the same is tested under test/.
import mqttClient from 'mqtt'
import { afterEach, describe, expect, it } from 'vitest'
import { connected, Inbox, Node } from './fake-node.ts'

let node: Node
afterEach(async () => node.stop())

const KEPT = { clean: false, clientId: 'kept' }

describe('MQTT end to end', () => {
  it.each([0, 1, 2] as const)('QoS %d goes there and arrives once, in order', async (qos) => {
    node = await new Node().start()
    const subscriber = await node.client()
    const inbox = new Inbox(subscriber)
    expect(await subscriber.subscribeAsync('t/+', { qos })).toEqual([expect.objectContaining({ topic: 't/+', qos })])
    const publisher = await node.client()
    const sent = Array.from({ length: 300 }, (_, i) => `m${i}`)
    await Promise.all(sent.map((text) => publisher.publishAsync('t/a', text, { qos })))
    const packets = await inbox.first(300)
    expect(inbox.texts).toEqual(sent)
    expect(packets.every((packet) => packet.qos === qos && packet.topic === 't/a' && !packet.dup && !packet.retain)).toBe(true)
  })

  it('what is published to an absent kept session waits for it, without QoS 0', async () => {
    node = await new Node().start()
    const first = await node.client(KEPT)
    await first.subscribeAsync('t/#', { qos: 2 })
    await first.endAsync()
    const publisher = await node.client()
    await publisher.publishAsync('t', '1', { qos: 1 })
    await publisher.publishAsync('t', '0', { qos: 0 })
    await publisher.publishAsync('t/x', '2', { qos: 2 })
    const again = mqttClient.connect({ host: '127.0.0.1', port: node.port, reconnectPeriod: 0, ...KEPT })
    const inbox = new Inbox(again)
    expect((await connected(again)).sessionPresent).toBe(true)
    await inbox.first(2)
    expect(inbox.texts).toEqual(['1', '2'])
    expect(inbox.packets.map((packet) => packet.qos)).toEqual([1, 2])
    await again.endAsync()
  })

  it('an acknowledged message survives the death of the node, with its session', async () => {
    node = await new Node().start()
    const subscriber = await node.client(KEPT)
    await subscriber.subscribeAsync('t', { qos: 1 })
    await subscriber.endAsync()
    const publisher = await node.client()
    for (let i = 0; i < 20; i++) await publisher.publishAsync('t', `m${i}`, { qos: i % 2 === 0 ? 1 : 2 })
    await node.restart()
    const again = mqttClient.connect({ host: '127.0.0.1', port: node.port, reconnectPeriod: 0, ...KEPT })
    const inbox = new Inbox(again)
    await inbox.first(20)
    expect(inbox.texts).toEqual(Array.from({ length: 20 }, (_, i) => `m${i}`))
    await again.endAsync()
  })

  it('a clean session forgets the one before', async () => {
    node = await new Node().start()
    const first = await node.client(KEPT)
    await first.subscribeAsync('t', { qos: 1 })
    await first.endAsync()
    const clean = await node.client({ clean: true, clientId: 'kept' })
    await clean.endAsync()
    const raw = await node.raw()
    raw.send('1010 0004 4d515454 04 00 003c 0004 6b657074')
    expect(await raw.take(4)).toBe('20020000')
    const publisher = await node.client()
    await publisher.publishAsync('t', 'x', { qos: 1 })
    expect(await raw.silent()).toBe(true)
  })

  it('QoS 2 out keeps its identifier and its half-way state over a reconnect and over the death of the node', async () => {
    node = await new Node().start()
    const connect = '1010 0004 4d515454 04 00 003c 0004 6b657074'
    let raw = await node.raw()
    raw.send(`${connect} 8206 0001 0001 74 02`)
    expect(await raw.take(9)).toBe('200200009003000102')
    const publisher = await node.client()
    await publisher.publishAsync('t', 'a', { qos: 2 })
    await publisher.publishAsync('t', 'b', { qos: 2 })
    const first = await raw.take(8)
    const second = await raw.take(8)
    const [id, id2] = [first.slice(10, 14), second.slice(10, 14)]
    expect([first, second]).toEqual([`3406000174${id}61`, `3406000174${id2}62`])
    // The first is received; its PUBREL comes, and is not answered.
    raw.send(`5002${id}`)
    expect(await raw.take(4)).toBe(`6202${id}`)
    raw.socket.destroy()
    for (const death of [false, true]) {
      if (death) await node.restart()
      raw = await node.raw()
      raw.send(connect)
      expect(await raw.take(4)).toBe('20020100')
      expect(await raw.take(4)).toBe(`6202${id}`)
      expect(await raw.take(8)).toBe(`3c06000174${id2}62`)
      if (!death) raw.socket.destroy()
    }
    raw.send(`7002${id} 5002${id2}`)
    expect(await raw.take(4)).toBe(`6202${id2}`)
    raw.send(`7002${id2}`)
    expect(await raw.silent()).toBe(true)
    await node.core.settled()
    await node.restart()
    raw = await node.raw()
    raw.send(connect)
    expect(await raw.take(4)).toBe('20020100')
    expect(await raw.silent()).toBe(true)
  })

  it('QoS 2 in is taken once, though its sender repeats it after the death of the node', async () => {
    node = await new Node().start()
    const connect = '1010 0004 4d515454 04 00 003c 0004 6b657074'
    let raw = await node.raw()
    const subscriber = await node.client({ clean: false, clientId: 's' })
    await subscriber.subscribeAsync('t', { qos: 2 })
    await subscriber.endAsync()
    raw.send(`${connect} 3406 0001 74 0007 78`)
    expect(await raw.take(8)).toBe('2002000050020007')
    await node.restart()
    raw = await node.raw()
    raw.send(`${connect} 3c06 0001 74 0007 78`)
    expect(await raw.take(8)).toBe('2002010050020007')
    raw.send('6202 0007 3406 0001 74 0007 79')
    expect(await raw.take(8)).toBe('7002000750020007')
    const again = mqttClient.connect({ host: '127.0.0.1', port: node.port, reconnectPeriod: 0, clean: false, clientId: 's' })
    const inbox = new Inbox(again)
    await inbox.first(2)
    expect(inbox.texts).toEqual(['x', 'y'])
    await again.endAsync()
  })

  it('unacknowledged QoS 1 comes again, in order, marked, and before what is new', async () => {
    node = await new Node().start()
    const connect = '1010 0004 4d515454 04 00 003c 0004 6b657074'
    let raw = await node.raw()
    raw.send(`${connect} 8206 0001 0001 74 01`)
    await raw.take(9)
    const publisher = await node.client()
    for (const text of ['a', 'b', 'c']) await publisher.publishAsync('t', text, { qos: 1 })
    const packets = [await raw.take(8), await raw.take(8), await raw.take(8)]
    raw.send(`4002${packets[1].slice(10, 14)}`)
    raw.send('e000')
    await raw.end()
    await publisher.publishAsync('t', 'd', { qos: 1 })
    raw = await node.raw()
    raw.send(connect)
    expect(await raw.take(4)).toBe('20020100')
    expect(await raw.take(8)).toBe(packets[0].replace('32', '3a'))
    expect(await raw.take(8)).toBe(packets[2].replace('32', '3a'))
    expect((await raw.take(8)).slice(0, 2)).toBe('32')
  })

  it('overlapping subscriptions give one copy at the highest QoS', async () => {
    node = await new Node().start()
    const subscriber = await node.client()
    const inbox = new Inbox(subscriber)
    await subscriber.subscribeAsync({ 't/a': { qos: 0 }, 't/+': { qos: 2 }, '#': { qos: 1 } })
    const publisher = await node.client()
    await publisher.publishAsync('t/a', 'x', { qos: 2 })
    await publisher.publishAsync('t/a', 'end', { qos: 0 })
    await inbox.first(2)
    expect(inbox.packets.map((packet) => [packet.payload.toString(), packet.qos])).toEqual([
      ['x', 2],
      ['end', 0],
    ])
  })

  it('retained messages come with every SUBSCRIBE, marked, survive the node if QoS ≥ 1, and go with an empty one', async () => {
    node = await new Node({ sysIntervalMs: 0 }).start()
    const publisher = await node.client()
    await publisher.publishAsync('r/one', 'a', { qos: 1, retain: true })
    await publisher.publishAsync('r/zero', 'b', { qos: 0, retain: true })
    await publisher.publishAsync('r/gone', 'c', { qos: 1, retain: true })
    await publisher.publishAsync('r/gone', '', { qos: 1, retain: true })
    const subscriber = await node.client()
    const inbox = new Inbox(subscriber)
    await subscriber.subscribeAsync('r/#', { qos: 1 })
    await inbox.first(2)
    expect(inbox.packets.map((packet) => [packet.topic, packet.payload.toString(), packet.retain, packet.qos]).sort()).toEqual([
      ['r/one', 'a', true, 1],
      ['r/zero', 'b', true, 0],
    ])
    await subscriber.subscribeAsync('r/#', { qos: 0 })
    await inbox.first(4)
    // To who is there already it comes as any other.
    await publisher.publishAsync('r/one', 'd', { qos: 1, retain: true })
    await inbox.first(5)
    expect(inbox.packets[4].retain).toBe(false)
    await node.restart()
    const later = await node.client()
    const inboxLater = new Inbox(later)
    await later.subscribeAsync('r/#', { qos: 1 })
    await inboxLater.first(1)
    await later.publishAsync('r/end', 'end', { qos: 1 })
    await inboxLater.first(2)
    expect(inboxLater.texts).toEqual(['d', 'end'])
  })

  it('a will is sent when the connection is lost, not after DISCONNECT', async () => {
    node = await new Node().start()
    const subscriber = await node.client()
    const inbox = new Inbox(subscriber)
    await subscriber.subscribeAsync('w/#', { qos: 1 })
    const polite = await node.client({ will: { topic: 'w/polite', payload: Buffer.from('no'), qos: 1, retain: false } })
    await polite.endAsync()
    const lost = await node.client({ will: { topic: 'w/lost', payload: Buffer.from('yes'), qos: 1, retain: true } })
    lost.stream.destroy()
    await inbox.first(1)
    expect(inbox.packets.map((packet) => [packet.topic, packet.payload.toString(), packet.qos, packet.retain])).toEqual([['w/lost', 'yes', 1, false]])
    const later = await node.client()
    const inboxLater = new Inbox(later)
    await later.subscribeAsync('w/#')
    await inboxLater.first(1)
    expect(inboxLater.packets[0].retain).toBe(true)
  })

  it('a second connection with the same name ends the first before it is answered, and its messages go on', async () => {
    node = await new Node().start()
    const connect = '1010 0004 4d515454 04 00 003c 0004 6b657074'
    const first = await node.raw()
    first.send(`${connect} 8206 0001 0001 74 01`)
    await first.take(9)
    const publisher = await node.client()
    await publisher.publishAsync('t', 'a', { qos: 1 })
    const packet = await first.take(8)
    const second = await node.raw()
    second.send(connect)
    expect(await second.take(4)).toBe('20020100')
    expect(await first.end()).toBe('')
    expect(await second.take(8)).toBe(packet.replace('32', '3a'))
  })

  it('a group shares: each message goes to one of its members, and those of who leaves go to another', async () => {
    node = await new Node().start()
    const members = await Promise.all([node.client(), node.client()])
    const inboxes = members.map((member) => new Inbox(member))
    const other = await node.client()
    const whole = new Inbox(other)
    await other.subscribeAsync('t', { qos: 1 })
    expect((await members[0].subscribeAsync('$share/g/t', { qos: 2 }))[0].qos).toBe(2)
    await members[1].subscribeAsync('$share/g/t', { qos: 1 })
    const publisher = await node.client()
    for (let i = 0; i < 40; i++) await publisher.publishAsync('t', `m${i}`, { qos: 1 })
    await whole.first(40)
    const wanted = whole.texts.toSorted()
    while (inboxes[0].packets.length + inboxes[1].packets.length < 40) await new Promise(setImmediate)
    expect([...inboxes[0].texts, ...inboxes[1].texts].toSorted()).toEqual(wanted)
    const shares = inboxes.map((inbox) => inbox.packets.length)
    expect(Math.min(...shares)).toBeGreaterThan(0)
    // One that acknowledges nothing takes its part, and goes.
    const raw = await node.raw()
    raw.send('100d 0004 4d515454 04 02 003c 0001 61 820f 0001 000a 2473686172652f672f74 01')
    expect(await raw.take(9)).toBe('200200009003000101')
    for (let i = 0; i < 3; i++) await publisher.publishAsync('t', `n${i}`, { qos: 1 })
    await raw.take(9)
    raw.socket.destroy()
    while (inboxes[0].packets.length + inboxes[1].packets.length < 43) await new Promise(setImmediate)
    expect([...inboxes[0].texts, ...inboxes[1].texts].filter((text) => text.startsWith('n')).toSorted()).toEqual(['n0', 'n1', 'n2'])
    const before = inboxes[1].packets.length
    await members[0].unsubscribeAsync('$share/g/t')
    await publisher.publishAsync('t', 'last', { qos: 1 })
    await inboxes[1].first(before + 1)
    expect(inboxes[1].texts.at(-1)).toBe('last')
  })

  it('topics of the broker are hidden from wildcards and are read-only', async () => {
    node = await new Node().start()
    const client = await node.client()
    const inbox = new Inbox(client)
    await client.subscribeAsync('#', { qos: 1 })
    await client.publishAsync('$SYS/broker/version', 'lie', { qos: 1, retain: true })
    await client.publishAsync('end', 'end', { qos: 1 })
    await inbox.first(1)
    expect(inbox.texts).toEqual(['end'])
    await client.subscribeAsync('$SYS/broker/version')
    await inbox.first(2)
    expect([inbox.packets[1].topic, inbox.texts[1], inbox.packets[1].retain]).toEqual(['$SYS/broker/version', 'bascule 0', true])
  })

  it('$SYS is renewed', async () => {
    node = await new Node({ sysIntervalMs: 1000 }).start()
    const client = await node.client()
    const inbox = new Inbox(client)
    await client.subscribeAsync('$SYS/broker/uptime')
    await inbox.first(1)
    node.core.clock.advance(3000)
    await inbox.first(2)
    expect(inbox.packets[1].retain).toBe(false)
    expect(inbox.texts[1]).toMatch(/^[1-9]\d* seconds$/)
  })

  it('a queue is reached under the prefix that is configured, and what is not acknowledged goes back', async () => {
    node = await new Node({ queuePrefix: '$queue' }).start()
    const publisher = await node.client()
    await publisher.publishAsync('$queue/a/b', '1', { qos: 1 })
    await publisher.publishAsync('$queue/a/b', '2', { qos: 2 })
    const raw = await node.raw()
    raw.send('100d 0004 4d515454 04 02 003c 0001 61 820f 0001 000a 2471756575652f612f62 01')
    expect(await raw.take(9)).toBe('200200009003000101')
    const name = '000a2471756575652f612f62'
    const one = await raw.take(17)
    expect(one).toBe(`320f${name}${one.slice(28, 32)}31`)
    const two = await raw.take(17)
    raw.send(`4002${two.slice(28, 32)}`)
    expect(await raw.silent()).toBe(true)
    raw.socket.destroy()
    const consumer = await node.client()
    const inbox = new Inbox(consumer)
    await consumer.subscribeAsync('$queue/a/b', { qos: 1 })
    await inbox.first(1)
    expect(inbox.texts).toEqual(['1'])
    expect(inbox.packets[0].topic).toBe('$queue/a/b')
  })

  it('what of a queue is acknowledged in the same read as UNSUBSCRIBE is done with', async () => {
    node = await new Node({ queuePrefix: '$queue' }).start()
    const publisher = await node.client()
    await publisher.publishAsync('$queue/a/b', '1', { qos: 1 })
    const raw = await node.raw()
    raw.send('100d 0004 4d515454 04 02 003c 0001 61 820f 0001 000a 2471756575652f612f62 02')
    await raw.take(9)
    const one = await raw.take(17)
    raw.send(`4002${one.slice(28, 32)} a20e 0002 000a 2471756575652f612f62`)
    expect(await raw.take(4)).toBe('b0020002')
    const consumer = await node.client()
    const inbox = new Inbox(consumer)
    await consumer.subscribeAsync('$queue/a/b', { qos: 1 })
    await publisher.publishAsync('$queue/a/b', '2', { qos: 1 })
    await inbox.first(1)
    expect(inbox.texts).toEqual(['2'])
  })

  it('one connection with a window of 1 produces into the full queue that it consumes from, and it goes on', async () => {
    node = await new Node(
      { queuePrefix: '$queue', inflightMax: 1 },
      { destinations: { limitMessages: 10 }, limits: { parkedMessages: 1000 } },
    ).start()
    const client = await node.client({ reconnectPeriod: 0 })
    const inbox = new Inbox(client)
    await client.subscribeAsync('$queue/q', { qos: 1 })
    const sent: string[] = []
    for (let round = 0; round < 20; round++) {
      const texts = Array.from({ length: 100 }, (_, i) => `${round}-${i}`)
      sent.push(...texts)
      await Promise.all(texts.map((text) => client.publishAsync('$queue/q', text, { qos: 1 })))
    }
    await inbox.first(sent.length)
    expect(inbox.texts).toEqual(sent)
  })

  it('keep-alive ends a silent connection, and its will is sent', async () => {
    node = await new Node().start()
    const subscriber = await node.client({ keepalive: 0 })
    const inbox = new Inbox(subscriber)
    await subscriber.subscribeAsync('w')
    const raw = await node.raw()
    raw.send('1013 0004 4d515454 04 06 0001 0001 61 0001 77 0001 78')
    await raw.take(4)
    await node.core.settled()
    node.core.clock.advance(1000)
    expect(await raw.silent()).toBe(true)
    node.core.clock.advance(2000)
    expect(await raw.end()).toBe('')
    await inbox.first(1)
    expect(inbox.texts).toEqual(['x'])
  })

  it('a slow reader loses QoS 0 and disturbs nobody', async () => {
    node = await new Node().start()
    const slow = await node.raw()
    slow.send('100d 0004 4d515454 04 02 003c 0001 61 8206 0001 0001 74 00')
    await slow.take(9)
    slow.socket.pause()
    const quick = await node.client()
    const inbox = new Inbox(quick)
    await quick.subscribeAsync('t')
    const publisher = await node.client()
    const payload = Buffer.alloc(100_000, 'x')
    for (let i = 0; i < 400; i++) {
      publisher.publish('t', payload)
      if (i % 20 === 19) await inbox.first(i + 1)
    }
    expect(node.core.core.figures().dropped).toBeGreaterThan(0)
    slow.socket.resume()
    expect(slow.closed).toBe(false)
    await publisher.publishAsync('t', 'after', { qos: 1 })
    await inbox.first(401)
  })

  it('bytes that are no MQTT end their connection and no other', async () => {
    node = await new Node().start()
    const good = await node.client()
    for (const hex of [
      '474554202f20485454502f312e310d0a',
      '1600',
      '30ffffffff7f',
      '10ffffff7f',
      'ff',
      '100d00044d5154540402003c000161 100d00044d5154540402003c000161',
    ]) {
      const raw = await node.raw()
      raw.send(hex)
      // A lone byte is no fault yet.
      if (hex !== 'ff') await raw.end()
      expect(raw.closed).toBe(hex !== 'ff')
    }
    const inbox = new Inbox(good)
    await good.subscribeAsync('t')
    await good.publishAsync('t', 'x')
    await inbox.first(1)
    expect(inbox.texts).toEqual(['x'])
  })
})
