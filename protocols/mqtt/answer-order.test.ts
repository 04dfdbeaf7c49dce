// Answers leave in the order of the publishes [MQTT-4.6.0-2] [MQTT-4.6.0-3], also where some wait for room and others are refused meanwhile; and what of them
// counts towards the Receive Maximum.
import { describe, expect, it } from 'vitest'
import { CodedError } from '../../src/errors.ts'
import { Client, CONNECT } from './fake-core.ts'
import { connect, connected, farewell, read } from './fake-five.ts'

const publish = (client: Client, id: string, first = '32') => client.send(`${first}06 0001 74 ${id} 00`)
const admit = (client: Client) => {
  client.session.replies.admitted(client.session.ticket())
  client.session.commit()
}

describe('a refused publish of MQTT 5', () => {
  it('is answered behind those that wait, and before those that came later', async () => {
    const client = await connected()
    client.session.room = 'parked'
    publish(client, '0001')
    publish(client, '0002', '34')
    client.session.room = new CodedError('full', 'too many wait')
    publish(client, '0003')
    publish(client, '0004', '34')
    // The broker's own topics, whoever sends there.
    client.send('320b 0006 245359532f78 0005 00')
    client.session.room = 'parked'
    publish(client, '0006')
    client.session.commit()
    expect(client.wire.taken()).toBe('')
    admit(client)
    expect(client.wire.taken()).toBe('40020001')
    admit(client)
    expect(read(client.wire.taken())).toMatchObject([
      { cmd: 'pubrec', messageId: 2, reasonCode: 0 },
      { cmd: 'puback', messageId: 3, reasonCode: 0x97, properties: { reasonString: 'too many wait' } },
      { cmd: 'pubrec', messageId: 4, reasonCode: 0x97 },
      { cmd: 'puback', messageId: 5, reasonCode: 0x87 },
    ])
    admit(client)
    expect(client.wire.taken()).toBe('40020006')
    expect(client.wire.state).toBe('open')
  })

  it('that waited is answered in its turn, before those behind it', async () => {
    const client = await connected()
    client.session.room = 'parked'
    publish(client, '0001')
    publish(client, '0002')
    client.session.room = new CodedError('full', 'too many wait')
    publish(client, '0003')
    client.session.replies.refused(new CodedError('not-found', 'it went'))
    expect(read(client.wire.taken())).toMatchObject([{ cmd: 'puback', messageId: 1, reasonCode: 0x90 }])
    client.session.replies.refused(new CodedError('not-found', 'it went'))
    expect(read(client.wire.taken())).toMatchObject([
      { cmd: 'puback', messageId: 2, reasonCode: 0x90 },
      { cmd: 'puback', messageId: 3, reasonCode: 0x97 },
    ])
  })

  it('counts towards the Receive Maximum until it is answered', async () => {
    const client = await connected('', { receiveMaximum: 2 })
    client.session.room = 'parked'
    publish(client, '0001')
    client.session.room = new CodedError('full', 'too many wait')
    publish(client, '0002')
    client.session.room = 'taken'
    admit(client)
    client.wire.taken()
    publish(client, '0003')
    publish(client, '0004')
    expect(client.wire.state).toBe('open')
    publish(client, '0005')
    expect(farewell(client)).toBe(0x93)
  })

  it('to a topic of the broker is told by PUBREC, and its identifier is free [MQTT5-4.3.3-9]', async () => {
    const client = await connected()
    client.send('340b 0006 245359532f78 0005 00')
    client.session.commit()
    expect(read(client.wire.taken())).toMatchObject([{ cmd: 'pubrec', messageId: 5, reasonCode: 0x87 }])
    expect(client.session.taken()).toEqual([])
    publish(client, '0005', '34')
    client.session.commit()
    expect(client.wire.taken()).toBe('50020005')
    // Of QoS 0 nothing is said, and nothing happens.
    client.send('3009 0006 245359532f78 00')
    expect(client.wire.taken()).toBe('')
    expect(client.wire.state).toBe('open')
  })
})

describe('an acknowledged publish of 3.1.1 that does nothing', () => {
  it('is answered behind those that wait', async () => {
    const client = new Client()
    await client.connect(CONNECT)
    client.session.room = 'parked'
    client.send('3205 0001 74 0001')
    client.send('320a 0006 245359532f78 0002')
    client.session.room = new CodedError('denied', 'no')
    client.send('3205 0001 74 0003')
    expect(client.wire.taken()).toBe('')
    admit(client)
    expect(client.wire.taken()).toBe('400200014002000240020003')
  })

  it('ends the connection when more of them wait than there are identifiers', async () => {
    const client = new Client()
    await client.connect(CONNECT)
    client.session.room = 'parked'
    client.send('3205 0001 74 0001')
    const many = Buffer.from('320a0006245359532f780002', 'hex').toString('hex').repeat(65_534)
    client.send(many)
    expect(client.wire.state).toBe('open')
    client.send('320a 0006 245359532f78 0002')
    expect(client.wire.state).toBe('ended')
  })
})

describe('the Receive Maximum', () => {
  const PUBREL = '6202 0063'

  it('is not widened by PUBREL of identifiers that nobody knows', async () => {
    const client = await connected('', { receiveMaximum: 2 })
    publish(client, '0001', '34')
    publish(client, '0002', '34')
    client.session.commit()
    client.send(PUBREL)
    client.session.commit()
    expect(client.wire.taken()).toBe('500200015002000270030063 92'.replace(/ /g, ''))
    publish(client, '0003', '34')
    expect(farewell(client)).toBe(0x93)
  })

  it('lets a client that comes back count the answers of what it left, so many and no more [MQTT5-4.9]', async () => {
    const client = new Client({ receiveMaximum: 2 })
    client.broker.prepare = (session) => {
      session.resumed = true
    }
    await client.connect(connect('11 00000009', '00'))
    publish(client, '0001', '34')
    publish(client, '0002', '34')
    client.send(PUBREL.repeat(2))
    client.session.commit()
    publish(client, '0003', '34')
    publish(client, '0004', '34')
    expect(client.wire.state).toBe('open')
    client.send(PUBREL.repeat(5))
    client.session.commit()
    publish(client, '0005', '34')
    expect(client.wire.state).toBe('ended')
  })
})
