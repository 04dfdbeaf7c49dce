// Nothing that is sent is longer than its client takes [MQTT5-3.1.2-24]: what says why is left out first, and where nothing shorter says it the connection ends.
import { describe, expect, it } from 'vitest'
import type { Address } from '../../src/api.ts'
import { CodedError } from '../../src/errors.ts'
import { Client } from './fake-core.ts'
import { connect, connected, farewell, read } from './fake-five.ts'
import { newMessage } from './format.ts'

const MAXIMUM_PACKET_SIZE = (bytes: number) => `27 ${bytes.toString(16).padStart(8, '0')}`
const bytesOf = (hex: string) => hex.length / 2

describe('CONNACK', () => {
  const SETTINGS = { receiveMaximum: 7, responsePrefix: 'answers', topicAliasesInMax: 3, keepAliveMaxSeconds: 30 }

  async function connack(properties: string): Promise<string> {
    const client = new Client(SETTINGS)
    client.send(connect(properties))
    await client.turn()
    client.session.commit()
    await client.turn()
    return client.wire.taken()
  }

  it('says less to who takes less, and never too little to go on with', async () => {
    const whole = await connack('19 01')
    expect(read(whole)).toMatchObject([{ properties: { responseInformation: 'answers/a', topicAliasMaximum: 3 } }])
    const short = await connack(`19 01 ${MAXIMUM_PACKET_SIZE(bytesOf(whole) - 1)}`)
    expect(read(short)).toMatchObject([{ reasonCode: 0, properties: { receiveMaximum: 7, serverKeepAlive: 30 } }])
    expect(short).toBe('20090000 06 210007 13001e'.replace(/ /g, ''))
    expect(await connack(MAXIMUM_PACKET_SIZE(bytesOf(short)))).toBe(short)
  })

  it('that does not fit refuses the connection, which has no will', async () => {
    for (const [bytes, answer] of [
      [10, '2003009500'],
      [5, '2003009500'],
      [4, ''],
    ] as const) {
      const client = new Client(SETTINGS)
      client.send(connect(MAXIMUM_PACKET_SIZE(bytes)))
      await client.turn()
      client.session.commit()
      expect(client.wire.taken()).toBe(answer)
      expect(client.wire.state).toBe('ended')
      expect(client.session.taken()).toEqual(['close clean'])
    }
  })

  it('of a refusal has no reason string that does not fit', async () => {
    for (const [bytes, answer] of [
      [100, '20 0a 00 87 07 1f 0004 6e6f7065'],
      [12, '20 0a 00 87 07 1f 0004 6e6f7065'],
      [11, '2003008700'],
      [4, ''],
    ] as const) {
      const client = new Client()
      client.broker.loginRefusal = new CodedError('denied', 'nope')
      client.send(connect(MAXIMUM_PACKET_SIZE(bytes)))
      await client.turn()
      expect(client.wire.taken()).toBe(answer.replace(/ /g, ''))
    }
  })

  it('of a CONNECT that is wrong behind its properties heeds them too', () => {
    const bad = (properties: string) => connect(properties).replace(/000161$/, '0001ff')
    for (const [properties, answer] of [
      [MAXIMUM_PACKET_SIZE(12), '2003008100'],
      [MAXIMUM_PACKET_SIZE(4), ''],
      ['17 00', '2003008100'],
    ] as const) {
      const client = new Client()
      client.send(bad(properties))
      expect(client.wire.taken()).toBe(answer)
    }
    const client = new Client()
    client.send(bad(''))
    expect(read(client.wire.taken())).toMatchObject([{ reasonCode: 0x81, properties: { reasonString: expect.stringContaining('UTF-8') } }])
  })
})

describe('SUBACK and UNSUBACK', () => {
  it('that would be too long are not earned: nothing is subscribed, and the connection ends', async () => {
    const two = ['820b 0001 00 0001 61 00 0001 62 00', 'a209 0001 00 0001 61 0001 62']
    for (const hex of two) {
      const fits = await connected(MAXIMUM_PACKET_SIZE(21), { receiveMaximum: 65_535, topicAliasesInMax: 0 })
      fits.send(hex)
      expect(fits.wire.state).toBe('open')
    }
    for (const [type, more] of [
      ['82', '0001 61 00'],
      ['a2', '0001 61'],
    ] as const) {
      const client = await connected(MAXIMUM_PACKET_SIZE(20))
      const payload = Buffer.from(`0001 00 ${more.repeat(20)}`.replace(/ /g, ''), 'hex')
      client.send(`${type}${payload.length.toString(16)}${payload.toString('hex')}`)
      expect(client.session.taken()).toEqual(['close lost'])
      expect(farewell(client)).toBe(0x95)
    }
  })
})

describe('PUBLISH', () => {
  it('has no alias where only that would make it too long', async () => {
    const client = await connected(`22 0005 ${MAXIMUM_PACKET_SIZE(20)}`)
    client.send('8207 0001 00 0001 23 01')
    client.session.commit()
    client.wire.taken()
    const to: Address = { namespace: '', kind: 'topic', path: ['a'] }
    const give = (bytes: number) => {
      client.consumer.give({ to, queue: client.consumer.queues[0], message: newMessage(0, false, Buffer.alloc(bytes)) })
      const hex = client.wire.taken()
      const [packet] = hex === '' ? [] : read(hex)
      return packet?.cmd === 'publish' ? [bytesOf(hex), packet.topic, packet.properties?.topicAlias] : []
    }
    expect(give(14)).toEqual([20, 'a', undefined])
    expect(give(11)).toEqual([20, 'a', 1])
    expect(give(12)).toEqual([20, '', 1])
    expect(give(13)).toEqual([19, 'a', undefined])
    expect(give(15)).toEqual([])
  })
})

describe('what says why', () => {
  it.each([
    ['PUBACK', '3206 0001 74 0001 00', '40'],
    ['PUBREC', '3406 0001 74 0001 00', '50'],
  ])('is left out of %s where it does not fit', async (_, publish, first) => {
    for (const [bytes, answer] of [
      [13, `${first} 0b 0001 87 07 1f 0004 6e6f7065`],
      [12, `${first} 03 0001 87`],
    ] as const) {
      const client = await connected(MAXIMUM_PACKET_SIZE(bytes), { receiveMaximum: 65_535, topicAliasesInMax: 0 })
      client.session.room = new CodedError('denied', 'nope')
      client.send(publish)
      client.session.commit()
      expect(client.wire.taken()).toBe(answer.replace(/ /g, ''))
    }
  })

  it('is left out of DISCONNECT where it does not fit, and so is where to go instead', async () => {
    const goodbye = async (bytes: number) => {
      const client = await connected(MAXIMUM_PACKET_SIZE(bytes))
      client.broker.pairAddresses = () => ['a-server-with-a-long-name.example:1883', 'this:1883']
      client.connection.shutdown(new CodedError('shutting-down', 'nope'))
      return client.wire.taken()
    }
    expect(read(await goodbye(100))).toMatchObject([{ reasonCode: 0x9c, properties: { serverReference: 'a-server-with-a-long-name.example:1883' } }])
    expect(read(await goodbye(20))).toMatchObject([{ reasonCode: 0x9c, properties: { reasonString: 'nope' } }])
    const client = await connected(MAXIMUM_PACKET_SIZE(10), { receiveMaximum: 65_535, topicAliasesInMax: 0 })
    client.connection.shutdown(new CodedError('shutting-down', 'nope'))
    expect(client.wire.taken()).toBe('e0018b')
  })
})
