// What a client of MQTT 5 and the broker tell each other in CONNECT, CONNACK and DISCONNECT, and that both then do so, byte by byte.
import { describe, expect, it } from 'vitest'
import type { Address } from '../../src/api.ts'
import { CodedError } from '../../src/errors.ts'
import { Client } from './fake-core.ts'
import { connect, connected, farewell, read } from './fake-five.ts'
import { newMessage } from './format.ts'
import type { MqttSettings } from './settings.ts'

async function connack(properties: string, settings: Partial<MqttSettings> = {}) {
  const client = new Client(settings)
  client.send(connect(properties))
  await client.turn()
  client.session.keepMs = client.session.identity.keepMs
  client.session.commit()
  await client.turn()
  const [packet] = read(client.wire.taken())
  return { client, properties: packet?.cmd === 'connack' ? (packet.properties ?? {}) : undefined }
}

/** As the core does, one object for one name. */
const topicA: Address = { namespace: '', kind: 'topic', path: ['a'] }
const topicB: Address = { namespace: '', kind: 'topic', path: ['b'] }

/** One delivery of QoS 1 to a client that has subscribed. */
function give(client: Client, tag: number, to: Address): void {
  client.consumer.give({
    tag,
    ref: { queue: 1, sequence: tag },
    queue: client.consumer.queues[0],
    to,
    message: newMessage(1, false, Buffer.from('m')),
    mode: 'unsettled',
  })
}

describe('keep alive', () => {
  it('of the broker counts when it is told [MQTT5-3.1.2-21], and else that of the client [MQTT5-3.2.2-22]', async () => {
    for (const [keepAliveMaxSeconds, told, silentMs] of [
      [20, 20, 30_000],
      [0, undefined, 90_000],
      [60, undefined, 90_000],
    ] as const) {
      const { client, properties } = await connack('', { keepAliveMaxSeconds })
      expect(properties?.serverKeepAlive).toBe(told)
      client.broker.clock.advance(silentMs - 1000)
      expect(client.wire.state).toBe('open')
      client.broker.clock.advance(1500)
      expect(farewell(client)).toBe(0x8d)
      expect(client.session.taken()).toContain('close lost')
    }
  })
})

describe('response information', () => {
  it('is told to who asks, if there is some, and to nobody else [MQTT5-3.1.2-28]', async () => {
    const settings = { responsePrefix: 'answers' }
    expect((await connack('19 01', settings)).properties?.responseInformation).toBe('answers/a')
    expect((await connack('19 00', settings)).properties?.responseInformation).toBeUndefined()
    expect((await connack('', settings)).properties?.responseInformation).toBeUndefined()
    expect((await connack('19 01')).properties?.responseInformation).toBeUndefined()
  })
})

describe('problem information', () => {
  it.each([
    ['17 01', 'nope'],
    ['17 00', undefined],
  ])('%s decides on reason strings of acknowledgements, not on that of DISCONNECT [MQTT5-3.1.2-29]', async (property, says) => {
    const client = await connected(property)
    client.session.room = new CodedError('denied', 'nope')
    client.send('3206 0001 74 0001 00 3406 0001 74 0002 00')
    client.session.commit()
    const packets = read(client.wire.taken())
    expect(packets.map((packet) => (packet.cmd === 'puback' || packet.cmd === 'pubrec' ? packet.properties?.reasonString : packet.cmd))).toEqual([
      says,
      says,
    ])
    client.connection.shutdown(new CodedError('shutting-down', 'over'))
    expect(read(client.wire.taken())).toMatchObject([{ cmd: 'disconnect', properties: { reasonString: 'over' } }])
  })
})

describe('session expiry', () => {
  it('is told only where it is not what was asked for', async () => {
    expect((await connack('11 00000009')).properties?.sessionExpiryInterval).toBeUndefined()
    expect((await connack('')).properties?.sessionExpiryInterval).toBeUndefined()
    expect((await connack('11 ffffffff')).properties?.sessionExpiryInterval).toBeUndefined()
    expect((await connack('11 00000009', { sessionExpiryMs: 5000 })).properties?.sessionExpiryInterval).toBe(5)
    expect((await connack('11 ffffffff', { sessionExpiryMs: 5000 })).properties?.sessionExpiryInterval).toBe(5)
  })

  it.each([
    ['another', '11 00000003', 3000],
    ['none', '11 00000000', 0],
    ['for ever', '11 ffffffff', Number.POSITIVE_INFINITY],
    ['no word of it', '', undefined],
  ])('of DISCONNECT counts instead of that of CONNECT: %s [MQTT5-3.14.2.2.2]', async (_, property, keepMs) => {
    const { client } = await connack('11 00000009')
    const bytes = property.replace(/ /g, '')
    client.send(`e0 0${2 + bytes.length / 2} 00 0${bytes.length / 2} ${bytes}`)
    expect(client.session.taken()).toContain('close clean')
    expect(client.session.keptMs).toBe(keepMs)
  })

  it('of DISCONNECT may not make a session last that was not to, but may say 0 again', async () => {
    const { client } = await connack('')
    client.send('e007 00 05 11 00000000')
    expect(client.session.taken()).toContain('close clean')
    const other = await connack('11 00000000')
    other.client.send('e007 00 05 11 00000001')
    expect(farewell(other.client)).toBe(0x82)
    expect(other.client.session.taken()).toContain('close lost')
  })
})

describe('topic aliases', () => {
  it('of a client may be set anew, and stand for nothing on its next connection [MQTT5-3.3.2-7]', async () => {
    const client = await connected()
    const topics = () => client.session.published.splice(0).map(({ to }) => to.path[0])
    client.send('3007 0001 74 03 23 0001 3006 0000 03 23 0001 3007 0001 75 03 23 0001 3006 0000 03 23 0001')
    expect(topics()).toEqual(['t', 't', 'u', 'u'])
    // The highest that CONNACK allows [MQTT5-3.3.2-12].
    client.send('3007 0001 76 03 23 0064 3006 0000 03 23 0064')
    expect(topics()).toEqual(['v', 'v'])
    const next = await connected()
    next.send('3006 0000 03 23 0001')
    expect(farewell(next)).toBe(0x82)
  })

  it('of a publish that is refused stand all the same', async () => {
    const client = await connected()
    client.session.room = new CodedError('denied', 'no')
    client.send('3209 0001 74 0001 03 23 0001')
    client.session.room = 'taken'
    client.send('3208 0000 0002 03 23 0001')
    expect(client.session.published.map(({ to }) => to.path[0])).toEqual(['t'])
  })

  it('to a client are no more than it allows, none if it says nothing, and begin anew with each connection [MQTT5-3.1.2-26] [MQTT5-3.1.2-27]', async () => {
    for (const [property, expected] of [
      ['22 0001', ['a 1', ' 1', 'b', ' 1']],
      ['22 0000', ['a', 'a', 'b', 'a']],
      ['', ['a', 'a', 'b', 'a']],
    ] as const) {
      const client = await connected(property)
      client.send('8207 0001 00 0001 23 01')
      client.session.commit()
      client.wire.taken()
      for (const [i, to] of [topicA, topicA, topicB, topicA].entries()) give(client, i + 1, to)
      const seen = read(client.wire.taken()).map((packet) =>
        packet.cmd === 'publish'
          ? packet.topic + (packet.properties?.topicAlias === undefined ? '' : ` ${packet.properties.topicAlias}`)
          : packet.cmd,
      )
      expect(seen).toEqual(expected)
    }
  })
})

describe('the Receive Maximum of a client', () => {
  it('is what it is given unanswered, and each answer makes room for one [MQTT5-3.3.4-9] [MQTT5-4.9.0-2]', async () => {
    const client = await connected('21 0002')
    client.send('8207 0001 00 0001 61 02')
    client.session.commit()
    expect(client.consumer.taken()[0]).toMatch(/^grant 2 /)
    for (const tag of [1, 2]) give(client, tag, topicA)
    client.consumer.taken()
    const grants = () => client.consumer.taken().filter((call) => /^grant [1-9]/.test(call))
    // Other packets are not held back [MQTT5-3.3.4-10] [MQTT5-4.9.0-3].
    client.wire.taken()
    client.send('c000')
    expect(client.wire.taken()).toBe('d000')
    client.send('4002 0002')
    expect(grants()).toEqual([expect.stringMatching(/^grant 1 /)])
    // One that is not there makes no room.
    client.send('4002 0009')
    expect(grants()).toEqual([])
    client.send('4003 0003 80')
    expect(grants()).toEqual([expect.stringMatching(/^grant 1 /)])
  })
})

describe('the identifier that a client without one is given', () => {
  it('is told, and is its own [MQTT5-3.1.3-6] [MQTT5-3.1.3-7]', async () => {
    const named = async () => {
      const client = new Client()
      client.send('100d 0004 4d515454 05 02 003c 00 0000')
      await client.turn()
      client.session.commit()
      const [packet] = read(client.wire.taken())
      const told = packet?.cmd === 'connack' ? packet.properties?.assignedClientIdentifier : undefined
      expect(client.session.identity.clientId).toBe(told)
      return { told, client }
    }
    const { told, client } = await named()
    expect(told).toMatch(/^assigned-n-/)
    expect(client.session.identity.clash).toBe('take-over')
    const { properties } = await connack('')
    expect(properties?.assignedClientIdentifier).toBeUndefined()
  })
})
