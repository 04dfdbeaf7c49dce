// Real clients and bytes over real sockets, aedes over the real core with a journal in memory. `restart` is kill -9 and takeover of the node.
import mqttClient from 'mqtt'
import { afterEach, describe, expect, it } from 'vitest'
import { connected, Inbox, Node } from '../fake-node.ts'

let node: Node
afterEach(async () => node.stop())

const ENGINE = { engine: 'aedes' } as const
/** Client `kept`, clean session 0. */
const CONNECT = '1010 0004 4d515454 04 00 003c 0004 6b657074'
const KEPT = { clean: false, clientId: 'kept' }

async function again(options: object): Promise<Inbox> {
  const client = mqttClient.connect({ host: '127.0.0.1', port: node.port, reconnectPeriod: 0, ...options })
  const inbox = new Inbox(client)
  await connected(client)
  return inbox
}

describe('aedes over the core', () => {
  it.each([0, 1, 2] as const)('QoS %d goes there and arrives once, in order', async (qos) => {
    node = await new Node(ENGINE).start()
    const subscriber = await node.client()
    const inbox = new Inbox(subscriber)
    await subscriber.subscribeAsync('t/+', { qos })
    const publisher = await node.client()
    const sent = Array.from({ length: 300 }, (_, i) => `m${i}`)
    await Promise.all(sent.map((text) => publisher.publishAsync('t/a', text, { qos })))
    const packets = await inbox.first(300)
    expect(inbox.texts).toEqual(sent)
    expect(packets.every((packet) => packet.qos === qos && packet.topic === 't/a' && !packet.dup && !packet.retain)).toBe(true)
  })

  it('QoS 0 overtakes nothing, and nothing that is overtaken is dropped', async () => {
    node = await new Node(ENGINE).start()
    const subscriber = await node.client(KEPT)
    const inbox = new Inbox(subscriber)
    await subscriber.subscribeAsync('t', { qos: 1 })
    const publisher = await node.client()
    const sent = Array.from({ length: 100 }, (_, i) => `m${i}`)
    await Promise.all(sent.map((text, i) => publisher.publishAsync('t', text, { qos: i % 2 === 0 ? 1 : 0 })))
    await inbox.first(100)
    expect(inbox.texts).toEqual(sent)
  })

  it.each([
    ['PUBACK', '3206 0001 74 0007 78', '40020007'],
    ['PUBREC', '3406 0001 74 0007 78', '50020007'],
    ['UNSUBACK', 'a205 0007 0001 74', 'b0020007'],
    ['SUBACK', '8206 0007 0001 75 01', '9003000701'],
  ])('%s leaves after the commit, not before', async (_, packet, answer) => {
    node = await new Node(ENGINE, {}, { manual: true }).start()
    const raw = await node.raw()
    raw.send(`${CONNECT} 8206 0001 0001 74 01`)
    await node.core.until(() => {
      node.core.journal.commit()
      return raw.received.length === 9
    })
    await raw.take(9)
    const { journal } = node.core
    raw.send(packet)
    for (let turns = 0; turns < 300; turns++) await new Promise((resolve) => setImmediate(resolve))
    expect(raw.received.toString('hex')).not.toContain(answer)
    await node.core.until(() => {
      journal.commit()
      return raw.received.toString('hex').includes(answer)
    })
  })

  it('an acknowledged message survives the death of the node, with its session', async () => {
    node = await new Node(ENGINE).start()
    const subscriber = await node.client(KEPT)
    await subscriber.subscribeAsync('t', { qos: 1 })
    await subscriber.endAsync()
    const publisher = await node.client()
    for (let i = 0; i < 20; i++) await publisher.publishAsync('t', `m${i}`, { qos: i % 2 === 0 ? 1 : 2 })
    await node.restart()
    const inbox = await again(KEPT)
    await inbox.first(20)
    expect(inbox.texts).toEqual(Array.from({ length: 20 }, (_, i) => `m${i}`))
  })

  it('what is not acknowledged comes again under its identifier and marked, after a reconnect and after the death of the node', async () => {
    node = await new Node(ENGINE).start()
    let raw = await node.raw()
    raw.send(`${CONNECT} 8206 0001 0001 74 01`)
    await raw.take(9)
    const publisher = await node.client()
    for (const text of ['a', 'b', 'c']) await publisher.publishAsync('t', text, { qos: 1 })
    const packets = [await raw.take(8), await raw.take(8), await raw.take(8)]
    raw.send(`4002${packets[1].slice(10, 14)}`)
    raw.send('e000')
    await raw.end()
    await node.core.settled()
    for (const how of ['reconnect', 'death']) {
      if (how === 'death') await node.restart()
      raw = await node.raw()
      raw.send(CONNECT)
      expect(await raw.take(4)).toBe('20020100')
      expect(await raw.take(8)).toBe(packets[0].replace('32', '3a'))
      expect(await raw.take(8)).toBe(packets[2].replace('32', '3a'))
      expect(await raw.silent()).toBe(true)
    }
  })

  it('QoS 2 out that was received is completed by PUBREL, after the death of the node, and not sent again', async () => {
    node = await new Node(ENGINE).start()
    let raw = await node.raw()
    raw.send(`${CONNECT} 8206 0001 0001 74 02`)
    await raw.take(9)
    const publisher = await node.client()
    await publisher.publishAsync('t', 'x', { qos: 2 })
    const id = (await raw.take(8)).slice(10, 14)
    raw.send(`5002${id}`)
    expect(await raw.take(4)).toBe(`6202${id}`)
    await node.restart()
    raw = await node.raw()
    raw.send(CONNECT)
    expect(await raw.take(8)).toBe(`200201006202${id}`)
    raw.send(`7002${id} c000`)
    expect(await raw.take(2)).toBe('d000')
    await node.core.settled()
    raw = await node.raw()
    raw.send(CONNECT)
    expect(await raw.take(4)).toBe('20020100')
    expect(await raw.silent()).toBe(true)
  })

  it('QoS 2 in is taken once, though its sender repeats it after the death of the node, and again when it is released', async () => {
    node = await new Node(ENGINE).start()
    let raw = await node.raw()
    const subscriber = await node.client({ clean: false, clientId: 's' })
    await subscriber.subscribeAsync('t', { qos: 2 })
    await subscriber.endAsync()
    raw.send(`${CONNECT} 3406 0001 74 0007 78`)
    expect(await raw.take(8)).toBe('2002000050020007')
    await node.restart()
    raw = await node.raw()
    raw.send(`${CONNECT} 3c06 0001 74 0007 78`)
    expect(await raw.take(8)).toBe('2002010050020007')
    // In one read: sooner than it was asked to.
    raw.send('6202 0007 3406 0001 74 0007 79')
    expect(await raw.take(8)).toBe('7002000750020007')
    const inbox = await again({ clean: false, clientId: 's' })
    await inbox.first(2)
    expect(inbox.texts).toEqual(['x', 'y'])
  })

  it('a client is sent no more than it may have unacknowledged', async () => {
    node = await new Node({ ...ENGINE, inflightMax: 2 }).start()
    const raw = await node.raw()
    raw.send(`${CONNECT} 8206 0001 0001 74 01`)
    await raw.take(9)
    const publisher = await node.client()
    for (const text of ['a', 'b', 'c']) await publisher.publishAsync('t', text, { qos: 1 })
    const first = await raw.take(8)
    await raw.take(8)
    expect(await raw.silent()).toBe(true)
    raw.send(`4002${first.slice(10, 14)}`)
    expect(await raw.take(8)).toMatch(/^32.*63$/)
  })

  it('a session without subscriptions is present', async () => {
    node = await new Node(ENGINE).start()
    for (const flags of ['00', '01']) {
      const raw = await node.raw()
      raw.send(`${CONNECT} c000`)
      expect(await raw.take(6)).toBe(`2002${flags}00d000`)
      raw.send('e000')
      await raw.end()
    }
  })

  it('overlapping subscriptions give one copy at the highest QoS, also one to the very topic', async () => {
    node = await new Node(ENGINE).start()
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

  it('what came before DISCONNECT is taken, though its sender is gone, and there is no will then', async () => {
    node = await new Node(ENGINE).start()
    const subscriber = await node.client()
    const inbox = new Inbox(subscriber)
    await subscriber.subscribeAsync('#', { qos: 1 })
    // Will `w` to topic `w`.
    const raw = await node.raw()
    raw.send('1013 0004 4d515454 04 06 003c 0001 61 0001 77 0001 77')
    await raw.take(4)
    raw.socket.end(Buffer.from('32060001740007783206000174000879e000'.replace(/ /g, ''), 'hex'))
    await raw.end()
    const lost = await node.raw()
    lost.send('1013 0004 4d515454 04 06 003c 0001 62 0001 77 0001 77')
    await lost.take(4)
    lost.socket.destroy()
    await inbox.first(3)
    expect(inbox.texts).toEqual(['x', 'y', 'w'])
  })

  it('what waited unread behind a commit when its sender went is taken, DISCONNECT too', async () => {
    node = await new Node(ENGINE, {}, { manual: true }).start()
    const { core } = node
    const committed = (so: () => boolean): Promise<void> =>
      core.until(() => {
        core.journal.commit()
        return so()
      })
    const observer = await node.raw()
    observer.send('100d 0004 4d515454 04 02 003c 0001 6f 8206 0001 0001 23 00')
    await committed(() => observer.received.length === 9)
    await observer.take(9)
    const raw = await node.raw()
    raw.send(`1013 0004 4d515454 04 06 003c 0001 61 0001 77 0001 77 8206 0001 0001 74 01`)
    await committed(() => raw.received.length === 9)
    // Many in one read, since with each further one aedes counts one of them as done.
    raw.send(Array.from({ length: 32 }, (_, i) => `320600017400${(i + 16).toString(16)}78`).join(''))
    for (let turns = 0; turns < 300; turns++) await new Promise((resolve) => setImmediate(resolve))
    raw.socket.end(Buffer.from('3206000174000879e000', 'hex'))
    for (let turns = 0; turns < 300; turns++) await new Promise((resolve) => setImmediate(resolve))
    // The will, of QoS 0, would have come by now, before `y`.
    await committed(() => observer.received.length === 33 * 6)
    expect(await observer.take(33 * 6)).toBe('300400017478'.repeat(32) + '300400017479')
    observer.send('c000')
    expect(await observer.take(2)).toBe('d000')
  })

  it('shared subscriptions are refused', async () => {
    node = await new Node(ENGINE).start()
    const raw = await node.raw()
    raw.send(`${CONNECT} 820f 0001 000a 2473686172652f672f74 01`)
    expect(await raw.take(9)).toBe('200200009003000180')
  })

  it('a filter that is repeated in one SUBSCRIBE is answered once: what aedes does, against [MQTT-3.8.4-5]', async () => {
    node = await new Node(ENGINE).start()
    const raw = await node.raw()
    raw.send(`${CONNECT} 820a 0001 0001 74 00 0001 74 01`)
    expect(await raw.take(9)).toBe('20020000' + '9003000101')
    expect(await raw.silent()).toBe(true)
  })

  it('a topic of 100 levels goes there, and one more ends the connection', async () => {
    node = await new Node(ENGINE).start()
    const subscriber = await node.client()
    const inbox = new Inbox(subscriber)
    await subscriber.subscribeAsync('#')
    const publisher = await node.client()
    const ended = new Promise<void>((resolve) => {
      publisher.once('close', () => resolve())
    })
    await publisher.publishAsync(Array(100).fill('l').join('/'), 'x', { qos: 1 })
    await inbox.first(1)
    publisher.publish(Array(101).fill('l').join('/'), 'y', { qos: 1 })
    await ended
    expect(inbox.texts).toEqual(['x'])
  })

  it.each([
    ['aedes', 'native'],
    ['native', 'aedes'],
  ] as const)('a session goes on when the engine is changed from %s to %s, with what its client has half of', async (before, after) => {
    const one = await new Node({ engine: before }).start()
    node = one
    let raw = await one.raw()
    raw.send(`${CONNECT} 8206 0001 0001 74 02`)
    await raw.take(9)
    const publisher = await one.client()
    await publisher.publishAsync('t', 'x', { qos: 2 })
    const x = (await raw.take(8)).slice(10, 14)
    await publisher.publishAsync('t', 'y', { qos: 1 })
    const y = await raw.take(8)
    raw.send(`5002${x}`)
    expect(await raw.take(4)).toBe(`6202${x}`)
    Object.assign(one.settings, { engine: after })
    await one.restart()
    raw = await one.raw()
    raw.send(CONNECT)
    expect(await raw.take(16)).toBe(`200201006202${x}${y.replace('32', '3a')}`)
    expect(await raw.silent()).toBe(true)
  })

  it('a client of MQTT 5 beside it has our own engine', async () => {
    node = await new Node(ENGINE).start()
    const five = await node.client({ protocolVersion: 5 })
    const inbox = new Inbox(five)
    await five.subscribeAsync('t', { qos: 1 })
    const four = await node.client()
    const inboxFour = new Inbox(four)
    await four.subscribeAsync('t', { qos: 1 })
    await five.publishAsync('t', 'five', { qos: 1, properties: { userProperties: { a: 'b' } } })
    await four.publishAsync('t', 'four', { qos: 1 })
    await Promise.all([inbox.first(2), inboxFour.first(2)])
    expect(inbox.texts).toEqual(['five', 'four'])
    expect(inboxFour.texts).toEqual(['five', 'four'])
    expect(inbox.packets[0].properties?.userProperties).toEqual(expect.objectContaining({ a: 'b' }))
  })

  it('bytes that are no MQTT end their connection and no other', async () => {
    node = await new Node(ENGINE).start()
    const good = await node.client()
    for (const hex of ['474554202f20', '1600', '10ffffff7f', `${CONNECT} ${CONNECT}`, `${CONNECT} 3600`, `${CONNECT} 3005 0002 c328 00`]) {
      const raw = await node.raw()
      raw.send(hex)
      await raw.end()
    }
    const inbox = new Inbox(good)
    await good.subscribeAsync('t')
    await good.publishAsync('t', 'x')
    await inbox.first(1)
    expect(inbox.texts).toEqual(['x'])
  })
})
