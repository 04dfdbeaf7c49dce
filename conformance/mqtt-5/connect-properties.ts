// MQTT 5.0, 3.1.2.11: the properties of CONNECT, and what each makes the server do.
import type { Chapter, Check } from '../check.ts'
import { string, u16, u32 } from '../mqtt/bytes.ts'
import { changes, edits, never, sees } from '../mqtt/mutants.ts'
import { neverCloses } from '../mutant.ts'
import { mustBe, mustEqual, skip } from '../outcome.ts'
import type { Trial } from '../trial.ts'
import { acceptsAll, adds } from './mutants.ts'
import { ID, propertiesOf, withProperties } from './properties.ts'
import {
  A_WHILE,
  connectBytes,
  connected,
  leave,
  mustReceive,
  opened,
  pause,
  publish,
  publishBytes,
  receive,
  refusesEach,
  second,
  subscribe,
} from './session.ts'

/** One that is there once: CONNECT with two of them is a protocol error. */
function once(section: string, name: string, id: number, value: Buffer | number): Check {
  return {
    id: `MQTT5 ${section}-a`,
    level: 'must',
    says: `Two ${name} properties in a CONNECT are a protocol error.`,
    how: 'CONNECT with the property twice.',
    run: (trial) => {
      const method = id === ID.authenticationData ? [ID.authenticationMethod, string('x')] : []
      return refusesEach(trial, { [`a CONNECT with two ${name} properties`]: connectBytes(trial, { properties: [...method, id, value, id, value] }) })
    },
    mutants: [neverCloses, acceptsAll],
  }
}

/** One whose value has a range. */
function ranged(section: string, wrong: string, says: string, given: readonly (Buffer | number)[]): Check {
  return {
    id: `MQTT5 ${section}-b`,
    level: 'must',
    says,
    how: `CONNECT with ${wrong}.`,
    run: (trial) => refusesEach(trial, { [`a CONNECT with ${wrong}`]: connectBytes(trial, { properties: given }) }),
    mutants: [neverCloses, acceptsAll],
  }
}

export const connectProperties: Chapter = {
  title: '3.1.2.11 CONNECT properties',
  clauses: [
    once('3.1.2.11.2', 'Session Expiry Interval', ID.sessionExpiry, u32(1)),
    {
      id: 'MQTT-3.1.2-23',
      level: 'must',
      says: 'With a Session Expiry Interval greater than 0, the session state is kept when the connection is gone.',
      how: 'A subscription of QoS 1, the connection breaks, a message is published, the session comes back: it has the subscription and the message.',
      async run(trial) {
        const topic = trial.name('topic')
        const publisher = await second(trial)
        const kept = { properties: { sessionExpiryInterval: A_WHILE } }
        const before = await connected(trial, kept)
        await subscribe(before, { topic })
        before.destroy()
        await publish(publisher, topic, 'meanwhile')
        const { wire, connack } = await opened(trial, { ...kept, clean: false })
        mustBe(connack.sessionPresent, 'CONNACK says that no session is present')
        await mustReceive(wire, 'meanwhile', 'a message that came for the session was lost')
      },
      mutants: [
        sees('takes every Session Expiry Interval for 0', 'connect', ({ properties: _, ...connect }) => connect),
        changes('loses what comes for a session that is away', 'publish', ({ payload }) => (payload.toString() === 'meanwhile' ? 'drop' : undefined)),
      ],
    },
    {
      id: 'MQTT5 3.1.2.11.2-b',
      level: 'must',
      says: 'Without a Session Expiry Interval, or with 0, the session ends with its connection.',
      how: 'CONNECT without one and with 0, DISCONNECT, and CONNECT without Clean Start: no session is present.',
      async run(trial) {
        for (const [name, given] of [['absent', {}] as const, ['zero', { properties: { sessionExpiryInterval: 0 } }] as const]) {
          const clientId = trial.name(name)
          const before = await connected(trial, { clientId, ...given })
          await subscribe(before, { topic: trial.name('topic') })
          await leave(trial, before)
          const { connack } = await opened(trial, { clientId, clean: false })
          mustBe(!connack.sessionPresent, `a session is present whose Session Expiry Interval was ${name}`)
        }
      },
      mutants: [sees('keeps every session', 'connect', (connect) => ({ ...connect, properties: { sessionExpiryInterval: A_WHILE } }))],
    },
    {
      id: 'MQTT5 3.1.2.11.2-c',
      level: 'must',
      says: 'A session whose Session Expiry Interval has passed since its connection ended is no more.',
      how: 'A session of 1 s subscribes, its connection breaks; 1 s and the patience of this run later no session is present.',
      async run(trial) {
        const before = await opened(trial, { properties: { sessionExpiryInterval: 1 } })
        const { sessionExpiryInterval = 1 } = before.connack.properties ?? {}
        if (sessionExpiryInterval > 5) skip(`the broker keeps it for ${sessionExpiryInterval} s instead`)
        await subscribe(before.wire, { topic: trial.name('topic') })
        before.wire.destroy()
        await pause(sessionExpiryInterval * 1000 + trial.patienceMs)
        const { connack } = await opened(trial, { clean: false })
        mustBe(!connack.sessionPresent, `the session is still present ${trial.patienceMs} ms after its Session Expiry Interval`)
      },
      mutants: [sees('keeps it longer', 'connect', (connect) => ({ ...connect, properties: { sessionExpiryInterval: A_WHILE } }))],
    },
    once('3.1.2.11.3', 'Receive Maximum', ID.receiveMaximum, u16(10)),
    ranged('3.1.2.11.3', 'a Receive Maximum of 0', 'A Receive Maximum of 0 is a protocol error.', [ID.receiveMaximum, u16(0)]),
    once('3.1.2.11.4', 'Maximum Packet Size', ID.maximumPacketSize, u32(1000)),
    ranged('3.1.2.11.4', 'a Maximum Packet Size of 0', 'A Maximum Packet Size of 0 is a protocol error.', [ID.maximumPacketSize, u32(0)]),
    {
      id: 'MQTT-3.1.2-24',
      level: 'must',
      says: "No packet that is sent is larger than the client's Maximum Packet Size.",
      how: 'A client with a Maximum Packet Size of 100 subscribes; a small message, a large one and another small one are published: what comes is no larger.',
      async run(trial) {
        const topic = trial.name('topic')
        const publisher = await second(trial)
        const wire = await connected(trial, { properties: { maximumPacketSize: 100 } })
        await subscribe(wire, { topic })
        await publish(publisher, topic, 'before')
        await publish(publisher, topic, 'large'.repeat(50))
        await publish(publisher, topic, 'after')
        for (let payload = ''; payload !== 'after'; ) {
          const message = await receive(wire)
          mustBe(message.raw.length <= 100, `a PUBLISH of ${message.raw.length} bytes was sent to a client that takes 100`)
          payload = message.payload.toString()
        }
      },
      mutants: [sees('takes no notice of the Maximum Packet Size', 'connect', ({ properties: _, ...connect }) => connect)],
    },
    {
      id: 'MQTT-3.1.2-25',
      level: 'must',
      says: 'What is too large for its client is discarded, as if it had been sent and acknowledged.',
      how: 'Receive Maximum 1 and Maximum Packet Size 100: behind a large message of QoS 1, and one of QoS 2, a small one of QoS 1 comes.',
      async run(trial) {
        const topic = trial.name('topic')
        const publisher = await second(trial)
        const wire = await connected(trial, { properties: { maximumPacketSize: 100, receiveMaximum: 1 } })
        await subscribe(wire, { topic, qos: 2 })
        await publish(publisher, topic, 'large'.repeat(50), { qos: 1 })
        await publish(publisher, topic, 'large'.repeat(50), { qos: 2 })
        await publish(publisher, topic, 'small')
        await mustReceive(wire, 'small', 'a message larger than the Maximum Packet Size')
        await publish(publisher, topic, 'the next')
        await mustReceive(wire, 'the next', 'after a message that was too large')
      },
      mutants: [
        edits('waits for the acknowledgement of what it did not send', () => {
          let stuck = false
          return () => ({
            toBroker: (packet) => {
              if (packet.cmd === 'publish' && packet.payload.length > 100) stuck = true
              return undefined
            },
            toClient: (packet) => (stuck && packet.cmd === 'publish' ? 'drop' : undefined),
          })
        }),
        sees('sends it', 'connect', (connect) => ({ ...connect, properties: { receiveMaximum: 1 } })),
      ],
    },
    once('3.1.2.11.5', 'Topic Alias Maximum', ID.topicAliasMaximum, u16(3)),
    {
      id: 'MQTT-3.1.2-26',
      level: 'must',
      says: "No Topic Alias is greater than the client's Topic Alias Maximum.",
      how: 'Topic Alias Maximum 2; messages of four topics come, three times each.',
      run: (trial) => aliases(trial, 2),
      mutants: [adds('a Topic Alias of 3', 'publish', ID.topicAlias, u16(3))],
    },
    {
      id: 'MQTT-3.1.2-27',
      level: 'must',
      says: 'Without a Topic Alias Maximum, or with 0, no Topic Alias is sent.',
      how: 'No Topic Alias Maximum, and one of 0; messages of four topics come, three times each.',
      async run(trial) {
        await aliases(trial, undefined)
        await aliases(trial, 0)
      },
      mutants: [adds('a Topic Alias', 'publish', ID.topicAlias, u16(1))],
    },
    once('3.1.2.11.6', 'Request Response Information', ID.requestResponse, 1),
    ranged('3.1.2.11.6', 'a Request Response Information of 2', 'Request Response Information is 0 or 1: another value is a protocol error.', [
      ID.requestResponse,
      2,
    ]),
    {
      id: 'MQTT-3.1.2-28',
      level: 'must',
      says: 'Response Information is sent to nobody who did not ask for it.',
      how: 'CONNECT without Request Response Information, and with 0.',
      async run(trial) {
        for (const given of [[], [ID.requestResponse, 0]]) {
          const { connack } = await opened(trial, connectBytes(trial, { properties: given }))
          mustEqual(connack.properties?.responseInformation, undefined, 'the Response Information of CONNACK')
        }
      },
      mutants: [adds('Response Information', 'connack', ID.responseInformation, string('responses/here'))],
    },
    once('3.1.2.11.7', 'Request Problem Information', ID.requestProblem, 1),
    ranged('3.1.2.11.7', 'a Request Problem Information of 2', 'Request Problem Information is 0 or 1: another value is a protocol error.', [
      ID.requestProblem,
      2,
    ]),
    {
      id: 'MQTT-3.1.2-29',
      level: 'must',
      says: 'With Request Problem Information 0, reason strings and user properties are in no packet but CONNACK, DISCONNECT and PUBLISH.',
      how: 'PUBLISH of QoS 1 and 2, PUBREC and PUBREL of unknown identifiers, SUBSCRIBE and UNSUBSCRIBE, and what the broker answers.',
      async run(trial) {
        const wire = await connected(trial, connectBytes(trial, { properties: [ID.requestProblem, 0] }))
        const topic = trial.name('nobody')
        const silent = (packet: { raw: Buffer; cmd: string }): void => {
          const told = propertiesOf(packet.raw).some(({ id }) => id === ID.reasonString || id === ID.userProperty)
          mustBe(!told, `${packet.cmd.toUpperCase()} has a reason string or user properties, and the client asked for none`)
        }
        wire.send(publishBytes(topic, [], 'x', 0x32))
        silent(await wire.next('puback'))
        wire.send(publishBytes(topic, [], 'x', 0x34))
        silent(await wire.next('pubrec'))
        for (const messageId of [1, 77]) {
          wire.send({ cmd: 'pubrel', messageId })
          silent(await wire.next('pubcomp'))
        }
        wire.send({ cmd: 'unsubscribe', messageId: 3, unsubscriptions: [topic] })
        silent(await wire.next('unsuback'))
        silent(await subscribe(wire, { topic, qos: 2 }))
        await publish(wire, topic, 'once', { qos: 2 })
        const { messageId = 0 } = await wire.next('publish')
        wire.send({ cmd: 'pubrec', messageId })
        silent(await wire.next('pubrel'))
      },
      mutants: (['puback', 'pubrec', 'pubrel', 'pubcomp', 'suback', 'unsuback'] as const).flatMap((cmd) => [
        adds('a Reason String', cmd, ID.reasonString, string('because')),
        adds('a User Property', cmd, ID.userProperty, Buffer.concat([string('why'), string('because')])),
      ]),
    },
    {
      id: 'MQTT5 3.1.2.11.8-a',
      level: 'must',
      says: 'CONNECT may have any number of User Properties, the same name more than once too.',
      how: 'CONNECT with three, of which two have the same name.',
      async run(trial) {
        const about = (name: string, value: string): (Buffer | number)[] => [ID.userProperty, string(name), string(value)]
        await connected(trial, connectBytes(trial, { properties: [...about('a', '1'), ...about('b', '2'), ...about('a', '3')] }))
      },
      mutants: [
        sees('refuses names that come twice', 'connect', (connect) =>
          Array.isArray(connect.properties?.userProperties?.['a']) ? 'close' : undefined,
        ),
        never('connack'),
      ],
    },
    once('3.1.2.11.9', 'Authentication Method', ID.authenticationMethod, string('x')),
    once('3.1.2.11.10', 'Authentication Data', ID.authenticationData, string('data')),
    ranged('3.1.2.11.10', 'Authentication Data and no method', 'Authentication Data without an Authentication Method is a protocol error.', [
      ID.authenticationData,
      string('data'),
    ]),
    {
      id: 'MQTT5 3.1.2.11.4-c',
      level: 'must',
      says: 'A CONNACK that would be larger than the Maximum Packet Size of its CONNECT is not sent.',
      how: 'A CONNECT that is accepted, with the smallest Maximum Packet Size under which its CONNACK still came; the broker may refuse, but not with a larger packet.',
      async run(trial) {
        const { connack } = await opened(trial, { clientId: trial.name('probe') })
        const maximumPacketSize = connack.raw.length
        const { connack: fitting } = await opened(trial, { properties: { maximumPacketSize } })
        mustBe(
          fitting.raw.length <= maximumPacketSize,
          `a CONNACK of ${fitting.raw.length} bytes was sent to a client that takes ${maximumPacketSize}`,
        )
      },
      mutants: [
        edits('adds a User Property to the second CONNACK', () => {
          let count = 0
          return () => ({
            toClient: (packet, raw) => (packet.cmd === 'connack' && ++count > 1 ? withProperties(raw, (before) => [...before, LONG]) : undefined),
          })
        }),
      ],
    },
  ],
}

const LONG = { id: ID.userProperty, value: Buffer.concat([string('a'), string('b'.repeat(100))]) }

/** Messages of four topics, three times each, to a client that takes so many aliases. */
async function aliases(trial: Trial, maximum: number | undefined): Promise<void> {
  const word = maximum ?? 'absent'
  const topic = trial.name(`topic-${word}`)
  const publisher = await connected(trial, { clientId: trial.name(`publisher-${word}`) })
  const wire = await connected(trial, {
    clientId: trial.name(`client-${word}`),
    ...(maximum === undefined ? {} : { properties: { topicAliasMaximum: maximum } }),
  })
  await subscribe(wire, { topic: `${topic}/+` })
  const known = new Map<number, string>()
  for (let round = 0; round < 3; round++) for (const letter of 'abcd') await publish(publisher, `${topic}/${letter}`, letter)
  for (let count = 0; count < 12; count++) {
    const message = await receive(wire)
    const alias = message.properties?.topicAlias
    if (alias !== undefined) {
      mustBe(alias <= (maximum ?? 0), `a PUBLISH has the Topic Alias ${alias} where the Topic Alias Maximum is ${word}`)
      if (message.topic !== '') known.set(alias, message.topic)
    }
    const name = message.topic === '' ? known.get(alias ?? 0) : message.topic
    mustEqual(name, `${topic}/${message.payload.toString()}`, 'the topic by name or alias')
  }
}
