// MQTT 5 byte by byte: what a client sends and is answered, at a core that does what it is told. What clauses say is cited where it is kept.
import mqttPacket from 'mqtt-packet'
import { describe, expect, it } from 'vitest'
import type { Address } from '../../src/api.ts'
import { CodedError } from '../../src/errors.ts'
import { Client } from './fake-core.ts'
import { connect, connected, farewell, read } from './fake-five.ts'
import { newMessage } from './format.ts'

describe('CONNECT of MQTT 5', () => {
  it('is answered with what the broker takes', async () => {
    const client = new Client({ receiveMaximum: 7, topicAliasesInMax: 3, keepAliveMaxSeconds: 30, responsePrefix: 'answers', packetBytesMax: 1024 })
    client.broker.prepare = (session) => {
      session.keepMs = 5000
    }
    // session expiry 9, request response information
    client.send(connect('11 00000009 19 01'))
    await client.turn()
    client.session.commit()
    expect(read(client.wire.taken())).toMatchObject([
      {
        cmd: 'connack',
        reasonCode: 0,
        sessionPresent: false,
        properties: {
          sessionExpiryInterval: 5,
          receiveMaximum: 7,
          maximumPacketSize: 1027,
          topicAliasMaximum: 3,
          serverKeepAlive: 30,
          responseInformation: 'answers/a',
        },
      },
    ])
    expect(client.session.identity).toMatchObject({ clientId: 'a', fresh: true, keepMs: 9000 })
  })

  it.each([
    ['an authentication method that nobody has', '15 0001 78', 0x8c],
    ['an authentication method without a name', '15 0000', 0x8c],
    ['authentication data alone', '16 0001 78', 0x82],
    ['receive maximum 0', '21 0000', 0x82],
    ['maximum packet size 0', '27 00000000', 0x82],
    ['a session expiry twice', '11 00000001 11 00000001', 0x82],
    ['request problem information 2', '17 02', 0x82],
    ['a property of another packet', '23 0001', 0x81],
    ['a property that nobody knows', '7f 00', 0x81],
    ['a property that is cut off', '11 0000', 0x81],
    ['a user property that is not UTF-8', '26 0001 ff 0001 61', 0x81],
  ])('with %s is refused in CONNACK', async (_, properties, reason) => {
    const client = new Client()
    client.send(connect(properties))
    await client.turn()
    const [connack] = read(client.wire.taken())
    expect(connack).toMatchObject({ cmd: 'connack', reasonCode: reason, sessionPresent: false })
    expect(client.wire.state).toBe('ended')
    expect(client.broker.sessions).toEqual([])
  })

  it.each([
    ['unauthenticated', 0x86],
    ['throttled', 0x89],
  ] as const)('of a login that is %s is refused by its own reason', async (code, reason) => {
    const client = new Client()
    client.broker.loginRefusal = new CodedError(code, 'no')
    // A password without a user name is allowed [MQTT5-3.1.2.9].
    client.send(connect('', '42', '0001 70'))
    await client.turn()
    expect(read(client.wire.taken())).toMatchObject([{ cmd: 'connack', reasonCode: reason, properties: { reasonString: 'no' } }])
  })

  it('says no reason to who does not want any', async () => {
    const client = new Client()
    client.broker.loginRefusal = new CodedError('denied', 'no')
    client.send(connect('17 00'))
    await client.turn()
    expect(client.wire.taken()).toBe('2003008700')
  })

  it('hands over a will with its properties, its delay and its time to live', async () => {
    const client = new Client()
    await client.connect(willConnect())
    const { will } = client.session.identity
    expect(will).toMatchObject({ delayMs: 3000, ttlMs: 60_000, retain: 'no', message: { dialect: 'mqtt5', durable: true, expiresAtMs: 0 } })
    expect(Buffer.from(will?.message.head ?? []).toString('hex')).toBe('01030001782600016100 0162'.replace(/ /g, ''))
  })

  it('hands over a will whose time to live is 0 as one that is over when it is sent, and one without as one that stays', async () => {
    for (const [properties, ttlMs] of [
      ['', 0],
      ['02 00000000', 1],
      ['02 00000003', 3000],
    ] as const) {
      const bytes = properties.replace(/ /g, '')
      const client = new Client()
      await client.connect(connect('', '06', `0${bytes.length / 2}${bytes} 0001 77 0001 78`))
      expect(client.session.identity.will?.ttlMs).toBe(ttlMs)
    }
  })

  it.each([
    ['with a wildcard', '0001 23', '', 0x90],
    ['of the broker', '0006 245359532f78', '', 0x90],
    ['that is empty', '0000', '', 0x82],
    ['whose text is none', '0001 77', '0101', 0x99],
  ])('with a will %s is refused in CONNACK', async (_, topic, properties, reason) => {
    const client = new Client({ checkPayloadFormat: true })
    client.send(connect('', '06', `0${properties.length / 2}${properties} ${topic} 0001 ff`))
    await client.turn()
    expect(read(client.wire.taken())).toMatchObject([{ cmd: 'connack', reasonCode: reason }])
    expect(client.broker.sessions).toEqual([])
  })
})

function willConnect(): string {
  return Buffer.from(
    mqttPacket.generate({
      cmd: 'connect',
      protocolId: 'MQTT',
      protocolVersion: 5,
      clean: true,
      clientId: 'a',
      keepalive: 60,
      will: {
        topic: 'w',
        payload: Buffer.from('bye'),
        qos: 1,
        retain: false,
        properties: { willDelayInterval: 3, messageExpiryInterval: 60, contentType: 'x', userProperties: { a: 'b' } },
      },
    }),
  ).toString('hex')
}

describe('PUBLISH of MQTT 5', () => {
  it('keeps its properties as they came, but for those of the packet', async () => {
    const client = await connected()
    // alias 1, expiry 10, user properties b=1, a=2, b=3, response topic r
    client.send('3029 0001 74 23 23 0001 26 0001 62 0001 31 02 0000000a 26 0001 61 0001 32 26 0001 62 0001 33 08 0001 72 01 01 68 69')
    const [{ message }] = client.session.published
    expect(message.dialect).toBe('mqtt5')
    expect(Buffer.from(message.head).toString('hex')).toBe('00 26000162000131 26000161000132 26000162000133 08000172 0101'.replace(/ /g, ''))
    expect(Buffer.from(message.body).toString()).toBe('hi')
    expect(message.expiresAtMs).toBe(client.broker.clock.wallMs() + 10_000)
  })

  it('without properties is a message as 3.1.1 has it', async () => {
    const client = await connected()
    client.send('3005 0001 74 00 68')
    expect(client.session.published[0].message).toEqual(newMessage(0, false, Buffer.from('h')))
  })

  it('takes priority, group and delay from user properties', async () => {
    const client = await connected()
    const userProperties = { priority: '9', JMSXGroupID: 'g', JMSXGroupSeq: '-1', AMQ_SCHEDULED_DELAY: '500' }
    const packet = mqttPacket.generate(
      { cmd: 'publish', topic: 't', payload: '', qos: 0, dup: false, retain: false, properties: { userProperties } },
      { protocolVersion: 5 },
    )
    client.send(packet.toString('hex'))
    const now = client.broker.clock.wallMs()
    expect(client.session.published[0].message).toMatchObject({ priority: 9, group: 'g', groupEnds: true, deliverAtMs: now + 500 })
  })

  it('with doubles of a field has the first of them that can be read', async () => {
    const client = await connected()
    const user = (name: string, value: string) => {
      const text = (of: string) => Buffer.concat([Buffer.from([0, of.length]), Buffer.from(of)])
      return Buffer.concat([Buffer.from([0x26]), text(name), text(value)])
    }
    const message = (...pairs: (readonly [string, string])[]) => {
      const properties = Buffer.concat(pairs.map(([name, value]) => user(name, value)))
      const body = Buffer.concat([Buffer.from([0, 1, 0x74, 0x80 | (properties.length & 127), properties.length >> 7]), properties])
      client.send(Buffer.concat([Buffer.from([0x30, 0x80 | (body.length & 127), body.length >> 7]), body]).toString('hex'))
      return client.session.published.at(-1)?.message
    }
    const filler = ['x', '.'.repeat(100)] as const
    expect(message(['priority', '4'], ['priority', '9'], filler)?.priority).toBe(4)
    expect(message(['priority', 'high'], ['priority', '9'], ['priority', '2'], filler)?.priority).toBe(9)
    expect(message(['JMSXGroupID', ''], ['JMSXGroupID', 'g'], filler)?.group).toBe('')
    expect(message(['JMSXGroupSeq', '1'], ['JMSXGroupSeq', '-1'], filler)?.groupEnds).toBe(false)
    expect(message(['AMQ_SCHEDULED_DELAY', '0'], ['AMQ_SCHEDULED_DELAY', '9'], filler)?.deliverAtMs).toBe(0)
  })

  it.each([
    ['an alias beyond the most [MQTT5-3.3.2-9]', '3007 0001 74 03 23 0065', 0x94],
    ['alias 0 [MQTT5-3.3.2-8]', '3007 0001 74 03 23 0000', 0x94],
    ['neither topic nor alias', '3003 0000 00', 0x82],
    ['an alias that was never set', '3006 0000 03 23 0001', 0x82],
    ['a subscription identifier [MQTT5-3.3.4-6]', '3006 0001 74 02 0b 01', 0x82],
    ['a payload format of 2', '3006 0001 74 02 01 02', 0x82],
    ['two expiries', '300e 0001 74 0a 02 00000001 02 00000001', 0x82],
    ['a response topic with a wildcard [MQTT5-3.3.2-14]', '3008 0001 74 04 08 0001 23', 0x90],
    ['properties that end beyond the packet', '3004 0001 74 05', 0x81],
    ['a length of properties longer than it needs to be', '3005 0001 74 8000', 0x81],
    ['a property of CONNECT', '3009 0001 74 05 11 00000001', 0x81],
    ['a topic that is not UTF-8', '3004 0001 ff 00', 0x81],
    ['a topic with a wildcard', '3004 0001 23 00', 0x90],
    ['QoS 3', '3606 0001 74 0001 00', 0x81],
    ['packet identifier 0', '3206 0001 74 0000 00', 0x81],
  ])('with %s ends the connection with its reason', async (_, hex, reason) => {
    const client = await connected()
    client.send(hex)
    expect(farewell(client)).toBe(reason)
    expect(client.session.taken()).toEqual(['close lost'])
  })

  it('beyond the receive maximum ends the connection with 0x93 [MQTT5-3.3.4-9]; an answer makes room', async () => {
    const client = await connected('', { receiveMaximum: 2 })
    const publish = (id: string, qos: '32' | '34' = '32') => client.send(`${qos}06 0001 74 ${id} 00`)
    publish('0001')
    publish('0002', '34')
    client.session.commit()
    expect(client.wire.taken()).toBe('4002000150020002')
    publish('0003')
    client.session.commit()
    expect(client.wire.taken()).toBe('40020003')
    client.send('62020002')
    client.session.commit()
    expect(client.wire.taken()).toBe('70020002')
    publish('0004')
    publish('0005')
    expect(client.wire.taken()).toBe('')
    publish('0006')
    expect(farewell(client)).toBe(0x93)
  })

  it('that reaches nobody is told so [0x10]', async () => {
    const client = await connected()
    client.session.unheard = true
    client.send('3206 0001 74 0001 00')
    client.session.commit()
    expect(client.wire.taken()).toBe('4003000110')
  })

  it.each([
    ['limit', 0x97],
    ['full', 0x97],
    ['denied', 0x87],
    ['too-large', 0x97],
  ] as const)('refused for %s is acknowledged with the reason, and the connection stays', async (code, reason) => {
    const client = await connected()
    client.session.room = new CodedError(code, 'no')
    client.send('3206 0001 74 0001 00')
    client.session.commit()
    client.send('3406 0001 74 0002 00')
    client.session.commit()
    expect(read(client.wire.taken())).toMatchObject([
      { cmd: 'puback', messageId: 1, reasonCode: reason, properties: { reasonString: 'no' } },
      { cmd: 'pubrec', messageId: 2, reasonCode: reason },
    ])
    expect(client.wire.state).toBe('open')
  })

  it('of QoS 0 that is refused ends the connection with the reason', async () => {
    const client = await connected()
    client.session.room = new CodedError('full', 'no')
    client.send('3004 0001 74 00')
    expect(farewell(client)).toBe(0x97)
  })

  it('that says it is text and is not is refused with 0x99, if that is checked', async () => {
    for (const checkPayloadFormat of [false, true]) {
      const client = await connected('', { checkPayloadFormat })
      client.send('3209 0001 74 0001 02 01 01 ff')
      client.session.commit()
      expect(read(client.wire.taken())).toMatchObject([{ cmd: 'puback', reasonCode: checkPayloadFormat ? 0x99 : 0 }])
    }
  })

  it('longer than is allowed ends the connection with 0x95', async () => {
    const client = await connected('', { packetBytesMax: 1024 })
    client.send('30 ff7f')
    expect(farewell(client)).toBe(0x95)
  })
})

describe('SUBSCRIBE and UNSUBSCRIBE of MQTT 5', () => {
  it('hand over their options and are answered by reason', async () => {
    const client = await connected('', { refuse: ['secret/#'] })
    // identifier 5; a: QoS 1, no local, as published, retain handling 1; secret/x; a#
    client.send('8219 0001 02 0b05 0001 61 1d 0008 7365637265742f78 00 0002 6123 02')
    client.session.commit()
    expect(client.session.bindings).toMatchObject([{ tag: 1 | 4 | 8, label: 5, noLocal: true, retained: 'if-new', settle: 'if-durable' }])
    expect(client.wire.taken()).toBe('900600010001878f')
    client.send('a206 0002 00 0001 61')
    client.session.commit()
    expect(client.wire.taken()).toBe('b004000200 00'.replace(/ /g, ''))
  })

  it('that cannot be unsubscribed are told in words that UNSUBACK has [MQTT5-3.11.3-2]', async () => {
    for (const [code, reason] of [
      ['full', '80'],
      ['denied', '87'],
      ['not-found', '11'],
      ['unsupported', '83'],
    ] as const) {
      const client = await connected()
      client.session.unbind = () => {
        client.session.refusal = new CodedError(code, 'no')
        return 0
      }
      client.send('a206 0002 00 0001 61')
      client.session.commit()
      expect(client.wire.taken()).toBe(`b0040002 00 ${reason}`.replace(/ /g, ''))
    }
  })

  it.each([
    ['identifier 0', '8208 0001 02 0b00 0001 61 00', 0x82],
    ['two identifiers', '820a 0001 04 0b01 0b02 0001 61 00', 0x82],
    ['QoS 3', '8207 0001 00 0001 61 03', 0x82],
    ['retain handling 3', '8207 0001 00 0001 61 30', 0x82],
    ['reserved bits', '8207 0001 00 0001 61 40', 0x81],
    ['no local on a shared subscription [MQTT5-3.8.3-4]', '8210 0001 00 000a 2473686172652f672f61 04', 0x82],
    ['no filter', '8203 0001 00', 0x82],
    ['packet identifier 0', '8207 0000 00 0001 61 00', 0x81],
  ])('with %s end the connection', async (_, hex, reason) => {
    const client = await connected()
    client.send(hex)
    expect(farewell(client)).toBe(reason)
  })
})

describe('deliveries to MQTT 5', () => {
  it('are no more than the client lets be unanswered', async () => {
    const client = await connected('21 0003')
    client.send('8207 0001 00 0001 61 01')
    expect(client.consumer.taken()[0]).toMatch(/^grant 3 /)
  })

  it.each([1, 2])('that are larger than the client takes are settled as if they had been sent, QoS %i, and counted', async (qos) => {
    const client = await connected('27 00000014')
    client.send('8207 0001 00 0001 61 02')
    client.session.commit()
    client.wire.taken()
    client.consumer.taken()
    const message = newMessage(qos, false, Buffer.alloc(20))
    client.consumer.give({ tag: 1, ref: { queue: 1, sequence: 1 }, queue: own(client), message, mode: 'unsettled' })
    client.consumer.give({
      tag: 2,
      ref: { queue: 1, sequence: 2 },
      queue: own(client),
      message: newMessage(qos, false, Buffer.alloc(9)),
      mode: 'unsettled',
    })
    expect(client.consumer.taken()).toEqual(['settle 1-1 accepted', expect.stringMatching(/^grant 1 /), expect.stringMatching(/^grant 0 /)])
    expect(read(client.wire.taken())).toMatchObject([{ cmd: 'publish', messageId: 3 }])
    expect(client.connection.front.tooLargeDropped).toBe(1)
  })

  it('of QoS 2 that expire are marked when they are sent, so that they expire no more, and not again [MQTT5-4.3.3-7]', async () => {
    const client = await connected()
    client.send('8207 0001 00 0001 61 02')
    client.session.commit()
    client.consumer.taken()
    const give = (tag: number, qos: number, expiresAtMs: number, mark = 0) =>
      client.consumer.give({
        tag,
        ref: { queue: 1, sequence: tag },
        queue: own(client),
        message: { ...newMessage(qos, false, Buffer.from('m')), expiresAtMs },
        mode: 'unsettled',
        mark,
        maybeSeen: mark !== 0,
        groupFirst: false,
      })
    give(1, 2, 0)
    give(2, 1, 1e15)
    give(3, 2, 1e15)
    give(4, 2, 1, 2)
    expect(client.consumer.taken().filter((call) => call.startsWith('mark'))).toEqual(['mark 3 2'])
    const again = read(client.wire.taken()).at(-1)
    expect(again).toMatchObject({ cmd: 'publish', messageId: 5, dup: true, properties: { messageExpiryInterval: 0 } })
    client.send('5002 0005')
    expect(client.consumer.taken()).toContain('mark 4 1')
  })

  it('that their client refuses are over, and counted', async () => {
    const client = await connected()
    client.send('8207 0001 00 0001 61 02')
    client.session.commit()
    client.wire.taken()
    client.consumer.taken()
    const message = (qos: number) => newMessage(qos, false, Buffer.from('m'))
    client.consumer.give({ tag: 1, ref: { queue: 1, sequence: 1 }, queue: own(client), message: message(1), mode: 'unsettled' })
    client.consumer.give({ tag: 2, ref: { queue: 1, sequence: 2 }, queue: own(client), message: message(2), mode: 'unsettled' })
    expect(read(client.wire.taken())).toMatchObject([
      { cmd: 'publish', messageId: 2 },
      { cmd: 'publish', messageId: 3 },
    ])
    client.send('4003 0002 87 5004 0003 97 00')
    expect(client.consumer.taken().filter((call) => call.startsWith('settle'))).toEqual(['settle 2-2 accepted answered', 'settle 1-1 accepted'])
    client.session.commit()
    expect(client.wire.taken()).toBe('')
    expect(client.connection.front.refusedByClients).toBe(2)
  })

  it('that wait for an identifier go back when their group is left, and those before them are sent', async () => {
    const client = await connected()
    client.send('820b 0001 00 0001 61 02 0001 62 00 8210 0002 00 000a 2473686172652f672f74 01')
    client.session.commit()
    client.wire.taken()
    const [mine, shared] = client.consumer.queues
    const give = (tag: number, sequence: number, queue: Address) =>
      client.consumer.give({
        tag,
        ref: { queue: queue === mine ? 1 : 2, sequence },
        queue,
        message: newMessage(2, false, Buffer.from('m')),
        mode: 'unsettled',
      })
    give(1, 1, mine)
    client.send('5002 0002')
    client.session.commit()
    // Not free before its end is written down: the next one of that number waits, and what comes after it.
    client.send('7002 0002')
    client.wire.taken()
    give(2, 65_536, mine)
    give(3, 1, shared)
    give(4, 2, shared)
    expect(client.wire.taken()).toBe('')
    client.consumer.taken()
    client.send('a20f 0003 00 000a 2473686172652f672f74')
    expect(client.consumer.taken()).toEqual(['drop share|g|t', 'settle 3-3 released', 'settle 4-4 released', expect.stringMatching(/^grant 2 /)])
    client.session.commit()
    expect(read(client.wire.taken())).toMatchObject([{ cmd: 'publish', messageId: 2, qos: 2 }, { cmd: 'unsuback' }])
    expect(client.consumer.taken()).not.toContain('settle 3-3 accepted')
  })

  it('of unknown identifiers are answered with 0x92', async () => {
    const client = await connected()
    client.send('5002 0009 6202 0008')
    expect(client.wire.taken()).toBe('62030009927003000892')
  })
})

function own(client: Client) {
  return client.consumer.queues[0]
}

describe('the end of an MQTT 5 connection', () => {
  it.each([
    ['nothing', 'e000', 'close clean'],
    ['normal', 'e00100', 'close clean'],
    ['with its will', 'e00104', 'close lost'],
    ['an error', 'e0028100', 'close lost'],
  ])('by DISCONNECT that says %s', async (_, hex, call) => {
    const client = await connected('11 00000009')
    client.send(hex)
    expect(client.session.taken()).toEqual([call])
    expect(client.wire.state).toBe('ended')
    expect(client.wire.taken()).toBe('')
  })

  it('by DISCONNECT that keeps a session which was not to be kept is a protocol error', async () => {
    const client = await connected()
    client.send('e007 00 05 11 00000001')
    expect(farewell(client)).toBe(0x82)
  })

  it.each([
    ['a second CONNECT', connect(), 0x82],
    ['AUTH where none was agreed', 'f000', 0x82],
    ['a packet of the broker', '2003000000', 0x82],
    ['packet type 0', '0000', 0x81],
    ['wrong flags', '8007 0001 00 0001 61 00', 0x81],
    ['a reason that does not belong', '4003 0001 01', 0x81],
  ])('by %s has its reason', async (_, hex, reason) => {
    const client = await connected()
    client.send(hex)
    expect(farewell(client)).toBe(reason)
  })

  it('by silence is 0x8D', async () => {
    const client = await connected()
    client.broker.clock.advance(90_500)
    expect(farewell(client)).toBe(0x8d)
  })

  it.each([
    ['taken-over', [], 0x8e, undefined],
    ['shutting-down', [], 0x8b, undefined],
    ['shutting-down', ['other:1883', 'this:1883'], 0x9c, 'other:1883'],
    ['removed', [], 0x98, undefined],
  ] as const)('by the broker, %s, says so', async (code, pair, reason, server) => {
    const client = await connected()
    client.broker.pairAddresses = () => pair
    client.connection.shutdown(new CodedError(code, 'over'))
    expect(client.wire.state).toBe('ended')
    const [packet] = read(client.wire.taken())
    expect(packet).toMatchObject({ cmd: 'disconnect', reasonCode: reason })
    expect(packet.cmd === 'disconnect' ? packet.properties?.serverReference : '').toBe(server)
  })
})
