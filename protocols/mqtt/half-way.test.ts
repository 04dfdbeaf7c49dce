// What a client has half of, with the real core and a journal in memory: it is completed, whatever happens meanwhile. `restart` is kill -9 and takeover of the node.
import { afterEach, describe, expect, it } from 'vitest'
import { Inbox, Node } from './fake-node.ts'

let node: Node
afterEach(async () => node.stop())

/** Client `kept` of MQTT 5, clean start 0, session expiry 1,000 s. */
const CONNECT = '1016 0004 4d515454 05 00 003c 05 11 000003e8 0004 6b657074'
/** Their length depends on the broker's settings. */
async function connack(raw: Awaited<ReturnType<Node['raw']>>): Promise<string> {
  const head = await raw.take(2)
  return head + (await raw.take(Number.parseInt(head.slice(2), 16)))
}

describe('UNSUBSCRIBE', () => {
  const SUBSCRIBE_SHARED = '820f 0001 000a 2473686172652f672f74 01'
  const UNSUBSCRIBE_SHARED = 'a20e 0002 000a 2473686172652f672f74'

  it.each([
    ['acknowledged', true],
    ['not acknowledged before its client is gone', false],
  ])('of a shared subscription leaves what was sent with its client: %s [MQTT-3.10.4-3]', async (_, acknowledged) => {
    node = await new Node().start()
    const raw = await node.raw()
    raw.send(`100d 0004 4d515454 04 02 003c 0001 61 ${SUBSCRIBE_SHARED}`)
    expect(await raw.take(9)).toBe('200200009003000101')
    const publisher = await node.client()
    await publisher.publishAsync('t', 'x', { qos: 1 })
    const sent = await raw.take(8)
    const other = await node.client()
    const inbox = new Inbox(other)
    await other.subscribeAsync('$share/g/t', { qos: 1 })
    raw.send(UNSUBSCRIBE_SHARED)
    expect(await raw.take(4)).toBe('b0020002')
    await publisher.publishAsync('t', 'y', { qos: 1 })
    await inbox.first(1)
    expect(inbox.texts).toEqual(['y'])
    expect(await raw.silent()).toBe(true)
    if (acknowledged) raw.send(`4002${sent.slice(10, 14)} c000`)
    if (acknowledged) await raw.take(2)
    raw.socket.destroy()
    if (!acknowledged) await inbox.first(2)
    await publisher.publishAsync('t', 'z', { qos: 1 })
    await inbox.first(acknowledged ? 2 : 3)
    expect(inbox.texts).toEqual(acknowledged ? ['y', 'z'] : ['y', 'x', 'z'])
  })

  it('of a queue leaves what was sent with its client, who may take from it again', async () => {
    node = await new Node({ queuePrefix: '$queue' }).start()
    const publisher = await node.client()
    await publisher.publishAsync('$queue/a', '1', { qos: 1 })
    const raw = await node.raw()
    const name = '0008 2471756575652f61'
    raw.send(`100d 0004 4d515454 04 02 003c 0001 61 820d 0001 ${name} 01`)
    await raw.take(9)
    const first = await raw.take(15)
    raw.send(`a20c 0002 ${name} 820d 0003 ${name} 01`)
    expect(await raw.take(9)).toBe('b0020002' + '9003000301')
    await publisher.publishAsync('$queue/a', '2', { qos: 1 })
    const second = await raw.take(15)
    // Not the first again, and under another identifier.
    expect([first, second].map((hex) => Buffer.from(hex.slice(-2), 'hex').toString())).toEqual(['1', '2'])
    const ids = [first, second].map((hex) => hex.slice(24, 28))
    expect(ids[0]).not.toBe(ids[1])
    raw.send(`4002${ids[0]} 4002${ids[1]}`)
    expect(await raw.silent()).toBe(true)
    raw.socket.destroy()
    const other = await node.client()
    const inbox = new Inbox(other)
    await other.subscribeAsync('$queue/a', { qos: 1 })
    await publisher.publishAsync('$queue/a', '3', { qos: 1 })
    await inbox.first(1)
    expect(inbox.texts).toEqual(['3'])
  })
})

describe('a message of QoS 2 that expires', () => {
  it.each([
    ['received', true],
    ['sent', false],
  ])('when it was %s is completed under its identifier, after a reconnect and after the death of the node [MQTT5-4.3.3-7]', async (_, received) => {
    node = await new Node().start()
    let raw = await node.raw()
    raw.send(`${CONNECT} 8207 0001 00 0001 74 02`)
    await connack(raw)
    expect(await raw.take(6)).toBe('900400010002')
    const publisher = await node.client({ protocolVersion: 5 })
    await publisher.publishAsync('t', 'x', { qos: 2, properties: { messageExpiryInterval: 5 } })
    const sent = await raw.take(14)
    const id = sent.slice(10, 14)
    expect(sent).toBe(`340c000174${id}05020000000578`)
    if (received) raw.send(`5002${id}`)
    if (received) await raw.take(4)
    await node.core.settled()
    const sessions = node.core.core.figures().sessionsOpen
    raw.socket.destroy()
    await node.core.until(() => node.core.core.figures().sessionsOpen < sessions)
    node.core.clock.advance(10_000)
    await node.core.settled()
    for (const death of [false, true]) {
      if (death) await node.restart()
      raw = await node.raw()
      raw.send(CONNECT)
      expect((await connack(raw)).slice(4, 6)).toBe('01')
      const again = received ? `6202${id}` : `3c0c000174${id}05020000000078`
      expect(await raw.take(again.length / 2)).toBe(again)
      if (!death) raw.socket.destroy()
    }
    // Of one that was received it is repeated, and so is its answer.
    raw.send(`5002${id}`)
    expect(await raw.take(4)).toBe(`6202${id}`)
    raw.send(`7002${id}`)
    expect(await raw.silent()).toBe(true)
  })

  it('when it was not sent is gone', async () => {
    node = await new Node().start()
    let raw = await node.raw()
    raw.send(`${CONNECT} 8207 0001 00 0001 74 02`)
    await connack(raw)
    await raw.take(6)
    raw.socket.destroy()
    const publisher = await node.client({ protocolVersion: 5 })
    await publisher.publishAsync('t', 'x', { qos: 2, properties: { messageExpiryInterval: 5 } })
    await publisher.publishAsync('t', 'y', { qos: 2, properties: { messageExpiryInterval: 50 } })
    node.core.clock.advance(10_000)
    raw = await node.raw()
    raw.send(CONNECT)
    await connack(raw)
    expect((await raw.take(14)).slice(-12)).toBe('020000002879')
  })
})

describe('a will', () => {
  it('whose time to live is 0 is kept for nobody', async () => {
    node = await new Node().start()
    const kept = await node.client({ protocolVersion: 5, clientId: 'k', clean: false, properties: { sessionExpiryInterval: 1000 } })
    await kept.subscribeAsync('w/#', { qos: 1 })
    await kept.endAsync()
    for (const [topic, messageExpiryInterval] of [
      ['w/over', 0],
      ['w/stays', 100],
    ] as const) {
      const dying = await node.client({
        protocolVersion: 5,
        will: { topic, payload: Buffer.from(topic), qos: 1, retain: false, properties: { messageExpiryInterval } },
      })
      dying.stream.destroy()
    }
    await node.core.until(() => node.core.core.figures().messagesIn >= 2)
    node.core.clock.advance(1000)
    await node.core.settled()
    const again = await node.client({ protocolVersion: 5, clientId: 'k', clean: false })
    const inbox = new Inbox(again)
    await inbox.first(1)
    expect(inbox.texts).toEqual(['w/stays'])
  })
})
