// MQTT 5.0, 2: what all packets have in common: fixed header, packet identifiers, properties.
import type { Chapter } from '../check.ts'
import { held } from '../mqtt/acts.ts'
import { packet, properties, string, u16, u32 } from '../mqtt/bytes.ts'
import { changes, edits, ignores, sees } from '../mqtt/mutants.ts'
import { neverCloses } from '../mutant.ts'
import { mustBe, mustEqual } from '../outcome.ts'
import { acceptsAll, adds } from './mutants.ts'
import { ID, payloadOf } from './properties.ts'
import {
  closes,
  closesEach,
  connectBytes,
  connected,
  publish,
  publishBytes,
  publishPacket,
  receive,
  refusesEach,
  second,
  subscribe,
} from './session.ts'

export const format: Chapter = {
  title: '2 Control packets',
  clauses: [
    {
      id: 'MQTT5 2.1.2-a',
      level: 'must',
      says: 'There is no packet of type 0: it ends the connection.',
      how: 'A packet of type 0 after CONNACK.',
      run: (trial) => closesEach(trial, { 'a packet of type 0': Buffer.of(0, 0) }),
      mutants: [neverCloses],
    },
    {
      id: 'MQTT5 2.1.2-b',
      level: 'must',
      says: 'A packet that only a server sends is a protocol error when a client sends it.',
      how: 'CONNACK, SUBACK, UNSUBACK and PINGRESP, sent by the client.',
      run: (trial) =>
        closesEach(trial, {
          'a CONNACK of the client': packet(0x20, 0, 0, properties()),
          'a SUBACK of the client': packet(0x90, u16(1), properties(), 0),
          'an UNSUBACK of the client': packet(0xb0, u16(1), properties(), 0),
          'a PINGRESP of the client': packet(0xd0),
        }),
      mutants: [neverCloses],
    },
    {
      id: 'MQTT-2.1.3-1',
      level: 'must',
      says: 'Reserved flags have the value that is given for their packet; any other makes the packet malformed.',
      how: 'PUBACK, PUBREC, PUBCOMP, SUBSCRIBE, UNSUBSCRIBE and PINGREQ with other flags; and the flags of what the broker answers, which the wire holds against the list.',
      async run(trial) {
        await closesEach(trial, {
          'a PUBACK with flags 1': packet(0x41, u16(1)),
          'a PUBREC with flags 8': packet(0x58, u16(1)),
          'a PUBCOMP with flags 2': packet(0x72, u16(1)),
          'a SUBSCRIBE with flags 3': packet(0x83, u16(1), properties(), string(trial.name('topic')), 1),
          'an UNSUBSCRIBE with flags 0': packet(0xa0, u16(1), properties(), string(trial.name('topic'))),
          'a PINGREQ with flags 1': packet(0xc1),
        })
        const wire = await connected(trial)
        await subscribe(wire, { topic: trial.name('topic'), qos: 2 })
        await publish(wire, trial.name('topic'), 'once', { qos: 2 })
        await receive(wire)
        wire.send({ cmd: 'unsubscribe', messageId: 2, unsubscriptions: [trial.name('topic')] })
        await wire.next('unsuback')
        await wire.ping()
      },
      mutants: [
        neverCloses,
        ...(['connack', 'suback', 'unsuback', 'pubrec', 'pubrel', 'pubcomp', 'pingresp'] as const).map((cmd) =>
          changes(`sets a reserved flag of ${cmd.toUpperCase()}`, cmd, (_, raw) => Buffer.concat([Buffer.of((raw[0] ?? 0) | 8), raw.subarray(1)])),
        ),
      ],
    },
    {
      id: 'MQTT-2.2.1-2',
      level: 'must',
      says: 'A PUBLISH of QoS 0 has no packet identifier.',
      how: 'A message of QoS 0 is published and received: behind its topic are its properties, behind them its payload.',
      async run(trial) {
        const wire = await connected(trial)
        await subscribe(wire, { topic: trial.name('topic'), qos: 0 })
        await publish(wire, trial.name('topic'), 'payload', { qos: 0 })
        const { raw, qos } = await receive(wire)
        mustEqual(qos, 0, 'the QoS')
        mustEqual(payloadOf(raw).toString('latin1'), 'payload', 'what is behind topic and properties')
      },
      mutants: [
        changes('puts a packet identifier into PUBLISH of QoS 0', 'publish', ({ topic, payload }, raw) =>
          packet(raw[0] ?? 0x30, string(topic), u16(3), properties(), Buffer.from(payload)),
        ),
      ],
    },
    {
      id: 'MQTT-2.2.1-3',
      level: 'must',
      says: 'A packet identifier is not 0: a SUBSCRIBE, UNSUBSCRIBE or PUBLISH that has that one is a protocol error.',
      how: 'Each of them with identifier 0.',
      run: (trial) =>
        closesEach(trial, {
          'a SUBSCRIBE with identifier 0': packet(0x82, u16(0), properties(), string(trial.name('topic')), 1),
          'an UNSUBSCRIBE with identifier 0': packet(0xa2, u16(0), properties(), string(trial.name('topic'))),
          'a PUBLISH of QoS 1 with identifier 0': packet(0x32, string(trial.name('topic')), u16(0), properties()),
          'a PUBLISH of QoS 2 with identifier 0': packet(0x34, string(trial.name('topic')), u16(0), properties()),
        }),
      mutants: [neverCloses],
    },
    {
      id: 'MQTT-2.2.1-4',
      level: 'must',
      says: 'A new PUBLISH of QoS 1 or 2 from the server has an identifier that is not 0 and not in use.',
      how: 'Twenty messages of QoS 1 and 2, of which none is acknowledged: all have different identifiers.',
      async run(trial) {
        const wire = await connected(trial)
        const publisher = await second(trial)
        await subscribe(wire, { topic: trial.name('topic'), qos: 2 })
        for (let index = 0; index < 20; index++) await publish(publisher, trial.name('topic'), `${index}`, { qos: index % 2 === 0 ? 1 : 2 })
        const used = new Set<number>()
        for (const { messageId = 0 } of await held(wire, 20)) {
          mustBe(!used.has(messageId), `the identifier ${messageId} is that of two messages, of which neither was acknowledged`)
          used.add(messageId)
        }
      },
      mutants: [changes('gives every message the same identifier', 'publish', (message) => ({ ...message, messageId: 7 }))],
    },
    {
      id: 'MQTT-2.2.1-5',
      level: 'must',
      says: 'PUBACK, PUBREC, PUBREL and PUBCOMP have the identifier of the PUBLISH that they are about.',
      how: 'Messages of QoS 1 and 2, there with identifiers of our choice and back with those of the broker.',
      async run(trial) {
        const wire = await connected(trial)
        const topic = trial.name('topic')
        await subscribe(wire, { topic, qos: 2 })
        wire.send(publishPacket(topic, 'one', { qos: 1, messageId: 4711 }))
        mustEqual((await wire.next('puback')).messageId, 4711, 'the identifier of PUBACK')
        wire.send(publishPacket(topic, 'two', { qos: 2, messageId: 815 }))
        mustEqual((await wire.next('pubrec')).messageId, 815, 'the identifier of PUBREC')
        wire.send({ cmd: 'pubrel', messageId: 815 })
        mustEqual((await wire.next('pubcomp')).messageId, 815, 'the identifier of PUBCOMP')
        await receive(wire)
        const { messageId = 0 } = await wire.next('publish')
        wire.send({ cmd: 'pubrec', messageId })
        mustEqual((await wire.next('pubrel')).messageId, messageId, 'the identifier of PUBREL')
        wire.send({ cmd: 'pubcomp', messageId })
      },
      mutants: (['puback', 'pubrec', 'pubrel', 'pubcomp'] as const).map((cmd) =>
        changes(`has another identifier in ${cmd.toUpperCase()}`, cmd, (answer) => ({ ...answer, messageId: (answer.messageId ?? 0) + 1 })),
      ),
    },
    {
      id: 'MQTT5 2.2.1-a',
      level: 'must',
      says: 'Client and server give packet identifiers independently: the same may be in use in both directions at once.',
      how: 'While a message of QoS 2 from the broker is unfinished, one with the same identifier is published to it, and both are finished.',
      async run(trial) {
        const wire = await connected(trial)
        await subscribe(wire, { topic: trial.name('in'), qos: 2 })
        await publish(await second(trial), trial.name('in'), 'from the broker', { qos: 2 })
        const { messageId = 0 } = await wire.next('publish')
        wire.send(publishPacket(trial.name('out'), 'to the broker', { qos: 2, messageId }))
        mustEqual((await wire.next('pubrec')).messageId, messageId, 'the identifier of PUBREC')
        wire.send({ cmd: 'pubrec', messageId })
        mustEqual((await wire.next('pubrel')).reasonCode ?? 0, 0, 'the reason code of PUBREL')
        wire.send({ cmd: 'pubrel', messageId })
        mustEqual((await wire.next('pubcomp')).reasonCode ?? 0, 0, 'the reason code of PUBCOMP')
        wire.send({ cmd: 'pubcomp', messageId })
        await wire.ping()
      },
      mutants: [
        edits('has one table of identifiers for both directions', () => ({ toClient }) => {
          const used = new Set<number>()
          return {
            toClient: (each) => {
              if (each.cmd === 'publish') used.add(each.messageId ?? 0)
              return undefined
            },
            toBroker: (each) => {
              if (each.cmd !== 'publish' || !used.has(each.messageId ?? 0)) return undefined
              toClient(packet(0x50, u16(each.messageId ?? 0), 0x91))
              return 'drop'
            },
          }
        }),
      ],
    },
    {
      id: 'MQTT-2.2.1-6',
      level: 'must',
      says: 'SUBACK and UNSUBACK have the identifier of the SUBSCRIBE or UNSUBSCRIBE that they answer.',
      how: 'SUBSCRIBE 4711 and UNSUBSCRIBE 815.',
      async run(trial) {
        const wire = await connected(trial)
        wire.send({ cmd: 'subscribe', messageId: 4711, subscriptions: [{ topic: trial.name('topic'), qos: 1 }] })
        mustEqual((await wire.next('suback')).messageId, 4711, 'the identifier of SUBACK')
        wire.send({ cmd: 'unsubscribe', messageId: 815, unsubscriptions: [trial.name('topic')] })
        mustEqual((await wire.next('unsuback')).messageId, 815, 'the identifier of UNSUBACK')
      },
      mutants: [
        changes('has another identifier in SUBACK', 'suback', (_, raw) => packet(0x90, u16(1), raw.subarray(4))),
        changes('has another identifier in UNSUBACK', 'unsuback', (_, raw) => packet(0xb0, u16(1), raw.subarray(4))),
      ],
    },
    {
      id: 'MQTT-2.2.2-1',
      level: 'must',
      says: 'Where a packet has no properties, their length is there and is 0.',
      how: 'CONNACK, SUBACK, UNSUBACK and PUBLISH of the broker, which the wire holds against their structure; and a CONNECT that ends before the length.',
      async run(trial) {
        const wire = await connected(trial)
        const topic = trial.name('topic')
        await subscribe(wire, { topic, qos: 0 })
        await publish(wire, topic, 'payload', { qos: 0 })
        mustEqual(payloadOf((await receive(wire)).raw).toString(), 'payload', 'what is behind topic and properties')
        wire.send({ cmd: 'unsubscribe', messageId: 2, unsubscriptions: [topic] })
        await wire.next('unsuback')
        await closes(wire, packet(0x82, u16(1)), 'a SUBSCRIBE that ends before the length of its properties')
        await refusesEach(trial, { 'a CONNECT that ends before the length of its properties': packet(0x10, string('MQTT'), 5, 2, u16(60)) })
      },
      mutants: [
        neverCloses,
        changes('leaves it out of CONNACK', 'connack', ({ sessionPresent, reasonCode }) => packet(0x20, sessionPresent ? 1 : 0, reasonCode ?? 0)),
        changes('leaves it out of SUBACK', 'suback', ({ messageId, granted }) => packet(0x90, u16(messageId ?? 0), Buffer.from(granted.map(Number)))),
        changes('leaves it out of UNSUBACK', 'unsuback', ({ messageId }) => packet(0xb0, u16(messageId ?? 0), 0)),
        changes('leaves it out of PUBLISH', 'publish', ({ topic, payload }, raw) => packet(raw[0] ?? 0x30, string(topic), Buffer.from(payload))),
      ],
    },
    {
      id: 'MQTT5 2.2.2.2-a',
      level: 'must',
      says: 'A property that nobody knows, or that is none of its packet, makes the packet malformed.',
      how: 'An unknown property, and such as belong to other packets, in CONNECT, PUBLISH, SUBSCRIBE, UNSUBSCRIBE and DISCONNECT.',
      async run(trial) {
        const topic = trial.name('topic')
        const filter = string(topic)
        await Promise.all([
          refusesEach(trial, {
            'a CONNECT with property 0x7f': connectBytes(trial, { properties: [0x7f, 0] }),
            'a CONNECT with an Assigned Client Identifier': connectBytes(trial, { properties: [ID.assignedClientId, string('x')] }),
            'a CONNECT with a Will Delay Interval among its own properties': connectBytes(trial, { properties: [ID.willDelay, u32(1)] }),
          }),
          closesEach(trial, {
            'a PUBLISH with property 0x7f': publishBytes(topic, [0x7f, 0]),
            'a PUBLISH with a Session Expiry Interval': publishBytes(topic, [ID.sessionExpiry, u32(1)]),
            'a SUBSCRIBE with a Topic Alias': packet(0x82, u16(1), properties(ID.topicAlias, u16(1)), filter, 1),
            'an UNSUBSCRIBE with a Subscription Identifier': packet(0xa2, u16(1), properties(ID.subscriptionIdentifier, 1), filter),
            'a DISCONNECT with a Receive Maximum': packet(0xe0, 0x04, properties(ID.receiveMaximum, u16(1))),
          }),
        ])
      },
      mutants: [neverCloses, acceptsAll],
    },
    {
      id: 'MQTT5 2.2.2.2-b',
      level: 'must',
      says: 'The order of properties with different identifiers means nothing.',
      how: 'CONNECT and PUBLISH with the same properties in two orders.',
      async run(trial) {
        const expiry = [ID.sessionExpiry, u32(0)]
        const maximum = [ID.receiveMaximum, u16(20)]
        const about = [ID.userProperty, string('k'), string('v')]
        await connected(trial, connectBytes(trial, { payload: [string(trial.name('one'))], properties: [...expiry, ...about, ...maximum] }))
        const wire = await connected(trial, connectBytes(trial, { properties: [...maximum, ...expiry, ...about] }))
        await subscribe(wire, { topic: trial.name('topic'), qos: 0 })
        const content = [ID.contentType, string('text/plain')]
        const response = [ID.responseTopic, string(trial.name('response'))]
        for (const given of [
          [...content, ...about, ...response],
          [...response, ...content, ...about],
        ]) {
          wire.send(publishBytes(trial.name('topic'), given))
          const { properties: got } = await receive(wire)
          mustEqual(got?.contentType, 'text/plain', 'the Content Type')
          mustEqual(got?.responseTopic, trial.name('response'), 'the Response Topic')
        }
      },
      mutants: [
        sees('refuses a CONNECT whose first property is a Receive Maximum', 'connect', (_, raw) =>
          raw[13] === ID.receiveMaximum ? 'close' : undefined,
        ),
        changes('leaves out the Response Topic', 'publish', (message) => ({ ...message, properties: { contentType: 'text/plain' } })),
      ],
    },
    {
      id: 'MQTT5 2.2.2.2-c',
      level: 'must',
      says: 'Properties that go beyond their length, or beyond their packet, make it malformed.',
      how: 'Lengths that are one too short and far too long, and a string that is longer than the properties.',
      run: (trial) =>
        closesEach(trial, {
          'properties that end within a value': packet(0x30, string(trial.name('topic')), 3, ID.messageExpiry, u32(60)),
          'properties longer than their packet': packet(0x30, string(trial.name('topic')), 100, ID.messageExpiry, u32(60)),
          'a string longer than the properties': packet(0x30, string(trial.name('topic')), properties(ID.contentType, u16(50), Buffer.from('short'))),
        }),
      mutants: [neverCloses],
    },
    {
      id: 'MQTT5 2.2.2.2-d',
      level: 'must',
      says: 'A packet with a property that the server may not send in it is never sent.',
      how: 'CONNACK, SUBACK, PUBLISH, PUBACK and PINGRESP, which the wire holds against the table of properties.',
      async run(trial) {
        const wire = await connected(trial)
        await subscribe(wire, { topic: trial.name('topic') })
        await publish(wire, trial.name('topic'), 'x')
        await receive(wire)
        await wire.ping()
      },
      mutants: [
        adds('a Topic Alias', 'connack', ID.topicAlias, u16(1)),
        adds('a Server Reference', 'suback', ID.serverReference, string('x')),
        adds('a Will Delay Interval', 'publish', ID.willDelay, u32(1)),
        adds('a Content Type', 'puback', ID.contentType, string('x')),
        ignores('subscribe'),
      ],
    },
  ],
}
