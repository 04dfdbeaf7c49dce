// MQTT 5.0, 3.1 up to the connect flags: who may connect how, and what is no CONNECT. Wills are in will.ts, properties in connect-properties.ts.
import type { Chapter } from '../check.ts'
import { MqttWire } from '../clients/mqtt-wire.ts'
import { packet, properties, string, u16, u32 } from '../mqtt/bytes.ts'
import { answers, changes, edits, mistakes, sees } from '../mqtt/mutants.ts'
import { neverCloses } from '../mutant.ts'
import { fail, mustBe, mustEqual, skip } from '../outcome.ts'
import { acceptsAll } from './mutants.ts'
import { ID } from './properties.ts'
import {
  A_WHILE,
  code,
  connectBytes,
  connected,
  connectPacket,
  leave,
  mustReceive,
  opened,
  pause,
  publish,
  refused,
  refusesEach,
  second,
  subscribe,
} from './session.ts'

const KEPT = { properties: { sessionExpiryInterval: A_WHILE } }

export const connect: Chapter = {
  title: '3.1 CONNECT',
  clauses: [
    {
      id: 'MQTT-3.1.0-1',
      level: 'must',
      says: 'The first packet of a connection is CONNECT: any other ends it.',
      how: 'PINGREQ, PUBLISH, SUBSCRIBE, DISCONNECT and AUTH as the first packet.',
      async run(trial) {
        const cases = {
          PINGREQ: packet(0xc0),
          PUBLISH: packet(0x30, string(trial.name('topic')), properties()),
          SUBSCRIBE: packet(0x82, u16(1), properties(), string(trial.name('topic')), 1),
          AUTH: packet(0xf0, 0x18, properties(ID.authenticationMethod, string('x'))),
        }
        await Promise.all(
          Object.entries(cases).map(async ([name, bytes]) => {
            const wire = await MqttWire.open(trial, 5)
            wire.send(bytes)
            const answers = await wire.closed(`after ${name} as the first packet`)
            mustBe(!answers.some(({ cmd }) => cmd === 'pingresp' || cmd === 'suback'), `${name} before CONNECT was answered`)
          }),
        )
      },
      mutants: [neverCloses],
    },
    {
      id: 'MQTT-3.1.0-2',
      level: 'must',
      says: 'A second CONNECT on one connection is a protocol error: the connection ends.',
      how: 'CONNECT, and after CONNACK CONNECT once more; the same with another client identifier.',
      async run(trial) {
        for (const word of ['client', 'other']) {
          const wire = await connected(trial)
          wire.send(connectPacket(trial, { clientId: trial.name(word) }))
          const answers = await wire.closed('after a second CONNECT')
          mustBe(!answers.some(({ cmd }) => cmd === 'connack'), 'a second CONNECT was answered with CONNACK')
        }
      },
      mutants: [
        neverCloses,
        answers('takes a second CONNECT', 'connect', ({ clientId }) => (clientId.endsWith('-other') ? packet(0x20, 0, 0, properties()) : undefined)),
      ],
    },
    {
      id: 'MQTT-3.1.2-1',
      level: 'must',
      says: 'A CONNECT with a protocol name other than MQTT is not accepted: the connection ends, after CONNACK 0x84 or without.',
      how: 'The names MQTX, mqtt and an empty one.',
      run: (trial) =>
        refusesEach(trial, {
          'the protocol name MQTX': connectBytes(trial, { name: 'MQTX' }),
          'the protocol name mqtt': connectBytes(trial, { name: 'mqtt' }),
          'an empty protocol name': connectBytes(trial, { name: '' }),
        }),
      mutants: [neverCloses, acceptsAll, mistakes('takes mqtt for MQTT', string('mqtt'), string('MQTT'))],
    },
    {
      id: 'MQTT-3.1.2-2',
      level: 'must',
      says: 'A protocol version that the server does not have is not accepted: the connection ends, after CONNACK 0x84 or without.',
      how: 'The versions 6 and 127.',
      async run(trial) {
        for (const version of [6, 127]) {
          const connack = await refused(trial, connectBytes(trial, { version }), `protocol version ${version}`)
          // One of MQTT 3 has its own word for it, 1.
          const code = connack?.reasonCode ?? connack?.returnCode
          mustBe(code === undefined || code === 1 || code >= 0x80, `CONNACK has ${code} for protocol version ${version}`)
        }
      },
      mutants: [neverCloses, acceptsAll],
    },
    {
      id: 'MQTT-3.1.2-3',
      level: 'must',
      says: 'The reserved bit of the connect flags is 0: another value makes CONNECT malformed.',
      how: 'Connect flags 0x03.',
      run: (trial) => refusesEach(trial, { 'a CONNECT with its reserved flag set': connectBytes(trial, { flags: 3 }) }),
      mutants: [neverCloses, acceptsAll],
    },
    {
      id: 'MQTT-3.1.2-4',
      level: 'must',
      says: 'Clean Start discards the session that was: its subscriptions and what waited for it.',
      how: 'A session subscribes, goes, a message is published, it comes back with Clean Start and subscribes again: the first message it gets is a later one.',
      async run(trial) {
        const topic = trial.name('topic')
        const publisher = await second(trial)
        const before = await connected(trial, KEPT)
        await subscribe(before, { topic })
        await leave(trial, before)
        await publish(publisher, topic, 'waits for the old session')
        const { wire, connack } = await opened(trial, { ...KEPT, clean: true })
        mustBe(!connack.sessionPresent, 'CONNACK says that a session is present, after Clean Start')
        await publish(publisher, topic, 'matches the old subscription')
        await subscribe(wire, { topic })
        await publish(publisher, topic, 'matches the new subscription')
        await mustReceive(wire, 'matches the new subscription', 'something of the old session was left')
      },
      mutants: [sees('takes no notice of Clean Start', 'connect', (connect) => ({ ...connect, clean: false }))],
    },
    {
      id: 'MQTT-3.1.2-5',
      level: 'must',
      says: 'Without Clean Start, the session of the client identifier goes on.',
      how: 'A session subscribes, goes and comes back: it gets what is published, without subscribing again.',
      async run(trial) {
        const topic = trial.name('topic')
        const publisher = await second(trial)
        const before = await connected(trial, KEPT)
        await subscribe(before, { topic })
        before.destroy()
        const { wire, connack } = await opened(trial, { ...KEPT, clean: false })
        mustBe(connack.sessionPresent, 'CONNACK says that no session is present, though there was one')
        await publish(publisher, topic, 'for the session')
        await mustReceive(wire, 'for the session', 'the session did not go on')
      },
      mutants: [
        sees('takes every start for a clean one', 'connect', (connect) => ({ ...connect, clean: true })),
        changes('says that no session is present', 'connack', (connack) => ({ ...connack, sessionPresent: false })),
      ],
    },
    {
      id: 'MQTT-3.1.2-6',
      level: 'must',
      says: 'Without Clean Start and without a session, a new session begins.',
      how: 'CONNECT without Clean Start by a client identifier that nobody had: it is accepted, says so, subscribes and receives.',
      async run(trial) {
        const { wire, connack } = await opened(trial, { clean: false })
        mustBe(!connack.sessionPresent, 'CONNACK says that a session is present, and there was none')
        await subscribe(wire, { topic: trial.name('topic') })
        await publish(wire, trial.name('topic'), 'first')
        await mustReceive(wire, 'first', 'the new session does not work')
      },
      mutants: [
        changes('says that a session is present', 'connack', (connack) => ({ ...connack, sessionPresent: true })),
        answers('refuses it', 'connect', (connect) =>
          connect.clean === true ? undefined : { cmd: 'connack', reasonCode: 0x85, sessionPresent: false },
        ),
      ],
    },
    {
      id: 'MQTT-3.1.2-9',
      level: 'must',
      says: 'With the will flag, will properties, topic and payload are in the payload: a CONNECT without them is malformed.',
      how: 'CONNECT with the will flag that ends behind the client identifier, behind the will properties and behind the will topic.',
      async run(trial) {
        const id = string(trial.name('client'))
        const will = (...parts: Buffer[]): Buffer => packet(0x10, string('MQTT'), 5, 0x06, u16(60), properties(), id, ...parts)
        await refusesEach(trial, {
          'a CONNECT without its will': will(),
          'a CONNECT without its will topic': will(properties()),
          'a CONNECT without its will payload': will(properties(), string(trial.name('will'))),
        })
      },
      mutants: [neverCloses, acceptsAll],
    },
    ...flags(),
    ...format(),
    ...keepAlive(),
  ],
}

/** 3.1.2.6 to 3.1.2.9: flags that do not fit. */
function flags(): Chapter['clauses'] {
  return [
    {
      id: 'MQTT-3.1.2-11',
      level: 'must',
      says: 'Without the will flag, the will QoS is 0: another one makes CONNECT malformed.',
      how: 'Connect flags with will QoS 1 and 2, and no will flag.',
      run: (trial) =>
        refusesEach(trial, {
          'a will QoS of 1 without a will': connectBytes(trial, { flags: 0x0a }),
          'a will QoS of 2 without a will': connectBytes(trial, { flags: 0x12 }),
        }),
      mutants: [neverCloses, acceptsAll],
    },
    {
      id: 'MQTT-3.1.2-12',
      level: 'must',
      says: 'The will QoS is 0, 1 or 2: 3 makes CONNECT malformed.',
      how: 'Wills of each QoS, and one of 3.',
      async run(trial) {
        const payload = (name: string): (Buffer | number)[] => [string(trial.name(name)), properties(), string(trial.name('will')), string('w')]
        for (const qos of [0, 1, 2]) {
          const { wire, connack } = await opened(trial, connectBytes(trial, { flags: 0x06 | (qos << 3), payload: payload(`client-${qos}`) }))
          mustEqual(connack.reasonCode, 0, 'the reason code of CONNACK')
          wire.send({ cmd: 'disconnect', reasonCode: 0 })
        }
        await refusesEach(trial, { 'a will QoS of 3': connectBytes(trial, { flags: 0x1e, payload: payload('client') }) })
      },
      mutants: [neverCloses, sees('refuses a will of QoS 2', 'connect', (connect) => (connect.will?.qos === 2 ? 'close' : undefined))],
    },
    {
      id: 'MQTT-3.1.2-13',
      level: 'must',
      says: 'Without the will flag, will retain is 0: another value makes CONNECT malformed.',
      how: 'Connect flags with will retain, and no will flag.',
      run: (trial) => refusesEach(trial, { 'will retain without a will': connectBytes(trial, { flags: 0x22 }) }),
      mutants: [neverCloses, acceptsAll],
    },
    {
      id: 'MQTT-3.1.2-16',
      level: 'must',
      says: 'Without the user name flag there is no user name: what is left over makes CONNECT malformed.',
      how: 'A CONNECT without the flag, and with a string behind its client identifier.',
      run: (trial) =>
        refusesEach(trial, {
          'a user name without its flag': packet(0x10, string('MQTT'), 5, 2, u16(60), properties(), string(trial.name('client')), string('somebody')),
        }),
      mutants: [neverCloses, acceptsAll],
    },
    {
      id: 'MQTT-3.1.2-17',
      level: 'must',
      says: 'With the user name flag there is a user name: a CONNECT without it is malformed.',
      how: 'A CONNECT with the flag that ends behind its client identifier.',
      run: (trial) =>
        refusesEach(trial, {
          'the user name flag without a user name': packet(0x10, string('MQTT'), 5, 0x82, u16(60), properties(), string(trial.name('client'))),
        }),
      mutants: [neverCloses, acceptsAll],
    },
    {
      id: 'MQTT-3.1.2-18',
      level: 'must',
      says: 'Without the password flag there is no password: what is left over makes CONNECT malformed.',
      how: 'A CONNECT with a user name, without the password flag, and with bytes behind the user name.',
      run: (trial) =>
        refusesEach(trial, {
          'a password without its flag': packet(
            0x10,
            string('MQTT'),
            5,
            0x82,
            u16(60),
            properties(),
            string(trial.name('client')),
            string(trial.user ?? 'somebody'),
            string(trial.password ?? 'secret'),
          ),
        }),
      mutants: [neverCloses, acceptsAll],
    },
    {
      id: 'MQTT-3.1.2-19',
      level: 'must',
      says: 'With the password flag there is a password: a CONNECT without it is malformed.',
      how: 'A CONNECT with both flags that ends behind its user name.',
      run: (trial) =>
        refusesEach(trial, {
          'the password flag without a password': packet(
            0x10,
            string('MQTT'),
            5,
            0xc2,
            u16(60),
            properties(),
            string(trial.name('client')),
            string(trial.user ?? 'somebody'),
          ),
        }),
      mutants: [neverCloses, acceptsAll],
    },
    {
      id: 'MQTT5 3.1.2.9-a',
      level: 'must',
      says: 'A password without a user name is allowed: such a CONNECT is not malformed.',
      how: 'A CONNECT with the password flag alone: it is accepted, or refused for what it says, not for its form.',
      async run(trial) {
        const wire = await MqttWire.open(trial, 5)
        wire.send(packet(0x10, string('MQTT'), 5, 0x42, u16(60), properties(), string(trial.name('client')), string('a token')))
        const answer = await wire.inbox.next('an answer to CONNECT with a password and no user name')
        const wrong = answer?.cmd === 'connack' ? answer.reasonCode : undefined
        mustBe(wrong !== 0x81 && wrong !== 0x82, `a password without a user name is answered with ${code(wrong)}`)
        if (answer === undefined) skip('the broker closes such a connection without a word, and so does not say why')
      },
      mutants: [
        changes('calls it malformed', 'connack', (connack) => ({ ...connack, reasonCode: 0x81, sessionPresent: false })),
        answers('calls it a protocol error', 'connect', () => packet(0x20, 0, 0x82, properties())),
      ],
    },
  ]
}

/** 3.1.3 and 3.1.4-1: CONNECT is as the specification draws it. */
function format(): Chapter['clauses'] {
  return [
    {
      id: 'MQTT-3.1.3-1',
      level: 'must',
      says: 'The payload of CONNECT is read in its order: client identifier, will properties, will topic, will payload, user name, password.',
      how: 'A CONNECT with all of them; its will comes with the topic and the payload it was given.',
      async run(trial) {
        const topic = trial.name('will')
        const watcher = await connected(trial, { clientId: trial.name('watcher') })
        await subscribe(watcher, { topic })
        const wire = await connected(
          trial,
          connectBytes(trial, {
            flags: 0x0e,
            payload: [string(trial.name('client')), properties(ID.contentType, string('text/x-will')), string(topic), string('last words')],
          }),
        )
        wire.destroy()
        await mustReceive(watcher, 'last words', 'the will is another')
      },
      mutants: [
        sees('takes the will topic for its payload', 'connect', (connect) =>
          connect.will === undefined ? undefined : { ...connect, will: { ...connect.will, payload: Buffer.from(connect.will.topic) } },
        ),
        sees('takes the client identifier for the will topic', 'connect', (connect) =>
          connect.will === undefined ? undefined : { ...connect, will: { ...connect.will, topic: connect.clientId } },
        ),
      ],
    },
    {
      id: 'MQTT-3.1.3-3',
      level: 'must',
      says: 'The client identifier is the first field of the payload and is always there: a CONNECT without it is malformed.',
      how: 'A CONNECT that ends behind its properties.',
      run: (trial) => refusesEach(trial, { 'a CONNECT without a client identifier': packet(0x10, string('MQTT'), 5, 2, u16(60), properties()) }),
      mutants: [neverCloses, acceptsAll],
    },
    {
      id: 'MQTT-3.1.4-1',
      level: 'must',
      says: 'A CONNECT that does not have the format of 3.1 ends the connection.',
      how: 'CONNECTs that are cut short, have bytes left over, wrong flags in the fixed header, or lengths that lie.',
      async run(trial) {
        const whole = connectBytes(trial, { properties: [ID.sessionExpiry, u32(0)] })
        const body = whole.subarray(2)
        await refusesEach(trial, {
          'a CONNECT without a body': packet(0x10),
          'a CONNECT cut short in its name': packet(0x10, body.subarray(0, 4)),
          'a CONNECT cut short behind its version': packet(0x10, body.subarray(0, 7)),
          'a CONNECT cut short in its keep-alive': packet(0x10, body.subarray(0, 9)),
          'a CONNECT cut short in its properties': packet(0x10, body.subarray(0, 14)),
          'a CONNECT cut short by one byte': packet(0x10, body.subarray(0, -1)),
          'a CONNECT with a byte left over': packet(0x10, body, 0),
          'a CONNECT with flags in its fixed header': connectBytes(trial, { first: 0x12 }),
        })
      },
      mutants: [neverCloses, acceptsAll],
    },
  ]
}

/** 3.1.2.10 and Server Keep Alive. */
function keepAlive(): Chapter['clauses'] {
  const closesInTime = async (trial: Parameters<typeof opened>[0], keepalive: number): Promise<void> => {
    const { wire, connack } = await opened(trial, { keepalive })
    const seconds = connack.properties?.serverKeepAlive ?? keepalive
    const begun = performance.now()
    // The specification has no word on how long it may take to notice: a server that looks every few seconds is right too.
    await wire.inbox.untilEnd('the connection of a silent client was left open', seconds * 1500 + 5 * trial.patienceMs)
    const silent = performance.now() - begun
    if (silent < seconds * 1000 - 100)
      fail(`the connection was closed after ${Math.round(silent)} ms of silence, which is less than the Keep Alive of ${seconds} s`)
  }
  return [
    {
      id: 'MQTT-3.1.2-22',
      level: 'must',
      says: 'Who is silent for one and a half times the Keep Alive is disconnected.',
      how: 'Keep Alive 1, then nothing: the connection ends within 1.5 s and five times the patience of this run, not before 1 s.',
      run: (trial) => closesInTime(trial, 1),
      mutants: [neverCloses, closesAtOnce()],
    },
    {
      id: 'MQTT-3.2.2-22',
      level: 'must',
      says: 'Without a Server Keep Alive, the Keep Alive of CONNECT is the one that counts.',
      how: 'Keep Alive 2, then nothing: the connection ends within 3 s and five times the patience of this run, not before 2 s.',
      run: (trial) => closesInTime(trial, 2),
      mutants: [
        sees('never minds the Keep Alive', 'connect', (connect) => ({ ...connect, keepalive: 0 })),
        sees('takes every Keep Alive for 1', 'connect', (connect) => ({ ...connect, keepalive: 1 })),
      ],
    },
    {
      id: 'MQTT5 3.1.2.10-a',
      level: 'must',
      says: 'Any packet of the client counts as a sign of life, and a Keep Alive of 0 asks for none.',
      how: 'A client with Keep Alive 1 publishes, subscribes and pings, one thing every 700 ms for more than 2 s; another with Keep Alive 0 is silent so long.',
      async run(trial) {
        const wire = await connected(trial, { keepalive: 1 })
        const quiet = await opened(trial, { clientId: trial.name('quiet'), keepalive: 0 })
        await subscribe(wire, { topic: trial.name('topic') })
        const signs = [
          () => publish(wire, trial.name('topic'), 'x', { qos: 0 }),
          () => subscribe(wire, { topic: trial.name('other') }),
          () => wire.ping(),
          () => wire.ping(),
        ]
        for (const sign of signs) {
          await pause(700)
          await sign()
        }
        await wire.ping()
        if ((quiet.connack.properties?.serverKeepAlive ?? 0) === 0) await quiet.wire.ping()
      },
      mutants: [
        edits('takes nothing but PINGREQ for a sign of life', () => ({ close }) => ({
          toBroker: (packet) => (packet.cmd === 'publish' ? (setTimeout(close, 500), undefined) : undefined),
        })),
        sees('takes a Keep Alive of 0 for one of 1', 'connect', (connect) => (connect.keepalive === 0 ? { ...connect, keepalive: 1 } : undefined)),
      ],
    },
  ]
}

function closesAtOnce(): ReturnType<typeof edits> {
  return edits('disconnects after half the Keep Alive', () => ({ close }) => ({
    toClient: (packet) => (packet.cmd === 'connack' ? (setTimeout(close, 500), undefined) : undefined),
  }))
}
