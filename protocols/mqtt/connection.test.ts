import { describe, expect, it } from 'vitest'
import { CodedError } from '../../src/errors.ts'
import { CONNECT, CONNECT_KEPT, Client } from './fake-core.ts'
import { newMessage } from './format.ts'

async function connected(hex?: string, settings = {}): Promise<Client> {
  const client = new Client(settings)
  await client.connect(hex)
  return client
}

/** Subscribed to `a` with QoS 2. */
async function subscribed(hex?: string, settings = {}): Promise<Client> {
  const client = await connected(hex, settings)
  client.send('8206 0001 0001 61 02')
  client.session.commit()
  client.wire.taken()
  client.session.taken()
  client.consumer.taken()
  return client
}

const message = (qos: number) => newMessage(qos, false, Buffer.from('m'))
const out = (qos: number, tag: number, sequence = tag) => ({ tag, message: message(qos), mode: 'unsettled' as const, ref: { queue: 1, sequence } })

describe('CONNECT', () => {
  it('is answered when the session is committed, not before', async () => {
    const client = new Client()
    client.send(CONNECT)
    await client.turn()
    expect(client.wire.taken()).toBe('')
    client.session.commit()
    expect(client.wire.taken()).toBe('20020000')
    expect(client.session.identity).toMatchObject({
      clientId: 'a',
      clash: 'take-over',
      keepMs: 0,
      fresh: true,
      will: undefined,
      principal: 'somebody',
    })
  })

  it('of a session that is continued says so, to a client of 3.1.1', async () => {
    const client = new Client()
    client.broker.prepare = (session) => {
      session.resumed = true
    }
    client.send(CONNECT_KEPT)
    await client.turn()
    client.session.commit()
    expect(client.wire.taken()).toBe('20020100')
    expect(client.session.identity).toMatchObject({ keepMs: Number.POSITIVE_INFINITY, fresh: false })
  })

  it('of 3.1 is answered without the flag that 3.1 does not know', async () => {
    const client = new Client()
    client.broker.prepare = (session) => {
      session.resumed = true
    }
    client.send('100f 0006 4d5149736470 03 00 003c 0001 61')
    await client.turn()
    client.session.commit()
    expect(client.wire.taken()).toBe('20020000')
  })

  it('keeps a session as long as it is configured', async () => {
    const client = await connected(CONNECT_KEPT, { sessionExpiryMs: 60_000 })
    expect(client.session.identity.keepMs).toBe(60_000)
  })

  it.each([
    ['another level', '100d 0004 4d515454 06 02 003c 0001 61', '20020001'],
    ['no identifier and a session to keep', '100c 0004 4d515454 04 00 003c 0000', '20020002'],
    ['no identifier in 3.1', '100e 0006 4d5149736470 03 02 003c 0000', '20020002'],
    ['an identifier of 24 characters in 3.1', `1026 0006 4d5149736470 03 02 003c 0018 ${'61'.repeat(24)}`, '20020002'],
  ])('is refused for %s', async (_, hex, answer) => {
    const client = new Client()
    client.send(hex)
    await client.turn()
    expect(client.wire.taken()).toBe(answer)
    expect(client.wire.state).toBe('ended')
    expect(client.broker.sessions).toEqual([])
  })

  it('with a clean session and no identifier gets a session without a name, and a queue of its own', async () => {
    const client = await connected('100c 0004 4d515454 04 02 003c 0000')
    expect(client.session.identity.clientId).toBe('')
    client.send('8206 0001 0001 61 00')
    expect(client.session.taken()[0]).toBe('declare mqtt session||n-1 volatile held')
  })

  it.each([
    ['unauthenticated', '20020004'],
    ['throttled', '20020003'],
  ] as const)('is refused when the login is %s', async (code, answer) => {
    const client = new Client()
    client.broker.loginRefusal = new CodedError(code, 'no')
    // As anna, without a password.
    client.send('1012 0004 4d515454 04 82 0000 0000 0004 616e6e61')
    await client.turn()
    expect(client.wire.taken()).toBe(answer)
    expect(client.wire.state).toBe('ended')
  })

  it('is refused with 5, not with 4 for a wrong name, when it has no name and one is needed', async () => {
    const client = new Client()
    client.broker.loginRefusal = new CodedError('unauthenticated', 'no')
    client.send(CONNECT)
    await client.turn()
    expect(client.wire.taken()).toBe('20020005')
  })

  it('is refused when the session is', async () => {
    const client = new Client()
    client.broker.openRefusal = new CodedError('denied', 'no')
    client.send(CONNECT)
    await client.turn()
    expect(client.wire.taken()).toBe('20020005')
  })

  it('may be followed at once: what comes is kept, and read after CONNACK', async () => {
    const client = new Client()
    client.send(`${CONNECT} 3206 0001 74 0007 78`)
    expect(client.wire.pauses).toBe(1)
    client.send('c000')
    await client.turn()
    expect(client.session.published).toEqual([])
    client.session.commit()
    await client.turn()
    expect(client.session.published.length).toBe(1)
    expect(client.wire.taken()).toBe('20020000d000')
    expect(client.wire.pauses).toBe(0)
    client.session.commit()
    expect(client.wire.taken()).toBe('40020007')
  })

  it('must be the first packet, and the only one of its kind', async () => {
    const early = new Client()
    early.send('c000')
    expect(early.wire.state).toBe('ended')
    expect(early.wire.taken()).toBe('')
    const twice = await connected()
    twice.send(CONNECT)
    expect(twice.wire.state).toBe('ended')
    expect(twice.session.taken()).toEqual(['close lost'])
  })

  it('must come in time', () => {
    const client = new Client({ connectTimeoutMs: 1000 })
    client.send('100d')
    client.broker.clock.advance(999)
    expect(client.wire.state).toBe('open')
    client.broker.clock.advance(1)
    expect(client.wire.state).toBe('ended')
  })

  it('makes nobody keep more than a CONNECT can be', () => {
    const client = new Client()
    // 268,435,455 bytes announced.
    client.send('10ffffff7f')
    expect(client.wire.state).toBe('ended')
  })

  it('carries a will, which must not name a wildcard', async () => {
    const client = await connected('1015 0004 4d515454 04 2e 003c 0001 61 0003 772f78 0001 62')
    expect(client.session.identity.will).toMatchObject({
      to: { kind: 'topic', path: ['w', 'x'] },
      retain: 'set',
      delayMs: 0,
      message: { durable: true },
    })
    const wild = new Client()
    wild.send('1015 0004 4d515454 04 2e 003c 0001 61 0003 772f23 0001 62')
    await wild.turn()
    expect(wild.wire.state).toBe('ended')
    expect(wild.broker.sessions).toEqual([])
  })

  it('that is given up while its login is looked at opens nothing', async () => {
    const client = new Client()
    client.send(CONNECT)
    client.connection.closed()
    await client.turn()
    expect(client.broker.sessions).toEqual([])
  })
})

describe('the end of a connection', () => {
  it('is clean after DISCONNECT', async () => {
    const client = await connected()
    client.send('e000')
    client.connection.closed()
    expect(client.session.taken()).toEqual(['close clean'])
    expect(client.wire.state).toBe('ended')
  })

  it('is a loss when the socket goes', async () => {
    const client = await connected()
    client.connection.closed()
    expect(client.session.taken()).toEqual(['close lost'])
  })

  it('is a loss after one and a half times the keep-alive, counted from the last packet', async () => {
    const client = await connected()
    client.broker.clock.advance(80_000)
    client.send('c000')
    client.broker.clock.advance(89_000)
    expect(client.wire.state).toBe('open')
    client.broker.clock.advance(1_000)
    expect(client.wire.state).toBe('ended')
    expect(client.session.taken()).toEqual(['close lost'])
  })

  it('does not come for silence while the broker itself does not read', async () => {
    const client = await connected()
    client.connection.pressure(true)
    client.broker.clock.advance(1_000_000)
    expect(client.wire.state).toBe('open')
    client.connection.pressure(false)
    client.broker.clock.advance(89_000)
    expect(client.wire.state).toBe('open')
    client.broker.clock.advance(91_000)
    expect(client.wire.state).toBe('ended')
  })

  it('never comes for silence with keep-alive 0, unless configured', async () => {
    const keepAlive0 = '100d 0004 4d515454 04 02 0000 0001 61'
    const patient = await connected(keepAlive0)
    patient.broker.clock.advance(1e9)
    expect(patient.wire.state).toBe('open')
    const bounded = await connected(keepAlive0, { keepAliveMaxSeconds: 10 })
    bounded.broker.clock.advance(15_000)
    expect(bounded.wire.state).toBe('ended')
  })

  it('leaves the session alone when the core has ended it: at once for who is taken over', async () => {
    const client = await connected()
    client.connection.ended(new CodedError('taken-over', 'x'))
    expect(client.wire.state).toBe('destroyed')
    expect(client.session.taken()).toEqual([])
    const stopped = await connected()
    stopped.send('3206 0001 74 0007 78')
    stopped.connection.shutdown(new CodedError('shutting-down', 'x'))
    stopped.connection.closed()
    expect(stopped.wire.state).toBe('ended')
    expect(stopped.wire.taken()).toBe('')
    expect(stopped.session.taken()).toEqual(['publish topic t x no 0'])
  })

  it.each([
    ['a packet identifier of 0 in PUBLISH', '3206 0001 74 0000 78'],
    ['QoS 3', '3606 0001 74 0001 78'],
    ['DUP with QoS 0', '3804 0001 74 78'],
    ['an empty topic', '3002 0000'],
    ['a topic with +', '3003 0001 2b'],
    ['a topic with #', '3005 0003 612f23'],
    ['a topic with U+0000', '3003 0001 00'],
    ['a topic that is not UTF-8', '3003 0001 ff'],
    ['a topic longer than the packet', '3003 00ff 61'],
    ['no room for the packet identifier', '3203 0001 61'],
    ['no topic at all', '3001 00'],
    ['PUBACK of 0', '4002 0000'],
    ['PUBREC of 0', '5002 0000'],
    ['PUBREL of 0', '6202 0000'],
    ['PUBCOMP of 0', '7002 0000'],
    ['PUBREL without its flag', '6002 0001'],
    ['PUBACK with a flag', '4102 0001'],
    ['PUBACK of three bytes', '4003 000100'],
    ['SUBSCRIBE without its flag', '8006 0001 0001 61 00'],
    ['SUBSCRIBE of nothing', '8202 0001'],
    ['UNSUBSCRIBE of nothing', 'a202 0001'],
    ['PINGREQ with a body', 'c001 00'],
    ['DISCONNECT with a flag', 'e100'],
    ['a CONNACK', '20020000'],
    ['a PINGRESP', 'd000'],
    ['type 0', '0000'],
    ['type 15', 'f000'],
    ['a remaining length of five bytes', '3080808080 01'],
    ['more than the largest packet', '30ffffff7f'],
  ])('comes for %s, and is told nothing', async (_, hex) => {
    const client = await connected()
    client.send(hex)
    expect(client.wire.state).toBe('ended')
    expect(client.wire.taken()).toBe('')
    expect(client.session.taken()).toEqual(['close lost'])
  })

  it('forgives 3.1 the DUP flag of PUBREL, SUBSCRIBE and UNSUBSCRIBE', async () => {
    const client = await connected('100f 0006 4d5149736470 03 02 003c 0001 61')
    client.send('6a02 0001 8a06 0001 0001 61 00 aa05 0001 0001 61')
    expect(client.wire.state).toBe('open')
  })
})

describe('PUBLISH in', () => {
  it('QoS 0 becomes a message that is not durable, with the payload as it came', async () => {
    const client = await connected()
    client.send('3006 0001 74 000102')
    expect(client.session.published[0].message).toEqual({ ...message(0), body: Buffer.from([0, 1, 2]) })
    client.session.commit()
    expect(client.wire.taken()).toBe('')
  })

  it('QoS 1 is acknowledged when it is committed', async () => {
    const client = await connected()
    client.send('3206 0001 74 0007 78')
    expect(client.session.published[0].message.durable).toBe(true)
    expect(client.wire.taken()).toBe('')
    client.session.commit()
    expect(client.wire.taken()).toBe('40020007')
  })

  it('QoS 2 is noted with its message, answered once committed, and taken once', async () => {
    const client = await connected()
    client.send('3406 0001 74 0007 78')
    // Again before the commit: the answer waits for it, and nothing is published twice.
    client.send('3c06 0001 74 0007 78')
    expect(client.session.taken()).toEqual(['publish topic t x no 7'])
    expect(client.wire.taken()).toBe('')
    client.session.commit()
    expect(client.wire.taken()).toBe('5002000750020007')
    client.send('3c06 0001 74 0007 78')
    expect(client.wire.taken()).toBe('50020007')
    client.send('6202 0007')
    expect(client.session.taken()).toEqual(['note 7 false'])
    expect(client.wire.taken()).toBe('')
    client.session.commit()
    expect(client.wire.taken()).toBe('70020007')
    client.send('3406 0001 74 0007 79')
    expect(client.session.taken()).toEqual(['publish topic t y no 7'])
  })

  it('a DUP after a takeover is answered from the note of the session', async () => {
    const client = new Client()
    client.broker.prepare = (session) => void session.notes.add(7)
    await client.connect(CONNECT_KEPT)
    client.send('3c06 0001 74 0007 78')
    expect(client.session.taken()).toEqual([])
    expect(client.wire.taken()).toBe('50020007')
  })

  it('PUBREL of an unknown identifier is answered all the same', async () => {
    const client = await connected()
    client.send('6202 0009')
    expect(client.wire.taken()).toBe('70020009')
    expect(client.session.taken()).toEqual([])
  })

  it('answers leave in the order of what was asked', async () => {
    const client = await connected()
    client.send('3206 0001 74 0001 78 3406 0001 74 0002 78 3206 0001 74 0003 78 6202 0009')
    client.session.replies.done(client.session.opened)
    expect(client.wire.taken()).toBe('')
    client.session.replies.done(client.session.opened + 2)
    expect(client.wire.taken()).toBe('4002000150020002')
    client.session.commit()
    expect(client.wire.taken()).toBe('4002000370020009')
  })

  it('retains, and forgets what is retained with an empty payload', async () => {
    const client = await connected()
    client.send('3104 0001 74 78 3103 0001 74 3003 0001 74')
    expect(client.session.taken()).toEqual(['publish topic t x set 0', 'publish topic t  clear 0', 'publish topic t  no 0'])
  })

  it('to topics of the broker is acknowledged and dropped', async () => {
    const client = await connected()
    client.send('320a 0006 245359532f78 0005 320e 000a 2473686172652f672f66 0006 3406 0002 2461 0001')
    expect(client.session.taken()).toEqual(['publish topic $a  no 1'])
    client.session.commit()
    expect(client.wire.taken()).toBe('400200054002000650020001')
  })

  it('to a topic with more levels than are allowed ends the connection', async () => {
    const client = await connected(CONNECT, { topicLevelsMax: 2 })
    client.send('3005 0003 612f62')
    expect(client.wire.state).toBe('open')
    client.send('3007 0005 612f622f63')
    expect(client.wire.state).toBe('ended')
  })

  it('that waits for room is answered in its turn, and settlements pass it', async () => {
    const client = await subscribed()
    client.session.room = 'parked'
    client.consumer.give(out(1, 1))
    client.wire.taken()
    client.send('3406 0001 74 0007 78 3206 0001 74 0008 78 3003 0001 74 4002 0002')
    client.send('3c06 0001 74 0007 78')
    expect(client.session.taken().length).toBe(3)
    expect(client.consumer.taken()).toContain('settle 1-1 accepted')
    client.session.commit()
    expect(client.wire.taken()).toBe('')
    client.session.replies.admitted(client.session.ticket())
    client.session.commit()
    expect(client.wire.taken()).toBe('50020007')
    client.session.replies.admitted(client.session.ticket())
    client.session.replies.admitted(client.session.ticket())
    client.session.commit()
    expect(client.wire.taken()).toBe('40020008')
  })

  it('that finds no room ends the connection, unacknowledged', async () => {
    const client = await connected()
    client.session.room = new CodedError('full', 'too many are parked')
    client.send('3206 0001 74 0007 78')
    expect(client.wire.state).toBe('ended')
    expect(client.wire.taken()).toBe('')
    const parked = await connected()
    parked.session.room = 'parked'
    parked.send('3206 0001 74 0007 78')
    parked.session.replies.refused(new CodedError('full', 'the destination went'))
    expect(parked.wire.state).toBe('ended')
  })

  it('that is denied is acknowledged and dropped', async () => {
    const client = await connected()
    client.session.room = new CodedError('denied', 'no')
    client.send('3206 0001 74 0007 78 3406 0001 74 0008 78 3003 0001 74')
    expect(client.wire.taken()).toBe('4002000750020008')
    expect(client.wire.state).toBe('open')
  })

  it('goes to a queue under the prefix, when there is one', async () => {
    const client = await connected(CONNECT, { queuePrefix: '$queue' })
    // Retained queues there are none.
    client.send('310b 0008 2471756575652f61 78')
    client.send('320c 0008 2471756575652f61 0002')
    expect(client.session.taken()).toEqual(['declare  a durable permanent', 'publish queue a x no 0', 'publish queue a  no 0'])
    const off = await connected()
    off.send('300a 0008 2471756575652f61')
    expect(off.session.taken()).toEqual(['publish topic $queue|a  no 0'])
  })
})

describe('SUBSCRIBE and UNSUBSCRIBE', () => {
  it('bind filters to the queue of the session, consumed before the first binding, answered when committed', async () => {
    const client = await connected()
    client.send('820e 0010 0003 612f62 00 0003 2b2f23 02')
    expect(client.session.taken()).toEqual([
      'declare mqtt session|a volatile held',
      'hold session|a 0',
      'consume session|a',
      'bind ["a","b"] 0 settled drop always',
      'bind [{"wild":"one"},{"wild":"rest"}] 2 if-durable drop always',
    ])
    expect(client.wire.taken()).toBe('')
    client.session.commit()
    expect(client.wire.taken()).toBe('900400100002')
    client.send('a20a 0011 0003 612f62 0001 7a')
    expect(client.session.taken()).toEqual(['unbind ["a","b"]', 'unbind ["z"]'])
    expect(client.wire.taken()).toBe('')
    client.session.commit()
    expect(client.wire.taken()).toBe('b0020011')
  })

  it('keep the queue of a kept session, and take from it again', async () => {
    const client = await connected(CONNECT_KEPT)
    client.send('8206 0001 0001 61 01')
    expect(client.session.taken()[0]).toBe('declare mqtt session|a durable held')
    const again = new Client()
    again.broker.prepare = (session) => {
      session.resumed = true
      session.held = [
        { queue: again.broker.address('queue', ['session', 'a'], 'mqtt'), tag: 0 },
        { queue: again.broker.address('queue', ['share', 'g', 'f'], 'mqtt'), tag: 1 },
      ]
    }
    again.send(CONNECT_KEPT)
    await again.turn()
    again.session.commit()
    expect(again.session.consumer).toBeUndefined()
    await again.turn()
    expect(again.consumer.queues.map((queue) => queue.path[0])).toEqual(['session', 'share'])
    again.send('8206 0001 0001 62 01')
    expect(again.session.taken()).toEqual(['consume session|a', 'bind ["b"] 1 if-durable drop always'])
  })

  it.each([
    ['# not at the end', '612f232f62'],
    ['# with company', '6123'],
    ['+ with company', '612b'],
    ['$share without group', '2473686172652f2f61'],
    ['$share without filter', '2473686172652f67'],
    ['$share with an empty filter', '2473686172652f672f'],
    ['$share with a wildcard in the group', '2473686172652f2b2f61'],
    ['$share with a malformed filter', '2473686172652f672f6123'],
    ['$share alone', '247368617265'],
  ])('refuse a filter of invalid form: %s', async (_, hex) => {
    const client = await connected()
    const length = hex.length / 2
    client.send(`82${(2 + 2 + length + 1 + 4).toString(16).padStart(2, '0')} 0001 ${length.toString(16).padStart(4, '0')}${hex}01 0001 61 01`)
    client.session.commit()
    expect(client.wire.taken()).toBe('900400018001')
  })

  it('refuse what is configured, and what is part of it', async () => {
    const client = await connected(CONNECT, { refuse: ['s/#'] })
    client.send('821b 0001 0001 73 00 0003 732f61 00 0003 732f2b 00 0001 23 00 0002 7361 00')
    client.session.commit()
    expect(client.wire.taken()).toBe('900700018080800000')
  })

  it('refuse what the core refuses, and let the others stand', async () => {
    const client = await subscribed()
    client.session.bindRefusal = new CodedError('limit', 'limits.bindingsPerSession')
    client.send('8206 0002 0001 62 00')
    client.session.commit()
    expect(client.wire.taken()).toBe('9003000280')
    expect(client.wire.state).toBe('open')
  })

  it('share a queue in a group, with a queue of its own for what is of QoS 2', async () => {
    const client = await connected(CONNECT_KEPT)
    // $share/g/t/#
    client.send('8211 0001 000c 2473686172652f672f742f23 02')
    expect(client.session.taken()).toEqual([
      'declare mqtt session|a durable held',
      'hold session|a 0',
      'consume session|a',
      'declare mqtt share|g|t/# durable held',
      'hold share|g|t/# 2',
      'bind ["t",{"wild":"rest"}] 1 if-durable drop never',
    ])
    client.session.commit()
    expect(client.wire.taken()).toBe('9003000102')
    client.send('a210 0001 000c 2473686172652f672f742f23')
    expect(client.session.taken()).toEqual(['release share|g|t/#'])
    expect(client.consumer.taken()).toContain('drop share|g|t/#')
  })
})

describe('PUBLISH out', () => {
  it('QoS 0 is written and forgotten', async () => {
    const client = await subscribed()
    client.consumer.give({ message: message(0) })
    expect(client.wire.taken()).toBe('3004000161' + '6d')
    expect(client.consumer.taken()).toEqual(['grant 0 2'])
  })

  it('QoS 1 is settled by PUBACK, unanswered, in runs, and its place granted again', async () => {
    const client = await subscribed()
    client.consumer.give(out(1, 1), out(1, 2), out(1, 3))
    expect(client.wire.taken()).toBe('32060001610002' + '6d' + '32060001610003' + '6d' + '32060001610004' + '6d')
    client.consumer.taken()
    client.send('4002 0002 4002 0003')
    expect(client.consumer.taken()).toEqual(['settle 1-2 accepted', 'grant 2 0'])
    client.send('4002 0004')
    expect(client.consumer.taken()).toEqual(['settle 3-3 accepted', 'grant 1 0'])
    // Unknown, and again: of no account.
    client.send('4002 0002 4002 0077')
    expect(client.consumer.taken()).toEqual([])
  })

  it('QoS 1 acknowledged with gaps is settled with gaps', async () => {
    const client = await subscribed()
    client.consumer.give(out(1, 1), out(1, 2), out(1, 3))
    client.consumer.taken()
    client.send('4002 0004 4002 0002')
    expect(client.consumer.taken()).toEqual(['settle 3-3 accepted', 'settle 1-1 accepted', 'grant 2 0'])
    client.send('4002 0003')
    expect(client.consumer.taken()).toEqual(['settle 2-2 accepted', 'grant 1 0'])
  })

  it('QoS 2 is marked before PUBREL and settled, answered, by PUBCOMP', async () => {
    const client = await subscribed()
    client.consumer.give(out(2, 1))
    expect(client.wire.taken()).toBe('34060001610002' + '6d')
    client.consumer.taken()
    client.send('5002 0002')
    expect(client.consumer.taken()).toEqual(['mark 1 1'])
    expect(client.wire.taken()).toBe('')
    client.session.commit()
    expect(client.wire.taken()).toBe('62020002')
    client.send('7002 0002')
    expect(client.consumer.taken()).toEqual(['settle 1-1 accepted answered', 'grant 1 0'])
  })

  it('an identifier freed by PUBCOMP is not used again before that is durable, and order is kept', async () => {
    const client = await subscribed()
    client.consumer.give(out(2, 1, 0))
    client.send('5002 0001')
    client.session.commit()
    client.send('7002 0001')
    client.wire.taken()
    // 65,535 later: the same identifier.
    client.consumer.give(out(1, 2, 65_535), out(1, 3, 65_536), { message: message(0) })
    expect(client.wire.taken()).toBe('3004000161' + '6d')
    client.session.commit()
    expect(client.wire.taken()).toBe('32060001610001' + '6d' + '32060001610002' + '6d')
  })

  it('an identifier that becomes free while answers are written lets go on who waited for it, and no answer is lost', async () => {
    const client = await subscribed()
    client.consumer.give(out(2, 1, 0))
    client.send('5002 0001')
    client.session.commit()
    client.consumer.give({ ...out(2, 2, 65_535), mark: 1 })
    client.wire.taken()
    client.send('7002 0001 3206 0001 74 0009 78')
    client.session.commit()
    expect(client.wire.taken()).toBe('40020009' + '62020001')
    client.send('3206 0001 74 000a 78')
    client.session.commit()
    expect(client.wire.taken()).toBe('4002000a')
  })

  it('what was marked before a reconnect goes on with PUBREL', async () => {
    const client = await subscribed()
    client.consumer.give({ ...out(2, 1), mark: 1, maybeSeen: true }, { ...out(2, 2), maybeSeen: true })
    expect(client.wire.taken()).toBe('62020002' + '3c060001610003' + '6d')
    client.consumer.taken()
    client.send('7002 0002')
    expect(client.consumer.taken()[0]).toBe('settle 1-1 accepted answered')
  })

  it('PUBREC of an unknown identifier is answered with PUBREL, so that the client can forget it', async () => {
    const client = await connected()
    client.send('5002 0005')
    expect(client.wire.taken()).toBe('62020005')
  })

  it.each([
    ['PUBACK for QoS 2', 2, '4002 0002'],
    ['PUBREC for QoS 1', 1, '5002 0002'],
    ['PUBCOMP for QoS 1', 1, '7002 0002'],
    ['PUBCOMP before PUBREC', 2, '7002 0002'],
  ])('%s ends the connection', async (_, qos, hex) => {
    const client = await subscribed()
    client.consumer.give(out(qos, 1))
    client.send(hex)
    expect(client.wire.state).toBe('ended')
  })

  it('has the highest QoS that was granted, and never more than the message has', async () => {
    const client = await subscribed()
    const tags = [0, 2, 1]
    client.consumer.give({ ...out(2, 1), tags: [0, 1] }, { ...out(1, 2), tags }, { message: message(0), tags })
    expect(client.wire.taken()).toBe('32060001610002' + '6d' + '32060001610003' + '6d' + '3004000161' + '6d')
  })

  it('of QoS 0 by subscription is settled when it is sent, though the core would wait', async () => {
    const client = await subscribed()
    client.consumer.give({ ...out(2, 1), tags: [0] })
    expect(client.wire.taken()).toBe('3004000161' + '6d')
    expect(client.consumer.taken()[0]).toBe('settle 1-1 accepted')
  })

  it('says RETAIN only for what was retained before', async () => {
    const client = await subscribed()
    const one = newMessage(0, true, Buffer.from('m'))
    const to = client.broker.address('topic', ['a'])
    client.consumer.give({ message: one, to: client.broker.address('topic', ['b']) }, { message: one, to }, { message: one, to, retained: true })
    expect(client.wire.taken()).toBe('3004000162' + '6d' + '3004000161' + '6d' + '3104000161' + '6d')
  })

  it('of a shared queue takes a free identifier, and is no duplicate for this client', async () => {
    const client = await connected()
    client.send('820f 0001 000a 2473686172652f672f74 01')
    client.session.commit()
    client.wire.taken()
    const queue = client.broker.address('queue', ['share', 'g', 't'], 'mqtt')
    client.consumer.give({ ...out(2, 1), queue, tags: [1], maybeSeen: true }, { ...out(1, 2), queue, tags: [1] })
    expect(client.wire.taken()).toBe('3206000161ffff' + '6d' + '3206000161fffe' + '6d')
  })

  it('that no MQTT topic can name is rejected with the reason, and so is what cannot be translated', async () => {
    const client = await subscribed()
    client.consumer.give({ ...out(1, 1), to: client.broker.address('topic', ['a*b']) })
    expect(client.consumer.taken()[0]).toBe('settle 1-1 rejected')
    client.consumer.give({ ...out(1, 2), message: { ...message(1), dialect: 'other' } })
    expect(client.consumer.taken()[0]).toBe('settle 2-2 rejected')
    expect(client.wire.taken()).toBe('')
  })

  it('that makes its translation fail is rejected, and the next arrives', async () => {
    const client = await subscribed()
    client.broker.translate = () => {
      throw new RangeError('too deep')
    }
    client.consumer.give({ ...out(1, 1), message: { ...message(1), dialect: 'other' } }, out(1, 2))
    expect(client.consumer.taken()[0]).toBe('settle 1-1 rejected')
    expect(client.wire.taken()).toBe('32060001610003' + '6d')
    expect(client.broker.logged).toContain('a message could not be translated to MQTT')
  })

  it('of another origin is translated, and of its QoS by the table', async () => {
    const client = await subscribed()
    const foreign = { ...message(1), dialect: 'other' }
    client.broker.translations.set(foreign, { ...message(1), body: Buffer.from('t') })
    client.consumer.give({ ...out(1, 1), message: foreign })
    expect(client.wire.taken()).toBe('32060001610002' + '74')
  })

  it('of the same message to many is encoded once, with each his own identifier', async () => {
    const client = await subscribed()
    const one = message(1)
    const to = client.broker.address('topic', ['a'])
    client.consumer.give({ ...out(1, 1), message: one, to }, { ...out(1, 2), message: one, to })
    expect(client.wire.taken()).toBe('32060001610002' + '6d' + '32060001610003' + '6d')
    const zero = message(0)
    client.consumer.give({ message: zero, to }, { message: zero, to })
    expect(client.wire.pieces[0]).toBe(client.wire.pieces[1])
  })

  it('of a large payload is not copied', async () => {
    const client = await subscribed()
    const body = Buffer.alloc(5000, 'x')
    const large = newMessage(1, false, body)
    const to = client.broker.address('topic', ['a'])
    client.consumer.give({ ...out(1, 1), message: large, to }, { ...out(1, 2), message: large, to })
    expect(client.wire.pieces[1]).toBe(body)
    expect(client.wire.pieces[3]).toBe(body)
    expect(Buffer.from(client.wire.pieces[2]).toString('hex')).toBe('328d270001610003')
  })

  it('stops while the socket takes no more, and gets its bytes back when it does', async () => {
    const client = await subscribed()
    client.connection.congested(true)
    client.consumer.give({ message: message(0) })
    expect(client.consumer.taken()).toEqual(['stall true'])
    client.connection.congested(false)
    expect(client.consumer.taken()).toEqual(['stall false', 'grant 0 2'])
  })

  it('is bounded by the window that is configured', async () => {
    const client = await connected(CONNECT, { inflightMax: 7 })
    client.send('8206 0001 0001 61 02')
    expect(client.consumer.taken()).toEqual(['grant 7 17825792'])
  })

  it('that ends because its queue was removed ends the connection', async () => {
    const client = await subscribed()
    client.consumer.sink.ended(new CodedError('removed', 'the queue was removed'))
    expect(client.wire.state).toBe('ended')
  })
})
